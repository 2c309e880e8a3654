"""Hypothesis strategies for label maps: what the world draws, and what breaks a union-find.

A `Case` is one image: prediction, semantic truth, instance truth, all of the same small size. Kinds of map:
noise, blobs, nested rings, checkerboard, spiral, comb; the truth also gets void bands and ids with gaps.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

LabelMap = NDArray[np.integer]
#: Labels in the maps of this module; 0 is background.
NUM_CLASSES = 4
VOID = 255


@dataclass(frozen=True)
class Case:
    """One image, with the void value of its truth (255 in 8-bit maps, 65535 in 16-bit maps)."""

    pred: LabelMap
    semantic: LabelMap
    instance: LabelMap
    void: int = VOID

    def map(self, change) -> Case:
        """Return the case with `change` applied to each of its maps."""
        return replace(self, pred=change(self.pred), semantic=change(self.semantic), instance=change(self.instance))


def checkerboard(height: int, width: int, cell: int = 1) -> NDArray[np.bool_]:
    """Return squares that touch at corners only: one 8-component, as many 4-components as cells."""
    rows, columns = np.indices((height, width)) // cell
    return (rows + columns) % 2 == 0


def spiral(height: int, width: int) -> NDArray[np.bool_]:
    """Return a path of one pixel that winds inwards without touching itself: one component, both ways.

    >>> spiral(5, 6).astype(int)
    array([[1, 1, 1, 1, 1, 1],
           [0, 0, 0, 0, 0, 1],
           [1, 1, 1, 1, 0, 1],
           [1, 0, 0, 0, 0, 1],
           [1, 1, 1, 1, 1, 1]])
    """
    mask = np.zeros((height, width), dtype=bool)
    row, column, before = 0, -1, 0
    for turn in itertools.count():
        length = height - turn if turn % 2 else width - max(0, turn - 1)
        if length < 1 or (turn > 1 and before < 2):  # a step of one leaves no gap to turn back into
            break
        down, right = ((0, 1), (1, 0), (0, -1), (-1, 0))[turn % 4]
        ends = sorted([row + down, row + down * length]), sorted([column + right, column + right * length])
        mask[ends[0][0] : ends[0][1] + 1, ends[1][0] : ends[1][1] + 1] = True
        row, column, before = row + down * length, column + right * length, length
    return mask


def comb(height: int, width: int) -> NDArray[np.bool_]:
    """Return teeth of one pixel that meet in the last row only.

    Every tooth is a component of its own until that row is read; then all labels merge at once.
    """
    mask = np.zeros((height, width), dtype=bool)
    mask[:, ::2] = True
    mask[-1] = True
    return mask


def rings(height: int, width: int, gap: int = 2, shift: int = 0) -> NDArray[np.intp]:
    """Return nested frames numbered from the outside, the outermost being 0."""
    rows, columns = np.indices((height, width))
    return (np.minimum.reduce([rows, columns, height - 1 - rows, width - 1 - columns]) + shift) // gap


def diamonds(height: int, width: int, gap: int = 2, shift: int = 0) -> NDArray[np.intp]:
    """Return nested diamonds numbered from the middle; at ``gap=1`` their walls hang together at corners only.

    >>> diamonds(3, 6, gap=1)
    array([[4, 3, 2, 1, 2, 3],
           [3, 2, 1, 0, 1, 2],
           [4, 3, 2, 1, 2, 3]])
    """
    rows, columns = np.indices((height, width))
    return (abs(rows - height // 2) + abs(columns - width // 2) + shift) // gap


@st.composite
def shapes(draw: st.DrawFn, most: int = 14) -> tuple[int, int]:
    """Draw (height, width); one in three images is thin."""
    if draw(st.integers(0, 2)):
        least = draw(st.sampled_from([1, most // 2]))
        return draw(st.integers(least, most)), draw(st.integers(least, most))
    thin, long = draw(st.integers(1, 2)), draw(st.integers(1, 3 * most))
    return (thin, long) if draw(st.booleans()) else (long, thin)


def noise(shape: tuple[int, int], labels: int) -> st.SearchStrategy[LabelMap]:
    """Independent labels at every pixel; sparse, as Hypothesis fills what it does not draw."""
    return hnp.arrays(np.uint8, shape, elements=st.integers(0, labels - 1), fill=st.integers(0, labels - 1))


@st.composite
def dense_noise(draw: st.DrawFn, shape: tuple[int, int], labels: int) -> LabelMap:
    """Independent labels at every pixel, no label preferred."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.integers(0, labels, shape).astype(np.uint8)


@st.composite
def blobs(draw: st.DrawFn, shape: tuple[int, int], labels: int) -> LabelMap:
    """Rectangles and ellipses painted over one another."""
    height, width = shape
    out = np.zeros(shape, dtype=np.uint8)
    rows, columns = np.indices(shape)
    for _ in range(draw(st.integers(0, 6))):
        label = draw(st.integers(0, labels - 1))
        r, c = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        h, w = draw(st.integers(1, height)), draw(st.integers(1, width))
        if draw(st.booleans()):
            out[r : r + h, c : c + w] = label
        else:
            out[((rows - r) / h) ** 2 + ((columns - c) / w) ** 2 <= 0.5] = label
    return out


@st.composite
def nested(draw: st.DrawFn, shape: tuple[int, int], labels: int) -> LabelMap:
    """Frames in frames or diamonds in diamonds, of a few classes in turn, now and then broken by a stray pixel."""
    table = np.array(draw(st.permutations(range(labels))), dtype=np.uint8)[: draw(st.integers(2, labels))]
    kind = draw(st.sampled_from([rings, diamonds]))
    frames = kind(*shape, gap=draw(st.integers(1, 2)), shift=draw(st.integers(0, 3)))
    out = table[frames % len(table)]
    for _ in range(draw(st.integers(0, 3))):
        out[draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))] = draw(st.integers(0, labels - 1))
    return out


@st.composite
def adversarial(draw: st.DrawFn, shape: tuple[int, int], labels: int) -> LabelMap:
    """Checkerboard, spiral or comb of two classes, in any of the eight positions."""
    kind = draw(st.sampled_from([checkerboard, spiral, comb]))
    turned = draw(st.booleans())
    mask = kind(*(shape[::-1] if turned else shape))
    mask = mask.T if turned else mask
    mask = mask[:: draw(st.sampled_from([1, -1])), :: draw(st.sampled_from([1, -1]))]
    one, other = draw(st.integers(0, labels - 1)), draw(st.integers(0, labels - 1))
    return np.where(mask, np.uint8(one), np.uint8(other))


def label_maps(shape: tuple[int, int], labels: int = NUM_CLASSES) -> st.SearchStrategy[LabelMap]:
    """Any of the kinds of map above, without void."""
    kinds = (noise, dense_noise, blobs, nested, nested, adversarial)
    return st.one_of(*(kind(shape, labels) for kind in kinds))


@st.composite
def instance_maps(draw: st.DrawFn, semantic: LabelMap, void: int = VOID) -> LabelMap:
    """Instance ids with gaps for a semantic map: agreeing with it, or (now and then) not."""
    dtype = np.uint8 if void == 255 else np.uint16
    pieces = draw(label_maps(semantic.shape, 3))
    parts = semantic.astype(np.int64) * 3 + pieces if draw(st.integers(0, 3)) else pieces.astype(np.int64) + 3
    size = int(parts.max()) + 1
    ids = draw(st.lists(st.integers(1, void - 2), min_size=size, max_size=size, unique=True))
    table = np.array(ids, dtype=dtype)  # 254 in 8 bits has a test of its own
    without = draw(st.sampled_from([0, 3, 4]))  # 3: background has no instance; 4: nor has a piece of class 1
    table[:without] = 0
    return table[parts]


@st.composite
def with_void(draw: st.DrawFn, labels: LabelMap, void: int) -> LabelMap:
    """Paint bands and pixels of void over a map."""
    out = labels.copy()
    height, width = out.shape
    for _ in range(draw(st.integers(0, 2))):
        start, size = draw(st.integers(0, max(height, width) - 1)), draw(st.integers(1, 3))
        if draw(st.booleans()):
            out[start : start + size] = void
        else:
            out[:, start : start + size] = void
    if draw(st.booleans()):
        out[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = void
    return out


@st.composite
def predictions(draw: st.DrawFn, semantic: LabelMap) -> LabelMap:
    """Anything, or the truth shifted by a few pixels with a patch of something else."""
    if draw(st.booleans()):
        return draw(label_maps(semantic.shape))
    out = np.roll(semantic, (draw(st.integers(-2, 2)), draw(st.integers(-2, 2))), axis=(0, 1)).astype(np.uint8)
    row, column = draw(st.integers(0, out.shape[0] - 1)), draw(st.integers(0, out.shape[1] - 1))
    size = draw(st.integers(0, 4))
    out[row : row + size, column : column + size] = draw(st.integers(0, NUM_CLASSES - 1))
    return out


@st.composite
def cases(draw: st.DrawFn, void: int = VOID, most: int = 14) -> Case:
    """Draw one image; ``void=65535`` gives 16-bit truth maps whose ids go beyond 254."""
    clean = draw(label_maps(draw(shapes(most))))
    instance = draw(instance_maps(clean, void))
    pred = draw(predictions(clean))
    semantic = clean if void == VOID else clean.astype(np.uint16)
    return Case(pred, draw(with_void(semantic, void)), draw(with_void(instance, void)), void)
