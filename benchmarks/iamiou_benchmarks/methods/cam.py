"""Stage `cam`: class activation maps from several scales and the mirrored image, as IRN's code base makes them.

Zhou et al., CVPR 2016, arXiv 1512.04150; inference as in Ahn et al., CVPR 2019, arXiv 1904.05044.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from iamiou_benchmarks.cams.maps import ClassMaps
from iamiou_benchmarks.cams.seeds import score_seeds
from iamiou_benchmarks.datasets.data import Image
from iamiou_benchmarks.methods import classifier
from iamiou_benchmarks.stage.options import stage_options
from iamiou_benchmarks.stage.scoring import ids_of
from iamiou_benchmarks.stage.work import Work
from iamiou_benchmarks.training.batches import normalised, scaled
from iamiou_benchmarks.training.trainer import precision

VERSION = 1
INPUTS = ("classifier",)


@dataclass(frozen=True)
class Options:
    """Options of the stage.

    Parameters
    ----------
    scales : tuple of float
        The image is looked at in all of these sizes.
    stride : int
        Of the maps kept for affinities and walks.
    threshold : float
        Background score of the seeds.
    select : {"fixed", "dev"}
        ``"dev"`` takes the threshold with the highest mIoU on dev in place of `threshold`: it looks at pixel labels,
        and the result says so.
    """

    scales: tuple[float, ...] = (1.0, 0.5, 1.5, 2.0)
    stride: int = 4
    threshold: float = 0.15
    select: str = "fixed"


def run(work: Work, options: Options) -> None:
    """Leave ``maps/ID.npz`` of train and dev, and score the seeds."""
    trained = stage_options(work.source, classifier.Options)
    model = classifier.load_classifier(work, trained)

    @torch.inference_mode()
    def raw(images: Tensor) -> Tensor:
        with precision(trained.precision, work.device):
            return model.maps(images.to(work.device)).float().cpu()

    for image_id, path in work.each(ids_of(("train", "dev"), work.data), work.out / "maps", ".npz"):
        fg_ids = np.flatnonzero(work.data.multi_hot(image_id)).astype(np.int64)
        strided, full = activation(raw, work.data.read(image_id), fg_ids, options.scales, options.stride)
        ClassMaps(fg_ids, strided, full, options.threshold).save(path)
    score_seeds(work, options.threshold, options.select)


def activation(
    raw: Callable[[Tensor], Tensor], image: Image, fg_ids: NDArray[np.int64], scales: Sequence[float], stride: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the activation maps of one image: of stride `stride` and full size, each class with maximum 1.

    For every scale s: A = ReLU(class maps of the image) + mirror(ReLU(class maps of the mirrored image)), resized
    bilinearly; the sum over the scales, divided by its maximum + 1e-5.

    Parameters
    ----------
    raw : callable
        Class maps of a batch of images, before the ReLU.
    """
    height, width = image.shape[:2]
    small = (height - 1) // stride + 1, (width - 1) // stride + 1
    strided = torch.zeros((len(fg_ids), *small))
    full = torch.zeros((len(fg_ids), height, width))
    for scale in scales:
        x = torch.from_numpy(normalised(scaled(image, scale)))
        maps = functional.relu(raw(torch.stack([x, x.flip(-1)]))[:, torch.from_numpy(fg_ids)])
        both = (maps[0] + maps[1].flip(-1))[None]
        strided += functional.interpolate(both, small, mode="bilinear", align_corners=False)[0]
        full += functional.interpolate(both, (height, width), mode="bilinear", align_corners=False)[0]
    return _of_maximum_1(strided), _of_maximum_1(full)


def _of_maximum_1(maps: Tensor) -> NDArray[np.float32]:
    if not maps.numel():
        return maps.numpy()
    return (maps / (maps.amax((1, 2), keepdim=True) + 1e-5)).numpy()
