"""What a selection has to solve: kinds of images, quotas in cells, and what a choice costs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import InputError
from iamiou_builders.model import Candidates

Objective = Literal["balance", "min-images"]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Largest cell over the quota, and over the smallest cell of its class, that costs no extra.
SPREAD = 1.25
#: How far the number of images may be from what the pool's own density gives.
RANGE = 0.1


@dataclass(frozen=True)
class Weights:
    """What is paid for in the objective of a selection.

    Parameters
    ----------
    image : float
        Each image.
    over : float
        Each instance above the quota, up to `SPREAD` times the quota.
    excess : float
        Each instance above that.
    uneven : float
        Each instance by which `SPREAD` times a cell stays below the largest cell of its class.
    off : float
        Each image outside the range that the pool's density gives.
    """

    image: float
    over: float
    excess: float
    uneven: float
    off: float


WEIGHTS: dict[Objective, Weights] = {
    "balance": Weights(image=0, over=5, excess=20, uneven=50, off=1),
    "min-images": Weights(image=1, over=0, excess=20, uneven=50, off=0),
}


@dataclass(frozen=True)
class Task:
    """A selection to be made; images that hold the same instances in every cell are one kind.

    Parameters
    ----------
    counts : int64 array, (kinds, cells)
        Instances that an image of the kind adds to each cell; class by class, and within a class bin by bin.
    number : int64 array, (kinds,)
        Images of each kind.
    members : int64 array, (images,)
        Numbers of the images, kind by kind, within a kind in the order in which they are taken.
    per_cell : int
        Instances asked for in every cell.
    quota : int64 array, (cells,)
        The same, or what there is within the cap where the whole pool has less.
    bins : int
        Cells of a class.
    low, high : int
        Range for the number of images that costs nothing.
    readmitted : int
        Images above the cap that are candidates all the same, as a quota needs them.
    """

    counts: Ints
    number: Ints
    members: Ints
    per_cell: int
    quota: Ints
    bins: int
    low: int
    high: int
    readmitted: int

    @property
    def full(self) -> NDArray[np.bool_]:
        """Return which cells have enough available, (cells,)."""
        return np.asarray(self.quota >= self.per_cell)

    @property
    def groups(self) -> tuple[Ints, ...]:
        """Return the cells of each class that have enough available, for classes with two such cells or more."""
        cells = np.arange(self.quota.size).reshape(-1, self.bins)
        found = (row[self.full[row]] for row in cells)
        return tuple(row for row in found if row.size > 1)

    @property
    def limit(self) -> int:
        """Return the count in a cell above which instances cost more."""
        return int(SPREAD * self.per_cell)

    def ids(self, picked: Ints) -> Ints:
        """Return the numbers of the images, increasing, when so many of every kind are taken."""
        starts = np.cumsum(self.number) - self.number
        place = np.arange(self.members.size) - np.repeat(starts, self.number)
        return np.sort(self.members[place < np.repeat(picked, self.number)])


def make_task(candidates: Candidates, per_cell: int, seed: int, cap: int) -> Task:
    """Pose the selection: apply the cap, bring the images into the seed's order and gather them into kinds.

    Raises
    ------
    InputError
        If the quota or the cap is below 1, or no image holds any instance.
    """
    if per_cell < 1 or cap < 1:
        name, value = ("--per-cell", per_cell) if per_cell < 1 else ("The recipe's cap", cap)
        raise InputError(f"{name} is {value}; a selection needs at least 1.")
    if not candidates.available.any():
        raise InputError(
            f"None of the {len(candidates.ids)} images of the pool holds an instance that could be selected; "
            "give more images, or loosen --source, --license-filter or --min-area."
        )
    table = candidates.counts.reshape(len(candidates.ids), -1)
    place = np.argsort(ranks(candidates.ids, seed))
    table, ids = table[place], candidates.ids[place]
    crowd = candidates.counts.sum(axis=2).max(axis=1)[place] - cap
    chosen = _within_cap(table, crowd, per_cell)
    if not chosen.any():
        raise InputError(
            f"Every image of the pool that holds an instance has more than {cap} instances of a class, and no size bin "
            f"of a class has {per_cell}; raise the recipe's cap, or lower --per-cell."
        )
    quota = np.minimum(table[chosen].sum(axis=0), per_cell)
    kinds, first, kind, number = np.unique(
        table[chosen], axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)  # a kind stands where its first image stands
    at = np.empty_like(order)
    at[order] = np.arange(order.size)
    typical = chosen & (crowd <= 0)
    density = table[typical].sum() / max(int(typical.sum()), 1) or 1.0
    wanted = quota.sum() / density
    return Task(
        counts=kinds[order].astype(np.int64),
        number=number[order].astype(np.int64),
        members=ids[chosen][np.argsort(at[kind.ravel()], kind="stable")],
        per_cell=per_cell,
        quota=quota,
        bins=len(candidates.bin_names),
        low=int(wanted * (1 - RANGE)),
        high=int(np.ceil(wanted * (1 + RANGE))),
        readmitted=int((chosen & (crowd > 0)).sum()),
    )


def _within_cap(table: Ints, crowd: Ints, per_cell: int) -> NDArray[np.bool_]:
    """Tell which images may be chosen.

    Those within the cap, and the least crowded others that a cell needs to reach a quota that the whole pool could
    fill. A cell that the pool cannot fill in any case gets no crowded images: a few of them would bring in more
    persons than all other cells together hold.
    """
    chosen = table.any(axis=1) & (crowd <= 0)
    have, available = table[chosen].sum(axis=0), table.sum(axis=0)
    for cell in np.flatnonzero(available >= per_cell):
        if have[cell] >= per_cell:
            continue
        others = np.flatnonzero(~chosen & (table[:, cell] > 0))
        others = others[np.argsort(crowd[others], kind="stable")]
        enough = np.searchsorted(np.cumsum(table[others, cell]), per_cell - have[cell]) + 1
        chosen[others[:enough]] = True
        have = table[chosen].sum(axis=0)
    return np.asarray(chosen)


def ranks(ids: Ints, seed: int) -> NDArray[np.bytes_]:
    """Return the key by which images are brought into an order that depends on the seed and on nothing else.

    >>> keys = ranks(np.array([17, 4]), seed=0)
    >>> bool((keys[::-1] == ranks(np.array([4, 17]), seed=0)).all()), bool(keys[0] == ranks(np.array([17]), seed=1)[0])
    (True, False)
    """
    return np.array([hashlib.sha256(f"{seed} {i}".encode()).hexdigest() for i in ids.tolist()], "S64")


def price(task: Task, picked: Ints, weights: Weights) -> float:
    """Return what a choice of kinds costs; quotas must be met."""
    have, images = picked @ task.counts, int(picked.sum())
    excess = np.maximum(have - np.maximum(task.limit, task.quota), 0)
    over = np.maximum(have - task.quota, 0) - excess
    uneven = sum(float(np.maximum(have[g].max() - SPREAD * have[g], 0).sum()) for g in task.groups)
    off = max(task.low - images, images - task.high, 0)
    return float(
        weights.image * images
        + weights.over * over.sum()
        + weights.excess * excess.sum()
        + weights.uneven * uneven
        + weights.off * off
    )
