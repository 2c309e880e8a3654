"""SFC: its coefficient, bank, correlation, prototypes and losses by hand; its stage killed, repeated and used."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks import artefacts  # noqa: E402
from iamiou_benchmarks.calibrated_maps import MapOptions, activation, check_maps  # noqa: E402
from iamiou_benchmarks.class_report import class_lines  # noqa: E402
from iamiou_benchmarks.distribution import (  # noqa: E402
    class_groups,
    distribution_coefficient,
    extra_samples,
    image_counts,
)
from iamiou_benchmarks.image_bank import bank_bytes, banked, make_bank  # noqa: E402
from iamiou_benchmarks.maps import load_maps  # noqa: E402
from iamiou_benchmarks.methods import sfc  # noqa: E402
from iamiou_benchmarks.networks.build import Classifier, make_backbone, seeded  # noqa: E402
from iamiou_benchmarks.networks.calibrated import Calibrated, View  # noqa: E402
from iamiou_benchmarks.pipeline import execute, run_stage  # noqa: E402
from iamiou_benchmarks.prototypes import (  # noqa: E402
    correlated,
    correlation,
    of_maximum_1,
    prototype_maps,
    seeds_of,
    with_background,
)
from iamiou_benchmarks.runfile import load_run  # noqa: E402
from iamiou_benchmarks.shared_gradients import make_shared_gradients  # noqa: E402
from tests.benchmarks.small_runs import kill_run, little  # noqa: E402

#: Images of VOC's train_aug that show each class, and what the published program makes of them (E = 396; E = 132).
VOC = {
    "aeroplane": (590, 7536, 0.8065, 0.7976),
    "bicycle": (504, 7698, 0.9025, 0.9249),
    "bird": (705, 8062, 0.7726, 0.7361),
    "boat": (468, 8032, 0.9809, 1.0230),
    "bottle": (714, 8134, 0.7732, 0.7347),
    "bus": (393, 9036, 1.2084, 1.3152),
    "car": (1150, 12784, 0.8725, 0.7620),
    "cat": (1005, 11044, 0.8318, 0.7423),
    "chair": (1228, 13956, 0.9068, 0.7842),
    "cow": (267, 11118, 1.7694, 2.1293),
    "diningtable": (613, 7582, 0.7929, 0.7777),
    "dog": (1188, 13316, 0.8870, 0.7709),
    "horse": (445, 8308, 1.0424, 1.1003),
    "motorbike": (492, 7792, 0.9259, 0.9542),
    "person": (4155, 66642, 1.5451, 1.1879),
    "pottedplant": (522, 7626, 0.8765, 0.8911),
    "sheep": (300, 10524, 1.5955, 1.8616),
    "sofa": (649, 7726, 0.7801, 0.7560),
    "train": (503, 7704, 0.9042, 0.9271),
    "tvmonitor": (567, 7536, 0.8257, 0.8239),
}
#: Changes that make the stage little, beside those of LITTLE.
FEW = (
    "sfc.inputs=[]",
    "sfc.frozen_norm=false",
    "sfc.iterations=6",
    "sfc.batch=4",
    "sfc.crop=32",
    "sfc.keep=2",
    "sfc.scales=[1.0]",
    "sfc.sides=[4, 4]",
    "sfc.gradients=true",
)


def small(cache, *changes, name="shapes-tiny-sfc-ce", seed=0):
    """Plan a little run of SFC."""
    return little(cache, *FEW, *changes, name=name, seed=seed)


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


# The distribution coefficient


def test_coefficient_of_voc_is_the_published_one_from_its_counts():
    counts, gaps, published, once = (np.array(column) for column in zip(*VOC.values(), strict=True))
    assert [sum(abs(n - m) for m in counts) for n in counts] == gaps.tolist()
    found = distribution_coefficient(counts, 396)
    assert np.round(found, 4).tolist() == published.tolist()
    assert np.round(distribution_coefficient(counts, 132), 4).tolist() == once.tolist()
    assert found.mean() == pytest.approx(1, abs=1e-12)
    assert extra_samples(10582, 16, 4, 20, 3) == pytest.approx(396, abs=1)


def test_coefficient_of_balanced_classes_is_1_and_of_unseen_ones_0():
    assert distribution_coefficient([7, 7, 7], 0).tolist() == [1, 1, 1]
    found = distribution_coefficient([30, 0, 10], 0)
    assert found[1] == 0 and found[[0, 2]].mean() == pytest.approx(1)


@pytest.mark.parametrize("classes", [3, 4, 5, 6, 20, 80])
def test_groups_are_as_equal_as_can_be_and_in_the_order_of_counts(classes):
    counts = np.random.default_rng(classes).permutation(classes * 10)[:classes]
    groups = np.array(class_groups(counts))
    sizes = [(groups == name).sum() for name in ("Many", "Medium", "Few")]
    assert sum(sizes) == classes and max(sizes) - min(sizes) <= 1
    assert counts[groups == "Many"].min() > counts[groups == "Medium"].max() > counts[groups == "Few"].max()


# The image bank


def batch_of(classes, at, crop=4):
    """Images that are full of their number, from `at` on."""
    numbers = torch.arange(at, at + len(classes), dtype=torch.float32)
    return {
        "image": numbers[:, None, None, None].expand(-1, 3, crop, crop).clone(),
        "label": numbers.to(torch.uint8)[:, None, None].expand(-1, crop, crop).clone(),
        "classes": torch.tensor(classes, dtype=torch.float32),
    }


def test_bank_holds_the_latest_images_of_every_class_and_no_more_memory():
    bank = make_bank(3, 2, 4, "cpu", 1.0)
    assert bank.nbytes == bank_bytes(3, 2, 4) == sum(t.nbytes for t in bank.state.values())
    bank.add(batch_of([[1, 0, 0], [1, 1, 0]], 1), 0)
    bank.add(batch_of([[1, 0, 0]], 3), 1)
    assert bank.image[:, :, 0, 0, 0].tolist() == [[3, 2], [2, 0], [0, 0]]
    assert bank.when.tolist() == [[1, 0], [0, -1], [-1, -1]]
    assert bank.classes[1, 0].tolist() == [1, 1, 0]
    assert bank.age(4) == pytest.approx((3 + 4 + 4) / 3)
    assert bank.nbytes == bank_bytes(3, 2, 4)
    with pytest.raises(InputError, match=r"takes 0.25 GiB, more than bank_limit = 0.1; lower slots or crop"):
        make_bank(80, 1, 512, "cpu", 0.1)


def test_drawn_images_show_the_class_they_are_drawn_for_equally_often():
    """661 steps of 4 draws from 20 classes show each class 132.2 times."""
    classes, steps, draws = 20, 661, 4
    bank = make_bank(classes, 1, 1, "cpu", 1.0)
    bank.add(batch_of(np.eye(classes).tolist(), 0, crop=1), 0)  # one pass over images of one class each
    assert all(bank.classes[c, 0, c] == 1 for c in range(classes))
    total = np.zeros(classes)
    for step in range(steps):
        drawn = bank.draw(np.random.default_rng([0, 3, step]), draws)
        assert torch.equal(drawn["classes"].argmax(1).float(), drawn["image"][:, 0, 0, 0])
        total += drawn["classes"].sum(0).numpy()
    assert total.mean() == pytest.approx(132.2)
    spread = np.sqrt(steps * draws / classes * (1 - 1 / classes))
    assert abs(total - 132.2).max() < 4 * spread


@pytest.mark.parametrize("parts", [1, 2])
def test_batches_get_their_draws_from_seed_and_iteration_alone(parts):
    def sample(iteration):
        first = 8 * iteration
        one = batch_of([[1, 0], [0, 1], [1, 1], [0, 1]], first)
        return [{k: v[p::parts] for k, v in one.items()} for p in range(parts)]

    def drawn(seed):
        get = banked(sample, make_bank(2, 1, 4, "cpu", 1.0), 4, seed)
        return [[b["image"][:, 0, 0, 0] for b in get(k)] for k in range(5)]

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert [len(b) for b in first[0]] == [8 // parts] * parts
    assert all(torch.equal(a, b) for x, y in zip(first, again, strict=True) for a, b in zip(x, y, strict=True))
    assert any(not torch.equal(a, b) for x, y in zip(first, other, strict=True) for a, b in zip(x, y, strict=True))
    # The bank holds the last images of the whole batch, whichever micro-batch they came in.
    assert set(torch.cat([b[4 // parts :] for b in first[3]]).tolist()) <= {24 + 2, 24 + 3}


# Maps


def test_correlation_is_what_a_slow_loop_finds():
    features = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
    maps = random(2, 3, 3, 4)
    found = correlated(maps, features, 2)
    for n in range(2):
        f = features[n].flatten(1).double().numpy()
        f = f / np.linalg.norm(f, axis=0)
        alike = np.array([[max(0.0, float(f[:, i] @ f[:, j])) for j in range(12)] for i in range(12)])
        for j in range(12):
            alike[:, j] /= alike[:, j].sum()
        once = np.array([[sum(m[i] * alike[i, j] for i in range(12)) for j in range(12)] for m in maps[n].flatten(1)])
        twice = once @ alike
        assert found[n].flatten(1).numpy() == pytest.approx(twice, abs=2e-5)
    assert correlated(maps, features, 0) is maps


def test_correlation_keeps_constant_maps():
    features = torch.randn(2, 4, 5, 3, generator=torch.Generator().manual_seed(1))
    alike = correlation(features)
    assert alike.min() >= 0 and alike.sum(1) == pytest.approx(np.ones((2, 15)), abs=1e-5)
    maps = torch.tensor([0.2, 0.7])[None, :, None, None].expand(2, 2, 5, 3)
    assert correlated(maps, features, 2) == pytest.approx(maps.numpy(), abs=1e-6)
    assert not correlation(torch.zeros(1, 4, 2, 2)).isnan().any()


def test_background_is_what_no_class_takes():
    raw = torch.tensor([[[[4.0, -1.0, 2.0]], [[-3.0, 0.0, -1.0]]]])
    found = with_background(raw)
    assert found[0, :, 0].numpy() == pytest.approx(np.array([[0, 1, 0.5], [1, 0, 0.5], [0, 0, 0]]), abs=1e-4)


def test_seeds_are_the_best_class_with_the_background_scaled_down():
    maps = torch.tensor([[[[0.9, 0.9, 0.9]], [[0.3, 0.2, 0.5]], [[0.1, 0.1, 0.8]]]])
    mask = torch.tensor([1.0, 1.0, 0.0])[:, None, None]
    assert seeds_of(maps, mask, 0.3)[0, :, 0].tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert seeds_of(maps, mask, 1.0)[0, 0, 0].tolist() == [1, 1, 1]


def test_prototype_maps_do_not_care_for_the_length_of_a_prototype_and_are_0_without_seeds():
    features = torch.randn(2, 6, 4, 5, generator=torch.Generator().manual_seed(2))
    seeds = (random(2, 3, 4, 5) > 0.5).float()
    seeds[:, 2] = 0
    found = prototype_maps(features, seeds)
    assert found == pytest.approx(prototype_maps(features, seeds * 37).numpy(), abs=1e-6)
    assert not found[:, 2].any() and not found.isnan().any()
    assert of_maximum_1(found)[:, 2].abs().max() == 0
    p = (seeds[1, 0] * features[1]).sum((1, 2))
    cosine = (features[1] * p[:, None, None]).sum(0) / (features[1].norm(dim=0) * p.norm())
    assert found[1, 0] == pytest.approx(cosine.clamp_min(0).numpy(), abs=1e-5)
    assert found.min() >= 0 and found.max() <= 1 + 1e-6


# Losses


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


def network(name="small-cnn", sides=(4, 6)):
    seeded(0)
    return Calibrated(Classifier(make_backbone(name), 3), sides)


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


# Inference


def looked(raw, hierarchical):
    """A network that says the same of every image; all pixels are alike only to themselves."""

    def look(images):
        n, (_, h, w) = len(images), raw.shape
        return View(raw.expand(n, -1, -1, -1), hierarchical.expand(n, -1, -1, -1), torch.zeros(n, 1, h, w), raw)

    return look


def test_inference_is_the_example_worked_out_by_hand():
    """Symmetric maps, so that the mirror image says the same; class 2 is not shown but takes from the background."""
    raw = torch.tensor([[[1.0, 4.0, 1.0]], [[2.0, 0.0, 2.0]]]) * 1e4  # so large that 1e-5 beside it is nothing
    hierarchical = torch.tensor([[[0.0, 1.0, 0.0]], [[1.0, 0.0, 1.0]]])
    options = MapOptions(scales=(1.0,), map_stride=1, correlations=0, seed_background=0.3)
    image = np.zeros((1, 3, 3), np.uint8)
    # M_W: class 1 0.25 1 0.25, class 2 1 0 1, background 0 0 0. Seeds: the middle is class 1, the rest class 2, which
    # is masked away. M_P of class 1: 0 1 0, of the background 0. Classes 2 (0.25 1 0.25) + 2 (0 1 0), ground 0.4 + 0.4.
    strided, full = activation(looked(raw, hierarchical), image, np.array([0]), options)
    assert full[0, 0] == pytest.approx([0.5 / 1.3, 4 / 4.8, 0.5 / 1.3], abs=1e-4)
    assert strided[0, 0] == pytest.approx([0.125, 1, 0.125], abs=1e-4)
    for mix, value in (((1.0, 0.0), 0.5 / 0.9), ((0.0, 1.0), 0.0), ((1.0, 0.3), 0.5 / 1.02)):
        changed = MapOptions(**{**vars(options), "mix": mix})
        assert activation(looked(raw, hierarchical), image, np.array([0]), changed)[1][0, 0, 0] == pytest.approx(
            value, abs=1e-4
        )
    shown = MapOptions(**{**vars(options), "shown_only": True, "mix": (1.0, 0.0)})
    # The background is now 1 - 0.25 at the ends, of maximum 1: 0.5 / (0.5 + 1 + 0.4)
    assert activation(looked(raw, hierarchical), image, np.array([0]), shown)[1][0, 0, 0] == pytest.approx(
        0.5 / 1.9, abs=1e-4
    )
    constant = MapOptions(**{**vars(options), "decide": "constant"})
    assert activation(looked(raw, hierarchical), image, np.array([0]), constant)[1] == pytest.approx(strided)


def test_mirror_images_are_added_before_or_after_the_relu():
    calls = torch.tensor([[[[3.0, 1.0]]], [[[-2.0, 1.0]]]])

    def look(images):
        flat = torch.zeros(2, 1, 1, 2)
        return View(calls, flat + 1, flat, flat)

    def first(sum_first):
        options = MapOptions(
            scales=(1.0,), map_stride=1, correlations=0, mix=(1.0, 0.0), decide="constant", sum_first=sum_first
        )
        return activation(look, np.zeros((1, 2, 3), np.uint8), np.array([0]), options)[1][0, 0]

    # 3 1 and 1 -2 (mirrored): 4 -1 before the ReLU, 4 1 after it
    assert first(True) == pytest.approx([1, 0], abs=1e-4) and first(False) == pytest.approx([1, 0.25], abs=1e-4)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (37, 23), (64, 17)])
@pytest.mark.parametrize("shown", [[0, 2], []])
def test_sizes_of_odd_images_and_images_without_a_class(height, width, shown):
    model = network().eval()
    for changes in ({}, {"shown_only": True}, {"decide": "constant"}):
        options = MapOptions(scales=(1.0, 0.5), **changes)
        strided, full = activation(model, np.zeros((height, width, 3), np.uint8), np.array(shown, np.int64), options)
        assert strided.shape == (len(shown), (height - 1) // 4 + 1, (width - 1) // 4 + 1)
        assert full.shape == (len(shown), height, width) and not np.isnan(full).any()
        assert not len(shown) or (full.min() >= 0 and full.max() <= 1)
    check_maps(options)


# The stage


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a finished little run: its folder, its cache and its result."""
    root = tmp_path_factory.mktemp("sfc")
    return root / "out", root / "cache", execute(small(root / "cache"), root / "out")


def record(result, name="sfc"):
    return next(s for s in result["stages"] if s["name"] == name)


def test_the_stage_is_scored_as_classifier_and_cam_are(finished):
    out, cache, result = finished
    scores = record(result)["scores"]
    assert set(scores) == {"dev", "test", "train", "train oracle"}
    assert 0 < scores["dev"]["mAP"] <= 1 and 0 <= scores["test"]["mAP"] <= 1
    assert scores["train oracle"]["mIoU"] >= scores["train"]["mIoU"] and "IA_S" in scores["train"]
    assert scores["train"]["bank_bytes"] == bank_bytes(4, 1, 32)
    assert record(result, "predict")["scores"]["test"]["mIoU"] is not None
    assert any("sfc: the threshold" in note and "dev" in note for note in result["claims_used"])
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    (last,) = [line for line in lines if line["stage"] == "sfc" and "L_P" in line]
    assert last["bank_bytes"] == bank_bytes(4, 1, 32) and last["bank_age"] >= 0
    assert {"L_cls", "L_W", "push_many", "push_few", "up_many", "up_few"} <= set(last)
    assert last["loss"] == pytest.approx(last["L_cls"] + last["L_P"] + last["L_W"], rel=1e-5)
    folder = small(cache).folder(small(cache).run.stage("sfc"))
    kept = artefacts.load(folder / "distribution.npz", "distribution")
    assert kept["images"].tolist() == image_counts(small(cache).data).tolist()
    assert kept["weights"].mean() == pytest.approx(1)


def test_a_run_that_is_killed_goes_on_to_the_same_bytes(finished, tmp_path):
    for at in (5, 7):  # in training, then among the maps
        kill_run(tmp_path, "sfc", at, *FEW, name="shapes-tiny-sfc-ce")
    part = next((tmp_path / "cache").glob(".sfc-*.part"))
    assert (part / "weights.npz").exists() and (part / "maps").is_dir()
    result = execute(small(tmp_path / "cache"), tmp_path / "out", resume=True)
    assert record(result)["digest"] == record(finished[2])["digest"]
    assert (tmp_path / "out" / "metrics.jsonl").read_text() == (finished[0] / "metrics.jsonl").read_text()


def test_two_runs_with_one_seed_give_the_same_bytes_and_another_seed_others(finished, tmp_path):
    plans = [small(tmp_path, seed=seed) for seed in (0, 1)]
    found = [artefacts.folder_digest(run_stage(p, p.run.stage("sfc"))) for p in plans]
    assert found[0] == record(finished[2])["digest"] != found[1]


def test_with_everything_left_out_it_learns_what_the_classifier_learns(finished):
    off = ["draws=0", "weight_p=0.0", "weight_w=0.0", "small=0.0", "gradients=false", "lr=0.003", "warmup=20"]
    plan = small(finished[1], *(f"sfc.{change}" for change in off))
    options = vars(plan.run.stage("sfc").options), vars(plan.run.stage("classifier").options)
    assert all(options[0][k] == v for k, v in options[1].items())
    folder = run_stage(plan, plan.run.stage("sfc"))
    expected = plan.folder(plan.run.stage("classifier"))
    assert (folder / "weights.npz").read_bytes() == (expected / "weights.npz").read_bytes()


def test_it_may_begin_with_a_classifier_and_leave_the_statistics_of_batch_norm_alone(finished):
    changes = ["sfc.inputs=['classifier']", "sfc.frozen_norm=true", "sfc.iterations=2"]
    plan = small(finished[1], *changes)
    weights = artefacts.load(run_stage(plan, plan.run.stage("sfc")) / "weights.npz", "classifier")
    begun = artefacts.load(plan.folder(plan.run.stage("classifier")) / "weights.npz", "classifier")
    means = [name for name in begun if "running" in name]
    assert means and all((weights[name] == begun[name]).all() for name in means)
    assert 0 < abs(weights["classifier.weight"] - begun["classifier.weight"]).max() < 0.02
    with pytest.raises(InputError, match="are of another network"):
        plan = small(finished[1], *changes, "sfc.network=small-vit", "sfc.sides=[4]")
        run_stage(plan, plan.run.stage("sfc"))


def test_memory_in_slots_lives_in_the_checkpoint(tmp_path):
    plan = small(tmp_path, "sfc.slots=2", "sfc.accumulate=2", "sfc.bank=device")
    folder = run_stage(plan, plan.run.stage("sfc"))
    assert json.loads((folder / "stage.json").read_text())["scores"]["train"]["bank_bytes"] == bank_bytes(4, 2, 32)


def test_it_feeds_whatever_cam_and_classifier_feed(finished, tmp_path):
    cache = finished[1]
    irn = ["irn.iterations=2", "irn.batch=4", "irn.crop=32", "irn.exponent=2"]
    changes = {
        "shapes-tiny-walk-ce": ["walk.inputs=['sfc']"],
        "shapes-tiny-irn-sb": ["irn.inputs=['sfc', 'classifier']", *irn],
    }
    for name, more in changes.items():
        path = tmp_path / f"{name}.toml"
        table = "\n".join(change.removeprefix("sfc.") for change in FEW)
        path.write_text(
            f'like = "{name}"\n[stages.sfc]\n{table}\n'
            '[stages.also]\nmethod = "cam"\ninputs = ["sfc"]\nscales = [1.0]\n',
            encoding="utf-8",
        )
        plan = little(cache, *more, "segment.inputs=['pseudo', 'sfc']", name=str(path))
        result = execute(plan, tmp_path / name)
        assert record(result, "predict")["scores"]["test"]["mIoU"] is not None
        assert set(record(result, "also")["scores"]) == {"train", "train oracle"}


def test_other_mixes_need_no_other_training(finished, tmp_path):
    cache = finished[1]
    maps = {}
    for mix in ("[1.0, 1.0]", "[0.0, 1.0]"):
        path = tmp_path / "mix.toml"
        stage = f'[stages.other]\nmethod = "sfc-cam"\nscales = [1.0]\nmap_stride = 2\ncorrelations = 1\nmix = {mix}\n'
        path.write_text(f'like = "shapes-tiny-sfc-ce"\n{stage}', encoding="utf-8")
        plan = small(cache, name=str(path))
        folder = run_stage(plan, plan.run.stage("other"))
        maps[mix] = load_maps(folder / "maps" / "train_00000.npz").full
    own = load_maps(plan.folder(plan.run.stage("sfc")) / "maps" / "train_00000.npz").full
    assert (maps["[1.0, 1.0]"] == own).all() and (maps["[0.0, 1.0]"] != own).any()


# What is measured and reported


def test_pushes_on_shared_features_are_the_example_worked_out_by_hand():
    shared = make_shared_gradients(("Many", "Medium", "Few"), 3, "cpu")
    shared.watch(torch.tensor([[2.0, 0.0, 4.0], [1.0, 3.0, -1.0]]), torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    assert shared.shares().tolist() == [1, 0, 0]  # the only channel that is active in both
    gradient = torch.tensor([[-0.5, 9.0, 9.0], [7.0, 7.0, 7.0], [0.25, -9.0, -9.0]])
    found = shared.measure(gradient)
    assert found == {"push_many": 0.5, "push_few": -0.25, "up_many": 1, "up_few": 0}
    assert shared.measure(-gradient) == {"push_many": 0, "push_few": 0, "up_many": 0.5, "up_few": 0.5}
    shared.watch(torch.tensor([[4.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]]))
    assert shared.active[0].tolist() == pytest.approx([2.2, 0, 3.6])


def test_classes_are_reported_by_how_many_images_show_them(finished, tmp_path, capsys):
    from iamiou.report import load
    from tests.command import good, refused

    out, cache, result = finished
    classes = result["classes"]
    assert classes["images"] == dict(
        zip(("disk", "eye", "box", "crate"), image_counts(small(cache).data).tolist(), strict=True)
    )
    plan = small(cache)
    found = load(plan.folder(plan.run.stage("sfc")) / "scores-train.npz").class_scores.iou
    assert list(classes["IoU"]["sfc"]["train"].values()) == pytest.approx(
        [None if np.isnan(v) else round(float(v), 6) for v in found]
    )
    for group in ("Many", "Medium", "Few"):
        members = [classes["IoU"]["sfc"]["train"][c] for c, g in classes["group"].items() if g == group]
        known = [v for v in members if v is not None]
        expected = np.mean(known) if known else None
        assert classes["means"]["sfc"]["train"][f"IoU_{group}"] == pytest.approx(expected, abs=1e-6)
    drawn = result["replicates"]["sfc"]["train"]
    assert set(drawn) == {"mIoU", "IoU_Many", "IoU_Medium", "IoU_Few"}
    text = good(capsys, "bench", "classes", out)
    assert "| disk |" in text and "sfc, train" in text and "| mean |" in text
    assert len(class_lines([result, result])) == 1 + 5 + 3
    (tmp_path / "old.json").write_text(
        json.dumps({k: v for k, v in result.items() if k != "classes"}), encoding="utf-8"
    )
    assert "hold no scores by class" in refused(capsys, "bench", "classes", tmp_path / "old.json")
    assert "cannot be read as a result" in refused(capsys, "bench", "classes", tmp_path / "none.json")


def test_verdicts_can_be_about_rare_classes(finished):
    from iamiou_benchmarks.verdicts import Claim, verdicts_of

    results = [{**finished[2], "run": "x-sfc-ce"}]
    claim = Claim("rare classes gain", "sfc-ce", "sfc-ce", "IoU_Medium", ("sfc", "cam"), "train")
    (verdict,) = verdicts_of(results, "x", [claim])
    means = finished[2]["classes"]["means"]
    expected = means["sfc"]["train"]["IoU_Medium"] - means["cam"]["train"]["IoU_Medium"]
    assert verdict.seeds == (0,) and verdict.difference == pytest.approx(expected)


def test_runs_of_one_table_share_the_stage_and_differ_by_what_their_names_say():
    main = load_run("shapes-small-sfc-ce").stage("sfc").options
    for name in ("sw", "sb", "maps"):
        assert load_run(f"shapes-small-sfc-{name}").stage("sfc").options == main
    classifier = load_run("shapes-small-cam-ce").stage("classifier")
    assert load_run("shapes-small-sfc-maps").stage("classifier") == classifier
    scratch = vars(load_run("shapes-small-sfc-scratch").stage("sfc").options)
    assert all(scratch[k] == v for k, v in vars(classifier.options).items())
    changed = {
        "nolp": {"weight_p"},
        "nolw": {"weight_w"},
        "nodc": {"weighted"},
        "nobank": {"draws"},
        "onlybank": {"weight_p", "weight_w", "small", "correlations"},  # nothing would train the correlation
        "plain": {"weight_p", "weight_w", "small", "correlations", "draws"},
    }
    for name, names in changed.items():
        options = vars(load_run(f"shapes-small-sfc-{name}").stage("sfc").options)
        assert {k for k, v in vars(main).items() if options[k] != v} == names
