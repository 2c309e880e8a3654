"""Scale scheduling: training begins on small copies of images and masks, and ends on the originals.

ORANDNet, AAAI EIW 2024, arXiv 2406.19638, trains its segmentation network so, for what is small in pseudo-masks is more
often wrong; sizes and length of its steps are not published.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from iamiou.errors import InputError
from iamiou_benchmarks.datasets.data import DataSet, Image, resized
from iamiou_benchmarks.training.batches import Cut

Sample = Callable[[int], list[dict[str, Tensor]]]
MASKS = ("majority", "nearest")


def check_phases(phases: tuple[tuple[float, ...], ...], masks: str) -> None:
    """Refuse phases that are none.

    Raises
    ------
    InputError
        With what is wrong.

    Examples
    --------
    >>> check_phases(((0.5, 0.25), (1.0, 0.25)), "majority")
    Traceback (most recent call last):
    ...
    iamiou.errors.InputError: The shares of the phases add up to 0.5; they are shares of the iterations, 1 in all.
    """
    if masks not in MASKS:
        raise InputError(f"Masks of phases cannot be made by '{masks}'; it can be {' or '.join(MASKS)}.")
    if any(len(p) != 2 or not 0 < p[0] <= 1 or p[1] <= 0 for p in phases):
        raise InputError("A phase is a pair of a scale, above 0 and at most 1, and a share of the iterations.")
    if phases and abs(sum(p[1] for p in phases) - 1) > 1e-6:
        total = sum(p[1] for p in phases)
        raise InputError(f"The shares of the phases add up to {total:g}; they are shares of the iterations, 1 in all.")


def phased(make: Callable[[float], Sample], phases: tuple[tuple[float, ...], ...], iterations: int) -> Sample:
    """Return a sampler that takes each batch from the sampler of its phase's scale.

    Parameters
    ----------
    make : callable
        ``make(scale)`` gives a sampler; that of one phase at a time is kept.
    phases : tuple of (scale, share)
        None at all is one phase at scale 1.
    iterations : int
        Of the whole training.
    """
    phases = phases or ((1.0, 1.0),)
    stops = [round(iterations * share) for share in accumulate(p[1] for p in phases)]

    @lru_cache(maxsize=1)
    def of(number: int) -> Sample:
        return make(phases[number][0])

    def sample(iteration: int) -> list[dict[str, Tensor]]:
        return of(min(bisect_right(stops, iteration), len(phases) - 1))(iteration)

    return sample


def scaled_cut(how: Cut, scale: float) -> Cut:
    """Return the crop of a phase; lengths of the long side are scaled with it.

    >>> scaled_cut(Cut(48, 0.75, 1.25), 0.5)
    Cut(crop=24, low=0.75, high=1.25, flip=True)
    """
    crop = max(1, round(how.crop * scale))
    if scale < 1 and how.low > 16:  # pixels, see Cut
        return replace(how, crop=crop, low=max(how.low * scale, 17.0), high=max(how.high * scale, 17.0))
    return replace(how, crop=crop)


def scaled_data(data: DataSet, scale: float) -> DataSet:
    """Return a data set whose images are smaller; at scale 1 itself."""
    if scale == 1:
        return data

    def read(image_id: str) -> Image:
        image = data.read(image_id)
        return resized_smoothly(image, *scaled_size(image.shape, scale))

    return replace(data, read=read)


def scaled_labels(
    label: Callable[[str], NDArray[np.uint8]], scale: float, masks: str
) -> Callable[[str], NDArray[np.uint8]]:
    """Return a function that gives smaller copies of the label maps that another one gives; at scale 1 itself."""
    if scale == 1:
        return label
    return lambda image_id: scaled_mask(label(image_id), scale, masks)


def resized_smoothly(image: Image, height: int, width: int) -> Image:
    """Resize a photograph bilinearly; every pixel below a new one counts, so that nothing fine flickers."""
    from PIL import Image as Pillow

    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Pillow.fromarray(image).resize((width, height), Pillow.Resampling.BILINEAR))


def scaled_size(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Return the sides of a smaller copy, at least 1 pixel each."""
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def scaled_mask(label: NDArray[np.uint8], scale: float, masks: str = "majority") -> NDArray[np.uint8]:
    """Return a smaller copy of a label map.

    With ``"majority"`` a pixel takes the label that covers most of its ground, of equal ones the lowest; 255 is a label
    like any other there, and stays 255. So a component alone in its surroundings, smaller than (1 / scale) ** 2 / 2
    pixels, is gone.

    Parameters
    ----------
    label : uint8 (height, width) or (height, width, 2)
        Two maps are scaled one by one.

    Examples
    --------
    >>> dot = np.zeros((4, 4), np.uint8); dot[1, 1] = 7
    >>> scaled_mask(dot, 0.5).tolist()
    [[0, 0], [0, 0]]
    """
    size = scaled_size(label.shape, scale)
    if masks == "nearest":
        return resized(label, *size, nearest=True)
    if label.ndim == 3:
        return np.stack([scaled_mask(label[..., k], scale, masks) for k in range(label.shape[2])], 2)
    rows, columns = overlaps(label.shape[0], size[0]), overlaps(label.shape[1], size[1])
    present = np.unique(label)
    ground = np.stack([rows @ (label == value).astype(np.int64) @ columns.T for value in present])
    out: NDArray[np.uint8] = present[ground.argmax(0)]
    return out


def overlaps(old: int, new: int) -> NDArray[np.int64]:
    """Return how far each new pixel of a side lies over each old one, (new, old), in units of 1 / new old pixels.

    >>> overlaps(3, 2).tolist()
    [[2, 1, 0], [0, 1, 2]]
    """
    mine, theirs = np.arange(new)[:, None] * old, np.arange(old)[None] * new
    out: NDArray[np.int64] = np.maximum(0, np.minimum(mine + old, theirs + new) - np.maximum(mine, theirs))
    return out
