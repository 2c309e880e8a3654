"""SFC: pixel correlation, prototypes and inference, by slow loops and by hand."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from iamiou_benchmarks.networks.calibrated import View  # noqa: E402
from iamiou_benchmarks.sfc.calibrated_maps import MapOptions, activation, check_maps  # noqa: E402
from iamiou_benchmarks.sfc.prototypes import (  # noqa: E402
    correlated,
    correlation,
    of_maximum_1,
    prototype_maps,
    seeds_of,
    with_background,
)
from tests.benchmarks.sfc_parts import network, random  # noqa: E402

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
