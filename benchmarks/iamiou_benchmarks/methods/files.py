"""Stage method `files`: pseudo-masks of another program, checked and taken over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from iamiou.errors import ImageError, InputError, Problem, ProblemsFound
from iamiou.masks import write_label_map
from iamiou.predictions import open_predictions
from iamiou_benchmarks.stage.work import Work

VERSION = 1
INPUTS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """Options of the stage.

    Parameters
    ----------
    pseudo : str
        A folder or archive with one label map for every image of train, 255 where nothing is known.
    """

    pseudo: str


def run(work: Work, options: Options) -> None:
    """Leave ``labels/ID.png`` of train and score them where there is a truth."""
    ids = work.data.splits["train"]
    if not Path(options.pseudo).exists():
        raise InputError(f"There is nothing at '{options.pseudo}'; name a folder of pseudo-masks with pseudo=DIR.")
    found = open_predictions(options.pseudo, replace(work.data.truth, ids=tuple(sorted(ids))))
    if absent := sorted(set(ids).difference(found.ids)):
        hint = "Every image of train needs one."
        raise ProblemsFound([Problem("no-pseudo-mask", "images of train have no pseudo-mask", tuple(absent), hint)])
    size = len(work.data.classes)
    for image_id, path in work.each(ids, work.out / "labels", ".png"):
        label = found.load(image_id, work.data.read(image_id).shape[:2])
        if (wrong := label[(label >= size) & (label != 255)]).size:
            hint = f"There are 0 to {size - 1}, and 255 where nothing is known."
            raise ImageError(
                "pseudo-label", "pseudo-masks have labels that are no class", image_id, f"{wrong[0]}", hint
            )
        write_label_map(path, label.astype("u1"))
    work.notes.append(f"{work.log.stage}: pseudo-masks came from files of another program")
    if work.data.truth_of("train").ids:
        work.score("train", "train", work.out / "labels")
