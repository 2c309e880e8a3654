"""Batches: which images, cut and scaled how; all from (seed, iteration), so that any iteration can be made again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iamiou.errors import InputError
from iamiou.masks import read_label_map
from iamiou_benchmarks.datasets.data import DataSet, Image, resized
from iamiou_benchmarks.training import distributed

MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of ImageNet, for which weights of others were trained
STD = np.array([0.229, 0.224, 0.225], np.float32)
VOID = 255
T = TypeVar("T", bound=np.generic)
#: Images that are kept in memory once they are read.
_KEPT_BYTES = 2**30


@dataclass(frozen=True)
class Cut:
    """How an image becomes a training crop.

    Parameters
    ----------
    crop : int
        Side of the crop in pixels; smaller images are put at a random place on a ground of mean colour.
    low, high : float
        Range of the random scale; of the long side in pixels when above 16.
    flip : bool
        Mirror every second image.
    """

    crop: int
    low: float = 1.0
    high: float = 1.0
    flip: bool = True


def normalised(image: Image) -> NDArray[np.float32]:
    """Return an image as float32 (3, H, W) in units of ImageNet's deviation."""
    scaled = (image.astype(np.float32) / np.float32(255) - MEAN) / STD
    return scaled.transpose(2, 0, 1).astype(np.float32)


def scaled(image: Image, factor: float) -> Image:
    """Return a photograph `factor` times as large, at least one pixel high and wide."""
    height, width = image.shape[:2]
    return resized(image, max(1, round(height * factor)), max(1, round(width * factor)))


def cut(
    image: Image, label: NDArray[np.uint8] | None, rng: np.random.Generator, how: Cut
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Scale, mirror and crop an image and its label map together.

    Parameters
    ----------
    label : uint8 (height, width) or (height, width, 2), optional
        Two maps are cut alike.

    Returns
    -------
    image : float32 (3, crop, crop)
        Normalised; 0, the mean colour, where there is no image.
    label : uint8 (crop, crop) or (crop, crop, 2)
        255 where there is no image; without a label map 0 elsewhere.
    """
    height, width = image.shape[:2]
    scale = how.low + (how.high - how.low) * rng.random()
    if how.low > 16:
        scale /= max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    image = resized(image, *size)
    label = np.zeros(size, np.uint8) if label is None else resized(label, *size, nearest=True)
    if how.flip and rng.random() < 0.5:
        image, label = image[:, ::-1], label[:, ::-1]
    out = np.zeros((3, how.crop, how.crop), np.float32)
    out_label = np.full((how.crop, how.crop, *label.shape[2:]), VOID, np.uint8)
    source, target = zip(*(_window(n, how.crop, rng) for n in size), strict=True)
    out[(slice(None), *target)] = normalised(image[source])
    out_label[target] = label[source]
    return out, out_label


def _window(length: int, crop: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Return what to take along one side and where to put it."""
    if length > crop:
        start = int(rng.integers(0, length - crop + 1))
        return slice(start, start + crop), slice(0, crop)
    start = int(rng.integers(0, crop - length + 1))
    return slice(0, length), slice(start, start + length)


def sampler(
    data: DataSet,
    ids: Sequence[str],
    how: Cut,
    seed: int,
    batch: int,
    accumulate: int = 1,
    label: Callable[[str], NDArray[np.uint8]] | None = None,
) -> Callable[[int], list[dict[str, Tensor]]]:
    """Return a function that makes the micro-batches of an iteration, the next ones ahead of time.

    Each micro-batch has ``image`` (n, 3, crop, crop), ``label`` (n, crop, crop) and ``classes`` (n, C - 1). Every
    epoch is a new order of the images; with several processes each gets its part of every batch.

    Raises
    ------
    InputError
        If the batch cannot be parted among processes and micro-batches, or there is no image.
    """
    shares = accumulate * distributed.size()
    if batch % shares:
        raise InputError(f"A batch of {batch} cannot be parted into {shares} equal parts; see batch and accumulate.")
    if not ids:
        raise InputError("There are no images to train on; see the list of the split 'train'.")
    photographs = kept(data.read)
    labels = kept(label) if label else None

    @lru_cache(maxsize=2)
    def order(epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([seed, 1, epoch]).permutation(len(ids))

    def one(iteration: int, place: int) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
        epoch, at = divmod(iteration * batch + place, len(ids))
        image_id = ids[int(order(epoch)[at])]
        rng = np.random.default_rng([seed, 2, iteration, place])
        image, cropped = cut(photographs(image_id), labels(image_id) if labels else None, rng, how)
        return image, cropped, data.multi_hot(image_id)

    def make(iteration: int) -> list[dict[str, Tensor]]:
        size, names = batch // shares, ("image", "label", "classes")
        first = distributed.rank() * size * accumulate
        parts = [[one(iteration, first + k * size + n) for n in range(size)] for k in range(accumulate)]
        return [
            {name: torch.from_numpy(np.stack([made[k] for made in part])) for k, name in enumerate(names)}
            for part in parts
        ]

    return ahead(make)


def shrunk(labels: Tensor, stride: int) -> Tensor:
    """Bring label maps, (N, H, W) or (N, H, W, 2), to ceil(side / stride) by the nearest pixel."""
    half = stride // 2
    height, width = (-(-n // stride) for n in labels.shape[1:3])
    rows = torch.arange(height, device=labels.device).mul(stride).add(half).clamp(max=labels.shape[1] - 1)
    columns = torch.arange(width, device=labels.device).mul(stride).add(half).clamp(max=labels.shape[2] - 1)
    return labels[:, rows][:, :, columns]


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Read a label map that a stage has written."""
    return read_label_map(path.read_bytes(), path.name).astype(np.uint8)


def ahead(make: Callable[[int], list[dict[str, Tensor]]]) -> Callable[[int], list[dict[str, Tensor]]]:
    """Make the batch after the one that is asked for in a thread meanwhile."""
    pool = ThreadPoolExecutor(1)
    waiting: dict[int, Future[list[dict[str, Tensor]]]] = {}

    def get(iteration: int) -> list[dict[str, Tensor]]:
        future = waiting.pop(iteration, None) or pool.submit(make, iteration)
        waiting.clear()
        waiting[iteration + 1] = pool.submit(make, iteration + 1)
        return future.result()

    return get


def kept(read: Callable[[str], NDArray[T]]) -> Callable[[str], NDArray[T]]:
    """Keep what was read in memory, as long as it is not too much."""
    known: dict[str, NDArray[T]] = {}
    room = [_KEPT_BYTES]

    def get(image_id: str) -> NDArray[T]:
        if image_id in known:
            return known[image_id]
        value = read(image_id)
        if value.nbytes <= room[0]:
            room[0] -= value.nbytes
            known[image_id] = value
        return value

    return get
