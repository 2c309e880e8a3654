"""What a comparison of two runs holds, and what it says in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Version of the comparison's json.
SCHEMA = 1

#: A p-value up to this is called clear of chance.
CLEAR = 0.05

#: Scores that agree to three digits are called the same.
_SAME = 0.0005


@dataclass(frozen=True)
class Difference:
    """One score of both runs.

    Parameters
    ----------
    name : str
        Score or class.
    a, b : float
        The score of either run; NaN where undefined.
    difference : float
        ``b - a``.
    low, high : float
        95 % interval of the difference; NaN where no two images tell the spread.
    p : float
        Two-sided p-value of no difference.
    """

    name: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class ClassDifference:
    """One class of both runs; ``iou_p`` and ``ia_iou_p`` are p-values after Holm over the classes."""

    name: str
    instances: int
    iou: Difference
    iou_p: float
    ia_iou: Difference
    ia_iou_p: float


@dataclass(frozen=True)
class Change:
    """One instance whose IA-IoU changed: area in pixels, IA-IoU of either run, and ``b - a``."""

    image: str
    id: int
    class_name: str
    area: int
    bin: str
    a: float
    b: float
    difference: float


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Parameters
    ----------
    names : (str, str)
        How the runs are called.
    images, resamples, swaps, seed : int
        What the intervals and the p-values rest on.
    scores : tuple of Difference
        Every headline score.
    classes : tuple of ClassDifference
        Every class of the ground truth.
    gained, lost : tuple of Change
        The instances that B segments better, and worse, by most.
    verdict : str
        Who is better, in words.
    disagree : bool
        True when mIoU and the instance-aware scores do not give the same answer.
    weak : frozenset of str
        Scores that rest on classes with fewer than five images.
    warnings : tuple of str
        Of both runs.
    """

    names: tuple[str, str]
    images: int
    resamples: int
    swaps: int
    seed: int
    scores: tuple[Difference, ...]
    classes: tuple[ClassDifference, ...]
    gained: tuple[Change, ...]
    lost: tuple[Change, ...]
    verdict: str
    disagree: bool
    weak: frozenset[str]
    warnings: tuple[str, ...]

    @property
    def has_instances(self) -> bool:
        """Tell whether instance-aware scores are part of the comparison."""
        return any(d.name == "IA-mIoU" for d in self.scores)

    def to_dict(self) -> dict[str, Any]:
        """Return everything for json; None where undefined."""
        classes = [
            {"name": c.name, "instances": c.instances}
            | {"IoU": _json(c.iou) | {"p_holm": _number(c.iou_p)}}
            | {"IA-IoU": _json(c.ia_iou) | {"p_holm": _number(c.ia_iou_p)}}
            for c in self.classes
        ]
        return {
            "schema": SCHEMA,
            "names": list(self.names),
            "images": self.images,
            "resamples": self.resamples,
            "swaps": self.swaps,
            "seed": self.seed,
            "verdict": self.verdict,
            "disagree": self.disagree,
            "scores": {d.name: _json(d) for d in self.scores},
            "weak": sorted(self.weak),
            "classes": classes,
            "gained": [_changed(c) for c in self.gained],
            "lost": [_changed(c) for c in self.lost],
            "warnings": list(self.warnings),
        }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _json(row: Difference) -> dict[str, Any]:
    interval = None if math.isnan(row.low) else [row.low, row.high]
    return {
        "a": _number(row.a),
        "b": _number(row.b),
        "difference": _number(row.difference),
        "interval": interval,
        "p": _number(row.p),
    }


def _changed(change: Change) -> dict[str, Any]:
    return {
        "image": change.image,
        "id": change.id,
        "class": change.class_name,
        "area": change.area,
        "bin": change.bin,
        "a": change.a,
        "b": change.b,
        "difference": change.difference,
    }


def p_text(p: float) -> str:
    """Write a p-value.

    >>> p_text(0.0004), p_text(0.034), p_text(math.nan)
    ('p < 0.001', 'p = 0.034', 'p unknown')
    """
    if math.isnan(p):
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def signed(value: float) -> str:
    """Write a difference with its sign.

    >>> signed(0.25), signed(-0.25), signed(math.nan)
    ('+0.250', '−0.250', '–')
    """
    return "–" if math.isnan(value) else f"{value:+.3f}".replace("-", "−")


def verdict(scores: Sequence[Difference], names: tuple[str, str], small: str) -> tuple[str, bool]:
    """Say in a plain sentence who is better, and whether mIoU and the instance-aware scores disagree on it.

    Parameters
    ----------
    scores : sequence of Difference
    names : (str, str)
        How the runs are called.
    small : str
        Name of the smallest size bin.

    Examples
    --------
    >>> row = [Difference("mIoU", 0.70, 0.72, 0.02, 0.01, 0.03, 0.002)]
    >>> row += [Difference("IA_S", 0.40, 0.30, -0.10, -0.22, 0.02, 0.09)]
    >>> print(verdict(row, ("A", "B"), "S")[0])
    mIoU and IA_S disagree: mIoU (+0.020, p = 0.002) puts B ahead, IA_S (−0.100, p = 0.090) puts A ahead. Only the
    difference in mIoU is clear of chance.
    """
    known = {d.name: d for d in scores if not math.isnan(d.difference)}
    rows = [known[name] for name in ("mIoU", "IA-mIoU", f"IA_{small}") if name in known]
    if not rows:
        return "No score is defined for both runs.", False
    miou, aware = rows[0], [d for d in rows if d.name != "mIoU"]
    hidden = [d for d in aware if _lead(d) and _clear(d)]
    if miou.name == "mIoU" and hidden and not (_lead(miou) and _clear(miou)):
        apart = f"mIoU does not tell {_join(names)} apart ({_numbers(miou)})"
        return f"{apart}, but {_sides(hidden, names)}, clear of chance.", True
    opposed = [d for d in aware if _lead(d) * _lead(miou) < 0]
    if miou.name == "mIoU" and opposed:
        all_names = _join([miou.name, *(d.name for d in opposed)])
        said = f"{_sides([miou], names)}, {_sides(opposed, names)}"
        return f"{all_names} disagree: {said}. {_certainty((miou, *opposed))}", True
    leaders = {_lead(d) for d in rows} - {0}
    told = ", ".join(f"{d.name} {_numbers(d)}" for d in rows)
    if len(leaders) != 1:
        start = "score the same" if not leaders else "lead in different scores"
        return f"{names[0]} and {names[1]} {start}: {told}. {_certainty(rows)}", len(leaders) > 1
    return f"{names[max(leaders)] if 1 in leaders else names[0]} is ahead: {told}. {_certainty(rows)}", False


def _lead(row: Difference) -> int:
    """Return 1 when B is ahead, -1 when A is, 0 when they are the same to three digits."""
    return 0 if abs(row.difference) < _SAME else 1 if row.difference > 0 else -1


def _join(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _sides(rows: Sequence[Difference], names: tuple[str, str]) -> str:
    """Say which scores put which run ahead."""
    parts = []
    for lead, name in zip((-1, 1), names, strict=True):
        told = [f"{row.name} ({_numbers(row)})" for row in rows if _lead(row) == lead]
        if told:
            parts.append(f"{_join(told)} {'put' if len(told) > 1 else 'puts'} {name} ahead")
    return " and ".join(parts)


def _clear(row: Difference) -> bool:
    return row.p <= CLEAR


def _numbers(row: Difference) -> str:
    return f"{signed(row.difference)}, {p_text(row.p)}"


def _certainty(rows: Sequence[Difference]) -> str:
    """Say which of the differences are clear of chance."""
    clear = [row.name for row in rows if _clear(row)]
    if len(rows) == 1:
        return f"The difference is {'' if clear else 'not '}clear of chance."
    if not clear:
        return f"{'Neither' if len(rows) == 2 else 'No'} difference is clear of chance."
    if len(clear) == len(rows):
        return f"{'Both' if len(rows) == 2 else 'All'} differences are clear of chance."
    if len(clear) == 1:
        return f"Only the difference in {clear[0]} is clear of chance."
    return f"Only the differences in {_join(clear)} are clear of chance."
