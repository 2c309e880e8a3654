"""Connected components of the truth in place of annotated objects: what they do to the instance-aware scores.

``iamiou bench claim components --real DIR`` scores the same predictions twice, on VOC, COCO
and `shapes`: against annotated objects, and against components of the class masks. mIoU is the same by definition.
Intervals are over images, by the rule of ``iamiou compare``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from iamiou.counts import AREA, Counts
from iamiou.pairs import ground_truth_components
from iamiou.replicates import replicate
from iamiou.scores import bin_names, bin_of, headline
from iamiou.sums import summarise
from iamiou_benchmarks.claims._disturb import VOID, Ids
from iamiou_benchmarks.claims._record import Asked, cell, points, short, verdict
from iamiou_benchmarks.claims._scored_sets import (
    TITLES,
    ScoredSet,
    coco_truth,
    count,
    open_real,
    open_shapes,
    voc_truth,
    wide,
)
from iamiou_benchmarks.claims._statistics import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from iamiou.ground_truth import GroundTruth

SCORES = ("IA-mIoU", "IA_S", "IA_M", "IA_L")
#: Components of fewer pixels are specks, which the third way of scoring leaves out.
SPECK = 100
RUN = "shapes-small-irn-ce"
RESAMPLES = 1000
WAYS = ("annotated", "components", "without specks")


TAKES = ("cache", "real")


def record_of(asked: Asked) -> dict[str, Any]:
    """Score the real sets and `shapes` either way."""
    sets = [*(open_real(name, asked.real) for name in TITLES), open_shapes(RUN, 1, asked.cache)]
    truths = (("VOC, derived objects", voc_truth(asked.real)), ("COCO, annotated objects", coco_truth(asked.real)))
    return measure(sets, truths)


def measure(sets: Iterable[ScoredSet], truths: Iterable[tuple[str, GroundTruth]]) -> dict[str, Any]:
    """Return the record: scores and numbers of objects either way, and what the truths alone tell."""
    return {
        "schema": 1,
        "speck": SPECK,
        "resamples": RESAMPLES,
        "sets": [_of_set(s) for s in sets],
        "truths": [_of_truth(title, truth) for title, truth in truths],
    }


def components(semantic: Ids, least: int = 0) -> Ids:
    """Return the components of the class masks as an instance map; those of fewer pixels than `least` are no object.

    >>> components(np.array([[1, 0, 2, VOID], [1, 0, 1, VOID]], np.uint16), 2).tolist()
    [[1, 0, 0, 65535], [1, 0, 0, 65535]]
    """
    found = ground_truth_components(np.where(semantic == VOID, 0, semantic).astype(np.uint16))
    size = np.bincount(found.ravel())
    out = np.where(size[found] < least, 0, found).astype(np.uint16)
    out[semantic == VOID] = VOID
    return out


def _maps(scored: ScoredSet, way: str) -> Iterator[tuple[Ids, Ids]]:
    for pair in scored.pairs:
        least = SPECK if way == "without specks" else 0
        yield pair.semantic, pair.instance if way == "annotated" else components(pair.semantic, least)


def _of_set(scored: ScoredSet) -> dict[str, Any]:
    counts = {way: count(scored, _maps(scored, way), 0) for way in WAYS}
    row: dict[str, Any] = {"name": scored.name, "title": scored.title, "images": len(scored.pairs), "ways": {}}
    for way, each in counts.items():
        found = headline(each, scored.bins)
        row["ways"][way] = {"objects": _sizes(each, scored.bins), "scores": {s: short(found[s]) for s in SCORES}}
    row["difference"] = _difference(counts["components"], counts["annotated"], scored.bins)
    return row | {"difference without specks": _difference(counts["without specks"], counts["annotated"], scored.bins)}


def _sizes(counts: Counts, bins: tuple[int, ...]) -> dict[str, int]:
    number = np.bincount(bin_of(counts.instances[:, AREA], bins), minlength=len(bins) + 1)
    return dict(zip(bin_names(bins), number.tolist(), strict=True))


def _difference(a: Counts, b: Counts, bins: tuple[int, ...]) -> dict[str, list[float | None]]:
    """Return b - a with its interval for every score."""
    parts = [summarise(each, bins) for each in (a, b)]
    means = [next(m for m in parts[0].scores if m.name == name) for name in SCORES]
    drawn = replicate(parts, (-1, 1), means, RESAMPLES, np.random.Generator(np.random.PCG64(0)))
    values: list[Floats] = [drawn.value, *drawn.interval()]
    return {name: [short(v[k]) for v in values] for k, name in enumerate(SCORES)}


def _of_truth(title: str, truth: GroundTruth) -> dict[str, Any]:
    """Count objects and components of a truth, and how the two overlap."""
    total = np.zeros(6, np.int64)
    for image_id in truth.ids:
        semantic, instance = (wide(m) for m in truth.load(image_id))
        total += overlaps(instance, components(semantic))
    names = ("objects", "components", "single", "specks", "parted", "joined")
    return {"title": title, "images": len(truth.ids), **dict(zip(names, total.tolist(), strict=True))}


def overlaps(instance: Ids, parts: Ids) -> tuple[int, ...]:
    """Count objects and components, single pixels and specks among these, and what does not go one to one.

    Returns
    -------
    objects, components, single pixels, specks, objects in several components, components of several objects : int

    >>> overlaps(np.array([[1, 0, 1, 2]], np.uint16), np.array([[1, 0, 2, 2]], np.uint16))
    (2, 2, 1, 2, 1, 1)
    """
    both = (instance > 0) & (instance != VOID) & (parts > 0) & (parts != VOID)
    pairs = np.unique(instance[both].astype(np.int64) << 16 | parts[both])
    objects, components_of = (np.unique(side, return_counts=True)[1] for side in (pairs >> 16, pairs & VOID))
    size = np.bincount(parts[(parts > 0) & (parts != VOID)])
    small = (int(((size > 0) & (size < least)).sum()) for least in (2, SPECK))
    several = int((objects > 1).sum()), int((components_of > 1).sum())
    return len(objects), int((size > 0).sum()), *small, *several


def lines(record: dict[str, Any]) -> list[str]:
    """Return what the record says, as lines of Markdown."""
    heads = ["truth and predictions", "instances", "objects", "small", *SCORES]
    found = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for one in record["sets"]:
        for k, way in enumerate(WAYS):
            each = one["ways"][way]
            name = f"components of {record['speck']} px and more" if way == "without specks" else way
            cells = [f"{one['title']} ({one['images']} images)" if k == 0 else "", name]
            cells += [str(sum(each["objects"].values())), str(next(iter(each["objects"].values())))]
            found.append(f"| {' | '.join([*cells, *(cell(each['scores'][s]) for s in SCORES)])} |")
    return [*found, "", *_difference_lines(record), "", *_truth_lines(record)]


def _difference_lines(record: dict[str, Any]) -> list[str]:
    heads = [
        "annotated – components",
        "score",
        "difference",
        "95 % interval",
        "verdict",
        "without specks",
        "95 % interval",
    ]
    found = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for one in record["sets"]:
        for score in ("IA-mIoU", "IA_S"):
            value, *interval = one["difference"][score]
            other, *least = one["difference without specks"][score]
            cells = [
                one["title"],
                score,
                cell(value, "+"),
                points(interval),
                verdict(interval),
            ]
            found.append(f"| {' | '.join([*cells, cell(other, '+'), points(least)])} |")
    return found


def _truth_lines(record: dict[str, Any]) -> list[str]:
    heads = ["truth alone", "images", "objects", "components", "of 1 px", f"of fewer than {record['speck']} px"]
    heads += ["objects in several components", "components of several objects"]
    found = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    names = ("title", "images", "objects", "components", "single", "specks", "parted", "joined")
    return found + [f"| {' | '.join(str(one[n]) for n in names)} |" for one in record["truths"]]


def draw(record: dict[str, Any]) -> Figure:
    """Draw the scores either way, one panel a set."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    for k, one in enumerate(record["sets"]):
        axes = figure.add_subplot(1, len(record["sets"]), k + 1)
        for shift, way in enumerate(WAYS):
            each = one["ways"][way]
            values = [np.nan if each["scores"][s] is None else 100 * each["scores"][s] for s in SCORES]
            label = f"{way}: {sum(each['objects'].values())} objects"
            axes.bar(np.arange(len(SCORES)) + 0.27 * (shift - 1), values, 0.25, label=label)
        axes.set_xticks(range(len(SCORES)), SCORES, fontsize=8)
        axes.set_ylim(0, 125)
        axes.set_title(one["title"], fontsize=9)
        axes.legend(fontsize=7, loc="upper left")
    figure.axes[0].set_ylabel("per cent")
    return figure
