"""Tables of finished runs: every score of every stage, mean and spread over the seeds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from iamiou.errors import InputError
from iamiou.published import published

RESULTS = Path(__file__).parent / "results"
COLUMNS = ("mIoU", "precision", "recall", "IA-mIoU", "IA_S", "IA_M", "IA_L")


@dataclass(frozen=True)
class Row:
    """One stage of one run, over its seeds: ``values[column]`` holds one number a seed, None where undefined."""

    run: str
    stage: str
    split: str
    seeds: tuple[int, ...]
    values: dict[str, tuple[float | None, ...]]


def read_results(folder: Path | None = None) -> list[dict[str, Any]]:
    """Read results, ``*.json`` in a folder or ``*/result.json`` below it.

    Raises
    ------
    InputError
        If a file is no result of a run.
    """
    root = folder or RESULTS
    found = []
    for path in sorted([*root.glob("*.json"), *root.glob("*/result.json")]):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as e:
            raise InputError(f"'{path}' cannot be read as a result ({e}).") from e
        if not isinstance(result, dict) or result.get("schema") != 1 or "stages" not in result:
            raise InputError(f"'{path}' is no result of iamiou bench run, or of another version; move it away.")
        found.append(result)
    return found


def rows_of(results: Iterable[dict[str, Any]], name: str) -> list[Row]:
    """Gather the results of runs whose names begin like this.

    Raises
    ------
    InputError
        If runs of one name differ in their options or data: their mean would mean nothing.
    """
    by_run: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        if result["run"].startswith(name):
            by_run.setdefault(result["run"], []).append(result)
    rows = []
    for run, group in sorted(by_run.items()):
        group.sort(key=lambda r: r["seed"])
        if len({(r["config_sha256"], json.dumps(r["data"])) for r in group}) > 1:
            raise InputError(f"The results of '{run}' come from different options or data; keep those of one.")
        if len({r["seed"] for r in group}) < len(group):
            raise InputError(f"The results of '{run}' hold one seed twice; keep one of them.")
        for k, record in enumerate(group[0]["stages"]):
            for split in record["scores"]:
                scores = [r["stages"][k]["scores"][split] for r in group]
                if "mIoU" in scores[0]:
                    values = {c: tuple(s.get(c) for s in scores) for c in COLUMNS}
                    rows.append(Row(run, record["name"], split, tuple(r["seed"] for r in group), values))
    return rows


def make_table(name: str, results: Path | None, style: str) -> str:
    """Render the table of the runs whose names begin with `name`.

    Parameters
    ----------
    style : {"markdown", "latex", "csv"}

    Raises
    ------
    InputError
        If there is no such run.
    """
    known = read_results(results)
    rows = rows_of(known, name)
    if not rows:
        there = ", ".join(sorted({r["run"] for r in known})) or "none at all"
        raise InputError(f"There is no result of a run '{name}...'; there are results of {there}.")
    head = ["run", "stage", "scored on", "seeds", *COLUMNS]
    if style == "csv":
        return _csv(head, rows)
    body = [[r.run, r.stage, r.split, str(len(r.seeds)), *(spread(r.values[c], style) for c in COLUMNS)] for r in rows]
    if style == "latex":
        lines = [" & ".join(line).replace("_", r"\_") + r" \\" for line in [head, *body]]
        return "\n".join(
            [
                r"\begin{tabular}{lllr" + "r" * len(COLUMNS) + "}",
                r"\toprule",
                lines[0],
                r"\midrule",
                *lines[1:],
                r"\bottomrule",
                r"\end{tabular}",
                "",
            ]
        )
    lines = [f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *body]]
    return "\n".join([*lines, *_beside(name), ""])


def spread(values: Iterable[float | None], style: str = "markdown") -> str:
    """Show mean and standard deviation in per cent.

    >>> spread([0.5, 0.52]), spread([0.5]), spread([None])
    ('51.0 ± 1.4', '50.0', '–')
    """
    numbers = [100 * v for v in values if v is not None]
    if not numbers:
        return "–"
    sign = r" $\pm$ " if style == "latex" else " ± "
    return f"{mean(numbers):.1f}" + (f"{sign}{stdev(numbers):.1f}" if len(numbers) > 1 else "")


def measured_seconds(run: str) -> dict[str, float]:
    """Return how long every stage of a run took, the mean over the committed results of it."""
    seconds: dict[str, list[float]] = {}
    for result in read_results():
        if result["run"] == run:
            for record in result["stages"]:
                seconds.setdefault(record["name"], []).append(record["seconds"])
    return {name: mean(values) for name, values in seconds.items()}


def _csv(head: list[str], rows: Iterable[Row]) -> str:
    """Write one line a seed, at full precision."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["run", "stage", "split", "seed", *head[4:]])
    for row in rows:
        for k, seed in enumerate(row.seeds):
            cells = [row.values[c][k] for c in COLUMNS]
            writer.writerow([row.run, row.stage, row.split, seed, *("" if v is None else v for v in cells)])
    return file.getvalue()


def _beside(name: str) -> list[str]:
    """Return papers' numbers on the same data set, each with its source."""
    data = {"voc": "voc2012-", "coco": "coco2014-"}.get(name.split("-", 1)[0])
    if data is None:
        return []
    rows = [p for p in published() if f"{p.dataset}-".startswith(data)]
    lines = [f"| {p.method} | {p.year or ''} | {p.stage} | {p.split} | {p.printed} | {p.note} |" for p in rows]
    return ["", "Published:", "", "| method | year | stage | split | mIoU | source |", "|" + " --- |" * 6, *lines]
