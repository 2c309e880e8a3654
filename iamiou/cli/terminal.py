"""A report as tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iamiou.report import Report
from iamiou.resample import FEW_IMAGES, weak_scores
from iamiou.scores import bin_names
from iamiou.tables import shown

if TYPE_CHECKING:
    from rich.console import Console
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
    _print_classes(console, report, style)
    if thin and report.intervals:
        few = f"* rests on classes with fewer than {FEW_IMAGES} images; read the interval with care."
        console.print(Text(few, "dim"))
    for warning in report.warnings:
        console.print(Text.assemble(("Warning: ", "yellow"), warning))


def _title(report: Report) -> str:
    images = f"{len(report.counts.images):,} images"
    return f"{images}, {report.totals.instances.sum():,} instances" if report.has_instances else images


def _thin(report: Report) -> frozenset[str]:
    return weak_scores(report.summary()) if report.has_instances else frozenset()


def _print_classes(console: Console, report: Report, style: dict[str, Any]) -> None:
    """Print the class table; where the terminal is too narrow, without counts, then without other columns."""
    from rich.text import Text

    for leave_out in (set(), {"n"}, {"n", "prec.", "recall"}, {"n", "prec.", "recall", "phantoms"}):
        table = _class_table(report, style, leave_out)
        if console.measure(table, options=console.options.update(max_width=10_000)).maximum <= console.width:
            break
    console.print(table)
    if report.has_instances and not leave_out:
        console.print(Text("n: instances.", "dim"))
    if leave_out:
        console.print(Text("Some columns do not fit here; a wider terminal or --format csv shows them all.", "dim"))


def _class_table(report: Report, style: dict[str, Any], leave_out: set[str]) -> Table:
    from rich.table import Table

    names = bin_names(report.bins) if report.has_instances else ()
    table = Table(title="Classes", **style | {"padding": 0})  # the box alone parts the columns: 80 columns are few
    table.add_column("class", no_wrap=True, min_width=10, max_width=13, overflow="ellipsis")
    head = ["IoU", *(["IA-IoU"] if names else []), *(part for name in names for part in (f"IA_{name}", "n"))]
    head += ["prec.", "recall", *(["phantoms"] if names else [])]
    for name in head:
        if name not in leave_out:
            width = 5 if name.startswith(("IoU", "IA")) else None
            table.add_column(name, justify="right", no_wrap=True, min_width=width, style="dim" if name == "n" else "")
    for row in report.class_rows():
        if row["IoU"] is None and not row["phantoms"]["count"]:
            continue
        cells = [shown(row["IoU"]), *([shown(row["IA-IoU"])] if names else [])]
        for name in names:
            cells += [shown(row[name]["IA-IoU"]), f"{row[name]['instances'] or ''}"]
        cells += [shown(row["precision"]), shown(row["recall"])]
        if names:
            cells.append(f"{row['phantoms']['count'] or ''}")
        kept = (cell for name, cell in zip(head, cells, strict=True) if name not in leave_out)
        table.add_row(row["name"], *kept)
    return table
