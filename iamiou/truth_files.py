"""The label maps of a ground truth that lie in folders: read when asked for, here or on another machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iamiou.addresses import is_address, read_address
from iamiou.errors import ImageError
from iamiou.listing import shown

if TYPE_CHECKING:
    import numpy as np

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_CHUNK = 2**16


@dataclass(frozen=True)
class Files:
    """Label maps in one folder: its path or address, and the names of the files by image id."""

    root: str
    names: Mapping[str, str]

    def only(self, images: Sequence[str]) -> Files:
        """Return those of some images, to be found from any working directory."""
        root = self.root if is_address(self.root) else str(Path(self.root).absolute())
        return Files(root, {image_id: self.names[image_id] for image_id in images if image_id in self.names})

    def shown(self, image_id: str) -> str:
        """Return what to call the file of an image."""
        return shown([f"{self._last}/{self.names[image_id]}"])[0]

    @cached_property
    def _last(self) -> str:
        return Path(self.root).name or self.root

    def read(self, image_id: str, shape: tuple[int, int] | None, max_pixels: int, window: int | None) -> Any:
        """Read and decode the label map of an image."""
        file, name = f"{self.root}/{self.names[image_id]}", self.shown(image_id)
        if not file.lower().endswith(".png") and not is_address(self.root):
            from iamiou.windows import open_big

            big = open_big(file, name, shape=shape, max_pixels=max_pixels, window=window)
            if big is not None:
                return big
        decode = _decoders()[file.lower().endswith(".npy")]
        labels = decode(_read(file, name), name, shape=shape, max_pixels=max_pixels)
        return labels if labels.itemsize <= 2 and labels.dtype.kind == "u" else _narrow(labels)


@dataclass(frozen=True)
class TruthFiles:
    """Reads the maps of an image, as ``GroundTruth.load``; can be cut down to some images, and travels."""

    semantic: Files
    instances: Files | None
    max_pixels: int
    window: int | None = None

    def only(self, images: Sequence[str]) -> TruthFiles:
        """Return what is needed for some images."""
        return replace(
            self, semantic=self.semantic.only(images), instances=self.instances and self.instances.only(images)
        )

    def __call__(self, image_id: str) -> tuple[Any, Any]:
        """Read the semantic and the instance map of an image."""
        labels = self.semantic.read(image_id, None, self.max_pixels, self.window)
        if self.instances is None:
            return labels, None
        try:
            return labels, self.instances.read(image_id, labels.shape, self.max_pixels, self.window)
        except ImageError as e:
            if e.kind != "size-differs":
                raise
            what = "instance maps differ in size from the semantic map of the image"
            detail = e.detail.replace("ground truth", self.semantic.shown(image_id))
            name = self.instances.shown(image_id)
            raise ImageError("instance-size-differs", what, name, detail, "Both must have the image's size.") from e


@cache
def _decoders() -> tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]:
    from iamiou.masks import read_label_map, read_npy  # NumPy, which a listing does without

    return read_label_map, read_npy


def _narrow(labels: np.ndarray) -> np.ndarray:
    """Bring wide integers to the width that a PNG of the same labels has, for both are the same data set."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= 2**31:
        return labels  # the evaluation says what is wrong with it
    return labels.astype("u1" if high < 2**8 else "u2" if high < 2**16 else "i4")


def _read(path: str, name: str) -> bytes:
    """Read a file with few system calls: each gives up the interpreter's lock, and takes its turn to get it back."""
    if is_address(path):
        return read_address(path, name)
    try:
        fd = os.open(path, _FLAGS)
        try:
            parts = [os.read(fd, _CHUNK)]
            if len(parts[0]) < _CHUNK:  # nearly always: the label map of a photograph takes 3 to 10 kB
                return parts[0]
            while part := os.read(fd, 2**24):
                parts.append(part)
        finally:
            os.close(fd)
    except OSError as e:
        raise ImageError("unreadable-file", "files cannot be read", name, e.strerror or str(e)) from e
    return b"".join(parts)
