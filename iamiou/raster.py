"""GeoTIFF label maps, read by windows through rasterio (extra ``[raster]``): strict about what is in the file.

Only GDAL's own GeoTIFF driver is allowed, no side-car file is looked at, and the size is judged before any pixel is
decoded. A file that is tiled inside is read in strips of whole rows of its tiles.
"""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from iamiou.big_maps import WINDOW, BigMap, Place, rows_of
from iamiou.errors import ImageError, extra_missing
from iamiou.labels import VOID_8BIT, VOID_16BIT
from iamiou.png import MAX_PIXELS, check_size

#: A block (a tile or strip of the file) is decoded as a whole, so that its size bounds the memory.
MAX_BLOCK = 2**26
_LOSSLESS = ("none", "lzw", "deflate", "packbits", "zstd", "lzma", "ccittrle", "ccittfax3", "ccittfax4")
_OPTIONS = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO", "GDAL_CACHEMAX": 128}
# Python's list of warning filters is one for all threads.
_lock = threading.Lock()


def open_tiff(
    path: str | Path,
    name: str,
    *,
    shape: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
    window: int = WINDOW,
) -> BigMap:
    """Open a GeoTIFF (BigTIFF too, tiled or not, compressed without loss) of one band of integers.

    Parameters
    ----------
    path : path
        The file, on a disk.
    name : str
        Image id or file, for the message.
    shape : (height, width), optional
        The size that the map must have, in pixels.
    max_pixels : int
        The most pixels that the header may claim.
    window : int
        Pixels of a strip.

    Returns
    -------
    BigMap
        With the file's georeference, if it has one.

    Raises
    ------
    ImageError
        Of kind "broken-tiff", "tiff-bands", "tiff-pages", "tiff-dtype", "tiff-nodata", "tiff-mask",
        "tiff-compression", "tiff-block", "size-differs" or "too-large".
    InputError
        If rasterio is not installed.
    """
    try:
        import rasterio
    except ModuleNotFoundError as e:
        raise extra_missing(f"'{name}' is a TIFF, and reading it", "raster") from e
    try:
        with _lock, warnings.catch_warnings(), rasterio.Env(**_OPTIONS):
            warnings.simplefilter("ignore")  # that it has no georeference: most label maps have none
            # An absolute path: GDAL takes others for addresses of networks and archives.
            data = rasterio.open(Path(path).absolute(), driver="GTiff")
    except rasterio.errors.RasterioError as e:
        raise _broken(name, e) from e
    _check(data, name, shape, max_pixels)

    def fill(first: int, out: np.ndarray) -> None:
        part = rasterio.windows.Window(0, first, data.width, len(out))
        try:
            with rasterio.Env(**_OPTIONS):
                if out.dtype == data.dtypes[0]:
                    data.read(1, window=part, out=out)
                else:
                    out[...] = data.read(1, window=part)
        except rasterio.errors.RasterioError as e:
            raise _broken(name, e) from e

    size = (data.height, data.width)
    rows = rows_of(size, window, data.block_shapes[0][0])
    return BigMap(size, np.dtype(data.dtypes[0]), fill, rows, window, _place(data))


def _check(data: Any, name: str, shape: tuple[int, int] | None, max_pixels: int) -> None:
    """Refuse what is no label map, or more than one."""
    if data.count != 1:
        what = "TIFF files have more than one band"
        hint = "Write the label of each pixel as the only band; colours are no labels."
        raise ImageError("tiff-bands", what, name, f"{data.count} bands", hint)
    if data.subdatasets:
        hint = "Keep one label map a file."
        raise ImageError("tiff-pages", "TIFF files hold more than one image", name, f"{len(data.subdatasets)}", hint)
    dtype = np.dtype(data.dtypes[0])
    if dtype.kind not in "iu":
        hint = "Save the label of each pixel as an integer; argmax over the classes makes one of scores."
        raise ImageError("tiff-dtype", "TIFF files hold no integers", name, str(dtype), hint)
    check_size(data.height, data.width, name, shape, max_pixels)
    compression = data.compression.value.lower() if data.compression else "none"
    if compression not in _LOSSLESS:
        hint = "Write them without compression, or with deflate, LZW or ZSTD."
        what = "TIFF files are compressed in a way that can change labels, or that is not read"
        raise ImageError("tiff-compression", what, name, compression, hint)
    height, width = data.block_shapes[0]
    if height * width > MAX_BLOCK:
        hint = "Write them with smaller tiles, such as 512 x 512."
        what = f"TIFF files have tiles of more than {MAX_BLOCK} pixels"
        raise ImageError("tiff-block", what, name, f"{height} x {width}", hint)
    _check_nodata(data, dtype, name)


def _check_nodata(data: Any, dtype: np.dtype[Any], name: str) -> None:
    """Refuse pixels that the file declares to be nothing in another way than by the void label."""
    from rasterio.enums import MaskFlags

    void = {np.dtype(np.uint8): VOID_8BIT, np.dtype(np.uint16): VOID_16BIT}.get(dtype)
    if data.nodata is not None and data.nodata != void:
        what = "TIFF files declare a nodata value that is not the void label"
        hint = (
            "Void is 255 in 8-bit and 65535 in 16-bit maps: write nodata pixels so and declare that; or, if the "
            "value is an ordinary label, remove the declaration: gdal_edit.py -unsetnodata FILE."
        )
        raise ImageError("tiff-nodata", what, name, f"nodata {data.nodata:g} in {dtype}", hint)
    if MaskFlags.per_dataset in data.mask_flag_enums[0]:
        hint = "Write the masked pixels as void, 255 in 8-bit maps, and leave the mask out."
        raise ImageError("tiff-mask", "TIFF files have a mask beside the labels", name, "", hint)


def _place(data: Any) -> Place | None:
    if data.crs is None and data.transform.is_identity:
        return None
    return Place(data.crs.to_string() if data.crs else "", tuple(data.transform)[:6])


def _broken(name: str, error: Exception) -> ImageError:
    """Build the error for a file that GDAL does not read; its words may hold a stranger's text and a path."""
    detail = str(error.__cause__ or error).splitlines()[0][:100] if str(error) else "no reason given"
    detail = detail if detail.isprintable() else repr(detail)
    return ImageError("broken-tiff", "files cannot be read as GeoTIFF", name, detail, "Write or copy them again.")
