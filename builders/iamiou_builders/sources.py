"""What is read from annotation files: masks as run lengths, image by image, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from iamiou.errors import Problem
from iamiou_builders.mapping import Mapping as ClassMapping
from iamiou_builders.mapping import Role
from iamiou_builders.model import Picture
from iamiou_builders.recipe import Recipe

#: ``progress(what, done, all)``: what is being done, and how much of it.
Progress = Callable[[str, int, int], None]


class Mask(NamedTuple):
    """One annotation of a category that the mapping names.

    Parameters
    ----------
    annotation : int
        Its id in the file.
    labels : tuple of int
        Classes 1..C; several only for the role ``ignore``.
    role : str
        What it is to its class; ``Role`` of the mapping.
    crowd : bool
        COCO: a region of many objects that were not told apart.
    exhaustive : bool
        LVIS: whether all objects of the category in this image are annotated.
    category : str
        Name or synset.
    counts : bytes
        Compressed run lengths.
    area, vertices : int
        Pixels; corners of its polygons, or the number of runs.
    """

    annotation: int
    labels: tuple[int, ...]
    role: Role
    crowd: bool
    exhaustive: bool
    category: str
    counts: bytes
    area: int
    vertices: int

    @property
    def label(self) -> int:
        """Return its class; the first of several."""
        return self.labels[0]


@dataclass(frozen=True, slots=True)
class Annotated:
    """What one kind of source says of one image.

    Parameters
    ----------
    masks : tuple of Mask
        By increasing id.
    complete : frozenset of int
        COCO: classes of which every object is annotated.
    absent : frozenset of int
        LVIS: classes that were looked for in vain.
    """

    masks: tuple[Mask, ...]
    complete: frozenset[int] = frozenset()
    absent: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was read; ``version`` is "v0.5" or "v1" for LVIS and empty for COCO."""

    path: str
    kind: Literal["coco", "lvis"]
    version: str
    sha256: str
    images: int
    annotations: int


@dataclass(frozen=True)
class Sources:
    """All input of a build.

    Parameters
    ----------
    pictures : mapping of int to Picture
        The pool, by number, increasing: the images of the COCO files, or of the LVIS files where there is no COCO.
    coco, lvis : mapping of int to Annotated
        By number of the image; of the pool only.
    files : tuple of SourceFile
        Sorted by checksum, so that their order on the command line does not matter.
    recipe : Recipe
    mapping : Mapping
    warnings : tuple of Problem
        What was odd, and what an input without COCO or without LVIS costs.
    """

    pictures: Mapping[int, Picture]
    coco: Mapping[int, Annotated]
    lvis: Mapping[int, Annotated]
    files: tuple[SourceFile, ...]
    recipe: Recipe
    mapping: ClassMapping
    warnings: tuple[Problem, ...] = ()


def settled_classes(coco: Annotated | None, lvis: Annotated | None) -> frozenset[int]:
    """Return the classes of an image of which all objects are annotated, or that are absent for sure.

    Parameters
    ----------
    coco, lvis : Annotated or None
        What the sources say of the image; None if they do not have it.
    """
    settled = coco.complete if coco else frozenset()
    if lvis is None:
        return settled
    objects = [m for m in lvis.masks if m.role in ("object", "object-coco")]
    partial = {m.label for m in objects if not m.exhaustive}
    return settled | lvis.absent | {m.label for m in objects if m.label not in partial}
