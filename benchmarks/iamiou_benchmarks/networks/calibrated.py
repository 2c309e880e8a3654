"""SFC's network: a classifier, projections of its backbone's levels, and features that tell which pixels are alike.

Zhao et al., AAAI 2024, arXiv 2401.11719; any backbone that gives enough levels carries it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from iamiou.errors import InputError
from iamiou_benchmarks.networks.build import Backbone, Classifier, features


@dataclass(frozen=True)
class View:
    """What the network says of images, all at the size (h, w) of its deepest features.

    Parameters
    ----------
    raw : (N, C - 1, h, w)
        Class maps before the ReLU; their mean is the image's score.
    hierarchical : (N, S, h, w)
        Projections of several levels, each of length 1; what is made of them does not move the backbone.
    pixels : (N, D, h, w)
        For the pixel correlation.
    deep : (N, channels, h, w)
        The features that the classifier weighs.
    """

    raw: Tensor
    hierarchical: Tensor
    pixels: Tensor
    deep: Tensor

    @property
    def scores(self) -> Tensor:
        """Scores of the images, (N, C - 1)."""
        return self.raw.mean((2, 3))

    def folded(self) -> View:
        """Add to each image of the first half its mirror image from the second half, mirrored back."""
        parts = (self.raw, self.hierarchical, self.pixels, self.deep)
        half = len(self.raw) // 2
        return View(*(t[:half] + t[half:].flip(-1) for t in parts))


class Calibrated(nn.Module):
    """A classifier with SFC's heads, all of them 1 x 1 convolutions without bias.

    Parameters
    ----------
    network : Classifier
    sides : tuple of int
        Channels to which the deepest levels are projected, shallow to deep.
    width : int
        Channels of the features for the pixel correlation; 0 is those of the deepest level.
    frozen_norm : bool
        Batch norm uses its stored statistics also in training, as a ResNet's does here anyway: images of two scales
        then do not blur them.

    Raises
    ------
    InputError
        If the backbone has fewer levels.
    """

    def __init__(
        self, network: Classifier, sides: tuple[int, ...], width: int = 0, *, frozen_norm: bool = False
    ) -> None:
        super().__init__()
        channels = cast(Backbone, network.backbone).channels
        if not 0 < len(sides) <= len(channels):
            raise InputError(f"There are {len(sides)} sides for a network of {len(channels)} levels; name 1 a level.")
        self.network, self.frozen_norm = network, frozen_norm
        levels = zip(channels[-len(sides) :], sides, strict=True)
        self.sides = nn.ModuleList(nn.Conv2d(c, s, 1, bias=False) for c, s in levels)
        self.pixels = nn.Conv2d(3 + channels[-1], width or channels[-1], 1, bias=False)

    @property
    def heads(self) -> nn.ModuleDict:
        """What is not the classifier, under one roof."""
        return nn.ModuleDict({"sides": self.sides, "pixels": self.pixels})

    def train(self, mode: bool = True) -> Calibrated:
        """Switch to training, but for batch norm where it is frozen."""
        super().train(mode)
        if self.frozen_norm:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, images: Tensor) -> View:
        """Look at images, (N, 3, H, W), in ImageNet's normalisation."""
        levels = features(self.network.backbone, images)
        deep = levels[-1]
        size = deep.shape[2:]
        projected = [side(level.detach()) for side, level in zip(self.sides, levels[-len(self.sides) :], strict=True)]
        unit = [p / (p.norm(dim=1, keepdim=True) + 1e-5) for p in projected]
        hierarchical = torch.cat([_resized(u, size) for u in unit], 1)
        pixels = self.pixels(torch.cat([_resized(images, size), deep], 1))
        raw = cast(Tensor, self.network.classifier(deep))
        return View(raw.float(), hierarchical.float(), pixels.float(), deep.float())


def _resized(maps: Tensor, size: torch.Size) -> Tensor:
    return functional.interpolate(maps, size, mode="bilinear", align_corners=False)
