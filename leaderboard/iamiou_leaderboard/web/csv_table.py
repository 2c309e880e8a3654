"""The table as CSV that a spreadsheet cannot be made to run."""

from __future__ import annotations

import csv
import io

from iamiou_leaderboard.types import Cell, Table
from iamiou_leaderboard.web.drawings import day

#: A spreadsheet takes a text that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_META = ("supervision", "backbone", "extra_data", "stage")


def to_csv(table: Table) -> str:
    """Return the table as CSV: numbers as numbers, what is not shown as nothing.

    Parameters
    ----------
    table : Table
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    spans = [c for c in table.columns if c != "phantoms"]
    head = ["rank", "method", "team", "kind", "date", *_META]
    head += [name for c in table.columns for name in ([c, f"{c} low", f"{c} high"] if c in spans else [c])]
    writer.writerow([*head, *(f"IA-IoU {name}" for name in table.class_names), "split", "metric", "id", "note"])
    for row in table.rows:
        rank = "" if row.rank is None else row.rank
        date = day(row.date) if row.date is not None else row.year
        texts = [plain(t) for t in (row.method, row.team, row.kind, date, *(row.meta.get(k, "") for k in _META))]
        cells = [v for c in table.columns for v in _numbers(row.cells.get(c), c in spans)]
        classes = [_numbers(row.classes.get(name), False)[0] for name in table.class_names]
        writer.writerow(
            [rank, *texts, *cells, *classes, table.split, plain(table.metric), row.id or "", plain(row.note)]
        )
    return out.getvalue()


def plain(text: str) -> str:
    """Put a quotation mark before what a spreadsheet would take for a formula.

    >>> plain("=1+1"), plain("ours"), plain("  @x")
    ("'=1+1", 'ours', "'  @x")
    """
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_FORMULA) else text


def _numbers(cell: Cell | None, span: bool) -> list[float | str]:
    known = cell or Cell()
    values = (known.value, known.low, known.high) if span else (known.value,)
    return ["" if v is None else v for v in values]
