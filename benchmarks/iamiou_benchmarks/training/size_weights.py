"""L_sw: cross-entropy whose pixels weigh the more, the smaller their component of the pseudo-mask is.

Mun et al., Small Objects Matters in Weakly-supervised Semantic Segmentation, WACV 2024, arXiv 2309.14117: in an image
with foreground area S_fg, a pixel of a component of filled area S weighs w = min(tau, S_fg / S), one of the
background 1; L_sw = sum of w CE / sum of w over all pixels of the batch that are not void.

Deviation from the released program: there, the pixels of a hole and the rim around it get a weight of their own by
the area of the hole's outline; here, only the pixels of components are weighted, so the two differ on masks with
holes alone.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from iamiou.pairs import ground_truth_components

VOID = 255


def size_weights(
    labels: NDArray[np.uint8], tau: float, objects: NDArray[np.uint8] | None = None
) -> NDArray[np.float32]:
    """Return the weight of every pixel of a batch of pseudo-masks.

    Parameters
    ----------
    labels : uint8 (N, H, W)
        0 background, 255 void.
    tau : float
        The largest weight.
    objects : uint8 (N, H, W), optional
        Numbers of the true objects, 0 and 255 where there is none: S and S_fg are theirs in place of those of the
        pseudo-masks, and a foreground pixel outside of all true objects weighs 1.

    Returns
    -------
    float32 (N, H, W)
        0 where void.

    Examples
    --------
    A component of 3 pixels and one of 1 pixel: 4 / 3 and min(2, 4 / 1).

    >>> size_weights(np.array([[[1, 1, 1, 0, 2]]], np.uint8), 2)
    array([[[1.3333334, 1.3333334, 1.3333334, 1.       , 2.       ]]],
          dtype=float32)
    """
    measured = labels if objects is None else objects
    objects = np.where(measured == VOID, 0, measured)
    # One tall map with a row of background between the images: one call of the kernel for the whole batch.
    tall = np.pad(objects, ((0, 0), (0, 1), (0, 0))).reshape(-1, labels.shape[2])
    component = ground_truth_components(tall)
    area = filled_areas(component).astype(np.float64)
    component = component.reshape(len(labels), -1, labels.shape[2])[:, :-1]
    foreground = (objects > 0).sum((1, 2))[:, None, None]
    weight = np.minimum(tau, foreground / area[component])
    counted = (objects > 0) & (labels > 0)
    out: NDArray[np.float32] = np.where(labels == VOID, 0, np.where(counted, weight, 1)).astype(np.float32)
    return out


def filled_areas(component: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the pixels of every component with its holes filled; number 0, the background, has area 1.

    A hole is what is not of the component, and cannot reach the outside by its four neighbours without crossing it.

    >>> ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.int32)
    >>> filled_areas(ring).tolist()
    [1, 9]
    """
    area: NDArray[np.int64] = np.bincount(component.ravel()).astype(np.int64)
    area[0] = 1
    if len(area) == 1:
        return area
    rows, columns = np.nonzero(component)
    ids = component[rows, columns]
    box = np.full((4, len(area)), -1)
    for k, (where, least) in enumerate(((rows, True), (rows, False), (columns, True), (columns, False))):
        order = np.argsort(-where if least else where, kind="stable")
        box[k, ids[order]] = where[order]  # the last one written is the extreme one
    holes = np.zeros_like(area)
    height, width = box[1] - box[0] + 1, box[3] - box[2] + 1
    # Three rows and columns are the least that can surround something, and a full box surrounds nothing.
    open_ones = (np.minimum(height, width) >= 3) & (area < height * width) & (np.arange(len(area)) > 0)
    for k in np.flatnonzero(open_ones).tolist():
        inside = component[box[0, k] : box[1, k] + 1, box[2, k] : box[3, k] + 1] != k
        outside = ground_truth_components(np.pad(inside, 1, constant_values=True).astype(np.uint8), 4)
        holes[k] = int(np.count_nonzero(outside > 1))  # component 1 begins at the corner: it is the outside
    return area + holes


def weighted_cross_entropy(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the sum over pixels of w CE, a scalar.

    Parameters
    ----------
    scores : float (N, C, H, W)
    labels : int64 (N, H, W)
        255 counts nothing.
    weights : float (N, H, W)
        All 1 gives the plain cross-entropy.
    """
    each = functional.cross_entropy(scores, labels, ignore_index=VOID, reduction="none")
    return (each * weights).sum()


def weights_of(labels: Tensor, tau: float, objects: Tensor | None = None) -> Tensor:
    """Return `size_weights` of tensors, on their device; tau 0 gives plain cross-entropy's weights."""
    if not tau:
        return (labels != VOID).float()
    arrays = [None if t is None else t.to(torch.uint8).cpu().numpy() for t in (labels, objects)]
    assert arrays[0] is not None
    return torch.from_numpy(size_weights(arrays[0], tau, arrays[1])).to(labels.device)
