"""A size-balanced selection of a test set, made by ``iamiou build`` from COCO json of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import InputError
from iamiou_benchmarks.datasets.data import DataSet
from iamiou_benchmarks.datasets.devkit import read_split

_NAME = "balanced"


@dataclass(frozen=True)
class Census:
    """How many objects each image of a split shows.

    Parameters
    ----------
    ids : tuple of str
        Sorted.
    instances : int64 (images, classes, bins)
        Without the background; bins from small to large, by the pixels that are seen.
    """

    ids: tuple[str, ...]
    instances: NDArray[np.int64]


def census_of(data: DataSet, split: str = "test") -> Census:
    """Count the objects of a split."""
    truth, edges = data.truth_of(split), [side * side for side in data.bins]
    table = np.zeros((len(truth.ids), len(data.classes) - 1, len(edges) + 1), np.int64)
    for row, image_id in zip(table, truth.ids, strict=True):
        for label, mask in _objects(data, image_id):
            row[label - 1, np.searchsorted(edges, mask.sum(), side="right")] += 1
    return Census(truth.ids, table)


def build_balanced(data: DataSet, images: Path, folder: Path, per_cell: int, split: str = "test") -> Path:
    """Write COCO json and a recipe of a split, and let ``iamiou build`` choose from it.

    Parameters
    ----------
    images : Path
        Where the pictures lie, ``ID.png``.
    folder : Path
        For ``test.json``, ``recipe.toml``, ``mapping.tsv`` and the data set.
    per_cell : int
        Objects wanted of each class and size.

    Returns
    -------
    Path
        The data set, a VOC devkit; see `chosen_images`.

    Raises
    ------
    InputError
        With what ``iamiou build`` says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = data.classes.names[1:]
    lines = [f"{name}\tcoco\t{k} {name}\tobject\tthe class itself\n" for k, name in enumerate(names, 1)]
    (folder / "mapping.tsv").write_text("# version: 1\n" + "".join(lines), encoding="utf-8")
    (folder / "recipe.toml").write_text(_recipe(data, per_cell), encoding="utf-8")
    (folder / f"{split}.json").write_text(json.dumps(coco_json(data, split)), encoding="utf-8")
    out = folder / _NAME
    command = [sys.executable, "-m", "iamiou", "build", str(folder / "recipe.toml")]
    command += ["--coco", str(folder / f"{split}.json"), "--images", str(images), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"iamiou build has failed: {done.stderr.strip()}")
    return out


def chosen_images(built: Path) -> tuple[str, ...]:
    """Return the images of a built data set, sorted."""
    return tuple(sorted(read_split(built, _NAME)))


def coco_json(data: DataSet, split: str) -> dict[str, list[dict[str, object]]]:
    """Return the truth of a split as COCO json; every object is the run lengths of its pixels."""
    from pycocotools import mask as rle

    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, image_id in enumerate(data.truth_of(split).ids, 1):
        height, width = data.read(image_id).shape[:2]
        images.append({"id": number, "file_name": f"{image_id}.png", "height": height, "width": width})
        for label, mask in _objects(data, image_id):
            runs = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
            annotations.append({
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": label,
                "segmentation": {"size": [height, width], "counts": runs["counts"].decode()},
                "area": int(mask.sum()),
                "bbox": rle.toBbox(runs).tolist(),
                "iscrowd": 0,
            })  # fmt: skip
    categories: list[dict[str, object]] = [{"id": k, "name": n} for k, n in enumerate(data.classes.names[1:], 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _objects(data: DataSet, image_id: str) -> list[tuple[int, NDArray[np.bool_]]]:
    """Return the class and the mask of every object of an image."""
    semantic, instance = data.truth.load(image_id)
    if instance is None:
        raise InputError(f"The truth of {image_id} has no instances, and sizes are those of instances.")
    masks = [instance == k for k in np.unique(instance[(instance > 0) & (semantic < len(data.classes))])]
    return [(int(semantic[mask][0]), mask) for mask in masks]


def _recipe(data: DataSet, per_cell: int) -> str:
    """Return a recipe: equal numbers in every class and size. COCO's parts do not exist here, hence source any."""
    edges = [side * side for side in data.bins]
    return (
        f'name = "{_NAME}"\nversion = "1"\nclasses = {json.dumps(data.classes.names[1:])}\nmapping = "mapping.tsv"\n'
        f'[bins]\nnames = ["S", "M", "L"]\nedges = {edges}\n'
        f'[selection]\nper_cell = {per_cell}\nsource = "any"\n'
    )
