"""What identifies a label map and a data set: sha256 over decoded labels, whatever files they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from iamiou.big_maps import BigMap
from iamiou.label_checks import as_big_labels, as_labels
from iamiou.labels import VOID_8BIT, VOID_16BIT, ClassList


def map_digest(labels: np.ndarray | BigMap | None) -> str:
    r"""Return the sha256 of a decoded label map, whatever file it came from.

    The bytes that are hashed are ``"height width\\n"`` and the pixels row by row: one byte each when no label is
    above 254, void as 255; otherwise two bytes, little-endian, void as 65535 (four for larger ids).

    Examples
    --------
    >>> map_digest(np.zeros((2, 3), np.uint8)) == map_digest(np.zeros((2, 3), np.uint16))
    True
    """
    if labels is None:
        return hashlib.sha256(b"").hexdigest()
    if isinstance(labels, BigMap):
        labels = as_big_labels(labels, "image", "map", largest=2**31 - 1)
        high = labels.extremes()[2] if labels.dtype == np.uint16 else VOID_16BIT
        parts = labels.strips()
    else:
        labels = as_labels(labels, "image", "map", largest=2**31 - 1)
        high = 0
        if labels.dtype != np.uint8:
            high = int(labels.max(initial=0, where=(labels != VOID_16BIT) | (labels.itemsize == 4)))
        parts = iter([labels])
    digest = hashlib.sha256("{} {}\n".format(*labels.shape).encode())
    for part in parts:
        digest.update(_digested(part, high).data)
    return digest.hexdigest()


def _digested(labels: np.ndarray, high: int) -> np.ndarray:
    """Bring labels, of which ``high`` is the highest but void, to the width that is hashed."""
    if labels.itemsize == 1:
        return labels
    if high > 254:
        return labels.astype("<u2" if labels.itemsize == 2 else "<i4")
    return np.where((labels == VOID_16BIT) & (labels.itemsize == 2), VOID_8BIT, labels).astype(np.uint8)


def dataset_digest(classes: ClassList, maps: Iterable[tuple[str, str, str]], *, in_order: bool = False) -> str:
    """Return the identity of a data set: sha256 over the class names and, sorted by id, the digests of its maps.

    Parameters
    ----------
    classes : ClassList
        The names enter, one a line.
    maps : iterable of (image id, digest of the semantic map, digest of the instance map)
        As `map_digest` gives them.
    in_order : bool
        They come sorted, so that they need not be held all at once.
    """
    digest = hashlib.sha256("".join(f"{name}\n" for name in classes.names).encode())
    for entry in maps if in_order else sorted(maps):
        digest.update((" ".join(entry) + "\n").encode(errors="surrogateescape"))  # names may be any bytes
    return digest.hexdigest()
