"""Elastic weight consolidation: keep what training on large objects has learnt while small ones are learnt.

Kirkpatrick et al., PNAS 2017, arXiv 1612.00796; here the penalty of L_sb (Mun et al., WACV 2024, arXiv 2309.14117):

    L_sb = L_sw + lambda sum_i F_i (theta_i - theta*_i)^2

with the Fisher diagonal F, scaled to 0..1 in each tensor, and the weights theta* at the switch. The released program
compares names of a wrapped and an unwrapped network, finds none in common, and so never adds the penalty; here an
empty match is refused. It also adds it once for every micro-batch; here it is added once a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from iamiou.errors import InputError

#: The released program's decay: F <- DECAY g^2 + (1 - DECAY) F, after each micro-batch, starting at 1.
DECAY = 0.9


def start_fisher(model: nn.Module) -> dict[str, Tensor]:
    """Return a Fisher diagonal of ones for the parameters that learn."""
    return {name: torch.ones_like(p) for name, p in model.named_parameters() if p.requires_grad}


@torch.no_grad()
def decayed_fisher(model: nn.Module, fisher: Mapping[str, Tensor]) -> None:
    """Update the diagonal in place from the gradient at hand: the released form.

    With a decay of 0.9 it is, nearly, the squared gradient of the last few batches.
    """
    for name, parameter in model.named_parameters():
        if name in fisher and parameter.grad is not None:
            fisher[name].mul_(1 - DECAY).add_(parameter.grad.square(), alpha=DECAY)


def empirical_fisher(model: nn.Module, losses: Iterable[Callable[[], Tensor]], fisher: Mapping[str, Tensor]) -> None:
    """Set the diagonal in place to the mean over samples of the squared gradient of each one's loss.

    Parameters
    ----------
    losses : iterable of callable
        Each computes the negative log-likelihood of one sample.
    """
    named = {n: p for n, p in model.named_parameters() if n in fisher}
    for tensor in fisher.values():
        tensor.zero_()
    count = 0
    for loss in losses:
        gradients = torch.autograd.grad(loss(), list(named.values()), allow_unused=True)
        for name, gradient in zip(named, gradients, strict=True):
            if gradient is not None:
                fisher[name].add_(gradient.square())
        count += 1
    for tensor in fisher.values():
        tensor.div_(max(count, 1))


@torch.no_grad()
def scale_fisher(fisher: Mapping[str, Tensor]) -> None:
    """Scale every tensor in place to 0..1; one of equal values becomes 0."""
    for tensor in fisher.values():
        low, high = tensor.min(), tensor.max()
        tensor.sub_(low).div_((high - low).clamp_min(torch.finfo(tensor.dtype).tiny))


def matched(model: nn.Module, fisher: Mapping[str, Tensor], anchor: Mapping[str, Tensor]) -> dict[str, nn.Parameter]:
    """Return the parameters that the penalty is about, by name.

    Raises
    ------
    InputError
        If no name of the network is among those of the Fisher diagonal and the anchor: the penalty would be
        nothing, without anybody seeing it.
    """
    found = {n: p for n, p in model.named_parameters() if n in fisher and n in anchor}
    if not found:
        theirs = next(iter(fisher), "none")
        ours = next((n for n, _ in model.named_parameters()), "none")
        raise InputError(
            f"EWC finds no parameter of the network in its Fisher diagonal (here '{ours}', there '{theirs}'), so that "
            "its penalty would be 0; give both the same names."
        )
    return found


@torch.no_grad()
def add_penalty(model: nn.Module, fisher: Mapping[str, Tensor], anchor: Mapping[str, Tensor], strength: float) -> float:
    """Add the penalty's gradient, 2 lambda F (theta - theta*), to the gradients; return the penalty.

    Examples
    --------
    >>> line = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.constant_(line.weight, 3.0)
    >>> line.weight.grad = torch.zeros(1, 1)
    >>> add_penalty(line, {"weight": torch.tensor([[0.5]])}, {"weight": torch.tensor([[1.0]])}, 10.0)
    20.0
    >>> line.weight.grad
    tensor([[20.]])
    """
    total = 0.0
    for name, parameter in matched(model, fisher, anchor).items():
        away = parameter - anchor[name]
        weighted = fisher[name] * away
        total += float((weighted * away).sum())
        if parameter.grad is not None:
            parameter.grad.add_(weighted, alpha=2 * strength)
    return strength * total


def check_stable(strength: float, rate: float, momentum: float) -> None:
    """Refuse a strength with which steps along the largest Fisher entries would grow without end.

    With F scaled to 1 the penalty's curvature is 2 lambda; gradient descent with momentum m diverges when
    rate x curvature exceeds 2 (1 + m).

    Raises
    ------
    InputError
        With the largest lambda that goes.
    """
    limit = (1 + momentum) / rate
    if strength >= limit:
        raise InputError(
            f"lambda = {strength:g} makes EWC's steps grow without end at a rate of {rate:g}: "
            f"it has to be below {limit:.3g}; lower lambda or lr."
        )
