"""All that is known about a finished build; every file beside the maps is made from this alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iamiou_builders.model import Candidates, Resolved, Selection

if TYPE_CHECKING:
    from iamiou_builders.goals import Goal
    from iamiou_builders.recipe import Recipe

Table = NDArray[np.int64]


@dataclass(frozen=True)
class Image:
    """One image of the data set, written.

    Parameters
    ----------
    resolved : Resolved
        The instances, the doubtful regions and how they came about.
    size : int
        Bytes of the picture's file.
    sha256 : str
        Of the picture's file. (Its decoded pixels depend on the decoder, so they have no digest.)
    semantic, instance : str
        `iamiou.report.map_digest` of the label maps.
    masks : tuple of bytes
        Visible pixels of the instances as compressed run lengths, in the order of their ids 1, 2, ...
    void : bytes
        Pixels of the image that are void, likewise; empty when there are none.
    void_area : int
        How many they are.
    """

    resolved: Resolved
    size: int
    sha256: str
    semantic: str
    instance: str
    masks: tuple[bytes, ...]
    void: bytes
    void_area: int

    @property
    def name(self) -> str:
        """Return the image id."""
        return self.resolved.picture.name


@dataclass(frozen=True)
class Pool:
    """What the images were chosen from, after all conflicts were settled.

    Parameters
    ----------
    images : int
        Images of the annotation files.
    candidates : Candidates
        Those that could be chosen.
    counts : int64 array, (classes, bins)
        Instances in all images of the pool.
    areas : int64 array
        Visible pixels of all those instances.
    excluded : mapping of str to int
        How many images could not be chosen, by reason.
    """

    images: int
    candidates: Candidates
    counts: Table
    areas: Table
    excluded: Mapping[str, int]


@dataclass(frozen=True)
class Facts:
    """A finished build.

    Parameters
    ----------
    recipe : Recipe
        The rules, with what the command line changed.
    arguments : mapping
        What the command line chose, without paths of the machine.
    inputs : tuple of mapping
        Name, bytes and sha256 of the annotation files.
    pool : Pool
    selection : Selection
    goals : tuple of Goal
    images : tuple of Image
        Sorted by id.
    digest : str
        `iamiou.report.dataset_digest` of the label maps.
    warnings : tuple of str
        What was odd in the input, or costs something.
    """

    recipe: Recipe
    arguments: Mapping[str, object]
    inputs: tuple[Mapping[str, object], ...]
    pool: Pool
    selection: Selection
    goals: tuple[Goal, ...]
    images: tuple[Image, ...]
    digest: str
    warnings: tuple[str, ...] = ()

    @property
    def reconstruction(self) -> bool:
        """Tell whether the data set stands in for one whose list of images is not known; its title says so."""
        return "reconstruction" in self.recipe.title.lower()

    @property
    def export(self) -> tuple[str, ...]:
        """Return what is written: ``voc``, ``coco`` or both."""
        asked = self.arguments["export"]
        return tuple(asked) if isinstance(asked, list) else ()

    @property
    def split(self) -> str:
        """Return the name of the image list."""
        return split_name(self.recipe.name)

    def rows(self) -> Table:
        """Return one row an instance: place of the image, label, visible pixels, size bin; int64 (n, 4)."""
        rows = [(k, p.label, p.visible) for k, image in enumerate(self.images) for p in image.resolved.instances]
        table = np.array(rows, np.int64).reshape(-1, 3)
        return np.column_stack([table, np.searchsorted(self.recipe.bin_edges, table[:, 2], side="right")])

    def counts(self) -> Table:
        """Return the instances of the data set by class and size bin."""
        table = np.zeros((len(self.recipe.class_names), len(self.recipe.bin_names)), np.int64)
        rows = self.rows()
        np.add.at(table, (rows[:, 1] - 1, rows[:, 3]), 1)
        return table


def split_name(recipe: str) -> str:
    """Return the name of the image list of a recipe.

    >>> split_name("pascal-b")
    'pascal_b'
    """
    return recipe.replace("-", "_")
