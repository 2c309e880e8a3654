"""Files that speak of the same images, brought together; two that disagree are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from iamiou.errors import ImageError, Problem, group
from iamiou_builders.model import Picture
from iamiou_builders.sources import Annotated, Mask

_HINT = "Give one of them, or two that agree."


@dataclass(frozen=True)
class Half:
    """A COCO or LVIS file, or all of a kind: pictures, their annotations by number, and images that are not wanted."""

    pictures: Mapping[int, Picture] = field(default_factory=dict)
    annotated: Mapping[int, Annotated] = field(default_factory=dict)
    left_out: frozenset[int] = frozenset()
    name: str = ""


def merge_files(halves: Sequence[Half]) -> tuple[Half, list[Problem]]:
    """Bring files of one kind together.

    Returns
    -------
    half : Half
        An image that two files have alike is there once.
    problems : list of Problem
        Images that they define differently: another size or name, another part of COCO, or other masks for a class
        that both annotate.
    """
    pictures: dict[int, Picture] = {}
    annotated: dict[int, Annotated] = {}
    first: dict[int, str] = {}
    errors = []
    for half in halves:
        for number, picture in half.pictures.items():
            if number not in pictures:
                pictures[number], annotated[number], first[number] = picture, half.annotated[number], half.name
                continue
            detail = _difference(pictures[number], picture)
            masks = None if detail else _united(annotated[number], half.annotated[number])
            if masks is None:
                where = " and ".join(sorted((first[number], half.name)))
                errors.append(_differs(number, f"{detail or 'other masks'}, in {where}"))
                continue
            pictures[number] = _fuller(pictures[number], picture)
            annotated[number] = masks
    errors += _same_names(pictures.values())
    order = sorted(pictures)
    left_out = frozenset().union(*(h.left_out for h in halves))
    return Half({n: pictures[n] for n in order}, {n: annotated[n] for n in order}, left_out), group(errors)


def merge_kinds(coco: Half, lvis: Half, *, has_coco: bool) -> tuple[dict[int, Picture], list[Problem]]:
    """Make the pool: the images of COCO if there is any, else of LVIS; both must agree on size and name."""
    pool = dict(coco.pictures if has_coco else lvis.pictures)
    errors = []
    for number, picture in (lvis.pictures if has_coco else {}).items():
        detail = _difference(pool[number], picture)
        if detail:
            errors.append(_differs(number, f"COCO and LVIS, {detail}"))
        pool[number] = _fuller(pool[number], picture)
    return pool, group(errors)


def _difference(a: Picture, b: Picture) -> str:
    if (a.height, a.width) != (b.height, b.width):
        return f"{a.height} x {a.width} and {b.height} x {b.width}"
    if a.file_name != b.file_name:
        return f"{a.file_name} and {b.file_name}"
    return "train2017 and val2017" if {a.split, b.split} == {"train", "val"} else ""


def _fuller(a: Picture, b: Picture) -> Picture:
    """Take from the second what the first does not know."""
    return replace(
        a,
        split=b.split if a.split == "unknown" else a.split,
        license=b.license if a.license is None else a.license,
        url=a.url or b.url,
        page=a.page or b.page,
    )


def _united(a: Annotated, b: Annotated) -> Annotated | None:
    """Return both, or None if they differ on a class that both annotate; LVIS files must be equal."""
    shared = a.complete & b.complete

    def common(masks: Iterable[Mask]) -> list[Mask]:
        return [m for m in masks if not a.complete or shared.intersection(m.labels)]

    if common(a.masks) != common(b.masks) or a.absent != b.absent:
        return None
    masks = sorted({*a.masks, *b.masks}, key=lambda m: (m.annotation, m))
    return Annotated(tuple(masks), a.complete | b.complete, a.absent)


def _differs(number: int, detail: str) -> ImageError:
    what = "images are defined differently by two files"
    return ImageError("differs", what, f"image {number}", detail, _HINT)


def _same_names(pictures: Iterable[Picture]) -> list[ImageError]:
    first: dict[str, int] = {}
    errors = []
    for p in pictures:
        if first.setdefault(p.name, p.id) != p.id:
            what, detail = "image ids stand for more than one image", f"numbers {first[p.name]} and {p.id}"
            errors.append(ImageError("image-id-twice", what, p.name, detail, "The stems of file names must differ."))
    return errors
