"""The generator of scenes: the same pixels everywhere, and what the knobs promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from iamiou.errors import InputError
from iamiou_benchmarks.datasets import shapes_devkit
from iamiou_benchmarks.datasets.data import DataOptions, open_data
from iamiou_benchmarks.datasets.shapes import PRESETS, SPLITS, Knobs, scene
from iamiou_benchmarks.datasets.shapes_devkit import DIGESTS, knobs_of, scenes_digest

#: sha256 of the first three test scenes; the whole of small and large is proved when they are generated.
SAMPLE = {
    "tiny": "443d15d25dae9d8f2d86485d3a9698c06ee4a8f4d5baf3e00512d921ad57b7c8",
    "small": "e19da3e8a0516eda23c893a1deaad8be170385bc3e50e4c97e78a91b2964c4e9",
    "large": "491ad20aa45d904c8cf9f644f8a2d7d08eeae8b050114e564dd9c0cf5f8700de",
}


@pytest.mark.parametrize("preset", PRESETS)
def test_first_scenes_of_every_preset_are_those_committed(preset):
    assert scenes_digest(PRESETS[preset], 0, "test", range(3)) == SAMPLE[preset]


@pytest.mark.parametrize("split", SPLITS)
def test_the_whole_of_tiny_is_the_one_committed(split):
    knobs = PRESETS["tiny"]
    assert scenes_digest(knobs, 0, split, range(getattr(knobs, split))) == DIGESTS["tiny"][split]


def test_every_preset_has_a_digest_of_every_split():
    assert {k: tuple(v) for k, v in DIGESTS.items()} == dict.fromkeys(PRESETS, SPLITS)
    assert len({d for v in DIGESTS.values() for d in v.values()}) == 3 * len(PRESETS)


KNOBS = Knobs(side=48, classes=8, train=1, dev=1, test=1)


def some(knobs, count=40):
    return [scene(knobs, 7, "train", k) for k in range(count)]


def presence(scenes):
    return np.array([np.bincount(np.unique(s.semantic), minlength=9)[1:] for s in scenes])


def test_instances_are_numbered_and_of_one_class():
    for s in some(KNOBS):
        ids = np.unique(s.instance)
        assert ids.tolist() == list(range(len(ids))) and len(ids) > 1
        for k in ids[1:]:
            assert len(np.unique(s.semantic[s.instance == k])) == 1
        assert ((s.semantic == 0) == (s.instance == 0)).all()


def test_tail_makes_every_second_class_rarer():
    balanced = presence(some(replace(KNOBS, tail=0, company=0), 300)).mean(0)
    tailed = presence(some(replace(KNOBS, tail=4, company=0), 300)).mean(0)
    assert balanced[1::2].sum() / balanced[::2].sum() == pytest.approx(1, abs=0.25)
    assert tailed[1::2].sum() / tailed[::2].sum() < 0.45


def test_company_brings_a_certain_class_along():
    def joined(company):
        shown = presence(some(replace(KNOBS, company=company, tail=0), 300))
        return np.mean([row[(k + 2) % 8] for row in shown for k in range(8) if row[k]])

    assert joined(0.9) > joined(0) + 0.15


def test_sizes_and_number_follow_their_knobs():
    small = replace(KNOBS, smallest=0.1, largest=0.2)
    assert max(np.bincount(s.instance.ravel())[1:].max() for s in some(small)) < 3.2 / 4 * (0.2 * 48) ** 2 * 1.5
    assert max(s.instance.max() for s in some(replace(KNOBS, most=2))) == 2


def test_ragged_outlines_keep_their_area_and_lose_compactness():
    def measure(depth):
        area, rim = 0, 0
        for s in some(replace(KNOBS, ragged=depth, most=1, smallest=0.5, largest=0.5, tail=0), 60):
            mask = np.pad(s.instance > 0, 1)
            area += mask.sum()
            rim += (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
        return area, rim

    (smooth, short), (ragged, long) = measure(0), measure(0.4)
    assert ragged == pytest.approx(smooth, rel=0.08)
    assert long > 1.1 * short


def test_occlusion_bounds_what_one_object_covers():
    def least(occlusion):
        return np.mean(
            [s.instance.max() for s in some(replace(KNOBS, occlusion=occlusion, smallest=0.5, largest=0.6), 60)]
        )

    assert least(0.0) < least(0.9)


def test_whoever_comes_second_takes_the_scenes_of_the_first(tmp_path, monkeypatch):
    knobs, root = replace(KNOBS, train=1, dev=1, test=1), tmp_path / "scenes"
    inner = shapes_devkit._write_scenes

    def slower(part, *given):
        inner(part, *given)
        if not root.exists():
            inner(root, *given)  # another process is done meanwhile

    monkeypatch.setattr(shapes_devkit, "_write_scenes", slower)
    shapes_devkit.write_devkit(knobs, 0, root)
    assert [p.name for p in tmp_path.iterdir()] == ["scenes"]


def test_devkit_is_written_once_and_read_by_the_library(tmp_path):
    options = DataOptions(preset="tiny", knobs={"train": 4, "dev": 2, "test": 3})
    data = open_data(options, tmp_path)
    assert [len(data.splits[s]) for s in SPLITS] == [4, 2, 3]
    made = scene(knobs_of(options), 0, "test", 2)
    semantic, instance = data.truth.load("test_00002")
    assert (semantic == made.semantic).all() and (instance == made.instance).all()
    assert (data.read("test_00002") == made.image).all()
    assert data.labels["test_00002"] == tuple(sorted(set(made.semantic.ravel().tolist()) - {0}))
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    assert open_data(options, tmp_path).digest == data.digest
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
    other = open_data(replace(options, seed=1), tmp_path)
    assert other.digest != data.digest


def test_wrong_preset_and_knobs_are_named(tmp_path):
    with pytest.raises(InputError, match="no preset 'tiney'"):
        open_data(DataOptions(preset="tiney"), tmp_path)
    with pytest.raises(InputError, match=r"no knob 'clutters'.* Did you mean 'clutter'"):
        open_data(DataOptions(knobs={"clutters": 2}), tmp_path)
    with pytest.raises(InputError, match="whole number"):
        open_data(DataOptions(knobs={"side": 40.5}), tmp_path)


def test_other_pixels_than_those_committed_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(DIGESTS, "tiny", dict.fromkeys(SPLITS, "0" * 64))
    monkeypatch.setitem(PRESETS, "tiny", replace(PRESETS["tiny"], train=2, dev=2, test=2))
    with pytest.raises(InputError, match=r"generates other scenes than those committed \(train, dev, test"):
        open_data(DataOptions(), tmp_path)
    assert not [p for p in tmp_path.iterdir() if not p.name.startswith(".")]
