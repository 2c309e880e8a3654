"""Write a generated pool as real COCO and LVIS json: LVIS val has 20,000 images and 245,000 annotations.

    python -m tests.builders.pool_files FOLDER [--images 20000] [--shuffle SEED]

COCO's file holds all objects of the 20 classes, objects of other categories up to COCO's own density, and crowds with
run lengths. LVIS's file is federated: it holds the same objects, drawn anew, in those images where their category is
positive, and fills up with other categories. Shuffling changes the order of images and annotations, and nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from iamiou.coco_categories import COCO_IDS
from iamiou.labels import COCO
from iamiou_builders.mapping import load_mapping, lvis_synsets
from iamiou_builders.recipe import load_recipe
from tests.builders.pools import SHAPES, Objects, make_objects

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CATEGORIES = dict(zip(COCO_IDS, COCO.names[1:], strict=True))
PER_IMAGE = {"coco": 7.3, "lvis": 12.25}  # annotations
POSITIVES = 2250  # images of a frequent category that LVIS has, in as many images as COCO train holds
CROWDS = 0.01  # of COCO's objects
CORNERS = {"coco": 20, "lvis": 28}


def write_pool(folder: Path, images: int = 20_000, seed: int = 0, shuffle: int | None = None) -> tuple[Path, Path]:
    """Write coco.json and lvis.json."""
    rng = np.random.default_rng([seed, images, 1])
    objects = make_objects(images, seed)
    sizes = np.where(rng.random((images, 1)) < 0.7, (480, 640), (640, 480))
    train = rng.random(images) >= 0.25
    boxes = _place(rng, objects.area, sizes[objects.image])
    crowd = rng.random(objects.area.size) < CROWDS
    common = [_picture(*x) for x in zip(objects.ids.tolist(), sizes.tolist(), train.tolist(), strict=True)]
    entries, numbers = _coco(rng, objects, boxes, crowd, sizes)
    lvis, listed, synsets = _lvis(rng, objects, boxes, crowd, sizes)
    federated = [a | b for a, b in zip(common, listed, strict=True)]
    return (
        _write(folder / "coco.json", common, numbers, entries, shuffle),
        _write(folder / "lvis.json", federated, synsets, lvis, shuffle),
    )


def _write(path: Path, pictures: list[Any], categories: list[Any], entries: list[str], shuffle: int | None) -> Path:
    if shuffle is not None:
        order = np.random.default_rng(shuffle)
        pictures, entries = ([part[i] for i in order.permutation(len(part))] for part in (pictures, entries))
    with path.open("w", encoding="utf-8") as file:
        file.write('{"info": {"description": "generated"}, "licenses": [], "images": ')
        json.dump(pictures, file)
        file.write(', "categories": ')
        json.dump(categories, file)
        file.write(', "annotations": [')
        file.write(",\n".join(entries))
        file.write("]}")
    return path


def _picture(number: int, size: list[int], train: bool) -> dict[str, Any]:
    split, name = "train2017" if train else "val2017", f"{number:012}.jpg"
    url = f"http://images.cocodataset.org/{split}/{name}"
    picture = {"id": number, "file_name": name, "height": size[0], "width": size[1], "license": 1 + number % 8}
    return picture | {"coco_url": url, "flickr_url": f"http://farm1.staticflickr.com/{number}.jpg"}


def _place(rng: np.random.Generator, area: Ints, size: Ints) -> Floats:
    """Return centres and half axes (x, y, a, b) of ellipses that lie inside their images."""
    half = size[:, ::-1] / 2.0  # x, y
    aspect = np.exp(rng.normal(0, 0.3, area.size))
    axes = np.sqrt(area / np.pi)[:, None] * np.stack([aspect, 1 / aspect], axis=1)
    axes = np.minimum(axes, half - 1)
    axes[:, 1] = np.minimum(area / np.pi / axes[:, 0], half[:, 1] - 1)
    centre = half + (half - axes) * rng.uniform(-1, 1, axes.shape)
    return np.concatenate([centre, axes], axis=1)


def _polygons(rng: np.random.Generator, boxes: Floats, corners: int, rough: float) -> Floats:
    """Return rough outlines of ellipses, (objects, corners, 2)."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 0.2, (len(boxes), corners))
    radius = np.exp(rng.normal(0, rough, angle.shape))
    x = boxes[:, :1] + boxes[:, 2:3] * radius * np.cos(angle)
    y = boxes[:, 1:2] + boxes[:, 3:] * radius * np.sin(angle)
    return np.stack([x, y], axis=2).round(2)


def _entries(first: int, ids: Ints, category: Ints, polygons: Floats, sizes: Ints) -> list[str]:
    """Return annotations as json, as fast as can be: there are hundreds of thousands."""
    polygons = np.clip(polygons, 0, sizes[:, None, ::-1])
    x, y = polygons[..., 0], polygons[..., 1]
    area = np.abs((x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(axis=1) / 2).round(2)
    corner = polygons.min(axis=1)
    box = np.concatenate([corner, polygons.max(axis=1) - corner], axis=1).round(2)
    rows = zip(
        *(a.tolist() for a in (ids, category, area, box, polygons.reshape(len(ids), -1))), strict=True
    )  # fmt: skip
    return [
        f'{{"id": {number}, "image_id": {i}, "category_id": {c}, "iscrowd": 0, "area": {a}, "bbox": {b}, '
        f'"segmentation": [{p}]}}'
        for number, (i, c, a, b, p) in enumerate(rows, first)
    ]


def _others(rng: np.random.Generator, number: int, images: int, sizes: Ints) -> tuple[Ints, Floats]:
    """Return images and places of objects of categories that are none of the 20 classes."""
    image = rng.integers(0, images, max(number, 0))
    area = np.clip(4 ** rng.normal(5.3, 1.3, image.size), 16, 150_000).astype(np.int64)
    return image, _place(rng, area, sizes[image])


def _coco(
    rng: np.random.Generator, objects: Objects, boxes: Floats, crowd: NDArray[np.bool_], sizes: Ints
) -> tuple[list[str], list[dict[str, Any]]]:
    mapping = load_mapping(load_recipe("pascal-b").mapping)
    number_of = {line.classes[0]: i for i, line in mapping.coco.items() if line.role == "object"}
    voc = np.array([0, *(number_of[name] for name in SHAPES)])
    rest = np.array(sorted(set(CATEGORIES) - set(mapping.coco)))
    image, places = _others(rng, round(PER_IMAGE["coco"] * len(sizes)) - objects.area.size, len(sizes), sizes)
    one = ~crowd
    where = np.concatenate([objects.image[one], image])
    category = np.concatenate([voc[objects.label[one]], rng.choice(rest, image.size)])
    shape = _polygons(rng, np.concatenate([boxes[one], places]), CORNERS["coco"], 0.08)
    entries = _entries(1, objects.ids[where], category, shape, sizes[where])
    for k in np.flatnonzero(crowd).tolist():
        entries.append(_crowd(10**8 + k, objects, k, int(voc[objects.label[k]]), boxes[k], sizes[objects.image[k]]))
    return entries, [{"id": i, "name": name} for i, name in CATEGORIES.items()]


def _crowd(number: int, objects: Objects, k: int, category: int, box: Floats, size: Ints) -> str:
    """Return a region of many objects: a rectangle in run lengths, column by column."""
    height, width = size.tolist()
    x, y, a, b = box.tolist()
    left, top, wide, high = int(x - a), int(y - b), max(int(2 * a), 1), max(int(2 * b), 1)
    runs = [left * height + top, *[high, height - high] * (wide - 1), high]
    runs.append(height * width - sum(runs))
    entry = {"id": number, "image_id": int(objects.ids[objects.image[k]]), "category_id": category, "iscrowd": 1}
    mask = {"size": [height, width], "counts": runs}
    return json.dumps(entry | {"area": wide * high, "bbox": [left, top, wide, high], "segmentation": mask})


def _lvis(
    rng: np.random.Generator, objects: Objects, boxes: Floats, crowd: NDArray[np.bool_], sizes: Ints
) -> tuple[list[str], list[dict[str, Any]], list[dict[str, Any]]]:
    mapping = load_mapping(load_recipe("pascal-b").mapping)
    synsets = sorted(lvis_synsets()["v1"])
    number_of = {s: i for i, s in enumerate(synsets, 1)}
    main = {line.classes[0]: line.key for line in reversed(mapping.lines) if line.source == "lvis"}
    voc = np.array([0, *(number_of[main[name]] for name in SHAPES)])
    chance = np.array([0, *(min(POSITIVES / shown, 0.7) for shown, *_ in SHAPES.values())])
    positive = rng.random((len(sizes), chance.size)) < chance
    some = rng.random(positive.shape) < 0.06  # positive, but not all of its objects are annotated
    take = positive[objects.image, objects.label] & ~crowd
    take &= ~(some[objects.image, objects.label] & (rng.random(take.size) < 0.4))
    rest = np.array([number_of[s] for s in synsets if s not in main.values()])
    image, places = _others(rng, round(PER_IMAGE["lvis"] * len(sizes)) - int(take.sum()), len(sizes), sizes)
    where = np.concatenate([objects.image[take], image])
    # Few categories are frequent and most are rare.
    category = np.concatenate([voc[objects.label[take]], rest[(rest.size * rng.random(image.size) ** 3).astype(int)]])
    drawn = boxes[take] * np.exp(rng.normal(0, 0.03, (int(take.sum()), 4)))
    shape = _polygons(rng, np.concatenate([drawn, places]), CORNERS["lvis"], 0.05)
    shows = np.zeros_like(positive)
    shows[objects.image, objects.label] = True
    absent = ~shows & (rng.random(shows.shape) < 0.05)
    listed = [
        {"neg_category_ids": voc[1:][a[1:]].tolist(), "not_exhaustive_category_ids": voc[1:][s[1:]].tolist()}
        for a, s in zip(absent, some & positive & shows, strict=True)
    ]
    entries = _entries(1, objects.ids[where], category, shape, sizes[where])
    return entries, listed, [{"id": i, "synset": s, "name": s} for s, i in number_of.items()]


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--images", default=20_000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--shuffle", type=int, help="Seed of another order of images and annotations.")
def main(folder: Path, images: int, seed: int, shuffle: int | None) -> None:
    """Write coco.json and lvis.json of a generated pool into FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    write_pool(folder, images, seed, shuffle)


if __name__ == "__main__":
    main()
