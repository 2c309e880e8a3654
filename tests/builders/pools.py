"""Seeded pools of the shape of COCO: objects of VOC's 20 classes, their sizes, and how they stand together.

Images and instances per class are those of COCO train2017 (public counts), scaled to the size of the pool. How large
the objects are, which classes share an image and how unevenly instances spread over images is assumed; the shares of
small objects follow what 292 real images show. A generated pool tests the selection; it says nothing about COCO.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iamiou_builders.model import Candidates

COCO_TRAIN = 118_287
SCENES = ("street", "home", "pasture", "water", "other")
WEIGHTS = (0.26, 0.34, 0.10, 0.08, 0.22)

# class: images and instances in COCO train2017, mean of log2 of the side in pixels, share of its images by scene
SHAPES: dict[str, tuple[int, int, float, tuple[float, ...]]] = {
    "aeroplane": (2986, 5135, 6.3, (0.05, 0.01, 0.04, 0.1, 0.8)),
    "bicycle": (3252, 7113, 5.8, (0.75, 0.05, 0.05, 0.05, 0.1)),
    "bird": (3237, 10806, 5.4, (0.1, 0.05, 0.2, 0.45, 0.2)),
    "boat": (3025, 10759, 5.3, (0.1, 0.01, 0.04, 0.75, 0.1)),
    "bottle": (8501, 24342, 4.9, (0.06, 0.8, 0.01, 0.03, 0.1)),
    "bus": (3952, 6069, 6.7, (0.9, 0.01, 0.01, 0.03, 0.05)),
    "car": (12251, 43867, 4.9, (0.8, 0.03, 0.05, 0.04, 0.08)),
    "cat": (4114, 4768, 7.1, (0.05, 0.8, 0.05, 0.01, 0.09)),
    "chair": (12774, 38491, 5.5, (0.08, 0.75, 0.02, 0.05, 0.1)),
    "cow": (1968, 8147, 5.8, (0.07, 0.01, 0.85, 0.02, 0.05)),
    "diningtable": (11837, 15714, 6.8, (0.05, 0.83, 0.01, 0.01, 0.1)),
    "dog": (4385, 5508, 6.7, (0.2, 0.4, 0.2, 0.1, 0.1)),
    "horse": (2941, 6587, 6.4, (0.2, 0.01, 0.7, 0.04, 0.05)),
    "motorbike": (3502, 8725, 6.1, (0.85, 0.02, 0.03, 0.01, 0.09)),
    "person": (64115, 262465, 5.8, (0.34, 0.26, 0.06, 0.08, 0.26)),
    "pottedplant": (4452, 8652, 5.7, (0.12, 0.75, 0.02, 0.02, 0.09)),
    "sheep": (1529, 9509, 5.6, (0.03, 0.01, 0.92, 0.02, 0.02)),
    "sofa": (4423, 5779, 6.9, (0.03, 0.9, 0.01, 0.01, 0.05)),
    "train": (3588, 4571, 7.2, (0.55, 0.01, 0.09, 0.05, 0.3)),
    "tvmonitor": (4561, 5805, 6.2, (0.04, 0.86, 0.0, 0.01, 0.09)),
}
BINS = (32**2, 96**2)
SMALLEST, LARGEST = 16, 250_000  # pixels


@dataclass(frozen=True)
class Objects:
    """Objects of a generated pool, in the order of their images.

    Parameters
    ----------
    ids : int64 array, (n,)
        Numbers of the images, increasing.
    image, label, area : int64 arrays, (m,)
        Place of the object's image in ``ids``; class 1..20; pixels.
    """

    ids: NDArray[np.int64]
    image: NDArray[np.int64]
    label: NDArray[np.int64]
    area: NDArray[np.int64]


def make_objects(images: int = 20_000, seed: int = 0) -> Objects:
    """Draw the objects of a pool."""
    rng = np.random.default_rng([seed, images])
    ids = np.sort(rng.choice(580_000, images, replace=False)) + 1
    scene = rng.choice(len(SCENES), images, p=WEIGHTS)
    parts = []
    for label, (shown, number, side, share) in enumerate(SHAPES.values(), 1):
        chance = np.minimum(shown / COCO_TRAIN * np.array(share) / WEIGHTS, 0.97)
        where = np.flatnonzero(rng.random(images) < chance[scene])
        more = rng.negative_binomial(0.5, 0.5 / (0.5 + number / shown - 1), where.size)
        count = np.minimum(1 + more, 60)
        # Objects of one image resemble one another in size, and many of a class are smaller than one.
        shared = side + 0.35 - 0.35 * np.log2(count) + rng.normal(0, 0.95, where.size)
        image = np.repeat(where, count)
        area = 4 ** (np.repeat(shared, count) + rng.normal(0, 0.8, image.size))
        parts.append((image, np.full(image.size, label), np.clip(area, SMALLEST, LARGEST).astype(np.int64)))
    image, label, area = (np.concatenate(p) for p in zip(*parts, strict=True))
    order = np.argsort(image, kind="stable")
    return Objects(ids, image[order], label[order], area[order])


def make_pool(images: int = 20_000, seed: int = 0) -> Candidates:
    """Return the candidates of a generated pool, images without an object of the 20 classes included."""
    objects = make_objects(images, seed)
    counts = np.zeros((images, len(SHAPES), 3), np.int64)
    np.add.at(counts, (objects.image, objects.label - 1, np.digitize(objects.area, BINS)), 1)
    return Candidates(objects.ids, counts, tuple(SHAPES), ("S", "M", "L"))
