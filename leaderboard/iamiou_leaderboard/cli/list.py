"""``iamiou leaderboard list``: the board, or all submissions, in the terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from iamiou_leaderboard.types import Table


@click.command(name="list")
@click.argument("directory", metavar="DIR", type=click.Path())
@click.option("--split", metavar="NAME", help="public or hidden; hidden where there is one.")
@click.option("--all", "everything", is_flag=True, help="Every submission and its state, not only scored ones.")
@click.option(
    "--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Form."
)
def list_(directory: str, split: str | None, everything: bool, style: str) -> None:
    """Print the board as its pages show it."""
    from iamiou_leaderboard.board import open_board
    from iamiou_leaderboard.cli.printing import day, table
    from iamiou_leaderboard.types import Viewer
    from iamiou_leaderboard.views import as_json, board_table, submission_view

    opened = open_board(directory)
    try:
        if everything:
            views = [submission_view(opened, s.id, Viewer("admin")) for s in opened.store.submissions()]
            if style == "json":
                click.echo(json.dumps(as_json(views), indent=2, ensure_ascii=False))
                return
            rows = [[v.id, v.team, v.method, day(v.created), v.state.value, v.reason] for v in views]
            click.echo(table(["id", "team", "method", "date", "state", "reason"], rows))
            return
        board = board_table(opened, split=split)
        click.echo(json.dumps(as_json(board), indent=2, ensure_ascii=False) if style == "json" else _text(board))
    finally:
        opened.close()


def _text(board: Table) -> str:
    """Write the board as text; ``=`` marks a row that cannot be told from the one above."""
    from iamiou.wording import number
    from iamiou_leaderboard.cli.printing import day, table

    head = ["rank", "", "method", "team", "date", *board.columns, "id"]
    rows = []
    for row in board.rows:
        cells = [number(row.cells[c].value, 1 if c == "phantoms" else 3) for c in board.columns]
        mark = {"same": "=", "unknown": "?"}.get(row.badge, "")
        date = day(row.date) if row.date else row.year
        rows.append([str(row.rank or "–"), mark, row.method, row.team, date, *cells, row.id or row.kind])
    stale = f"\n{board.stale} submissions wait for `iamiou leaderboard rescore`." if board.stale else ""
    note = "= not distinguishable from the row above, ? not compared yet. "
    below = f"{board.split} split, metric {board.metric}. {note}{board.sort_rule} {board.rounding}{stale}"
    return f"{table(head, rows)}\n{below}"
