"""A pool of a dozen small pictures with COCO and LVIS annotations, and the files of a build of it."""

from __future__ import annotations

import io
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.builders.fake_sources import (
    COCO_IDS,
    HEIGHT,
    WIDTH,
    annotation,
    area,
    image,
    lvis_ids,
    lvis_image,
    rect,
    write_coco,
    write_lvis,
)

COUNT = 14
#: The pool gives more of these than are asked for.
OPTIONS = ("--per-cell", "2")


@dataclass(frozen=True)
class Pool:
    """Files on disk: annotations and the folder of pictures."""

    coco: Path
    lvis: Path
    images: Path

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Return the arguments that every build of the pool needs."""
        return ("--coco", self.coco, "--lvis", self.lvis, "--images", self.images, *OPTIONS)


def picture(number: int) -> bytes:
    """Draw a photograph: stripes over a gradient, as JPEG."""
    from PIL import Image

    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    stripes = rng.integers(0, 40, (HEIGHT // 20, 1, 1)).repeat(20, axis=0)
    base = np.stack([rows, columns, (rows + columns) // 2], -1) + stripes
    out = io.BytesIO()
    Image.fromarray((base % 256).astype(np.uint8)).save(out, "JPEG", quality=80)
    return out.getvalue()


def name(number: int) -> str:
    """Return the image id of a number."""
    return f"{number:012}"


def entry(number: int) -> dict[str, Any]:
    """Describe an image: licences 1 to 6 in turn, none for the last, and the last but one in train."""
    split = "train2017" if number == COUNT - 1 else "val2017"
    page = f"http://farm4.staticflickr.com/3377/35735165{number:02}_a1f6cf2cbd_z.jpg"
    licence = None if number == COUNT else 1 + number % 6
    return image(number, split, license=licence, flickr_url=page)


def objects(number: int) -> list[dict[str, Any]]:
    """Return the COCO annotations of an image: a small, a medium and a large object, sometimes a crowd."""
    start = 10 * number
    first, second = ("person", "cat") if number % 2 else ("car", "dog")
    found = [
        annotation(start, number, COCO_IDS[first], area(200 + 10 * number, 0, 0)),
        annotation(start + 1, number, COCO_IDS[second], area(1500 + 100 * number, 20, 60)),
        annotation(start + 2, number, COCO_IDS[first], area(9600 + 120 * (number % 3), 90, 100)),
        annotation(start + 3, number, COCO_IDS[second], area(400, 60, 0)),
    ]
    if number % 5 == 0:
        found.append(annotation(start + 4, number, COCO_IDS["person"], rect(60, 200, 10, 30), iscrowd=1))
    return found


def make_pool(folder: Path, *, shuffled: int | None = None, address: str = "") -> Pool:
    """Write the pool; ``shuffled`` is the seed of another order of everything, ``address`` the pictures' server."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = range(1, COUNT + 1)
    images = [entry(k) for k in numbers]
    if address:
        images = [i | {"coco_url": i["coco_url"].replace("http://images.cocodataset.org", address)} for i in images]
    annotations = [a for k in numbers for a in objects(k)]
    ids = lvis_ids("v1")
    finer = rect(90, 101, 80, 118)
    of_lvis = [annotation(700 + k, k, ids["person.n.01"], finer) for k in (1, 3, 5)]
    pictured = [lvis_image(k) for k in (1, 3, 5)]
    if shuffled is not None:
        for table in (images, annotations, of_lvis, pictured):
            random.Random(shuffled).shuffle(table)
    place = folder / "pictures"
    place.mkdir(exist_ok=True)
    for k in numbers:
        (place / f"{name(k)}.jpg").write_bytes(picture(k))
    coco = write_coco(folder / "coco.json", images, annotations)
    return Pool(coco, write_lvis(folder / "lvis.json", pictured, of_lvis), place)


def lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of one json a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
