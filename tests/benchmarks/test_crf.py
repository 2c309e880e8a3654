"""The dense CRF: what runs say without it, which constants it gets, and what it does where it is installed."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from iamiou.errors import InputError
from iamiou_benchmarks.cams import crf
from iamiou_benchmarks.running.pipeline import execute, run_stage
from tests.benchmarks.small_runs import little

IRN = ("irn.iterations=2", "irn.batch=2", "irn.crop=32", "irn.exponent=1", "segment.loss=CE")


def test_a_run_without_the_extra_stops_before_it_trains_or_says_that_it_went_without(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)  # as where it is not installed
    plan = little(tmp_path, *IRN, "irn.crf=true", name="shapes-tiny-irn-sb")
    for name in ("classifier", "cam"):
        run_stage(plan, plan.run.stage(name))
    with pytest.raises(InputError, match=r"pip install 'iamiou\[crf\]', or set crf = false"):
        run_stage(plan, plan.run.stage("irn"))
    assert not plan.finished(plan.run.stage("irn"))
    assert not list(tmp_path.glob(".irn-*.part/checkpoint.npz"))
    plan = little(tmp_path, *IRN, name="shapes-tiny-irn-sb")
    record = json.loads((run_stage(plan, plan.run.stage("irn")) / "stage.json").read_text())
    assert "irn: no dense CRF on the confident labels" in record["notes"]


def test_a_whole_run_without_the_extra_stops_before_its_first_stage(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    plan = little(tmp_path, *IRN, "irn.crf=true", name="shapes-tiny-irn-sb")
    with pytest.raises(InputError, match=r"pip install 'iamiou\[crf\]', or set crf = false"):
        execute(plan, tmp_path / "run")
    assert not any(plan.finished(stage) for stage in plan.run.stages)
    assert not (tmp_path / "run").exists()


def test_labels_are_taken_as_right_with_probability_0_7_and_the_constants_are_irns(monkeypatch):
    given = {}

    def field(*size):
        def infer(iterations):
            given["iterations"] = iterations
            return np.exp(-given["unary"])

        given["size"] = size
        return SimpleNamespace(
            setUnaryEnergy=lambda unary: given.update(unary=unary),
            addPairwiseGaussian=lambda sxy, compat: given.update(position=(sxy, compat)),
            addPairwiseBilateral=lambda rgbim, **what: given.update(colour=what, image=rgbim.shape),
            inference=infer,
        )

    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", SimpleNamespace(DenseCRF2D=field))
    labels = np.array([[0, 7, 7], [0, 3, 7]], np.uint8)
    assert crf.of_labels(np.zeros((2, 3, 3), np.uint8), labels).tolist() == labels.tolist()
    assert given["size"] == (3, 2, 3) and given["image"] == (2, 3, 3) and given["iterations"] == 10
    assert np.exp(-given["unary"])[:, 0] == pytest.approx([0.7, 0.15, 0.15])  # background is a class like others
    assert given["position"] == (3, 3)
    assert given["colour"] == {"sxy": 50, "srgb": 5, "compat": 10}
    alone = np.full((2, 3), 4, np.uint8)
    assert crf.of_labels(np.zeros((2, 3, 3), np.uint8), alone) is alone  # -log of 0.3 / 0 is not asked for


def test_where_it_is_installed_labels_follow_the_colours():
    pytest.importorskip("pydensecrf.densecrf", reason="needs the extra crf")
    rng = np.random.default_rng(0)
    image = np.where(np.arange(60)[None, :, None] < 30, [200, 30, 30], [20, 20, 180]) + rng.integers(0, 6, (40, 60, 3))
    labels = np.where(np.arange(60) < 25, 7, 0) * np.ones((40, 1), int)
    labels[rng.random(labels.shape) < 0.1] = 3
    found = crf.of_labels(image.astype(np.uint8), labels.astype(np.uint8))
    assert (found[:, :30] == 7).all() and (found[:, 30:] == 0).all()
