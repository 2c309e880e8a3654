"""stats.json: what the data set holds, by class and size, beside what there was to choose from."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou_builders.facts import Facts, Table

#: Borders of the area histogram, in pixels: half octaves of area.
EDGES = tuple(math.ceil(2 ** (k / 2)) for k in range(8, 41))


def stats_json(facts: Facts) -> bytes:
    """Return the statistics as json."""
    return (json.dumps(statistics(facts), indent=1, ensure_ascii=False) + "\n").encode()


def statistics(facts: Facts) -> dict[str, Any]:
    """Return the statistics; counts are of instances unless another thing is named."""
    counts, rows = facts.counts(), facts.rows()
    pictures = [image.resolved.picture for image in facts.images]
    void = sum(image.void_area for image in facts.images)
    licences = Counter("unknown" if p.license is None else str(p.license) for p in pictures)
    return {
        "name": facts.recipe.name,
        "images": len(facts.images),
        "instances": int(counts.sum()),
        "per_cell": facts.recipe.per_cell,
        "bins": {"names": list(facts.recipe.bin_names), "edges": list(facts.recipe.bin_edges)},
        "sizes": dict(zip(facts.recipe.bin_names, counts.sum(0).tolist(), strict=True)),
        "classes": classes(facts, counts, rows),
        "largest_to_smallest_cell": ratio(counts, facts.pool.candidates.available),
        "pool": {
            "images": facts.pool.images,
            "candidates": len(facts.pool.candidates.ids),
            "instances": int(facts.pool.counts.sum()),
            "excluded_images": dict(sorted(facts.pool.excluded.items())),
        },
        "void_share": void / max(1, sum(p.height * p.width for p in pictures)),
        "licences": dict(sorted(licences.items())),
        "coco_splits": dict(sorted(Counter(p.split for p in pictures).items())),
        "mask_sources": _sources(facts),
        "decisions": dict(sorted(Counter(d.rule for i in facts.images for d in i.resolved.decisions).items())),
        "areas": {
            "edges": list(EDGES),
            "chosen": histogram(rows[:, 2]),
            "pool": histogram(facts.pool.areas),
        },
        "together": {"classes": list(facts.recipe.class_names), "images": together(facts, rows).tolist()},
        "goals": [
            {"name": g.name, "figure": g.figure, "bound": g.bound, "met": g.met, "text": g.text} for g in facts.goals
        ],
    }


def classes(facts: Facts, counts: Table, rows: Table) -> list[dict[str, Any]]:
    """Return one row a class: for every size what there is, was to be had, was wanted and is missing."""
    available, everywhere = facts.pool.candidates.available, facts.pool.counts
    wanted = np.minimum(facts.recipe.per_cell, available)
    out = []
    for c, name in enumerate(facts.recipe.class_names):
        mine = rows[rows[:, 1] == c + 1]
        row: dict[str, Any] = {
            "id": c + 1,
            "name": name,
            "images": len(np.unique(mine[:, 0])),
            "instances": int(counts[c].sum()),
            "largest_to_smallest": ratio(counts[c], available[c]),
        }
        for b, size in enumerate(facts.recipe.bin_names):
            row[size] = {
                "instances": int(counts[c, b]),
                "available": int(available[c, b]),
                "in_pool": int(everywhere[c, b]),
                "wanted": int(wanted[c, b]),
                "missing": max(0, int(wanted[c, b] - counts[c, b])),
            }
        out.append(row)
    return out


def ratio(counts: NDArray[np.int64], available: NDArray[np.int64]) -> float | None:
    """Return largest over smallest cell, of those that had anything to give; None with fewer than two.

    >>> ratio(np.array([60, 75, 0]), np.array([900, 80, 0]))
    1.25
    """
    here = counts[available > 0]
    return None if here.size < 2 or here.min() == 0 else float(here.max() / here.min())


def together(facts: Facts, rows: Table) -> Table:
    """Count the images in which two classes are seen together; on the diagonal, the images of a class."""
    seen = np.zeros((len(facts.images), len(facts.recipe.class_names)), np.int64)
    seen[rows[:, 0], rows[:, 1] - 1] = 1
    table: Table = seen.T @ seen
    return table


def histogram(areas: NDArray[np.int64]) -> list[int]:
    """Count instances between the borders of `EDGES`; what lies outside goes to the first and the last.

    >>> sum(histogram(np.array([1, 1024, 10**7])))
    3
    """
    inside = np.clip(areas, EDGES[0], EDGES[-1] - 1)
    return [int(n) for n in np.histogram(inside, EDGES)[0]]


def _sources(facts: Facts) -> dict[str, int]:
    """Count whose mask an instance has."""
    found = Counter(p.origin for image in facts.images for p in image.resolved.instances)
    return {str(origin): n for origin, n in sorted(found.items())}
