"""Counts: everything that the scores need, in integers, and nothing else of the pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import InputError, name_some

Ints = NDArray[np.int64]

#: Columns of `Counts.instances` and of `Counts.phantoms`.
IMAGE, ID, CLASS, AREA, TP, FP, COMPONENTS = range(7)
PHANTOM_IMAGE, PHANTOM_CLASS, PHANTOM_AREA = range(3)


@dataclass(frozen=True, eq=False)
class Counts:
    """The additive state of an evaluation of N images with C classes.

    Adding concatenates and sums integers, so that any split of the images over threads, processes or machines
    gives the same bytes. Ratios come later, as pure functions in `iamiou.scores`.

    Parameters
    ----------
    num_classes : int
        C, background included.
    images : tuple of str
        The N image ids, sorted.
    confusion : int64 array, (C, C)
        Pixels by class of the truth and of the prediction, over the valid pixels of all images.
    truth, prediction, hit : int64 array, (N, C)
        Valid pixels of a class in the truth, in the prediction, in both.
    instances : int64 array, (M, 7)
        image (an index into ``images``), id, class, area, TP, FP share, components; sorted by image and id.
        The instance's IA-IoU is TP / (area + FP).
    phantoms : int64 array, (K, 3)
        image, class, area of predicted components that touch no instance of their class; sorted.

    Examples
    --------
    >>> Counts.zero(21) + Counts.zero(21)
    Counts(0 images, 21 classes, 0 instances)
    """

    num_classes: int
    images: tuple[str, ...]
    confusion: Ints
    truth: Ints
    prediction: Ints
    hit: Ints
    instances: Ints
    phantoms: Ints

    def __repr__(self) -> str:
        return f"Counts({len(self.images)} images, {self.num_classes} classes, {len(self.instances)} instances)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        return (self.num_classes, self.images) == (other.num_classes, other.images) and all(
            np.array_equal(mine, theirs)
            for mine, theirs in zip(self.arrays().values(), other.arrays().values(), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # how Python says that it has none

    def __add__(self, other: Counts) -> Counts:
        """Merge two disjoint sets of images.

        Raises
        ------
        InputError
            If an image occurs in both, or the numbers of classes differ.
        """
        if self.num_classes != other.num_classes:
            raise InputError(f"Counts of {self.num_classes} and of {other.num_classes} classes cannot be added.")
        return merge([self, other])

    @classmethod
    def zero(cls, num_classes: int) -> Counts:
        """Return the counts of no image."""
        per_class = np.zeros((0, num_classes), np.int64)
        confusion = np.zeros((num_classes, num_classes), np.int64)
        instances, phantoms = np.zeros((0, 7), np.int64), np.zeros((0, 3), np.int64)
        return cls(num_classes, (), confusion, per_class, per_class, per_class, instances, phantoms)

    def arrays(self) -> dict[str, Ints]:
        """Return the arrays by name, for files."""
        return {f.name: getattr(self, f.name) for f in fields(self)[2:]}

    def select(self, images: Sequence[str]) -> Counts:
        """Return the counts of some of the images; ``confusion`` cannot be split and keeps only its margins' diagonal.

        Raises
        ------
        KeyError
            If an image is not in the counts.
        """
        index = {name: k for k, name in enumerate(self.images)}
        keep = sorted(index[name] for name in set(images))
        new = np.full(len(self.images), -1, np.int64)
        new[keep] = np.arange(len(keep))

        def rows(table: Ints) -> Ints:
            table = table[new[table[:, 0]] >= 0].copy()
            table[:, 0] = new[table[:, 0]]
            return table

        hit = self.hit[keep]
        return Counts(
            self.num_classes,
            tuple(self.images[k] for k in keep),
            np.diag(hit.sum(0)),
            self.truth[keep],
            self.prediction[keep],
            hit,
            rows(self.instances),
            rows(self.phantoms),
        )

    def iou(self) -> NDArray[np.float64]:
        """Return the IA-IoU of every instance, float64 (M,), from 0 to 1."""
        rows = self.instances
        return np.asarray(rows[:, TP] / (rows[:, AREA] + rows[:, FP]), np.float64)


def merge(parts: Sequence[Counts]) -> Counts:
    """Add disjoint counts at once; sorted by image id, whatever the order of ``parts``.

    Raises
    ------
    InputError
        If an image occurs more than once.
    """
    names = [name for part in parts for name in part.images]
    check_disjoint(names)
    order = sorted(range(len(names)), key=names.__getitem__)
    places = [(part, image) for part, counts in enumerate(parts) for image in range(len(counts.images))]

    def rows(tables: list[Ints]) -> Ints:
        ends = [
            [0, *np.cumsum(np.bincount(t[:, 0], minlength=len(p.images))).tolist()]
            for t, p in zip(tables, parts, strict=True)
        ]
        table, at = np.empty((sum(map(len, tables)), tables[0].shape[1]), np.int64), 0
        # Image by image, for every table beside these would be fresh memory, which costs more than the loop.
        for image, k in enumerate(order):
            part, old = places[k]
            first, last = ends[part][old], ends[part][old + 1]
            new = table[at : at + last - first]
            new[:] = tables[part][first:last]
            new[:, 0] = image
            at += last - first
        return table

    return Counts(
        parts[0].num_classes,
        tuple(names[k] for k in order),
        np.sum([part.confusion for part in parts], axis=0, dtype=np.int64),
        np.concatenate([part.truth for part in parts])[order],
        np.concatenate([part.prediction for part in parts])[order],
        np.concatenate([part.hit for part in parts])[order],
        rows([part.instances for part in parts]),
        rows([part.phantoms for part in parts]),
    )


def check_disjoint(names: Sequence[str]) -> None:
    """Refuse to add what was counted twice.

    Raises
    ------
    InputError
        If an image occurs more than once.
    """
    if len(set(names)) < len(names):
        twice = sorted(name for name, n in Counter(names).items() if n > 1)
        raise InputError(
            f"{len(twice)} images occur in more than one of the counts: {name_some(twice)}. Add each once."
        )


def from_arrays(num_classes: int, images: Sequence[str], arrays: dict[str, Any]) -> Counts:
    """Rebuild counts from what `Counts.arrays` gave, check the shapes and sort the records: files come from strangers.

    Raises
    ------
    InputError
        If an array has another shape or type than counts have, or a record names an image or class that is not there.
    """
    n, c = len(images), num_classes
    shapes = {"confusion": (c, c), "truth": (n, c), "prediction": (n, c), "hit": (n, c)}
    for name, array in arrays.items():
        width = {"instances": 7, "phantoms": 3}.get(name)
        wanted = shapes.get(name, (len(array), width))
        if array.dtype != np.int64 or array.shape != wanted:
            raise InputError(f"The saved counts hold '{name}' as {array.dtype} {array.shape}, not int64 {wanted}.")
        if width and len(array):
            label = array[:, CLASS if width == 7 else PHANTOM_CLASS]
            if array.min() < 0 or array[:, 0].max() >= n or label.max() >= c:
                raise InputError(f"The saved counts name an image or a class in '{name}' that they do not hold.")
    records = {name: sort_rows(arrays[name]) for name in ("instances", "phantoms")}
    return Counts(num_classes, tuple(images), **arrays | records)


def sort_rows(table: Ints) -> Ints:
    """Sort a table of records by its columns, the first first."""
    return table[np.lexsort(table.T[::-1])]
