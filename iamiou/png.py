"""Decode label-map PNGs: strict about every byte, without the interpreter lock where the time goes.

Grey and palette images of 8 bits and grey of 16 bits, not interlaced, are decoded here: libdeflate inflates, a Numba
loop undoes the row filters in the same memory. `decode` returns None for the other label maps (1, 2 and 4 bits,
interlaced, under 8 bytes wide), which `iamiou.masks` hands to Pillow.

Everything in a file up to its end chunk has to be right: lengths, order and checksums of the chunks, the filters,
and that the data inflate to exactly the size that the header claims. What follows the end chunk is ignored, as all
decoders do. An animated PNG is read as its still image.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from deflate import DeflateError, crc32, zlib_decompress

from iamiou.errors import ImageError

#: Images with more pixels are refused unless the caller says otherwise.
MAX_PIXELS = 2**30

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_START = struct.Struct(">8sI4sIIBBBBBI")  # signature and IHDR chunk
_CHUNK = struct.Struct(">I4s")
_NEXT_CHUNK = struct.Struct(">II4s")  # checksum of a chunk, length and type of the next
_END = b"\0\0\0\0IEND\xaeB`\x82"

_UINT8, _UINT16 = np.dtype(np.uint8), np.dtype("<u2")  # the loop leaves 16-bit pixels in little-endian order
_COLOURS = {2: "RGB", 4: "grey with alpha", 6: "RGBA"}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_DEFLATE_LIMIT = 1032  # deflate cannot expand more: 258 bytes from 2 bits

#: First row and column of the seven passes of an interlaced image, steps down and across.
_ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)

_FORMATS = {
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"RIFF": "WebP",
    b"\x93NUMPY": "NumPy array",
    b"PK\x03\x04": "zip archive",
    b"\x1f\x8b": "gzip",
    b"version https://git-lfs": "pointer of Git LFS; fetch the file with `git lfs pull`",
    b"<": "web page or other markup",
}


class Png(NamedTuple):
    """A PNG file taken apart: its size in pixels, bits a pixel, colour type (0 grey, 3 palette) and packed data."""

    height: int
    width: int
    depth: int
    colour: int
    interlaced: bool
    start: bytes | memoryview
    packed: bytes | memoryview


def png_size(data: bytes, name: str) -> tuple[int, int]:
    """Return (height, width) of a PNG file in pixels, reading no more than its header.

    Parameters
    ----------
    data : bytes
        The file; its first 33 bytes are enough.
    name : str
        Image id or file, for the message.

    Raises
    ------
    ImageError
        Of kind "not-a-png" or "broken-png".
    """
    return _header(data, name)[:2]


def parse(data: bytes, name: str, *, shape: tuple[int, int] | None = None, max_pixels: int = MAX_PIXELS) -> Png:
    """Take a label-map PNG apart and prove all that can be proved before it is inflated.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        Image id or file, for the message.
    shape : (height, width), optional
        The size that the image must have, in pixels.
    max_pixels : int
        The most pixels that the header may claim.

    Raises
    ------
    ImageError
        Of kind "not-a-png", "broken-png", "rgb-png", "size-differs" or "too-large".
    """
    height, width, depth, colour, interlaced = _header(data, name)
    if colour not in (0, 3):
        raise ImageError(
            "rgb-png",
            "PNG files hold colours, not labels",
            name,
            _COLOURS[colour],
            "Convert colour masks with `iamiou convert IN OUT`.",
        )
    check_size(height, width, name, shape, max_pixels)
    view = memoryview(data)
    return Png(height, width, depth, colour, interlaced, view[:33], _packed_data(view, colour == 3, name))


def decode(png: Png, name: str) -> np.ndarray | None:
    """Decode the pixels of a parsed PNG to a writable, C-contiguous uint8 or uint16 array (height, width).

    Returns
    -------
    ndarray or None
        None when Pillow has to decode this kind of label map.

    Raises
    ------
    ImageError
        Of kind "broken-png".
    """
    height, width, depth, _, interlaced, _, packed = png
    row = width * depth >> 3
    if depth < 8 or interlaced or row < 8:
        return None
    raw = _inflate(packed, (row + 1) * height, name)
    bad = _unfilter()(np.frombuffer(raw, np.uint8), height, row, depth >> 3)
    if bad >= 0:
        raise broken(name, f"row {bad} has an unknown filter")
    return np.ndarray((height, width), _UINT8 if depth == 8 else _UINT16, raw)


def prove_size(png: Png, name: str) -> None:
    """Inflate a PNG of any kind to see that it holds neither less nor more than its header claims.

    Raises
    ------
    ImageError
        Of kind "broken-png".
    """
    size = 0
    for top, left, down, across in _ADAM7 if png.interlaced else ((0, 0, 1, 1),):
        rows, columns = -((top - png.height) // down), -((left - png.width) // across)
        if columns > 0:
            size += rows * ((columns * png.depth + 7) // 8 + 1)
    _inflate(png.packed, size, name)


def plain_file(png: Png) -> bytes:
    """Write a parsed PNG as a file of only the necessary chunks, with an arbitrary palette."""
    palette = _chunk(b"PLTE", bytes(3)) if png.colour == 3 else b""
    return b"".join((png.start, palette, _chunk(b"IDAT", png.packed), _END))


def broken(name: str, detail: str) -> ImageError:
    """Build the error for a file that is damaged."""
    return ImageError("broken-png", "PNG files are damaged", name, detail, "Write or copy them again.")


def check_size(height: int, width: int, name: str, shape: tuple[int, int] | None, max_pixels: int) -> None:
    """Refuse an image that is not of the expected `shape` or claims more than `max_pixels`.

    Examples
    --------
    >>> check_size(320, 320, "2007_000033", (366, 500), 2**30)
    Traceback (most recent call last):
    ...
    iamiou.errors.ImageError: 1 image differs in size ...: 2007_000033 (320 x 320, ground truth 366 x 500). ...
    """
    if shape is not None and (height != shape[0] or width != shape[1]):
        raise ImageError(
            "size-differs",
            "images differ in size from the ground truth",
            name,
            f"{height} x {width}, ground truth {shape[0]} x {shape[1]}",
            "Resize the label maps, height x width, to the size of their images by nearest neighbour.",
        )
    if height * width > max_pixels:
        raise ImageError(
            "too-large",
            f"images claim more than {max_pixels} pixels",
            name,
            f"{height} x {width}",
            "Raise --max-pixels if they are meant to be that large.",
        )


def _inflate(packed: bytes | memoryview, size: int, name: str) -> bytearray:
    """Inflate image data to exactly `size` bytes."""
    if size > _DEFLATE_LIMIT * len(packed):
        raise broken(name, "has less image data than its header claims")
    if size >> 32:  # the inflate library counts with 32 bits
        raise ImageError("too-large", "PNG images have more than 4 GiB of pixels", name, "", "Save them as .npy.")
    try:
        raw: bytearray = zlib_decompress(packed, size)
    except DeflateError:
        raise broken(name, "its image data are damaged or larger than its header claims") from None
    if len(raw) != size:
        raise broken(name, "has less image data than its header claims")
    return raw


def _header(data: bytes, name: str) -> tuple[int, int, int, int, bool]:
    """Return height, width, depth, colour type and whether interlaced."""
    if data[:8] != SIGNATURE:
        raise _not_a_png(bytes(data[:32]), name)
    try:
        _, length, kind, width, height, depth, colour, method, filters, interlace, crc = _START.unpack_from(data)
    except struct.error:
        raise broken(name, "ends within its header") from None
    if length != 13 or kind != b"IHDR":
        raise broken(name, "does not start with a header")
    if crc != crc32(data[12:29]):
        raise broken(name, "its header has a wrong checksum")
    if not 0 < width < 2**31 or not 0 < height < 2**31:
        raise broken(name, f"its header claims {height} x {width} pixels")
    if depth not in _DEPTHS.get(colour, ()):
        raise broken(name, f"its header claims colour type {colour} with {depth} bits")
    if method or filters or interlace > 1:
        raise broken(name, "its header claims an unknown compression, filter or interlace method")
    return height, width, depth, colour, interlace == 1


def _packed_data(view: memoryview, needs_palette: bool, name: str) -> bytes | memoryview:
    """Check all chunks after the header and return the data of the IDAT chunks joined."""
    parts: list[memoryview] = []
    at, previous, palette = 33, b"", False
    try:
        length, kind = _CHUNK.unpack_from(view, at)
        while kind != b"IEND":
            end = at + 8 + length
            crc, next_length, next_kind = _NEXT_CHUNK.unpack_from(view, end)
            if crc != crc32(view[at + 4 : end]):
                raise broken(name, f"its {_shown(kind)} chunk has a wrong checksum")
            if kind == b"IDAT":
                if (parts and previous != kind) or (needs_palette and not palette):
                    raise broken(name, "its image data are not where they should be")
                parts.append(view[at + 8 : end])
            elif kind == b"PLTE" and not palette and not parts and 0 < length <= 768 and length % 3 == 0:
                palette = True
            elif not kind.isalpha() or kind[0] < 96:  # an upper-case initial: a chunk that must be understood
                raise broken(name, f"its {_shown(kind)} chunk is not valid at byte {at}")
            at, length, previous, kind = end + 4, next_length, kind, next_kind
    except struct.error:
        raise broken(name, "is cut short") from None
    if view[at : at + 12] != _END:
        raise broken(name, "is cut short or damaged at its end")
    if not parts:
        raise broken(name, "has no image data")
    return parts[0] if len(parts) == 1 else b"".join(parts)


@cache
def _unfilter() -> Callable[[np.ndarray, int, int, int], int]:
    """Import the Numba loop when the first image needs it."""
    from iamiou.unfilter import unfilter

    return unfilter


def _chunk(kind: bytes, content: bytes | memoryview) -> bytes:
    body = kind + content
    return len(content).to_bytes(4) + body + crc32(body).to_bytes(4)


def _shown(kind: bytes) -> str:
    return kind.decode() if kind.isalpha() else repr(kind)[1:]


def _not_a_png(start: bytes, name: str) -> ImageError:
    if not start:
        return broken(name, "is empty")
    if SIGNATURE.startswith(start):
        return broken(name, "ends within its header")
    if start.startswith(b"\x89PNG"):
        return broken(name, "its line ends were changed by a transfer in text mode")
    known = next((text for magic, text in _FORMATS.items() if start.startswith(magic)), "")
    return ImageError(
        "not-a-png",
        "files are not in PNG format",
        name,
        known or f"starts with {start[:8].hex(' ')}",
        "Save label maps as PNG, one grey value or palette index a pixel.",
    )
