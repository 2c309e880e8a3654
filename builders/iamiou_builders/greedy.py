"""Greedy choice with pruning: always an answer, in integers only."""

from __future__ import annotations

import numpy as np

from iamiou_builders.task import Ints, Task

#: How much an instance that no cell needs any more counts against an image; one that is needed counts 10 to 20.
WASTE = 20


def cover(task: Task) -> Ints:
    """Choose images until every quota is met, then drop those that can be missed.

    Each step takes the image that brings most of what is still needed, rare cells counting up to twice, less what
    nothing needs. Of equal ones the first in the seed's order is taken.

    Parameters
    ----------
    task : Task

    Returns
    -------
    int64 array, (kinds,)
        Images to take of every kind.
    """
    counts = task.counts.astype(np.int32)
    left, picked = task.number.copy(), np.zeros_like(task.number)
    available = task.number @ task.counts
    need = task.quota.copy()
    while need.any():
        rarity = 10 + 10 * need // np.maximum(available, 1)
        useful = np.minimum(counts, need.astype(np.int32))
        gain = useful @ rarity.astype(np.int32)
        score = np.where((left > 0) & (gain > 0), gain - WASTE * (counts - useful).sum(axis=1), np.iinfo(np.int32).min)
        best = int(score.argmax())
        picked[best] += 1
        left[best] -= 1
        available -= task.counts[best]
        need = np.maximum(need - task.counts[best], 0)
    return _prune(task, picked)


def _prune(task: Task, picked: Ints) -> Ints:
    """Drop images that no quota needs, those with most instances first."""
    spare = picked @ task.counts - task.quota
    for kind in np.argsort(-task.counts.sum(axis=1), kind="stable"):
        while picked[kind] and (task.counts[kind] <= spare).all():
            picked[kind] -= 1
            spare -= task.counts[kind]
    return picked
