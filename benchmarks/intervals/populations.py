"""Populations of images that data sets are drawn from: generated ones, and real predictions where there are some."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import iamiou
from iamiou.counts import Counts, sort_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: How many of 1,458 images of PASCAL VOC 2012 show each class, aeroplane to tvmonitor.
_IMAGES_WITH = np.array([95, 69, 117, 66, 75, 63, 102, 142, 126, 65, 61, 135, 72, 74, 365, 73, 53, 86, 90, 83])
#: Mean logarithm of the area of their instances, in pixels.
_LOG_AREA = np.array(
    [9.2, 8.5, 8.7, 8.8, 8.3, 10.0, 8.9, 10.3, 8.4, 9.4, 10.2, 9.9, 9.8, 9.9, 8.9, 8.2, 8.8, 10.1, 10.3, 9.5]
)
_CANVAS = 375 * 500
_NUM_CLASSES = 21

#: Shift of the logarithm of all areas: VOC's mix of sizes (8 % small, 43 % medium, 49 % large), and one with
#: many small objects, like COCO's (34 %, 51 %, 16 %).
SHIFTS = {"like VOC": 0.0, "many small": -1.6}


@dataclass(frozen=True)
class Scenes:
    """The ground truth of a population: one entry an instance, and how hard its image, class and self are."""

    num_images: int
    image: Ints
    label: Ints
    area: Ints
    hard_image: Floats
    hard_class: Floats
    hard_self: Floats


def make_scenes(num_images: int, shift: float, rng: np.random.Generator) -> Scenes:
    """Draw which classes an image shows, how often, and how large; sizes of an image go together."""
    frequency = _IMAGES_WITH / 1458
    shows = rng.random((num_images, frequency.size)) < frequency
    empty = np.flatnonzero(~shows.any(axis=1))
    shows[empty, rng.choice(frequency.size, empty.size, p=frequency / frequency.sum())] = True
    of_image, of_class = np.nonzero(shows)
    number = np.minimum(rng.geometric(0.6, of_image.size), 12)
    image, label, crowd = (np.repeat(x, number) for x in (of_image, of_class + 1, number))
    log_area = _LOG_AREA[label - 1] + shift + 0.2 - 0.35 * np.sqrt(crowd - 1)
    log_area += rng.normal(0, 0.5, num_images)[image] + rng.normal(0, 1.25, image.size)
    area = np.clip(np.exp(log_area), 20, 110_000)
    full = np.bincount(image, area, num_images) / (0.8 * _CANVAS)
    area = np.maximum(20, area / np.maximum(1, full)[image]).astype(np.int64)
    return Scenes(
        num_images,
        image,
        label,
        area,
        rng.normal(0, 0.5, num_images),
        rng.normal(0, 0.5, _NUM_CLASSES),
        rng.normal(0, 0.5, image.size),
    )


def predict(scenes: Scenes, prefix: str, rng: np.random.Generator, small: float = 0.0) -> Counts:
    """Count the predictions of an imaginary model.

    Parameters
    ----------
    scenes : Scenes
    prefix : str
        Image ids start with it.
    rng : numpy.random.Generator
    small : float
        Skill with small objects beyond the usual, in logits.

    Returns
    -------
    Counts
        Small instances are missed outright by a chance that falls with the area, the others get an IoU that
        rises with it; error is split between missed and wrong pixels; now and then a class appears out of nowhere.
    """
    n, image, label, area = scenes.num_images, scenes.image, scenes.label, scenes.area
    size = np.log(area / 3000.0)
    luck = scenes.hard_image + rng.normal(0, 0.4, n)
    help_small = small * np.clip(-size, 0, 2)
    missed = _logistic(-2.0 - 1.15 * size - scenes.hard_class[label] - 0.6 * luck[image] - help_small)
    logit = 1.2 + 0.5 * size + 0.6 * scenes.hard_class[label] + 0.7 * luck[image] + scenes.hard_self
    iou = _logistic(logit + 0.5 * help_small + rng.normal(0, 0.6, area.size))
    iou[rng.random(area.size) < missed] = 0.0
    wrong = 0.7 * rng.beta(0.6, 0.6, area.size)  # share of the error that lies outside the instance
    error = area * (1 - iou) / (1 - wrong + iou * wrong)
    tp = np.clip(np.rint(area - (1 - wrong) * error), 0, area).astype(np.int64)
    fp = np.rint(wrong * error).astype(np.int64)
    truth, hit, prediction = np.zeros((3, n, _NUM_CLASSES), np.int64)
    for table, pixels in ((truth, area), (hit, tp), (prediction, tp + fp)):
        np.add.at(table, (image, label), pixels)
    ghost, of = np.nonzero(rng.random((n, _NUM_CLASSES - 1)) < 0.03)
    np.add.at(prediction, (ghost, of + 1), np.exp(rng.normal(5, 1.5, ghost.size)).astype(np.int64))
    truth[:, 0] = _CANVAS - truth.sum(axis=1)
    hit[:, 0] = np.maximum(0, truth[:, 0] - (prediction - hit).sum(axis=1))
    prediction[:, 0] = hit[:, 0] + (truth - hit)[:, 1:].sum(axis=1)
    rows = np.stack([image, np.arange(area.size) + 1, label, area, tp, fp, tp > 0], axis=1)
    names = tuple(f"{prefix}{k:06}" for k in range(n))
    return Counts(
        _NUM_CLASSES,
        names,
        np.diag(hit.sum(axis=0)),
        truth,
        prediction,
        hit,
        sort_rows(rows),
        np.zeros((0, 3), np.int64),
    )


def _logistic(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)), np.float64)


def real_populations(folder: Path) -> dict[str, Counts]:
    """Score the real predictions on PASCAL VOC 2012 that the folder holds."""
    voc = folder / "voc"
    runs = {
        "DINOv3, 209 real images": ("voc_dinov3_pspnet", "pred_dinov3_instances.txt"),
        "Mask R-CNN, 47 real images": ("voc_maskrcnn", "pred_maskrcnn_instances.txt"),
    }
    return {
        name: iamiou.evaluate(
            folder / "predictions" / predictions,
            semantic=voc / "SegmentationClass",
            instances=voc / "SegmentationObject_derived",
            list_file=voc / "ImageSets" / images,
            bootstrap=0,
        ).counts
        for name, (predictions, images) in runs.items()
    }
