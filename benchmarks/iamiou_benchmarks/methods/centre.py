"""Stage method `centre`: the trivial floor, one box in the middle of every image for the classes that it shows.

With ``inputs = ["cam"]`` every box has the area that the image's seeds cover, so that only the place is compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iamiou_benchmarks.cams.maps import ClassMaps, best_class, load_maps
from iamiou_benchmarks.cams.seeds import write_labels
from iamiou_benchmarks.stage.scoring import ids_of
from iamiou_benchmarks.stage.work import Work

VERSION = 1
INPUTS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """Options of the stage.

    Parameters
    ----------
    share : float
        Of the image's area that the box covers, where no stage gives seeds.
    """

    share: float = 0.3


def run(work: Work, options: Options) -> None:
    """Leave ``maps/ID.npz`` of train and dev, and score the boxes; the image's first class takes the box."""
    for image_id, path in work.each(ids_of(("train", "dev"), work.data), work.out / "maps", ".npz"):
        height, width = work.data.read(image_id).shape[:2]
        fg_ids = np.flatnonzero(work.data.multi_hot(image_id)).astype(np.int64)
        share = options.share
        if work.inputs:
            maps = load_maps(work.source / "maps" / f"{image_id}.npz")
            share = float((best_class(maps)[1] > maps.threshold).mean())
        box = centre_box(height, width, share)
        full = np.repeat(box[None], len(fg_ids), 0).astype(np.float32)
        ClassMaps(fg_ids, full[:, ::4, ::4], full, 0.5).save(path)
    work.score("train", "train", write_labels(work, 0.5, "seeds"))


def centre_box(height: int, width: int, share: float) -> np.ndarray:
    """Return a mask of the central box of an image's shape and this share of its area.

    >>> int(centre_box(10, 10, 0.36).sum())
    36
    """
    rows, columns = round(height * share**0.5), round(width * share**0.5)
    box = np.zeros((height, width), np.bool_)
    top, left = (height - rows) // 2, (width - columns) // 2
    box[top : top + rows, left : left + columns] = True
    return box
