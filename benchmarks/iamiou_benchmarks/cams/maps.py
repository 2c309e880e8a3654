"""Class maps of one image: what `cam`, refinements and `pseudo` hand on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iamiou_benchmarks.stage import artefacts

Maps = NDArray[np.float32]


@dataclass(frozen=True)
class ClassMaps:
    """Scores of the classes that an image shows.

    Parameters
    ----------
    fg_ids : int64 (K,)
        The classes, counted from 0 without the background.
    strided : float32 (K, ceil(H / stride), ceil(W / stride))
        For affinities and walks.
    full : float32 (K, H, W)
        From 0 to 1.
    threshold : float
        The background score that goes with them.
    """

    fg_ids: NDArray[np.int64]
    strided: Maps
    full: Maps
    threshold: float

    def save(self, path: Path) -> None:
        """Write as an artefact; `full` with 16 bits."""
        artefacts.save(
            path,
            "class-maps",
            {
                "fg_ids": self.fg_ids.astype(np.int32),
                "strided": self.strided.astype(np.float32),
                "full": self.full.astype(np.float16),
                "threshold": np.array(self.threshold),
            },
        )


def load_maps(path: Path) -> ClassMaps:
    """Read the class maps of an image."""
    a = artefacts.load(path, "class-maps")
    return ClassMaps(
        a["fg_ids"].astype(np.int64),
        a["strided"].astype(np.float32),
        a["full"].astype(np.float32),
        float(a["threshold"]),
    )


def best_class(maps: ClassMaps) -> tuple[NDArray[np.int64], Maps]:
    """Return for every pixel the label (from 1) with the highest score, and the score."""
    if not len(maps.fg_ids):
        return np.zeros(maps.full.shape[1:], np.int64), np.zeros(maps.full.shape[1:], np.float32)
    best = maps.full.argmax(0)
    return maps.fg_ids[best] + 1, np.take_along_axis(maps.full, best[None], 0)[0]


def strided(full: Maps, stride: int) -> Maps:
    """Return class maps, (K, H, W), resized bilinearly to (K, ceil(H / stride), ceil(W / stride)).

    >>> strided(np.zeros((2, 9, 5), np.float32), 4).shape
    (2, 3, 2)
    """
    from torch import from_numpy
    from torch.nn import functional

    size = [-(-n // stride) for n in full.shape[1:]]
    if not len(full):
        return np.zeros((0, *size), np.float32)
    maps = from_numpy(np.ascontiguousarray(full, np.float32))[None]
    out: Maps = functional.interpolate(maps, size, mode="bilinear", align_corners=False)[0].numpy()
    return out
