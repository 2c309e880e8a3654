"""COCO and LVIS json from a stranger -> checked tables, in little memory.

`lvis.LVIS` and `pycocotools.coco.COCO` could read the files too, and tests show that both accept what is accepted
here and give the same masks. They are not used for reading: they trust the file (an assertion or a KeyError where a
sentence is due), keep every coordinate as a Python number (five times the file), print, and lvis needs OpenCV and
with it libGL only to draw. What is used of pycocotools is its algebra of run lengths.
"""

from __future__ import annotations

import gc
import hashlib
import json
import re
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from iamiou.coco_truth import CocoFile, check_document
from iamiou.errors import InputError
from iamiou_builders.model import Picture, Split

_OLD_NAME = re.compile(r"^COCO_(train|val)2014_")
_FEDERATED = ("neg_category_ids", "not_exhaustive_category_ids")


class Document(NamedTuple):
    """A file whose tables and images are checked; polygons are tuples of arrays."""

    file: CocoFile
    images: list[dict[str, Any]]
    sha256: str


def read_document(path: Path, kind: Literal["coco", "lvis"], max_pixels: int = 2**30) -> Document:
    """Read a file of annotations.

    Parameters
    ----------
    path : path
    kind : {'coco', 'lvis'}
        What it was given for; a file of the other kind is refused.
    max_pixels : int
        The most pixels that an image may claim.

    Raises
    ------
    InputError
        If it cannot be read, is cut short, or is another kind of file.
    ProblemsFound
        With all images that are incomplete, stand twice, or are too large.
    """
    try:
        data = path.read_bytes()
    except OSError as e:
        raise InputError(f"'{path}' cannot be read: {e.strerror or e}.") from e
    digest = hashlib.sha256(data).hexdigest()
    try:
        text = data.decode("utf-8-sig")
        del data  # a large file is in memory once, not twice, while it is parsed
        with _collector_off():
            document = json.loads(text, object_hook=_compact)
    except (ValueError, RecursionError) as e:
        raise InputError(f"'{path}' is not valid json ({e}); is it cut short? Copy or download it again.") from e
    del text
    file = check_document(document, path, max_pixels)
    if file.federated != (kind == "lvis"):
        other = "lvis" if file.federated else "coco"
        raise InputError(f"'{path}' was given with --{kind}, but it is {other.upper()}; give it with --{other}.")
    return Document(file, document["images"], digest)


def picture_of(entry: dict[str, Any], url: str) -> Picture:
    """Make a `Picture` out of an entry that `read_document` has checked.

    The name is that of the 2017 file, which LVIS v0.5 has in coco_url only; the part of COCO is read from coco_url.

    Parameters
    ----------
    entry : dict
        Of the table ``images``.
    url : str
        Address with ``{split}`` and ``{name}`` in place of the entry's own, where its part is known; may be empty.

    Examples
    --------
    >>> e = {"id": 9, "height": 4, "width": 5, "file_name": "COCO_val2014_000000000009.jpg"}
    >>> e["coco_url"] = "http://images.cocodataset.org/val2017/000000000009.jpg"
    >>> p = picture_of(e, "")
    >>> p.name, p.split, p.license
    ('000000000009', 'val', None)
    """
    given = _text(entry.get("coco_url"))
    name = _base(_text(entry.get("file_name")) or given)
    split: Split = "val" if "/val2017/" in given else "train" if "/train2017/" in given else "unknown"
    if url and split != "unknown":
        given = url.replace("{split}", split).replace("{name}", name.rpartition(".")[0])
    licence = entry.get("license")
    number = licence if type(licence) is int else None
    height, width, page = entry["height"], entry["width"], _text(entry.get("flickr_url"))
    return Picture(entry["id"], name, height, width, split, number, given, page)


def category_ids(entry: dict[str, Any], key: str) -> tuple[int, ...] | None:
    """Return a list of categories of an LVIS image; None if it is no list of numbers."""
    ids = entry.get(key, [])
    return tuple(ids) if isinstance(ids, list) and all(type(i) is int for i in ids) else None


def _base(name: str) -> str:
    base = _OLD_NAME.sub("", name.replace("\\", "/").rpartition("/")[2])
    return base if "." in base else f"{base}.jpg"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _compact(entry: dict[str, Any]) -> dict[str, Any]:
    """Hold the polygons of an annotation in 8 bytes a coordinate, and leave out what is never used."""
    polygons = entry.get("segmentation")
    if isinstance(polygons, list):
        with suppress(TypeError, OverflowError):  # no list of lists of numbers: left as it is, to be refused by name
            entry["segmentation"] = tuple(array("d", p) for p in polygons)
        entry.pop("bbox", None)
    return entry


@contextmanager
def _collector_off() -> Iterator[None]:
    """Keep the collector from walking through millions of new objects again and again: none of them is garbage."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
