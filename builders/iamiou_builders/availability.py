"""Which resolved images a selection may choose from, and what is in them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from iamiou_builders.model import Candidates, Resolved
from iamiou_builders.recipe import Recipe, Source


class Exclusion(NamedTuple):
    """An image that cannot be selected, and the first reason: ``reason`` for machines, ``text`` for people."""

    id: int
    name: str
    reason: str
    text: str


def candidates_of(
    resolved: Sequence[Resolved],
    recipe: Recipe,
    *,
    source: Source | None = None,
    leaks: Collection[int] = (),
    licenses: Collection[int] | None = None,
) -> tuple[Candidates, tuple[Exclusion, ...]]:
    """Count the instances of all images that may be selected.

    Parameters
    ----------
    resolved : sequence of Resolved
        By increasing number.
    recipe : Recipe
    source : {'val-only', 'any'}, optional
        Whether images of COCO train may be selected; an image whose part of COCO is unknown counts as train.
        Default: as the recipe says.
    leaks : collection of int
        Numbers of images that may not be selected.
    licenses : collection of int, optional
        COCO's licence ids that are wanted. Default: all.

    Returns
    -------
    candidates : Candidates
        Images with at least one instance.
    exclusions : tuple of Exclusion
        All other images, by increasing number.

    Examples
    --------
    >>> from iamiou_builders.model import Picture, Piece
    >>> from iamiou_builders.recipe import load_recipe
    >>> picture = Picture(9, "9.jpg", 100, 100, "val", 4, "", "")
    >>> cat = Piece(8, b"", 1024, "coco", 1, visible=1024)
    >>> found, _ = candidates_of([Resolved(picture, (cat,))], load_recipe("pascal-b"))
    >>> found.ids.tolist(), found.counts[0, 7].tolist()
    ([9], [0, 1, 0])
    """
    source = recipe.source if source is None else source
    leaked = frozenset(leaks)
    kept: list[Resolved] = []
    out: list[Exclusion] = []
    for image in resolved:
        why = _why_not(image, source, leaked, licenses)
        if why is None:
            kept.append(image)
        else:
            out.append(Exclusion(image.picture.id, image.picture.name, *why))
    counts = np.zeros((len(kept), len(recipe.class_names), len(recipe.bin_names)), np.int64)
    for row, image in zip(counts, kept, strict=True):
        for piece in image.instances:
            row[piece.label - 1, recipe.bin_of(piece.visible)] += 1
    ids = np.array([image.picture.id for image in kept], np.int64)
    return Candidates(ids, counts, recipe.class_names, recipe.bin_names), tuple(out)


def _why_not(
    image: Resolved, source: Source, leaks: frozenset[int], licenses: Collection[int] | None
) -> tuple[str, str] | None:
    """Return the first reason against an image, the weightiest first."""
    picture = image.picture
    if picture.id in leaks:
        return "leaked", "it is in a leak list"
    if source == "val-only" and picture.split != "val":
        text = "it is in COCO train2017" if picture.split == "train" else "its part of COCO is unknown"
        return "train", f"{text}; --source any takes it"
    if licenses is not None and picture.license not in licenses:
        return "license", f"its licence id is {picture.license}"
    if image.ineligible:
        reason, _, text = image.ineligible[0].partition(": ")
        return reason, text
    return None if image.instances else ("empty", "it has no instance of the classes")
