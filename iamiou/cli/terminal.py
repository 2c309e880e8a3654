"""A report as tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iamiou.report import Report
from iamiou.resample import FEW_IMAGES, weak
from iamiou.scores import bin_names
from iamiou.tables import shown

if TYPE_CHECKING:
    from rich.table import Table


def print_report(report: Report) -> None:
    """Print headline scores, then classes by size, then warnings; fits 80 columns."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    style: dict[str, Any] = {"box": box.SIMPLE_HEAD, "pad_edge": False, "padding": (0, 0, 0, 1)}
    style |= {"title_justify": "left", "title_style": "bold"}
    head = Table(title=_title(report), **style)
    for name in ("score", "", "95 % interval", "images", "instances", "classes"):
        head.add_column(name, justify="left" if name == "score" else "right", no_wrap=True)
    thin = _thin(report)
    for name, value in report.scores.items():
        low, high = report.intervals.get(name, (None, None))
        between = f"{shown(low)} to {shown(high)}{'*' if name in thin else ' '}" if low is not None else ""
        rests = [f"{report.support[name][k]:,}" for k in ("images", "instances", "classes")]
        strong = "bold" if name in ("mIoU", "IA-mIoU") or name.startswith("IA_") else ""
        head.add_row(Text(name, strong), Text(shown(value), strong), between, *rests)
    console.print(head)
    console.print(_class_table(report, style))
    if report.has_instances:
        console.print(Text("n: instances.", "dim"))
    if thin and report.intervals:
        few = f"* rests on classes with fewer than {FEW_IMAGES} images; read the interval with care."
        console.print(Text(few, "dim"))
    for warning in report.warnings:
        console.print(Text.assemble(("Warning: ", "yellow"), warning))


def _title(report: Report) -> str:
    images = f"{len(report.counts.images):,} images"
    return f"{images}, {len(report.counts.instances):,} instances" if report.has_instances else images


def _thin(report: Report) -> frozenset[str]:
    return weak(report.counts, report.bins) if report.has_instances else frozenset()


def _class_table(report: Report, style: dict[str, Any]) -> Table:
    from rich.table import Table

    names = bin_names(report.bins) if report.has_instances else ()
    table = Table(title="Classes", **style | {"padding": 0})  # the box alone parts the columns: 80 columns are few
    table.add_column("class", no_wrap=True, min_width=10, max_width=13, overflow="ellipsis")
    for name in ("IoU", *(["IA-IoU"] if names else [])):
        table.add_column(name, justify="right", no_wrap=True, min_width=5)
    for name in names:
        table.add_column(f"IA_{name}", justify="right", no_wrap=True, min_width=5)
        table.add_column("n", justify="right", style="dim", no_wrap=True)
    for name in ("prec.", "recall", *(["phantoms"] if names else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for row in report.class_rows():
        if row["IoU"] is None and not row["phantoms"]["count"]:
            continue
        cells = [row["name"], shown(row["IoU"]), *([shown(row["IA-IoU"])] if names else [])]
        for name in names:
            cells += [shown(row[name]["IA-IoU"]), f"{row[name]['instances'] or ''}"]
        cells += [shown(row["precision"]), shown(row["recall"])]
        if names:
            cells.append(f"{row['phantoms']['count'] or ''}")
        table.add_row(*cells)
    return table
