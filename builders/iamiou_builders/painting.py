"""A resolved image -> its semantic and its instance map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iamiou.coco import rle_runs
from iamiou.labels import VOID_8BIT, VOID_16BIT
from iamiou_builders.model import Resolved


def paint(resolved: Resolved) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | NDArray[np.uint16]]:
    """Paint the pieces of an image, one over the other.

    Parameters
    ----------
    resolved : Resolved

    Returns
    -------
    semantic : uint8 array, (height, width)
        0 background, 1..C classes, 255 void.
    instance : uint8 or uint16 array, (height, width)
        0 background, 1..n the instances in the order of `Resolved.instances`; void is 255, or 65535 in the 16 bits
        that more than 254 instances need.

    Examples
    --------
    >>> from iamiou_builders.model import Picture, Piece
    >>> picture = Picture(9, "9.jpg", 1, 8, "val", None, "", "")
    >>> sofa = Piece(18, b"054", 5, "coco", 1, visible=3)
    >>> crowd = Piece(0, b"332", 3, "coco", 2, visible=3, flags=("crowd",))
    >>> semantic, instance = paint(Resolved(picture, (sofa, crowd)))
    >>> semantic.tolist(), instance.tolist()
    ([[18, 18, 18, 255, 255, 255, 0, 0]], [[1, 1, 1, 255, 255, 255, 0, 0]])
    """
    picture = resolved.picture
    count = len(resolved.instances)
    if count >= VOID_16BIT:
        raise ValueError(f"image {picture.name} has {count} instances, more than 16-bit instance maps hold")
    dtype, void = (np.uint8, VOID_8BIT) if count < VOID_8BIT else (np.uint16, VOID_16BIT)
    pixels = picture.height * picture.width
    semantic, instance = np.zeros(pixels, np.uint8), np.zeros(pixels, dtype)
    number = 0
    for piece in resolved.pieces:
        number += piece.label > 0
        label, identity = (piece.label, number) if piece.label else (VOID_8BIT, void)
        for start, end in rle_runs(piece.counts):
            semantic[start:end] = label
            instance[start:end] = identity
    columns = (picture.width, picture.height)  # run lengths go down the columns
    return np.ascontiguousarray(semantic.reshape(columns).T), np.ascontiguousarray(instance.reshape(columns).T)
