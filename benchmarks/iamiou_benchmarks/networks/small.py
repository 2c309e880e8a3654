"""A small convolutional backbone for `shapes`: four stages, batch norm, half a million weights."""

from __future__ import annotations

from torch import Tensor, nn


def _layer(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class SmallCnn(nn.Module):
    """Features at strides 2, 4, 8 and 8.

    Parameters
    ----------
    stride : {8, 4}
        4 dilates the last two stages in place of the last stride: the same features, twice as dense.
    width : int
        Channels of the first stage; the others have 2, 4 and 4 times as many.
    """

    def __init__(self, stride: int = 8, width: int = 32) -> None:
        super().__init__()
        self.strides = (2, 4, stride, stride)
        dense = 8 // stride
        self.channels = (width, 2 * width, 4 * width, 4 * width)
        self.stem = _layer(3, width, 2)
        self.stage1 = nn.Sequential(_layer(width, 2 * width, 2), _layer(2 * width, 2 * width))
        self.stage2 = nn.Sequential(_layer(2 * width, 4 * width, stride // 4), _layer(4 * width, 4 * width, 1, dense))
        self.stage3 = _layer(4 * width, 4 * width, 1, 2 * dense)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of all stages, shallow to deep."""
        features = [self.stem(images)]
        for stage in (self.stage1, self.stage2, self.stage3):
            features.append(stage(features[-1]))
        return features
