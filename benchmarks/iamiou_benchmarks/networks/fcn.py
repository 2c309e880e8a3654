"""Fully convolutional networks from one map to one map: what ORANDNet refines class maps with.

Long et al., CVPR 2015, arXiv 1411.4038 (FCN-8s on VGG-16); in ORANDNet's program its first convolution takes one
channel and its last one gives one, so that every class map passes alone and no class is known to it.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from iamiou.errors import InputError
from iamiou_benchmarks.networks.weights import load_tensors, read_weights

FCNS = ("small-fcn", "fcn8s")
#: Channels of VGG-16's convolutions; 0 is a pooling.
_VGG = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
_POOL3, _POOL4 = 16, 23  # their places in `features`, as in torchvision


def make_fcn(name: str, weights: str = "") -> nn.Module:
    """Make a refining network, (N, 1, H, W) to the same.

    Parameters
    ----------
    name : {"small-fcn", "fcn8s"}
    weights : str
        Of `fcn8s`: a file of VGG-16's ImageNet weights with torchvision's names; "" leaves them random.

    Raises
    ------
    InputError
        If there is no such network, or the weights are of another one.
    """
    if name not in FCNS:
        raise InputError(f"There is no refining network '{name}'; it can be {', '.join(FCNS)}.")
    if name == "small-fcn":
        if weights:
            raise InputError("small-fcn has no published weights; leave weights away.")
        return SmallFcn()
    network = Fcn8s()
    if weights:
        load_vgg16(network, read_weights(weights), weights)
    return network


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True))


class SmallFcn(nn.Module):
    """FCN in little, for `shapes`: scores at strides 1, 2 and 4 are added up; 65,000 weights."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.fine, self.middle = _block(1, width), _block(width, 2 * width)
        self.coarse = nn.Sequential(_block(2 * width, 4 * width), _block(4 * width, 4 * width))
        self.scores = nn.ModuleList(nn.Conv2d(k * width, 1, 1) for k in (1, 2, 4))

    def forward(self, maps: Tensor) -> Tensor:
        """Return scores before any ReLU or sigmoid, of the size of the maps."""
        found = [self.fine(maps)]
        for stage in (self.middle, self.coarse):
            found.append(stage(functional.max_pool2d(found[-1], 2, ceil_mode=True)))
        x = self.scores[2](found[2])
        for k in (1, 0):
            size = list(found[k].shape[2:])
            x = functional.interpolate(x, size, mode="bilinear", align_corners=False) + self.scores[k](found[k])
        out: Tensor = x
        return out


class Fcn8s(nn.Module):
    """FCN-8s on VGG-16 with one channel in and one out.

    Parameters
    ----------
    shrink : int
        Divides all numbers of channels, for tests; VGG-16 has 1.
    """

    def __init__(self, shrink: int = 1) -> None:
        super().__init__()
        self.features, inputs = nn.Sequential(), 1
        for width in _VGG:
            if width:
                padding = 1 if len(self.features) else 100  # a wide rim lets small images reach the last layers
                self.features.append(nn.Conv2d(inputs, width // shrink, 3, padding=padding))
                self.features.append(nn.ReLU(inplace=True))
                inputs = width // shrink
            else:
                self.features.append(nn.MaxPool2d(2, ceil_mode=True))
        deep = 4096 // shrink
        self.fc6, self.fc7 = nn.Conv2d(inputs, deep, 7), nn.Conv2d(deep, deep, 1)
        self.score, self.score4 = nn.Conv2d(deep, 1, 1), nn.Conv2d(512 // shrink, 1, 1)
        self.score3 = nn.Conv2d(256 // shrink, 1, 1)
        self.up4, self.up3 = nn.ConvTranspose2d(1, 1, 4, 2, bias=False), nn.ConvTranspose2d(1, 1, 4, 2, bias=False)
        self.up = nn.ConvTranspose2d(1, 1, 16, 8, bias=False)
        for new in (self.features[0], self.score, self.score4, self.score3):
            nn.init.xavier_normal_(new.weight)  # type: ignore[arg-type]  # a convolution, which a Sequential forgets
            nn.init.zeros_(new.bias)  # type: ignore[arg-type]  # a convolution, which a Sequential forgets
        for up in (self.up4, self.up3, self.up):
            up.weight.data.copy_(bilinear_kernel(up.kernel_size[0])[None, None])

    def forward(self, maps: Tensor) -> Tensor:
        """Return scores before any ReLU or sigmoid, of the size of the maps."""
        x, pooled = maps, []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in (_POOL3, _POOL4):
                pooled.append(x)
        for layer in (self.fc6, self.fc7):
            x = functional.dropout2d(functional.relu(layer(x)), training=self.training)
        x = self.up4(self.score(x))
        x = self.up3(x + window(self.score4(pooled[1]), 5, x))
        x = self.up(x + window(self.score3(pooled[0]), 9, x))
        return window(x, 31, maps)


def window(x: Tensor, start: int, like: Tensor) -> Tensor:
    """Cut (N, C, H, W) to the height and width of another tensor, from a row and column on.

    The starts 5, 9 and 31 of FCN are those at which the rim of 100 makes pixels meet.
    """
    return x[:, :, start : start + like.shape[2], start : start + like.shape[3]]


def bilinear_kernel(size: int) -> Tensor:
    """Return the weights with which a transposed convolution of stride size / 2 enlarges bilinearly, (size, size).

    >>> bilinear_kernel(4)[1].tolist()
    [0.1875, 0.5625, 0.5625, 0.1875]
    """
    import torch

    side = 1 - (torch.arange(size) + 0.5 - size / 2).abs() / (size / 2)
    return torch.outer(side, side)


def load_vgg16(network: Fcn8s, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load VGG-16's weights: all convolutions but the first, and the first two linear layers as fc6 and fc7.

    Raises
    ------
    InputError
        If the weights are of another network.
    """
    own = network.state_dict()
    given = {k: v for k, v in tensors.items() if k.startswith("features.") and not k.startswith("features.0.")}
    for layer, name in (("fc6", "classifier.0"), ("fc7", "classifier.3")):
        for part in ("weight", "bias"):
            if f"{name}.{part}" in tensors:
                like, value = own[f"{layer}.{part}"], tensors[f"{name}.{part}"]
                given[f"{layer}.{part}"] = value.reshape(like.shape) if value.numel() == like.numel() else value
    new = {k: v for k, v in own.items() if k.startswith(("features.0.", "score", "up"))}
    load_tensors(network, {**new, **given}, source)
