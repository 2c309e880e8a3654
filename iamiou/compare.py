"""Compare two runs on the same ground truth, image by image: nothing of chance that both share gets in the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from iamiou.comparison import Change, ClassDifference, Comparison, Difference, verdict
from iamiou.counts import AREA, CLASS, ID, IMAGE
from iamiou.errors import InputError, name_some
from iamiou.replicates import replicate, swap_test
from iamiou.resample import weak
from iamiou.scores import bin_names, bin_of
from iamiou.sums import Mean, class_means, means_of, ratios, summarise

if TYPE_CHECKING:
    from iamiou.report import Report

#: Random exchanges of the test, for every class: fewer would keep Holm's smallest p-value close to 0.05.
_SWAPS_A_CLASS = 40


def compare(
    a: Report | str | Path,
    b: Report | str | Path,
    *,
    resamples: int = 1000,
    seed: int = 0,
    top: int = 10,
    names: tuple[str, str] = ("A", "B"),
) -> Comparison:
    """Compare two reports over the same images.

    Both runs get the same image weights, so that what makes an image hard cancels out. The interval follows
    `iamiou.replicates.replicate`, the p-value `iamiou.replicates.swap_test`; p-values of classes are adjusted
    after Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 1979.

    Parameters
    ----------
    a, b : Report or path
        From `iamiou.evaluate`, or the file that ``iamiou score --save`` wrote.
    resamples, seed : int
        The same seed gives the same numbers; the test exchanges at least 40 times for every class.
    top : int
        How many of the instances that changed most, in either direction.
    names : (str, str)
        What the runs are called in the verdict.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If the runs were not scored on the same ground truth in the same way.
    """
    a, b = _loaded(a), _loaded(b)
    check_comparable(a, b)
    if resamples < 1:
        raise InputError(f"{resamples} resamples compare nothing; ask for 1000.")
    parts = [summarise(report.counts, report.bins) for report in (a, b)]
    headline = [mean for mean in parts[0].scores if mean.name in a.scores]
    kinds = ("IoU", "IA-IoU") if a.has_instances else ("IoU",)
    means = [*headline, *(mean for kind in kinds for mean in class_means(parts[0], kind))]
    rng = np.random.Generator(np.random.PCG64(seed))
    swaps = max(resamples, _SWAPS_A_CLASS * len(a.class_list))
    both = [means_of(means, ratios(part, part.totals())) for part in parts]
    drawn = replicate(parts, (-1, 1), means, resamples, rng)
    low, high = drawn.interval()
    p = swap_test(parts[0], parts[1], means, swaps, rng)
    rows = [_difference(*row) for row in zip(means, *both, low, high, p, strict=True)]
    scores, by_class = tuple(rows[: len(headline)]), rows[len(headline) :]
    gained, lost = _changes(a, b, top)
    text, disagree = verdict(scores, names, bin_names(a.bins)[0])
    return Comparison(
        names=names,
        images=len(a.counts.images),
        resamples=resamples,
        swaps=swaps,
        seed=seed,
        scores=scores,
        classes=_class_rows(a, by_class),
        gained=gained,
        lost=lost,
        verdict=text,
        disagree=disagree,
        weak=weak(a.counts, a.bins) & {d.name for d in scores} if a.has_instances else frozenset(),
        warnings=tuple(dict.fromkeys((*a.warnings, *b.warnings))),
    )


def _loaded(run: Report | str | Path) -> Report:
    """Read a saved run."""
    if isinstance(run, str | Path):
        from iamiou.report import load

        return load(run)
    return run


def _difference(mean: Mean, a: float, b: float, low: float, high: float, p: float) -> Difference:
    """Collect one row; what is undefined in either run is undefined altogether."""
    most = 2.0 if mean.minus.size else 1.0  # a gap goes from -1 to 1, so its change from -2 to 2
    low, high = max(low, -most), min(high, most)
    if math.isnan(a) or math.isnan(b):
        low = high = p = math.nan
    return Difference(mean.name, float(a), float(b), float(b - a), float(low), float(high), float(p))


def check_comparable(a: Report, b: Report) -> None:
    """Refuse runs that were not scored on the same ground truth in the same way.

    Raises
    ------
    InputError
        With what differs and what to do.
    """
    again = "Score both with the same options and compare again."
    if a.class_list.names != b.class_list.names:
        raise InputError(
            f"The runs have different class lists ('{a.class_list.name}' with {len(a.class_list)} classes, "
            f"'{b.class_list.name}' with {len(b.class_list)}). {again}"
        )
    if a.counts.images != b.counts.images:
        only = [sorted(set(x.counts.images) - set(y.counts.images)) for x, y in ((a, b), (b, a))]
        parts = [f"{len(x)} only in {side} ({name_some(x)})" for x, side in zip(only, "AB", strict=True) if x]
        raise InputError(f"The runs hold different images: {'; '.join(parts)}. Score both on the same split.")
    for what, left, right in (
        ("size bins", _sides(a.bins), _sides(b.bins)),
        ("component rules", _rule(a), _rule(b)),
        ("metrics", *(report.options.get("metrics", "all") for report in (a, b))),
        ("sources of instances", a.instances_from, b.instances_from),
    ):
        if left != right:
            raise InputError(f"The runs have different {what} ({left} and {right}). {again}")
    if (a.digest and b.digest and a.digest != b.digest) or not _same_truth(a, b):
        digests = f" (digests {a.digest[:12]} and {b.digest[:12]})" if a.digest and b.digest else ""
        raise InputError(
            f"The ground truths of the runs differ{digests}, so their scores cannot be set side by side. "
            "Score both on the same masks."
        )


def _sides(bins: Sequence[int]) -> str:
    return ",".join(str(side) for side in bins)


def _rule(report: Report) -> str:
    return f"{report.options.get('components', 'nested')}, {report.options.get('connectivity', 8)} neighbours"


def _same_truth(a: Report, b: Report) -> bool:
    """Tell whether pixels per class and all instances agree; a digest may be missing."""
    columns = [IMAGE, ID, CLASS, AREA]
    return np.array_equal(a.counts.truth, b.counts.truth) and np.array_equal(
        a.counts.instances[:, columns], b.counts.instances[:, columns]
    )


def _class_rows(report: Report, rows: list[Difference]) -> tuple[ClassDifference, ...]:
    """Pair IoU and IA-IoU of the classes that the ground truth shows, p-values adjusted over them."""
    names = report.class_list.names
    nothing = [Difference("", *[math.nan] * 6)] * len(names)
    shown = [c for c in range(len(names)) if report.counts.truth[:, c].any()]
    kinds = [
        [replace(kind[c], name=names[c]) for c in shown] for kind in (rows[: len(names)], rows[len(names) :] or nothing)
    ]
    adjusted = [holm([d.p for d in kind]) for kind in kinds]
    instances = report.class_scores.instances
    return tuple(
        ClassDifference(names[c], int(instances[c]), iou, p_iou, ia_iou, p_ia)
        for c, iou, p_iou, ia_iou, p_ia in zip(shown, kinds[0], adjusted[0], kinds[1], adjusted[1], strict=True)
    )


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values so that any false alarm among all of them stays below 5 % when each is held against 0.05.

    Parameters
    ----------
    p : sequence of float
        NaN ones are no tests and stay NaN.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted((k for k in range(len(p)) if not math.isnan(p[k])), key=lambda k: p[k])
    out, reached = [math.nan] * len(p), 0.0
    for rank, k in enumerate(order):
        reached = max(reached, min(1.0, (len(order) - rank) * p[k]))
        out[k] = reached
    return out


def _changes(a: Report, b: Report, top: int) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """Return the instances that B segments better, and worse, by most; larger ones first among equals."""
    rows, before, after = a.counts.instances, a.counts.iou(), b.counts.iou()
    change = after - before
    names, sizes = bin_names(a.bins), bin_of(rows[:, AREA], a.bins)
    out = []
    for sign in (-1, 1):
        order = np.lexsort((-rows[:, AREA], sign * change))[:top]
        out.append(
            tuple(
                Change(
                    image=a.counts.images[rows[k, IMAGE]],
                    id=int(rows[k, ID]),
                    class_name=a.class_list.names[rows[k, CLASS]],
                    area=int(rows[k, AREA]),
                    bin=names[sizes[k]],
                    a=float(before[k]),
                    b=float(after[k]),
                    difference=float(change[k]),
                )
                for k in order
                if sign * change[k] < 0
            )
        )
    return out[0], out[1]
