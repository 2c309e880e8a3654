"""Stage `predict`: label maps of the test images by the trained network, and their scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from iamiou.masks import write_label_map
from iamiou_benchmarks.datasets.data import Image
from iamiou_benchmarks.methods import segment
from iamiou_benchmarks.networks.deeplab import at_size
from iamiou_benchmarks.stage.options import stage_options
from iamiou_benchmarks.stage.work import Work
from iamiou_benchmarks.training.batches import normalised, scaled
from iamiou_benchmarks.training.trainer import precision

VERSION = 1
INPUTS = ("segment",)


@dataclass(frozen=True)
class Options:
    """Options of the stage.

    Parameters
    ----------
    scales : tuple of float
        Class probabilities are averaged over these sizes of the image.
    flip : bool
        And over the mirrored image.
    crf : bool
        Refine with a dense CRF, which needs the extra ``crf``.
    splits : tuple of str
        Splits to predict and score beside test, for choices on dev.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    crf: bool = False
    splits: tuple[str, ...] = ()


def run(work: Work, options: Options) -> None:
    """Leave ``predictions/ID.png`` of test and score them."""
    for split in ("test", *options.splits):
        folder = work.out / ("predictions" if split == "test" else split)
        write_predictions(work, options, split, folder)
        work.score(split, split, folder)


def write_predictions(work: Work, options: Options, split: str, folder: Path) -> None:
    """Write the label maps of a split, as far as they are not there."""
    trained = stage_options(work.source, segment.Options)
    model = segment.load_network(work, trained)
    for image_id, path in work.each(work.data.splits[split], folder, ".png"):
        image = work.data.read(image_id)
        with precision(trained.precision, work.device):
            scores = probabilities(model, image, options, work.device)
        if options.crf:
            from iamiou_benchmarks.cams.crf import of_probabilities

            scores = of_probabilities(image, scores)
        write_label_map(path, scores.argmax(0).astype(np.uint8))


@torch.inference_mode()
def probabilities(model: nn.Module, image: Image, options: Options, device: str) -> NDArray[np.float32]:
    """Return the mean class probabilities over scales and mirror images, (C, H, W)."""
    height, width = image.shape[:2]
    total: Tensor | float = 0.0
    for scale in options.scales:
        x = torch.from_numpy(normalised(scaled(image, scale)))[None].to(device)
        for mirrored in (False, True) if options.flip else (False,):
            scores = model(x.flip(-1) if mirrored else x).float()
            scores = at_size(scores.flip(-1) if mirrored else scores, height, width)
            total = total + scores.softmax(1)[0]
    assert isinstance(total, Tensor)
    return (total / (len(options.scales) * (1 + options.flip))).cpu().numpy()
