"""Which masks of an image are the same object: twice in one source, or once in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from iamiou_builders.sources import Mask

if TYPE_CHECKING:
    from numpy.typing import NDArray


def duplicates(
    masks: Sequence[Mask], among: Sequence[int], ratios: NDArray[np.float64], above: float
) -> dict[int, int]:
    """Find objects of one source that were annotated twice.

    Parameters
    ----------
    masks : sequence of Mask
        All masks of the image.
    among : sequence of int
        Places of those to compare.
    ratios : float64 array, (n, n)
        IoU of all masks.
    above : float
        IoU above which two masks of one class are one object.

    Returns
    -------
    dict of int to int
        Place of each mask to drop, and of the one that stays in its stead: the one with more vertices, and of equals
        the one with the lower id.
    """
    order = sorted(among, key=lambda k: (-masks[k].vertices, masks[k].annotation))
    kept: list[int] = []
    dropped: dict[int, int] = {}
    for k in order:
        twin = next((j for j in kept if masks[j].label == masks[k].label and ratios[j, k] > above), None)
        if twin is None:
            kept.append(k)
        else:
            dropped[k] = twin
    return dropped


def matches(
    masks: Sequence[Mask], ours: Sequence[int], theirs: Sequence[int], ratios: NDArray[np.float64], least: float
) -> dict[int, int]:
    """Pair the masks of two sources, the highest IoU first.

    Parameters
    ----------
    masks, ratios
        As in `duplicates`.
    ours, theirs : sequence of int
        Places of the masks of either source.
    least : float
        IoU from which on two masks of one class are one object.

    Returns
    -------
    dict of int to int
        Place in `ours` to place in `theirs`; each at most once. Of pairs with equal IoU the one with lower ids wins.
    """
    pairs = [
        (-ratios[i, j], masks[i].annotation, masks[j].annotation, i, j)
        for i in ours
        for j in theirs
        if ratios[i, j] >= least and masks[i].label == masks[j].label
    ]
    found: dict[int, int] = {}
    taken: set[int] = set()
    for *_, i, j in sorted(pairs):
        if i not in found and j not in taken:
            found[i] = j
            taken.add(j)
    return found
