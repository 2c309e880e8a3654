"""Bring the maps that all peers get into the forms that they take. Runs in the environment of cc3d.

python peer_data.py DATA OUT [--real DIR]: arrays of one pair in one folder, and PNG copies for the tools that do not
read palettes (vernier) or want their own ids (cityscapesScripts).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cc3d
import numpy as np
from peer_calls import Maps
from peer_calls_tools import CITYSCAPES_IDS
from peer_sets import CLASSES, FOLDERS, INSTANCES, PAIRS, SIZES
from PIL import Image

VERSION = "2"  # a new number for every change below


def save(folder: Path, prediction: np.ndarray, semantic: np.ndarray, instance: np.ndarray) -> None:
    component = cc3d.connected_components(np.array(prediction), connectivity=8)  # which takes no read-only maps
    folder.mkdir(parents=True, exist_ok=True)
    for name, labels in zip(Maps._fields, (prediction, semantic, instance, component), strict=True):
        np.save(folder / f"{name}.npy", np.ascontiguousarray(labels))


def read(path: Path) -> np.ndarray:
    return np.array(Image.open(path))


def names(data: Path, kind: str) -> list[str]:
    if kind == "real":
        return (data / "voc/ImageSets/pred_dinov3_instances.txt").read_text().split()
    return sorted(file.stem for file in (data / kind / FOLDERS[kind][0]).glob("*.png"))


def pairs(data: Path, out: Path, kind: str) -> None:
    for name in names(data, kind)[: PAIRS[kind]]:
        root = data if kind == "real" else data / kind
        save(out / kind / name, *(read(root / part / f"{name}.png") for part in FOLDERS[kind]))


def copies(data: Path, out: Path) -> None:
    """Write the grey copies of the VOC-like maps, and the Cityscapes-like ones in Cityscapes' own ids."""
    ids = np.zeros(256, np.uint8)
    ids[: len(CITYSCAPES_IDS)] = CITYSCAPES_IDS
    jobs = {"voc-grey": ("voc", ("predictions", "truth/SegmentationClass")), "city-ids": ("city", FOLDERS["city"][:2])}
    for target, (kind, parts) in jobs.items():
        for part in parts:
            (out / target / part).mkdir(parents=True, exist_ok=True)
            for file in sorted((data / kind / part).glob("*.png")):
                labels = read(file)
                Image.fromarray(ids[labels] if target == "city-ids" else labels).save(out / target / part / file.name)


def sizes(data: Path, out: Path) -> None:
    parts = [np.load(data / "big" / f"{n}.npy", mmap_mode="r") for n in ("predictions", "semantic", "instances")]
    for size in SIZES:
        save(out / f"size-{size}" / "0", *(part[:size, :size] for part in parts))


def squares(number: int, side: int = 1024) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put `number` square instances of 20 classes on a grid; the prediction is shifted by a tenth of their side."""
    across = int(np.ceil(np.sqrt(number)))
    cell = side // across
    filled = max(2, cell * 7 // 10)
    semantic, instance = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint16)
    for k in range(number):
        y, x = k // across * cell, k % across * cell
        semantic[y : y + filled, x : x + filled] = 1 + k % 20
        instance[y : y + filled, x : x + filled] = k + 1
    shift = max(1, filled // 10)
    return np.roll(semantic, (shift, shift), (0, 1)), semantic, instance


def blocks(classes: int, side: int = 512) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fill the image with 1,600 blocks of random classes; the prediction names a tenth of them wrongly."""
    rng = np.random.default_rng(classes)
    truth = rng.integers(0, classes, (40, 40))
    guess = np.where(rng.random((40, 40)) < 0.1, rng.integers(0, classes, (40, 40)), truth)
    at = np.arange(side) * 40 // side
    dtype = np.uint8 if classes < 255 else np.uint16
    semantic, prediction = (labels[at][:, at].astype(dtype) for labels in (truth, guess))
    instance = np.where(semantic > 0, (at[:, None] * 40 + at + 1), 0).astype(np.uint16)
    return prediction, semantic, instance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--real", type=Path)
    options = parser.parse_args()
    out: Path = options.out
    stamp = out / "made.txt"
    if not stamp.exists() or stamp.read_text() != VERSION:
        for kind in ("voc", "city"):
            pairs(options.data, out, kind)
        copies(options.data, out)
        sizes(options.data, out)
        for number in INSTANCES:
            save(out / f"instances-{number}" / "0", *squares(number))
        for classes in CLASSES:
            save(out / f"classes-{classes}" / "0", *blocks(classes))
        stamp.write_text(VERSION)
    if options.real and not (out / "real").exists():
        pairs(options.real, out, "real")


if __name__ == "__main__":
    main()
