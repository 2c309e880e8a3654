"""Whole runs of every method on one training image: progress, epochs, sweeps and scores without a second one."""

from __future__ import annotations

import json
import math

import pytest

pytest.importorskip("torch")

from iamiou_benchmarks.running.pipeline import execute, run_stage
from tests.benchmarks.small_runs import little

ONE = "data.knobs={train = 1, dev = 1, test = 1, side = 32}"
#: Beside LITTLE, what makes the stages of a method little.
CHANGES = {
    "shapes-tiny-irn-sb": ("irn.iterations=4", "irn.batch=4", "irn.crop=32", "irn.exponent=2"),
    "shapes-tiny-sfc-ce": ("sfc.iterations=4", "sfc.batch=4", "sfc.crop=32", "sfc.sides=[4, 4]", "sfc.scales=[1.0]"),
    "shapes-tiny-orand-ce": (
        *(f"{stage}.{change}" for stage in ("vit", "orand") for change in ("iterations=4", "batch=4")),
        "vit.crop=32",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_stage_runs_on_one_image(tmp_path, name):
    """The batch of four is larger than the data; every stage trains, tells its progress, is scored and leaves files."""
    shown: list[str] = []
    plan = little(tmp_path, ONE, *CHANGES[name], name=name)
    assert [len(plan.data.splits[split]) for split in ("train", "dev", "test")] == [1, 1, 1]
    folders = {stage.name: run_stage(plan, stage, show=shown.append) for stage in plan.run.stages}
    training = {stage.name for stage in plan.run.stages if hasattr(stage.options, "iterations")}
    for stage in training:
        lines = [json.loads(line) for line in (folders[stage] / "metrics.jsonl").read_text().splitlines()]
        losses = [line["loss"] for line in lines if "loss" in line]
        assert losses and all(map(math.isfinite, losses)), stage
    assert {text.split(":")[0] for text in shown} >= training
    for stage, split in (("pseudo", "train"), ("predict", "test")):
        scores = json.loads((folders[stage] / "stage.json").read_text())["scores"][split]
        assert 0 <= scores["mIoU"] <= 1
    assert len(list((folders["predict"] / "predictions").iterdir())) == 1


def test_a_whole_run_of_one_image_leaves_its_result_and_pictures(tmp_path):
    result = execute(little(tmp_path / "cache", ONE), tmp_path / "out")
    assert [s["name"] for s in result["stages"]] == ["classifier", "cam", "pseudo", "segment", "predict"]
    assert {p.name for p in (tmp_path / "out").glob("*.png")} == {"curves.png", "sheet.png"}
