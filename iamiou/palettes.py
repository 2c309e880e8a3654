"""Colours -> labels: VOC's palette, palettes from a text file, and the look-up of a whole image at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iamiou.errors import InputError
from iamiou.labels import VOC, VOID_8BIT, VOID_16BIT, voc_palette

# Distances between unknown colours and the palette that are held at once.
_DISTANCES = 2**21


@dataclass(frozen=True)
class Palette:
    """Which label a colour stands for.

    Parameters
    ----------
    name : str
        To be shown.
    codes : ndarray of int32
        Colours as red * 65536 + green * 256 + blue, increasing.
    labels : ndarray of int64
        Label of each colour.
    near : ndarray of bool
        Colours that an unknown one may be taken for.
    """

    name: str
    codes: np.ndarray
    labels: np.ndarray
    near: np.ndarray


@dataclass(frozen=True)
class Lookup:
    """An image's labels and the colours that had none.

    Parameters
    ----------
    labels : ndarray, uint8 or uint16
        Label map; 0 where a colour is unknown.
    unknown : dict of int to int
        Pixels of each unknown colour, by its code.
    """

    labels: np.ndarray
    unknown: dict[int, int]


def voc_colours() -> Palette:
    """Return VOC's palette: 256 colours, the border's (224, 224, 192) being void, 255.

    An unknown colour may be taken for one of the 21 classes or the border, not for a label that VOC never uses.

    >>> p = voc_colours()
    >>> p.labels[p.codes == (192 << 16 | 128 << 8 | 128)]
    array([15])
    """
    near = np.arange(256) < len(VOC)
    near[VOID_8BIT] = True
    return _palette("VOC's palette", list(enumerate(voc_palette())), near)


def load_palette(path: str | Path) -> Palette:
    """Read a palette from a text file with lines of ``label red green blue``.

    Empty lines and lines that start with ``#`` are skipped; a label may have several colours.

    Raises
    ------
    InputError
        If the file cannot be read, a line is no such line, or a colour stands for two labels.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"The palette '{path}' cannot be read ({type(e).__name__}).") from e
    rows: list[tuple[int, tuple[int, int, int]]] = []
    seen: dict[tuple[int, int, int], int] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 4 or not all(w.isdecimal() and len(w) <= 5 for w in words):
            raise InputError(f"Line {number} of the palette '{path}' is not 'label red green blue': '{line.strip()}'.")
        label, red, green, blue = map(int, words)
        if label > VOID_16BIT or max(red, green, blue) > 255:
            raise InputError(
                f"Line {number} of the palette '{path}' has a label above {VOID_16BIT} or a colour above 255."
            )
        if seen.setdefault((red, green, blue), label) != label:
            raise InputError(
                f"Line {number} of the palette '{path}' gives ({red}, {green}, {blue}) the label {label}, "
                f"but it already has {seen[red, green, blue]}."
            )
        rows.append((label, (red, green, blue)))
    if not rows:
        raise InputError(f"The palette '{path}' is empty; give lines of 'label red green blue'.")
    return _palette(f"the palette '{path}'", rows, np.ones(len(rows), dtype=bool))


def _palette(name: str, rows: list[tuple[int, tuple[int, int, int]]], near: np.ndarray) -> Palette:
    codes = np.array([r << 16 | g << 8 | b for _, (r, g, b) in rows], dtype=np.int32)
    codes, first = np.unique(codes, return_index=True)
    return Palette(name, codes, np.array([label for label, _ in rows], dtype=np.int64)[first], near[first])


def encode(rgb: np.ndarray) -> np.ndarray:
    """Pack (..., 3) uint8 colours into one int32 each; a fourth channel is left out.

    >>> encode(np.array([[0, 1, 2]], dtype=np.uint8))
    array([258], dtype=int32)
    """
    packed: np.ndarray = rgb[..., 0].astype(np.int32) << 16 | rgb[..., 1].astype(np.int32) << 8 | rgb[..., 2]
    return packed


def look_up(codes: np.ndarray, palette: Palette, *, nearest: bool = False) -> Lookup:
    """Find the labels of an image of colours.

    Parameters
    ----------
    codes : ndarray of int32, any shape
        Colours as `encode` packs them.
    palette : Palette
    nearest : bool
        Give an unknown colour the label of the nearest colour (Euclidean in red, green and blue; of two as
        near, the one with the lower code).

    Examples
    --------
    >>> found = look_up(np.array([[0, 128 << 16, 7]]), voc_colours())
    >>> found.labels, found.unknown
    (array([[0, 1, 0]], dtype=uint8), {7: 1})
    """
    flat = codes.reshape(-1)
    # Neighbours mostly share their colour, so runs are sorted instead of pixels: 20 times fewer.
    starts = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)
    lengths = np.diff(starts, append=flat.size)
    colours, which = np.unique(flat[starts], return_inverse=True)
    at = np.minimum(np.searchsorted(palette.codes, colours), len(palette.codes) - 1)
    known = palette.codes[at] == colours
    labels = np.where(known, palette.labels[at], 0)
    pixels = np.bincount(which, weights=lengths, minlength=len(colours)).astype(np.int64)
    unknown = dict(zip(colours[~known].tolist(), pixels[~known].tolist(), strict=True))
    if nearest and unknown:
        labels[~known] = _nearest(colours[~known], palette)
    small = np.uint8 if palette.labels.max() <= VOID_8BIT else np.uint16
    return Lookup(np.repeat(labels.astype(small)[which], lengths).reshape(codes.shape), unknown)


def _nearest(colours: np.ndarray, palette: Palette) -> np.ndarray:
    table = _decode(palette.codes[palette.near])
    block = max(1, _DISTANCES // len(table))
    found = [
        np.square(_decode(colours[i : i + block])[:, None] - table).sum(axis=2).argmin(axis=1)
        for i in range(0, len(colours), block)
    ]
    labels: np.ndarray = palette.labels[palette.near][np.concatenate(found)]
    return labels


def _decode(codes: np.ndarray) -> np.ndarray:
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1)
