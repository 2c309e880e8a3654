"""Dense CRF, where pydensecrf2 is installed (the extra ``crf``).

Krähenbühl and Koltun, NeurIPS 2011, arXiv 1210.5644; constants of IRN's code base for labels, of DeepLab's for
probabilities.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import InputError
from iamiou_benchmarks.datasets.data import Image

_SURE = 0.7


def of_labels(image: Image, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Refine a label map: its labels are taken as right with probability 0.7; 10 iterations.

    An image of one label alone stays as it is.
    """
    present, inverse = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        return labels
    other = -np.log((1 - _SURE) / (len(present) - 1))
    unary = np.full((len(present), labels.size), other, np.float32)
    unary[inverse.ravel(), np.arange(labels.size)] = -np.log(_SURE)
    found = _infer(image, unary, position=(3, 3), colour=(50, 5, 10), iterations=10)
    out: NDArray[np.uint8] = present[found.argmax(0)].reshape(labels.shape).astype(np.uint8)
    return out


def of_probabilities(image: Image, scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Refine class probabilities (C, H, W)."""
    unary = -np.log(np.maximum(scores, 1e-8)).reshape(len(scores), -1).astype(np.float32)
    return _infer(image, unary, position=(1, 3), colour=(67, 3, 4), iterations=10).reshape(scores.shape)


def _infer(
    image: Image,
    unary: NDArray[np.float32],
    *,
    position: tuple[float, float],
    colour: tuple[float, float, float],
    iterations: int,
) -> NDArray[np.float32]:
    """Run mean-field inference: (sxy, weight) of the smoothness, (sxy, srgb, weight) of the appearance kernel."""
    crf: Any = _module().DenseCRF2D(image.shape[1], image.shape[0], len(unary))
    crf.setUnaryEnergy(np.ascontiguousarray(unary))
    crf.addPairwiseGaussian(sxy=position[0], compat=position[1])
    crf.addPairwiseBilateral(sxy=colour[0], srgb=colour[1], rgbim=np.ascontiguousarray(image), compat=colour[2])
    return np.array(crf.inference(iterations), np.float32)


def require() -> None:
    """Refuse to begin without the extra that a CRF needs.

    Raises
    ------
    InputError
        If it is not installed.
    """
    _module()


def _module() -> Any:
    from importlib import import_module

    try:
        return import_module("pydensecrf.densecrf")
    except ImportError as e:
        raise InputError("crf = true needs pydensecrf2; type: pip install 'iamiou[crf]', or set crf = false.") from e
