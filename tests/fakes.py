"""Seeded generators of small data sets on disk: the same seed writes the same bytes.

`scenes` draws images of overlapping objects with their truth and a plausible prediction; the writers below
lay them out as a VOC devkit, as flat folders, as COCO json, and the predictions as a folder, an archive or
COCO results. Pillow and the standard library write the files, so that no reader is tested by its own writer.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LabelMap = NDArray[np.integer]
#: COCO's 80 category ids: 1 to 90 without these.
_UNUSED = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
COCO_IDS = tuple(k for k in range(1, 91) if k not in _UNUSED)


@dataclass(frozen=True)
class Scene:
    """One image: its id, truth (void 255, or 65535 in 16-bit maps) and prediction."""

    id: str
    semantic: LabelMap
    instance: LabelMap
    prediction: LabelMap

    @property
    def void(self) -> int:
        """The label that stands for void in this scene's truth."""
        return 255 if self.semantic.dtype == np.uint8 else 65535


def _disk(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Draw an ellipse or a box, small ones being as likely as large ones."""
    height, width = shape
    rows, columns = np.indices(shape)
    h, w = (max(1, int(side * 2.0 ** rng.uniform(-4, -1))) for side in shape)
    r, c = rng.integers(0, height), rng.integers(0, width)
    if rng.random() < 0.5:
        return (abs(rows - r) <= h // 2) & (abs(columns - c) <= w // 2)
    return ((rows - r) / h) ** 2 + ((columns - c) / w) ** 2 <= 0.3


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add the four neighbours of every pixel of a mask."""
    padded = np.pad(mask, 1)
    sides = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return mask | sides


def scene(
    name: str,
    seed: int,
    *,
    shape: tuple[int, int] = (60, 80),
    labels: Sequence[int] = tuple(range(1, 21)),
    objects: int = 6,
    void: bool = True,
    dtype: type[np.integer] = np.uint8,
) -> Scene:
    """Draw one image of `objects` objects over one another, each with a rim of void as in VOC.

    The prediction shifts every object by up to two pixels, loses one in five, mistakes the class of one in
    ten, and has one patch where nothing is.
    """
    rng = np.random.default_rng([seed, *name.encode()])
    semantic, instance = np.zeros((2, *shape), dtype=dtype)
    prediction = np.zeros(shape, dtype=np.uint8 if max(labels) < 255 else np.uint16)
    prediction[_disk(rng, shape)] = rng.choice(labels)
    none = np.iinfo(dtype).max
    for k in range(1, objects + 1):
        mask, label = _disk(rng, shape), rng.choice(labels)
        rim = _grown(mask) & ~mask if void else np.zeros(shape, dtype=bool)
        semantic[rim] = instance[rim] = none
        semantic[mask], instance[mask] = label, k
        if rng.random() < 0.8:
            guess = label if rng.random() < 0.9 else rng.choice(labels)
            prediction[np.roll(mask, rng.integers(-2, 3, size=2), axis=(0, 1))] = guess
    return Scene(name, semantic, instance, prediction)


def scenes(count: int = 4, seed: int = 0, **options: Any) -> tuple[Scene, ...]:
    """Draw a data set of `count` images; options as in `scene`."""
    return tuple(scene(f"2007_{k:06d}", seed, **options) for k in range(1, count + 1))


def palette() -> list[int]:
    """Return VOC's 256 colours, flat: bits 0, 1, 2 of a label from the top of red, green, blue, and so on."""
    return [
        sum((label >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(8))
        for label in range(256)
        for channel in range(3)
    ]


def png(labels: LabelMap, *, colours: bool = True) -> bytes:
    """Return a label map as a PNG: 8-bit palette (or grey), or 16-bit grey."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(labels))
    if colours and labels.dtype == np.uint8:
        image.putpalette(palette())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _write(path: Path, data: bytes | str) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def image_list(path: Path, images: Iterable[Scene]) -> Path:
    """Write the ids of a split, one a line."""
    return _write(path, "".join(f"{image.id}\n" for image in images))


def voc_devkit(root: Path, images: Sequence[Scene], split: str = "val") -> Path:
    """Write SegmentationClass/, SegmentationObject/ and ImageSets/Segmentation/SPLIT.txt; return `root`."""
    for image in images:
        _write(root / "SegmentationClass" / f"{image.id}.png", png(image.semantic))
        _write(root / "SegmentationObject" / f"{image.id}.png", png(image.instance))
    image_list(root / "ImageSets" / "Segmentation" / f"{split}.txt", images)
    return root


def flat_folders(root: Path, images: Sequence[Scene]) -> tuple[Path, Path, Path]:
    """Write grey PNGs into semantic/ and instances/ and a list of ids; return the three paths."""
    for image in images:
        _write(root / "semantic" / f"{image.id}.png", png(image.semantic, colours=False))
        _write(root / "instances" / f"{image.id}.png", png(image.instance, colours=False))
    return root / "semantic", root / "instances", image_list(root / "list.txt", images)


def prediction_folder(root: Path, images: Sequence[Scene], *, kind: str = "png") -> Path:
    """Write one prediction a file, as ``png`` (palette), ``grey`` (PNG) or ``npy``; return `root`."""
    for image in images:
        if kind == "npy":
            buffer = io.BytesIO()
            np.save(buffer, image.prediction, allow_pickle=False)
            _write(root / f"{image.id}.npy", buffer.getvalue())
        else:
            _write(root / f"{image.id}.png", png(image.prediction, colours=kind == "png"))
    return root


def archive(path: Path, folder: Path, inside: str = "predictions") -> Path:
    """Pack a folder into a .zip, .tar or .tar.gz by the name of `path`, under a folder `inside`."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    names = [f"{inside}/{p.relative_to(folder).as_posix()}" if inside else p.name for p in files]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as pack:
            for file, name in zip(files, names, strict=True):
                pack.writestr(zipfile.ZipInfo(name), file.read_bytes(), zipfile.ZIP_DEFLATED)
        return path
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as pack:
        for file, name in zip(files, names, strict=True):
            data = file.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            pack.addfile(entry, io.BytesIO(data))
    packed = path.suffix in (".gz", ".tgz")
    return _write(path, gzip.compress(buffer.getvalue(), mtime=0) if packed else buffer.getvalue())


def rle(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return a mask in COCO's uncompressed run lengths: column by column, zeros first."""
    flat = np.asarray(mask).ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=False, append=not flat[-1]))
    counts = np.diff(edges, prepend=0)
    return {"size": list(mask.shape), "counts": counts.tolist()}


def box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return (top, left, bottom, right) of a mask, the last two exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def coco_truth(path: Path, images: Sequence[Scene], names: Sequence[str]) -> Path:
    """Write the truth as COCO json: one annotation an instance, one crowd for what is void.

    Rectangles become polygons, everything else run lengths.

    Parameters
    ----------
    path : Path
        The json file.
    images : sequence of Scene
        Labels are 1 to 80.
    names : sequence of str
        The names of the 81 labels, background first; category ids have COCO's gaps.
    """
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images, start=1):
        for k in sorted(set(np.unique(image.instance).tolist()) - {0}):
            mask = image.instance == k
            label = int(image.semantic[mask].max()) if k != image.void else 1
            top, left, bottom, right = box(mask)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": COCO_IDS[label - 1],
                    "segmentation": rle(mask)
                    if k == image.void or not mask[top:bottom, left:right].all()
                    else [[left, top, right, top, right, bottom, left, bottom]],
                    "area": int(mask.sum()),
                    "bbox": [left, top, right - left, bottom - top],
                    "iscrowd": int(k == image.void),
                }
            )
    document = {
        "images": [
            {"id": number, "file_name": f"{image.id}.jpg", "height": h, "width": w}
            for number, image in enumerate(images, start=1)
            for h, w in [image.semantic.shape]
        ],
        "annotations": annotations,
        "categories": [{"id": k, "name": name} for k, name in zip(COCO_IDS, names[1:], strict=True)],
    }
    return _write(path, json.dumps(document))


def coco_results(path: Path, images: Sequence[Scene], seed: int = 0) -> Path:
    """Write the predictions as COCO results: one mask a label and image, with a score between 0.5 and 1."""
    rng = np.random.default_rng(seed)
    results = [
        {
            "image_id": number,
            "category_id": COCO_IDS[label - 1],
            "segmentation": rle(image.prediction == label),
            "score": round(float(rng.uniform(0.5, 1)), 6),
        }
        for number, image in enumerate(images, start=1)
        for label in sorted(set(np.unique(image.prediction).tolist()) - {0})
    ]
    return _write(path, json.dumps(results))
