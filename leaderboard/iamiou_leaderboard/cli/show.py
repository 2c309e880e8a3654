"""``iamiou leaderboard show``: one submission, with its problems."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from iamiou_leaderboard.types import SubmissionView


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path())
@click.argument("submission", metavar="ID")
@click.option(
    "--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Form."
)
def show(directory: str, submission: str, style: str) -> None:
    """Print what its page shows to its team: state, problems, scores, provenance."""
    from iamiou_leaderboard.board import open_board
    from iamiou_leaderboard.types import Viewer
    from iamiou_leaderboard.views import as_json, submission_view

    opened = open_board(directory)
    try:
        view = submission_view(opened, submission, Viewer("admin"))
    finally:
        opened.close()
    click.echo(json.dumps(as_json(view), indent=2, ensure_ascii=False) if style == "json" else _text(view, directory))


def _text(view: SubmissionView, directory: str) -> str:
    from iamiou.wording import number
    from iamiou_leaderboard.cli.printing import day, table

    lines = [f"{view.method} by {view.team}, {day(view.created)}, {view.state.value}. {view.reason}".rstrip()]
    for p in view.problems:
        names = ", ".join(p["names"][:5])
        lines.append(
            f"{'problem' if p['fatal'] else 'warning'} [{p['kind']}]: {p['count']} {p['what']}: {names}. {p['hint']}"
        )
    if view.state == "error":
        lines.append(
            f"What went wrong: {directory}/logs/{view.id}-*.log. To try again: "
            f"iamiou leaderboard rescore {directory} --failed"
        )
    for split, shown in view.splits.items():
        where = f"rank {shown.rank} of {shown.of}" if shown.rank else "no score of this metric version"
        lines += ["", f"{split} split: {where}"]
        rows = [
            [
                name,
                number(c.value),
                f"{number(c.low)} to {number(c.high)}",
                str(c.instances or "–"),
                str(c.images or "–"),
            ]
            for name, c in shown.scores.items()
            if name != "phantoms"
        ]
        lines.append(table(["score", "value", "95 % interval", "instances", "images"], rows))
        lines += [f"{name}: {value}" for name, value in shown.provenance.items()]
    return "\n".join(lines)
