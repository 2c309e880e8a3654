"""``iamiou leaderboard serve``: pages, API and workers."""

from __future__ import annotations

import click


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path())
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="0.0.0.0: the whole network.")
@click.option("--port", metavar="N", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any.")
@click.option("--workers", metavar="N", type=click.IntRange(0), help="Scoring processes.  [default: cores - 1, 1 to 4]")
@click.option("--public-url", metavar="URL", help="How others reach it, as https://board.lab.example.")
def serve(directory: str, host: str, port: int, workers: int | None, public_url: str | None) -> None:
    """Serve a board: its pages, its API and the workers that score.

    By default only this machine can reach it. Before a network put a proxy that speaks https, and name it with
    --public-url.
    """
    from iamiou.cli.options import compile_kernels
    from iamiou_leaderboard.board import open_board
    from iamiou_leaderboard.web.app import LOCAL
    from iamiou_leaderboard.web.serving import Workers, bind, default_workers, make_server

    base = _checked(public_url or "")
    opened = open_board(directory)
    listener = bind(host, port)
    number = default_workers() if workers is None else workers
    compile_kernels()
    place = f"[{host}]" if ":" in host else host
    address = base or f"http://{place}:{listener.getsockname()[1]}"
    click.echo(f"Serving '{opened.board.name}' at {address} with {number} worker{'' if number == 1 else 's'}.")
    if host not in LOCAL and not base.startswith("https://"):
        click.echo("Warning: tokens cross the network unencrypted; let a proxy speak https (--public-url).", err=True)
    try:
        with Workers(directory, number):
            make_server(opened, host, address).run(sockets=[listener])
    finally:
        opened.close()


def _checked(url: str) -> str:
    """Return the address without its last slash, or say what is wrong with it."""
    from urllib.parse import urlsplit

    from iamiou.errors import InputError

    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query):
        raise InputError(f"--public-url '{url}' is no address of a server; give one like https://board.lab.example.")
    return url.rstrip("/")
