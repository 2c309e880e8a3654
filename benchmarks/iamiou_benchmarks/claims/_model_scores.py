"""Finished models under any weighting of the test images: scores out of kept counts, without reading a pixel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from iamiou.errors import InputError
from iamiou.report import load
from iamiou.sums import Summary, means_of, ratios, summarise, weighted
from iamiou_benchmarks.running.replicates import SCORES, Floats
from iamiou_benchmarks.tables.results import groups_of


@dataclass(frozen=True)
class Model:
    """A run in several seeds.

    Parameters
    ----------
    name : str
        What follows the name of the data.
    kind : {"", "floor", "ceiling"}
    seeds : tuple of int
    summaries : tuple of Summary
        Of the predictions on test, one a seed.
    """

    name: str
    kind: str
    seeds: tuple[int, ...]
    summaries: tuple[Summary, ...]


def models_of(results: Iterable[dict[str, Any]], data: str, cache: Path) -> list[Model]:
    """Return the models with predictions among the results of the runs on `data`, as ``"shapes-small"``.

    Parameters
    ----------
    cache : Path
        Where ``iamiou bench`` keeps stages: the counts of the predictions lie there.

    Raises
    ------
    InputError
        If counts are not there, or are not those of the result.
    """
    found = []
    for run, group in groups_of(results, f"{data}-").items():
        records = [next((s for s in r["stages"] if s["method"] == "predict"), None) for r in group]
        methods = {s["method"] for s in group[0]["stages"]}
        summaries = tuple(_summary(cache, record, run) for record in records if record)
        if summaries:
            kind = "ceiling" if "truth" in methods else "floor" if "centre" in methods else ""
            name, seeds = run.removeprefix(f"{data}-"), tuple(r["seed"] for r in group)
            found.append(Model(name, kind, seeds, summaries))
    if not found:
        raise InputError(f"No result of a run on {data} has predictions; iamiou bench fill {data}- makes them.")
    if len({s.images for model in found for s in model.summaries}) > 1:
        raise InputError(f"The results of the runs on {data} are scored on different images; keep those of one set.")
    return found


def _summary(cache: Path, record: dict[str, Any], run: str) -> Summary:
    path = cache / f"{record['name']}-{record['key']}" / "scores-test.npz"
    if not path.exists():
        raise InputError(f"'{path}' is not there; iamiou bench fill {run} --cache {cache} makes it.")
    report = load(path)
    summary = summarise(report.counts, report.bins)
    found = scores_under(summary, np.ones((1, len(summary.images))))[0]
    told = [record["scores"]["test"][name] for name in SCORES]
    if not np.allclose(found, [np.nan if v is None else v for v in told], atol=2e-6, equal_nan=True):
        raise InputError(f"'{path}' has other scores than the result of {run}; run its stage again.")
    return summary


def scores_under(summary: Summary, weights: Floats) -> Floats:
    """Return the scores named in `SCORES` under weights of the images, (R, images) to (R, scores)."""
    by_name = {mean.name: mean for mean in summary.scores}
    return means_of([by_name[name] for name in SCORES], ratios(summary, weighted(summary, weights)))
