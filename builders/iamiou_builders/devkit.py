"""The VOC devkit: label maps, the list of images, and what reading them back says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import ImageError
from iamiou.masks import read_label_map, write_label_map
from iamiou.report import map_digest
from iamiou_builders.disk import cannot_write
from iamiou_builders.facts import Image
from iamiou_builders.model import Resolved

SEMANTIC, INSTANCE, PICTURES, LISTS = "SegmentationClass", "SegmentationObject", "JPEGImages", "ImageSets/Segmentation"

Map = NDArray[Any]


def write_maps(root: Path, name: str, semantic: Map, instance: Map) -> bool:
    """Write the two label maps of an image, unless the files hold them already; tell whether one was written.

    What is compared are the labels: another version of zlib packs them differently.
    """
    wrote = False
    for folder, labels in ((SEMANTIC, semantic), (INSTANCE, instance)):
        path = root / folder / f"{name}.png"
        if holds(path, map_digest(labels)):
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_label_map(path, labels)
        except OSError as e:
            raise cannot_write(path, e) from e
        wrote = True
    return wrote


def holds(path: Path, digest: str) -> bool:
    """Tell whether a PNG holds the label map with this digest."""
    try:
        return map_digest(read_label_map(path.read_bytes(), path.name)) == digest
    except (OSError, ImageError):
        return False


def describe(resolved: Resolved, semantic: Map, instance: Map, size: int, sha256: str) -> Image:
    """Turn the painted maps of an image into what the other files say about it.

    The pixels are counted anew here: every instance must have the visible area that the selection counted on.
    """
    from pycocotools import mask

    void = semantic == (255 if semantic.dtype == np.uint8 else 65535)
    seen = np.bincount(instance[~void].astype(np.int64), minlength=len(resolved.instances) + 1)
    promised = [p.visible for p in resolved.instances]
    if seen[1:].tolist() != promised:
        raise AssertionError(f"{resolved.picture.name}: painted {seen[1:].tolist()} pixels, counted {promised}")

    def pack(pixels: NDArray[np.bool_]) -> bytes:
        counts: bytes = mask.encode(np.asfortranarray(pixels.astype(np.uint8)))["counts"]
        return counts

    masks = tuple(pack((instance == k) & ~void) for k in range(1, len(promised) + 1))
    area = int(void.sum())
    return Image(
        resolved, size, sha256, map_digest(semantic), map_digest(instance), masks, pack(void) if area else b"", area
    )  # fmt: skip


def listed(names: Sequence[str]) -> bytes:
    """Return the bytes of a list of images; their sha256 is the list's identity.

    >>> listed(["a", "b"])
    b'a\\nb\\n'
    """
    return "".join(f"{name}\n" for name in names).encode()
