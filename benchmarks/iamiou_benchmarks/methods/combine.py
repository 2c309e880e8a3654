"""Stage method `combine`: class maps of several classifiers become one, by probabilistic OR, AND or their mean.

ORANDNet, AAAI EIW 2024, arXiv 2406.19638: C_OR = (a + b - a b) / max, C_AND = a b / max, pixel by pixel; here of any
number of maps. Its program adds 0.15 to a transformer's maps first (``shift = [0.0, 0.15]``), does not cut at 1, so
that OR may fall where both are sure, and does not divide by the maximum (``normalise = "none"``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import ImageError, InputError
from iamiou_benchmarks.cams.maps import ClassMaps, Maps, load_maps, strided
from iamiou_benchmarks.cams.seeds import score_seeds
from iamiou_benchmarks.stage.scoring import ids_of
from iamiou_benchmarks.stage.work import Work

VERSION = 1
INPUTS: tuple[str, ...] = ()
MOST = 4


@dataclass(frozen=True)
class Options:
    """Options of the stage.

    Parameters
    ----------
    how : {"or", "and", "mean"}
        The mean is the naive ensemble: of maps with maximum 1 here, of raw scores in the published program.
    shift : tuple of float
        What is added to the maps of each input before they are cut to 0 to 1; none adds nothing.
    normalise : {"max", "none"}
        Divide each class by its maximum.
    noise : float
        Deviation of noise on the maps, in patches of `grain` pixels: for the question of what independent errors do.
    grain : int
    stride, threshold, select : see `cam`
    note : str
        What a reader of the scores has to know about the inputs; it goes into the result.
    """

    how: str = "or"
    shift: tuple[float, ...] = ()
    normalise: str = "max"
    noise: float = 0.0
    grain: int = 8
    stride: int = 4
    threshold: float = 0.2
    select: str = "fixed"
    note: str = ""


def run(work: Work, options: Options) -> None:
    """Leave ``maps/ID.npz`` of train and dev, and score the combined maps."""
    check(options, len(work.inputs))
    for image_id, path in work.each(ids_of(("train", "dev"), work.data), work.out / "maps", ".npz"):
        fg_ids, maps = together(work.inputs.values(), image_id)
        if options.noise:
            maps = maps + options.noise * noise_of(maps.shape, options.grain, work.seed, image_id)
        full = combined(maps, options)
        ClassMaps(fg_ids, strided(full, options.stride), full, options.threshold).save(path)
    if options.note:
        work.notes.append(f"{work.log.stage}: {options.note}")
    if options.noise:
        work.notes.append(f"{work.log.stage}: noise of deviation {options.noise:g} was added to the maps")
    score_seeds(work, options.threshold, options.select)


def check(options: Options, inputs: int) -> None:
    """Refuse options that do not fit each other or the number of inputs."""
    if not 2 <= inputs <= MOST:
        raise InputError(f"combine takes the class maps of 2 to {MOST} stages, not of {inputs}; see 'inputs'.")
    if options.how not in ("or", "and", "mean"):
        raise InputError(f"Maps cannot be combined by '{options.how}'; how can be or, and, mean.")
    if options.normalise not in ("max", "none"):
        raise InputError(f"There is no normalisation '{options.normalise}'; it can be max or none.")
    if options.shift and len(options.shift) != inputs:
        raise InputError(f"combine has {len(options.shift)} shifts for {inputs} inputs; give one each, or none.")


def together(folders: Iterable[Path], image_id: str) -> tuple[NDArray[np.int64], Maps]:
    """Return the classes of an image and its maps by all inputs, (inputs, K, H, W).

    Raises
    ------
    ImageError
        If the inputs differ in classes or size.
    """
    found = [load_maps(folder / "maps" / f"{image_id}.npz") for folder in folders]
    first = found[0]
    for other in found[1:]:
        if other.fg_ids.tolist() != first.fg_ids.tolist() or other.full.shape != first.full.shape:
            hint = "All inputs have to be made from the same data."
            what = "images have maps of other classes or sizes by each input"
            raise ImageError("maps-differ", what, image_id, "", hint)
    return first.fg_ids, np.stack([maps.full for maps in found])


def noise_of(shape: tuple[int, ...], grain: int, seed: int, image_id: str) -> Maps:
    """Return normal noise, (inputs, K, H, W), the same over patches; every image has its own, again and again."""
    rng = np.random.default_rng([seed, 3, *image_id.encode()])
    small = rng.standard_normal((*shape[:2], *(-(-n // grain) for n in shape[2:])), np.float32)
    return small.repeat(grain, 2).repeat(grain, 3)[:, :, : shape[2], : shape[3]]


def combined(maps: Maps, options: Options) -> Maps:
    """Shift, cut, combine and normalise maps, (inputs, K, H, W) to (K, H, W)."""
    shift = np.array(options.shift or (0.0,) * len(maps), np.float32)[:, None, None, None]
    cut = np.clip(maps + shift, 0, 1).astype(np.float32)
    made = cut.mean(0) if options.how == "mean" else united(cut) if options.how == "or" else common(cut)
    if options.normalise == "max" and made.size:
        made = made / np.maximum(made.max((1, 2), keepdims=True), 1e-5)
    out: Maps = made.astype(np.float32)
    return out


def united(maps: Maps) -> Maps:
    """Return the probabilistic OR over the first axis, 1 - (1 - a)(1 - b)...

    >>> float(united(np.array([0.5, 0.5, 0.5])))
    0.875
    """
    out: Maps = 1 - (1 - maps).prod(0)
    return out


def common(maps: Maps) -> Maps:
    """Return the probabilistic AND over the first axis, the product.

    >>> float(common(np.array([0.5, 0.5, 0.5])))
    0.125
    """
    out: Maps = maps.prod(0)
    return out
