"""Stage method: class maps with noise, part of which another stage of it shares; for the claim on correlated errors.

Two such stages on one input make two classifiers that are equally good, and err alike as far as their noise is shared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from iamiou.errors import InputError
from iamiou_benchmarks.cams.maps import ClassMaps, Maps, load_maps, strided
from iamiou_benchmarks.cams.seeds import score_seeds
from iamiou_benchmarks.methods.combine import noise_of
from iamiou_benchmarks.stage.scoring import ids_of
from iamiou_benchmarks.stage.work import Work

VERSION = 1
INPUTS = ("cam",)


@dataclass(frozen=True)
class Options:
    """Options of the stage.

    Parameters
    ----------
    noise : float
        Its deviation.
    grain : int
        Side of the patches in which it is the same.
    shared : float
        Correlation of the noise of two stages, 0 to 1.
    which : int
        0 or 1: which of the two this one is.
    stride, select : see `cam`
    """

    noise: float = 0.2
    grain: int = 8
    shared: float = 0.0
    which: int = 0
    stride: int = 2
    select: str = "dev"


def run(work: Work, options: Options) -> None:
    """Leave ``maps/ID.npz`` of train and dev, and score them."""
    if not 0 <= options.shared <= 1 or options.which not in (0, 1):
        raise InputError("Noisy maps need a share from 0 to 1 and which = 0 or 1.")
    for image_id, path in work.each(ids_of(("train", "dev"), work.data), work.out / "maps", ".npz"):
        maps = load_maps(work.source / "maps" / f"{image_id}.npz")
        drawn = noise_of((3, *maps.full.shape), options.grain, work.seed, image_id)
        full = np.clip(maps.full + options.noise * mixed(drawn, options), 0, 1).astype(np.float32)
        ClassMaps(maps.fg_ids, strided(full, options.stride), full, maps.threshold).save(path)
    work.notes.append(
        f"{work.log.stage}: noise of deviation {options.noise:g} was added, {options.shared:g} of it shared"
    )
    score_seeds(work, 0.5, options.select)


def mixed(drawn: Maps, options: Options) -> Maps:
    """Mix own noise and shared noise, (3, K, H, W) to (K, H, W), with deviation 1."""
    own, both = drawn[options.which], drawn[2]
    out: Maps = np.sqrt(1 - options.shared) * own + np.sqrt(options.shared) * both
    return out
