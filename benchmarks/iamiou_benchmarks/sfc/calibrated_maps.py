"""SFC's inference: class maps from classifier weights and from prototypes, over scales and mirror images, mixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from iamiou.errors import InputError
from iamiou_benchmarks.cams.maps import ClassMaps
from iamiou_benchmarks.datasets.data import Image
from iamiou_benchmarks.networks.calibrated import Calibrated, View
from iamiou_benchmarks.sfc.prototypes import correlated, of_maximum_1, prototype_maps, seeds_of, with_background
from iamiou_benchmarks.stage.scoring import ids_of
from iamiou_benchmarks.stage.work import Work
from iamiou_benchmarks.training.batches import normalised, scaled
from iamiou_benchmarks.training.trainer import precision

#: The published program doubles the foreground beside `lift`; the threshold can do the same.
_GAIN = 2.0


@dataclass(frozen=True)
class MapOptions:
    """How SFC's network is looked at.

    Parameters
    ----------
    scales : tuple of float
        The image is looked at in all of these sizes.
    map_stride : int
        Of the maps kept for affinities and walks.
    correlations : int
        How often maps go through the pixel correlation; 0 leaves it out.
    seed_background : float
        The background is scaled by this before the seeds of prototypes are chosen, also in training.
    mix : tuple of float
        Shares of the classifier's maps M_W and the prototypes' maps M_P. The paper adds them, (1, 1); the published
        program has (1, 0.7) for the labels of IRN, (1, 0.3) for the walk and (0, 1) in its evaluation.
    sum_first : bool
        Add the mirror image's class maps before the ReLU, as the published program does; else after it.
    shown_only : bool
        The background is 1 - the largest of the classes that the image shows; else of all classes, as published.
    decide : {"background", "constant"}
        ``"background"`` holds a class against the map of the background (+ `lift`) as published: the score is its
        share of the two, and 0.5 the published threshold. ``"constant"`` scores it as `cam` does, 1 at its maximum.
    lift : float
        Is added to the map of the background.
    threshold, select : see `cam`
    """

    scales: tuple[float, ...] = (1.0, 0.5, 1.5, 2.0)
    map_stride: int = 4
    correlations: int = 2
    seed_background: float = 0.3
    mix: tuple[float, ...] = (1.0, 1.0)
    sum_first: bool = True
    shown_only: bool = False
    decide: str = "background"
    lift: float = 0.4
    threshold: float = 0.5
    select: str = "fixed"


def check_maps(options: MapOptions) -> None:
    """Refuse options that mean nothing."""
    if options.decide not in ("background", "constant"):
        raise InputError(f"There is no way to decide '{options.decide}'; it can be background or constant.")
    if len(options.mix) != 2 or min(options.mix) < 0 or not sum(options.mix):
        raise InputError(f"mix is {list(options.mix)}; it has two shares, of M_W and of M_P, not both 0: [1.0, 1.0].")


def write_maps(work: Work, model: Calibrated, options: MapOptions, bits: str) -> None:
    """Leave ``maps/ID.npz`` of train and dev, in the precision that ``bits`` names."""

    @torch.inference_mode()
    def look(images: Tensor) -> View:
        with precision(bits, work.device):
            view: View = model(images.to(work.device))
            return view

    for image_id, path in work.each(ids_of(("train", "dev"), work.data), work.out / "maps", ".npz"):
        fg_ids = np.flatnonzero(work.data.multi_hot(image_id)).astype(np.int64)
        strided, full = activation(look, work.data.read(image_id), fg_ids, options)
        ClassMaps(fg_ids, strided, full, options.threshold).save(path)


@torch.inference_mode()
def activation(
    look: Callable[[Tensor], View], image: Image, fg_ids: NDArray[np.int64], options: MapOptions
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the class maps of one image: of stride `map_stride`, each with maximum 1, and of full size.

    For every scale M_W and M_P of image and mirror image together, resized bilinearly; their sums over the scales,
    divided by their maxima; then twice the class, once the background + `lift`, and both kinds mixed.
    """
    height, width = image.shape[:2]
    stride = options.map_stride
    sizes = ((height - 1) // stride + 1, (width - 1) // stride + 1), (height, width)
    totals = [torch.zeros(2, 1 + len(fg_ids), *size) for size in sizes]
    for scale in options.scales:
        x = torch.from_numpy(normalised(scaled(image, scale)))
        both = torch.cat(maps_of(look(torch.stack([x, x.flip(-1)])), fg_ids, options)).cpu()
        for k, size in enumerate(sizes):
            totals[k] += functional.interpolate(both, size, mode="bilinear", align_corners=False)
    shares = torch.tensor(options.mix)[:, None, None, None]
    mixed = [(shares * of_maximum_1(total)).sum(0) for total in totals]
    strided, classes = (_GAIN * m[1:] for m in mixed)
    if options.decide == "constant":
        return _of_maximum_1(strided), _of_maximum_1(classes)
    ground = mixed[1][:1] + options.lift * sum(options.mix)
    return _of_maximum_1(strided), (classes / (classes + ground).clamp_min(1e-5)).numpy()


def maps_of(view: View, fg_ids: NDArray[np.int64], options: MapOptions) -> tuple[Tensor, Tensor]:
    """Return M_W and M_P of an image and its mirror image, (1, 1 + K, h, w): the background and K classes.

    Parameters
    ----------
    view : View
        Of the image and its mirror image.
    """
    folded, raw = view.folded(), view.raw
    if not options.sum_first:
        raw = functional.relu(raw)
    raw = raw[:1] + raw[1:].flip(-1)
    shown = torch.from_numpy(fg_ids).to(raw.device)
    if options.shown_only:
        raw, shown = raw[:, shown], torch.arange(len(fg_ids), device=raw.device)
        if not len(shown):  # the background of no class is everywhere
            raw = torch.zeros_like(view.raw[:1, :1])
    maps = correlated(with_background(raw), folded.pixels, options.correlations)
    kept = torch.cat([torch.zeros(1, dtype=torch.int64, device=raw.device), shown + 1])
    mask = torch.zeros(maps.shape[1], device=raw.device)
    mask[kept] = 1
    seeds = seeds_of(maps, mask[:, None, None], options.seed_background)
    return maps[:, kept], prototype_maps(folded.hierarchical, seeds)[:, kept]


def _of_maximum_1(maps: Tensor) -> NDArray[np.float32]:
    return maps.numpy() if not maps.numel() else of_maximum_1(maps[None])[0].numpy()
