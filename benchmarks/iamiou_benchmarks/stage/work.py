"""What a method gets to work with: data, inputs, a folder to fill, a log, and scoring."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iamiou.errors import InputError
from iamiou_benchmarks.datasets.data import DataSet

Show = Callable[[str], None]


class Log:
    """The lines of ``metrics.jsonl`` of a stage, and one line on the terminal."""

    def __init__(self, path: Path, stage: str, show: Show | None = None) -> None:
        self.path, self.stage, self.show = path, stage, show
        self.start, self.last = time.perf_counter(), 0.0

    def write(self, iteration: int, **values: float) -> None:
        """Add a line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"stage": self.stage, "iteration": iteration, **values}) + "\n")

    def rewind(self, iteration: int) -> None:
        """Forget the lines after an iteration, for the work goes on from there."""
        if self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if line.endswith("}") and json.loads(line)["iteration"] <= iteration]
            self.path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def tell(self, done: int, total: int, text: str = "") -> None:
        """Show how far the work is; a few times a second at most."""
        now = time.perf_counter()
        if self.show and (now - self.last > 0.2 or done == total):
            self.last = now
            self.show(f"{self.stage}: {done} of {total} {text}")


@dataclass
class Work:
    """One stage at work.

    Parameters
    ----------
    data : DataSet
        The data set.
    inputs : mapping of str to Path
        Folders of the stages that this one takes, by their names, in the order of the run file.
    out : Path
        The folder to fill; what lies there already was written by this stage before it was interrupted.
    seed : int
        Of the run.
    device : str
        ``"cpu"`` or ``"cuda"``.
    log : Log
        Metrics and progress.
    scores : dict
        What `score` found, by name of split.
    notes : list of str
        What a reader of the scores has to know, such as pixel labels that chose something.
    images : int
        Images that went through the stage, for the throughput.
    """

    data: DataSet
    inputs: Mapping[str, Path]
    out: Path
    seed: int
    device: str
    log: Log
    scores: dict[str, dict[str, float | None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    images: int = 0

    @property
    def source(self) -> Path:
        """The folder of the only input, or of the first one."""
        if not self.inputs:
            raise InputError(f'The stage {self.log.stage} takes no stage; name one with inputs = ["..."].')
        return next(iter(self.inputs.values()))

    def each(self, ids: Iterable[str], folder: Path, suffix: str) -> Iterator[tuple[str, Path]]:
        """Go through images whose output is not there yet, counting them: what was interrupted goes on.

        Yields
        ------
        image_id : str
        path : Path
            Where the output of this image belongs; it has to appear whole.
        """
        folder.mkdir(parents=True, exist_ok=True)
        listed = list(ids)
        for k, image_id in enumerate(listed):
            path = folder / f"{image_id}{suffix}"
            if not path.exists():
                yield image_id, path
                self.images += 1
            self.log.tell(k + 1, len(listed), "images")

    def score(self, name: str, split: str, maps: Path, **more: float) -> dict[str, Any]:
        """Score label maps against the truth of a split with iamiou, under a name; see `scoring.score_maps`."""
        from iamiou_benchmarks.stage.scoring import score_maps

        found: dict[str, float | None] = score_maps(self.data, split, maps, self.out / f"scores-{name}.npz")
        self.scores[name] = {**found, **more}
        return self.scores[name]
