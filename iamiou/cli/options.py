"""Options that several commands share, and what they open."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from iamiou.ground_truth import GroundTruth
    from iamiou.predictions import Predictions
    from iamiou.report import Report
    from iamiou.settings import Settings
    from iamiou.workers import Progress

Command = Callable[..., Any]

_TRUTH = (
    click.option("--split", metavar="NAME", help="Images of ImageSets/Segmentation/NAME.txt."),
    click.option("--list", "list_file", metavar="FILE", type=click.Path(), help="Images of a file, one id a line."),
    click.option("--semantic", metavar="DIR", type=click.Path(), help="Class masks, in place of GT."),
    click.option("--instances", metavar="DIR", type=click.Path(), help="Instance masks, in place of GT."),
    click.option("--classes", metavar="voc|coco|FILE", default="voc", show_default=True, help="Class names."),
    click.option(
        "--max-pixels",
        metavar="N",
        type=click.IntRange(1),
        default=2**30,
        help="Refuse larger images.  [default: 2^30]",
    ),
    click.option(
        "--window",
        metavar="N",
        type=click.IntRange(1),
        default=2**24,
        help="Read larger .npy and TIFF by strips of N pixels.  [default: 2^24]",
    ),
    click.option("--score-threshold", metavar="X", type=float, default=0.0, help="Leave out weaker COCO results."),
)
_SCORING = (
    click.option("--bins", metavar="A,B", default="32,96", show_default=True, help="Sides that part the sizes."),
    click.option(
        "--pred-void",
        type=click.Choice(["error", "background"]),
        default="error",
        show_default=True,
        help="What 255 in a prediction is.",
    ),
    click.option(
        "--missing",
        type=click.Choice(["error", "background"]),
        default="error",
        show_default=True,
        help="What no prediction means.",
    ),
    click.option(
        "--components",
        type=click.Choice(["nested", "plain"]),
        default="nested",
        show_default=True,
        help="The paper's rule, or plain connected components.",
    ),
    click.option(
        "--connectivity",
        type=click.Choice(["8", "4"]),
        default="8",
        show_default=True,
        help="Neighbours, 4 with plain only.",
    ),
    click.option("--threads", metavar="N", type=click.IntRange(1), help="Default: the cores at hand, at most 8."),
)
_BOOTSTRAP = (
    click.option(
        "--bootstrap", metavar="N", type=click.IntRange(0), default=1000, show_default=True, help="Resamples; 0: none."
    ),
    click.option(
        "--seed", metavar="N", type=click.IntRange(0), default=0, show_default=True, help="Of the resampling."
    ),
)


def _add(options: tuple[Callable[[Command], Command], ...]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


truth_options = _add(_TRUTH)
scoring_options = _add(_SCORING)
bootstrap_options = _add(_BOOTSTRAP)
format_option = click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json", "csv", "markdown", "latex"]),
    default="table",
    show_default=True,
    help="What is printed.",
)


def open_pair(
    predictions: str,
    ground_truth: str | None,
    *,
    semantic: str | None,
    instances: str | None,
    classes: str,
    split: str | None,
    list_file: str | None,
    max_pixels: int,
    window: int,
    score_threshold: float,
) -> tuple[Predictions, GroundTruth]:
    """Open both sides from the truth options."""
    from iamiou.ground_truth import open_ground_truth
    from iamiou.labels import load_classes
    from iamiou.predictions import open_predictions

    truth = open_ground_truth(
        ground_truth,
        semantic=semantic,
        instances=instances,
        classes=load_classes(classes),
        split=split,
        list_file=list_file,
        max_pixels=max_pixels,
        window=window,
    )
    found = open_predictions(predictions, truth, score_threshold=score_threshold, max_pixels=max_pixels, window=window)
    return found, truth


def settings_from(options: dict[str, Any]) -> Settings:
    """Take the scoring options out of a command's options."""
    from iamiou.scores import parse_bins
    from iamiou.settings import Settings

    known = {name: options.pop(name) for name in Settings.__dataclass_fields__ if name in options}
    if isinstance(known.get("bins"), str):
        known["bins"] = parse_bins(known["bins"])
    if "connectivity" in known:
        known["connectivity"] = int(known["connectivity"])
    return Settings(**known)


def compile_kernels() -> None:
    """Compile what is not in Numba's cache yet, and say so; half of it meanwhile in a process of its own."""
    from iamiou.jit import compiled, load_for_good

    here, there = "iamiou.scan", ("iamiou.sharing", "iamiou.unfilter")
    if not compiled([here, *there]):
        click.echo("Compiling the kernels, once (some seconds) ...", err=True)
        # The same path, for the cache belongs to the files that were imported; alone it would start in this folder.
        code = f"import sys; sys.path[:] = {sys.path!r}; import {', '.join(there)}"
        with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL):
            import_module(here)
    load_for_good(["iamiou.kernels", "iamiou.unfilter"])


@contextmanager
def on_cluster(scheduler: str | None, threads: int | None) -> Iterator[Any]:
    """Connect to a Dask scheduler, where one is given; None where not."""
    if scheduler is None:
        yield None
        return
    from iamiou.cluster import connected
    from iamiou.errors import InputError

    if threads is not None:
        raise InputError("--threads is about this machine, but --scheduler counts on others; give one of them.")
    with connected(scheduler) as client:
        yield client


def evaluate_with_bar(
    predictions: Predictions,
    truth: GroundTruth,
    settings: Settings,
    threads: int | None,
    digest: bool = True,
    *,
    rows: str | None = None,
    client: Any = None,
) -> Report:
    """Evaluate; show a progress bar where a person looks on, nothing elsewhere."""
    from iamiou.evaluation import evaluate_opened

    if client is None:
        compile_kernels()
    with ProgressBar(len(truth.ids)) as progress:
        return evaluate_opened(
            predictions,
            truth,
            settings,
            threads=threads,
            progress=progress,
            digest=digest,
            processes=True,
            rows=rows,
            client=client,
        )


class ProgressBar:
    """A progress bar on the terminal's error stream, or nothing where there is no terminal."""

    def __init__(self, total: int, what: str = "Scoring") -> None:
        self.bar: Any = None
        if sys.stderr.isatty() and total > 50:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

            columns = (what, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            # It draws when it is told something: with a thread of its own, no process could be forked.
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
            self.task = self.bar.add_task(what, total=total)

    def __enter__(self) -> Progress | None:
        if self.bar is None:
            return None
        self.bar.start()
        return lambda done, total: self.bar.update(self.task, completed=done, total=total, refresh=True)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
