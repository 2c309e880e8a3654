"""Counts of single images as rows of integers: one flat array that grows, travels and merges, and Counts again.

A row is all that an image leaves behind, and says which image and which ground truth it is of. So rows of several
processes are merged by putting them one after the other, in any order, and an image that came twice counts once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from iamiou.counts import Counts, Ints
from iamiou.errors import InputError, counted, name_some
from iamiou.report import map_digest

# The columns that every row has: its length, the rule it was counted by, the bytes of the id (-1 for none), and how
# many instances and phantoms follow. Then come 2 x 32 bytes of digests of the maps, the id, the instances (6 columns),
# the phantoms (2), and pairs of a place in the confusion matrix and the pixels there.
_LENGTH, _RULE, _NAME, _INSTANCES, _PHANTOMS = range(5)
_HEAD = 5
_DIGESTS = 8
#: The digest of a map that was not given.
_NO_MAP = map_digest(None)


@dataclass(frozen=True)
class Merged:
    """What many rows add up to.

    Parameters
    ----------
    counts : Counts
        Every image once.
    hashes : tuple of (image id, semantic digest, instance digest)
        As `iamiou.report.map_digest` gives them; sorted by id.
    instances_from : {"annotation", "components"}
        Where the ground truth's instances come from.
    differing : tuple of str
        Ids of images that came more than once with different predictions, sorted; one of them was counted.
    """

    counts: Counts
    hashes: tuple[tuple[str, str, str], ...]
    instances_from: str
    differing: tuple[str, ...]


def pack(name: str | None, counts: Counts, semantic: str, instance: str, rule: int) -> Ints:
    """Write the counts of one image as a row.

    Parameters
    ----------
    name : str, optional
        The image's id; an image without is never taken for another.
    counts : Counts
        Of this image alone.
    semantic, instance : str
        Digests of the maps of its ground truth, as `iamiou.report.map_digest` gives them.
    rule : int
        Stands for class list and rule; rows of different rules cannot be added.

    Returns
    -------
    int64 array, (n,)

    Examples
    --------
    >>> row = pack("a", Counts.zero(3), map_digest(None), map_digest(None), rule=7)
    >>> row[:5].tolist(), len(row)
    ([14, 7, 1, 0, 0], 14)
    """
    text = b"" if name is None else name.encode(errors="surrogatepass")
    where = np.flatnonzero(counts.confusion)
    body = np.concatenate(
        [
            np.frombuffer(bytes.fromhex(semantic + instance) + text + bytes(-len(text) % 8), np.int64),
            counts.instances[:, 1:].ravel(),
            counts.phantoms[:, 1:].ravel(),
            np.column_stack([where, counts.confusion.ravel()[where]]).ravel(),
        ]
    )
    length = -1 if name is None else len(text)
    head = (_HEAD + len(body), rule, length, len(counts.instances), len(counts.phantoms))
    return np.concatenate([np.array(head, np.int64), body])


def nothing(rule: int) -> Ints:
    """Return the row of no image, which says by what rule there would have been one."""
    return np.array([_HEAD, rule, -1, 0, 0], np.int64)


def merge_rows(flat: Ints, num_classes: int, rule: int) -> Merged:
    """Add rows up.

    Parameters
    ----------
    flat : int64 array, (n,)
        Rows one after the other.
    num_classes : int
        C, background included.
    rule : int
        The one that all rows must have been counted by.

    Returns
    -------
    Merged
        The same whatever the order of the rows, as long as every image has an id.

    Raises
    ------
    InputError
        If two rows of one id have different ground truth, if only some images came with instances, or if a row was
        counted by another rule or is damaged.

    Examples
    --------
    >>> row = pack("a", Counts.zero(3), map_digest(None), map_digest(None), rule=7)
    >>> merge_rows(np.concatenate([row, row]), 3, rule=7).counts
    Counts(1 images, 3 classes, 0 instances)
    """
    rows, differing = _by_name(list(_cut(flat, rule)))
    names = sorted(rows)
    hashes = tuple((name, *_digests(rows[name])) for name in names)
    bare = sum(instance == _NO_MAP for _, _, instance in hashes)
    if 0 < bare < len(names):
        raise InputError(
            f"{len(names) - bare} of {len(names)} images came with an instance map and the others without; give one "
            "for every image or for none, since components of the ground truth are other instances."
        )
    source = "components" if bare else "annotation"
    return Merged(_add([rows[name] for name in names], tuple(names), num_classes), hashes, source, differing)


def _cut(flat: Ints, rule: int) -> Iterator[Ints]:
    """Part rows that stand one after the other, and leave out those of no image."""
    at = 0
    while at < len(flat):
        row = flat[at : at + max(_HEAD, int(flat[at]))]
        if len(row) != flat[at]:
            raise InputError("The saved state is damaged: a row of counts ends early. Evaluate the images again.")
        if row[_RULE] != rule:
            raise InputError(
                "The state was counted with another class list or other options; "
                "build the metric as it was built where the state comes from."
            )
        at += len(row)
        if len(row) > _HEAD:
            yield row


def _by_name(rows: list[Ints]) -> tuple[dict[str, Ints], tuple[str, ...]]:
    """Keep one row an id, and say which ids came with different predictions.

    Of different rows the smallest is kept, so that the order in which processes report changes nothing.
    """
    kept: dict[str, Ints] = {}
    differing, clashes = set(), set()
    for row in rows:
        length = int(row[_NAME])
        if length < 0:
            continue
        name = row[_HEAD + _DIGESTS :].tobytes()[:length].decode(errors="surrogatepass")
        other = kept.setdefault(name, row)
        if other is row:
            continue
        if _digests(other) != _digests(row):
            clashes.add(name)
        elif other.tobytes() != row.tobytes():
            differing.add(name)
            kept[name] = min(other, row, key=lambda r: r.tobytes())
    if clashes:
        raise InputError(
            f"{counted(len(clashes), 'image id')} came with more than one ground truth: {name_some(sorted(clashes))}. "
            "Give every image an id of its own."
        )
    unnamed = (row for row in rows if row[_NAME] < 0)
    free = (name for k in range(len(rows) + len(kept)) if (name := f"image {k:06d}") not in kept)
    return kept | dict(zip(free, unnamed, strict=False)), tuple(sorted(differing))


def _digests(row: Ints) -> tuple[str, str]:
    text = row[_HEAD : _HEAD + _DIGESTS].tobytes().hex()
    return text[:64], text[64:]


def _add(rows: list[Ints], names: tuple[str, ...], num_classes: int) -> Counts:
    """Add rows that stand in the order of their ids."""
    c = num_classes
    parts: tuple[list[Ints], ...] = ([], [], [])
    for row in rows:
        length, instances, phantoms = row[_NAME:_HEAD].tolist()
        at = _HEAD + _DIGESTS + (max(0, length) + 7) // 8
        for part, end in zip(parts, (at + 6 * instances, at + 6 * instances + 2 * phantoms, len(row)), strict=True):
            part.append(row[at:end])
            at = end
    image, where, n = _with_image(parts[2], 2).T
    truth, prediction = where // c, where % c
    hit = truth == prediction
    confusion, per_class = np.zeros(c * c, np.int64), np.zeros((3, len(rows), c), np.int64)
    np.add.at(confusion, where, n)
    np.add.at(per_class[0], (image, truth), n)
    np.add.at(per_class[1], (image, prediction), n)
    np.add.at(per_class[2], (image[hit], truth[hit]), n[hit])
    pixels = confusion.reshape(c, c), per_class[0], per_class[1], per_class[2]
    return Counts(c, names, *pixels, _with_image(parts[0], 6), _with_image(parts[1], 2))


def _with_image(parts: list[Ints], width: int) -> Ints:
    """Stack the records of images and put the image's index before them."""
    index = np.repeat(np.arange(len(parts)), [len(part) // width for part in parts])
    return np.column_stack([index, np.concatenate([np.zeros(0, np.int64), *parts]).reshape(-1, width)])
