"""Batches of tensors as a training loop has them -> one array an image, on the host."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import numpy as np
import torch
from torch import Tensor

from iamiou.errors import ImageError, InputError, counted
from iamiou.labels import VOID_8BIT, VOID_16BIT
from iamiou.pairs import Map

#: A batch of maps of one size, or a list of maps of any size.
Maps = Tensor | Sequence[Tensor]


def arrays(maps: Maps, role: str, num_classes: int, *, scores: bool = False) -> list[Map]:
    """Return one array an image, on the host.

    Parameters
    ----------
    maps : tensor or list of tensors
        Labels: integer (B, H, W), or a list of (H, W), on any device.
    role : str
        What the user calls them, for messages.
    num_classes : int
        C, background included.
    scores : bool
        The maps may also be scores of the classes: floating point (B, C, H, W), or a list of (C, H, W).

    Returns
    -------
    list of integer arrays, (H, W)

    Raises
    ------
    InputError
        If type, shape or dtype is another, or a score is NaN.

    Examples
    --------
    >>> arrays(torch.tensor([[[[0.1, 0.9]], [[0.5, 0.5]]]], dtype=torch.float16), "preds", 2, scores=True)
    [array([[1, 0]], dtype=uint8)]
    """
    whole = isinstance(maps, Tensor)
    wanted = "a tensor (B, H, W) or a list of tensors (H, W)"
    if scores:
        wanted += f", or scores (B, {num_classes}, H, W) or a list of ({num_classes}, H, W)"
    parts = [maps] if isinstance(maps, Tensor) else maps
    if not isinstance(parts, Sequence) or not all(isinstance(part, Tensor) for part in parts):
        raise InputError(f"{role} is {type(maps).__name__}; give {wanted}.")
    out: list[Map] = []
    for given in parts:
        part = given.detach()
        if scores and part.ndim == 3 + whole:
            part = _winners(part, role, num_classes)
        elif part.ndim != 2 + whole:
            raise InputError(f"{role} has shape {tuple(part.shape)}; give {wanted}.")
        elif part.is_floating_point() or part.is_complex():
            raise InputError(f"{role} is {part.dtype} of shape {tuple(part.shape)}; give integers, {wanted}.")
        array = part.cpu().numpy()
        out += list(array) if whole else [array]
    return out


def _winners(scores: Tensor, role: str, num_classes: int) -> Tensor:
    """Return the class with the largest score, (..., C, H, W) to (..., H, W); the first of equals."""
    if scores.shape[-3] != num_classes or not scores.is_floating_point():
        raise InputError(
            f"{role} is {scores.dtype} of shape {tuple(scores.shape)}; scores are floating point and of "
            f"{num_classes} classes, like the class list."
        )
    best, labels = scores.max(dim=-3)
    broken = int(best.isnan().sum())
    if broken:
        raise InputError(f"{role} has NaN among the scores of {counted(broken, 'pixel')}; nothing can be chosen there.")
    return labels.to(torch.uint8 if num_classes <= VOID_8BIT else torch.int32)


def names_of(image_ids: Sequence[str | int] | Tensor) -> list[str]:
    """Return image ids as the library has them, strings.

    Raises
    ------
    InputError
        If they are no list of str or int, and no integer tensor (B,).

    Examples
    --------
    >>> names_of(torch.tensor([7, 8])), names_of(["2007_000033"])
    (['7', '8'], ['2007_000033'])
    """
    ids = image_ids.tolist() if isinstance(image_ids, Tensor) else image_ids
    if isinstance(ids, str) or not isinstance(ids, Sequence) or not all(isinstance(i, str | Integral) for i in ids):
        raise InputError("image_ids is no list of names; give one str or int an image, or an integer tensor (B,).")
    return [str(i) for i in ids]


def with_void(labels: Map, name: str, num_classes: int, ignore_index: int | None) -> Map:
    """Mark void in a map of the truth as the library does in 16 bits, where 8 bits would not say it.

    Parameters
    ----------
    labels : integer array, (H, W)
        Classes or instance ids.
    name : str
        The image, for the message.
    num_classes : int
        From 256 on, 255 is a class, also where the dtype is wide and no label is larger.
    ignore_index : int, optional
        The label that means void in this map.

    Raises
    ------
    ImageError
        If there is void and labels do not fit 16 bits.

    Examples
    --------
    >>> with_void(np.array([[0, 255, -1]]), "a", 21, -1), with_void(np.array([[0, 255]]), "a", 21, None)
    (array([[    0,   255, 65535]], dtype=uint16), array([[  0, 255]]))
    """
    void = None if ignore_index is None else labels == ignore_index
    if void is None and (labels.itemsize <= 2 or num_classes <= VOID_8BIT):
        return labels
    if void is not None and void.any():
        labels = np.where(void, VOID_16BIT, labels.astype(np.int64))
        if labels.max() > VOID_16BIT:
            hint = "Number the instances from 1 on."
            raise ImageError("no-room", f"maps have void and labels above {VOID_16BIT}", name, "", hint)
    fits = labels.min(initial=0) >= 0 and labels.max(initial=0) <= VOID_16BIT
    return labels.astype(np.uint16) if fits else labels
