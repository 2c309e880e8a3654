"""Scores by class, and by groups of classes that many, some or few training images show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from iamiou.errors import InputError
from iamiou.report import load
from iamiou.sums import means_of, ratios, summarise
from iamiou_benchmarks.datasets.data import DataSet
from iamiou_benchmarks.sfc.distribution import GROUPS, class_groups, group_means, image_counts
from iamiou_benchmarks.tables.results import spread

#: Scores that the stages of a run left, ``scores-SPLIT.npz``, and are reported by class.
SPLITS = ("train", "test")


def class_record(data: DataSet, folders: Mapping[str, Path]) -> dict[str, Any]:
    """Return what a result holds of the classes.

    Parameters
    ----------
    folders : mapping of str to Path
        The finished stages by their names.

    Returns
    -------
    dict
        ``images`` and ``group`` by class; by stage and split ``IoU`` by class, the background included, and
        ``means`` of the groups; None where undefined.
    """
    counts, names = image_counts(data), data.classes.names
    groups = class_groups(counts)
    iou: dict[str, dict[str, Any]] = {}
    means: dict[str, dict[str, Any]] = {}
    for stage, folder in folders.items():
        for split in SPLITS:
            path = folder / f"scores-{split}.npz"
            if path.exists():
                by_class, by_group = _scores(path, groups)
                iou.setdefault(stage, {})[split] = dict(zip(names, by_class, strict=True))
                means.setdefault(stage, {})[split] = by_group
    foreground = names[1:]
    return {
        "images": dict(zip(foreground, counts.tolist(), strict=True)),
        "group": dict(zip(foreground, groups, strict=True)),
        "IoU": iou,
        "means": means,
    }


def _scores(path: Path, groups: Sequence[str]) -> tuple[list[float | None], dict[str, float | None]]:
    report = load(path)
    summary = summarise(report.counts, report.bins)
    quotient = ratios(summary, summary.totals())
    asked = group_means(summary, groups)
    means = {m.name: _shown(v) for m, v in zip(asked, means_of(asked, quotient).tolist(), strict=True)}
    return [_shown(v) for v in quotient[summary.family["IoU"]].tolist()], means


def _shown(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def class_lines(results: Iterable[dict[str, Any]]) -> list[list[str]]:
    """Return the cells of a table by class, in per cent over the seeds, with its head; the groups come last.

    Raises
    ------
    InputError
        If there is no result with classes, or they are of several runs or data.
    """
    found = [r["classes"] for r in results if "classes" in r]
    if not found:
        raise InputError("These results hold no scores by class; run them again, finished stages are not repeated.")
    first = found[0]
    if any(r["images"] != first["images"] or r["IoU"].keys() != first["IoU"].keys() for r in found):
        raise InputError("The results differ in their stages or their training images; give those of one run.")
    where = [(stage, split) for stage, splits in first["IoU"].items() for split in splits]
    lines = [["class", "images", "group", *(f"{stage}, {split}" for stage, split in where)]]
    for name in next(iter(first["IoU"].values()))[where[0][1]]:
        cells = [name, str(first["images"].get(name, "–")), first["group"].get(name, "–")]
        lines.append([*cells, *(spread(r["IoU"][a][b][name] for r in found) for a, b in where)])
    for group in GROUPS:
        total = sum(n for name, n in first["images"].items() if first["group"][name] == group)
        means = (spread(r["means"][a][b][f"IoU_{group}"] for r in found) for a, b in where)
        lines.append(["mean", str(total), group, *means])
    return lines
