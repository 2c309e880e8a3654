"""COCO segmentations: polygons and run lengths -> checked, compressed run lengths -> masks.

Run lengths (RLE) go down the columns, zeros first; compressed ones are text, see `rle_counts`. Files come from
strangers and pycocotools trusts what it is given, so everything is proved here before C code sees it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from iamiou.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Rle(TypedDict):
    """Compressed run lengths as pycocotools has them: ``size`` is [height, width]."""

    size: list[int]
    counts: bytes


#: pycocotools takes memory in proportion to the outline of a polygon: about 120 bytes a pixel.
_LONGEST_OUTLINE = 2**22
#: Characters of 5 bits each that hold any run of an image of 2^30 pixels, with its sign.
_LONGEST_NUMBER = 7


def segmentation_to_rle(segmentation: Any, height: int, width: int, name: str = "a mask") -> Rle:
    """Make run lengths out of any segmentation that COCO json has: polygons, run lengths, compressed ones.

    Parameters
    ----------
    segmentation : list or dict
        As it stands in the json; nothing about it is taken for granted.
    height, width : int
        Size of the image, in pixels.
    name : str
        Whose mask it is, for the error.

    Returns
    -------
    dict
        ``{"size": [height, width], "counts": bytes}``; the runs fill the image exactly.

    Raises
    ------
    ImageError
        Of kind "no-mask", "broken-polygon", "rle-size" or "broken-rle".

    Examples
    --------
    >>> rle_area(segmentation_to_rle([[1, 1, 4, 1, 4, 3, 1, 3]], 5, 5))
    6
    >>> segmentation_to_rle({"size": [2, 3], "counts": [1, 2, 3]}, 2, 3)
    {'size': [2, 3], 'counts': b'123'}
    """
    if not segmentation or not isinstance(segmentation, (list, dict)):
        hint = "Give polygons or run lengths; boxes alone do not tell the pixels."
        raise ImageError("no-mask", "annotations have no mask", name, "", hint)
    if isinstance(segmentation, list):
        return _of_polygons(segmentation, height, width, name)
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        detail = f"{_size(size)}, image {height} x {width}"
        hint = "The size of run lengths is [height, width] of the image."
        raise ImageError("rle-size", "masks are of another size than the image", name, detail, hint)
    if isinstance(counts, list):
        whole = all(type(c) is int and abs(c) < 2**32 for c in counts)
        return _encoded(_proven(np.array(counts, np.int64) if whole else None, height, width, name), height, width)
    text = counts.encode() if isinstance(counts, str) else counts if isinstance(counts, bytes) else b""
    runs = _proven(rle_counts(text), height, width, name)
    if (runs[1:] == 0).any():  # boxes of pycocotools would reach to empty runs
        return _encoded(runs, height, width)
    return {"size": [height, width], "counts": text}


def rle_counts(text: bytes) -> NDArray[np.int64] | None:
    """Read compressed run lengths.

    Each character from ``0`` to ``o`` holds 5 bits and whether more follow, lowest bits first, in two's
    complement; from the fourth number on, they are differences to the last but one.

    Returns
    -------
    int64 array or None
        Runs of zeros and ones in turn, as they stand, so maybe negative; None if the text is none.

    Examples
    --------
    >>> rle_counts(b"123"), rle_counts(b"P")
    (array([1, 2, 3]), None)
    """
    bits = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not len(bits) or bits.min() < 0 or bits.max() > 63 or bits[-1] & 32:
        return None
    ends = np.flatnonzero(bits < 32)
    starts = np.append(0, ends[:-1] + 1)
    lengths = ends - starts + 1
    if lengths.max() > _LONGEST_NUMBER:
        return None
    place = np.arange(len(bits)) - np.repeat(starts, lengths)
    counts = np.add.reduceat((bits & 31) << 5 * place, starts)
    counts -= np.where(bits[ends] & 16, 1 << 5 * lengths, 0)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts


def rle_runs(counts: bytes) -> zip[tuple[int, int]]:
    """Return first and last pixel (exclusive) of each run of ones, counted down the columns.

    >>> list(rle_runs(b"123"))
    [(1, 3)]
    """
    lengths = rle_counts(counts)
    assert lengths is not None, "run lengths come from segmentation_to_rle"
    ends = np.cumsum(lengths)
    return zip(ends[:-1:2].tolist(), ends[1::2].tolist(), strict=True)


def rle_area(rle: Rle) -> int:
    """Return the number of pixels of run lengths from `segmentation_to_rle`."""
    from pycocotools.mask import area

    return int(area(rle))


def rle_to_mask(rle: Rle) -> NDArray[np.uint8]:
    """Decode run lengths from `segmentation_to_rle`.

    Returns
    -------
    uint8 array, (height, width)
        1 inside the mask, 0 outside; in Fortran order.

    Examples
    --------
    >>> rle_to_mask({"size": [2, 3], "counts": b"123"}).tolist()
    [[0, 1, 0], [1, 0, 0]]
    """
    height, width = rle["size"]
    mask = np.zeros(height * width, np.uint8)
    for start, end in rle_runs(rle["counts"]):
        mask[start:end] = 1
    return mask.reshape(width, height).T


def rle_boxes(rles: list[Rle]) -> NDArray[np.int64]:
    """Return the boxes of run lengths from `segmentation_to_rle`.

    Returns
    -------
    int64 array, (n, 4)
        Left, top, right, bottom; the last two exclusive. All zero for an empty mask.
    """
    from pycocotools.mask import toBbox

    boxes: NDArray[np.int64] = np.reshape(toBbox(rles), (-1, 4)).astype(np.int64)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _of_polygons(polygons: list[Any], height: int, width: int, name: str) -> Rle:
    from pycocotools.mask import frPyObjects, merge

    reach = max(height, width)
    for polygon in polygons:
        # A list of 4 numbers would be taken for a box.
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            detail = f"{len(polygon)} coordinates" if isinstance(polygon, list) else f"{polygon!r:.20} for a polygon"
            raise _broken_polygon(name, detail)
        try:
            points = np.array(polygon)
        except ValueError:  # lists of unequal length in it
            points = np.array(None)
        if points.ndim != 1 or points.dtype.kind not in "iuf" or not np.isfinite(points).all():
            raise _broken_polygon(name, "coordinates that are no numbers")
        if points.min() < -reach or points.max() > 2 * reach:
            raise _broken_polygon(name, f"coordinates far outside the image, {points.min():g} to {points.max():g}")
    # No edge is longer than 3 * reach, so that the outline of nearly all need not be measured.
    if 3 * reach * sum(map(len, polygons)) // 2 > _LONGEST_OUTLINE and (o := _outline(polygons)) > _LONGEST_OUTLINE:
        raise _broken_polygon(name, f"an outline of {o:.0f} pixels")
    rles = frPyObjects(polygons, height, width)
    rle: Rle = rles[0] if len(rles) == 1 else merge(rles)
    return rle


def _outline(polygons: list[list[float]]) -> float:
    corners = [np.array(p, float).reshape(-1, 2) for p in polygons]
    return sum(float(np.abs(c - np.roll(c, 1, axis=0)).max(axis=1).sum()) for c in corners)


def _encoded(runs: NDArray[np.int64], height: int, width: int) -> Rle:
    from pycocotools.mask import encode

    pixels = np.repeat((np.arange(len(runs)) % 2).astype(np.uint8), runs)
    rle: Rle = encode(pixels.reshape(width, height).T)
    return rle


def _proven(runs: NDArray[np.int64] | None, height: int, width: int, name: str) -> NDArray[np.int64]:
    """Return the runs if they fill the image exactly."""
    if runs is None:
        detail = "they cannot be read"
    elif runs.min(initial=0) < 0:
        detail = "a run is negative"
    elif (covered := int(runs.sum())) != height * width:
        detail = f"{covered} pixels, image {height * width}"
    else:
        return runs
    hint = "Write them again with pycocotools.mask.encode."
    raise ImageError("broken-rle", "masks have run lengths that do not fill the image", name, detail, hint)


def _size(size: Any) -> str:
    if isinstance(size, list) and len(size) == 2 and all(type(s) is int for s in size):
        return f"{size[0]} x {size[1]}"
    return "no size"


def _broken_polygon(name: str, detail: str) -> ImageError:
    hint = "A polygon is [x1, y1, x2, y2, x3, y3, ...], 3 points or more, in pixels of the image."
    return ImageError("broken-polygon", "masks have a polygon that is none", name, detail, hint)
