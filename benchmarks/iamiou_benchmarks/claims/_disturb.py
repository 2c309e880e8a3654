"""Annotations made wrong on purpose, by seeded noise of a chosen strength: what people who annotate get wrong.

All functions take and give an instance map in which 0 is background and `VOID` is void, and leave their input alone.
The class map follows from the instances, see `semantic_of`. Where a data set draws a band of void around objects, the
band moves with their boundary.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.uint16]
Mask = NDArray[np.bool_]

VOID = 65535
#: Kinds of noise, with the unit of their strength.
KINDS = {
    "drawn too wide": "px",
    "drawn too tight": "px",
    "drawn ragged": "px",
    "neighbours merged": "share",
    "split in two": "share",
    "small ones missing": "share",
}


def disturb(
    kind: str, strength: float, instance: Ids, classes: Ids, rng: np.random.Generator, near: int, small: int
) -> Ids:
    """Disturb the annotation of one image.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    strength : float
        Pixels by which boundaries move, or the share of the objects (of the pairs of neighbours) that it befalls.
    instance : uint16 array, (H, W)
    classes : uint16 array, (highest id + 1,)
        Class of every id.
    rng : numpy.random.Generator
    near : int
        Objects of one class at most so many pixels apart are neighbours.
    small : int
        Objects of fewer pixels may be missing.

    Returns
    -------
    uint16 array, (H, W)
        Ids are those of before, but for halves, whose ids are new: an object's second half has the id
        ``len(classes) + id`` and its class.

    Examples
    --------
    >>> row = np.array([[0, 0, 1, 1, 1, 0, 0]], np.uint16)
    >>> rng, classes = np.random.default_rng(0), np.array([0, 5], np.uint16)
    >>> disturb("drawn too wide", 1, row, classes, rng, 1, 9).tolist()
    [[0, 1, 1, 1, 1, 1, 0]]
    >>> disturb("small ones missing", 1.0, row, classes, rng, 1, 9).tolist()
    [[0, 0, 0, 0, 0, 0, 0]]
    """
    if kind == "drawn too wide":
        return widened(instance, int(strength))
    if kind == "drawn too tight":
        return tightened(instance, int(strength))
    if kind == "drawn ragged":
        return ragged(instance, int(strength), rng)
    if kind == "neighbours merged":
        return merged(instance, classes, strength, rng, near)
    if kind == "split in two":
        return split(instance, len(classes), strength, rng)
    return without_small(instance, strength, rng, near, small)


def classes_of(semantic: NDArray[np.integer], instance: Ids) -> Ids:
    """Return the class of every instance id: the largest in it, as the metric has it; 0 for ids that are not there."""
    objects = (instance > 0) & (instance != VOID)
    out = np.zeros(int(instance[objects].max(initial=0)) + 1, np.uint16)
    np.maximum.at(out, instance[objects], semantic[objects].astype(np.uint16))
    return out


def semantic_of(instance: Ids, classes: Ids) -> Ids:
    """Return the class map that an instance map means, with `VOID` where that has it.

    >>> semantic_of(np.array([[0, 1, 3, VOID]], np.uint16), np.array([0, 7], np.uint16)).tolist()  # 3 = 2 + 1: a half
    [[0, 7, 7, 65535]]
    """
    void = instance == VOID
    return np.where(void, VOID, classes[np.where(void, 0, instance) % len(classes)]).astype(np.uint16)


def widened(instance: Ids, pixels: int) -> Ids:
    """Grow every object by so many pixels along rows, columns and diagonals; where two meet, the higher id wins."""
    for _ in range(pixels):
        void = instance == VOID
        objects = np.where(void, 0, instance)
        around = _extreme(objects, np.maximum)
        covered = _extreme((instance > 0).astype(np.uint16), np.maximum) > 0
        grown = np.where(objects > 0, objects, around)
        instance = np.where((grown == 0) & covered, VOID, grown).astype(np.uint16)
    return instance


def tightened(instance: Ids, pixels: int) -> Ids:
    """Shrink every object by so many pixels; between two that touch void is left, as the VOC data set draws it.

    The image's edge takes nothing off.
    """
    for _ in range(pixels):
        inside = _extreme(instance, np.minimum) == _extreme(instance, np.maximum)
        covered = _extreme((instance > 0).astype(np.uint16), np.minimum) > 0
        kept = inside & (instance != VOID)
        instance = np.where(kept, instance, np.where(covered, VOID, 0)).astype(np.uint16)
    return instance


def _extreme(values: Ids, take: np.ufunc) -> Ids:
    """Return the largest or smallest value among each pixel and its eight neighbours."""
    for axis in (0, 1):
        wide = np.pad(values, [(1, 1) if k == axis else (0, 0) for k in (0, 1)], mode="edge")
        a, b, c = (wide[k : k + len(values)] if axis == 0 else wide[:, k : k + values.shape[1]] for k in (0, 1, 2))
        values = take(take(a, b), c)
    return values


def ragged(instance: Ids, pixels: int, rng: np.random.Generator) -> Ids:
    """Move every pixel's label by up to so many pixels in either direction, alike for pixels close by.

    The moves are uniform on a lattice of 2 `pixels` + 2 and interpolated between.
    """
    height, width = instance.shape
    step = 2 * pixels + 2
    rows, columns = height // step + 2, width // step + 2
    y, x = np.arange(height) / step, np.arange(width) / step
    moves = []
    for _ in range(2):
        lattice = (rng.random((rows, columns)) * 2 - 1) * pixels
        top, left = y.astype(np.int64), x.astype(np.int64)
        down, right = (y - top)[:, None], (x - left)[None]
        above, below = (lattice[r][:, left] * (1 - right) + lattice[r][:, left + 1] * right for r in (top, top + 1))
        moves.append(np.rint(above * (1 - down) + below * down).astype(np.int64))
    at_row = np.clip(np.arange(height)[:, None] + moves[0], 0, height - 1)
    at_column = np.clip(np.arange(width)[None] + moves[1], 0, width - 1)
    return np.asarray(instance[at_row, at_column])


def merged(instance: Ids, classes: Ids, share: float, rng: np.random.Generator, near: int) -> Ids:
    """Give pairs of neighbours of one class one id, each pair with a chance of `share`."""
    becomes = np.arange(VOID + 1, dtype=np.uint16)
    for k, place in objects_in(instance):
        wide = _wider(place, near, instance.shape)
        reached = instance[wide][_spread(instance[wide] == k, near)]
        for other in np.unique(reached[(reached > k) & (reached != VOID)]):
            if classes[other] == classes[k] and rng.random() < share:
                becomes[becomes == becomes[other]] = becomes[k]
    return np.asarray(becomes[instance])


def split(instance: Ids, first: int, share: float, rng: np.random.Generator) -> Ids:
    """Cut objects in two through their centre, at a random angle; a second half gets the id ``first + id``."""
    out = instance.copy()
    for k, place in objects_in(instance):
        y, x = np.nonzero(instance[place] == k)
        chance, angle = rng.random(2)
        turn = angle * np.pi
        side = (y - y.mean()) * np.cos(turn) + (x - x.mean()) * np.sin(turn) > 0
        if chance < share and side.any():
            out[place][y[side], x[side]] = first + k
    return out


def without_small(instance: Ids, share: float, rng: np.random.Generator, near: int, small: int) -> Ids:
    """Leave objects of fewer than `small` pixels out, and the void that is near to them and to no object that stays."""
    out = instance.copy()
    for k, place in objects_in(instance):
        mask = instance[place] == k
        if mask.sum() < small and rng.random() < share:
            out[place][mask] = 0
    for k, place in objects_in(np.where(out == 0, instance, 0)):
        wide = _wider(place, near, out.shape)
        void = _spread(instance[wide] == k, near) & (out[wide] == VOID)
        stays = _spread((out[wide] > 0) & (out[wide] != VOID), near)
        out[wide][void & ~stays] = 0
    return out


def objects_in(instance: Ids) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """Go through the objects: id and bounding box."""
    for k in np.flatnonzero(np.bincount(instance.ravel(), minlength=VOID + 1)[:VOID]):
        if k == 0:
            continue
        mask = instance == k
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        yield int(k), (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))


def _wider(place: tuple[slice, slice], by: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    rows, columns = (slice(max(0, s.start - by), min(n, s.stop + by)) for s, n in zip(place, shape, strict=True))
    return rows, columns


def _spread(mask: Mask, pixels: int) -> Mask:
    """Widen a mask by so many pixels along rows, columns and diagonals."""
    grown = mask.astype(np.uint16)
    for _ in range(pixels):
        grown = _extreme(grown, np.maximum)
    return grown > 0
