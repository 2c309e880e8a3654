"""Seeded label maps as hard as real ones: VOC-like, Cityscapes-like, and one very large.

A scene is a truth (class map, instance map, a void border around every instance) and a prediction that makes
the mistakes networks make: outlines that wander, instances lost, misnamed or cut, holes, blobs where nothing
is, and in one image of ten the salt of single pixels. The constants were tuned until the sets agreed with the
numbers that ``EXPECTED`` holds; `python generate.py DIR` makes the sets and prints both.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SEED = 20261121
VERSION = 4  # a new number for every change below: folders of another version are made anew

#: What the sets must look like. Runs are stretches of equal (class, instance, prediction) in a row.
EXPECTED = {
    "voc": "1,449 images, 6,282 instances (S/M/L 40/34/27 %), 7,100 runs an image, components an image: "
    "median 19, 90th percentile 220, largest 1,089",
    "city": "50 images, median 57 instances, about 3,500 components an image",
    "big": "1 image, 3,811 instances, 114,272 components",
}


@dataclass(frozen=True)
class Style:
    """How crowded the scenes of a set are, and how bad its predictions."""

    classes: int  # with background
    instances: float  # mean an image, before some hide others
    shares: tuple[float, float, float]  # of small, medium and large instances
    largest: float  # pixels
    blobs: float  # mean number of predicted pieces where nothing is
    wander: float  # pixels that outlines wander
    fray: tuple[float, float]  # pixels by which columns are shifted at random, at least and at most
    salt: tuple[float, float]  # fewest and most single-pixel mistakes of a noisy image
    noisy: float  # share of noisy images


VOC = Style(21, 4.3, (0.40, 0.34, 0.26), 110_000, 0.3, 0.9, (0, 18.3), (380, 1650), 0.122)
CITY = Style(19, 56, (0.41, 0.36, 0.23), 120_000, 180, 1.5, (3, 8.3), (2000, 3200), 1.0)
BIG = Style(19, 59.5, (0.41, 0.38, 0.21), 25_000, 120, 1.5, (3, 7), (750, 1450), 1.0)


def outline(rng: np.random.Generator, area: float) -> np.ndarray:
    """Corners of a wobbly closed curve around 0 that holds about `area` pixels."""
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    radius = np.ones(28)
    for harmonic in range(2, 7):
        radius += rng.normal(0, 0.28 / harmonic) * np.cos(harmonic * angle + rng.uniform(0, 6.3))
    radius = np.maximum(radius, 0.25) * np.sqrt(area / np.pi)
    stretch = np.exp(rng.normal(0, 0.3))
    return np.stack([radius * np.cos(angle) * stretch, radius * np.sin(angle) / stretch], axis=1)


def smooth_noise(rng: np.random.Generator, height: int, width: int, cell: int) -> np.ndarray:
    """Normal noise whose grain is `cell` pixels wide."""
    coarse = rng.standard_normal((height // cell + 2, width // cell + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))


def draw_area(rng: np.random.Generator, style: Style) -> float:
    low, high = ((110, 1024), (1024, 9216), (9216, style.largest))[rng.choice(3, p=style.shares)]
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def scene(rng: np.random.Generator, height: int, width: int, style: Style) -> tuple[np.ndarray, ...]:
    """Class map, instance map and prediction of one image."""
    semantic, prediction = (Image.new("L", (width, height)) for _ in range(2))
    instance = Image.new("I;16", (width, height))
    on_semantic, on_instance, on_prediction = (ImageDraw.Draw(i) for i in (semantic, instance, prediction))
    number = max(1, rng.poisson(style.instances))
    seen = rng.choice(np.arange(1, style.classes), size=min(style.classes - 1, max(1, number // 3)), replace=False)
    for k, area in enumerate(sorted((draw_area(rng, style) for _ in range(number)), reverse=True), 1):
        shape = outline(rng, area * 1.25)
        place = rng.uniform(0.06, 0.94, 2) * (width, height)
        label = int(rng.choice(seen))
        corners = [tuple(xy) for xy in (shape + place).tolist()]
        for draw, ink, void in ((on_semantic, label, 255), (on_instance, k, 65535)):
            draw.polygon(corners, fill=ink)
            draw.line([*corners, corners[0]], fill=void, width=3 if area < 1024 else 5)
        chance = rng.random()
        if chance < 0.10 * (1 + (area < 1024)):
            continue  # missed
        guess = int(rng.choice(seen)) if chance > 0.93 else label
        shape = shape * (1 + rng.normal(0, 0.05, (28, 1))) + place + rng.normal(0, 0.03 * np.sqrt(area), 2)
        on_prediction.polygon([tuple(xy) for xy in shape.tolist()], fill=guess)
        if rng.random() < 0.1:  # cut in two
            a, b = rng.uniform(-1, 1, (2, 2)) * np.sqrt(area) + place
            on_prediction.line([tuple(a.tolist()), tuple(b.tolist())], fill=0, width=3)
    for _ in range(rng.poisson(style.blobs)):
        shape = outline(rng, float(np.exp(rng.uniform(np.log(6), np.log(500)))))
        corners = [tuple(xy) for xy in (shape + rng.uniform(0, 1, 2) * (width, height)).tolist()]
        on_prediction.polygon(corners, fill=int(rng.choice(seen)) * int(rng.random() < 0.8))
    maps = np.array(semantic), np.array(instance)
    return *maps, spoil(rng, np.array(prediction), style, seen)


def spoil(rng: np.random.Generator, prediction: np.ndarray, style: Style, seen: np.ndarray) -> np.ndarray:
    """Let the outlines wander and fray, and strew single pixels over a noisy image."""
    height, width = prediction.shape
    fray = rng.uniform(*style.fray)
    rows = np.arange(height)[:, None] + np.rint(
        style.wander * smooth_noise(rng, height, width, 6) + fray * rng.standard_normal(width)
    ).astype(np.int32)
    columns = np.arange(width)[None, :] + np.rint(style.wander * smooth_noise(rng, height, width, 6)).astype(np.int32)
    prediction = prediction[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
    if rng.random() < style.noisy:
        number = int(rng.uniform(*style.salt))
        y, x = rng.integers(0, height - 1, number), rng.integers(0, width - 1, number)
        tall = rng.integers(0, 2, number)
        ink = rng.choice(np.append(seen, 0), number).astype(np.uint8)
        prediction[y, x] = ink
        prediction[y + tall, x] = ink
    return prediction


def measure(semantic: np.ndarray, instance: np.ndarray, prediction: np.ndarray) -> dict[str, object]:
    """Numbers that say how hard one pair is."""
    import cc3d

    key = (semantic.astype(np.int64) << 32) | (instance.astype(np.int64) << 8) | prediction
    areas = np.bincount(instance[instance < 65535])[1:]
    return {
        "runs": key.shape[0] + int(np.count_nonzero(key[:, 1:] != key[:, :-1])),
        "areas": areas[areas > 0].tolist(),
        "components": int(cc3d.connected_components(prediction, connectivity=8).max()),
    }


def summary(images: list[dict]) -> str:
    """Write what `measure` found as `EXPECTED` does."""
    areas = np.concatenate([image["areas"] for image in images])
    components = [image["components"] for image in images]
    shares = [100 * np.mean(share) for share in (areas < 1024, (areas >= 1024) & (areas < 9216), areas >= 9216)]
    median, high = np.percentile(components, [50, 90])
    return (
        f"{len(images):,} images, {len(areas):,} instances (S/M/L {'/'.join(f'{s:.0f}' for s in shares)} %, "
        f"median {np.median([len(i['areas']) for i in images]):.0f} an image), "
        f"{np.mean([i['runs'] for i in images]):,.0f} runs an image, components an image: "
        f"median {median:,.0f}, 90th percentile {high:,.0f}, largest {max(components):,}"
    )


def voc_palette() -> list[int]:
    """Colours of PASCAL VOC: the bits of the label, dealt to red, green and blue from the top."""
    colours = []
    for label in range(256):
        bits = [[(label >> (3 * k + channel)) & 1 for k in range(3)] for channel in range(3)]
        colours += [sum(bit << (7 - k) for k, bit in enumerate(channel)) for channel in bits]
    return colours


def write_voc(folder: Path, k: int) -> dict:
    rng = np.random.default_rng([SEED, k])
    height, width = (500, 375) if rng.random() < 0.25 else (375, 500)
    maps = scene(rng, height, width, VOC)
    parts = ("truth/SegmentationClass", "truth/SegmentationObject", "predictions")
    for part, labels in zip(parts, maps, strict=True):
        image = Image.fromarray(np.minimum(labels, 255).astype(np.uint8))  # 65535, void, becomes 255
        image.putpalette(voc_palette())
        image.save(folder / part / f"{k:06}.png")
    return measure(*maps)


def write_city(folder: Path, k: int) -> dict:
    maps = scene(np.random.default_rng([SEED, 1, k]), 1024, 2048, CITY)
    for part, labels in zip(("semantic", "instances", "predictions"), maps, strict=True):
        Image.fromarray(labels).save(folder / part / f"{k:06}.png")
    return measure(*maps)


def write_big(folder: Path, _: int) -> dict:
    """Fill 8192 x 8192 with 64 scenes, their instances numbered through."""
    maps = [np.zeros((8192, 8192), dtype) for dtype in (np.uint8, np.uint16, np.uint8)]
    used = 0
    for tile in range(64):
        parts = scene(np.random.default_rng([SEED, 2, tile]), 1024, 1024, BIG)
        instance = parts[1]
        inside = (instance > 0) & (instance < 65535)
        highest = int(instance[inside].max())
        instance[inside] += used
        used += highest
        y, x = 1024 * (tile // 8), 1024 * (tile % 8)
        for whole, part in zip(maps, parts, strict=True):
            whole[y : y + 1024, x : x + 1024] = part
    for name, labels in zip(("semantic", "instances", "predictions"), maps, strict=True):
        np.save(folder / f"{name}.npy", labels)
    return measure(*maps)


SETS = {
    "voc": (write_voc, 1449, ("truth/SegmentationClass", "truth/SegmentationObject", "predictions")),
    "city": (write_city, 50, ("semantic", "instances", "predictions")),
    "big": (write_big, 1, ()),
}


def make(data: Path, name: str) -> str:
    """Make one set in `data` unless it is there already; return its measure in one line."""
    folder = data / name
    measured = folder / "measured.txt"
    if measured.exists():
        version, line = measured.read_text().splitlines()
        if version == f"version {VERSION}":
            return line
    write, number, parts = SETS[name]
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("", *parts):
        (folder / part).mkdir(parents=True, exist_ok=True)
    with multiprocessing.Pool() as pool:
        line = summary(pool.map(partial(write, folder), range(number), chunksize=4))
    if name == "voc":
        lists = folder / "truth/ImageSets/Segmentation"
        lists.mkdir(parents=True)
        (lists / "val.txt").write_text("".join(f"{k:06}\n" for k in range(number)))
    measured.write_text(f"version {VERSION}\n{line}\n")  # last: without it the set counts as unfinished
    return line


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    for name in SETS:
        print(f"- {name}: {make(data, name)}\n  (wanted: {EXPECTED[name]})", flush=True)
