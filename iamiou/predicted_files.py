"""The label maps of a model that lie in a folder or an archive: read when asked for, here or on another machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iamiou.addresses import is_address, read_address
from iamiou.errors import ImageError, InputError
from iamiou.listing import shown

if TYPE_CHECKING:
    import numpy as np

    from iamiou.archives import Archive
    from iamiou.masks import Decoder

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_CHUNK = 2**16
# What a file may hold beside its pixels: headers, a palette, text chunks.
_SLACK = 2**20


@dataclass(frozen=True)
class PredictedFiles:
    """Reads the label map of an image, as ``Predictions.load``; can be cut down to some images, and travels.

    Parameters
    ----------
    read : callable
        ``read(name, limit)`` gives the bytes of a file, of a longer one at least one more than ``limit``.
    names : mapping of str to str
        The file of every image.
    max_pixels, decoder, window
        As in `open_predictions`.
    """

    read: Callable[[str, int], bytes]
    names: Mapping[str, str]
    max_pixels: int
    decoder: Decoder | None
    window: int | None = None

    def only(self, images: Sequence[str]) -> PredictedFiles:
        """Return what is needed for some images."""
        return replace(self, names={i: self.names[i] for i in images if i in self.names})

    def __call__(self, image_id: str, shape: tuple[int, int]) -> Any:
        """Read the label map of an image of a known size."""
        file = self.names.get(image_id)
        if file is None:
            raise ImageError("missing-prediction", "images have no prediction", image_id)
        if (big := self._open_big(file, shape)) is not None:
            return big
        limit = size_limit(shape[0] * shape[1])
        data = self.read(file, limit)
        if len(data) > limit:
            raise _oversize(partial(self._decode, file), data[:limit], shape, file, limit)
        return self._decode(file, data, shape=shape)

    def _open_big(self, file: str, shape: tuple[int, int]) -> Any:
        """Open what is not read as bytes, from a folder on disk."""
        if file.lower().endswith(".png") or not isinstance(self.read, InFolder) or is_address(self.read.root):
            return None
        from iamiou.windows import open_big

        path, name = f"{self.read.root}/{file}", shown([file])[0]
        return open_big(path, name, shape=shape, max_pixels=self.max_pixels, window=self.window)

    def _decode(self, file: str, data: bytes, shape: tuple[int, int]) -> np.ndarray:
        read_png, read_npy = _decoders()
        name = shown([file])[0]
        if file.lower().endswith(".npy"):
            return read_npy(data, name, shape=shape, max_pixels=self.max_pixels)
        return read_png(data, name, shape=shape, max_pixels=self.max_pixels, decoder=self.decoder)


class InFolder:
    """Reads files of a folder, on disk or behind an address."""

    def __init__(self, root: str) -> None:
        self.root = root

    def __reduce__(self) -> tuple[type[InFolder], tuple[str]]:
        """Travel with a path that holds from any working directory."""
        return InFolder, (self.root if is_address(self.root) else str(Path(self.root).absolute()),)

    def __call__(self, name: str, limit: int) -> bytes:
        """Read a file, of a longer one at least a byte more than the limit."""
        return _read_file(f"{self.root}/{name}", limit)


class InArchive:
    """Reads members of an archive; where it travels to, the archive is opened again, once a process."""

    def __init__(self, archive: Archive, path: Path, most: int) -> None:
        self.archive, self.path, self.most = archive, path, most
        self.index = {name: i for i, name in enumerate(archive.names)}

    def __reduce__(self) -> tuple[Callable[..., InArchive], tuple[str, int, int]]:
        return _reopened, (str(self.path.absolute()), self.most, self.path.stat().st_size)

    def __call__(self, name: str, limit: int) -> bytes:
        """Read a file, of a longer one at least a byte more than the limit."""
        return self.archive.read(self.index[name], limit)


@lru_cache(maxsize=2)
def _reopened(path: str, most: int, size: int) -> InArchive:
    from iamiou.archives import open_archive

    archive = open_archive(path, max_total=most)
    if archive.problems or Path(path).stat().st_size != size:
        raise InputError(f"'{path}' is another archive where it was opened again; share one file with all machines.")
    return InArchive(archive, Path(path), most)


@cache
def _decoders() -> tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]:
    from iamiou.masks import read_label_map, read_npy  # NumPy, which a listing does without

    return read_label_map, read_npy


def _oversize(decode: Callable[..., object], head: bytes, shape: tuple[int, int], name: str, limit: int) -> ImageError:
    """Say why a file is longer than its image allows; its header may tell more than its length."""
    try:
        decode(head, shape=shape)
    except ImageError as e:
        if not e.kind.startswith("broken"):  # which it is only because it was cut here
            return e
    what = "files are larger than any label map of the image"
    return ImageError("oversize-file", what, shown([name])[0], f"more than {limit} bytes", "Write 8-bit PNG.")


def size_limit(pixels: int) -> int:
    """Return the most bytes that the file of a label map of so many pixels can have."""
    return 8 * pixels + _SLACK  # no label map is wider than a .npy of int64


def _read_file(path: str, limit: int) -> bytes:
    """Read `limit` bytes and one more, with few system calls: each gives up the interpreter's lock."""
    if is_address(path):
        return read_address(path, shown([path.rpartition("/")[2]])[0], limit)
    try:
        fd = os.open(path, _FLAGS)
        try:
            data = os.read(fd, _CHUNK)
            if len(data) < _CHUNK:  # nearly always: the label map of a photograph takes 3 to 10 kB
                return data
            parts, size = [data], len(data)
            while data and size <= limit:
                data = os.read(fd, min(limit + 1 - size, 2**30))
                parts.append(data)
                size += len(data)
        finally:
            os.close(fd)
    except OSError as e:
        name = shown([path.rpartition("/")[2]])[0]
        raise ImageError("unreadable-file", "files cannot be read", name, e.strerror or str(e)) from e
    return b"".join(parts)
