"""A wall of samples: one instance of every class and size, cut out with its outline."""

from __future__ import annotations

import base64
import io
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from iamiou.crops import Crop, crop, open_photo, window
from iamiou_builders.devkit import PICTURES
from iamiou_builders.facts import Facts, Image, Table
from iamiou_builders.licences import licence, may_be_cut
from iamiou_builders.painting import paint

if TYPE_CHECKING:
    from PIL.Image import Image as Photo


@dataclass(frozen=True)
class Sample:
    """One instance to be shown.

    Parameters
    ----------
    image, name, licence : str
        Image id, class, and the name of the picture's licence.
    area : int
        Visible pixels.
    page : str
        Address of the photograph's page at Flickr.
    crop : Crop
    """

    image: str
    name: str
    licence: str
    area: int
    page: str
    crop: Crop


def wall(facts: Facts, root: Path) -> list[tuple[str, list[Sample]]]:
    """Return for every size bin one sample of each class, where there is one.

    Of the instances of a cell the one of the most usual size is taken, from a picture that may be cut, and from one
    that is not shown yet. Where no licence allows altered copies, the mask is drawn on nothing.
    """
    rows = facts.rows()
    shown: Counter[int] = Counter()
    out = []
    for b, size in enumerate(facts.recipe.bin_names):
        samples = []
        for c in range(1, len(facts.recipe.classes)):
            cell = rows[(rows[:, 1] == c) & (rows[:, 3] == b)]
            if len(cell):
                place, area = _pick(facts, cell, shown)
                shown[place] += 1
                samples.append(_sample(facts.images[place], c, area, facts, root))
        out.append((size, samples))
    return out


def _pick(facts: Facts, cell: Table, shown: Counter[int]) -> tuple[int, int]:
    """Choose an instance; return the place of its image and its area."""
    middle = float(np.median(np.log(cell[:, 2])))

    def rank(row: tuple[int, ...]) -> tuple[bool, int, float, int]:
        place, _, area, _ = row
        barred = not may_be_cut(facts.images[place].resolved.picture.license)
        return barred, shown[place], abs(float(np.log(area)) - middle), place

    place, _, area, _ = min((tuple(r) for r in cell.tolist()), key=rank)
    return place, area


def _sample(image: Image, label: int, area: int, facts: Facts, root: Path) -> Sample:
    """Cut one instance out."""
    picture = image.resolved.picture
    semantic, instance = paint(image.resolved)
    pieces = image.resolved.instances
    number = next(k for k, p in enumerate(pieces, 1) if (p.label, p.visible) == (label, area))
    void = semantic == 255
    mask = (instance == number) & ~void
    cut = crop(mask, (instance > 0) & ~void, semantic, label)
    photo = open_photo(root / PICTURES, picture.name) if may_be_cut(picture.license) else None
    if photo is not None:
        cut = replace(cut, picture=_jpeg(photo, mask, (cut.width, cut.height)), is_photo=True)
    return Sample(image.name, facts.recipe.classes.names[label], licence(picture.license).name, area, picture.page, cut)


def _jpeg(photo: Photo, mask: NDArray[np.bool_], size: tuple[int, int]) -> str:
    """Cut the surroundings of a mask out of its photograph, as the ``data:`` address of a small JPEG."""
    from PIL.Image import Resampling

    top, bottom, left, right = window(mask)
    small = photo.convert("RGB").resize(size, Resampling.BICUBIC, box=(left, top, right, bottom), reducing_gap=3.0)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
