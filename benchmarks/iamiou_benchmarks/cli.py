"""``iamiou bench``: run, resume and compare the baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iamiou_benchmarks.claims._command import claim
from iamiou_benchmarks.status_line import StatusLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from iamiou_benchmarks.running.pipeline import Plan

_CACHE = Path("runs") / "stages"
_RUN_OPTIONS = (
    click.option("--seed", metavar="N", type=click.IntRange(0), default=0, show_default=True, help="Of the run."),
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where to compute.",
    ),
    click.option("--set", "changes", metavar="K=V", multiple=True, help="Change an option: stage.option=value."),
    click.option("--cache", metavar="DIR", type=click.Path(), help="Where stages lie.  [default: runs/stages]"),
)


def _run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


@click.group()
def bench() -> None:
    """Weakly supervised baselines: from image labels to scored predictions."""


bench.add_command(claim)


@bench.command("run")
@click.argument("name", metavar="RUN")
@click.option("--out", metavar="DIR", type=click.Path(), help="Results go there.  [default: runs/RUN-SEED]")
@_run_options
@click.option("--resume", is_flag=True, help="Go on where the run was interrupted.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and how long it takes.")
@click.option(
    "--tflops",
    metavar="X",
    type=click.FloatRange(0.1),
    default=20.0,
    show_default=True,
    help="Of a GPU, for a dry run.",
)
def run(
    name: str,
    out: str | None,
    seed: int,
    device: str,
    changes: tuple[str, ...],
    cache: str | None,
    resume: bool,
    dry_run: bool,
    tflops: float,
) -> None:
    """Run all stages of RUN, the name of a run file (see iamiou bench list) or the path of one."""
    from iamiou.files import check_writable

    if dry_run:
        from iamiou_benchmarks.running.dry_run import run_lines
        from iamiou_benchmarks.running.runfile import load_run

        click.echo(
            "\n".join(run_lines(load_run(name, changes), seed, Path(cache) if cache else _CACHE, device, tflops))
        )
        return
    plan = _plan(name, seed, device, changes, cache)
    folder = Path(out) if out else Path("runs") / f"{plan.run.name}-{seed}"
    check_writable(folder, folder=True)
    from iamiou.cli.options import compile_kernels
    from iamiou_benchmarks.running.pipeline import execute

    compile_kernels()
    with StatusLine() as show:
        result = execute(plan, folder, resume=resume, show=show)
    _print_result(result)
    if (folder / "predictions").is_dir():
        click.echo(f"\nWrote {folder}/result.json, sheet.png and curves.png. To send the predictions to a board:")
        click.echo(f"$ iamiou submit {folder}/predictions --to URL --method {plan.run.name}")


@bench.command("fill")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--seeds", metavar="N", type=click.IntRange(1), help="Seeds 0 to N - 1.  [default: 5; of voc-mini 3]")
@click.option("--only", metavar="SEED", type=click.IntRange(0), multiple=True, help="Of these seeds alone.")
@click.option("--results", metavar="DIR", type=click.Path(), default="results", show_default=True, help="For results.")
@click.option("--again", is_flag=True, help="Write all results again; finished stages are not repeated.")
@click.option("--threads", metavar="N", type=click.IntRange(1), help="Of PyTorch.  [default: as it likes]")
@_RUN_OPTIONS[1]
@_RUN_OPTIONS[3]
@click.option("--dry-run", is_flag=True, help="Name what is missing, and say how long it takes.")
def fill_(
    names: tuple[str, ...],
    seeds: int | None,
    only: tuple[int, ...],
    results: str,
    again: bool,
    threads: int | None,
    device: str,
    cache: str | None,
    dry_run: bool,
) -> None:
    """Run what a table still lacks: NAME is a table, a run, or ends with - and begins the names of runs."""
    from iamiou_benchmarks.running.campaign import fill, missing

    todo = missing(names, seeds, Path(results), only=only, again=again)
    stages = Path(cache) if cache else _CACHE
    if dry_run:
        from iamiou_benchmarks.tables.measured import fill_lines

        click.echo("\n".join(fill_lines(todo, Path(results), stages)))
        return
    _prepare(threads)
    with StatusLine() as show:
        fill(todo, Path(results), stages, device, click.echo, show)


def _prepare(threads: int | None) -> None:
    """Compile what has to be compiled, and settle the number of threads."""
    from iamiou.cli.options import compile_kernels

    compile_kernels()
    if threads:
        import torch

        torch.set_num_threads(threads)


@bench.command("stage")
@click.argument("name", metavar="RUN")
@click.argument("stage", metavar="STAGE")
@_run_options
@click.option("--resume", is_flag=True, help="Go on where the stage was interrupted.")
def stage(
    name: str, stage: str, seed: int, device: str, changes: tuple[str, ...], cache: str | None, resume: bool
) -> None:
    """Run one STAGE of RUN; the stages that it takes must have run. Works under torchrun for `segment`."""
    from iamiou.cli.options import compile_kernels
    from iamiou_benchmarks.running.pipeline import run_stage

    plan = _plan(name, seed, device, changes, cache)
    chosen = plan.run.stage(stage)
    compile_kernels()
    with StatusLine() as show:
        folder = run_stage(plan, chosen, resume=resume, show=show)
    click.echo(f"Wrote {folder}")


@bench.command("tune")
@click.argument("name", metavar="RUN")
@click.argument("option", metavar="STAGE.OPTION")
@click.argument("values", metavar="VALUE...", nargs=-1, required=True)
@_RUN_OPTIONS[0]
@_RUN_OPTIONS[1]
@_RUN_OPTIONS[3]
@click.option("--threads", metavar="N", type=click.IntRange(1), help="Of PyTorch.  [default: as it likes]")
@click.option("--out", metavar="FILE.json", type=click.Path(dir_okay=False), help="Keep the scores.")
@click.option("--figure", metavar="FILE.png", type=click.Path(dir_okay=False), help="Draw them.")
def tune(
    name: str,
    option: str,
    values: tuple[str, ...],
    seed: int,
    device: str,
    cache: str | None,
    threads: int | None,
    out: str | None,
    figure: str | None,
) -> None:
    """Try each VALUE of an option of RUN and score it on dev; test is not looked at."""
    import json

    from iamiou.files import check_writable
    from iamiou_benchmarks.running.tune import draw, lines_of, record_of, trials
    from iamiou_benchmarks.tables.results import markdown

    for path in filter(None, (out, figure)):
        check_writable(Path(path))
    _prepare(threads)
    with StatusLine() as show:
        found = list(trials(name, option, values, seed, Path(cache) if cache else _CACHE, device, show))
    record = record_of(name, option, seed, device, found)
    click.echo("\n".join(markdown(lines_of(record))))
    if out:
        Path(out).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if figure:
        draw(record, Path(figure))


@bench.command("convert-cams")
@click.argument("source", metavar="SRC", type=click.Path())
@click.argument("out", metavar="OUT", type=click.Path())
@click.option("--layout", type=click.Choice(["irn", "sfc", "amn", "psa"]), required=True, help="Which program's files.")
@click.option("--entry", metavar="NAME", help="Other maps of a file than the layout's, such as IS_CAM1.")
@click.option("--allow-pickle", is_flag=True, help="Open pickled files, as all four programs write them.")
def convert_cams_(source: str, out: str, layout: str, entry: str | None, allow_pickle: bool) -> None:
    """Convert class maps of another program, SRC/ID.npy, to OUT/ID.npz, for the stage method mapfiles."""
    from iamiou.errors import counted
    from iamiou.files import check_writable
    from iamiou_benchmarks.cams.cam_files import convert_cams

    check_writable(Path(out), folder=True)
    with StatusLine() as show:
        number = convert_cams(Path(source), Path(out), layout, entry or "", allow_pickle=allow_pickle, show=show)
    click.echo(f"Wrote {counted(number, 'file')} to {out}")


@bench.command("list")
def list_() -> None:
    """Name the run files that come with iamiou."""
    from iamiou_benchmarks.running.runfile import list_runs, load_run

    names = list_runs()
    for name in names:
        click.echo(f"{name:<{max(map(len, names))}}  {load_run(name).about}")


@bench.command("table")
@click.argument("name", metavar="NAME")
@click.option("--results", metavar="DIR", type=click.Path(), help="Results in place of those that come with iamiou.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["markdown", "latex", "csv"]),
    default="markdown",
    show_default=True,
    help="What is printed.",
)
@click.option("--figure", metavar="FILE.png", type=click.Path(dir_okay=False), help="Draw its verdicts.")
def table(name: str, results: str | None, style: str, figure: str | None) -> None:
    """Make the table NAME out of results: the beginning of the names of its runs, such as shapes-small."""
    from iamiou.files import check_writable
    from iamiou_benchmarks.running.pictures import write_figure
    from iamiou_benchmarks.tables.results import draw_verdicts, make_table

    where = Path(results) if results else None
    if figure:
        check_writable(figure)
        write_figure(draw_verdicts(name, where), Path(figure))
    click.echo(make_table(name, where, style), nl=False)


@bench.command("classes")
@click.argument("paths", metavar="RESULT...", nargs=-1, required=True, type=click.Path())
def classes(paths: tuple[str, ...]) -> None:
    """Print IoU by class and by groups of frequent and rare classes; RESULTs are those of one run in several seeds."""
    from iamiou_benchmarks.running.class_report import class_lines
    from iamiou_benchmarks.tables.results import markdown, read_result

    click.echo("\n".join(markdown(class_lines(read_result(Path(p)) for p in paths))))


def _plan(name: str, seed: int, device: str, changes: tuple[str, ...], cache: str | None) -> Plan:
    from iamiou_benchmarks.running.runfile import load_run

    run = load_run(name, changes)
    from iamiou_benchmarks.running.pipeline import make_plan

    return make_plan(run, seed, Path(cache) if cache else _CACHE, device)


def _print_result(result: dict[str, Any]) -> None:
    """Print one line for every score of every stage."""
    from iamiou.tables import shown

    names = ("mIoU", "precision", "recall", "IA-mIoU", "IA_S", "IA_M", "IA_L")
    click.echo(f"{'stage':<12} {'scored on':<14}" + "".join(f"{n:>10}" for n in names) + f"{'seconds':>10}")
    for record in result["stages"]:
        for split, scores in (record["scores"] or {"": dict[str, float]()}).items():
            cells = "".join(f"{shown(scores.get(n)):>10}" for n in names)
            extra = f"  mAP {scores['mAP']:.3f}" if "mAP" in scores else ""
            click.echo(f"{record['name']:<12} {split:<14}{cells}{record['seconds']:>10.1f}{extra}")
    for note in result["claims_used"]:
        click.echo(f"Note: {note}.")
