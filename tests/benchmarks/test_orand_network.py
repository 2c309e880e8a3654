"""ORANDNet's network: sizes, weights, what each loss teaches, and what it learns."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.methods import orand  # noqa: E402
from iamiou_benchmarks.networks.fcn import Fcn8s, SmallFcn, load_vgg16, make_fcn  # noqa: E402

torch.set_num_threads(1)  # little work, which several threads only slow down


@torch.no_grad()
def test_refining_networks_give_maps_of_the_size_that_they_take():
    small = SmallFcn().eval()
    for size in ((1, 1), (5, 64), (33, 47)):
        assert small(torch.zeros(2, 1, *size)).shape == (2, 1, *size)
    with torch.device("meta"):
        full = Fcn8s().eval()
        for size in ((1, 1), (500, 333)):
            assert full(torch.empty(1, 1, *size)).shape == (1, 1, *size)
    assert sum(p.numel() for p in full.parameters()) > 130e6
    with pytest.raises(InputError, match="no refining network 'unet'"):
        make_fcn("unet")
    with pytest.raises(InputError, match="no published weights"):
        make_fcn("small-fcn", "x.pth")


@pytest.mark.parametrize("path", ["score3", "score4", "score"])
@torch.no_grad()
def test_pixels_of_fcn8s_meet_at_every_stride(path):
    """With weights that pass the map on, a square that fills whole cells comes out where it was."""
    model = Fcn8s(32).eval()
    for name, parameter in model.named_parameters():
        if name.startswith("up"):
            continue
        parameter.zero_()
        if parameter.dim() == 4 and not (name.startswith("score") and name != f"{path}.weight"):
            parameter[0, 0, parameter.shape[2] // 2, parameter.shape[3] // 2] = 1
    maps = torch.zeros(1, 1, 224, 224)
    maps[:, :, 93:125, 61:93] = 1
    out = model(maps)[0, 0]
    assert float((out.sum(1) @ torch.arange(224.0)) / out.sum()) == pytest.approx(108.5, abs=1e-3)
    assert float((out.sum(0) @ torch.arange(224.0)) / out.sum()) == pytest.approx(76.5, abs=1e-3)


def test_vgg16_weights_reach_all_but_the_new_layers():
    torch.manual_seed(0)
    model, before = Fcn8s(16), {}
    given = {k: torch.randn_like(v) for k, v in model.features.state_dict(prefix="features.").items()}
    given["features.0.weight"] = torch.randn(4, 3, 3, 3)
    deep = 4096 // 16
    given |= {"classifier.0.weight": torch.randn(deep, 32 * 49), "classifier.0.bias": torch.randn(deep)}
    given |= {"classifier.3.weight": torch.randn(deep, deep), "classifier.3.bias": torch.randn(deep)}
    given |= {"classifier.6.weight": torch.randn(10, deep), "classifier.6.bias": torch.randn(10)}
    before = {k: v.clone() for k, v in model.state_dict().items()}
    load_vgg16(model, given, "vgg.pth")
    after = model.state_dict()
    same = {k for k in after if torch.equal(after[k], before[k])}
    new = ("features.0.", "score", "up")
    assert same == {k for k in after if k.startswith(new)}
    assert torch.equal(after["fc6.weight"].flatten(1), given["classifier.0.weight"])
    del given["features.28.bias"]
    with pytest.raises(InputError, match=r"features.28.bias is missing"):
        load_vgg16(model, given, "vgg.pth")


def gradient(loss, counts, seed=0):
    """Return the size of the gradient of a loss on images with so many classes each, and the loss."""
    torch.manual_seed(seed)
    model = SmallFcn(4)
    maps = torch.rand(2, sum(counts), 1, 9, 11)
    goal = orand.objective(model, loss)
    batch, weights = goal.prepare({"from": maps[0], "to": maps[1], "counts": torch.tensor(counts)}, 0)
    value = goal.loss(batch, weights)["loss"]
    value.backward()
    return sum(float(p.grad.abs().sum()) for p in model.parameters()), value.item()


def test_the_program_s_loss_teaches_nothing_where_an_image_has_one_class():
    assert gradient("official_ce", [1]) == (0, 0) == gradient("official_ce", [1, 1, 1])
    assert gradient("official_ce", [2])[0] > 1e-3 < gradient("official_ce", [1, 3])[0]
    assert gradient("bce", [1])[0] > 1e-3


def test_losses_are_those_of_pytorch():
    torch.manual_seed(0)
    out, aim = torch.randn(5, 1, 6, 7), torch.rand(5, 1, 6, 7)
    batch = {"from": torch.zeros(5, 1, 6, 7), "to": aim, "counts": torch.tensor([2, 3])}

    def loss(name):
        goal = orand.objective(lambda _: out, name)
        return float(goal.loss(*goal.prepare(batch, 0))["loss"])

    parts = [(out[:2], aim[:2]), (out[2:], aim[2:])]
    expected = [functional.cross_entropy(o.transpose(0, 1), a.transpose(0, 1)) for o, a in parts]
    assert loss("official_ce") == pytest.approx(float(sum(expected)) / 2, rel=1e-5)
    assert loss("bce") == pytest.approx(float(functional.binary_cross_entropy(out.sigmoid(), aim)), rel=1e-5)


def test_batches_hold_every_image_once_an_epoch_and_one_size_at_a_time():
    sizes = {"a": (2, 4, 4), "b": (1, 4, 4), "c": (3, 5, 4), "d": (1, 4, 4)}
    pairs = {k: np.full((2, *size), ord(k), np.float16) for k, size in sizes.items()}
    sample = orand.pair_sampler(pairs.__getitem__, list(pairs), 0, 2)
    seen = []
    for iteration in range(2):
        for batch in sample(iteration):
            assert batch["from"].shape == batch["to"].shape and int(batch["counts"].sum()) == len(batch["from"])
            seen += [chr(int(part[0, 0, 0, 0])) for part in batch["from"].split(batch["counts"].tolist())]
    assert sorted(seen) == list("abcd")
    whole = orand.pair_sampler(pairs.__getitem__, list(pairs), 0, 4)(0)
    assert sorted(len(batch["counts"]) for batch in whole) == [1, 3]
    with pytest.raises(InputError, match="no images to train on"):
        orand.pair_sampler(pairs.__getitem__, [], 0, 2)


def test_refined_maps_and_mistakes_in_options():
    model, maps = SmallFcn().eval(), np.random.default_rng(0).random((2, 9, 9)).astype(np.float32)
    for options in (orand.Options(), orand.Options(loss="official_ce"), orand.Options(output="relu")):
        found = orand.refined(model, maps, options, "cpu")
        assert found.shape == (2, 9, 9) and found.min() >= 0 and found.max() <= 1
    assert orand.refined(model, maps, orand.Options(), "cpu").max((1, 2)) == pytest.approx(1, abs=1e-3)
    assert orand.refined(model, maps[:0], orand.Options(), "cpu").shape == (0, 9, 9)
    for changes, inputs, message in (
        ({}, 3, "takes two stages, those of OR and AND, not 3"),
        ({"loss": "l1"}, 2, "no loss 'l1' of orand"),
        ({"output": "tanh"}, 2, "no output 'tanh'"),
        ({"accumulate": 2}, 2, "in one batch"),
    ):
        with pytest.raises(InputError, match=message):
            orand.check(orand.Options(**changes), inputs)


def test_the_network_learns_to_remove_what_one_map_alone_has_said():
    """OR is a disc and a thin line, AND the disc: after some steps on other discs most of the line is gone."""
    torch.set_num_threads(1)

    def scene(rng):
        rows, columns = np.indices((24, 24))
        y, x = rng.integers(6, 18, 2)
        disc = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 40)
        line = 0.9 * (np.abs(columns - rng.integers(0, 24)) < 1)
        return np.maximum(disc, line), disc

    rng = np.random.default_rng(0)
    pairs = [np.stack(scene(rng))[:, None].astype(np.float16) for _ in range(24)]
    sample = orand.pair_sampler(lambda k: pairs[int(k)], [str(k) for k in range(24)], 0, 8)
    torch.manual_seed(0)
    model = SmallFcn(8)
    goal = orand.objective(model, "bce")
    optimiser = torch.optim.AdamW(model.parameters(), 0.01)
    for iteration in range(100):
        batch, weights = goal.prepare(sample(iteration)[0], iteration)
        optimiser.zero_grad()
        goal.loss(batch, weights)["loss"].backward()
        optimiser.step()
    both, disc = scene(np.random.default_rng(99))
    found = orand.refined(model.eval(), both[None].astype(np.float32), orand.Options(), "cpu")[0]
    line = both > disc
    assert np.abs(found - disc)[line].mean() < 0.4 * np.abs(both - disc)[line].mean()
    assert found[disc > 0.9].mean() > 0.8
