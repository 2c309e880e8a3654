"""DeepLab heads on any backbone, and their upsampling to the size of the image.

v1 (large field of view): Chen et al., ICLR 2015, arXiv 1412.7062. v2 (ASPP): Chen et al., TPAMI 2018, arXiv 1606.00915.
"""

from __future__ import annotations

from typing import Self, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from iamiou.errors import InputError
from iamiou_benchmarks.networks.build import Backbone, features

T = TypeVar("T", bound=nn.Module)


def freeze_norm(model: T) -> T:
    """Let batch norm use its stored statistics, also in training."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


class LargeView(nn.Sequential):
    """DeepLab-v1: a 3 x 3 convolution with a large dilation, a 1 x 1 convolution, dropout, the classifier."""

    def __init__(self, inputs: int, classes: int, width: int, dilation: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, width, 3, padding=dilation, dilation=dilation),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 1),
            nn.ReLU(inplace=True),
            nn.Dropout2d(0.5),
            nn.Conv2d(width, classes, 1),
        )


class Aspp(nn.Module):
    """DeepLab-v2: the sum of 3 x 3 classifiers with several dilations."""

    def __init__(self, inputs: int, classes: int, rates: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(inputs, classes, 3, padding=r, dilation=r) for r in rates)
        for branch in self.branches:
            nn.init.normal_(cast(nn.Conv2d, branch).weight, 0, 0.01)
            nn.init.zeros_(cast(Tensor, branch.bias))

    def forward(self, x: Tensor) -> Tensor:
        """Return the class scores of the deepest features."""
        return torch.stack([branch(x) for branch in self.branches]).sum(0)


class DeepLab(nn.Module):
    """A backbone and a head; the scores have the stride of the deepest features.

    Batch norm in the backbone keeps the statistics that it came with, so that batches may be small or parted among
    processes.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but the backbone's batch norm."""
        super().train(mode)
        return freeze_norm(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores, (N, C, h, w)."""
        return cast(Tensor, self.head(features(self.backbone, images)[-1]))


def make_deeplab(backbone: nn.Module, head: str, classes: int, rates: tuple[int, ...], width: int) -> DeepLab:
    """Put a head on a backbone.

    Parameters
    ----------
    head : {"v1", "v2"}
    rates : tuple of int
        Dilations of v2; the first one is that of v1.
    width : int
        Channels inside v1.

    Raises
    ------
    InputError
        If there is no such head.
    """
    inputs = cast(Backbone, backbone).channels[-1]
    if head == "v1":
        return DeepLab(backbone, LargeView(inputs, classes, width, rates[0]))
    if head == "v2":
        return DeepLab(backbone, Aspp(inputs, classes, rates))
    raise InputError(f"There is no head '{head}'; it can be v1 or v2.")


def at_size(scores: Tensor, height: int, width: int) -> Tensor:
    """Resize class scores bilinearly."""
    return functional.interpolate(scores, (height, width), mode="bilinear", align_corners=False)
