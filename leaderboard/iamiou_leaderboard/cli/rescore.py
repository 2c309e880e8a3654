"""``iamiou leaderboard rescore``: bring old submissions to the metric version that is installed."""

from __future__ import annotations

import click


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path())
@click.option("--failed", is_flag=True, help="Also try again what ended in error.")
def rescore(directory: str, failed: bool) -> None:
    """Queue every submission that has no score of this metric version; old scores are kept.

    Workers score them anew from the label maps that the board keeps.
    """
    from iamiou.report import METRIC_VERSION
    from iamiou.wording import plural
    from iamiou_leaderboard.board import open_board

    opened = open_board(directory)
    try:
        number = opened.store.rescore(METRIC_VERSION)
        again = opened.store.retry() if failed else 0
    finally:
        opened.close()
    click.echo(f"Queued for metric version {METRIC_VERSION}: {plural(number, 'submission')}.")
    if failed:
        click.echo(f"Tried again after an error: {plural(again, 'submission')}.")
    if number or again:
        click.echo(f"A worker does them: iamiou leaderboard worker {directory} --once")
