"""`shapes`: seeded scenes that hold, as knobs, what makes weakly supervised segmentation hard.

Classes come in pairs. Both of a pair have the same body (outline and material) and differ only in a small mark, so
an image label is best explained by the mark, and the body is shared between a frequent and a rare class. Only
additions, multiplications, divisions, comparisons and square roots of float64 make the pixels, element by element:
all are exactly rounded, so that the same knobs give the same pixels on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.uint8]

#: Pairs of classes with one body: the frequent one and the rare one.
NAMES = ("disk", "eye", "box", "crate", "wedge", "sail", "cross", "kite")
_TRIES = 24


@dataclass(frozen=True)
class Knobs:
    """What a data set of scenes is like.

    Parameters
    ----------
    side : int
        Height and width of the images, in pixels.
    classes : int
        How many of `NAMES`, in pairs.
    train, dev, test : int
        Images a split.
    tail : float
        How much rarer each pair's second class is: it is drawn ``1 / (1 + tail)`` as often; 0 balances the classes.
    company : float
        Chance that an object is joined by one of a fixed other class.
    context : float
        Chance that the background is the one that goes with the first object's class.
    most : int
        Most objects an image; their number is uniform.
    smallest, largest : float
        Diameters of objects, as shares of `side`.
    small : int
        How much the sizes lean to the small end, but for one object an image; 0 makes all diameters uniform.
    mark : float
        Diameter of the mark, as a share of the object's.
    occlusion : float
        Largest share of an object that a later one may cover.
    ragged : float
        Depth of the dents in the outlines at the same area; 0 for smooth ones.
    clutter : int
        Most patches of the objects' materials in the background that belong to no object.
    grain : int
        Largest noise of a pixel.

    Examples
    --------
    >>> Knobs(side=32, classes=4, train=2, dev=1, test=1).names
    ('background', 'disk', 'eye', 'box', 'crate')
    """

    side: int
    classes: int
    train: int
    dev: int
    test: int
    tail: float = 2.0
    company: float = 0.3
    context: float = 0.5
    most: int = 4
    smallest: float = 0.1
    largest: float = 0.6
    small: int = 1
    mark: float = 0.5
    occlusion: float = 0.3
    ragged: float = 0.0
    clutter: int = 3
    grain: int = 14

    @property
    def names(self) -> tuple[str, ...]:
        """The class names, background first."""
        return ("background", *NAMES[: self.classes])

    @property
    def bins(self) -> tuple[int, int]:
        """Sides that part small, medium and large objects: the same shares of the image for every `side`."""
        return round(self.side * 0.2), round(self.side * 0.3)


PRESETS = {
    "tiny": Knobs(side=64, classes=4, train=240, dev=40, test=60, tail=1.0, most=3, smallest=0.16),
    "small": Knobs(side=64, classes=6, train=1200, dev=200, test=300, tail=1.5, smallest=0.16, mark=0.62, clutter=2),
    "large": Knobs(side=256, classes=8, train=4000, dev=400, test=800),
}
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Scene:
    """One image, uint8 (side, side, 3), with its class map and instance map, uint8 (side, side)."""

    image: Labels
    semantic: Labels
    instance: Labels


def scene(knobs: Knobs, seed: int, split: str, number: int) -> Scene:
    """Draw one scene; it depends on nothing but the arguments.

    Examples
    --------
    >>> s = scene(PRESETS["tiny"], 0, "train", 0)
    >>> s.image.shape, sorted(set(s.semantic[s.instance == 1].tolist()))[-1] > 0
    ((64, 64, 3), True)
    """
    rng = np.random.Generator(np.random.PCG64([seed, SPLITS.index(split), number]))
    classes = _draw_classes(rng, knobs)
    pixels = _background(rng, knobs, classes[0])
    for _ in range(int(rng.integers(0, knobs.clutter + 1))):
        family = int(rng.integers(0, knobs.classes // 2))
        blob, u, v = _outline(rng, knobs, int(rng.integers(0, 4)), _diameter(rng, knobs, knobs.small) * 0.7)
        _paint(pixels, blob < 1, _material(rng, family, u, v))
    semantic, instance = np.zeros((2, knobs.side, knobs.side), np.uint8)
    # The first is the subject and may be large; large ones are painted first, so that small ones stay visible.
    sizes = sorted((_diameter(rng, knobs, 0 if k == 0 else knobs.small) for k in range(len(classes))), reverse=True)
    for label, size in zip(classes, sizes, strict=True):
        family, rare = divmod(label - 1, 2)
        outline, u, v = _place(rng, knobs, family, size, instance)
        body = outline < 1
        if not body.any():
            continue
        _paint(pixels, body, _material(rng, family, u, v))
        _paint(pixels, body & _mark_region(rng, knobs, u, v), _mark(rng, rare, u, v))
        semantic[body], instance[body] = label, instance.max() + 1
    return Scene(_develop(rng, knobs, pixels), semantic, _renumber(instance))


def _draw_classes(rng: np.random.Generator, knobs: Knobs) -> list[int]:
    """Draw the classes of a scene's objects, labels from 1; the first one decides the background."""
    weights = [1.0 if k % 2 == 0 else 1 / (1 + knobs.tail) for k in range(knobs.classes)]
    edges = [sum(weights[: k + 1]) / sum(weights) for k in range(knobs.classes)]

    def one() -> int:
        at = rng.random()
        return 1 + next(k for k, edge in enumerate([*edges[:-1], 2.0]) if at < edge)

    classes = [one()]
    for _ in range(int(rng.integers(0, knobs.most))):
        if rng.random() < knobs.company:
            classes.append((classes[0] + 1) % knobs.classes + 1)  # a class of the next pair
        else:
            classes.append(classes[-1] if rng.random() < 0.4 else one())
    return classes


def _diameter(rng: np.random.Generator, knobs: Knobs, small: int) -> float:
    u = rng.random()
    for _ in range(small):
        u = min(u, rng.random())
    return knobs.side * (knobs.smallest + (knobs.largest - knobs.smallest) * u)


def _place(
    rng: np.random.Generator, knobs: Knobs, family: int, size: float, instance: Labels
) -> tuple[Floats, Floats, Floats]:
    """Find a place where an object covers no earlier one by more than the knob allows."""
    areas = np.bincount(instance.ravel(), minlength=1)
    for _ in range(_TRIES):
        found = _outline(rng, knobs, family, size)
        covered = np.bincount(instance[found[0] < 1], minlength=len(areas))
        if all(covered[k] <= knobs.occlusion * areas[k] for k in range(1, len(areas))):
            return found
    nothing = np.full((knobs.side, knobs.side), 2.0)
    return nothing, nothing, nothing


def _outline(rng: np.random.Generator, knobs: Knobs, family: int, size: float) -> tuple[Floats, Floats, Floats]:
    """Return the outline function of a body at a random place and turn (below 1 inside), and its coordinates."""
    radius = size / 2
    row, column = (radius * 0.6 + rng.random() * (knobs.side - radius * 1.2) for _ in range(2))
    t = rng.random() * 2 - 1  # a turn by rational coordinates of the circle: no sine, which differs between machines
    c, s = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    if family == 2 and rng.random() < 0.5:
        c, s = -c, -s
    grid = np.arange(knobs.side, dtype=np.float64)
    y, x = grid[:, None] - row, grid[None] - column
    u, v = (c * x + s * y) / radius, (c * y - s * x) / radius
    if family == 0:
        distance = np.sqrt(u * u + v * v)
    elif family == 1:
        distance = np.maximum(abs(u), abs(v) * 1.25) * 1.01
    elif family == 2:
        distance = np.maximum(v, np.maximum(0.866 * u - 0.5 * v, -0.866 * u - 0.5 * v)) * 1.56
    else:
        arm = np.minimum(np.maximum(abs(u) * 2.2, abs(v)), np.maximum(abs(u), abs(v) * 2.2))
        distance = arm * 0.95
    if knobs.ragged:
        distance = distance / _dents(u, v, knobs.ragged)
    return distance, u, v


def _dents(u: Floats, v: Floats, depth: float) -> Floats:
    """Return 1 + depth cos(7 angle), scaled to keep the area; Chebyshev's recurrence needs no cosine."""
    cos = u / np.maximum(np.sqrt(u * u + v * v), 1e-9)
    before, now = np.ones_like(cos), cos
    for _ in range(6):
        before, now = now, 2 * cos * now - before
    out: Floats = (1 + depth * now) / np.sqrt(1 + depth * depth / 2)
    return out


def _wave(x: Floats) -> Floats:
    """Triangle wave of period 1 between 0 and 1."""
    out: Floats = abs(x - np.floor(x) - 0.5) * 2
    return out


def _material(rng: np.random.Generator, family: int, u: Floats, v: Floats) -> Floats:
    """Colour a body: stripes, checks, rings or plain, in colours that vary widely from object to object."""
    base = np.array([(150, 95, 70), (80, 130, 90), (85, 100, 150), (140, 130, 70)][family], np.float64)
    base = base + (rng.random(3) - 0.5) * 70
    pattern = (
        _wave(u * 2.5),
        _wave(u * 1.7) * 0.5 + _wave(v * 1.7) * 0.5,
        _wave((u + v) * 2.2),
        _wave((u * u + v * v) * 1.5),
    )[family]
    return base + (pattern[..., None] - 0.5) * 60


def _mark_region(rng: np.random.Generator, knobs: Knobs, u: Floats, v: Floats) -> NDArray[np.bool_]:
    du, dv = (rng.random() - 0.5) * 0.5, (rng.random() - 0.5) * 0.5
    return (u - du) * (u - du) + (v - dv) * (v - dv) < knobs.mark * knobs.mark


def _mark(rng: np.random.Generator, rare: int, u: Floats, v: Floats) -> Floats:
    """Colour a mark: bright with dark stripes on a frequent class, dark with a light core on a rare one."""
    jitter = (rng.random(3) - 0.5) * 30
    if rare:
        return np.array([60.0, 35.0, 90.0]) + jitter + (_wave(v * 1.5)[..., None] * 40)
    return np.array([225.0, 215.0, 150.0]) + jitter - (_wave(u * 3)[..., None] * 50)


def _background(rng: np.random.Generator, knobs: Knobs, label: int) -> Floats:
    """Paint the ground: one of four kinds, noise at several scales, and a gradient of light."""
    kind = (label - 1) // 2 if rng.random() < knobs.context else int(rng.integers(0, 4))
    base = np.array([(95, 120, 75), (125, 115, 105), (105, 120, 145), (150, 135, 105)][kind], np.float64)
    base = base + (rng.random(3) - 0.5) * 40
    n = knobs.side
    rough = sum((_noise(rng, n, cells)[..., None] - 0.5) * (150 / cells**0.5) for cells in (2, 5, 11))
    tint = (_noise(rng, n, 3)[..., None] - 0.5) * ((rng.random(3) - 0.5) * 60)
    return np.asarray(base + rough + tint)


def _noise(rng: np.random.Generator, n: int, cells: int) -> Floats:
    """Interpolate random values on a lattice of so many cells, (n, n) from 0 to 1."""
    lattice = rng.random((cells + 1, cells + 1))
    at = np.arange(n) * cells / n
    low = np.floor(at).astype(np.int64)
    part = at - low
    part = part * part * (3 - 2 * part)
    rows = lattice[low] * (1 - part)[:, None] + lattice[low + 1] * part[:, None]
    return np.asarray(rows[:, low] * (1 - part) + rows[:, low + 1] * part)


def _paint(pixels: Floats, where: NDArray[np.bool_], colours: Floats) -> None:
    pixels[where] = colours[where]


def _develop(rng: np.random.Generator, knobs: Knobs, pixels: Floats) -> Labels:
    """Add light and grain, and round to bytes."""
    n = knobs.side
    light = 0.8 + 0.4 * _noise(rng, n, 1)[..., None]
    grain = sum(rng.integers(-knobs.grain, knobs.grain + 1, (n, n, channels)) for channels in (3, 1))
    return np.clip(np.floor(pixels * light + grain / 2), 0, 255).astype(np.uint8)


def _renumber(instance: Labels) -> Labels:
    """Give the objects that are still to be seen the numbers 1, 2 ... in the order in which they were painted."""
    number = np.cumsum(np.bincount(instance.ravel(), minlength=1) > 0) - 1 + (not (instance == 0).any())
    return number[instance].astype(np.uint8)
