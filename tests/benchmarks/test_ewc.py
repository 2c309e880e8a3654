"""EWC: the penalty and its gradient, both Fisher diagonals, and what it refuses."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.training import ewc  # noqa: E402


@pytest.fixture
def line():
    torch.manual_seed(0)
    return torch.nn.Linear(3, 2)


def anchor_of(model):
    return {n: p.detach().clone() for n, p in model.named_parameters()}


def zero_grads(model):
    for p in model.parameters():
        p.grad = torch.zeros_like(p)


def test_penalty_is_0_at_the_anchor_and_its_gradient_too(line):
    zero_grads(line)
    assert ewc.add_penalty(line, ewc.start_fisher(line), anchor_of(line), 500) == 0
    assert all((p.grad == 0).all() for p in line.parameters())


def test_penalty_grows_along_directions_of_high_fisher(line):
    fisher, anchor = ewc.start_fisher(line), anchor_of(line)
    fisher["weight"][0, 0], fisher["weight"][1, 1] = 0.9, 0.1
    found = []
    for place in ((0, 0), (1, 1)):
        with torch.no_grad():
            line.weight.copy_(anchor["weight"])
            line.weight[place] += 0.5
        zero_grads(line)
        found.append(ewc.add_penalty(line, fisher, anchor, 10))
        assert float(line.weight.grad[place]) == pytest.approx(2 * 10 * float(fisher["weight"][place]) * 0.5)
    assert found == pytest.approx([10 * 0.9 * 0.25, 10 * 0.1 * 0.25])


def test_gradient_is_the_numerical_one(line):
    model = line.double()
    anchor = {n: torch.randn_like(p) for n, p in model.named_parameters()}
    fisher = {n: torch.rand_like(p) for n, p in model.named_parameters()}
    zero_grads(model)
    start = ewc.add_penalty(model, fisher, anchor, 3)
    gradient = float(model.weight.grad[0, 1])
    with torch.no_grad():
        model.weight[0, 1] += 1e-6
    assert (ewc.add_penalty(model, fisher, anchor, 3) - start) / 1e-6 == pytest.approx(gradient, rel=1e-4)


def test_names_that_never_match_are_refused(line):
    """The released program compares 'module.weight' with 'weight' and adds nothing."""
    fisher = {f"module.{n}": t for n, t in ewc.start_fisher(line).items()}
    with pytest.raises(InputError, match=r"finds no parameter .* 'weight', there 'module\.weight'"):
        ewc.add_penalty(line, fisher, anchor_of(line), 500)


def test_decayed_fisher_is_the_recurrence(line):
    fisher, expected = ewc.start_fisher(line), torch.ones(2, 3)
    for scale in (1.0, 2.0, 0.5):
        zero_grads(line)
        line.weight.grad += scale
        ewc.decayed_fisher(line, fisher)
        expected = 0.9 * scale**2 + 0.1 * expected
    assert torch.allclose(fisher["weight"], expected)


def test_empirical_fisher_is_the_mean_over_single_images(line):
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    losses = [lambda row=row: torch.nn.functional.cross_entropy(line(row[None]), torch.tensor([1])) for row in x]
    fisher = ewc.start_fisher(line)
    ewc.empirical_fisher(line, losses, fisher)
    expected = torch.zeros(2, 3)
    for loss in losses:
        expected += torch.autograd.grad(loss(), [line.weight])[0].square() / 5
    assert torch.allclose(fisher["weight"], expected)
    assert not torch.allclose(expected, torch.zeros(2, 3))


def test_scaling_goes_from_0_to_1(line):
    fisher = {"weight": torch.tensor([[2.0, 4.0, 10.0]]), "flat": torch.full((3,), 7.0)}
    ewc.scale_fisher(fisher)
    assert fisher["weight"].tolist() == [[0, 0.25, 1]]
    assert fisher["flat"].tolist() == [0, 0, 0]


def test_diverging_strength_is_refused_and_it_does_diverge():
    with pytest.raises(InputError, match="has to be below 704"):
        ewc.check_stable(2000, 2.7e-3, 0.9)
    for strength, grows in ((650, False), (760, True)):
        theta = torch.nn.Parameter(torch.tensor([1.0]))
        holder = torch.nn.Module()
        holder.theta = theta
        optimiser = torch.optim.SGD([theta], lr=2.7e-3, momentum=0.9)
        for _ in range(200):
            theta.grad = torch.zeros(1)
            ewc.add_penalty(holder, {"theta": torch.ones(1)}, {"theta": torch.zeros(1)}, strength)
            optimiser.step()
        assert (not abs(float(theta.detach())) <= 1) is grows
