"""Small files, packed in all the ways that predictions come in."""

from __future__ import annotations

import io
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from iamiou.labels import VOC, ClassList

LAYOUTS = ["folder", ".zip", ".tar", ".tar.gz", ".tgz"]


@dataclass(frozen=True)
class Truth:
    """As much of a ground truth as predictions need."""

    ids: tuple[str, ...] = ("a", "b")
    classes: ClassList = VOC
    image_ids: dict[int, str] = field(default_factory=dict)
    category_labels: dict[int, int] = field(default_factory=dict)
    known: frozenset[str] = frozenset("ab")


def make_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as z:
        for name, data in members.items():
            z.writestr(name, data)
    return path


def make_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as t:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return path


def png(value: int = 1, shape: tuple[int, int] = (4, 6), mode: str = "P") -> bytes:
    out = io.BytesIO()
    image = Image.fromarray(np.full(shape, value, np.uint8))
    if mode == "P":
        image.putpalette(bytes(range(256)) * 3)
    else:
        image = image.convert(mode)
    image.save(out, "PNG")
    return out.getvalue()


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def lay(tmp_path: Path, layout: str, files: dict[str, bytes]) -> Path:
    """Write the same files as a folder or as an archive."""
    path = tmp_path / (f"preds{layout}" if layout.startswith(".") else layout)
    if layout == ".zip":
        return make_zip(path, files)
    if layout.startswith("."):
        return make_tar(path, files, "w" if layout == ".tar" else "w:gz")
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path
