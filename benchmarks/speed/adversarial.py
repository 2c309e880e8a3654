"""Maps that make component labelling slow when it is done badly: (prediction, class map, instance map)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def _against_stripes(prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put a truth of 50 upright bars of class 1 beside the prediction, so that every component meets several."""
    size = len(prediction)
    bar = np.arange(size) * 100 // size
    instance = np.where(bar % 2, bar // 2 + 1, 0).astype(np.uint8)
    instance = np.ascontiguousarray(np.broadcast_to(instance, (size, size)))
    return prediction.astype(np.uint8), (instance > 0).astype(np.uint8), instance


def checkerboard(size: int) -> np.ndarray:
    return np.indices((size, size)).sum(axis=0) % 2


def dots(size: int) -> np.ndarray:
    """Make every other pixel of every other row a component: 65,536 of them at 512 pixels."""
    labels = np.zeros((size, size))
    labels[::2, ::2] = 1
    return labels


def comb(size: int) -> np.ndarray:
    """Make teeth that meet only in the last row: every column is a set of its own until the end."""
    labels = np.zeros((size, size))
    labels[:, ::2] = 1
    labels[-1] = 1
    return labels


def rings(size: int) -> np.ndarray:
    """Put squares inside squares: the nested rule joins all of them."""
    y, x = np.indices((size, size))
    return np.minimum(np.minimum(x, y), np.minimum(size - 1 - x, size - 1 - y)) // 2 % 2


def spiral(size: int) -> np.ndarray:
    """Wind one arm of one pixel to the middle, with a gap of one pixel."""
    labels = np.zeros((size, size), np.uint8)
    top, left, bottom, right = 0, 0, size - 1, size - 1
    labels[0, :] = 1
    while right - left > 3 and bottom - top > 3:
        labels[top : bottom + 1, right] = 1
        labels[bottom, left : right + 1] = 1
        labels[top + 2 : bottom + 1, left] = 1
        labels[top + 2, left : right - 1] = 1
        top, left, bottom, right = top + 2, left + 2, bottom - 2, right - 2
    return labels


def noise(size: int) -> np.ndarray:
    """Give every pixel any of 21 classes."""
    return np.random.default_rng(0).integers(0, 21, (size, size))


def _maker(draw: Callable[[int], np.ndarray]) -> Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return lambda size: _against_stripes(draw(size))


MAPS = {draw.__name__: _maker(draw) for draw in (checkerboard, dots, comb, rings, spiral, noise)}
