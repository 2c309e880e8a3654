"""Which way training pushes the weights of frequent and of rare classes on the features that they share.

``iamiou bench claim gradients`` reads the logs of finished stages `sfc`. The claim
is Zhao et al.'s (SFC, AAAI 2024, arXiv 2401.11719): weights grow in head classes and fall in tail classes. A push is
minus the gradient, as a mean over the steps; see `shared_gradients` for what counts as shared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iamiou_benchmarks.claims._record import Asked, ends
from iamiou_benchmarks.claims._statistics import Floats, of_mean, word
from iamiou_benchmarks.tables.results import read_results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = "shapes-small"
#: Runs whose stage `sfc` is looked at: the claim is about the first.
RUNS = {
    "sfc-scratch": "a classifier from random weights",
    "sfc-plain": "the finished classifier, trained on",
    "sfc-onlybank": "the same with the image bank",
    "sfc-ce": "SFC",
}
#: Windows of the trajectory.
WINDOWS = 20
NAMES = ("push_many", "push_few", "up_many", "up_few")


TAKES = ("results", "cache")


def record_of(asked: Asked) -> dict[str, Any]:
    """Read the logs of finished stages."""
    return measure(read_results(asked.results), asked.cache)


def measure(results: Iterable[dict[str, Any]], cache: Path) -> dict[str, Any]:
    """Return the record: of every run and seed the trajectory, the means over training, and the verdicts."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for result in sorted(results, key=lambda r: (r["run"], r["seed"])):
        name = result["run"].removeprefix(f"{DATA}-")
        key = next((s["key"] for s in result["stages"] if s["name"] == "sfc"), "")
        log = cache / f"sfc-{key}" / "metrics.jsonl"
        if result["run"].startswith(f"{DATA}-") and name in RUNS and log.is_file():
            found = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
            runs.setdefault(name, []).append({"seed": result["seed"], **trajectory(found)})
    verdicts = [v for name in RUNS if name in runs for v in _verdicts(name, runs[name])]
    return {"schema": 1, "data": DATA, "runs": {n: runs[n] for n in RUNS if n in runs}, "verdicts": verdicts}


def trajectory(log: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the pushes in windows of equal length, and over the whole training.

    Parameters
    ----------
    log : iterable of dict
        The lines of a stage; its pushes are means since the first step.

    Returns
    -------
    dict
        ``steps``, the last step of each window; ``push_many`` and ``push_few``, the mean of each window; ``whole``,
        the mean of every name of `NAMES` over all steps.
    """
    lines = [line for line in log if "push_many" in line]
    steps = np.array([line["iteration"] for line in lines], np.float64)
    last = np.unique(np.linspace(0, len(lines), min(WINDOWS, len(lines)) + 1).round().astype(int))[1:] - 1
    found: dict[str, Any] = {"steps": steps[last].astype(int).tolist()}
    for name in NAMES[:2]:
        means = np.array([line[name] for line in lines])
        found[name] = [float(f"{v:.4g}") for v in windows(means, steps, last)]
    return found | {"whole": {name: float(f"{lines[-1][name]:.4g}") for name in NAMES}}


def windows(means: Floats, steps: Floats, last: NDArray[np.int64]) -> Floats:
    """Return means over windows from means since the first step, where `last` are the windows' last entries.

    >>> windows(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]), np.array([0, 2])).tolist()  # of 1, 3, 8
    [1.0, 5.5]
    """
    sums = np.diff((means * steps)[last], prepend=0.0)
    return np.asarray(sums / np.diff(steps[last], prepend=0.0))


def _verdicts(run: str, seeds: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Judge over the seeds: pushes of frequent classes above 0, of rare ones below, and the first above the second."""
    many, few = (np.array([s["whole"][name] for s in seeds]) for name in ("push_many", "push_few"))
    for text, value in (
        ("frequent classes are pushed up", many),
        ("rare classes are pushed down", -few),
        ("frequent classes are pushed up more than rare ones", many - few),
    ):
        low, high = (None if np.isnan(end) else float(f"{end:.4g}") for end in of_mean(value))
        mean = float(f"{value.mean():.4g}")
        yield {"run": run, "claim": text, "seeds": len(value), "mean": mean, "low": low, "high": high}


def lines(record: dict[str, Any]) -> list[str]:
    """Return what the record says, as lines of Markdown."""
    head = ("training", "on shared features,", "seeds", "push, 1e-5 a step", "95 % interval", "verdict")
    found = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for v in record["verdicts"]:
        told = word(*(np.nan if v[k] is None else v[k] for k in ("low", "high")))
        told = told if told == "not shown" else f"{told}, on shapes only"
        size = f"{1e5 * v['mean']:+.1f} | {ends(v['low'], v['high'], 1e5, 1)}"
        found.append(f"| {RUNS[v['run']]} | {v['claim']} | {v['seeds']} | {size} | {told} |")
    return found


def draw(record: dict[str, Any]) -> Figure:
    """Draw the pushes summed up over training, every seed a line: single ones are mostly chance."""
    from matplotlib.figure import Figure

    runs = record["runs"]
    figure = Figure(figsize=(3.2 * max(len(runs), 1), 3.4), layout="constrained")
    for k, (name, seeds) in enumerate(runs.items()):
        axes = figure.add_subplot(1, len(runs), k + 1)
        for at, seed in enumerate(seeds):
            for group, colour in (("many", "C0"), ("few", "C3")):
                told = {"many": "frequent", "few": "rare"}[group] if at == 0 else None
                summed = np.cumsum(np.diff(seed["steps"], prepend=0) * seed[f"push_{group}"])
                axes.plot([0, *seed["steps"]], [0, *summed], color=colour, linewidth=1, alpha=0.7, label=told)
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.set_title(RUNS[name], fontsize=8)
        axes.set_xlabel("step")
        if k == 0:
            axes.set_ylabel("push on shared features, summed up")
            axes.legend(fontsize=8)
    return figure
