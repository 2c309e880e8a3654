"""Paint the annotations of one COCO image into label maps: crowds are void, small instances lie on top."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from iamiou.coco import Rle, rle_boxes, rle_runs
from iamiou.labels import VOID_8BIT, VOID_16BIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Above this many instances, comparing all boxes with each other costs more than painting.
_MANY = 1000


class Mask(NamedTuple):
    """One annotation.

    Parameters
    ----------
    annotation : int
        Its id in the file.
    label : int
        Class.
    crowd : bool
        A region of many objects that were not told apart.
    area : int
        Pixels.
    counts : bytes
        Compressed run lengths.
    """

    annotation: int
    label: int
    crowd: bool
    area: int
    counts: bytes


@dataclass(frozen=True)
class Picture:
    """The annotations of one image in the order of painting.

    Parameters
    ----------
    height, width : int
        In pixels.
    masks : tuple of (int, Mask)
        Each with its instance id, 0 for a crowd.
    instances : int
        The largest instance id.
    """

    height: int
    width: int
    masks: tuple[tuple[int, Mask], ...] = ()
    instances: int = 0


def arrange(height: int, width: int, masks: Iterable[Mask]) -> Picture:
    """Put masks into the order of painting: crowds, then instances from the largest to the smallest.

    Of equally large instances the one with the higher annotation id comes later, and lies on top. Instance ids
    are 1 to n by increasing annotation id.

    Examples
    --------
    >>> small, large = Mask(7, 1, False, 4, b""), Mask(9, 2, False, 20, b"")
    >>> [(k, m.annotation) for k, m in arrange(5, 5, [small, large]).masks]
    [(2, 9), (1, 7)]
    """
    by_id = sorted(masks, key=lambda m: m.annotation)
    crowds = [(0, m) for m in by_id if m.crowd]
    instances = list(enumerate((m for m in by_id if not m.crowd), start=1))
    ordered = sorted(instances, key=lambda item: -item[1].area)
    return Picture(height, width, (*crowds, *ordered), len(instances))


def paint(picture: Picture, num_classes: int) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Paint a semantic and an instance map.

    Parameters
    ----------
    picture : Picture
    num_classes : int
        With up to 255 classes the semantic map has 8 bits, and 16 above.

    Returns
    -------
    semantic : uint8 or uint16 array, (height, width)
        0 where no mask is; void (255 or 65535) where only a crowd is.
    instance : uint8, uint16 or int32 array, (height, width)
        The narrowest that holds all ids beside void; int32, for more than 65,534 instances, has no void and
        is 0 in a crowd.
    """
    sem_dtype = np.uint8 if num_classes <= VOID_8BIT else np.uint16
    inst_dtype = np.uint8 if picture.instances < VOID_8BIT else np.uint16
    if picture.instances >= VOID_16BIT:
        inst_dtype = np.int32  # type: ignore[assignment]  # one of two dtypes
    sem_void = np.iinfo(sem_dtype).max
    inst_void = 0 if picture.instances >= VOID_16BIT else np.iinfo(inst_dtype).max
    pixels = picture.height * picture.width
    semantic, instance = np.zeros(pixels, sem_dtype), np.zeros(pixels, inst_dtype)
    for k, mask in picture.masks:
        label, number = (mask.label, k) if k else (sem_void, inst_void)
        for start, end in rle_runs(mask.counts):
            semantic[start:end] = label
            instance[start:end] = number
    columns = (picture.width, picture.height)  # run lengths go down the columns
    return np.ascontiguousarray(semantic.reshape(columns).T), np.ascontiguousarray(instance.reshape(columns).T)


def hidden(picture: Picture) -> list[Mask]:
    """Return the instances of which others leave no pixel to be seen, in the order of painting."""
    instances = [(k, m) for k, m in picture.masks if k]
    if not _may_hide(picture, [m for _, m in instances]):
        return []
    seen = np.zeros(picture.instances + 1, bool)
    alone = Picture(picture.height, picture.width, tuple(instances), picture.instances)  # without crowds, no void
    seen[paint(alone, VOID_16BIT)[1]] = True
    return [m for k, m in instances if not seen[k]]


def _may_hide(picture: Picture, masks: list[Mask]) -> bool:
    """Tell from boxes and areas whether an instance can be covered: much cheaper than painting every image."""
    if len(masks) > _MANY:
        return True
    if len(masks) < 2:
        return False
    rles: list[Rle] = [{"size": [picture.height, picture.width], "counts": m.counts} for m in masks]
    boxes, areas = rle_boxes(rles), [m.area for m in masks]
    left, top, right, bottom = boxes.T
    for k in range(len(masks) - 1):
        later = slice(k + 1, None)
        near = (left[later] < right[k]) & (right[later] > left[k]) & (top[later] < bottom[k]) & (bottom[later] > top[k])
        others = boxes[later][near]
        if len(others) == 0 or sum(np.array(areas[later])[near]) < areas[k]:
            continue
        (a, b), (c, d) = others[:, :2].min(axis=0), others[:, 2:].max(axis=0)
        if a <= left[k] and b <= top[k] and c >= right[k] and d >= bottom[k]:
            return True
    return False
