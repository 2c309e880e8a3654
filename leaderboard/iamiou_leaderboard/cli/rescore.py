"""``iamiou leaderboard rescore``: bring old submissions to the metric version that is installed."""

from __future__ import annotations

import click


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path())
def rescore(directory: str) -> None:
    """Queue every submission that has no score of this metric version; old scores are kept.

    Workers score them anew from the label maps that the board keeps.
    """
    from iamiou.report import METRIC_VERSION
    from iamiou_leaderboard.board import open_board

    opened = open_board(directory)
    number = opened.store.rescore(METRIC_VERSION)
    opened.close()
    click.echo(f"{number} submissions are queued for metric version {METRIC_VERSION}.")
    if number:
        click.echo(f"A worker does them: iamiou leaderboard worker {directory} --once")
