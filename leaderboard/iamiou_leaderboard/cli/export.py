"""``iamiou leaderboard export``: the board as files."""

from __future__ import annotations

import sys

import click


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path())
@click.argument("out", metavar="OUT", type=click.Path())
def export(directory: str, out: str) -> None:
    """Write a board as a static site: it opens from any folder and asks no server for anything.

    OUT holds what an outsider sees, as pages, JSON and CSV. An earlier export there is replaced.
    """
    from iamiou_leaderboard.board import open_board
    from iamiou_leaderboard.web.export import export as write

    opened = open_board(directory)
    try:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            with Progress(console=Console(stderr=True), transient=True) as bar:
                task = bar.add_task("Writing pages")
                number = write(opened, out, lambda done, total: bar.update(task, completed=done, total=total))
        else:
            number = write(opened, out)
    finally:
        opened.close()
    click.echo(f"Wrote {number} pages to {out}; open {out}/index.html.")
