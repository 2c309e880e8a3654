"""A small seeded data set and two imaginary models that mIoU cannot tell apart.

Both models see the same scenes. "steady" outlines large objects well and misses most small ones; "keen" finds
the small ones and is careless with the outlines of large ones, by just as much as makes the mIoU equal.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import InputError
from iamiou.files import check_writable
from iamiou.labels import VOC, voc_palette

HEIGHT, WIDTH = 300, 400
MODELS = ("steady", "keen")
_CLASSES = tuple(VOC.names.index(name) for name in ("person", "bird", "boat", "car", "dog", "bottle", "sheep", "cat"))
# Radii in pixels of the large, the middle and the small objects of a scene.
_RADII = ((60, 84), (60, 76), (24, 40), (7, 15), (7, 15), (6, 12))

Map = NDArray[np.uint8]


@dataclass(frozen=True)
class Blob:
    """A roundish object: its class, centre (row, column), radius, and the phases of its bumps."""

    label: int
    row: float
    column: float
    radius: float
    phases: tuple[float, float, float]

    def distance(self, wobble: float = 0.0) -> NDArray[np.float32]:
        """Return how far every pixel is from the centre, float32 (300, 400); the outline is at 1."""
        out = np.full((HEIGHT, WIDTH), np.inf, np.float32)
        far = 1.6 * self.radius
        top, left = max(0, int(self.row - far)), max(0, int(self.column - far))
        y, x = np.ogrid[top : min(HEIGHT, int(self.row + far)), left : min(WIDTH, int(self.column + far))]
        dy, dx = (y - self.row) * 1.15, x - self.column
        angle = np.arctan2(dy, dx)
        a, b, c = self.phases
        edge = 1 + 0.12 * np.sin(2 * angle + a) + 0.06 * np.sin(3 * angle + b) + wobble * np.sin(7 * angle + c)
        out[top : top + len(y), left : left + x.shape[1]] = np.hypot(dy, dx) / (self.radius * edge)
        return out


def scenes(number: int, seed: int) -> list[list[Blob]]:
    """Make scenes of six objects each, large to small; small ones keep clear of what is drawn before them."""
    rng = np.random.default_rng(seed)
    out = []
    for n in range(number):
        blobs: list[Blob] = []
        taken = np.zeros((HEIGHT, WIDTH), np.bool_)
        for k, (low, high) in enumerate(_RADII):
            for _ in range(200):
                radius = rng.uniform(low, high)
                row = rng.uniform(radius * 0.7, HEIGHT - radius * 0.7)
                column = rng.uniform(radius * 0.7, WIDTH - radius * 0.7)
                label = _CLASSES[(n + k * 3) % len(_CLASSES)]
                a, b, c = rng.uniform(0, 2 * np.pi, 3)
                blob = Blob(label, row, column, radius, (a, b, c))
                around = blob.distance() < 1.25
                if not (around & taken).any():
                    blobs.append(blob)
                    taken |= around
                    break
        out.append(blobs)
    return out


def truth_maps(blobs: list[Blob]) -> tuple[Map, Map]:
    """Return class and instance map of a scene, uint8 (300, 400)."""
    semantic, instance = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    for k, blob in enumerate(blobs):
        mask = blob.distance() < 1
        semantic[mask], instance[mask] = blob.label, k + 1
    return semantic, instance


def steady(blobs: list[Blob], scene: int) -> Map:
    """Predict like a model that is good at large objects: of the small ones it sees one in six."""
    pred = np.zeros((HEIGHT, WIDTH), np.uint8)
    for k, blob in enumerate(blobs):
        if blob.radius > 20 or (scene + k) % 6 == 0:
            pred[blob.distance(0.05) < 0.93] = blob.label
    return pred


def keen(blobs: list[Blob], distances: list[NDArray[np.float32]], scale: float) -> Map:
    """Predict like a model that finds everything and draws large objects too small, by ``scale``."""
    pred = np.zeros((HEIGHT, WIDTH), np.uint8)
    for blob, distance in zip(blobs, distances, strict=True):
        pred[distance < (scale if blob.radius > 20 else 0.93)] = blob.label
    return pred


def miou(truth: list[Map], pred: list[Map]) -> float:
    """Return the data-set mIoU, with NumPy alone."""
    pairs = np.bincount(
        np.concatenate([t.ravel() * np.int64(21) + p.ravel() for t, p in zip(truth, pred, strict=True)])
    )
    confusion = np.bincount(np.arange(len(pairs)), pairs, 441).reshape(21, 21)
    shown = confusion.sum(1) > 0
    hit, union = np.diag(confusion), confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    return float((hit[shown] / union[shown]).mean())


def equally_good(blobs: list[list[Blob]], truth: list[Map], target: float) -> list[Map]:
    """Return the predictions of "keen" at the scale that gives the mIoU ``target``, found by bisection."""
    pred: list[Map] = []
    distances = [[blob.distance(0.1) for blob in scene] for scene in blobs]
    low, high = 0.7, 0.96  # mIoU rises with the scale
    for _ in range(10):
        middle = (low + high) / 2
        pred = [keen(b, d, middle) for b, d in zip(blobs, distances, strict=True)]
        low, high = (middle, high) if miou(truth, pred) < target else (low, middle)
    return pred


def photograph(blobs: list[Blob], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Paint a scene, uint8 (300, 400, 3): soft light, grain, and objects in muted colours of their class."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    light = 150 + 50 * np.sin(x / 140 + rng.uniform(0, 6)) * np.cos(y / 110 + rng.uniform(0, 6)) - y / 6
    picture = light[..., None] * np.array([0.95, 1.0, 0.9]) + rng.normal(0, 6, (HEIGHT, WIDTH, 1))
    palette = voc_palette()
    for blob in blobs:
        mask = blob.distance() < 1
        shade = 1.15 - 0.5 * np.hypot(y - blob.row + blob.radius / 3, x - blob.column + blob.radius / 3) / blob.radius
        colour = np.array(palette[blob.label], float) * 0.55 + 60
        stripes = 1 + 0.12 * np.sin((x + y) / (2 + blob.radius / 12))
        picture[mask] = (np.clip(shade * stripes, 0.4, 1.2)[..., None] * colour)[mask]
    grain = rng.normal(0, 4, picture.shape)
    done: NDArray[np.uint8] = np.clip(picture + grain, 0, 255).astype(np.uint8)
    return done


def write_demo(folder: str | Path, *, images: int = 20, seed: int = 2024) -> Path:
    """Write the data set as a VOC devkit, and both models' predictions beside it.

    Parameters
    ----------
    folder : path
        Made if it is not there; a folder that holds anything but an earlier demo is refused.
    images : int
        Number of scenes.
    seed : int
        The same seed gives the same files.

    Returns
    -------
    Path
        The folder: JPEGImages, SegmentationClass, SegmentationObject, ImageSets, predictions/steady, predictions/keen.

    Raises
    ------
    InputError
        If the folder is not empty and no demo, or cannot be written.
    """
    from PIL import Image

    from iamiou.masks import write_bytes, write_label_map

    root = Path(folder)
    mark = root / "ImageSets" / "Segmentation" / "val.txt"
    names = [f"demo_{k:03}" for k in range(images)]
    listed = "".join(f"{name}\n" for name in names)
    if root.exists() and (not root.is_dir() or (any(root.iterdir()) and not _is_demo(mark))):
        raise InputError(f"'{root}' holds something else; give the demo a folder of its own: iamiou demo DIR")
    check_writable(root, folder=True)
    blobs = scenes(images, seed)
    maps = [truth_maps(b) for b in blobs]
    truth = [semantic for semantic, _ in maps]
    first = [steady(b, k) for k, b in enumerate(blobs)]
    predictions = {"steady": first, "keen": equally_good(blobs, truth, miou(truth, first))}
    rng = np.random.default_rng(seed + 1)
    try:
        for part in ("JPEGImages", "SegmentationClass", "SegmentationObject", *(f"predictions/{m}" for m in MODELS)):
            (root / part).mkdir(parents=True, exist_ok=True)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(listed, encoding="utf-8")
        for k, name in enumerate(names):
            photo = io.BytesIO()
            Image.fromarray(photograph(blobs[k], rng)).save(photo, "JPEG", quality=90)
            write_bytes(root / "JPEGImages" / f"{name}.jpg", photo.getvalue())
            write_label_map(root / "SegmentationClass" / f"{name}.png", maps[k][0])
            write_label_map(root / "SegmentationObject" / f"{name}.png", maps[k][1])
            for model in MODELS:
                write_label_map(root / "predictions" / model / f"{name}.png", predictions[model][k])
    except OSError as e:
        raise InputError(f"'{root}' cannot be written ({e.strerror}); give a folder: iamiou demo DIR") from e
    return root


def _is_demo(mark: Path) -> bool:
    """Tell whether a folder was written by `write_demo`."""
    try:
        return mark.read_text(encoding="utf-8").startswith("demo_000\n")
    except (OSError, UnicodeDecodeError):
        return False
