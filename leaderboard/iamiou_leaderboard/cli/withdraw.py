"""``iamiou leaderboard withdraw``: take a submission off the board."""

from __future__ import annotations

import click


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path())
@click.argument("submission", metavar="ID")
@click.option("--reason", metavar="TEXT", default="Withdrawn by the operator.", show_default=True, help="For its page.")
def withdraw(directory: str, submission: str, reason: str) -> None:
    """Withdraw a scored submission, or cancel one on its way; nothing is deleted."""
    from iamiou_leaderboard.board import open_board

    opened = open_board(directory)
    try:
        scored = opened.store.submission(submission).scored is not None
        end = opened.store.withdraw if scored else opened.store.cancel
        entry = end(submission, "admin", reason)
    finally:
        opened.close()
    click.echo(f"{entry.id} is {entry.state.value}.")
