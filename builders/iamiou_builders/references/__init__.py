"""Sizes of the objects of other data sets, to hold a build against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Reference:
    """Areas of the instances of a data set.

    Parameters
    ----------
    title : str
        Short name.
    note : str
        What was counted, one sentence.
    images : int
    areas : mapping of str to int64 array
        Pixels of the instances of each class, increasing.
    """

    title: str
    note: str
    images: int
    areas: Mapping[str, NDArray[np.int64]]

    def all_areas(self) -> NDArray[np.int64]:
        """Return the areas of all classes."""
        return np.concatenate([np.empty(0, np.int64), *self.areas.values()])


def load_references() -> tuple[Reference, ...]:
    """Return the data sets that were counted, by ``python -m iamiou_builders.references.count``.

    >>> [r.title for r in load_references()]
    ['VOC 2012 val', 'COCO sample']
    """
    return tuple(_load(_FOLDER / name) for name in ("voc-val.json", "coco-sample.json"))


def _load(path: Path) -> Reference:
    document = json.loads(path.read_text(encoding="utf-8"))
    areas = {name: np.array(values, np.int64) for name, values in document["areas"].items()}
    return Reference(document["title"], document["note"], document["images"], areas)
