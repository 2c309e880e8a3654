"""``iamiou leaderboard backup``: a copy that is a board itself, taken while the board is in use."""

from __future__ import annotations

import click


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path())
@click.argument("out", metavar="OUT", type=click.Path())
def backup(directory: str, out: str) -> None:
    """Copy the board to the new folder OUT, which `serve` takes as it is."""
    from iamiou_leaderboard.backup import back_up

    number = back_up(directory, out)
    click.echo(f"Copied the board and {number} submissions to {out}.")
