"""``iamiou validate``: every problem of a set of predictions at once, before anybody scores it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from iamiou.cli.options import ProgressBar, open_pair, scoring_options, settings_from, truth_options

if TYPE_CHECKING:
    from iamiou.errors import Problem


@click.command()
@click.argument("predictions", metavar="PREDS", type=click.Path())
@click.argument("ground_truth", metavar="[GT]", required=False, type=click.Path())
@truth_options
@scoring_options
@click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What is printed."
)
def validate(predictions: str, ground_truth: str | None, threads: int | None, style: str, **options: Any) -> int:
    """Check predictions without scoring them; lists every problem by kind.

    It reads every image with the code that ``score`` uses. Exit code 0 when they can be scored (warnings
    may remain), 2 when not.
    """
    from iamiou.errors import SHOWN, ProblemsFound
    from iamiou.workers import count_all

    settings = settings_from(options)
    expected = None
    try:
        found, truth = open_pair(predictions, ground_truth, **options)
        expected = len(truth.ids)
        with ProgressBar(expected) as progress:
            _, _, problems = count_all(
                found, truth, settings, threads=threads, progress=progress, digest=False, processes=True
            )
    except ProblemsFound as e:
        problems = list(e.problems)
    fatal = [p for p in problems if p.fatal]
    if style == "json":
        listed = [
            {"kind": p.kind, "fatal": p.fatal, "count": len(p.names), "what": p.what, "names": p.names, "hint": p.hint}
            for p in problems
        ]
        click.echo(json.dumps({"valid": not fatal, "images": expected, "problems": listed}, indent=2))
    else:
        print_problems(predictions, expected, problems)
        if any(len(p.names) > SHOWN for p in problems):
            click.echo("Every name is listed by --format json.")
    return 2 if fatal else 0


def print_problems(predictions: str, expected: int | None, problems: list[Problem]) -> None:
    """Print one line a kind of problem, then the verdict."""
    for p in problems:
        click.echo(f"{'problem' if p.fatal else 'warning'} [{p.kind}]: {p}")
    kinds = sum(p.fatal for p in problems)
    verdict = f"{kinds} {'kind of problem' if kinds == 1 else 'kinds of problems'}" if kinds else "can be scored"
    images = "" if expected is None else f"{expected} {'image' if expected == 1 else 'images'} expected, "
    click.echo(f"{predictions}: {images}{verdict}.")
