"""Stage method `walk`: IRN's random walk over plain edges of colour in place of learnt boundaries.

What is gained beyond it is gained by learning the boundaries.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from iamiou_benchmarks.cams.maps import load_maps
from iamiou_benchmarks.cams.seeds import score_seeds
from iamiou_benchmarks.datasets.data import Image
from iamiou_benchmarks.methods import irn
from iamiou_benchmarks.stage.scoring import ids_of
from iamiou_benchmarks.stage.work import Work
from iamiou_benchmarks.training.batches import normalised

VERSION = 1
INPUTS = ("cam",)


@dataclass(frozen=True)
class Options:
    """Options of the stage.

    Parameters
    ----------
    gain : float
        The boundary map is the gradient of the normalised colours times this, at most 1.
    walk_radius, beta, exponent, threshold, select : see `irn`
    """

    gain: float = 0.5
    walk_radius: int = 5
    beta: float = 10.0
    exponent: int = 6
    threshold: float = 0.25
    select: str = "fixed"


def run(work: Work, options: Options) -> None:
    """Leave ``maps/ID.npz`` of train and dev, and score the refined maps."""
    walk = irn.Options(
        walk_radius=options.walk_radius, beta=options.beta, exponent=options.exponent, threshold=options.threshold
    )
    for image_id, path in work.each(ids_of(("train", "dev"), work.data), work.out / "maps", ".npz"):
        maps = load_maps(work.source / "maps" / f"{image_id}.npz")
        image = work.data.read(image_id)
        boundary = edges(image, maps.strided.shape[1:], options.gain)
        irn.refined(maps, boundary, image.shape[:2], walk).save(path)
    score_seeds(work, options.threshold, options.select)


def edges(image: Image, size: tuple[int, ...], gain: float) -> Tensor:
    """Return the colour gradient of an image at this size, from 0 to 1."""
    small = functional.adaptive_avg_pool2d(torch.from_numpy(normalised(image)), (size[0], size[1]))
    padded = functional.pad(small[None], (1, 1, 1, 1), mode="replicate")[0]
    dy, dx = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1], padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    return (dy.square() + dx.square()).sum(0).sqrt().mul(gain).clamp(max=1)
