"""CAM, seeds, IRN's labels, thresholds and precision: by hand."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.cams.maps import ClassMaps, best_class, load_maps  # noqa: E402
from iamiou_benchmarks.methods import irn, predict, segment  # noqa: E402
from iamiou_benchmarks.methods.cam import activation  # noqa: E402
from iamiou_benchmarks.methods.irn import confident  # noqa: E402
from iamiou_benchmarks.stage.scoring import THRESHOLDS, best_threshold, label_map, score_maps  # noqa: E402
from tests.benchmarks.small_runs import little  # noqa: E402


def test_activation_is_the_example_worked_out_by_hand():
    """Two classes, one scale, stride 1: ReLU, then the mirror image's maps mirrored back, then the maximum."""
    maps = torch.tensor(
        [
            [[[1.0, -2.0, 3.0]], [[5.0, 5.0, 5.0]]],  # of the image: class 0 and class 1
            [[[4.0, 1.0, -1.0]], [[5.0, 5.0, 5.0]]],  # of its mirror image
        ]
    )
    image = np.zeros((1, 3, 3), np.uint8)
    strided, full = activation(lambda _: maps, image, np.array([0]), [1.0], 1)
    # ReLU: 1 0 3 and 4 1 0, mirrored 0 1 4; sum 1 1 7.
    assert full == pytest.approx(np.array([[[1, 1, 7]]]) / 7, abs=1e-5)
    assert strided == pytest.approx(full)


def test_scales_are_summed_after_their_own_relu():
    calls = []

    def raw(images):
        calls.append(tuple(images.shape))
        return torch.full((2, 1, 1, 1), 1.0 if len(calls) == 1 else -5.0)

    _, full = activation(raw, np.zeros((8, 12, 3), np.uint8), np.array([0]), [1.0, 0.5], 4)
    assert calls == [(2, 3, 8, 12), (2, 3, 4, 6)]
    assert full == pytest.approx(1.0, abs=1e-4)  # the second scale is all negative and adds nothing


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (37, 23), (64, 17)])
def test_sizes_of_odd_images(height, width):
    def raw(images):
        return torch.rand(2, 3, -(-images.shape[2] // 8), -(-images.shape[3] // 8))

    strided, full = activation(raw, np.zeros((height, width, 3), np.uint8), np.array([0, 2]), [1.0, 0.5], 4)
    assert strided.shape == (2, (height - 1) // 4 + 1, (width - 1) // 4 + 1)
    assert full.shape == (2, height, width) and full.max() <= 1


def test_maps_come_back_from_disk_and_an_image_without_class_is_background(tmp_path):
    maps = ClassMaps(np.array([3]), np.ones((1, 2, 2), np.float32), np.full((1, 4, 4), 0.5, np.float32), 0.3)
    maps.save(tmp_path / "a.npz")
    again = load_maps(tmp_path / "a.npz")
    assert (again.fg_ids.tolist(), again.threshold, again.full.tolist()) == ([3], 0.3, maps.full.tolist())
    empty = ClassMaps(np.zeros(0, np.int64), np.zeros((0, 2, 2), np.float32), np.zeros((0, 4, 4), np.float32), 0.3)
    label, score = best_class(empty)
    assert label.shape == (4, 4) and not label.any() and not score.any()
    assert not label_map(empty.fg_ids, empty.full, 0.0).any()


@pytest.mark.parametrize(("sure", "perhaps", "expected"), [(4, 4, 4), (4, 0, 4), (4, 9, 4), (0, 0, 0), (0, 9, 255)])
def test_confident_labels(sure, perhaps, expected):
    assert confident(np.array([[sure]]), np.array([[perhaps]])).tolist() == [[expected]]


def test_refined_maps_have_one_maximum_over_all_classes():
    full = np.random.default_rng(0).random((2, 16, 16)).astype(np.float32)
    full[1] *= 0.5
    maps = ClassMaps(np.array([0, 1]), full[:, ::4, ::4], full, 0.3)
    found = irn.refined(maps, torch.zeros(4, 4), (16, 16), irn.Options(exponent=1))
    assert found.full.max() == pytest.approx(1) and found.full[1].max() < 0.9


def test_irn_loss_is_the_mean_over_the_pairs_of_the_batch_however_it_is_parted():
    class Fixed(torch.nn.Module):
        strides = (1,)

    model = torch.nn.Module()
    model.backbone = Fixed()
    scores = torch.randn(4, 6, 6, generator=torch.Generator().manual_seed(0))
    model.forward = lambda images: scores[images[:, 0, 0, 0].long()]
    labels = torch.from_numpy(np.random.default_rng(0).choice([0, 1, 2, 255], (4, 6, 6)).astype(np.uint8))
    batch = {"image": torch.arange(4.0).view(4, 1, 1, 1), "label": labels}
    goal = irn.objective(model, 3)

    def total(parts):
        ready = [goal.prepare({k: v[p] for k, v in batch.items()}, 0) for p in parts]
        counts = torch.stack([c for _, c in ready]).sum(0)
        return sum(float(goal.loss(b, counts)["loss"]) for b, _ in ready)

    assert total([slice(0, 1), slice(1, 4)]) == pytest.approx(total([slice(0, 4)]), rel=1e-6)


def test_the_sweep_finds_what_scoring_every_threshold_finds(tmp_path):
    from iamiou.masks import write_label_map

    data = little(tmp_path / "cache").data
    rng = np.random.default_rng(0)
    truths = {i: data.truth.load(i)[0].astype(np.int64) for i in data.splits["train"]}
    scores = {i: (rng.random((32, 32)) + (t > 0)).astype(np.float32) / 2 for i, t in truths.items()}
    labels = {i: np.maximum(np.where(rng.random((32, 32)) < 0.7, t, 1), 1) for i, t in truths.items()}
    best, curve = best_threshold(data, "train", lambda i: (labels[i], scores[i]))
    assert len(curve) == len(THRESHOLDS) and max(curve, key=curve.get) == f"{best:.2f}"
    assert best > 0
    for threshold in {0.0, 0.37, best}:
        folder = tmp_path / f"{threshold}"
        folder.mkdir()
        for i, score in scores.items():
            label = np.where(score > np.float32(threshold), labels[i], 0)
            write_label_map(folder / f"{i}.png", label.astype(np.uint8))
        assert score_maps(data, "train", folder)["mIoU"] == pytest.approx(curve[f"{threshold:.2f}"], abs=1e-6)


def test_options_of_segmentation_that_contradict_each_other():
    for changes, message in (
        ({"loss": "L_sp"}, "no loss 'L_sp'"),
        ({"fisher": "full"}, "no Fisher diagonal 'full'"),
        ({"loss": "L_sb", "switch": 0.0}, "switch between 0 and 1"),
        ({"loss": "L_sb", "lambda_": 500.0, "lr": 0.05}, "has to be below"),
    ):
        with pytest.raises(InputError, match=message):
            segment.check(segment.Options(**changes))


@pytest.mark.parametrize("fisher", ["decay", "empirical"])
def test_ewc_is_in_the_loss_of_training_and_grows_from_0(tmp_path, fisher):
    import json

    from iamiou_benchmarks.running.pipeline import run_stage

    changes = ["pseudo.method=truth", "pseudo.inputs=[]", "segment.network=small-cnn", "segment.inputs=['pseudo']"]
    changes += [f"segment.fisher={fisher}", "segment.fisher_images=5", "segment.iterations=20", "segment.keep=50"]
    plan = little(tmp_path, *changes)
    for name in ("pseudo", "segment"):
        folder = run_stage(plan, plan.run.stage(name))
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert ["penalty" in line for line in lines] == [False, True]
    assert lines[1]["penalty"] > 0


def test_labels_are_shrunk_to_the_nearest_pixel_and_probabilities_sum_to_1():
    labels = torch.arange(35).view(1, 5, 7)
    assert segment.shrunk(labels, 4).tolist() == [[[16, 20], [30, 34]]]
    assert segment.shrunk(labels, 1).equal(labels)

    def model(x):
        return torch.randn(1, 3, -(-x.shape[2] // 4), -(-x.shape[3] // 4))

    options = predict.Options(scales=(0.5, 1.0), flip=True)
    found = predict.probabilities(model, np.zeros((1, 9, 3), np.uint8), options, "cpu")
    assert found.shape == (3, 1, 9) and found.sum(0) == pytest.approx(1, abs=1e-5)
