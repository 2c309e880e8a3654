"""Trials on dev, what fills a table, and the options that only its comparisons need."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from click.testing import CliRunner  # noqa: E402

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.cams.maps import best_class, load_maps  # noqa: E402
from iamiou_benchmarks.cli import bench  # noqa: E402
from iamiou_benchmarks.running.pipeline import execute, make_plan, run_stage  # noqa: E402
from iamiou_benchmarks.running.runfile import load_run  # noqa: E402
from iamiou_benchmarks.running.tune import trials  # noqa: E402
from iamiou_benchmarks.training.batches import Cut, cut  # noqa: E402

RUN = """
[data]
name = "shapes"
preset = "tiny"
knobs = {train = 8, dev = 4, test = 4, side = 32}

[stages.classifier]
iterations = 4
batch = 4
crop = 32

[stages.cam]
scales = [1.0]
stride = 2
select = "dev"

[stages.pseudo]

[stages.segment]
loss = "L_sw"
iterations = 4
batch = 4
crop = 32
lr = 0.01

[stages.predict]
splits = ["dev"]
"""


@pytest.fixture
def run(tmp_path):
    torch.set_num_threads(1)
    path = tmp_path / "run.toml"
    path.write_text(RUN, encoding="utf-8")
    return str(path)


def test_trials_give_the_scores_of_dev_that_a_run_gives(run, tmp_path):
    cache = tmp_path / "stages"
    found = dict(trials(run, "segment.tau", ["1", "5"], 0, cache, "cpu"))
    assert list(found) == ["1", "5"]
    assert not list(cache.glob("predict-*")) and len(list(cache.glob("cam-*"))) == 1
    plan = make_plan(load_run(run, ["segment.tau=5"]), 0, cache, "cpu")
    segment = plan.folder(plan.run.stage("segment"))
    before = segment.stat().st_mtime_ns
    result = execute(plan, tmp_path / "out")
    assert segment.stat().st_mtime_ns == before
    assert found["5"]["mIoU"] == result["stages"][-1]["scores"]["dev"]["mIoU"]


def test_class_maps_are_tried_at_their_best_threshold_of_dev(run, tmp_path):
    ((_, scores),) = trials(run, "cam.stride", ["4"], 0, tmp_path / "stages", "cpu")
    plan = make_plan(load_run(run, ["cam.stride=4"]), 0, tmp_path / "stages", "cpu")
    record = json.loads((plan.folder(plan.run.stage("cam")) / "stage.json").read_text())
    assert scores["threshold"] == record["scores"]["train"]["threshold"]
    assert 0 <= scores["mIoU"] <= 1


def test_a_stage_without_anything_for_dev_is_named(run, tmp_path):
    with pytest.raises(InputError, match="stage pseudo leaves nothing"):
        list(trials(run, "pseudo.threshold", ["0.5"], 0, tmp_path / "stages", "cpu"))


def test_the_command_prints_keeps_and_draws(run, tmp_path):
    out, figure = tmp_path / "t.json", tmp_path / "t.png"
    asked = [run, "segment.tau", "1", "5", "--cache", str(tmp_path / "stages"), "--threads", "1"]
    ended = CliRunner().invoke(bench, ["tune", *asked, "--out", str(out), "--figure", str(figure)])
    assert ended.exit_code == 0, ended.output
    assert "| segment.tau | mIoU | IA-mIoU | IA_S | IA_M | IA_L |" in ended.output
    record = json.loads(out.read_text())
    assert (record["option"], record["split"], [t["value"] for t in record["trials"]]) == (
        "segment.tau",
        "dev",
        ["1", "5"],
    )
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_fill_leaves_results_and_does_nothing_again(tmp_path, monkeypatch):
    from iamiou_benchmarks.running import runfile

    monkeypatch.setattr(runfile, "RUNS", tmp_path)
    (tmp_path / "little-ce.toml").write_text(RUN, encoding="utf-8")
    asked = ["fill", "little-", "--seeds", "2", "--threads", "1", "--results", str(tmp_path / "results")]
    asked += ["--cache", str(tmp_path / "runs" / "stages")]
    first = CliRunner().invoke(bench, asked)
    assert first.exit_code == 0, first.output
    assert first.output.splitlines()[-2:] == ["little-ce-0.json", "little-ce-1.json"]
    kept = json.loads((tmp_path / "results" / "little-ce-1.json").read_text())
    assert kept["seed"] == 1 and set(kept["replicates"]["predict"]["test"]) >= {"mIoU", "IA_S"}
    assert set(kept["replicates"]["cam"]) == {"train"}
    assert set(kept["replicates"]["cam"]["train"]) == {
        "mIoU",
        "precision",
        "recall",
        "IoU_Many",
        "IoU_Medium",
        "IoU_Few",
    }
    again = CliRunner().invoke(bench, asked)
    assert again.exit_code == 0 and ".json" not in again.output


def test_true_sizes_are_cut_with_the_masks_and_the_result_says_so(run, tmp_path):
    plan = make_plan(load_run(run, ["segment.sizes=truth"]), 0, tmp_path / "stages", "cpu")
    result = execute(plan, tmp_path / "out")
    assert any("sizes of the true objects" in note for note in result["claims_used"])
    other = execute(make_plan(load_run(run), 0, tmp_path / "stages", "cpu"), tmp_path / "other")
    assert result["stages"][2]["key"] == other["stages"][2]["key"]
    assert result["stages"][3]["digest"] != other["stages"][3]["digest"]
    with pytest.raises(InputError, match="pseudo or truth"):
        execute(make_plan(load_run(run, ["segment.sizes=guess"]), 0, tmp_path / "stages", "cpu"), tmp_path / "third")


def test_centre_boxes_have_the_area_of_the_seeds_that_they_take(run, tmp_path):
    path = tmp_path / "centre.toml"
    path.write_text(
        RUN.replace("[stages.pseudo]", '[stages.centre]\ninputs = ["cam"]\n\n[stages.pseudo]'), encoding="utf-8"
    )
    plan = make_plan(load_run(str(path)), 0, tmp_path / "stages", "cpu")
    execute(plan, tmp_path / "out")
    box, seeds = (plan.folder(plan.run.stage(name)) / "maps" for name in ("centre", "cam"))
    for image_id in plan.data.splits["train"]:
        cam = load_maps(seeds / f"{image_id}.npz")
        side = round(32 * float((best_class(cam)[1] > cam.threshold).mean()) ** 0.5)
        assert (load_maps(box / f"{image_id}.npz").full[0] > 0.5).sum() == side * side


def test_two_label_maps_are_cut_alike():
    label = np.arange(60, dtype=np.uint8).reshape(6, 10)
    pair = np.stack([label, label + 100], 2)
    for seed in range(5):
        how = Cut(crop=8, low=0.7, high=1.6)
        image = np.zeros((6, 10, 3), np.uint8)
        _, one = cut(image, label, np.random.default_rng(seed), how)
        _, two = cut(image, pair, np.random.default_rng(seed), how)
        assert (two[..., 0] == one).all()
        assert (two[..., 1] == np.where(one == 255, 255, one + 100)).all()


def test_a_classifier_that_was_killed_after_training_is_only_scored(run, tmp_path):
    plan = make_plan(load_run(run), 0, tmp_path / "stages", "cpu")
    stage = plan.run.stage("classifier")
    folder = run_stage(plan, stage)
    before = json.loads((folder / "stage.json").read_text())
    part = folder.with_name(f".{folder.name}.part")
    folder.rename(part)
    (part / "stage.json").unlink()
    (part / "metrics.jsonl").unlink()
    after = json.loads((run_stage(plan, stage, resume=True) / "stage.json").read_text())
    assert after["scores"] == before["scores"] and set(after["scores"]) == {"dev", "test"}
    assert after["resumed"] and "loss" not in (folder / "metrics.jsonl").read_text()
