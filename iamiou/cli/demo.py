"""``iamiou demo``: two models with one mIoU, and a page that tells them apart."""

from __future__ import annotations

import click


@click.command()
@click.argument("folder", metavar="[DIR]", default="iamiou-demo", type=click.Path())
def demo(folder: str) -> None:
    """Make a small data set and two imaginary models, score and compare them, write a report.

    Everything lands in DIR (default iamiou-demo): a VOC devkit, two folders of predictions, counts and pages.
    """
    from iamiou.cli.compare import print_comparison
    from iamiou.cli.options import evaluate_with_bar
    from iamiou.compare import compare
    from iamiou.demo import MODELS, write_demo
    from iamiou.ground_truth import open_ground_truth
    from iamiou.html import write_report
    from iamiou.predictions import open_predictions
    from iamiou.settings import Settings

    root = write_demo(folder)
    reports = []
    for model in MODELS:
        truth = open_ground_truth(root)
        found = open_predictions(root / "predictions" / model, truth)
        report = evaluate_with_bar(found, truth, Settings(), None)
        report.save(root / f"{model}.npz")
        page = root / f"{model}.html"
        write_report(report, page, truth=truth, predictions=found, images=str(root / "JPEGImages"), title=model)
        click.echo(f"\n$ iamiou score {root}/predictions/{model} {root} --report {page} --save {root}/{model}.npz")
        for name in ("mIoU", "IA-mIoU", "IA_S", "IA_L"):
            low, high = report.intervals[name]
            click.echo(f"{name:>8}  {report.scores[name]:.3f}  (95 % interval {low:.3f} to {high:.3f})")
        reports.append(report)
    first, second = MODELS
    click.echo(f"\n$ iamiou compare {root}/{first}.npz {root}/{second}.npz")
    click.echo(f"A = {root}/{first}.npz\nB = {root}/{second}.npz")
    print_comparison(compare(*reports))
    click.echo(f"\nNow look at {root}/{second}.html and {root}/{first}.html in a browser.")
