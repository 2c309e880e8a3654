"""``iamiou bench claim``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from iamiou_benchmarks.status_line import StatusLine


@click.command("claim")
@click.argument("name", metavar="NAME")
@click.option("--results", metavar="DIR", type=click.Path(), help="Results in place of those that come with iamiou.")
@click.option("--cache", metavar="DIR", type=click.Path(), help="Where stages lie.  [default: runs/stages]")
@click.option("--real", metavar="DIR", type=click.Path(), envvar="IAMIOU_REAL_DATA", help="Real masks and predictions.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to compute.  [default: cpu]")
@click.option("--train", metavar="N", type=click.IntRange(0), help="Seeds for which missing stages may be trained.")
@click.option("--times", is_flag=True, default=None, help="Time steps as well, which wants a quiet machine.")
@click.option("--out", metavar="FILE.json", type=click.Path(dir_okay=False), help="Keep the record.")
@click.option("--figure", metavar="FILE.png", type=click.Path(dir_okay=False), help="Draw it.")
def claim(name: str, out: str | None, figure: str | None, **given: Any) -> None:
    """Put the claim NAME of a paper to the test, and print tables and verdicts."""
    from iamiou.files import check_writable
    from iamiou.masks import write_bytes
    from iamiou_benchmarks.claims import claim_module
    from iamiou_benchmarks.running.pictures import write_figure
    from iamiou_benchmarks.tables.results import RESULTS

    module = claim_module(name)  # which tells first what is not installed
    from iamiou_benchmarks.claims._record import Asked

    context = click.get_current_context()
    asked: dict[str, Any] = {"results": RESULTS}
    for option, value in ((k, v) for k, v in given.items() if v is not None):
        if option in module.TAKES:
            asked[option] = Path(value) if option in ("results", "cache", "real") else value
        elif context.get_parameter_source(option) is not ParameterSource.ENVIRONMENT:
            raise click.UsageError(f"The claim '{name}' has no use for --{option}; leave it out.")
    for path in (out, figure):
        if path:
            check_writable(path)
    with StatusLine() as show:
        record = module.record_of(Asked(**asked, show=show))
    if out:
        write_bytes(Path(out), (json.dumps(record, indent=1) + "\n").encode())
    if figure:
        write_figure(module.draw(record), Path(figure))
    click.echo("\n".join(module.lines(record)))
