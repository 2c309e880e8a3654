"""The tables of the documentation: their rows, what stands published beside them, and how long they take to make."""

from __future__ import annotations

import json
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from iamiou_benchmarks.running.pipeline import described
from iamiou_benchmarks.running.runfile import list_runs, load_run
from iamiou_benchmarks.tables import measured
from iamiou_benchmarks.tables.main_table import main_lines, main_runs
from iamiou_benchmarks.tables.named_tables import _ABLATION, _CLASSES, _COMBINED, _EVEN, _PREDICTED, _TRAINED, TABLES
from iamiou_benchmarks.tables.results import COLUMNS

_TINY = "shapes-tiny-cam-"


def result(run, seed, seconds=10.0, score=0.5):
    """A made-up result of a real run file: every stage took as long and scores the same."""
    config, scores = _config(run), dict.fromkeys(COLUMNS, score)
    stages = [
        {"name": name, "method": made["method"], "key": f"{measured.identity(config, name)}{seed}"}
        | {"seconds": seconds, "resumed": False, "scores": {"train": scores, "test": scores}}
        for name, made in config["stages"].items()
    ]
    means = {name: {split: {"IoU_Few": score / 2} for split in ("train", "test")} for name in config["stages"]}
    head = {"schema": 1, "run": run, "seed": seed, "config_sha256": run, "data": {}, "config": config}
    return head | {"stages": stages, "classes": {"means": means, "group": {}, "images": {}}}


@cache
def _config(run):
    return json.loads(json.dumps(described(load_run(run))))


def test_tables_name_runs_and_stages_that_there_are():
    for table in TABLES.values():
        assert set(table.runs) <= set(list_runs())
    for section in (_CLASSES, _PREDICTED, _ABLATION, _EVEN, _COMBINED, _TRAINED):
        for line in section.lines:
            stage = load_run(line.run).stage(line.stage)
            assert (stage.method == "predict") == (line.split == "test")


def test_the_main_table_has_every_method_and_loss_on_both_data_sets():
    runs = main_runs()
    assert len(runs) == len(set(runs)) == 2 * (4 * 3 + 1 + 1)
    known = [result(run, seed, score=0.4 + seed / 100) for run in runs for seed in (0, 1)]
    lines = main_lines(known, "markdown")
    rows = [line.split(" | ") for line in lines if line.startswith(("| shapes small", "| voc-mini"))]
    by_length = {n: [r for r in rows if len(r) == n] for n in {len(r) for r in rows}}
    assert sorted(map(len, by_length.values())) == [2 * (4 + 5), 2 * 14]  # seeds and pseudo-masks; predictions
    assert all("40.5 ± 0.7" in row for row in rows)
    assert any("2 of 5" in row for row in rows) and any("2 of 3" in row for row in rows)
    assert not any("Verdicts" in line for line in lines)  # these results have no replicates


def test_a_table_of_every_stage_judges_and_misses_its_own_runs_alone():
    known = [result(run, seed, score=0.4) for run in ("voc-mini-irn-ce", "voc-mini-sfc-ce") for seed in range(3)]
    for found in known:
        drawn = {"mIoU": " ".join(["40000"] * 200)}
        found["replicates"] = {s["name"]: {"train": drawn, "test": drawn} for s in found["stages"]}
        found["stages"][0]["scores"] = {split: {"mAP": 0.7} for split in ("dev", "test")}
    lines = TABLES["photographs"].make(known, "markdown")
    beginning = "| IRN improves on CAM | irn of irn-ce – cam of irn-ce | mIoU of train | 3 | +0.0 |"
    assert any(line.startswith(beginning) for line in lines)
    (missing,) = [line for line in lines if line.startswith("Runs without a result yet: ")]
    assert "voc-mini-irn-sw" in missing and "voc-mini-irn-ce" not in missing
    assert not any(word in line for line in lines for word in ("sfc-even", "vitcam", "truth-sb", "Published"))
    assert any("| SFC lifts CAM's maps | sfc of sfc-ce – cam of sfc-ce | 3 |" in line for line in lines)


def test_published_numbers_stand_beside_the_photographs_with_their_sources():
    lines = main_lines([], "markdown")
    published = {line.split(" | ")[1]: line for line in lines if line.startswith("| voc-mini") and "| CE |" in line}
    assert "63.5 [7]" in published["IRN"] and "46.8 [9]" in published["SFC"]
    assert "70.3 [10], 72.2 [11] | 72.1 [10], 72.9 [11]" in published["ORANDNet (proxy)"]
    assert any(line.startswith("| voc-mini | CAM | ") and "| 48.3 [1], 46.51 [2] |" in line for line in lines)
    assert not any("[1]" in line for line in lines if line.startswith("| shapes") or "| L_sw |" in line)
    notes = [line for line in lines if line[:1].isdigit()]
    cited = {int(n) for line in lines if line.startswith("|") for n in line.replace("]", "[").split("[")[1::2]}
    assert cited == set(range(1, len(notes) + 1))
    assert notes[0].startswith("1. CAM (IRN's)") and all("Source: " in note for note in notes)
    assert notes[1].endswith("Besides: 45.30 on VOC 2012 val, 20.15 on COCO 2014 val.")  # places without a column


def test_latex_keeps_the_notes_as_comments_and_names_the_proxy():
    """A reader of either form learns where numbers come from, and that ORANDNet on photographs is a stand-in."""
    shown, copied = (main_lines([], style) for style in ("markdown", "latex"))
    below = shown[next(k for k, line in enumerate(shown) if line.startswith("ORANDNet on voc-mini is a proxy")) :]
    assert len(below) > 10 and copied[-len(below) :] == [f"% {line}".rstrip() for line in below]
    for lines, mark in ((shown, "| {} | {} |"), (copied, "{} & {} &")):
        for data, method, times in (
            ("voc-mini", "ORANDNet", 0),
            ("voc-mini", "ORANDNet (proxy)", 1 + 1 + 3),
            ("shapes small", "ORANDNet", 1 + 1 + 3),
        ):
            assert sum(line.startswith(mark.format(data, method)) for line in lines) == times
    assert not any(line.startswith("%") for line in main_lines([], "csv"))


def test_the_table_of_groups_tells_few_classes_apart_and_csv_has_one_line_a_seed():
    known = [result("shapes-small-sfc-ce", seed, score=value) for seed, value in ((0, 0.5), (1, 0.54))]
    (row,) = [line for line in TABLES["sfc"].make(known, "markdown") if line.startswith("| SFC, M_W + M_P")]
    assert row.split(" | ")[1:3] == ["2 of 5", "52.0 ± 2.8"] and "26.0 ± 1.4" in row
    lines = [line.split(",") for line in TABLES["orand"].make([], "csv")]
    assert len(lines) == 1
    listed = [line for line in TABLES["sfc"].make(known, "csv") if ",sfc,train," in line]
    assert [line.split(",")[-8:][0] for line in listed][:2] == ["0", "1"]
    assert sum(line.startswith(r"\begin{tabular}") for line in TABLES["sfc"].make(known, "latex")) == 4


def test_a_stage_that_runs_share_is_waited_for_once_a_seed(tmp_path):
    known = measured.stage_seconds([result(f"{_TINY}ce", 0), result(f"{_TINY}sw", 0)])
    assert len(known) == 7 and set(known.values()) == {10.0}  # classifier, cam, pseudo; two networks, two predictions
    todo = [(f"{_TINY}{loss}", seed) for seed in (0, 1) for loss in ("ce", "sw")]
    found = measured.forecast(todo, tmp_path / "none", known)
    assert list(found.seconds.values()) == [50, 20, 50, 20] and found.total == 140
    assert not any(found.unknown.values())
    del known[measured.identity(_config(f"{_TINY}sw"), "segment")]
    assert measured.forecast(todo, tmp_path / "none", known).unknown[f"{_TINY}sw", 1] == ("segment",)


def test_what_is_finished_takes_no_time(tmp_path, monkeypatch):
    known = measured.stage_seconds([result(f"{_TINY}ce", 0)])
    plan = SimpleNamespace(run=load_run(f"{_TINY}ce"), finished=lambda stage: stage.name != "predict")
    monkeypatch.setattr(measured, "make_plan", lambda *_: plan)
    assert measured.forecast([(f"{_TINY}ce", 0)], tmp_path, known).total == 10


def test_a_stage_that_was_interrupted_tells_no_time():
    one, other = result(f"{_TINY}ce", 0, seconds=3), result(f"{_TINY}ce", 1, seconds=30)
    one["stages"][0]["resumed"] = True
    seconds = measured.stage_seconds([one, other])
    assert sorted(seconds.values()) == pytest.approx([16.5] * 4 + [30])
    assert np.isclose(seconds[measured.identity(one["config"], "classifier")], 30)
