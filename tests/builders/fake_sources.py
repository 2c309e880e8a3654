"""Small COCO and LVIS files, drawn pixel by pixel, and the way from them to a resolved image.

Run lengths are written by plain Python, so that nothing of the builder or of pycocotools tests itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou_builders.annotations import read_sources
from iamiou_builders.mapping import load_mapping, lvis_synsets
from iamiou_builders.model import Piece, Resolved
from iamiou_builders.recipe import Recipe, load_recipe
from iamiou_builders.resolve import resolve_pool
from iamiou_builders.sources import Sources

HEIGHT, WIDTH = 200, 240
#: COCO's numbers of some categories; truck is none of VOC's classes.
COCO_IDS = {
    "person": 1, "bicycle": 2, "car": 3, "motorcycle": 4, "airplane": 5, "bus": 6, "train": 7, "truck": 8, "boat": 9,
    "bird": 16, "cat": 17, "dog": 18, "horse": 19, "sheep": 20, "cow": 21, "bottle": 44, "chair": 62, "couch": 63,
    "potted plant": 64, "dining table": 67, "tv": 72,
}  # fmt: skip
RECIPE = load_recipe("pascal-b")
CLASSES = RECIPE.classes.names


def lvis_ids(version: str) -> dict[str, int]:
    """Number of each synset in a version: made up, and other numbers in either, so that nobody can rely on them."""
    names = sorted(lvis_synsets()[version], reverse=version == "v1")
    return {name: k for k, name in enumerate(names, 1)}


def rect(top: int, left: int, height: int, width: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> NDArray[np.bool_]:
    """Draw a rectangle."""
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def area(pixels: int, top: int = 0, left: int = 0) -> NDArray[np.bool_]:
    """Draw an object of that many pixels: rows of 120, and what is left of a row."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    rows, rest = divmod(pixels, 120)
    mask[top : top + rows, left : left + 120] = True
    mask[top + rows, left : left + rest] = True
    assert mask.sum() == pixels
    return mask


def rle(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Write run lengths: down the columns, zeros first."""
    flat = mask.T.ravel().tolist()
    counts = [len(list(run)) for _, run in groupby(flat)]
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def image(
    number: int = 1, split: str = "val2017", size: tuple[int, int] = (HEIGHT, WIDTH), **more: Any
) -> dict[str, Any]:
    """Describe an image as COCO does."""
    name = f"{number:012}.jpg"
    entry = {"id": number, "file_name": name, "height": size[0], "width": size[1], "license": 4}
    entry["coco_url"] = f"http://images.cocodataset.org/{split}/{name}"
    return entry | {"flickr_url": f"http://flickr.example/{number}"} | more


def lvis_image(
    number: int = 1, neg: Iterable[str] = (), partial: Iterable[str] = (), version: str = "v1", **more: Any
) -> dict[str, Any]:
    """Describe an image as LVIS does."""
    ids = lvis_ids(version)
    lists = {"neg_category_ids": [ids[s] for s in neg], "not_exhaustive_category_ids": [ids[s] for s in partial]}
    return image(number) | lists | more


def annotation(number: int, image_id: int, category: int, mask: NDArray[np.bool_] | Any, **more: Any) -> dict[str, Any]:
    """Describe an annotation; a mask that is no array is taken as it is."""
    segmentation = rle(mask) if isinstance(mask, np.ndarray) else mask
    entry = {"id": number, "image_id": image_id, "category_id": category, "segmentation": segmentation}
    if isinstance(mask, np.ndarray):
        entry["area"] = int(mask.sum())
    return entry | {"iscrowd": 0} | more


def write_coco(
    path: Path,
    images: Sequence[Mapping[str, Any]],
    annotations: Sequence[Mapping[str, Any]],
    categories: Mapping[str, int] = COCO_IDS,
) -> Path:
    """Write a COCO file."""
    named = [{"id": i, "name": n} for n, i in categories.items()]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": named}))
    return path


def write_lvis(
    path: Path, images: Sequence[Mapping[str, Any]], annotations: Sequence[Mapping[str, Any]], version: str = "v1"
) -> Path:
    """Write an LVIS file with all categories of its version."""
    named = [{"id": i, "name": s.partition(".")[0], "synset": s} for s, i in lvis_ids(version).items()]
    info = {"version": "1.0"}  # as both versions say
    document = {"info": info, "images": images, "annotations": annotations, "categories": named}
    path.write_text(json.dumps(document))
    return path


def read(coco: Sequence[Path] = (), lvis: Sequence[Path] = (), recipe: Recipe = RECIPE) -> Sources:
    """Read files with the recipe's own mapping."""
    return read_sources(coco, lvis, recipe, load_mapping(recipe.mapping))


@dataclass(frozen=True)
class Scene:
    """One image: objects of COCO (ids 1, 2, ...) and of LVIS (1001, ...), each (category or synset, mask)."""

    coco: Sequence[tuple[str, Any]] | None = None
    lvis: Sequence[tuple[str, Any]] | None = None
    neg: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    crowds: Sequence[tuple[str, Any]] = ()
    version: str = "v1"

    def write(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """Write the files of the scene; None is no file."""
        coco, lvis = [], []
        if self.coco is not None:
            found = [annotation(k, 1, COCO_IDS[c], m) for k, (c, m) in enumerate(self.coco, 1)]
            found += [annotation(k, 1, COCO_IDS[c], m, iscrowd=1) for k, (c, m) in enumerate(self.crowds, 901)]
            coco = [write_coco(folder / "coco.json", [image()], found)]
        if self.lvis is not None:
            ids = lvis_ids(self.version)
            marked = [annotation(k, 1, ids[s], m) for k, (s, m) in enumerate(self.lvis, 1001)]
            picture = lvis_image(1, self.neg, self.partial, self.version)
            lvis = [write_lvis(folder / "lvis.json", [picture], marked, self.version)]
        return coco, lvis


def resolve(folder: Path, scene: Scene, **rules: float) -> Resolved:
    """Read a scene and settle its conflicts."""
    recipe = replace(RECIPE, rules=replace(RECIPE.rules, **rules)) if rules else RECIPE
    (resolved,) = resolve_pool(read(*scene.write(folder), recipe))
    return resolved


def seen(resolved: Resolved) -> list[tuple[str, str, int, int]]:
    """Return (class, origin, annotation, visible pixels) of the instances, sorted by annotation."""
    found = [(CLASSES[p.label], p.origin, p.annotation, p.visible) for p in resolved.instances]
    return sorted(found, key=lambda row: row[2])


def void(resolved: Resolved) -> list[tuple[str, int, int, tuple[str, ...]]]:
    """Return (origin, annotation, visible pixels, flags) of the void pieces, sorted by annotation."""
    pieces: list[Piece] = [p for p in resolved.pieces if not p.label]
    return sorted(((p.origin, p.annotation, p.visible, p.flags) for p in pieces), key=lambda row: row[1])


def rules_of(resolved: Resolved) -> list[str]:
    """Return the rules that decided, in order."""
    return [d.rule for d in resolved.decisions]
