"""Stage `pseudo`: class maps to pseudo-masks, by a constant background score, with a dense CRF where there is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iamiou.masks import write_label_map
from iamiou_benchmarks.cams.maps import best_class, load_maps
from iamiou_benchmarks.stage.work import Work

VERSION = 1
INPUTS = ("cam",)


@dataclass(frozen=True)
class Options:
    """Options of the stage.

    Parameters
    ----------
    threshold : float
        Background score; below 0 takes the one that the class maps carry.
    crf : bool
        Refine with a dense CRF, which needs the extra ``crf``.
    """

    threshold: float = -1.0
    crf: bool = False


def run(work: Work, options: Options) -> None:
    """Leave ``labels/ID.png`` of train and score them."""
    for image_id, path in work.each(work.data.splits["train"], work.out / "labels", ".png"):
        maps = load_maps(work.source / "maps" / f"{image_id}.npz")
        label, score = best_class(maps)
        used = maps.threshold if options.threshold < 0 else options.threshold
        seeds = np.where(score > used, label, 0).astype(np.uint8)
        if options.crf:
            from iamiou_benchmarks.cams.crf import of_labels

            seeds = of_labels(work.data.read(image_id), seeds)
        write_label_map(path, seeds)
    if not options.crf:
        work.notes.append(f"{work.log.stage}: no dense CRF; the class maps are decided pixel by pixel")
    work.score("train", "train", work.out / "labels")
