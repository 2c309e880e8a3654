"""Tables of finished runs: every score of every stage, mean and spread over the seeds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from iamiou.errors import InputError
from iamiou.published import published
from iamiou_benchmarks.running.runfile import list_runs, load_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from iamiou_benchmarks.tables.claims_of_papers import Claim

RESULTS = Path(__file__).parents[1] / "results"
#: The published methods whose steps `shapes` repeats.
_STEPS = ("CAM (IRN's)", "IRN", "DeepLab-v2, fully supervised")
COLUMNS = ("mIoU", "precision", "recall", "IA-mIoU", "IA_S", "IA_M", "IA_L")


@dataclass(frozen=True)
class Row:
    """One stage of one run, over its seeds.

    ``values[column]`` holds one number a seed, None where undefined; ``keys`` are those of the finished stages.
    """

    run: str
    stage: str
    split: str
    seeds: tuple[int, ...]
    values: dict[str, tuple[float | None, ...]]
    keys: frozenset[str]


def read_results(folder: Path | None = None) -> list[dict[str, Any]]:
    """Read results, ``*.json`` in a folder or ``*/result.json`` below it.

    Raises
    ------
    InputError
        If a file is no result of a run.
    """
    root = folder or RESULTS
    return [read_result(path) for path in sorted([*root.glob("*.json"), *root.glob("*/result.json")])]


def read_result(path: Path) -> dict[str, Any]:
    """Read one result, or the result.json in a folder; raises as `read_results`."""
    path = path / "result.json" if path.is_dir() else path
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise InputError(f"'{path}' cannot be read as a result ({e}).") from e
    if not isinstance(result, dict) or result.get("schema") != 1 or "stages" not in result:
        raise InputError(f"'{path}' is no result of iamiou bench run, or of another version; move it away.")
    return result


def rows_of(results: Iterable[dict[str, Any]], name: str) -> list[Row]:
    """Return the stages of runs whose names begin like this, each finished stage once; test comes last.

    Raises
    ------
    InputError
        If runs of one name differ in their options or data: their mean would mean nothing.
    """
    rows = []
    for run, group in groups_of(results, name).items():
        for k, record in enumerate(group[0]["stages"]):
            for split in record["scores"]:
                scores = [r["stages"][k]["scores"][split] for r in group]
                if "mIoU" in scores[0]:
                    values = {c: tuple(s.get(c) for s in scores) for c in COLUMNS}
                    keys = frozenset(r["stages"][k]["key"] for r in group)
                    rows.append(Row(run + _mark(group[0]), record["name"], split, _seeds(group), values, keys))
    kept = [row for k, row in enumerate(rows) if not any(_covers(o, row, j < k) for j, o in enumerate(rows) if j != k)]
    return sorted(kept, key=lambda row: row.split == "test")


def groups_of(results: Iterable[dict[str, Any]], name: str) -> dict[str, list[dict[str, Any]]]:
    """Gather the results of each run by its name, in the order of the seeds."""
    by_run: dict[str, list[dict[str, Any]]] = {}
    for result in sorted(results, key=lambda r: (r["run"], r["seed"])):
        if result["run"].startswith(name):
            by_run.setdefault(result["run"], []).append(result)
    for run, group in by_run.items():
        if len({(r["config_sha256"], json.dumps(r["data"])) for r in group}) > 1:
            raise InputError(f"The results of '{run}' come from different options or data; keep those of one.")
        if len(set(_seeds(group))) < len(group):
            raise InputError(f"The results of '{run}' hold one seed twice; keep one of them.")
    return by_run


def _seeds(group: Iterable[dict[str, Any]]) -> tuple[int, ...]:
    return tuple(r["seed"] for r in group)


def _mark(result: dict[str, Any]) -> str:
    """Say which runs are the ends of the scale."""
    methods = {stage["method"] for stage in result["stages"]}
    return " (ceiling)" if "truth" in methods else " (floor)" if "centre" in methods else ""


def _covers(other: Row, row: Row, earlier: bool) -> bool:
    """Tell whether another row shows the same finished stages: runs share what they have in common."""
    if (other.stage, other.split) != (row.stage, row.split) or not other.keys >= row.keys:
        return False
    return other.keys > row.keys or earlier


def make_table(name: str, results: Path | None, style: str) -> str:
    """Render one of the tables that `named_tables` has, or that of the runs whose names begin with `name`.

    Parameters
    ----------
    style : {"markdown", "latex", "csv"}
        Markdown adds verdicts and papers' numbers.

    Raises
    ------
    InputError
        If there is neither.
    """
    from iamiou_benchmarks.tables.named_tables import TABLES

    known = read_results(results)
    if name in TABLES:
        return "\n".join(TABLES[name].make(known, style)) + "\n"
    return run_table(known, name, style)


def draw_verdicts(name: str, results: Path | None) -> Figure:
    """Draw the verdicts of one of the tables that `named_tables` has.

    Raises
    ------
    InputError
        If there is no such table, or it has no verdicts yet.
    """
    from iamiou_benchmarks.tables import verdict_figure
    from iamiou_benchmarks.tables.named_tables import TABLES
    from iamiou_benchmarks.tables.verdicts import verdicts_of

    judged = {n: t for n, t in TABLES.items() if t.claims}
    if name not in judged:
        raise InputError(f"The table '{name}' has no verdicts to draw; {', '.join(judged)} have some.")
    found = verdicts_of(read_results(results), judged[name].data, judged[name].claims)
    if not any(v.seeds for v in found):
        raise InputError(f"No runs of the table '{name}' have results yet; iamiou bench fill {name} makes them.")
    return verdict_figure.draw(found)


def run_table(known: list[dict[str, Any]], name: str, style: str, runs: Iterable[str] = ()) -> str:
    """Render the table of the runs whose names begin with `name`, every stage of them; see `make_table`.

    Parameters
    ----------
    runs : iterable of str
        Only these, without what was published.
    """
    asked = tuple(runs) or tuple(n for n in list_runs() if n.startswith(name))
    if runs:
        known = [r for r in known if r["run"] in asked]
    rows = rows_of(known, name)
    if not rows:
        there = ", ".join(sorted({r["run"] for r in known})) or "none at all"
        raise InputError(f"There is no result of a run '{name}...'; there are results of {there}.")
    head = ["run", "stage", "scored on", "seeds", *COLUMNS]
    if style == "csv":
        return _csv(head, rows)
    body = [[r.run, r.stage, r.split, str(len(r.seeds)), *(spread(r.values[c], style) for c in COLUMNS)] for r in rows]
    if style == "latex":
        return "\n".join([*latex([head, *body]), ""])
    lines = [*markdown([head, *body]), *_classifiers(known, name), *_judged(known, name, asked)]
    if absent := sorted({*asked} - {r["run"] for r in known}):
        lines += ["", f"Runs without a result yet: {', '.join(absent)}."]
    return "\n".join([*lines, *([] if runs else _beside(name)), ""])


def markdown(lines: Iterable[Iterable[str]]) -> list[str]:
    """Return lines of cells as a table, the first one as its head.

    >>> markdown([["a", "b"], ["1", "2"]])
    ['| a | b |', '| --- | --- |', '| 1 | 2 |']
    """
    head, *body = [list(line) for line in lines]
    return [f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *body]]


def latex(lines: Iterable[Iterable[str]]) -> list[str]:
    """Return lines of cells as a table for the package booktabs, the first one as its head."""
    cells = [[cell.replace("_", r"\_").replace("–", "--") for cell in line] for line in lines]
    head, *body = [" & ".join(line) + r" \\" for line in cells]
    top = r"\begin{tabular}{" + "l" * len(cells[0]) + "}"
    return [top, r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]


def _classifiers(results: Iterable[dict[str, Any]], name: str) -> list[str]:
    """Return the mean average precision of every classifier, each counted once."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for group in groups_of(results, name).values():
        for record in (s for r in group for s in r["stages"] if s["method"] in ("classifier", "probe")):
            found.setdefault(record["name"], {})[record["key"]] = {k: v["mAP"] for k, v in record["scores"].items()}
    lines = []
    for stage, by_key in found.items():
        splits = {split for scores in by_key.values() for split in scores}
        each = [f"{spread(s.get(split) for s in by_key.values())} on {split}" for split in sorted(splits)]
        lines += ["", f"mAP of the stage `{stage}` over {len(by_key)} seeds: {', '.join(each)}."]
    return lines


def _judged(results: list[dict[str, Any]], name: str, asked: tuple[str, ...]) -> list[str]:
    """Return verdicts on what the runs asked for can tell, where the name is one of a data set and preset."""
    from iamiou_benchmarks.tables.claims_of_papers import LOSSES, ORAND, SFC
    from iamiou_benchmarks.tables.verdicts import verdict_lines, verdict_matrix, verdicts_of

    lines = []
    for claims, render in ((LOSSES, verdict_lines), (SFC, verdict_matrix), (ORAND, verdict_matrix)):
        about = [c for c in claims if all(_has(name, run, stage, asked) for run, stage in _places(c))]
        verdicts = verdicts_of(results, name, about)
        if any(v.seeds for v in verdicts):
            lines += ["", *render(verdicts, name)]
    return lines


def _places(claim: Claim) -> list[tuple[str, str]]:
    """Return the runs and stages that a claim compares."""
    return list(zip((claim.better, claim.than, *claim.beyond), claim.stages * 2, strict=False))


def _has(data: str, run: str, stage: str, asked: tuple[str, ...]) -> bool:
    name = f"{data}-{run}"
    return name in asked and any(s.name == stage for s in load_run(name).stages)


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
    """Return papers' numbers, each with its source: on the same data set, or the few that show the same steps."""
    data = {"voc": "voc2012-", "coco": "coco2014-"}.get(name.split("-", 1)[0])
    rows = [p for p in published() if data and f"{p.dataset}-".startswith(data)]
    title = "Published:"
    if data is None:
        rows = [p for p in published() if p.dataset == "voc2012" and p.method in _STEPS]
        title = "Published on VOC 2012, another data set: compare the steps, not the values."
    head = ["method", "year", "stage", "split", "mIoU", "source"]
    cells = [[p.method, str(p.year or ""), p.stage, p.split, p.printed, p.note] for p in rows]
    return ["", title, "", *markdown([head, *cells])]
