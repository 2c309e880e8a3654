"""``iamiou validate``: every problem of a set of predictions at once, before anybody scores it."""

from __future__ import annotations

import json
from typing import Any

import click

from iamiou.cli.options import ProgressBar, open_pair, scoring_options, settings_from, truth_options


@click.command()
@click.argument("predictions", metavar="PREDS", type=click.Path())
@click.argument("ground_truth", metavar="[GT]", required=False, type=click.Path())
@truth_options
@scoring_options
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", help="What is printed.")
def validate(predictions: str, ground_truth: str | None, threads: int | None, style: str, **options: Any) -> int:
    """Check predictions without scoring them; lists every problem by kind.

    It reads every image with the code that ``score`` uses. Exit code 0 when they can be scored (warnings
    may remain), 2 when not.
    """
    from iamiou.errors import ProblemsFound
    from iamiou.workers import count_all

    settings = settings_from(options)
    found, truth = open_pair(predictions, ground_truth, **options)
    try:
        with ProgressBar(len(truth.ids)) as progress:
            _, _, problems = count_all(found, truth, settings, threads=threads, progress=progress, digest=False)
    except ProblemsFound as e:
        problems = list(e.problems)
    fatal = [p for p in problems if p.fatal]
    if style == "json":
        listed = [
            {"kind": p.kind, "fatal": p.fatal, "count": len(p.names), "what": p.what, "names": p.names, "hint": p.hint}
            for p in problems
        ]
        click.echo(json.dumps({"valid": not fatal, "images": len(truth.ids), "problems": listed}, indent=2))
    else:
        for p in problems:
            click.echo(f"{'problem' if p.fatal else 'warning'} [{p.kind}]: {p}")
        verdict = f"{len(fatal)} kinds of problems" if fatal else "can be scored"
        click.echo(f"{found.source or predictions}: {len(truth.ids)} images expected, {verdict}.")
    return 2 if fatal else 0
