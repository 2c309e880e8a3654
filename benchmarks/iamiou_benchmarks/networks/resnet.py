"""ResNet-50 and ResNet-101 with torchvision's parameter names, at output stride 32, 16 or 8.

He et al., CVPR 2016, arXiv 1512.03385. As in IRN's code base, batch norm always uses its stored statistics, also in
training: its weights learn, its statistics do not, so that a small or parted batch changes nothing.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from iamiou.errors import InputError


class FrozenNorm(nn.BatchNorm2d):
    """Batch norm by stored statistics alone."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )


class Bottleneck(nn.Module):
    """1 x 1 to a quarter of the channels, 3 x 3 with the stride, 1 x 1 back, and the shortcut."""

    def __init__(self, inputs: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), FrozenNorm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = FrozenNorm(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), FrozenNorm(4 * width)
        self.downsample: nn.Module | None = None
        if stride > 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), FrozenNorm(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        """Return features of 4 x width channels."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """The backbone: features after the first pooling and after each of the four layers.

    Parameters
    ----------
    blocks : tuple of int
        (3, 4, 6, 3) is ResNet-50, (3, 4, 23, 3) ResNet-101.
    stride : {32, 16, 8}
        Of the deepest features. 16 drops the last stride and dilates nothing, IRN's variant; 8 dilates the last two
        layers by 2 and 4 in place of their strides, DeepLab's.
    """

    channels = (64, 256, 512, 1024, 2048)

    def __init__(self, blocks: tuple[int, int, int, int], stride: int = 16) -> None:
        super().__init__()
        if stride not in (32, 16, 8):
            raise InputError(f"A ResNet has stride 32, 16 or 8, not {stride}.")
        self.strides = (4, 4, 8, min(16, stride), stride)
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), FrozenNorm(64)
        dilated = stride == 8
        self.layer1 = _layer(64, 64, blocks[0], 1, 1)
        self.layer2 = _layer(256, 128, blocks[1], 2, 1)
        self.layer3 = _layer(512, 256, blocks[2], 1 if dilated else 2, 2 if dilated else 1)
        self.layer4 = _layer(1024, 512, blocks[3], 2 if stride == 32 else 1, 4 if dilated else 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of five stages."""
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(images))), 3, 2, 1)
        found = [x]
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = cast(Tensor, layer(x))
            found.append(x)
        return found


def _layer(inputs: int, width: int, blocks: int, stride: int, dilation: int) -> nn.Sequential:
    # torchvision dilates the first block of a layer by what the layer before it had.
    first = Bottleneck(inputs, width, stride, max(1, dilation // 2))
    rest = (Bottleneck(4 * width, width, 1, dilation) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)
