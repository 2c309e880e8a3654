"""What the steps of a build hand to each other: pictures, resolved instances, candidates, a selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

#: Where an image's COCO annotation comes from; ``unknown`` counts as ``train``.
Split = Literal["train", "val", "unknown"]


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of the pool.

    Parameters
    ----------
    id : int
        COCO's number of the image, which LVIS shares.
    file_name : str
        ``000000391895.jpg``: its stem is the image id everywhere outside the builder.
    height, width : int
        Size in pixels.
    split : {'train', 'val', 'unknown'}
        Part of COCO 2017 that the image belongs to.
    license : int or None
        COCO's licence id.
    url, page : str
        Address of the JPEG and of the author's page; empty when unknown.
    """

    id: int
    file_name: str
    height: int
    width: int
    split: Split
    license: int | None
    url: str
    page: str

    @property
    def name(self) -> str:
        """Return the image id as the devkit spells it."""
        return self.file_name.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Piece:
    """Pixels of one object or of one doubtful region, before painting.

    Parameters
    ----------
    label : int
        Class 1..C; 0 for a region that is void whatever it shows.
    counts : bytes
        Compressed run lengths, as pycocotools writes them, of the picture's size.
    area : int
        Pixels of the mask.
    origin : {'coco', 'lvis'}
        Whose mask it is.
    annotation : int
        Id of the annotation in that source.
    visible : int
        Pixels that are left when all pieces are painted.
    flags : tuple of str
        What is special: ``crowd``, ``ignore``, ``lvis_only``, ``conflict``, ``hidden``, ``small`` ...
    """

    label: int
    counts: bytes
    area: int
    origin: Literal["coco", "lvis"]
    annotation: int
    visible: int = 0
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the log of an image: what was decided about which annotation, by which rule."""

    rule: str
    text: str
    annotations: tuple[tuple[str, int], ...] = ()  # (origin, annotation id)


@dataclass(frozen=True, slots=True)
class Resolved:
    """One image after all conflicts are settled.

    ``pieces`` stand in the order of painting, so that later ones cover earlier ones. Instances of the data set are
    the pieces with ``label > 0``; their place among those, counted from 1, is their id in the instance map.
    """

    picture: Picture
    pieces: tuple[Piece, ...]
    decisions: tuple[Decision, ...] = ()
    ignored: float = 0.0  # share of the objects' pixels that is void
    ineligible: tuple[str, ...] = ()  # why the image cannot be selected; empty: it can

    @property
    def instances(self) -> tuple[Piece, ...]:
        """Return the pieces that are instances, in the order of their ids 1, 2, ..."""
        return tuple(p for p in self.pieces if p.label > 0)


@dataclass(frozen=True)
class Candidates:
    """What a selection chooses from.

    Parameters
    ----------
    ids : int64 array, (n,)
        Numbers of the images, increasing.
    counts : int64 array, (n, classes, bins)
        Instances of every class and size bin in every image.
    class_names, bin_names : tuple of str
        What the axes of ``counts`` are called.
    """

    ids: NDArray[np.int64]
    counts: NDArray[np.int64]
    class_names: tuple[str, ...]
    bin_names: tuple[str, ...]

    @property
    def available(self) -> NDArray[np.int64]:
        """Return the instances in every cell, (classes, bins)."""
        total: NDArray[np.int64] = self.counts.sum(axis=0)
        return total


@dataclass(frozen=True)
class Selection:
    """The images chosen, and how sure the solver is.

    Parameters
    ----------
    ids : int64 array, (k,)
        Numbers of the images, increasing. This list is the data set.
    method : str
        ``greedy`` or ``milp``.
    status : str
        The solver's own words.
    objective, bound, gap : float
        Value reached, bound proved and relative gap; NaN where the method has none.
    details : mapping
        Anything else that belongs into build.json.
    """

    ids: NDArray[np.int64]
    method: str
    status: str
    objective: float
    bound: float
    gap: float
    details: Mapping[str, object] = field(default_factory=dict)
