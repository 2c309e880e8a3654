"""How long stages took, by the committed results: what a dry run says of runs that are still to come."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from iamiou.errors import InputError, counted
from iamiou_benchmarks.running.pipeline import described, make_plan
from iamiou_benchmarks.running.runfile import load_run
from iamiou_benchmarks.tables.results import RESULTS, read_results

Config = dict[str, Any]


def identity(config: Config, stage: str) -> str:
    """Return what a stage is, whatever the seed: its data, method and options, and those of the stages that it takes.

    >>> config = {"data": {}, "stages": {"a": {"method": "m", "inputs": [], "options": {"x": 1}}}}
    >>> identity(config, "a")
    '[{}, "m", {"x": 1}, []]'
    """
    found = config["stages"][stage]
    inputs = [identity(config, name) for name in found["inputs"]]
    return json.dumps([config["data"], found["method"], found["options"], inputs], sort_keys=True)


def stage_seconds(results: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Return the median time of every stage by its identity.

    A stage that was interrupted tells the time of its last session alone, and is left out; one that runs share counts
    once a seed.
    """
    seconds: dict[str, dict[str, float]] = {}
    for result in results:
        for record in (r for r in result["stages"] if not r["resumed"]):
            seconds.setdefault(identity(result["config"], record["name"]), {})[record["key"]] = record["seconds"]
    return {name: median(each.values()) for name, each in seconds.items()}


def known_seconds(results: Path | None = None) -> dict[str, float]:
    """Return `stage_seconds` of the committed results, of a quiet machine's among them, and of those in a folder.

    The latter come before the others: they are of the machine at hand.
    """
    folders = [RESULTS, RESULTS / "cost", *([results] if results else [])]
    return {k: v for folder in folders for k, v in stage_seconds(read_results(folder)).items()}


@dataclass(frozen=True)
class Forecast:
    """What runs still take: seconds by run and seed, and the stages that nobody has measured.

    A stage that several runs share counts for the first of them, one that is finished for none.
    """

    seconds: dict[tuple[str, int], float]
    unknown: dict[tuple[str, int], tuple[str, ...]]

    @property
    def total(self) -> float:
        """All that is known, in seconds."""
        return sum(self.seconds.values())


def forecast(todo: Iterable[tuple[str, int]], cache: Path, known: dict[str, float]) -> Forecast:
    """Add up what is known of the stages of runs that are still to come.

    Parameters
    ----------
    todo : iterable of (str, int)
        Names of runs and seeds.
    cache : Path
        Where finished stages lie.
    known : dict of str to float
        See `known_seconds`.
    """
    seconds, unknown, seen = {}, {}, set[tuple[str, int]]()
    for name, seed in todo:
        config = json.loads(json.dumps(described(load_run(name))))
        finished = _finished(name, seed, cache)
        new = []
        for stage in config["stages"]:
            mark = identity(config, stage), seed
            if mark not in seen and stage not in finished:
                new.append(stage)
            seen.add(mark)
        times = {stage: known.get(identity(config, stage)) for stage in new}
        seconds[name, seed] = sum(t for t in times.values() if t is not None)
        unknown[name, seed] = tuple(stage for stage, t in times.items() if t is None)
    return Forecast(seconds, unknown)


def _finished(name: str, seed: int, cache: Path) -> set[str]:
    """Return the stages of a run that lie there finished; none where the data itself is missing."""
    if not cache.is_dir():
        return set()
    try:
        plan = make_plan(load_run(name), seed, cache)
    except InputError:
        return set()
    return {s.name for s in plan.run.stages if plan.finished(s)}


def fill_lines(todo: Iterable[tuple[str, int]], results: Path, cache: Path) -> list[str]:
    """Return what a dry run says of runs that are still to come: a line for each, then the sum."""
    found = forecast(todo, cache, known_seconds(results))
    lines = []
    for (name, seed), seconds in found.seconds.items():
        said = [f"about {clock(seconds)}"] if seconds else []
        if unknown := found.unknown[name, seed]:
            said.append(f"never measured: {', '.join(unknown)}")
        lines.append(f"{name}-{seed}  {'; '.join(said) or 'nothing but finished stages'}")
    number, never = len(found.seconds), sum(map(len, found.unknown.values()))
    lines.append(
        f"{counted(number, 'run')} to come, about {clock(found.total)} in one process with one thread, by the results"
    )
    lines.append(f"that come with iamiou and those in {results}; what runs share counts once.")
    if never:
        lines.append(f"{counted(never, 'stage')} among them were never measured and are not in this sum.")
    return lines


def clock(seconds: float) -> str:
    """Return a duration to be read.

    >>> clock(30), clock(3000), clock(30000)
    ('30 s', '50 min', '8.3 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
