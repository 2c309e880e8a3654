"""Verdicts on claims: differences of runs, paired by seed, with an interval over seeds and images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from iamiou.replicates import TAILS, student_factor
from iamiou_benchmarks.replicates import Floats, unpack

#: Draws of seeds and images behind an interval.
DRAWS = 4000
#: Seeds that a verdict is meant to stand on.
SEEDS = {"shapes": 5, "voc-mini": 3}


@dataclass(frozen=True)
class Claim:
    """What is claimed: that the score of `better` lies above that of `than`.

    Parameters
    ----------
    text : str
    better, than : str
        What follows the name of the data in the names of two runs, as ``"irn-sw"``.
    score : str
    stages : tuple of str
        The stage of either run whose score is compared.
    split : str
    """

    text: str
    better: str
    than: str
    score: str
    stages: tuple[str, str] = ("predict", "predict")
    split: str = "test"


_WHERE = {"cam": "CAM seeds", "walk": "the walk", "irn": "IRN", "irnvit": "IRN, second backbone", "truth": "full masks"}

CLAIMS: tuple[Claim, ...] = (
    Claim("CAM seeds beat a centre box of their area", "centre-ce", "centre-ce", "mIoU", ("cam", "centre"), "train"),
    Claim("The walk over colour edges improves on CAM", "walk-ce", "walk-ce", "mIoU", ("walk", "cam"), "train"),
    Claim("IRN improves on CAM", "irn-ce", "irn-ce", "mIoU", ("irn", "cam"), "train"),
    Claim("IRN's masks train a better network than CAM's", "irn-ce", "cam-ce", "mIoU"),
    *(Claim(f"L_sw raises IA_S ({_WHERE[m]})", f"{m}-sw", f"{m}-ce", "IA_S") for m in _WHERE),
    *(Claim(f"L_sw raises IA-mIoU ({_WHERE[m]})", f"{m}-sw", f"{m}-ce", "IA-mIoU") for m in _WHERE),
    *(Claim(f"EWC keeps IA_L: L_sb above L_sw ({_WHERE[m]})", f"{m}-sb", f"{m}-sw", "IA_L") for m in _WHERE),
    *(Claim(f"L_sb raises IA_S over CE ({_WHERE[m]})", f"{m}-sb", f"{m}-ce", "IA_S") for m in _WHERE),
    *(Claim(f"L_sb raises mIoU over CE ({_WHERE[m]})", f"{m}-sb", f"{m}-ce", "mIoU") for m in _WHERE),
    Claim("Weights from true sizes beat those from pseudo-masks", "irn-swtrue", "irn-sw", "IA_S"),
)


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
    seeds = sorted(s for run, s in known if run == claim.better and (claim.than, s) in known)
    first, second = claim.stages
    value, drawn = {}, []
    for seed in seeds:
        ours = _scores(known[claim.better, seed], first, claim)
        theirs = _scores(known[claim.than, seed], second, claim)
        if ours and theirs:
            value[seed] = ours[0] - theirs[0]
            drawn.append(ours[1] - theirs[1])
    if not value:
        return Verdict(claim, (), np.nan, np.nan, np.nan)
    differences = np.array(list(value.values()))
    low, high = interval(differences, np.stack(drawn))
    return Verdict(claim, tuple(value), float(differences.mean()), low, high)


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
    ours, theirs = (f"{stage} of {run}" for run, stage in zip((claim.better, claim.than), claim.stages, strict=True))
    return f"{claim.better} – {claim.than}" if claim.split == "test" else f"{ours} – {theirs}"


def verdict_lines(found: Iterable[Verdict], data: str) -> list[str]:
    """Return verdicts as lines of Markdown; what claims without runs would compare comes last."""
    listed = list(found)
    meant = next((n for name, n in SEEDS.items() if data.startswith(name)), 0)
    lines = ["| claim | compared | score | seeds | difference | 95 % interval | verdict |", "|" + " --- |" * 7]
    for v in listed:
        if v.seeds:
            ends = "–" if np.isnan(v.low) else f"{100 * v.low:+.1f} to {100 * v.high:+.1f}"
            few = f"{len(v.seeds)} of {meant}" if meant and len(v.seeds) < meant else f"{len(v.seeds)}"
            score = v.claim.score if v.claim.split == "test" else f"{v.claim.score} of {v.claim.split}"
            cells = [v.claim.text, _compared(v.claim), score, few, f"{100 * v.difference:+.1f}"]
            lines.append(f"| {' | '.join([*cells, ends, v.word])} |")
    if missing := dict.fromkeys(_compared(v.claim) for v in listed if not v.seeds):
        lines += ["", f"Comparisons that no seed has yet: {', '.join(missing)}."]
    return lines
