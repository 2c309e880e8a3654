"""``iamiou score``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from iamiou.cli.options import (
    bootstrap_options,
    evaluate_with_bar,
    format_option,
    on_cluster,
    open_pair,
    scoring_options,
    settings_from,
    truth_options,
)


@click.command()
@click.argument("predictions", metavar="PREDS", type=click.Path())
@click.argument("ground_truth", metavar="[GT]", required=False, type=click.Path())
@truth_options
@scoring_options
@click.option(
    "--metrics",
    type=click.Choice(["all", "miou"]),
    default="all",
    show_default=True,
    help="miou: no instances, only mIoU.",
)
@bootstrap_options
@format_option
@click.option("--report", metavar="FILE.html", type=click.Path(), help="Write a page that works offline.")
@click.option("--images", metavar="DIR", type=click.Path(), help="Photographs to show in the report.")
@click.option("--figures", metavar="DIR", type=click.Path(), help="Write the plots as PNG and SVG.")
@click.option("--rows", metavar="DIR", type=click.Path(), help="Keep instances as Parquet there, not in memory.")
@click.option("--scheduler", metavar="ADDRESS", help="Count on the workers of a Dask scheduler.")
@click.option("--save", metavar="FILE.npz", type=click.Path(), help="Keep the counts, for iamiou compare.")
def score(
    predictions: str,
    ground_truth: str | None,
    threads: int | None,
    style: str,
    report: str | None,
    images: str | None,
    figures: str | None,
    save: str | None,
    rows: str | None,
    scheduler: str | None,
    **options: Any,
) -> None:
    """Score predictions: IA-mIoU, small, medium and large objects, mIoU.

    PREDS is a folder, .zip or .tar(.gz) of label maps (PNG or .npy, named by image id) or a COCO result json.
    GT is a VOC devkit, a folder of class masks, or COCO or LVIS json; or give --semantic and --instances.
    """
    settings = settings_from(options)
    _check_outputs(report, images, figures, save, rows)
    found, truth = open_pair(predictions, ground_truth, **options)
    # The identity of the data set costs a pass over all pixels; the table on the terminal does not show it.
    digest = bool(save or report or style == "json")
    with on_cluster(scheduler, threads) as client:
        result = evaluate_with_bar(found, truth, settings, threads, digest, rows=rows, client=client)
    if save:
        result.save(save)
    if figures:
        from iamiou.figures import write_figures

        write_figures(result, figures)
    if report:
        from iamiou.html import write_report

        write_report(result, report, truth=truth, predictions=found, images=images)
    if style == "table":
        from iamiou.cli.terminal import print_report

        print_report(result)
    else:
        from iamiou.tables import render

        click.echo(render(result, style), nl=False)
    for kind, path in (("report", report), ("figures", figures), ("counts", save), ("rows", rows)):
        if path and style == "table":
            click.echo(f"Wrote {kind}: {path}")


def _check_outputs(
    report: str | None, images: str | None, figures: str | None, save: str | None, rows: str | None
) -> None:
    """Refuse what could not be written, or would not be looked at, before the scoring is done in vain."""
    from iamiou.errors import InputError
    from iamiou.files import check_writable

    for path in (report, save):
        if path:
            check_writable(path)
    if figures:
        check_writable(figures, folder=True)
    if rows:
        from iamiou.rows import check_rows_folder

        check_rows_folder(rows)
    if save and not save.endswith(".npz"):
        raise InputError(f"--save '{save}' does not end in .npz, by which `iamiou compare` knows it; add the ending.")
    if images and not report:
        raise InputError("--images puts photographs into the report; add --report FILE.html.")
    if images and not Path(images).is_dir():
        raise InputError(f"There is no folder '{images}' of photographs; correct --images, or leave it out.")
