"""Annotations of one file -> `Mask`s, with everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from iamiou.coco import Rle, rle_counts, segmentation_to_rle
from iamiou.errors import ImageError, Problem
from iamiou_builders.categories import Known
from iamiou_builders.model import Picture
from iamiou_builders.sources import Mask, Progress

_STEP = 250  # annotations at once; pycocotools 2.0.11 counts them in 8 bits when it is asked for areas
_LEAST = 100  # pixels: below, an outline's own area and its pixels differ by nature


def read_masks(
    entries: Sequence[dict[str, Any]],
    pictures: Mapping[int, Picture],
    known: Known,
    partial: Mapping[int, frozenset[int]],
    tolerance: float,
    step: str,
    progress: Progress | None,
) -> tuple[dict[int, list[Mask]], list[ImageError], list[Problem]]:
    """Make run lengths of all annotations that the mapping names.

    Parameters
    ----------
    entries : sequence of dict
        Annotations with known images and categories, in the order wanted.
    pictures : mapping of int to Picture
    known : Known
    partial : mapping of int to frozenset of int
        Categories of every image that are not exhaustive.
    tolerance : float
        As ``area_tolerance`` of the rules.
    step : str
        What to call this work.
    progress : callable, optional

    Returns
    -------
    masks : dict of int to list of Mask
        By image.
    errors : list of ImageError
        Masks that cannot be used.
    warnings : list of Problem
        Masks without a pixel, which are left out, and areas that disagree: the mask counts.
    """
    from pycocotools.mask import area as areas_of

    masks: dict[int, list[Mask]] = {}
    errors: list[ImageError] = []
    empty, other = [], []
    for chunk, done in _chunks(entries):
        if progress:
            progress(step, done, len(entries))
        rles, of = [], []
        for entry in chunk:
            if entry["category_id"] not in known.lines:
                continue
            picture = pictures[entry["image_id"]]
            try:
                rles.append(_rle(entry, picture))
            except ImageError as e:
                errors.append(e)
            else:
                of.append(entry)
        for entry, rle, area in zip(of, rles, areas_of(rles).tolist() if rles else [], strict=True):
            picture = pictures[entry["image_id"]]
            if not area:
                empty.append(_name(entry, picture))
                continue
            if _disagrees(entry.get("area"), area, tolerance):
                other.append(f"{_name(entry, picture)} ({entry['area']:g}, its mask has {area} pixels)")
            mask = _mask(entry, rle, area, known, partial.get(picture.id, frozenset()))
            masks.setdefault(picture.id, []).append(mask)
    if progress:
        progress(step, len(entries), len(entries))
    return masks, errors, _odd(empty, other)


def _chunks(entries: Sequence[dict[str, Any]]) -> Iterator[tuple[Sequence[dict[str, Any]], int]]:
    """Cut the work into pieces: areas are cheaper to ask for many at once."""
    for start in range(0, len(entries), _STEP):
        yield entries[start : start + _STEP], start


def _rle(entry: dict[str, Any], picture: Picture) -> Rle:
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, tuple):
        segmentation = [p.tolist() for p in segmentation]
    return segmentation_to_rle(segmentation, picture.height, picture.width, _name(entry, picture))


def _mask(entry: dict[str, Any], rle: Rle, area: int, known: Known, partial: frozenset[int]) -> Mask:
    category = entry["category_id"]
    line = known.lines[category]
    polygons = entry["segmentation"]
    if isinstance(polygons, tuple):
        vertices = sum(map(len, polygons)) // 2
    else:
        runs = rle_counts(rle["counts"])
        vertices = 0 if runs is None else len(runs)
    return Mask(
        entry["id"], known.labels[category], line.role, bool(entry.get("iscrowd", 0)), category not in partial,
        line.key, rle["counts"], area, vertices,
    )  # fmt: skip


def _name(entry: dict[str, Any], picture: Picture) -> str:
    return f"annotation {entry['id']} of image {picture.id}"


def _disagrees(given: Any, area: int, tolerance: float) -> bool:
    if type(given) not in (int, float):
        return False
    return bool(abs(given - area) > tolerance * max(area, _LEAST))


def _odd(empty: list[str], other: list[str]) -> list[Problem]:
    problems = []
    if empty:
        what = "annotations have a mask without a pixel"
        problems.append(Problem("empty-mask", what, tuple(sorted(empty)), "Left out.", fatal=False))
    if other:
        what = "annotations claim an area that disagrees with the mask"
        problems.append(Problem("area-differs", what, tuple(sorted(other)), "The mask counts.", fatal=False))
    return problems
