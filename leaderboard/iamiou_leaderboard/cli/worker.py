"""``iamiou leaderboard worker``: score what was submitted."""

from __future__ import annotations

import signal
import threading

import click


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path())
@click.option("--once", is_flag=True, help="End when nothing waits.")
@click.option("--memory", metavar="GB", type=click.IntRange(1), default=4, show_default=True, help="Of one scoring.")
@click.option("--cpu", metavar="S", type=click.IntRange(1), default=1800, show_default=True, help="Of one scoring.")
@click.option("--timeout", metavar="S", type=click.IntRange(1), default=3600, show_default=True, help="Of one scoring.")
def worker(directory: str, once: bool, memory: int, cpu: int, timeout: int) -> None:
    """Check and score submissions until stopped; any number of workers may share a board."""
    from iamiou.cli.options import compile_kernels
    from iamiou_leaderboard.scorer import Limits
    from iamiou_leaderboard.worker import work

    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    compile_kernels()
    done = work(directory, once=once, stop=stop, limits=Limits(memory=memory * 2**30, cpu=cpu, seconds=timeout))
    click.echo(f"{done} jobs done.")
