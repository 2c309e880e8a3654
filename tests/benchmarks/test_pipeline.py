"""The pipeline: every stage, shared, resumed after a kill, the same bytes again, and its errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")

from iamiou.errors import IncompleteError, InputError
from iamiou_benchmarks.running.pipeline import execute, run_stage
from iamiou_benchmarks.stage import artefacts
from tests.benchmarks.small_runs import LITTLE, kill_run, little

NAMES = ["classifier", "cam", "pseudo", "segment", "predict"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a finished little run: its folder, its cache and its result."""
    root = tmp_path_factory.mktemp("run")
    plan = little(root / "cache")
    return root / "out", root / "cache", execute(plan, root / "out")


def digests(result):
    return {s["name"]: s["digest"] for s in result["stages"]}


def test_every_stage_runs_and_is_scored(finished):
    out, _, result = finished
    assert json.loads((out / "result.json").read_text()) == result
    assert [s["name"] for s in result["stages"]] == NAMES
    scores = {s["name"]: s["scores"] for s in result["stages"]}
    assert set(scores["cam"]) == {"train", "train oracle"}
    assert scores["cam"]["train oracle"]["mIoU"] >= scores["cam"]["train"]["mIoU"]
    assert 0 <= scores["predict"]["test"]["mIoU"] <= 1 and "IA_S" in scores["predict"]["test"]
    assert any("pixel labels of dev" in note for note in result["claims_used"])
    for stage in result["stages"]:
        assert stage["seconds"] > 0 and stage["peak_memory_bytes"] > 10**7
    names = {p.name for p in out.iterdir()}
    assert names == {"result.json", "run.txt", "metrics.jsonl", "curves.png", "sheet.png", "predictions"}
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in lines} == {"classifier", "cam", "segment"}
    assert any("penalty" in line for line in lines if line["stage"] == "segment")


def test_predictions_are_what_iamiou_score_takes(finished):
    from iamiou import evaluate

    out, cache, result = finished
    devkit = next(cache.glob("shapes-tiny-*"))
    report = evaluate(
        out / "predictions", devkit, split="test", classes=devkit / "classes.txt", bins=(6, 10), bootstrap=0, threads=1
    )
    expected = result["stages"][-1]["scores"]["test"]
    assert report.scores["mIoU"] == pytest.approx(expected["mIoU"], abs=1e-6)
    assert report.scores["IA-mIoU"] == pytest.approx(expected["IA-mIoU"], abs=1e-6)


def test_two_runs_with_one_seed_give_the_same_bytes_and_another_seed_others(finished, tmp_path):
    again = execute(little(tmp_path / "cache"), tmp_path / "out")
    assert digests(again) == digests(finished[2])
    other = run_stage(little(tmp_path / "cache", seed=1), little(tmp_path / "cache", seed=1).run.stage("classifier"))
    assert artefacts.folder_digest(other) != digests(again)["classifier"]


def test_runs_share_what_they_have_in_common(finished, tmp_path):
    _, cache, result = finished
    other = execute(little(cache, "segment.tau=2"), tmp_path / "out")
    keys = [[s["key"] for s in r["stages"]] for r in (result, other)]
    assert [a == b for a, b in zip(*keys, strict=True)] == [True, True, True, False, False]
    assert len(list(cache.glob("cam-*"))) == 1


def test_a_run_that_is_killed_at_any_stage_goes_on_to_the_same_result(finished, tmp_path):
    for stage, at in (("classifier", 5), ("cam", 7), ("segment", 5), ("predict", 3)):
        kill_run(tmp_path, stage, at)
    assert not (tmp_path / "out" / "result.json").exists()
    assert (next((tmp_path / "cache").glob(".predict-*.part")) / "predictions").is_dir()
    result = execute(little(tmp_path / "cache"), tmp_path / "out", resume=True)
    assert digests(result) == digests(finished[2])
    lines = [
        [json.loads(x) for x in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (tmp_path / "out", finished[0])
    ]
    assert lines[0] == lines[1]


def test_a_folder_is_not_taken_twice_or_from_somebody_else(finished, tmp_path):
    out, cache, _ = finished
    with pytest.raises(InputError, match="holds this run already; go on with --resume"):
        execute(little(cache), out)
    with pytest.raises(InputError, match="holds another run or other options"):
        execute(little(cache, "segment.tau=2"), out, resume=True)
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(InputError, match="holds something else"):
        execute(little(cache), tmp_path)


def test_frozen_weights_stay_in_segmentation_and_the_others_learn(finished):
    _, cache, _ = finished
    plan = little(cache, "segment.frozen=['stem']")
    run_stage(plan, plan.run.stage("segment"))
    first = artefacts.load(plan.folder(plan.run.stage("classifier")) / "weights.npz", "classifier")
    last = artefacts.load(plan.folder(plan.run.stage("segment")) / "weights.npz", "segmentation")
    same = {n: np.array_equal(first[n], last[n]) for n in first if n.endswith("weight") and n.startswith("backbone")}
    assert {n for n, kept in same.items() if kept} == {"backbone.stem.0.weight", "backbone.stem.1.weight"}


def test_a_stage_needs_those_before_it(tmp_path):
    plan = little(tmp_path)
    with pytest.raises(IncompleteError, match="pseudo takes cam, which has not run"):
        run_stage(plan, plan.run.stage("pseudo"))


def test_artefacts_of_an_older_version_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    monkeypatch.setattr(artefacts, "VERSION", 0)
    artefacts.save(path, "classifier", {"w": np.zeros(2)})
    monkeypatch.undo()
    with pytest.raises(InputError, match="artefact of version 0, this iamiou has version 1"):
        artefacts.load(path, "classifier")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"text"])
def test_broken_artefacts_are_refused(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as an artefact"):
        artefacts.load(path, "classifier")


def test_artefacts_with_pickles_foreign_ones_and_other_kinds_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as an artefact"):
        artefacts.load(path, "cam")
    np.savez(path, x=np.zeros(1))
    with pytest.raises(InputError, match="does not say its kind and version"):
        artefacts.load(path, "cam")
    artefacts.save(path, "classifier", {})
    with pytest.raises(InputError, match="holds 'classifier', not 'cam'"):
        artefacts.load(path, "cam")


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(tmp_path):
    plan = little(tmp_path, "classifier.lr=1e30", "classifier.optimiser=sgd", "classifier.warmup=0")
    with pytest.raises(InputError, match=r"classifier is no longer finite in iteration \d.*Lower classifier.lr"):
        run_stage(plan, plan.run.stage("classifier"))


def test_memory_that_runs_out_names_what_to_lower(tmp_path, monkeypatch):
    from iamiou_benchmarks.methods import classifier

    def full(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried ...")

    plan = little(tmp_path)
    monkeypatch.setattr(classifier, "train", full)
    with pytest.raises(InputError, match=r"lower classifier.batch or classifier.crop with --set"):
        run_stage(plan, plan.run.stage("classifier"))


@pytest.mark.parametrize(
    "name", ["shapes-tiny-irn-sb", "shapes-tiny-walk-ce", "shapes-small-truth-sw", "shapes-small-centre-ce"]
)
def test_the_other_methods_run_through(finished, tmp_path, name):
    changes = ["irn.iterations=4", "irn.batch=4", "irn.crop=32", "irn.exponent=2"] if "irn" in name else []
    preset = ["data.preset=tiny"]
    result = execute(little(finished[1], *changes, *preset, name=name), tmp_path / "out")
    assert result["stages"][-1]["scores"]["test"]["mIoU"] is not None
    truth = next((s for s in result["stages"] if s["method"] == "truth"), None)
    assert truth is None or truth["scores"]["train"]["mIoU"] == 1


def test_pseudo_masks_of_another_program(finished, tmp_path):
    _, cache, result = finished
    own = little(cache)
    labels = own.folder(own.run.stage("pseudo")) / "labels"
    changes = ["pseudo.method=files", "pseudo.inputs=[]", f"pseudo.pseudo={labels}"]
    plan = little(cache, *changes)
    found = json.loads((run_stage(plan, plan.run.stage("pseudo")) / "stage.json").read_text())
    assert found["scores"] == result["stages"][2]["scores"]
    few = tmp_path / "few"
    few.mkdir()
    (few / "train_00000.png").write_bytes((labels / "train_00000.png").read_bytes())
    plan = little(cache, *changes[:2], f"pseudo.pseudo={few}")
    with pytest.raises(InputError, match="9 images of train have no pseudo-mask"):
        run_stage(plan, plan.run.stage("pseudo"))


def test_command_line(finished, tmp_path, capsys):
    from tests.command import good, refused, run

    changes = [part for change in LITTLE for part in ("--set", change)]
    common = [*changes, "--cache", finished[1], "--device", "cpu"]
    text = good(capsys, "bench", "run", "shapes-tiny-cam-sb", "--out", tmp_path / "o", *common)
    assert "train oracle" in text and f"$ iamiou submit {tmp_path}/o/predictions --to URL" in text
    assert "already; go on with --resume" in refused(
        capsys, "bench", "run", "shapes-tiny-cam-sb", "--out", tmp_path / "o", *common
    )
    assert "finished" in good(capsys, "bench", "run", "shapes-tiny-cam-sb", "--dry-run", *common)
    assert "Wrote" in good(capsys, "bench", "stage", "shapes-tiny-cam-sb", "cam", *common)
    assert run(capsys, "bench", "stage", "shapes-tiny-cam-sb", "cam", *common, "--seed", "5").code == 3
    assert "shapes-tiny-cam-sb" in good(capsys, "bench", "list")
    assert "Did you mean 'shapes-tiny-cam-" in refused(capsys, "bench", "run", "shapes-tiny-cam-sd")
    table = good(capsys, "bench", "table", "shapes-tiny", "--results", tmp_path)
    assert "| shapes-tiny-cam-sb | predict | test | 1 |" in table
    for style, start in (("csv", "run,stage,split,seed,mIoU"), ("latex", "\\begin{tabular}")):
        assert good(capsys, "bench", "table", "shapes", "--results", tmp_path, "--format", style).startswith(start)
    assert "There is no result of a run 'coco" in refused(capsys, "bench", "table", "coco", "--results", tmp_path)
