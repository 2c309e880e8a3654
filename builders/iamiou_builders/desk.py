"""The state of one image while its conflicts are settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from iamiou_builders.model import Decision, Picture
from iamiou_builders.overlaps import intersections, ious, rles_of
from iamiou_builders.recipe import Rules
from iamiou_builders.sources import Annotated, Mask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Origin = Literal["coco", "lvis"]
_COCO: Origin = "coco"
_LVIS: Origin = "lvis"


@dataclass
class Desk:
    """All masks of an image, how they overlap, and what was decided so far.

    Masks are spoken of by their place in ``masks``: COCO's first, then LVIS's, each by increasing id. ``labels`` and
    ``flags`` hold those that will be painted, 0 being void. ``in_coco``: whether a COCO file has the image.
    """

    picture: Picture
    coco: Annotated
    lvis: Annotated
    rules: Rules
    names: Sequence[str]
    masks: list[Mask]
    origins: list[Origin]
    shared: NDArray[np.int64]
    ratios: NDArray[np.float64]
    in_coco: bool
    labels: dict[int, int] = field(default_factory=dict)
    flags: dict[int, tuple[str, ...]] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)

    @property
    def placed(self) -> list[int]:
        """Return what will be painted, by increasing place."""
        return sorted(self.labels)

    def of(self, origin: Origin) -> tuple[Mask, ...]:
        """Return the masks of one source."""
        return (self.coco if origin == "coco" else self.lvis).masks

    def objects(self, origin: Origin) -> list[int]:
        """Return the objects of one source: no crowds, no parts, nothing undecided."""
        return [
            k
            for k, m in enumerate(self.masks)
            if self.origins[k] == origin and not m.crowd and m.role in ("object", "object-coco")
        ]

    def place(self, k: int, label: int, *flags: str) -> None:
        """Say as what a mask will be painted; the last word counts."""
        self.labels[k], self.flags[k] = label, flags

    def log(self, rule: str, text: str, *places: int) -> None:
        """Write down a decision about masks."""
        about = tuple((str(self.origins[k]), self.masks[k].annotation) for k in dict.fromkeys(places))
        self.decisions.append(Decision(rule, text, about))

    def classes(self, mask: Mask) -> str:
        """Return the names of a mask's classes."""
        return " or ".join(self.names[label] for label in mask.labels)


def open_desk(
    picture: Picture, coco: Annotated | None, lvis: Annotated | None, rules: Rules, names: Sequence[str]
) -> Desk:
    """Lay out an image and measure all overlaps at once."""
    ours, theirs = coco or Annotated(()), lvis or Annotated(())
    masks = [*ours.masks, *theirs.masks]
    origins = [_COCO] * len(ours.masks) + [_LVIS] * len(theirs.masks)
    rles = rles_of([m.counts for m in masks], picture.height, picture.width)
    shared = intersections(rles, [m.area for m in masks])
    return Desk(picture, ours, theirs, rules, names, masks, origins, shared, ious(shared), coco is not None)
