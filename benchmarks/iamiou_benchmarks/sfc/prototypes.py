"""What SFC makes of class maps: background, pixel correlation, and maps of class prototypes.

Zhao et al., SFC: Shared Feature Calibration in Weakly Supervised Semantic Segmentation, AAAI 2024, arXiv 2401.11719.
Channel 0 of all maps is the background. A mask, (N, C, h, w), is 1 where there is image and the class may be.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

#: Keeps maxima and lengths from being 0.
_LITTLE = 1e-5


def of_maximum_1(maps: Tensor) -> Tensor:
    """Divide every map, (N, C, h, w), by its maximum + 1e-5."""
    return maps / (maps.amax((2, 3), keepdim=True) + _LITTLE)


def with_background(raw: Tensor) -> Tensor:
    """Return class maps after the ReLU with maximum 1, and before them 1 - their largest value as background.

    Parameters
    ----------
    raw : (N, C - 1, h, w)
        Class maps as the classifier gives them.
    """
    maps = of_maximum_1(functional.relu(raw))
    return torch.cat([1 - maps.amax(1, keepdim=True), maps], 1)


def correlation(features: Tensor) -> Tensor:
    """Return how alike all pixels are, (N, h w, h w): cosines of features above 0, every column of sum 1.

    SEAM's pixel correlation (Wang et al., CVPR 2020, arXiv 2004.04581) without its term of class maps.

    Parameters
    ----------
    features : (N, D, h, w)
    """
    unit = _unit(features).flatten(2)
    alike = functional.relu(unit.transpose(1, 2) @ unit)
    return alike / alike.sum(1, keepdim=True).clamp_min(_LITTLE)


def correlated(maps: Tensor, features: Tensor, times: int) -> Tensor:
    """Replace every pixel of maps, (N, C, h, w), by the mean over the pixels that are like it, so many times."""
    if not times:
        return maps
    alike, moved = correlation(features), maps.flatten(2)
    for _ in range(times):
        moved = moved @ alike
    return moved.view_as(maps)


@torch.no_grad()
def seeds_of(maps: Tensor, mask: Tensor, background: float) -> Tensor:
    """Return the class of every pixel as 0 and 1, (N, C, h, w): the best one, with the background scaled down."""
    scaled = torch.cat([maps[:, :1] * background, maps[:, 1:]], 1)
    best = functional.one_hot(scaled.argmax(1), maps.shape[1]).movedim(3, 1)
    return best.to(maps.dtype) * mask


def prototype_maps(features: Tensor, seeds: Tensor) -> Tensor:
    """Return how near features are to each class's prototype, the mean feature of its seeds.

    M_P,c = ReLU(cos(F(x), P_c)), P_c = mean over x of seed_c(x) F(x); 0 everywhere for a class without seeds.

    Parameters
    ----------
    features : (N, S, h, w)
        F, the hierarchical features.
    seeds : (N, C, h, w)

    Returns
    -------
    (N, C, h, w)
        From 0 to 1.
    """
    flat = features.flatten(2)
    prototypes = seeds.flatten(2) @ flat.transpose(1, 2) / flat.shape[2]  # (N, C, S)
    near = functional.normalize(prototypes, dim=2) @ functional.normalize(flat, dim=1)
    return functional.relu(near).view_as(seeds)


def _unit(features: Tensor) -> Tensor:
    """Bring features to length 1 over their channels."""
    length: Tensor = features.norm(dim=1, keepdim=True)
    return features / (length + _LITTLE)
