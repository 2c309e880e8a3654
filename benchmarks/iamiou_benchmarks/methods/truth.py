"""Stage method `truth`: the masks of people in place of pseudo-masks, for the fully supervised ceiling."""

from __future__ import annotations

from dataclasses import dataclass

from iamiou.masks import write_label_map
from iamiou_benchmarks.stage.work import Work

VERSION = 1
INPUTS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """The stage has no options."""


def run(work: Work, _: Options) -> None:
    """Leave ``labels/ID.png`` of train and score them."""
    for image_id, path in work.each(work.data.splits["train"], work.out / "labels", ".png"):
        write_label_map(path, work.data.truth.load(image_id)[0].astype("u1"))
    work.notes.append(f"{work.log.stage}: fully supervised, the pixel labels of train are the masks")
    work.score("train", "train", work.out / "labels")
