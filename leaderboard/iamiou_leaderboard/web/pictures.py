"""Pictures of the worst instances of the public split: outlines of truth and prediction, drawn from the masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou.crops import Crop, Pick, crops
from iamiou.errors import InputError
from iamiou_leaderboard import views
from iamiou_leaderboard.board import Opened
from iamiou_leaderboard.types import SplitView, SubmissionView, Viewer

#: Pictures of each size.
EACH = 4
#: Rows of pictures that stay in memory, some 40 kB each; the label maps of a scored submission do not change.
KEPT = 256
_kept: dict[tuple[str, str, tuple[Pick, ...]], list[Crop | None]] = {}


@dataclass(frozen=True)
class Pictured:
    """One instance with its picture; ``taken_for`` names what most of it was predicted as."""

    row: Mapping[str, Any]
    crop: Crop
    taken_for: str


def worst_pictures(opened: Opened, view: SubmissionView, shown: SplitView, viewer: Viewer) -> dict[str, list[Pictured]]:
    """Return the worst instances of every size with their pictures; nothing of a split that shows no instances.

    Parameters
    ----------
    opened : Opened
    view, shown : SubmissionView, SplitView
        What the viewer may see.
    viewer : Viewer
    """
    if not shown.worst:
        return {}
    names = opened.board.class_names
    out: dict[str, list[Pictured]] = {}
    for size in shown.sizes:
        rows = [row for row in shown.worst if row["bin"] == size][:EACH]
        picks = tuple(
            Pick(row["image"], names.index(row["class"]), int(row["id"]), int(row["area"]), 0, float(row["iou"]))
            for row in rows
        )
        key = (str(opened.directory), view.id, picks)
        if key not in _kept:
            while len(_kept) >= KEPT:
                _kept.pop(next(iter(_kept)), None)
            _kept[key] = _cut(opened, view.id, picks, viewer)
        cut = _kept.get(key) or [None] * len(picks)
        out[size] = [
            Pictured(row, crop, _taken(crop, pick, names))
            for row, pick, crop in zip(rows, picks, cut, strict=True)
            if crop
        ]
    return {size: found for size, found in out.items() if found}


def _taken(crop: Crop, pick: Pick, names: tuple[str, ...]) -> str:
    if crop.taken_for == pick.label:
        return ""
    return "missed" if crop.taken_for == 0 else f"taken for {names[crop.taken_for]}"


def _cut(opened: Opened, submission_id: str, picks: tuple[Pick, ...], viewer: Viewer) -> list[Crop | None]:
    """Read the label maps and cut the pictures out."""

    def maps(image: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        semantic, instance, prediction = views.picture(opened, submission_id, image, viewer)
        if instance is None:
            from iamiou.pairs import ground_truth_components

            instance = ground_truth_components(semantic, 8)
        return np.asarray(semantic), np.asarray(instance), np.asarray(prediction)

    try:
        return crops(picks, maps, None)
    except (InputError, OSError):  # the label maps were moved away; the numbers are still true
        return [None] * len(picks)
