"""Read and write one label map: PNG or .npy bytes to an array, and back to a file."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from iamiou.errors import ImageError, InputError
from iamiou.labels import voc_palette
from iamiou.png import MAX_PIXELS, Png, broken, check_size, decode, parse, plain_file, png_size, prove_size

__all__ = [
    "MAX_PIXELS",
    "NPY_HEAD",
    "Decoder",
    "broken_npy",
    "decode_with_pillow",
    "npy_layout",
    "png_size",
    "read_label_map",
    "read_npy",
    "write_bytes",
    "write_label_map",
]

#: Turns a parsed PNG into its pixels, uint8 or uint16; the name is for messages.
Decoder = Callable[[Png, str], np.ndarray]

_NPY_MAGIC = b"\x93NUMPY"
_NPY_HEADER = 1024  # bytes; the header of a label map takes 128, and a longer one is work for the parser
NPY_HEAD = _NPY_HEADER + 16


def read_label_map(
    data: bytes,
    name: str,
    *,
    shape: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
    decoder: Decoder | None = None,
) -> np.ndarray:
    """Decode a label map out of the bytes of a PNG file: grey values or palette indices, as they were stored.

    Parameters
    ----------
    data : bytes
        The whole file: grey or palette, 1 to 16 bits, interlaced or not.
    name : str
        Image id or file, for the message.
    shape : (height, width), optional
        The size that the map must have, in pixels; anything else is refused before decoding.
    max_pixels : int
        The most pixels that the header may claim; more are refused before decoding.
    decoder : callable, optional
        Decodes the pixels in place of the fast reader: `decode_with_pillow` for the files of strangers.

    Returns
    -------
    (height, width) array
        uint8, or uint16 for a 16-bit PNG; C-contiguous and writable.

    Raises
    ------
    ImageError
        Of kind "not-a-png", "broken-png", "rgb-png", "size-differs" or "too-large".

    Examples
    --------
    >>> buffer = io.BytesIO()
    >>> from PIL import Image
    >>> Image.fromarray(np.array([[0, 15], [15, 255]], np.uint8)).save(buffer, "PNG")
    >>> read_label_map(buffer.getvalue(), "example").tolist()
    [[0, 15], [15, 255]]
    """
    png = parse(data, name, shape=shape, max_pixels=max_pixels)
    labels = None if decoder else decode(png, name)
    return (decoder or decode_with_pillow)(png, name) if labels is None else labels


def read_npy(
    data: bytes, name: str, *, shape: tuple[int, int] | None = None, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Decode a label map out of the bytes of an .npy file.

    Parameters
    ----------
    data, name, shape, max_pixels
        As in `read_label_map`.

    Returns
    -------
    (height, width) array
        Any integer dtype, in native byte order; C-contiguous and writable.

    Raises
    ------
    ImageError
        Of kind "not-npy", "broken-npy", "npy-pickle", "npy-dtype", "npy-shape", "size-differs" or "too-large".

    Examples
    --------
    >>> buffer = io.BytesIO()
    >>> np.save(buffer, np.array([[0, 15]], np.int64))
    >>> read_npy(buffer.getvalue(), "example")
    array([[ 0, 15]])
    """
    size, fortran, dtype, start = npy_layout(data, name, shape, max_pixels)
    count = size[0] * size[1]
    if len(data) - start != count * dtype.itemsize:
        detail = f"{len(data) - start} bytes of data, expected {count * dtype.itemsize}"
        raise broken_npy(name, detail)
    flat = np.frombuffer(data, dtype, count, start)
    labels = flat.reshape(size, order="F" if fortran else "C")
    return np.array(labels, dtype.newbyteorder("="), order="C")


def write_label_map(path: str | Path, labels: np.ndarray, *, palette: bool = True) -> None:
    """Write a label map as PNG: 8 bits with VOC's palette for uint8, 16-bit grey for uint16.

    Parameters
    ----------
    path : path
        The file; it appears complete or not at all.
    labels : (height, width) uint8 or uint16 array
    palette : bool
        False writes uint8 as grey.

    Raises
    ------
    InputError
        If `labels` has another dtype, another number of dimensions, or no pixels.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "map.png"
    >>> write_label_map(path, np.array([[0, 300]], np.uint16))
    >>> read_label_map(path.read_bytes(), "map")
    array([[  0, 300]], dtype=uint16)
    """
    from PIL import Image

    labels = np.asarray(labels, labels.dtype.newbyteorder("="))
    if labels.dtype not in (np.uint8, np.uint16) or labels.ndim != 2 or labels.size == 0:
        raise InputError(
            f"The label map for '{path}' is {labels.dtype} of shape {labels.shape}; "
            "give a uint8 or uint16 array (height, width) with at least one pixel."
        )
    image = Image.fromarray(labels)
    if palette and labels.dtype == np.uint8:
        image.putpalette(_palette())
    file = io.BytesIO()
    image.save(file, "PNG")
    write_bytes(path, file.getvalue())


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file so that it appears complete or not at all, even if the process is stopped.

    Parameters
    ----------
    path : path
        An existing file is replaced.
    data : bytes
    """
    path = Path(path)
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@cache
def _palette() -> bytes:
    """Return VOC's colours in a row; they take longer to make than a mask takes to compress."""
    return bytes(value for colour in voc_palette() for value in colour)


def decode_with_pillow(png: Png, name: str) -> np.ndarray:
    """Decode any label map, and what `iamiou.png` leaves to others: interlaced, 1, 2 and 4 bits, very narrow.

    Pillow sees only the chunks that it needs, and only after the size of the inflated data is proved, so that the
    same rules hold for all files. `Image.open` is passed by because it has a limit on pixels of its own.
    """
    from PIL.PngImagePlugin import PngImageFile

    prove_size(png, name)
    try:
        with PngImageFile(io.BytesIO(plain_file(png))) as image:
            labels = np.array(image)
    except Exception as e:  # Pillow lets errors of many kinds through
        raise broken(name, f"Pillow cannot decode it: {e}") from e
    if png.colour == 0 and png.depth < 8:
        labels = labels.astype(np.uint8)
        labels //= {1: 1, 2: 85, 4: 17}[png.depth]  # Pillow stretches grey values to 0..255, 1 bit to a bool
    return labels


def npy_layout(
    data: bytes, name: str, shape: tuple[int, int] | None, max_pixels: int
) -> tuple[tuple[int, int], bool, np.dtype, int]:
    """Judge the header of an .npy file: its first `NPY_HEAD` bytes are enough.

    Returns
    -------
    size : (int, int)
        Height and width.
    fortran : bool
        Whether the data stand column by column.
    dtype : numpy.dtype
    start : int
        Where the data begin.
    """
    size, fortran, dtype, start = _npy_header(data, name)
    if dtype.hasobject:
        what = ".npy files hold pickled Python objects, which are never loaded because loading them can run any code"
        hint = "Load them where you trust them and save the label map alone: numpy.save(path, labels)."
        raise ImageError("npy-pickle", what, name, "", hint)
    if dtype.kind not in "iu":
        hint = "Save the label of each pixel as an integer; argmax over the classes makes one of scores."
        raise ImageError("npy-dtype", ".npy files hold no integers", name, str(dtype), hint)
    if len(size) != 2:
        hint = "Save one array (height, width) an image."
        raise ImageError("npy-shape", ".npy files hold no map of two dimensions", name, f"shape {size}", hint)
    if min(size) < 1:
        raise ImageError("npy-shape", ".npy files hold no pixels", name, f"shape {size}", "Save them again.")
    check_size(*size, name, shape, max_pixels)
    return (size[0], size[1]), fortran, dtype, start


def _npy_header(data: bytes, name: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Return shape, whether in Fortran order, dtype and the offset of the data."""
    if not data.startswith(_NPY_MAGIC):
        raise ImageError(
            "not-npy",
            "files are not in .npy format",
            name,
            f"starts with {bytes(data[:8]).hex(' ')}" if data else "is empty",
            "Save label maps with numpy.save.",
        )
    stream = io.BytesIO(data[:NPY_HEAD])
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        size, fortran, dtype = read(stream, max_header_size=_NPY_HEADER)
    except Exception as e:  # numpy parses the header as Python, which fails in many ways
        raise broken_npy(name, "its header cannot be read") from e
    return size, fortran, dtype, stream.tell()


def broken_npy(name: str, detail: str) -> ImageError:
    """Build the error for an .npy file that is damaged."""
    return ImageError("broken-npy", ".npy files are damaged", name, detail, "Write or copy them again.")
