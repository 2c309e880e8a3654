"""OR, AND and the mean of class maps: bounds, by hand, and mistakes."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")


from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.cams.maps import ClassMaps  # noqa: E402
from iamiou_benchmarks.methods import combine  # noqa: E402


@pytest.mark.parametrize("inputs", [2, 3, 4])
def test_or_and_bounds_and_de_morgan(inputs):
    maps = np.random.default_rng(inputs).random((inputs, 3, 20, 20))
    maps[0, 0, 0] = 0
    maps[1, 0, 1] = 1
    both, either, slack = combine.common(maps), combine.united(maps), 1e-12
    assert (both >= 0).all() and (either <= 1 + slack).all()
    assert (both <= maps.min(0) + slack).all() and (either >= maps.max(0) - slack).all()
    assert np.allclose(either, 1 - combine.common(1 - maps), atol=1e-12)
    if inputs == 2:
        assert np.allclose(either, maps[0] + maps[1] - maps[0] * maps[1])


def test_shift_cut_and_maximum_by_hand():
    maps = np.array([[[[0.5, 1.0, 0.0]]], [[[0.25, 0.9, 0.0]]]], np.float32)
    for how, expected in (("or", [0.7, 1, 0.15]), ("and", [0.2, 1, 0]), ("mean", [0.45, 1, 0.075])):
        options = combine.Options(how=how, shift=(0.0, 0.15))
        assert combine.combined(maps, options)[0, 0] == pytest.approx(expected)
    plain = combine.combined(maps / 2, combine.Options(how="or", normalise="none"))
    assert plain.max() == pytest.approx(0.5 + 0.45 - 0.5 * 0.45)
    assert combine.combined(maps / 2, combine.Options(how="or")).max() == pytest.approx(1)
    assert not combine.combined(maps * 0, combine.Options(how="and")).any()
    assert combine.combined(maps[:, :0], combine.Options()).shape == (0, 1, 3)


@pytest.mark.parametrize(
    ("options", "inputs", "message"),
    [
        ({}, 1, "2 to 4 stages, not of 1"),
        ({}, 5, "2 to 4 stages, not of 5"),
        ({"how": "xor"}, 2, "cannot be combined by 'xor'"),
        ({"normalise": "sum"}, 2, "no normalisation 'sum'"),
        ({"shift": (0.1,)}, 2, "1 shifts for 2 inputs"),
    ],
)
def test_mistakes_in_combining(options, inputs, message):
    with pytest.raises(InputError, match=message):
        combine.check(combine.Options(**options), inputs)


def test_inputs_of_other_data_are_named(tmp_path):
    for name, ids in (("a", [0]), ("b", [1])):
        (tmp_path / name / "maps").mkdir(parents=True)
        maps = np.zeros((1, 4, 4), np.float32)
        ClassMaps(np.array(ids), maps, maps, 0.5).save(tmp_path / name / "maps" / "x.npz")
    with pytest.raises(InputError, match="1 image has maps of other classes or sizes by each input: x"):
        combine.together([tmp_path / "a", tmp_path / "b"], "x")


def test_noise_is_the_same_over_patches_and_again_and_again():
    noise = combine.noise_of((2, 3, 20, 17), 8, 0, "x")
    assert noise.shape == (2, 3, 20, 17) and (noise[:, :, :8, :8] == noise[:, :, :1, :1]).all()
    assert (noise == combine.noise_of((2, 3, 20, 17), 8, 0, "x")).all()
    assert (noise != combine.noise_of((2, 3, 20, 17), 8, 0, "y")).any()
    assert combine.noise_of((2, 30, 80, 80), 2, 1, "x").std() == pytest.approx(1, abs=0.02)
