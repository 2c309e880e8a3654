"""``iamiou compare``: two runs on the same images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iamiou.cli.options import (
    evaluate_with_bar,
    format_option,
    open_pair,
    scoring_options,
    settings_from,
    truth_options,
)

if TYPE_CHECKING:
    from iamiou.comparison import Comparison
    from iamiou.report import Report


@click.command()
@click.argument("a", metavar="A", type=click.Path())
@click.argument("b", metavar="B", type=click.Path())
@click.argument("ground_truth", metavar="[GT]", required=False, type=click.Path())
@truth_options
@scoring_options
@click.option(
    "--bootstrap", metavar="N", type=click.IntRange(1), default=1000, show_default=True, help="Resamples of the images."
)
@click.option("--seed", metavar="N", type=click.IntRange(0), default=0, show_default=True, help="Of the resampling.")
@click.option(
    "--top", metavar="N", type=click.IntRange(0), default=10, show_default=True, help="Instances that changed most."
)
@format_option
def compare(
    a: str,
    b: str,
    ground_truth: str | None,
    threads: int | None,
    bootstrap: int,
    seed: int,
    top: int,
    style: str,
    **options: Any,
) -> None:
    """Tell which of two runs is better, where, and whether by more than chance.

    A and B are files of `iamiou score --save` (.npz), or predictions; for these give GT and the options of score.
    """
    from iamiou.compare import compare as compare_reports

    if Path(a).suffix == Path(b).suffix == ".npz":
        _refuse_idle(ground_truth, options)
    runs = [_run(path, ground_truth, threads, dict(options)) for path in (a, b)]
    result = compare_reports(*runs, resamples=bootstrap, seed=seed, top=top)
    if style == "table":
        click.echo(f"A = {a}\nB = {b}")
        print_comparison(result)
    else:
        from iamiou.comparison_tables import render

        click.echo(render(result, style), nl=False)


def _refuse_idle(ground_truth: str | None, options: dict[str, Any]) -> None:
    """Refuse options that saved runs would silently ignore."""
    from iamiou.errors import InputError

    context = click.get_current_context()
    given = [n for n in options if context.get_parameter_source(n) is click.core.ParameterSource.COMMANDLINE]
    idle = [f"--{name.replace('_', '-')}".replace("--list-file", "--list") for name in given]
    if ground_truth:
        idle.insert(0, f"GT '{ground_truth}'")
    if idle:
        raise InputError(f"Saved runs bring their own ground truth and options; leave out {', '.join(idle)}.")


def _run(path: str, ground_truth: str | None, threads: int | None, options: dict[str, Any]) -> Report:
    """Read a saved run, or score predictions."""
    if Path(path).suffix == ".npz":
        from iamiou.report import load

        return load(path)
    from dataclasses import replace

    from iamiou.errors import InputError

    if ground_truth is None and options["semantic"] is None:
        raise InputError(
            f"'{path}' is no file of saved counts (.npz). Save it with: iamiou score PREDS GT --save FILE.npz; "
            "or give the ground truth: iamiou compare A B GT"
        )
    settings = replace(settings_from(options), bootstrap=0)
    found, truth = open_pair(path, ground_truth, **options)
    return evaluate_with_bar(found, truth, settings, threads)


def print_comparison(result: Comparison) -> None:
    """Print the verdict, headline scores, classes, and the instances that changed most."""
    from rich.console import Console
    from rich.text import Text

    from iamiou.comparison_tables import change_rows, class_rows, headline_rows
    from iamiou.resample import FEW_IMAGES

    console = Console(highlight=False)
    console.print(Text(f"\n{result.verdict}\n", "bold"))
    headline = headline_rows(result)
    for row in headline[1:]:
        row[4] += "*" if row[0] in result.weak else ""
    _print_rows(console, f"{result.images:,} images, B minus A", headline, words=1)
    _print_rows(console, "Classes (p adjusted for their number)", _brief(class_rows(result)), words=1)
    for title, changes in (("Gained most", result.gained), ("Lost most", result.lost)):
        if changes:
            _print_rows(console, title, change_rows(result, changes), words=3)
    if result.weak:
        few = f"* rests on classes with fewer than {FEW_IMAGES} images; read the interval with care."
        console.print(Text(few, "dim"))
    for warning in result.warnings:
        console.print(Text.assemble(("Warning: ", "yellow"), warning))


def _brief(rows: list[list[str]]) -> list[list[str]]:
    """Shorten the header of the class table, so that it fits a terminal of 80 columns."""
    words = [part for kind in ("IoU", "IA-IoU") for part in (f"{kind} A", "B", "B − A", "p")]
    names = ["class", "n"] if "n" in rows[0] else ["class"]
    return [[*names, *words][: len(rows[0])], *rows[1:]]


def _print_rows(console: Any, title: str, rows: list[list[str]], words: int) -> None:
    """Print one table, ``words`` columns to the left, the numbers to the right."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=title,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),  # the class table fits 80 columns
        title_justify="left",
        title_style="bold",
    )
    for k, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if k < words else "right", no_wrap=k >= words)
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)
