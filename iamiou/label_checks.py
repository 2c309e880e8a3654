"""What a label map may be: two-dimensional, integer, in range; and the errors for those that are not.

Labels are counted in the narrowest of uint8, uint16 and int32 that holds them, as the kernel has no others.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou.big_maps import BigMap, Place
from iamiou.errors import ImageError, counted
from iamiou.labels import VOID_8BIT, VOID_16BIT

Map = NDArray[np.integer]

#: Instance ids above this are renumbered first: the kernel keeps a table as long as the largest id.
MOST_IDS = 1 << 20


def as_labels(labels: Map, name: str, role: str, largest: int = VOID_16BIT) -> Map:
    """Return the map as C-contiguous uint8, uint16 or int32; a wide dtype becomes the narrowest that holds it."""
    labels = np.asarray(labels)
    if not labels.dtype.isnative:
        labels = labels.astype(labels.dtype.newbyteorder("="))
    if labels.ndim != 2 or labels.size == 0:
        shape = " x ".join(map(str, labels.shape))
        raise ImageError("not-a-map", f"{role}s are no label map (height x width)", name, f"shape {shape or 'none'}")
    _check_sides(labels.shape, name, role)
    if labels.dtype in (np.uint8, np.uint16) and labels.flags.c_contiguous:
        return labels
    _check_integer(labels.dtype, name, role)
    dtype = _narrowest(labels.dtype, int(labels.min()), int(labels.max()), name, role, largest)
    return np.ascontiguousarray(labels, dtype)


def as_big_labels(labels: BigMap, name: str, role: str, largest: int = VOID_16BIT) -> BigMap:
    """Do the same for a map that is read by strips; a dtype that is not uint8 or uint16 costs a pass over it."""
    _check_sides(labels.shape, name, role)
    if labels.dtype in (np.uint8, np.uint16):
        return labels
    _check_integer(labels.dtype, name, role)
    low, high, _ = labels.extremes()
    return labels.narrowed(np.dtype(_narrowest(labels.dtype, low, high, name, role, largest)))


def size_differs(name: str, shape: tuple[int, ...], truth: tuple[int, ...], role: str) -> ImageError:
    """Build the error for a map of another size than its truth."""
    detail = "{} x {}, ground truth {} x {}".format(*shape, *truth)
    return ImageError(
        "size-differs", f"{role}s differ in size from the ground truth", name, detail, "Resize them first."
    )


def place_differs(name: str, place: Place, truth: Place) -> ImageError:
    """Build the warning for a map of another place than its truth."""
    what = "images have maps that are georeferenced differently"
    hint = "They are compared pixel by pixel as they are; make sure that they show the same area."
    return ImageError("georeference-differs", what, name, f"{place}, ground truth {truth}", hint)


def label_pixels(labels: Map | BigMap) -> dict[int, int]:
    """Count the pixels of every label, in order of the labels."""
    found: Counter[int] = Counter()
    for strip in labels.strips() if isinstance(labels, BigMap) else [labels]:
        values, pixels = np.unique(strip, return_counts=True)
        found.update(dict(zip(values.tolist(), pixels.tolist(), strict=True)))
    return dict(sorted(found.items()))


def foreign(labels: Map | BigMap, size: int, void: set[int]) -> str:
    """Name the labels of a map that are neither a class nor void."""
    bad = [(v, n) for v, n in label_pixels(labels).items() if v >= size and v not in void]
    return ", ".join(f"label {v} in {counted(n, 'pixel')}" for v, n in bad[:3]) + (" ..." if len(bad) > 3 else "")


def _check_sides(shape: tuple[int, ...], name: str, role: str) -> None:
    if max(shape) > 2**15:
        raise ImageError("too-large", f"{role}s are more than 32768 wide or high", name, f"{shape}")


def _check_integer(dtype: np.dtype[Any], name: str, role: str) -> None:
    if dtype != np.bool_ and not np.issubdtype(dtype, np.integer):
        hint = "Give class ids as integers: the argmax of the scores."
        raise ImageError("not-integer", f"{role}s are not integer", name, str(dtype), hint)


def _narrowest(dtype: np.dtype[Any], low: int, high: int, name: str, role: str, largest: int) -> type[np.integer]:
    if low < 0 or high > largest:
        detail = f"values {low} to {high}"
        raise ImageError("label-range", f"{role}s have values outside 0 to {largest}", name, detail)
    if high > VOID_16BIT:
        return np.int32
    return np.uint8 if high <= VOID_8BIT and dtype != np.uint16 else np.uint16
