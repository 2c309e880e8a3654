"""Affinities between the pixels of a boundary map: which pairs, along which paths, how strong.

Ahn et al., Weakly Supervised Learning of Instance Segmentation with Inter-pixel Relations (IRN), CVPR 2019,
arXiv 1904.05044, eq. 3: a_ij = 1 - max of the boundary map over the pixels on the way from i to j.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

Offset = tuple[int, int]


@cache
def offsets(radius: int) -> tuple[Offset, ...]:
    """Return the pairs (dy, dx) below a distance, one of each two opposite ones.

    >>> len(offsets(5)), len(offsets(10))
    (34, 152)
    """
    row = [(0, x) for x in range(1, radius)]
    below = [(y, x) for y in range(1, radius) for x in range(1 - radius, radius) if x * x + y * y < radius * radius]
    return tuple(row + below)


@cache
def path(offset: Offset) -> tuple[Offset, ...]:
    """Return the pixels between (0, 0) and an offset, both included.

    They are those in the box around the line that are less than a pixel away from it.

    >>> path((1, 2))
    ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2))
    >>> path((0, 2))
    ((0, 0), (0, 1), (0, 2))
    """
    dy, dx = offset
    rows = range(min(0, dy), max(0, dy) + 1)
    columns = range(min(0, dx), max(0, dx) + 1)
    near = [(y, x) for y in rows for x in columns if (dy * x - dx * y) ** 2 < dy * dy + dx * dx]
    return tuple(near)


def affinities(boundary: Tensor, radius: int) -> Tensor:
    """Return the affinity of every pixel with the one at every offset.

    Parameters
    ----------
    boundary : float (N, H, W)
        From 0 to 1.

    Returns
    -------
    float (N, number of offsets, H, W)
        0 for pairs that leave the image.
    """
    height, width = boundary.shape[1:]
    r = radius - 1
    padded = functional.pad(boundary, (r, r, 0, r), value=1.0)

    def moved(step: Offset) -> Tensor:
        return padded[:, step[0] : step[0] + height, r + step[1] : r + step[1] + width]

    # torch.maximum in place of amax over a stack: the memory of a path's pixels is not needed at once.
    found = []
    for offset in offsets(radius):
        steps = path(offset)
        highest = moved(steps[0])
        for step in steps[1:]:
            highest = torch.maximum(highest, moved(step))
        found.append(1 - highest)
    return torch.stack(found, 1)


def partners(values: Tensor, radius: int, outside: float) -> Tensor:
    """Return for every pixel the value at every offset, (N, number of offsets, H, W)."""
    height, width = values.shape[1:]
    r = radius - 1
    padded = functional.pad(values, (r, r, 0, r), value=outside)
    return torch.stack([padded[:, y : y + height, r + x : r + x + width] for y, x in offsets(radius)], 1)


def walk(maps: Tensor, boundary: Tensor, *, radius: int = 5, beta: float = 10, steps: int = 256) -> Tensor:
    """Spread class maps by a random walk over a boundary map.

    IRN, eq. 8: R = (M (1 - B)) T^t, where T is the matrix of affinities to the power of beta (1 on the diagonal), each
    column divided by its sum, and t = 2^8. The published program squares the dense matrix eight times, which takes
    a gigabyte for an image of 500 pixels; here the maps are multiplied t times with the matrix, which has at most
    2 x 34 + 1 entries a column: a sum over offsets. The result is the same.

    Parameters
    ----------
    maps : float (K, H, W)
    boundary : float (H, W)

    Returns
    -------
    float (K, H, W)
    """
    height, width = boundary.shape
    # Hundreds of products in single precision would drift by more than 1e-6.
    kind, maps, boundary = maps.dtype, maps.double(), boundary.double()
    weight = affinities(boundary[None], radius)[0].pow(beta)
    r = radius - 1
    padded = functional.pad(weight, (r, r, r, r))
    pairs: list[tuple[Offset, Tensor]] = []
    for (y, x), mine, moved in zip(offsets(radius), weight, padded, strict=True):
        pairs.append(((y, x), mine))
        pairs.append(((-y, -x), moved[r - y : r - y + height, r - x : r - x + width]))
    total = torch.stack([w for _, w in pairs]).sum(0) + 1
    pairs = [(step, (w / total).contiguous()) for step, w in pairs]
    stay = 1 / total
    now = functional.pad(maps * (1 - boundary), (r, r, r, r))
    inner = (slice(None), slice(r, r + height), slice(r, r + width))
    for _ in range(steps):
        out = now[inner] * stay
        for (y, x), w in pairs:
            out.addcmul_(now[:, r + y : r + y + height, r + x : r + x + width], w)
        now[inner] = out
    return now[inner].to(kind)
