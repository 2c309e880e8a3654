"""Seeds: what class maps say when they are decided pixel by pixel, and the scores of that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import InputError
from iamiou.masks import write_label_map
from iamiou_benchmarks.cams.maps import best_class, load_maps
from iamiou_benchmarks.stage.scoring import best_threshold, ids_of
from iamiou_benchmarks.stage.work import Work


def score_seeds(work: Work, threshold: float, select: str) -> None:
    """Score the maps in ``work.out``: at the fixed threshold, and as an oracle at the best one on train.

    ``"train"`` is the score at the threshold that is used from here on, ``"train oracle"`` the other one; the two
    are never mixed.
    """
    if select not in ("fixed", "dev"):
        raise InputError(f"The stage {work.log.stage} has select = '{select}'; it can be fixed or dev.")
    folder = work.out / "maps"

    def load(image_id: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        return best_class(load_maps(folder / f"{image_id}.npz"))

    if select == "dev":
        threshold = best_threshold(work.data, "dev", load)[0]
        work.notes.append(f"{work.log.stage}: the threshold {threshold:.2f} was chosen on the pixel labels of dev")
        for image_id in ids_of(("train", "dev"), work.data):
            path = folder / f"{image_id}.npz"
            replace(load_maps(path), threshold=threshold).save(path)
    work.score("train", "train", write_labels(work, threshold, "seeds"), threshold=threshold)
    oracle, curve = best_threshold(work.data, "train", load)
    work.score("train oracle", "train", write_labels(work, oracle, "oracle"), threshold=oracle)
    work.log.write(0, **{f"mIoU at {t}": v for t, v in curve.items()})


def write_labels(work: Work, threshold: float, name: str) -> Path:
    """Write the label maps of train at a threshold to a folder."""
    out = work.out / name
    out.mkdir(exist_ok=True)
    for image_id in work.data.splits["train"]:
        label, score = best_class(load_maps(work.out / "maps" / f"{image_id}.npz"))
        write_label_map(out / f"{image_id}.png", np.where(score > threshold, label, 0).astype(np.uint8))
    return out
