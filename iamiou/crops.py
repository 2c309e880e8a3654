"""Worst and best instances of a report as small pictures, with outlines of truth and prediction."""

from __future__ import annotations

import base64
import io
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iamiou.counts import AREA, CLASS, ID, IMAGE, TP
from iamiou.errors import ImageError
from iamiou.outlines import outline
from iamiou.scores import bin_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from iamiou.report import Report

#: Longest side of an embedded picture; a larger crop is shrunk to it.
SIDE = 192
#: Shortest side of a crop, so that a tiny object is seen with its surroundings.
LEAST = 40
#: Share of the object's extent in the side of its crop.
FILL = 0.62
SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")

Maps = Callable[[str], tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]


@dataclass(frozen=True)
class Pick:
    """One instance chosen to be shown.

    Parameters
    ----------
    image : str
        Image id.
    label, instance : int
        Class and instance id in the truth.
    area, hit : int
        Pixels of the instance, and those of them that were predicted as its class.
    iou : float
        Its IA-IoU.
    """

    image: str
    label: int
    instance: int
    area: int
    hit: int
    iou: float


@dataclass(frozen=True)
class Crop:
    """A picture around an instance; the outlines are SVG paths in its pixels.

    Parameters
    ----------
    width, height : int
        Size of the embedded picture.
    picture : str
        ``data:`` address of a PNG.
    is_photo : bool
        False where the picture is drawn from the masks.
    truth, prediction : str
        Path data of the instance, and of everything near it that was predicted as its class.
    taken_for : int
        The label that was predicted for most of its pixels.
    """

    width: int
    height: int
    picture: str
    is_photo: bool
    truth: str
    prediction: str
    taken_for: int


def pick(report: Report, size_bin: int, many: int, *, best: bool) -> list[Pick]:
    """Choose the worst or best instances of one size bin, over as many classes as possible.

    Instances are taken in order of IA-IoU, the larger first among equals; a class comes a second time only when every
    class has come once, and an image is shown once as long as others are left.

    Parameters
    ----------
    report : Report
    size_bin : int
        Index of the bin, 0 for the smallest.
    many : int
        How many to choose at most; at most half of the bin's instances are taken.
    best : bool
        Highest instead of lowest IA-IoU.
    """
    mine = bin_of(report.counts.instances[:, AREA], report.bins) == size_bin
    rows, iou = report.counts.instances[mine], report.counts.iou()[mine]
    order = np.lexsort((rows[:, ID], rows[:, IMAGE], -rows[:, AREA], -iou if best else iou))
    many = min(many, (len(rows) + (0 if best else 1)) // 2)
    chosen: set[int] = set()  # places in the order
    classes: Counter[int] = Counter()
    images: Counter[int] = Counter()
    for again in range(many):  # in round n a class and an image may come for the (n + 1)th time
        for place, (image, label) in enumerate(rows[order][:, [IMAGE, CLASS]].tolist()):
            if len(chosen) == many:
                break
            if place not in chosen and classes[label] <= again and images[image] <= again:
                chosen.add(place)
                classes[label] += 1
                images[image] += 1
    return [
        Pick(
            report.counts.images[rows[k, IMAGE]],
            label=int(rows[k, CLASS]),
            instance=int(rows[k, ID]),
            area=int(rows[k, AREA]),
            hit=int(rows[k, TP]),
            iou=float(iou[k]),
        )
        for k in order[sorted(chosen)]
    ]


def crop(
    instance: NDArray[np.bool_],
    objects: NDArray[np.bool_],
    prediction: NDArray[Any],
    label: int,
    photo: Image | None = None,
) -> Crop:
    """Cut a square around an instance and trace the outlines.

    Parameters
    ----------
    instance, objects : ndarray of bool, shape (H, W)
        The instance, and all instances of the truth whatever their class.
    prediction : ndarray of int, shape (H, W)
    label : int
        Class of the instance.
    photo : PIL.Image.Image or None
        The photograph, of any size; without it the masks are drawn.
    """
    top, bottom, left, right = window(instance)
    part = (slice(top, bottom), slice(left, right))
    shrink = max(1.0, max(bottom - top, right - left) / SIDE)
    height, width = max(1, round((bottom - top) / shrink)), max(1, round((right - left) / shrink))
    mask, others, predicted = (_sample(m[part], height, width) for m in (instance, objects, prediction))
    if photo is None:
        picture = _drawing(mask, others)
    else:
        picture = _cutout(photo, instance.shape, (left, top, right, bottom), (width, height))
    labels, pixels = np.unique(prediction[instance], return_counts=True)
    taken_for = int(labels[pixels.argmax()])
    return Crop(width, height, picture, photo is not None, outline(mask), outline(predicted == label), taken_for)


def window(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return (top, bottom, left, right) of a square around a mask, moved into the image.

    >>> mask = np.zeros((100, 200), bool)
    >>> mask[2:4, 100:110] = True
    >>> window(mask)
    (0, 40, 85, 125)
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = max(LEAST, int(np.ceil(extent / FILL)))
    ends: list[int] = []
    for at, size in ((rows, mask.shape[0]), (columns, mask.shape[1])):
        start = int(at[0] + at[-1] + 1 - side) // 2
        start = max(0, min(start, size - side))
        ends += [start, min(size, start + side)]
    return ends[0], ends[1], ends[2], ends[3]


def _sample(mask: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Shrink a map to the nearest pixels."""
    rows = ((np.arange(height) + 0.5) * mask.shape[0] / height).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * mask.shape[1] / width).astype(np.int64)
    return mask[np.ix_(rows, columns)]


def _drawing(instance: NDArray[np.bool_], objects: NDArray[np.bool_]) -> str:
    """Draw masks in half-transparent grey, so that the page's own background, light or dark, shines through."""
    from PIL.Image import fromarray

    picture = fromarray(objects.astype(np.uint8) + instance.astype(np.uint8))
    picture.putpalette([128, 138, 150] * 3)
    return _png(picture, transparency=bytes([20, 70, 130]))


def _cutout(photo: Image, shape: tuple[int, ...], box: tuple[int, int, int, int], size: tuple[int, int]) -> str:
    """Cut a box, given in pixels of the mask, out of a photograph of any size; few colours keep the page small."""
    from PIL.Image import Quantize, Resampling

    fx, fy = photo.width / shape[1], photo.height / shape[0]
    area = (box[0] * fx, box[1] * fy, box[2] * fx, box[3] * fy)
    small = photo.convert("RGB").resize(size, Resampling.BICUBIC, box=area, reducing_gap=3.0)
    return _png(small.quantize(128, Quantize.MEDIANCUT))


def _png(picture: Image, **options: Any) -> str:
    """Return a picture as the ``data:`` address of a PNG."""
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True, **options)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def open_photo(folder: str | Path, image: str) -> Image | None:
    """Open the photograph of an image id; None where there is none that can be read."""
    from PIL.Image import DecompressionBombError
    from PIL.Image import open as open_image

    for suffix in SUFFIXES:
        path = Path(folder) / f"{image}{suffix}"
        if not path.is_file():
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a large photograph of the user's own is no attack
                photo = open_image(path)
                photo.load()
        except (OSError, ValueError, SyntaxError, DecompressionBombError):
            return None
        return photo
    return None


def crops(picks: Sequence[Pick], maps: Maps, images: str | Path | None) -> list[Crop | None]:
    """Read the maps of the picks and cut each out.

    Parameters
    ----------
    picks : sequence of Pick
    maps : callable
        Image id -> (semantic, instance, prediction), each of shape (H, W).
    images : path or None
        Folder of photographs named by image id.

    Returns
    -------
    list of Crop or None
        None where a map could not be read any more.
    """
    out: list[Crop | None] = []
    for p in picks:
        try:
            semantic, instance, prediction = maps(p.image)
        except ImageError:
            out.append(None)
            continue
        void = 255 if semantic.dtype == np.uint8 else 65535
        mask = (instance == p.instance) & (semantic != void)
        objects = (instance > 0) & (semantic > 0) & (semantic != void)
        photo = open_photo(images, p.image) if images is not None else None
        out.append(crop(mask, objects, prediction, p.label, photo) if mask.any() else None)
    return out
