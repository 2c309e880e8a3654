"""The boundary branch of IRN on the features of any backbone.

Ahn et al., CVPR 2019, arXiv 1904.05044, section 4: each stage's features pass a 1 x 1 convolution to 32 channels, group
norm with 4 groups and a ReLU, are brought to the size of the first stage, and together give one score.
"""

from __future__ import annotations

from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from iamiou_benchmarks.networks.build import Backbone, features


class BoundaryNet(nn.Module):
    """A frozen backbone and a branch that learns; the output has the stride of the first stage.

    The displacement branch of IRN is left out: it plays no part in semantic masks.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        for parameter in backbone.parameters():
            parameter.requires_grad_(False)
        channels = cast(Backbone, backbone).channels
        self.edges = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, 32, 1, bias=False), nn.GroupNorm(4, 32)) for c in channels
        )
        self.last = nn.Conv2d(32 * len(channels), 1, 1)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the branch; the backbone stays as it is used."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return boundary scores before the sigmoid, (N, h, w)."""
        with torch.no_grad():
            taps = [t.detach() for t in features(self.backbone, images)]
        size = list(taps[0].shape[2:])
        found = []
        for edge, tap in zip(self.edges, taps, strict=True):
            x = edge(tap)
            if list(x.shape[2:]) != size:
                x = functional.interpolate(x, size, mode="bilinear", align_corners=False)
            found.append(functional.relu(x))
        return cast(Tensor, self.last(torch.cat(found, 1)))[:, 0]
