"""Which way the loss pushes the classifier's weights of frequent and of rare classes that read shared features.

Zhao et al. (SFC, AAAI 2024, arXiv 2401.11719) explain head classes' too large and tail classes' too small maps by
that: weights grow in head classes and fall in tail classes, on features that both have. It is measured here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: How much of a class's mean feature one batch replaces.
_FRESH = 0.1


@dataclass(frozen=True)
class SharedGradients:
    """Running means over training.

    A channel is shared as far as it is active both in images of frequent classes and in images of rare ones: its
    share is the smaller of the two mean activations, all shares adding up to 1. A push is minus the gradient.

    Parameters
    ----------
    many, few : Tensor, int64
        The frequent and the rare classes, counted from 0 without the background.
    active : Tensor, float32 (C - 1, channels)
        Mean activation of the pooled features over images that show a class, above 0.
    sums : Tensor, float64 (5,)
        Steps, and over them the sums of `measured`.
    """

    many: Tensor
    few: Tensor
    active: Tensor
    sums: Tensor

    @property
    def state(self) -> dict[str, Tensor]:
        """What has to survive an interruption."""
        return {"shared.active": self.active, "shared.sums": self.sums}

    @torch.no_grad()
    def watch(self, pooled: Tensor, classes: Tensor) -> None:
        """See the mean features of images, (N, channels), and their classes, (N, C - 1)."""
        counts = classes.sum(0)
        means = classes.T @ pooled.clamp_min(0) / counts.clamp_min(1)[:, None]
        fresh = torch.where(counts > 0, _FRESH, 0.0)[:, None]
        fresh = torch.where(self.active.any(1, keepdim=True), fresh, (counts > 0).float()[:, None])
        self.active.add_(fresh * (means - self.active))

    def shares(self) -> Tensor:
        """Return how much each channel is shared, (channels,), of sum 1, or 0 while a group was not seen."""
        both = torch.minimum(self.active[self.many].mean(0), self.active[self.few].mean(0))
        return both / both.sum().clamp_min(1e-12)

    @torch.no_grad()
    def measure(self, gradient: Tensor) -> dict[str, float]:
        """Add the gradient of the classifier's weights, (C - 1, channels), and return the means since the first step.

        Returns
        -------
        dict
            ``push_many`` and ``push_few``: mean push on shared features of weights of frequent and of rare classes;
            ``up_many`` and ``up_few``: which share of these weights is pushed up.
        """
        shares = self.shares().double()
        push = -gradient.double()
        found = [(push[group] * shares).sum(1).mean() for group in (self.many, self.few)]
        found += [((push[group] > 0) * shares).sum(1).mean() for group in (self.many, self.few)]
        self.sums.add_(torch.stack([torch.ones_like(found[0]), *found]).cpu())
        steps, *totals = self.sums.tolist()
        names = ("push_many", "push_few", "up_many", "up_few")
        return {name: total / steps for name, total in zip(names, totals, strict=True)}


def make_shared_gradients(groups: Sequence[str], channels: int, device: str) -> SharedGradients:
    """Begin to measure.

    Parameters
    ----------
    groups : sequence of str
        Of each class; see `distribution.class_groups`.
    """
    many, few = (torch.tensor([k for k, g in enumerate(groups) if g == name]) for name in ("Many", "Few"))
    active = torch.zeros(len(groups), channels, device=device)
    return SharedGradients(many.to(device), few.to(device), active, torch.zeros(5, dtype=torch.float64))
