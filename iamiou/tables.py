"""A report as csv, Markdown or LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from iamiou.report import Report
from iamiou.scores import bin_names

_LATEX = {"\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}"}
_LATEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--"}


def shown(value: float | None, digits: int = 3) -> str:
    """Return a score as text, an en dash where it is undefined.

    >>> shown(0.28714), shown(math.nan)
    ('0.287', '–')
    """
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def headline_rows(report: Report) -> list[list[str]]:
    """Return name, score, interval, images, instances, classes of every headline score, header first."""
    rows = [["score", "value", "95 % interval", "images", "instances", "classes"]]
    for name, value in report.scores.items():
        interval = report.intervals.get(name)
        between = f"{shown(interval[0])} to {shown(interval[1])}" if interval else "–"
        rests = report.support[name]
        rows.append([name, shown(value), between, *(str(rests[k]) for k in ("images", "instances", "classes"))])
    return rows


def class_rows(report: Report, *, digits: int = 3) -> list[list[str]]:
    """Return the class table, header first; sizes show score and number of instances."""
    names = bin_names(report.bins) if report.has_instances else ()
    header = ["class", "IoU", "precision", "recall"]
    if report.has_instances:
        header[2:2] = ["IA-IoU", "n", *(part for name in names for part in (f"IA_{name}", f"n_{name}"))]
        header += ["phantoms"]
    rows = [header]
    for entry in report.class_rows():
        row = [entry["name"], shown(entry["IoU"], digits)]
        if report.has_instances:
            row += [shown(entry["IA-IoU"], digits), str(entry["instances"])]
            for name in names:
                row += [shown(entry[name]["IA-IoU"], digits), str(entry[name]["instances"])]
        row += [shown(entry["precision"], digits), shown(entry["recall"], digits)]
        if report.has_instances:
            row.append(str(entry["phantoms"]["count"]))
        rows.append(row)
    return rows


def render(report: Report, style: str) -> str:
    """Return the report as text.

    Parameters
    ----------
    report : Report
        What to show.
    style : {"json", "csv", "markdown", "latex"}
        ``"csv"`` is the class table at full precision, after one row ``(all)`` with the data set's scores.
    """
    if style == "json":
        return report.to_json()
    if style == "csv":
        return _csv(report)
    tables = [headline_rows(report), class_rows(report)]
    notes = [f"Warning: {w}" for w in report.warnings]
    if style == "markdown":
        return "\n\n".join([*(markdown(t) for t in tables), *notes]) + "\n"
    return "\n\n".join([*(latex(t) for t in tables), *(f"% {note}".replace("\n", "\n% ") for note in notes)]) + "\n"


def _csv(report: Report) -> str:
    header, *rows = class_rows(report, digits=17)
    of_all = {"class": "(all)", "IoU": report.scores["mIoU"], "IA-IoU": report.scores.get("IA-mIoU", math.nan)}
    of_all |= {k: report.scores[k] for k in header if k in report.scores}
    for name, key in (("n", "IA-mIoU"), *((f"n_{b}", f"IA_{b}") for b in bin_names(report.bins))):
        of_all[name] = report.support.get(key, {}).get("instances", 0)
    of_all["phantoms"] = int(report.totals.phantoms.sum())
    first = [shown(v, 17) if isinstance(v, float) else str(v) for v in (of_all[k] for k in header)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if cell == "–" else harmless(cell) for cell in row] for row in [first, *rows]])
    return out.getvalue()


def harmless(cell: str) -> str:
    """Keep a spreadsheet from taking a name for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "@", "\t", "\r") else cell


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table, the first as its header."""
    head, *body = [["\\|".join(cell.split("|")) for cell in row] for row in rows]
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def latex(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a LaTeX tabular with booktabs' rules, the first as its header."""
    head, *body = [["".join(_LATEX.get(ch, ch) for ch in cell) for cell in row] for row in rows]
    lines = [r"\begin{tabular}{l" + "r" * (len(head) - 1) + "}", r"\toprule", " & ".join(head) + r" \\", r"\midrule"]
    lines += [" & ".join(row) + r" \\" for row in body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])
