"""``iamiou build`` and ``iamiou build-pascal-b``: make a size-balanced data set, or check one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iamiou_builders.licences import LICENCES

if TYPE_CHECKING:
    from iamiou_builders.plan import Options, Tell
    from iamiou_builders.recipe import Download

Command = Callable[..., Any]


class ManyFiles(click.Command):
    """A command whose options for files take several values each: ``--coco A B``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the option before every value that follows the first."""
        many = {o for p in self.params if isinstance(p, click.Option) and p.multiple for o in p.opts}
        out: list[str] = []
        option, values = "", 0
        for word in args:
            if word.startswith("-"):
                name, _, value = word.partition("=")
                option, values = (name if name in many else ""), int(bool(value))
            elif word.endswith(".toml") or word == "pascal-b":  # the recipe
                option = ""
            else:
                out += [option] if option and values else []
                values += 1
            out.append(word)
        return super().parse_args(ctx, out)


def _licences(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...]:
    words = (value or "").split(",") if value else []
    if not all(w.strip().isdecimal() and int(w) in LICENCES for w in words):
        known = ", ".join(f"{k} {v.name}" for k, v in LICENCES.items())
        raise click.BadParameter(f"'{value}' is no list of COCO's licence ids, like 4,5,7. There are: {known}.")
    return tuple(int(w) for w in words)


def _exports(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    words = tuple(w.strip() for w in value.split(","))
    if not words or not set(words) <= {"voc", "coco"}:
        raise click.BadParameter(f"'{value}' is not voc, coco or voc,coco.")
    return words


def _file(name: str, text: str, *, metavar: str = "FILE", **more: Any) -> Callable[[Command], Command]:
    return click.option(f"--{name}", metavar=metavar, type=click.Path(path_type=Path), help=text, **more)


_OPTIONS = (
    _file("coco", "COCO annotations.", metavar="FILE...", multiple=True),
    _file("lvis", "LVIS annotations, v1 or v0.5.", metavar="FILE...", multiple=True),
    _file("images", "Pictures.  [default: only those that were chosen are fetched]", metavar="DIR"),
    _file("out", "Where the data set goes.  [default: the recipe's name]", metavar="DIR"),
    click.option(
        "--per-cell",
        metavar="N",
        type=click.IntRange(1),
        help="Instances of each class and size.  [default: the recipe's, 60 in pascal-b]",
    ),
    click.option(
        "--seed", metavar="N", type=click.IntRange(0), default=0, show_default=True, help="Decides between equals."
    ),
    click.option(
        "--source",
        type=click.Choice(["val-only", "any"]),
        help="Whether COCO train may be used.  [default: the recipe's, val-only in pascal-b]",
    ),
    _file("leak-list", "Images not to choose, a number or file name a line.", metavar="FILE...", multiple=True),
    click.option(
        "--license-filter", "licenses", metavar="ID,ID", callback=_licences, help="Only these of COCO's licences."
    ),
    click.option(
        "--min-area",
        metavar="N",
        type=click.IntRange(1),
        help="Fewest visible pixels of an instance.  [default: the recipe's, 16 in pascal-b]",
    ),
    click.option(
        "--objective",
        type=click.Choice(["balance", "min-images"]),
        help="What the choice aims at.  [default: the recipe's, balance in pascal-b]",
    ),
    _file("mapping", "Which categories belong to which class.  [default: the recipe's]"),
    _file("list", "Take these images instead of choosing: a list, or manifest.jsonl.", default=None),
    click.option(
        "--export",
        metavar="voc,coco",
        default="voc,coco",
        show_default=True,
        callback=_exports,
        help="VOC devkit, COCO json, or both.",
    ),
    click.option("--dry-run", is_flag=True, help="Say what would come out and be fetched, and write nothing."),
    _file("verify", "Check a finished data set: every hash, every label, every id.", metavar="DIR"),
)


def _all_options(command: Command) -> Command:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("build", cls=ManyFiles)
@click.argument("recipe", metavar="RECIPE", required=False)
@_all_options
def build(recipe: str | None, **options: Any) -> int:
    """Make a data set by a recipe: a .toml file, or the name of one that comes along (pascal-b).

    Without --coco and --lvis the annotations are fetched from the addresses in the recipe; without --images the chosen
    pictures are. What was interrupted goes on when the same command runs again (exit code 3: not finished yet).
    """
    if recipe is None and options["verify"] is None:
        raise click.UsageError("Missing argument 'RECIPE': a .toml file, or pascal-b.")
    return _run(recipe or "", **options)


@click.command("build-pascal-b", cls=ManyFiles)
@_all_options
def build_pascal_b(**options: Any) -> int:
    """Make PASCAL-B: VOC's 20 classes, small, medium and large instances in equal numbers, from LVIS and COCO.

    It is a reconstruction: the paper's own list of images was never published. Without --coco and --lvis the
    annotations are fetched; without --images the chosen pictures are. What was interrupted goes on when the same
    command runs again (exit code 3: not finished yet).
    """
    return _run("pascal-b", **options)


def _run(recipe: str, *, out: Path | None, dry_run: bool, verify: Path | None, **given: Any) -> int:
    if verify is not None:
        return _verify(verify)
    from iamiou_builders.build import build as run
    from iamiou_builders.plan import Options
    from iamiou_builders.terminal import show_outcome, show_plan

    options = Options(
        recipe,
        coco=tuple(given["coco"]),
        lvis=tuple(given["lvis"]),
        images=given["images"],
        per_cell=given["per_cell"],
        seed=given["seed"],
        min_area=given["min_area"],
        objective=given["objective"],
        source=given["source"],
        leak_lists=tuple(given["leak_list"]),
        licenses=given["licenses"],
        mapping=given["mapping"],
        list_file=given["list"],
        export=given["export"],
    )
    root = out or Path(Path(recipe).stem)
    with _listening() as tell:
        if dry_run:
            return _dry_run(options, root, tell)
        outcome = run(options, root, tell=tell, show=show_plan)
    show_outcome(outcome, root)
    return 0


def _verify(root: Path) -> int:
    from iamiou.errors import ProblemsFound
    from iamiou_builders.folder import FINISHED, read_record
    from iamiou_builders.verify import verify

    with _listening() as tell:
        problems = verify(root, tell=tell)
    if problems:
        raise ProblemsFound(problems)
    record = read_record(root / FINISHED) or {}
    click.echo(
        f"{root}: all right. {record['images']:,} images, {record['instances']:,} instances, {len(record['files'])} "
        f"files beside them; digest {record['digest']}"
    )
    return 0


def _dry_run(options: Options, root: Path, tell: Tell) -> int:
    """Print what a build would do; nothing is fetched or written."""
    from iamiou_builders.folder import selection_of, state_of
    from iamiou_builders.official import not_here, places_of, wanted_files
    from iamiou_builders.pictures import check_places, expected_bytes, missing
    from iamiou_builders.plan import make_plan, order_of, recipe_of
    from iamiou_builders.terminal import show_plan

    recipe = recipe_of(options)
    order = order_of(options, recipe)
    state, record = state_of(root, order)
    files: tuple[Sequence[Path], Sequence[Path]] = (options.coco, options.lvis)
    if not any(files):
        wanted_first = wanted_files(recipe, recipe.source)
        if missing_first := not_here(wanted_first, root):
            _tell_downloads(missing_first)
            return 0
        files = places_of(wanted_first, root)
    plan = make_plan(options, recipe, order, files, frozen=selection_of(record), tell=tell)
    show_plan(plan)
    wanted = missing([r.picture for r in plan.chosen], root)
    check_places(wanted, options.images)
    if options.images is None:
        size = f"about {expected_bytes(wanted) / 1e6:,.0f} MB (estimated from their pixels)"
        click.echo(f"To be fetched: {len(wanted):,} pictures, {size}.")
    else:
        click.echo(f"To be copied: {len(wanted):,} pictures; all are in '{options.images}'.")
    ends = {"new": f"'{root}' is free", "begun": f"'{root}' holds this build, begun", "finished": f"'{root}' holds it"}
    click.echo(f"Nothing was written; {ends[state]}.")
    return 0


def _tell_downloads(files: Sequence[Download]) -> None:
    """Print which annotations a build would fetch before it could choose."""
    click.echo("No annotations are given, so these would be fetched first:")
    for file in files:
        size = "size not known before" if file.bytes is None else f"{file.bytes / 1e6:,.0f} MB"
        click.echo(f"  {file.url}  {file.member or file.name}  ({size})")
    click.echo("What could be chosen from them is not known before they are here: give them with --coco and --lvis.")


@contextmanager
def _listening() -> Iterator[Tell]:
    """Give a listener that shows what is going on, where a person looks on."""
    import sys

    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    shared = sys.stdout.isatty()  # output that goes into a file stays there
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=shared) as bar:
        task = bar.add_task("Reading", total=None)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=what[:1].upper() + what[1:], completed=done, total=total or None)

        yield tell
