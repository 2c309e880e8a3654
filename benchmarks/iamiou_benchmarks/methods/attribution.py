"""Stage method `attribution`: class maps of a vision transformer, by its attention and the gradients that reach it.

After Chefer et al., Transformer Interpretability Beyond Attention Visualization, CVPR 2021, arXiv 2012.09838, which
ORANDNet takes for its second classifier. Their rule weighs every attention by its relevance (eq. 13); here the
attention itself stands in that place, as in the same authors' later rule for self-attention (ICCV 2021, arXiv
2103.15679, eq. 5), so that no relevance has to be propagated through the other layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from iamiou.errors import InputError
from iamiou_benchmarks.cams.maps import ClassMaps, Maps, strided
from iamiou_benchmarks.cams.seeds import score_seeds
from iamiou_benchmarks.datasets.data import Image, resized
from iamiou_benchmarks.methods import classifier
from iamiou_benchmarks.networks.build import Classifier
from iamiou_benchmarks.networks.vit import VisionTransformer
from iamiou_benchmarks.stage.options import stage_options
from iamiou_benchmarks.stage.scoring import ids_of
from iamiou_benchmarks.stage.work import Work
from iamiou_benchmarks.training.batches import normalised

VERSION = 1
INPUTS = ("classifier",)


@dataclass(frozen=True)
class Options:
    """Options of the stage; the published ones are size 512 and threshold 0.05.

    Parameters
    ----------
    size : int
        The image is squeezed to a square of this side; 0 leaves it as it is.
    flip : bool
        Add the map of the mirrored image.
    stride, threshold, select : see `cam`
    """

    size: int = 0
    flip: bool = False
    stride: int = 4
    threshold: float = 0.05
    select: str = "fixed"


def run(work: Work, options: Options) -> None:
    """Leave ``maps/ID.npz`` of train and dev, and score the seeds."""
    trained = stage_options(work.source, classifier.Options)
    model = classifier.load_classifier(work, trained)
    if not isinstance(model.backbone, VisionTransformer):
        raise InputError(
            f"The stage {work.log.stage} needs a transformer, and its classifier is {trained.network}; take cam for it."
        )
    for image_id, path in work.each(ids_of(("train", "dev"), work.data), work.out / "maps", ".npz"):
        fg_ids = np.flatnonzero(work.data.multi_hot(image_id)).astype(np.int64)
        full = maps_of(model, work.data.read(image_id), fg_ids, options, work.device)
        ClassMaps(fg_ids, strided(full, options.stride), full, options.threshold).save(path)
    score_seeds(work, options.threshold, options.select)


def maps_of(model: Classifier, image: Image, fg_ids: NDArray[np.int64], options: Options, device: str) -> Maps:
    """Return the maps of an image's classes, (K, H, W), each from 0 to 1."""
    if not len(fg_ids):
        return np.zeros((0, *image.shape[:2]), np.float32)
    size = (options.size, options.size) if options.size else image.shape[:2]
    x = torch.from_numpy(normalised(resized(image, *size))).to(device)
    found = relevance(model, x, fg_ids)
    if options.flip:
        found = found + relevance(model, x.flip(-1), fg_ids).flip(-1)
    if tuple(size) != image.shape[:2]:
        found = functional.interpolate(found[None], image.shape[:2], mode="bilinear", align_corners=False)[0]
    return stretched(found).cpu().numpy()


def relevance(model: Classifier, image: Tensor, fg_ids: NDArray[np.int64]) -> Tensor:
    """Return the relevance of an image's pixels for its classes, (K, H, W), before it is brought to 0 to 1.

    For class c and every block, A = mean over heads of (attention * gradient of score c)^+, plus the identity, each row
    divided by its sum; the product over the blocks says how much each of the last tokens owes to each patch. The tokens
    that the score is read from count: the class token, or all patches alike.
    """
    backbone = model.backbone
    assert isinstance(backbone, VisionTransformer)
    height, width = image.shape[1:]
    rows, columns = (-(-n // backbone.patch) for n in (height, width))
    with torch.enable_grad():
        tokens, attentions = backbone.attended(image[None])
        scores = model.of_tokens(tokens)[0]
    read = torch.zeros(1, tokens.shape[1], dtype=torch.float64, device=image.device)
    if model.pool == "token":
        read[:, 0] = 1
    else:
        read[:, 1:] = 1 / (tokens.shape[1] - 1)
    found = []
    for number in fg_ids.tolist():
        gradients = torch.autograd.grad(scores[number], attentions, retain_graph=True)
        owed = read
        for attention, gradient in zip(reversed(attentions), reversed(gradients), strict=True):
            step = (attention.detach() * gradient)[0].clamp_min(0).mean(0).double()
            step = step + torch.eye(len(step), device=step.device)  # gradients are small beside 1: double
            owed = owed @ (step / step.sum(1, keepdim=True))
        found.append(owed[0, 1:].view(rows, columns))
    maps = stretched(torch.stack(found)).float()[None]
    size = rows * backbone.patch, columns * backbone.patch  # sides are padded to whole patches
    return functional.interpolate(maps, size, mode="bilinear", align_corners=False)[0, :, :height, :width]


def stretched(maps: Tensor) -> Tensor:
    """Bring each map to 0 to 1; one that is the same everywhere becomes 0."""
    if not maps.numel():
        return maps
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp_min(1e-12)
