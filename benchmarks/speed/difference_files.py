"""Ask the readers of one environment what labels lie in small PNG files: one json with a text each.

python difference_files.py ENVIRONMENT: runs inside that environment.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

LABELS = np.array([[0, 1, 2], [15, 20, 255]], np.uint8)
Readers = dict[str, Callable[[Path], np.ndarray]]


def files(folder: Path) -> dict[str, tuple[Path, np.ndarray]]:
    """Write every kind of label map that data sets use; return the path and the labels of each."""
    made = {}
    palette = Image.fromarray(LABELS)
    palette.putpalette([x for k in range(256) for x in (k * 37 % 256, k * 91 % 256, k * 53 % 256)])
    few = Image.fromarray(LABELS % 4)
    few.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    wide = np.array([[0, 1, 300], [1000, 20000, 65535]], np.uint16)
    for name, image, labels, options in (
        ("grey, 8 bits", Image.fromarray(LABELS), LABELS, {}),
        ("palette, 8 bits (PASCAL VOC)", palette, LABELS, {}),
        ("palette, 2 bits", few, LABELS % 4, {"bits": 2}),
        ("grey, 16 bits (instances)", Image.fromarray(wide), wide, {}),
        ("grey, 1 bit", Image.fromarray(LABELS % 2 == 1), LABELS % 2, {}),
    ):
        path = folder / f"{len(made)}.png"
        image.save(path, **options)
        made[name] = path, labels.astype(np.int64)
    return made


def readers(environment: str) -> Readers:
    if environment == "iamiou":
        from iamiou.masks import read_label_map

        return {"iamiou": lambda path: read_label_map(path.read_bytes(), path.name)}
    if environment == "cc3d":
        return {"Pillow": lambda path: np.array(Image.open(path))}
    if environment == "opencv":
        import cv2

        unchanged, grey = cv2.IMREAD_UNCHANGED, cv2.IMREAD_GRAYSCALE
        return {
            "OpenCV unchanged": lambda path: cv2.imread(str(path), unchanged),
            "OpenCV grayscale": lambda path: cv2.imread(str(path), grey),
        }
    if environment == "imageio":
        from imageio.v3 import imread

        return {"imageio": imread}
    from skimage.io import imread as read

    return {"scikit-image": read}


def answer(read: Callable[[Path], np.ndarray], path: Path, labels: np.ndarray) -> str:
    try:
        found = read(path)
    except Exception as e:
        return f"**{type(e).__name__}: {' '.join(str(e).split())[:80]}**"
    if found.ndim == 3:
        return f"**colours {found.shape[2]} × {found.dtype}**"
    if np.array_equal(found.astype(np.int64), labels):
        return "right"
    return f"**{' '.join(map(str, found.astype(np.int64).ravel().tolist()))}**"


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    found: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        made = files(Path(folder))
        for tool, read in readers(sys.argv[1]).items():
            found[tool] = {name: answer(read, path, labels) for name, (path, labels) in made.items()}
    labels = {name: " ".join(map(str, right.ravel())) for name, (_, right) in made.items()}
    print(json.dumps({"tools": found, "labels": labels}), file=answers)


if __name__ == "__main__":
    main()
