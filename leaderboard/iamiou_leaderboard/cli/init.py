"""``iamiou leaderboard init``: make a board from a ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from iamiou.ground_truth import GroundTruth


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path())
@click.argument("ground_truth", metavar="[GT]", required=False, type=click.Path())
@click.option("--public-split", metavar="NAME|FILE", help="Images whose ground truth may be seen.")
@click.option("--hidden-split", metavar="NAME|FILE", help="Images whose ground truth stays hidden.")
@click.option("--split", metavar="NAME", help="One list of a devkit, all of it hidden.")
@click.option("--list", "list_file", metavar="FILE", type=click.Path(), help="One list of ids, all of it hidden.")
@click.option("--semantic", metavar="DIR", type=click.Path(), help="Class masks, in place of GT.")
@click.option("--instances", metavar="DIR", type=click.Path(), help="Instance masks, in place of GT.")
@click.option("--classes", metavar="voc|coco|FILE", default="voc", show_default=True, help="Class names.")
@click.option("--bins", metavar="A,B", default="32,96", show_default=True, help="Sides that part the sizes.")
@click.option("--name", metavar="TEXT", help="Title of the board.  [default: name of DIR]")
@click.option("--dataset", metavar="NAME", help="Data set, to show what papers say of it.")
@click.option("--description", metavar="TEXT", help="What the rules page says first.")
@click.option("--primary", metavar="SCORE", default="IA-mIoU", show_default=True, help="The score that ranks.")
@click.option("--quota", metavar="N", type=click.IntRange(0), default=10, show_default=True, help="Scored runs a team.")
@click.option("--quota-days", metavar="N", type=click.IntRange(1), default=7, show_default=True, help="... in N days.")
@click.option("--attempts", metavar="N", type=click.IntRange(0), default=50, show_default=True, help="Uploads a day.")
@click.option("--max-archive", metavar="MB", type=click.IntRange(1), default=2048, show_default=True, help="Of a zip.")
@click.option("--database", metavar="URL", help="PostgreSQL in place of SQLite in DIR.")
def init(
    directory: str,
    ground_truth: str | None,
    public_split: str | None,
    hidden_split: str | None,
    bins: str,
    quota: int,
    quota_days: int,
    attempts: int,
    max_archive: int,
    **options: Any,
) -> None:
    """Make a board in DIR. The ground truth is copied in, readable by this user only.

    GT is what `iamiou score` takes. Without a split all of it is hidden.
    """
    from iamiou.cli.options import compile_kernels
    from iamiou.errors import InputError
    from iamiou.scores import parse_bins
    from iamiou_leaderboard.board import create_board
    from iamiou_leaderboard.types import Quota

    selected = {key: options.pop(key) for key in ("split", "list_file")}
    source = {key: options.pop(key) for key in ("semantic", "instances", "classes")}
    splits = {"public": public_split, "hidden": hidden_split}
    if any(splits.values()) and any(selected.values()):
        raise InputError("--split and --list choose a hidden split; give it with --hidden-split beside --public-split.")
    if any(splits.values()):
        chosen = {split: _selection(which) for split, which in splits.items() if which}
    else:
        chosen = {"hidden": selected}
    truths = {split: _open(ground_truth, source, which) for split, which in chosen.items()}
    compile_kernels()
    limits = Quota(quota, quota_days, attempts)
    given = {key: value for key, value in options.items() if value is not None}
    board = create_board(
        directory, truths, bins=parse_bins(bins), quota=limits, max_archive=max_archive * 2**20, **given
    )
    for split in board.splits:
        click.echo(f"{split}: {board.images[split]} images, {board.instances[split]} instances, {board.digests[split]}")
    for split, truth in truths.items():
        for problem in truth.warnings:
            click.echo(f"Warning, {split}: {problem}", err=True)
    click.echo(f"Made the board '{board.name}' in {directory}. Next:")
    click.echo(f"  iamiou leaderboard token create {directory} --team NAME")
    click.echo(f"  iamiou leaderboard serve {directory}")


def _selection(which: str) -> dict[str, Any]:
    """Read ``NAME|FILE``: a file that is there, or else a list of the devkit."""
    return {"list_file": which, "split": None} if Path(which).is_file() else {"list_file": None, "split": which}


def _open(ground_truth: str | None, source: dict[str, Any], which: dict[str, Any]) -> GroundTruth:
    from iamiou.ground_truth import open_ground_truth
    from iamiou.labels import load_classes

    return open_ground_truth(ground_truth, **source | {"classes": load_classes(source["classes"])}, **which)
