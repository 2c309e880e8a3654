"""A report as tables on the terminal."""

from __future__ import annotations

from iamiou.report import Report
from iamiou.scores import bin_names
from iamiou.tables import shown

_FEW_IMAGES = 5


def print_report(report: Report) -> None:
    """Print headline scores, then classes by size, then warnings."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    style = {"box": box.SIMPLE_HEAD, "pad_edge": False, "title_justify": "left", "title_style": "bold"}
    head = Table(title=_title(report), **style)  # type: ignore[arg-type]
    for name in ("score", "", "95 % interval", "images", "instances", "classes"):
        head.add_column(name, justify="left" if name == "score" else "right")
    thin = _thin(report)
    for name, value in report.scores.items():
        low, high = report.intervals.get(name, (None, None))
        between = f"{shown(low)} – {shown(high)}{'*' if name in thin else ''}" if low is not None else ""
        rests = [f"{report.support[name][k]:,}" for k in ("images", "instances", "classes")]
        strong = "bold" if name in ("mIoU", "IA-mIoU") or name.startswith("IA_") else ""
        head.add_row(Text(name, strong), Text(shown(value), strong), between, *rests)
    console.print(head)
    console.print(_class_table(report, style))
    if thin and report.intervals:
        few = f"* rests on classes with fewer than {_FEW_IMAGES} images; read the interval with care."
        console.print(Text(few, "dim"))
    for warning in report.warnings:
        console.print(Text.assemble(("Warning: ", "yellow"), warning))


def _title(report: Report) -> str:
    images = f"{len(report.counts.images):,} images"
    return f"{images}, {len(report.counts.instances):,} instances" if report.has_instances else images


def _thin(report: Report) -> frozenset[str]:
    if not report.has_instances:
        return frozenset()
    from iamiou.resample import weak

    return weak(report.counts, report.bins)


def _class_table(report: Report, style: dict[str, object]) -> object:
    from rich.table import Table

    names = bin_names(report.bins) if report.has_instances else ()
    table = Table(title="Classes", **style)  # type: ignore[arg-type]
    table.add_column("class")
    numbers = ["IoU", *(["IA-IoU"] if names else [])]
    for name in numbers:
        table.add_column(name, justify="right")
    for name in names:
        table.add_column(f"IA_{name}", justify="right")
        table.add_column("n", justify="right", style="dim")
    for name in ("prec.", "recall", *(["phantoms"] if names else [])):
        table.add_column(name, justify="right")
    for row in report.class_rows():
        if row["IoU"] is None and not row["phantoms"]["count"]:
            continue
        cells = [row["name"], *(shown(row[name]) for name in numbers)]
        for name in names:
            cells += [shown(row[name]["IA-IoU"]), f"{row[name]['instances'] or ''}"]
        cells += [shown(row["precision"]), shown(row["recall"])]
        if names:
            cells.append(f"{row['phantoms']['count'] or ''}")
        table.add_row(*cells)
    return table
