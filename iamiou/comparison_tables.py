"""A comparison as rows of text, and as csv, Markdown or LaTeX."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence

from iamiou.comparison import Change, Comparison, Difference, signed
from iamiou.tables import harmless, latex, markdown, shown

_EXACT = 17


def headline_rows(result: Comparison) -> list[list[str]]:
    """Return score, both runs, difference, interval and p-value of every headline score, header first."""
    a, b = result.names
    return [["score", a, b, "difference", "95 % interval", "p"], *(_row(d.name, d, d.p) for d in result.scores)]


def class_rows(result: Comparison) -> list[list[str]]:
    """Return IoU and, where instances were scored, IA-IoU of every class, header first; p-values after Holm."""
    a, b = result.names
    kinds = ("IoU", "IA-IoU") if result.has_instances else ("IoU",)
    header = ["class", *["n"][: result.has_instances]]
    header += [f"{part}{kind}" for kind in kinds for part in (f"{a} ", f"{b} ", "difference in ", "p of ")]
    rows = [header]
    for c in result.classes:
        row = [c.name, *[str(c.instances)][: result.has_instances]]
        for d, p in ((c.iou, c.iou_p), (c.ia_iou, c.ia_iou_p))[: len(kinds)]:
            row += [shown(d.a), shown(d.b), signed(d.difference), short_p(p)]
        rows.append(row)
    return rows


def change_rows(result: Comparison, changes: Sequence[Change]) -> list[list[str]]:
    """Return the instances that changed most, header first."""
    header = ["image", "id", "class", "area", "bin", *result.names, "difference"]
    return [header, *([*_place(c), shown(c.a), shown(c.b), signed(c.difference)] for c in changes)]


def short_p(p: float) -> str:
    """Write a p-value without its name.

    >>> short_p(0.0002), short_p(0.25), short_p(math.nan)
    ('<0.001', '0.250', '–')
    """
    return "–" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def render(result: Comparison, style: str) -> str:
    """Return the comparison as text.

    Parameters
    ----------
    result : Comparison
    style : {"json", "csv", "markdown", "latex"}
        ``"csv"`` is one table at full precision: headline scores, then IoU and IA-IoU of the classes.
    """
    if style == "json":
        return json.dumps(result.to_dict(), indent=2, ensure_ascii=False) + "\n"
    if style == "csv":
        return _csv(result)
    tables = [headline_rows(result), class_rows(result)]
    tables += [change_rows(result, changes) for changes in (result.gained, result.lost) if changes]
    notes = [result.verdict, *(f"Warning: {w}" for w in result.warnings)]
    if style == "markdown":
        return "\n\n".join([notes[0], *(markdown(t) for t in tables), *notes[1:]]) + "\n"
    comments = [f"% {note}".replace("\n", "\n% ") for note in notes]
    body = [latex(table).replace("−", "$-$") for table in tables]
    return "\n\n".join([comments[0], *body, *comments[1:]]) + "\n"


def _row(name: str, d: Difference, p: float) -> list[str]:
    between = "–" if math.isnan(d.low) else f"{signed(d.low)} to {signed(d.high)}"
    a, b = (shown(value).replace("-", "−") for value in (d.a, d.b))  # a gap may be negative
    return [name, a, b, signed(d.difference), between, short_p(p)]


def _place(c: Change) -> list[str]:
    return [c.image, str(c.id), c.class_name, str(c.area), c.bin]


def _csv(result: Comparison) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["class", "score", "a", "b", "difference", "low", "high", "p", "p_holm"])
    rows = [("(all)", d.name, d, math.nan) for d in result.scores]
    for c in result.classes:
        rows.append((c.name, "IoU", c.iou, c.iou_p))
        if result.has_instances:
            rows.append((c.name, "IA-IoU", c.ia_iou, c.ia_iou_p))
    for of, score, d, adjusted in rows:
        numbers = (d.a, d.b, d.difference, d.low, d.high, d.p, adjusted)
        writer.writerow([harmless(of), score, *("" if math.isnan(v) else shown(v, _EXACT) for v in numbers)])
    return out.getvalue()
