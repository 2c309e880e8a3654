"""Scale scheduling: what becomes of small components, and which batch comes when."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from iamiou.errors import InputError
from iamiou_benchmarks.methods import segment
from iamiou_benchmarks.running.pipeline import run_stage
from iamiou_benchmarks.stage import artefacts
from iamiou_benchmarks.training.batches import Cut
from iamiou_benchmarks.training.phases import check_phases, phased, resized_smoothly, scaled_cut, scaled_mask
from tests.benchmarks.small_runs import little

FOUR = ((0.25, 0.25), (0.5, 0.25), (0.75, 0.25), (1.0, 0.25))


def slow_majority(label, scale):
    """Sixty samples a new pixel and side stand for its ground."""
    height, width = (max(1, round(n * scale)) for n in label.shape)
    out = np.zeros((height, width), np.uint8)
    points = (np.arange(60) + 0.5) / 60
    for y in range(height):
        for x in range(width):
            rows = ((y + points) * label.shape[0] / height).astype(int)
            columns = ((x + points) * label.shape[1] / width).astype(int)
            out[y, x] = np.bincount(label[np.ix_(rows, columns)].ravel()).argmax()
    return out


@pytest.mark.parametrize(
    ("shape", "scale"), [((12, 8), 0.25), ((12, 9), 0.5), ((16, 8), 0.75), ((5, 6), 0.5), ((1, 3), 0.25)]
)
def test_majority_is_what_most_of_the_ground_says(shape, scale):
    label = np.random.default_rng(1).choice(np.array([0, 1, 7, 255], np.uint8), shape)
    assert scaled_mask(label, scale).tolist() == slow_majority(label, scale).tolist()


@pytest.mark.parametrize("scale", [0.25, 0.5, 0.75])
def test_components_below_half_a_pixel_of_the_phase_vanish_and_nearest_keeps_some(scale):
    rng, most, survived = np.random.default_rng(2), 1 / scale**2 / 2, 0
    for _ in range(60):
        label = np.zeros((24, 24), np.uint8)
        y, x = rng.integers(2, 20, 2)
        for _ in range(int(np.ceil(most)) - 1):  # a walk is connected
            label[y, x] = 9
            step = rng.integers(-1, 2)
            y, x = (min(y + step, 22), x) if rng.random() < 0.5 else (y, min(x + step, 22))
        assert (label > 0).sum() < most
        assert not scaled_mask(label, scale).any()
        survived += scaled_mask(label, scale, "nearest").any()
    assert (survived > 0) == (most > 1)


def test_void_stays_void_and_two_maps_are_scaled_one_by_one():
    label = np.full((8, 8), 255, np.uint8)
    label[:4] = 3
    both = np.stack([label, label.T], 2)
    found = scaled_mask(both, 0.25)
    assert found[..., 0].tolist() == [[3, 3], [255, 255]] and found[..., 1].tolist() == [[3, 255], [3, 255]]


def test_images_are_averaged_before_they_become_smaller():
    board = np.indices((32, 32)).sum(0) % 2 * 255
    image = np.repeat(board[..., None], 3, 2).astype(np.uint8)
    assert np.abs(resized_smoothly(image, 8, 8).astype(int) - 127).max() <= 8
    assert resized_smoothly(image, 32, 32) is image


def test_crops_and_long_sides_are_scaled():
    assert scaled_cut(Cut(512, 320.0, 640.0), 0.5) == Cut(256, 160.0, 320.0)
    assert scaled_cut(Cut(3, 0.5, 1.5), 0.1) == Cut(1, 0.5, 1.5)


def test_every_iteration_belongs_to_one_phase_in_turn():
    made = []

    def make(scale):
        made.append(scale)
        return lambda iteration: [(scale, iteration)]

    sample = phased(make, FOUR, 10)
    found = [sample(k)[0] for k in range(12)]
    assert [s for s, _ in found] == [0.25] * 2 + [0.5] * 3 + [0.75] * 3 + [1.0] * 4
    assert [k for _, k in found] == list(range(12)) and made == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    ("phases", "masks", "message"),
    [
        (((0.5, 0.5),), "majority", "add up to 0.5"),
        (((0.5,),), "majority", "pair of a scale"),
        (((2.0, 1.0),), "majority", "at most 1"),
        ((), "mode", "cannot be made by 'mode'"),
    ],
)
def test_phases_that_are_none(phases, masks, message):
    with pytest.raises(InputError, match=message):
        check_phases(phases, masks)


@pytest.mark.parametrize("loss", ["CE", "L_sb"])
def test_training_in_phases(tmp_path, loss):
    """One phase at full size is no phase, the batches of a phase have its size, and four phases run through."""
    changes = ["pseudo.method=truth", "pseudo.inputs=[]", "segment.network=small-cnn", "segment.inputs=['pseudo']"]
    changes += [f"segment.loss={loss}", "segment.crop=16", "segment.fisher=empirical", "segment.sizes=truth"]
    weights = []
    for phases in ([], [[1.0, 1.0]], [list(p) for p in FOUR]):
        plan = little(tmp_path, *changes, f"segment.phases={phases}")
        run_stage(plan, plan.run.stage("pseudo"))
        folder = run_stage(plan, plan.run.stage("segment"))
        weights.append(artefacts.load(folder / "weights.npz", "segmentation"))
    assert all((weights[0][k] == weights[1][k]).all() for k in weights[0])
    assert any((weights[0][k] != weights[2][k]).any() for k in weights[0])


def test_batches_of_a_phase_have_its_size(tmp_path):
    from iamiou_benchmarks.stage.work import Log, Work

    plan = little(tmp_path, "pseudo.method=truth", "pseudo.inputs=[]")
    folder = run_stage(plan, plan.run.stage("pseudo"))
    work = Work(plan.data, {"pseudo": folder}, tmp_path, 0, "cpu", Log(tmp_path / "log", "segment"))
    sample = segment.make_sample(work, segment.Options(iterations=8, batch=2, crop=32, phases=FOUR))
    assert [tuple(sample(k)[0]["image"].shape) for k in range(8)] == [
        (2, 3, n, n) for n in (8, 8, 16, 16, 24, 24, 32, 32)
    ]
    assert tuple(sample(0)[0]["label"].shape) == (2, 8, 8)
