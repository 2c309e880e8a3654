"""Tables whose rows are named one by one: a stage of a run each, beside what else belongs in its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iamiou_benchmarks.tables.results import groups_of, latex, markdown, spread
from iamiou_benchmarks.tables.verdicts import seeds_of

Results = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Line:
    """One row: a stage of a run, scored on a split.

    Parameters
    ----------
    labels : tuple of str
        What the first cells say.
    run, stage, split : str
    more : tuple of str
        Cells behind the scores.
    """

    labels: tuple[str, ...]
    run: str
    stage: str
    split: str = "train"
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """One table: the heads of labels, scores and further cells, and its rows."""

    title: str
    head: tuple[str, ...]
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    more: tuple[str, ...] = ()


def values_of(results: Results, line: Line, column: str) -> list[float | None]:
    """Return a score of every seed in 0 to 1, means over groups of classes included; None where undefined.

    Examples
    --------
    >>> stage = {"name": "cam", "scores": {"train": {"mIoU": 0.5}}}
    >>> found = {"x": [{"stages": [stage], "classes": {"means": {"cam": {"train": {"IoU_Few": 0.3}}}}}]}
    >>> [values_of(found, Line((), "x", "cam"), name) for name in ("mIoU", "IoU_Few", "recall")]
    [[0.5], [0.3], [None]]
    """
    found: list[float | None] = []
    for result in results.get(line.run, ()):
        by_split = {k: v for s in result["stages"] if s["name"] == line.stage for k, v in s["scores"].items()}
        scores = by_split.get(line.split, {})
        means = result.get("classes", {}).get("means", {}).get(line.stage, {}).get(line.split, {})
        found.append(scores.get(column, means.get(column)))
    return found


def render(sections: Iterable[Section], known: Iterable[dict[str, Any]], style: str) -> list[str]:
    """Return tables as lines: in per cent, mean and standard deviation over the seeds; csv has one line a seed."""
    results = groups_of(known, "")
    if style == "csv":
        return _csv(sections, results)
    lines = []
    for section in sections:
        body = [_cells(line, section, results, style) for line in section.lines]
        table = [[*section.head, "seeds", *section.columns, *section.more], *body]
        lines += [f"**{section.title}**", ""] if style == "markdown" else [f"% {section.title}"]
        lines += [*(markdown(table) if style == "markdown" else latex(table)), ""]
    return lines


def _cells(line: Line, section: Section, results: Results, style: str) -> list[str]:
    there = tuple(r["seed"] for r in results.get(line.run, ()))
    scores = [spread(values_of(results, line, c), style) for c in section.columns]
    return [*line.labels, seeds_of(there, line.run), *scores, *line.more]


def _csv(sections: Iterable[Section], results: Results) -> list[str]:
    listed = list(sections)
    columns = list(dict.fromkeys(c for section in listed for c in section.columns))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["table", "run", "stage", "split", "seed", *columns])
    for section in listed:
        for line in section.lines:
            values = [values_of(results, line, c) for c in columns]
            for k, result in enumerate(results.get(line.run, ())):
                cells = ["" if v[k] is None else v[k] for v in values]
                writer.writerow([section.title, line.run, line.stage, line.split, result["seed"], *cells])
    return file.getvalue().splitlines()
