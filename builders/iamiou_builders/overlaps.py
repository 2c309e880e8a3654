"""How the masks of one image lie over one another, from run lengths alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from iamiou.coco import Rle

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rles_of(counts: Sequence[bytes], height: int, width: int) -> list[Rle]:
    """Give run lengths the size that pycocotools wants beside them."""
    size = [height, width]
    return [{"size": size, "counts": c} for c in counts]


def intersections(rles: Sequence[Rle], areas: Sequence[int]) -> NDArray[np.int64]:
    """Count the pixels that any two masks share.

    Parameters
    ----------
    rles : sequence of dict
        Checked run lengths of one size.
    areas : sequence of int
        Their pixels.

    Returns
    -------
    int64 array, (n, n)
        Symmetric; the areas on the diagonal. pycocotools compares boxes first, so that only masks whose boxes
        overlap cost time.

    Examples
    --------
    >>> from iamiou.coco import segmentation_to_rle
    >>> masks = [{"size": [1, 8], "counts": [0, 5, 3]}, {"size": [1, 8], "counts": [3, 4, 1]}]
    >>> intersections([segmentation_to_rle(m, 1, 8) for m in masks], [5, 4]).tolist()
    [[5, 2], [2, 4]]
    """
    from pycocotools.mask import iou

    if not rles:
        return np.zeros((0, 0), np.int64)
    ratios: NDArray[np.float64] = np.asarray(iou(list(rles), list(rles), [0] * len(rles)))
    sums = np.add.outer(np.array(areas, np.int64), np.array(areas, np.int64))
    # IoU = i / (sum - i), where i and sum are whole numbers below 2^31: rounding gives i back exactly.
    return np.rint(ratios * sums / (1 + ratios)).astype(np.int64)


def ious(shared: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the IoU of any two masks from `intersections`."""
    areas = shared.diagonal()
    result: NDArray[np.float64] = shared / (np.add.outer(areas, areas) - shared)
    return result


def united(rles: Sequence[Rle]) -> Rle:
    """Return the union of masks."""
    from pycocotools.mask import merge

    whole: Rle = rles[0] if len(rles) == 1 else merge(list(rles))
    return whole


def shared_pixels(rle: Rle, others: Sequence[Rle]) -> int:
    """Count the pixels of a mask that lie in any of the others."""
    from pycocotools.mask import area, merge

    return int(area(merge([rle, united(others)], intersect=True)))
