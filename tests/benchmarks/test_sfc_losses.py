"""SFC: what its losses are by hand, what they move, and options that contradict each other."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.methods import sfc  # noqa: E402
from iamiou_benchmarks.sfc.prototypes import (  # noqa: E402
    prototype_maps,
    seeds_of,
    with_background,
)
from tests.benchmarks.sfc_parts import network, random  # noqa: E402


def test_gap_of_prototypes_is_the_example_worked_out_by_hand():
    maps = torch.tensor([[[[0.5, 0.0]], [[1.0, 0.2]], [[0.0, 0.4]]]])
    prototypes = torch.tensor([[[[0.1, 0.0]], [[0.5, 0.2]], [[0.2, 0.0]]]])
    # |0.4 0| x 1, |0.5 0| x 1.5, |0.2 0.4| x 0.5: 0.4 + 0.75 + 0.3 over 3 classes and 2 pixels
    assert float(sfc.gap_of_prototypes(maps, prototypes, torch.tensor([1.5, 0.5]))) == pytest.approx(1.45 / 6)


def test_gap_of_scales_is_the_example_worked_out_by_hand():
    rows = torch.tensor([0.0, 1.0, 2.0])
    maps = torch.stack([rows.expand(3, 3) * k for k in (9.0, 1.0, 2.0)])[None]
    little_ = torch.zeros(1, 3, 2, 2)
    # Down with the corners kept: columns 0 and 2, times 1 and 2; class 2 is not shown; DC 1.5
    found = sfc.gap_of_scales(maps, little_, torch.tensor([[1.0, 0.0]]), torch.tensor([1.5, 0.5]))
    assert float(found) == pytest.approx(1.5 * (0 + 2 + 0 + 2) / (2 * 4))


def ready(options, model, classes=((1, 0, 1), (0, 1, 0)), side=32):
    goal = sfc.objective(model, options, torch.tensor([0.5, 1.0, 1.5]))
    label = torch.zeros(len(classes), side, side, dtype=torch.uint8)
    label[0, :, : side // 2] = 255
    batch = {"image": random(len(classes), 3, side, side), "label": label, "classes": torch.tensor(classes).float()}
    return goal, batch


def test_prototypes_move_their_projections_and_class_maps_the_backbone():
    model = network()
    view = model(random(2, 3, 32, 32))
    maps = with_background(view.raw).detach()
    mask = torch.ones_like(maps)
    near = prototype_maps(view.hierarchical, seeds_of(maps, mask, 0.3))
    near.square().sum().backward()
    assert all(p.grad is None for p in model.network.parameters()) and model.pixels.weight.grad is None
    assert all(side.weight.grad.abs().sum() > 0 for side in model.sides)
    model.zero_grad(set_to_none=True)
    options = sfc.Options(weight_w=0.0, small=0.0, correlations=2)
    goal, batch = ready(options, model)
    prepared, number = goal.prepare(batch, 0)
    goal.loss(prepared, number)["L_P"].backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert {"pixels.weight", "network.classifier.weight", "sides.0.weight"} <= moved
    assert any(name.startswith("network.backbone.stem") for name in moved)


def test_loss_is_a_mean_over_the_images_of_the_batch_however_it_is_parted():
    model = network().eval()
    goal, batch = ready(sfc.Options(), model, classes=((1, 0, 1), (0, 1, 0), (1, 1, 0), (0, 0, 1)))

    def total(parts):
        prepared = [goal.prepare({k: v[p] for k, v in batch.items()}, 0) for p in parts]
        number = torch.stack([c for _, c in prepared]).sum(0)
        found = [goal.loss(b, number) for b, _ in prepared]
        return {k: sum(float(f[k].detach()) for f in found) for k in ("loss", "L_cls", "L_P", "L_W")}

    whole, parted = total([slice(0, 4)]), total([slice(0, 1), slice(1, 4)])
    assert whole == pytest.approx(parted, rel=1e-5)
    assert whole["loss"] == pytest.approx(whole["L_cls"] + whole["L_P"] + whole["L_W"])
    assert min(whole.values()) > 0


@pytest.mark.parametrize(
    ("changes", "terms"),
    [
        ({}, {"L_cls", "L_P", "L_W"}),
        ({"weight_p": 0.0}, {"L_cls", "L_W"}),
        ({"weight_w": 0.0}, {"L_cls", "L_P"}),
        ({"begin": 0.5, "iterations": 10}, {"L_cls"}),
    ],
)
def test_terms_can_be_left_out(changes, terms):
    goal, batch = ready(sfc.Options(**changes), network())
    prepared, number = goal.prepare(batch, 4)
    assert set(goal.loss(prepared, number)) == {"loss", *terms}
    if "begin" in changes:
        assert "L_P" in goal.loss(*goal.prepare(batch, 5))


def test_masked_classes_and_padding_are_not_in_the_class_maps():
    view = network()(random(1, 3, 32, 32))
    inside = torch.ones(1, 1, 32, 32)
    inside[..., 16:] = 0
    maps = sfc.classifier_maps(view, inside, torch.tensor([[0.0, 1.0, 0.0]]), 0)
    assert not maps[:, [1, 3]].any() and not maps[..., 2:].any() and maps[:, 2].max() > 0


@pytest.mark.parametrize(
    ("name", "sides", "side"),
    [("resnet50", (3, 4, 5, 6), 48), ("efficientnet-lite0", (3, 4, 5, 6), 70), ("small-vit", (3, 4), 40)],
)
def test_any_backbone_carries_it(name, sides, side):
    model = network(name, sides)
    with torch.no_grad():
        view = model(random(1, 3, side, side - 7))
    size = view.raw.shape[2:]
    assert view.hierarchical.shape == (1, sum(sides), *size) and view.pixels.shape[2:] == size
    lengths = torch.split(view.hierarchical, sides, 1)[-1].norm(dim=1)
    assert lengths.min() > 0 and lengths.max() <= 1 + 1e-5  # features near 0 stay below 1
    with pytest.raises(InputError, match="7 sides for a network"):
        network(name, (2,) * 7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"small": 0.0}, "L_W compares two scales"),
        ({"bank": "disk"}, "cannot lie in 'disk'"),
        ({"mix": (0.0, 0.0)}, "mix is"),
        ({"mix": (1.0,)}, "mix is"),
        ({"decide": "dice"}, "no way to decide 'dice'"),
        ({"pool": "token"}, "needs class maps"),
    ],
)
def test_options_that_contradict_each_other(changes, message):
    with pytest.raises(InputError, match=message):
        sfc.check(sfc.Options(**changes))
