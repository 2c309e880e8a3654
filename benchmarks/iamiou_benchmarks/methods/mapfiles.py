"""Stage method `mapfiles`: class maps of another program, as ``iamiou bench convert-cams`` leaves them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iamiou.errors import ImageError, InputError, Problem, ProblemsFound
from iamiou_benchmarks.cams.maps import ClassMaps, load_maps, strided
from iamiou_benchmarks.cams.seeds import score_seeds
from iamiou_benchmarks.stage.scoring import ids_of
from iamiou_benchmarks.stage.work import Work

VERSION = 1
INPUTS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """Options of the stage.

    Parameters
    ----------
    maps : str
        A folder with ``ID.npz`` for every image of train and dev. Its name is part of the stage's key, not what lies
        in it: give other maps another folder.
    stride, threshold, select : see `cam`
    """

    maps: str
    stride: int = 4
    threshold: float = 0.25
    select: str = "fixed"


def run(work: Work, options: Options) -> None:
    """Leave ``maps/ID.npz`` of train and dev, and score the maps."""
    folder, ids = Path(options.maps), ids_of(("train", "dev"), work.data)
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}' of class maps; name one with maps=DIR.")
    if absent := [i for i in ids if not (folder / f"{i}.npz").is_file()]:
        hint = "Every image of train and dev needs its ID.npz; iamiou bench convert-cams makes them."
        raise ProblemsFound([Problem("no-maps", "images have no class maps", tuple(absent), hint)])
    for image_id, path in work.each(ids, work.out / "maps", ".npz"):
        maps, size = load_maps(folder / f"{image_id}.npz"), work.data.read(image_id).shape[:2]
        wanted = np.flatnonzero(work.data.multi_hot(image_id)).astype(np.int64)
        places = [np.flatnonzero(maps.fg_ids == k) for k in wanted.tolist()]
        if maps.full.shape[1:] != size or not all(len(place) == 1 for place in places):
            shapes = (" x ".join(map(str, shape)) for shape in (maps.full.shape[1:], size))
            detail = f"{maps.fg_ids.size} maps of {next(shapes)}, image {next(shapes)}"
            hint = "They need one map of the image's size for every class that it shows."
            raise ImageError("maps-differ", "images have class maps that do not fit them", image_id, detail, hint)
        full = maps.full[[int(place[0]) for place in places]]
        ClassMaps(wanted, strided(full, options.stride), full, options.threshold).save(path)
    work.notes.append(f"{work.log.stage}: class maps came from files of another program")
    score_seeds(work, options.threshold, options.select)
