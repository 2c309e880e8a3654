"""Shares of the work: count some images of a data set, here or on another machine, and put the results together.

Everything in this module travels between processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iamiou.big_maps import background
from iamiou.counts import Counts, merge
from iamiou.digests import map_digest
from iamiou.errors import ImageError, Problem, group, joined
from iamiou.pairs import PairCounter, Rule, warnings_of
from iamiou.tally import Tally, merge_tallies, tally_of

if TYPE_CHECKING:
    from iamiou.labels import ClassList

#: Two sha256 an image.
_DIGESTS = 64


#: What a worker takes at a time: the number of a part, and its images.
Part = tuple[int, Sequence[str]]


class Parts:
    """A list of images cut into parts of one size, made when they are asked for."""

    def __init__(self, images: Sequence[str], size: int) -> None:
        self.images, self.size = images, size

    def __len__(self) -> int:
        return (len(self.images) + self.size - 1) // self.size

    def __getitem__(self, part: int) -> Part:
        if not 0 <= part < len(self):
            raise IndexError(part)
        return part, self.images[part * self.size : (part + 1) * self.size]


@dataclass(frozen=True)
class Source:
    """Where the label maps of some images come from, and how they are counted.

    Parameters
    ----------
    classes : ClassList
    load_truth, load_prediction : callable
        As in `GroundTruth` and `Predictions`. One that has a method ``only(names)`` is cut down to some images before
        it travels.
    given : frozenset of str
        Images that have a prediction; all others count as all background.
    rule : Rule
    digest : bool
        Compute what identifies the maps, too.
    """

    classes: ClassList
    load_truth: Callable[[str], tuple[np.ndarray, np.ndarray | None]]
    load_prediction: Callable[[str, tuple[int, int]], np.ndarray]
    given: frozenset[str]
    rule: Rule
    digest: bool

    def only(self, names: Sequence[str]) -> Source:
        """Return what is needed for some of the images."""
        truth, prediction = _only(self.load_truth, names), _only(self.load_prediction, names)
        return replace(self, load_truth=truth, load_prediction=prediction, given=self.given.intersection(names))


def _only(load: Any, names: Sequence[str]) -> Any:
    return load.only(names) if hasattr(load, "only") else load


@dataclass(frozen=True, eq=False)
class Share:
    """What was found in some images.

    Parameters
    ----------
    kept : Counts or Tally
        Without the images that have errors.
    hashes : uint8 array, (N, 64) or (0, 64)
        sha256 of the semantic and of the instance map of the images of ``kept``, in their order.
    errors, oddities : tuple of Problem
        What made images unfit, and what was odd but could be counted.
    """

    kept: Counts | Tally
    hashes: NDArray[np.uint8]
    errors: tuple[Problem, ...] = ()
    oddities: tuple[Problem, ...] = ()

    def without_rows(self, bins: tuple[int, ...]) -> Share:
        """Return the same without the rows of instances and phantoms."""
        assert isinstance(self.kept, Counts)
        return replace(self, kept=tally_of(self.kept, bins))

    def digests(self) -> Iterable[tuple[str, str, str]]:
        """Return id, digest of the semantic map and of the instance map of every image, sorted."""
        for name, both in zip(self.kept.images, self.hashes, strict=False):
            text = both.tobytes().hex()
            yield name, text[:_DIGESTS], text[_DIGESTS:]


class ShareCounter:
    """Counts images one after the other; for one thread."""

    def __init__(self, source: Source) -> None:
        self.source, self.counter = source, PairCounter(source.classes, source.rule)
        self.errors: list[ImageError] = []
        self.hashes: dict[str, bytes] = {}

    def add(self, name: str) -> None:
        """Read and count one image; what is wrong with it is kept for later."""
        try:
            self._count(name)
        except ImageError as e:
            self.errors.append(e)

    def _count(self, name: str) -> None:
        source = self.source
        semantic, instance = source.load_truth(name)
        height, width = semantic.shape
        pred = source.load_prediction(name, (height, width)) if name in source.given else background(semantic)
        self.counter.add(name, pred, semantic, instance)
        if source.digest:
            self.hashes[name] = bytes.fromhex(map_digest(semantic) + map_digest(instance))

    def share(self) -> Share:
        """Return what was found."""
        counts = self.counter.counts()
        data = b"".join(self.hashes[name] for name in counts.images) if self.source.digest else b""
        hashes = np.frombuffer(data, np.uint8).reshape(-1, _DIGESTS)
        return Share(counts, hashes, tuple(group(self.errors)), tuple(warnings_of(self.counter.oddities)))


def merge_shares(shares: Sequence[Share]) -> Share:
    """Put what was found in disjoint sets of images together; the same for every split and order.

    Raises
    ------
    InputError
        If an image occurs more than once.
    """
    if len(shares) == 1:
        return shares[0]
    names = [name for share in shares for name in share.kept.images]
    hashes = np.concatenate([share.hashes for share in shares])
    if len(hashes):
        hashes = hashes[sorted(range(len(names)), key=names.__getitem__)]
    counts = [share.kept for share in shares if isinstance(share.kept, Counts)]
    kept = merge(counts) if counts else merge_tallies([share.kept for share in shares if isinstance(share.kept, Tally)])
    errors, oddities = (joined(p for share in shares for p in getattr(share, kind)) for kind in ("errors", "oddities"))
    return Share(kept, hashes, tuple(errors), tuple(oddities))
