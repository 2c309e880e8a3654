"""Vision transformers with timm's parameter names: DeiT-Ti, -S, -B at 16 pixels a patch, and a small one.

Dosovitskiy et al., ICLR 2021, arXiv 2010.11929; Touvron et al. (DeiT), ICML 2021, arXiv 2012.12877.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Channels, heads, depth, side of a patch, side of the grid for which the position embedding was made.
SIZES = {
    "small-vit": (96, 3, 4, 8, 8),
    "vit-tiny": (192, 3, 12, 16, 14),
    "vit-small": (384, 6, 12, 16, 14),
    "vit-base": (768, 12, 12, 16, 14),
}


class PatchEmbed(nn.Module):
    """Patches to tokens."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens as a map, (N, width, h, w)."""
        return cast(Tensor, self.proj(x))


class Attention(nn.Module):
    """Self-attention of all tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Attend, (N, tokens, width) to the same."""
        return self._joined(functional.scaled_dot_product_attention(*self._parts(x)))

    def attend(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Attend as `forward` does, and return the attention, too, (N, heads, tokens, tokens), within the graph."""
        q, k, v = self._parts(x)
        attention = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1)
        return self._joined(attention @ v), attention

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        return q, k, v

    def _joined(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.proj(x.transpose(1, 2).reshape(len(x), x.shape[2], -1)))


class Mlp(nn.Module):
    """Two layers with GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map every token."""
        return cast(Tensor, self.fc2(functional.gelu(self.fc1(x))))


class Block(nn.Module):
    """Attention and MLP, each after a layer norm and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width, eps=1e-6), Attention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width, eps=1e-6), Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map the tokens of a batch."""
        x = x + self.attn(self.norm1(x))
        return cast(Tensor, x + self.mlp(self.norm2(x)))

    def attend(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map as `forward` does, and return the attention, too."""
        y, attention = self.attn.attend(self.norm1(x))
        x = x + y
        return x + self.mlp(self.norm2(x)), attention


class VisionTransformer(nn.Module):
    """The backbone; its features are the patch tokens as a map, after a third, two thirds and all of the blocks.

    Images of any size: the position embedding is resized bilinearly, and sides are padded to whole patches.
    """

    def __init__(self, width: int, heads: int, depth: int, patch: int, grid: int) -> None:
        super().__init__()
        self.patch, self.grid = patch, grid
        self.channels, self.strides = (width,) * 3, (patch,) * 3
        self.taps = (-(-depth // 3), -(-2 * depth // 3), depth)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, grid * grid + 1, width))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.patch_embed = PatchEmbed(width, patch)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def tokens(self, images: Tensor) -> list[Tensor]:
        """Return the tokens, class token first, (N, 1 + h w, width), at the taps; the last ones normalised."""
        x, found = self.embedded(images), []
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            if number in self.taps:
                found.append(x)
        return [*found[:-1], self.norm(found[-1])]

    def attended(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the last tokens, and the attention of every block, (N, heads, tokens, tokens), for its gradients."""
        x, attentions = self.embedded(images), []
        for block in self.blocks:
            x, attention = cast(Block, block).attend(x)
            attentions.append(attention)
        return self.norm(x), attentions

    def embedded(self, images: Tensor) -> Tensor:
        """Return the class token and the patches, with their positions, (N, 1 + h w, width)."""
        right, below = (-images.shape[k] % self.patch for k in (3, 2))
        x = self.patch_embed(functional.pad(images, (0, right, 0, below)))
        n, _, height, columns = x.shape
        x = torch.cat([self.cls_token.expand(n, -1, -1), x.flatten(2).transpose(1, 2)], 1)
        return x + self.positions(height, columns)

    def positions(self, height: int, width: int) -> Tensor:
        """Return the position embedding for a grid of tokens."""
        if (height, width) == (self.grid, self.grid):
            return self.pos_embed
        patches = self.pos_embed[:, 1:].transpose(1, 2).reshape(1, -1, self.grid, self.grid)
        patches = functional.interpolate(patches, (height, width), mode="bilinear", align_corners=False)
        return torch.cat([self.pos_embed[:, :1], patches.flatten(2).transpose(1, 2)], 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of three depths, each (N, width, ceil(H / patch), ceil(W / patch))."""
        size = [-(-n // self.patch) for n in images.shape[2:]]
        return [t[:, 1:].transpose(1, 2).reshape(len(t), -1, *size) for t in self.tokens(images)]


def make_vit(name: str) -> VisionTransformer:
    """Make a transformer by its name in `SIZES`."""
    return VisionTransformer(*SIZES[name])
