"""L_sw: the weights against a slow oracle, and the properties that the paper gives it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ndimage = pytest.importorskip("scipy.ndimage")
from torch.nn import functional  # noqa: E402

from iamiou_benchmarks.training.size_weights import filled_areas, size_weights, weighted_cross_entropy, weights_of  # noqa: E402


def slow_weights(labels, tau):
    """One image, one component after the other, with SciPy."""
    weight = np.where(labels == 255, 0.0, 1.0)
    foreground = ((labels > 0) & (labels < 255)).sum()
    for c in set(labels.ravel().tolist()) - {0, 255}:
        parts, n = ndimage.label(labels == c, np.ones((3, 3)))
        for k in range(1, n + 1):
            area = ndimage.binary_fill_holes(parts == k).sum()
            weight[parts == k] = min(tau, foreground / area)
    return weight


@pytest.mark.parametrize("seed", range(20))
def test_weights_equal_the_slow_ones(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.array([0, 1, 2, 255], np.uint8), (3, 13, 17), p=[0.4, 0.35, 0.2, 0.05])
    tau = float(rng.choice([1, 2.5, 5, 50]))
    found = size_weights(labels, tau)
    for k in range(3):
        assert found[k] == pytest.approx(slow_weights(labels[k], tau), rel=1e-6)


def test_holes_count_in_and_their_pixels_do_not_weigh():
    labels = np.zeros((1, 7, 9), np.uint8)
    labels[0, 1:6, 1:6] = 1
    labels[0, 2:5, 2:5] = 0
    labels[0, 3, 3] = 2
    labels[0, 0, 8] = 3
    found = size_weights(labels, 100.0)[0]
    assert found[1, 1] == pytest.approx(18 / 25)  # 16 + 1 + 1 foreground pixels; the ring fills 25
    assert (found[3, 3], found[2, 2], found[0, 8]) == (18, 1, 18)


def test_images_do_not_touch_each_other():
    labels = np.ones((2, 3, 3), np.uint8)
    assert (size_weights(labels, 5) == 1).all()
    assert filled_areas(np.zeros((2, 2), np.int32)).tolist() == [1]


@pytest.mark.parametrize("tau", [1.0, 3.0, 5.0])
def test_one_component_is_ce_and_equal_ones_give_min_tau_k(tau):
    one = np.zeros((1, 8, 8), np.uint8)
    one[0, 2:5, 2:5] = 4
    assert (size_weights(one, tau) == 1).all()
    four = np.zeros((1, 8, 8), np.uint8)
    four[0, ::4, ::4] = 7
    assert (size_weights(four, tau)[four == 7] == min(tau, 4)).all()


def test_loss_of_one_component_is_cross_entropy():
    random = torch.Generator().manual_seed(0)
    labels = torch.zeros(2, 6, 6, dtype=torch.long)
    labels[0, :3], labels[1, 2:4, 2:4], labels[1, 5] = 1, 2, 255
    scores = torch.randn(2, 3, 6, 6, generator=random)
    weights = weights_of(labels, 5)
    found = weighted_cross_entropy(scores, labels, weights) / weights.sum()
    assert float(found) == pytest.approx(float(functional.cross_entropy(scores, labels, ignore_index=255)), rel=1e-6)


def test_gradient_is_the_numerical_one():
    labels = torch.tensor([[[1, 1, 0], [0, 0, 0], [2, 0, 255]]])
    weights = weights_of(labels, 5).double()
    assert weights.unique().tolist() == [0, 1, 1.5, 3]
    scores = torch.randn(
        1, 3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3), requires_grad=True
    )
    assert torch.autograd.gradcheck(lambda s: weighted_cross_entropy(s, labels, weights) / weights.sum(), (scores,))
    weighted_cross_entropy(scores, labels, weights).backward()
    assert (scores.grad[..., 2, 2] == 0).all()  # void teaches nothing


@pytest.mark.parametrize("seed", range(10))
def test_true_objects_give_their_sizes_in_place_of_the_components(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.array([0, 1, 2, 255], np.uint8), (2, 11, 12), p=[0.3, 0.4, 0.2, 0.1])
    objects = rng.choice(np.array([0, 1, 2, 255], np.uint8), (2, 11, 12), p=[0.4, 0.3, 0.2, 0.1])
    found = size_weights(labels, 5.0, objects)
    for k in range(2):
        expected = np.where((labels[k] > 0) & (objects[k] > 0), slow_weights(objects[k], 5.0), 1)
        expected[(labels[k] > 0) & (objects[k] == 255)] = 1  # nobody knows what is there
        expected[labels[k] == 255] = 0
        assert found[k] == pytest.approx(expected, rel=1e-6)
    assert (size_weights(labels, 5.0, labels) == size_weights(labels, 5.0)).all()


def test_touching_objects_of_one_class_are_two_in_the_truth_alone():
    labels = np.zeros((1, 4, 8), np.uint8)
    labels[0, 1:3, 1:5] = 3
    objects = labels.copy()
    objects[0, 1:3, 1:3], objects[0, 1:3, 3:5] = 1, 2
    assert (size_weights(labels, 5.0)[labels == 3] == 1).all()
    assert (size_weights(labels, 5.0, objects)[labels == 3] == 2).all()
    tensors = torch.from_numpy(labels), torch.from_numpy(objects)
    assert (weights_of(tensors[0], 5.0, tensors[1]).numpy() == size_weights(labels, 5.0, objects)).all()
