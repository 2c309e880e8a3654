"""Verdicts on claims: differences of runs, paired by seed, with an interval over seeds and images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from iamiou.replicates import TAILS, student_factor
from iamiou_benchmarks.running.replicates import Floats, unpack
from iamiou_benchmarks.tables.claims_of_papers import CLAIMS, Claim

#: Draws of seeds and images behind an interval.
DRAWS = 4000
#: Seeds that a verdict is meant to stand on.
SEEDS = {"shapes": 5, "voc-mini": 3}


@dataclass(frozen=True)
class Verdict:
    """A claim and what the runs say: the difference with its 95 % interval, NaN where there is none."""

    claim: Claim
    seeds: tuple[int, ...]
    difference: float
    low: float
    high: float

    @property
    def word(self) -> str:
        """``confirmed`` or ``reversed`` only where the interval excludes 0."""
        if not self.seeds:
            return "no runs yet"
        if self.low > 0:
            return "confirmed"
        return "reversed" if self.high < 0 else "not shown"


def verdicts_of(results: Iterable[dict[str, Any]], data: str, claims: Iterable[Claim] = CLAIMS) -> list[Verdict]:
    """Judge the claims by the results of the runs on `data`, as ``"shapes-small"``."""
    known = {(r["run"].removeprefix(f"{data}-"), r["seed"]): r for r in results if r["run"].startswith(f"{data}-")}
    return [_judge(claim, known) for claim in claims]


def _judge(claim: Claim, known: dict[tuple[str, int], dict[str, Any]]) -> Verdict:
    values, drawn = {}, []
    for seed in sorted({seed for _, seed in known}):
        gap = _gap(known, claim.better, claim.than, seed, claim)
        other = _gap(known, *claim.beyond, seed, claim) if claim.beyond else (0.0, np.zeros(1))
        if gap and other:
            values[seed] = gap[0] - other[0]
            drawn.append(gap[1] - other[1])
    if not values:
        return Verdict(claim, (), np.nan, np.nan, np.nan)
    differences = np.array(list(values.values()))
    low, high = interval(differences, np.stack(drawn))
    return Verdict(claim, tuple(values), float(differences.mean()), low, high)


def _gap(
    known: dict[tuple[str, int], dict[str, Any]], better: str, than: str, seed: int, claim: Claim
) -> tuple[float, Floats] | None:
    """Return how far one run lies above another of the same seed, and its replicates; None where one is missing."""
    runs = [known.get((run, seed)) for run in (better, than)]
    ours, theirs = (_scores(run, stage, claim) if run else None for run, stage in zip(runs, claim.stages, strict=True))
    return (ours[0] - theirs[0], ours[1] - theirs[1]) if ours and theirs else None


def _scores(result: dict[str, Any], stage: str, claim: Claim) -> tuple[float, Floats] | None:
    """Return a score and its replicates, None where it is undefined or an older result has no replicates."""
    record = next((r for r in result["stages"] if r["name"] == stage), None)
    scores = record["scores"].get(claim.split, {}) if record else {}
    grouped = result.get("classes", {}).get("means", {}).get(stage, {}).get(claim.split, {})
    value = scores.get(claim.score, grouped.get(claim.score))  # such as IoU_Few
    drawn = result.get("replicates", {}).get(stage, {}).get(claim.split, {}).get(claim.score)
    return None if value is None or drawn is None else (value, unpack(drawn))


def interval(value: Floats, drawn: Floats) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a mean difference over seeds.

    Every draw takes seeds with replacement and one weighting of the images. Few seeds spread too little when they are
    drawn from themselves: their deviations are stretched by sqrt(n / (n - 1)), and all by Student's factor with n - 1
    degrees of freedom. One seed tells nothing of the spread.

    Parameters
    ----------
    value : float (seeds,)
        The differences.
    drawn : float (seeds, R)
        The differences under weightings of the images, the same for all seeds.

    Examples
    --------
    >>> value = np.array([0.010, 0.012, 0.008])
    >>> low, high = interval(value, np.repeat(value[:, None], 5, 1))
    >>> low < 0.0055 and high > 0.0145
    True
    >>> interval(value[:1], value[:1, None])
    (nan, nan)
    """
    n = len(value)
    if n < 2:
        return float("nan"), float("nan")
    rng = np.random.Generator(np.random.PCG64(0))
    chosen = rng.integers(0, n, (DRAWS, n))
    which = rng.integers(0, drawn.shape[1], DRAWS)
    apart = (value - value.mean()) * np.sqrt(n / (n - 1))
    moved = drawn - np.nanmean(drawn, axis=1, keepdims=True)
    draws = (apart[chosen] + np.nan_to_num(moved[chosen, which[:, None]])).mean(1)
    low, high = value.mean() + student_factor(n - 1) * np.quantile(draws, TAILS)
    return float(low), float(high)


def _compared(claim: Claim) -> str:
    """Say what a claim compares."""
    if claim.split == "test":
        return f"{claim.better} – {claim.than}"
    ours, theirs, *others = (
        f"{stage} of {run}"
        for run, stage in zip((claim.better, claim.than, *claim.beyond), claim.stages * 2, strict=False)
    )
    return f"({ours} – {theirs}) – ({others[0]} – {others[1]})" if others else f"{ours} – {theirs}"


def verdict_lines(found: Iterable[Verdict], data: str) -> list[str]:
    """Return verdicts as lines of Markdown, one a claim; what claims without runs would compare comes last."""
    listed = list(found)
    lines = ["| claim | compared | score | seeds | difference | 95 % interval | verdict |", "|" + " --- |" * 7]
    for v in listed:
        if v.seeds:
            score = v.claim.score if v.claim.split == "test" else f"{v.claim.score} of {v.claim.split}"
            cells = [v.claim.text, _compared(v.claim), score, seeds_of(v.seeds, data), f"{100 * v.difference:+.1f}"]
            lines.append(f"| {' | '.join([*cells, _ends(v), v.word])} |")
    return [*lines, *_without_runs(listed)]


def verdict_matrix(found: Iterable[Verdict], data: str) -> list[str]:
    """Return verdicts as lines of Markdown, one for what is compared.

    A column for every score holds the difference in per cent, its 95 % interval and the verdict.
    """
    listed = list(found)
    scores = list(dict.fromkeys(v.claim.score for v in listed))
    rows: dict[tuple[str, str], dict[str, Verdict]] = {}
    for v in listed:
        rows.setdefault((v.claim.text, _compared(v.claim)), {})[v.claim.score] = v
    lines = [f"| claim | compared | seeds | {' | '.join(scores)} |", "|" + " --- |" * (3 + len(scores))]
    for (text, compared), row in rows.items():
        seeds = max((v.seeds for v in row.values()), key=len)
        if seeds:
            cells = [_cell(row[s], seeds) if s in row and row[s].seeds else "–" for s in scores]
            lines.append(f"| {' | '.join([text, compared, seeds_of(seeds, data), *cells])} |")
    none = [v for row in rows.values() if not any(v.seeds for v in row.values()) for v in row.values()]
    return [*lines, *_without_runs(none)]


def seeds_of(seeds: tuple[int, ...], data: str) -> str:
    """Return how many seeds there are, and of how many where some are missing.

    >>> seeds_of((0, 1), "shapes-small"), seeds_of((0, 1, 2), "voc-mini")
    ('2 of 5', '3')
    """
    meant = meant_seeds(data)
    return f"{len(seeds)} of {meant}" if len(seeds) < meant else f"{len(seeds)}"


def meant_seeds(name: str) -> int:
    """Return how many seeds a verdict on data, or on a run on it, is meant to stand on.

    >>> meant_seeds("shapes-small-cam-ce"), meant_seeds("voc-irn-ce")
    (5, 1)
    """
    return next((n for data, n in SEEDS.items() if name.startswith(data)), 1)


def _ends(v: Verdict) -> str:
    return "–" if np.isnan(v.low) else f"{100 * v.low:+.1f} to {100 * v.high:+.1f}"


def _cell(v: Verdict, seeds: tuple[int, ...]) -> str:
    """Return difference, interval and verdict; a score that fewer seeds of the row have says how many."""
    fewer = f", {len(v.seeds)} seeds" if len(v.seeds) < len(seeds) else ""
    return f"{100 * v.difference:+.1f} ({_ends(v)}) {v.word}{fewer}"


def _without_runs(found: Iterable[Verdict]) -> list[str]:
    missing = dict.fromkeys(_compared(v.claim) for v in found if not v.seeds)
    return ["", f"Comparisons that no seed has yet: {', '.join(missing)}."] if missing else []
