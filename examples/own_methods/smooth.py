"""Stage method `smooth`: every pixel of a class map becomes the mean of its neighbours, those of like colour most.

The example of CONTRIBUTING.md for a method of one's own. After the refinement of Araslanov and Roth, Single-Stage
Semantic Segmentation from Image Labels, CVPR 2020, arXiv 2005.08104, with a fixed width in place of one by the colours'
local spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from iamiou_benchmarks.cams.maps import ClassMaps, load_maps, strided
from iamiou_benchmarks.cams.seeds import score_seeds
from iamiou_benchmarks.stage.scoring import ids_of
from iamiou_benchmarks.stage.work import Work
from iamiou_benchmarks.training.batches import normalised

VERSION = 1  # raise it when the same options give other results: the stage's key holds it
INPUTS = ("cam",)  # the stages that it takes where a run file says nothing


@dataclass(frozen=True)
class Options:
    """Options of the stage; their defaults are what a run file leaves out.

    Parameters
    ----------
    steps : int
        How often the mean is taken.
    width : float
        Difference of normalised colours at which a neighbour counts e^-0.5.
    stride, threshold, select : see `cam`
    """

    steps: int = 10
    width: float = 0.3
    stride: int = 4
    threshold: float = 0.25
    select: str = "fixed"


def run(work: Work, options: Options) -> None:
    """Leave ``maps/ID.npz`` of train and dev, and score the refined maps."""
    for image_id, path in work.each(ids_of(("train", "dev"), work.data), work.out / "maps", ".npz"):
        maps = load_maps(work.source / "maps" / f"{image_id}.npz")
        image = torch.from_numpy(normalised(work.data.read(image_id)))
        full = smoothed(torch.from_numpy(maps.full), image, options).numpy()
        ClassMaps(maps.fg_ids, strided(full, options.stride), full, options.threshold).save(path)
    score_seeds(work, options.threshold, options.select)


def smoothed(maps: Tensor, image: Tensor, options: Options) -> Tensor:
    """Return m <- sum_q a(p, q) m(q) / sum_q a(p, q) over the 3 x 3 pixels q around p, `steps` times.

    a(p, q) = exp(-|I_p - I_q|^2 / (2 width^2)) with the colours I; beyond the border a is 0.

    Parameters
    ----------
    maps : float32 (K, H, W)
    image : float32 (3, H, W)
    """
    around = neighbours(image)
    gap = (around - image[:, None]).square().sum(0)
    inside = neighbours(torch.ones_like(image[:1]))[0]
    weight = inside * torch.exp(-gap / (2 * options.width**2))
    weight = weight / weight.sum(0)
    for _ in range(options.steps):
        maps = (neighbours(maps) * weight).sum(1)
    return maps


def neighbours(planes: Tensor) -> Tensor:
    """Return the 3 x 3 pixels around every pixel, (C, H, W) to (C, 9, H, W); beyond the border they are 0."""
    return functional.unfold(planes[:, None], 3, padding=1).view(len(planes), 9, *planes.shape[1:])
