"""``iamiou compare``: saved runs and predictions, every format, and what it refuses to set side by side."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import iamiou
from tests import fakes
from tests.command import good, process, refused, run

SCENES = fakes.scenes(8, seed=3, shape=(90, 110), labels=(1, 2, 15))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Write a devkit, a run, a worse one, and both of them saved."""
    root = tmp_path_factory.mktemp("runs")
    voc = fakes.voc_devkit(root / "voc", SCENES)
    worse = [replace(s, prediction=np.roll(s.prediction, 4, axis=1)) for s in SCENES]
    a, b = fakes.prediction_folder(root / "a", SCENES), fakes.prediction_folder(root / "b", worse)
    for folder in (a, b):
        iamiou.evaluate(folder, voc, bootstrap=0).save(folder.with_suffix(".npz"))
    return SimpleNamespace(root=root, voc=voc, a=a, b=b, npz=(root / "a.npz", root / "b.npz"))


def test_the_table_fits_80_columns(capsys, data, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = good(capsys, "compare", *data.npz, "--bootstrap", 100, "--top", 3)
    lines = shown.splitlines()
    assert lines[:2] == [f"A = {data.npz[0]}", f"B = {data.npz[1]}"]
    assert max(len(line) for line in lines[2:]) <= 80
    assert lines[3].startswith("A is ahead: mIoU −0.")
    reports = [iamiou.report.load(path) for path in data.npz]
    rows = {line.split()[0]: line.split() for line in lines if line.strip()}
    for name in ("mIoU", "IA-mIoU", "IA_S"):
        a, b = (r.scores[name] for r in reports)
        assert rows[name][1:3] == [f"{a:.3f}", f"{b:.3f}"]
        assert rows[name][3] == f"{b - a:+.3f}".replace("-", "−")
    assert "Lost most" in shown


def test_runs_without_instances_show_no_empty_columns(capsys, data, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    runs = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for folder, path in zip((data.a, data.b), runs, strict=True):
        good(capsys, "score", folder, data.voc, "--metrics", "miou", "--bootstrap", 0, "--save", path)
    shown = good(capsys, "compare", *runs, "--bootstrap", 100)
    assert "IA" not in shown.partition("Classes")[2].partition("Warning")[0]
    header = good(capsys, "compare", *runs, "--bootstrap", 100, "--format", "csv").splitlines()
    assert header[1].startswith("(all),mIoU,") and not any("IA-IoU" in line for line in header)


def test_json(capsys, data):
    found = json.loads(good(capsys, "compare", *data.npz, "--format", "json", "--bootstrap", 100, "--top", 4))
    reports = [iamiou.report.load(path) for path in data.npz]
    assert (found["names"], found["images"], found["resamples"], found["seed"]) == (["A", "B"], 8, 100, 0)
    assert list(found["scores"]) == list(reports[0].scores)
    for name, row in found["scores"].items():
        for side, report in zip("ab", reports, strict=True):
            assert row[side] == (None if np.isnan(report.scores[name]) else pytest.approx(report.scores[name]))
    assert len(found["lost"]) == 4
    assert all(c["difference"] < 0 for c in found["lost"]) and all(c["difference"] > 0 for c in found["gained"])
    ious = [dict(zip(zip(r.instances["image"], r.instances["id"]), r.instances["iou"])) for r in reports]  # noqa: B905
    for change in found["lost"]:
        assert [change["a"], change["b"]] == [iou[change["image"], change["id"]] for iou in ious]


def test_the_other_formats(capsys, data):
    table = good(capsys, "compare", *data.npz, "--format", "csv", "--bootstrap", 50)
    rows = list(csv.DictReader(io.StringIO(table)))
    assert (rows[0]["class"], rows[0]["score"]) == ("(all)", "mIoU")
    markdown = good(capsys, "compare", *data.npz, "--format", "markdown", "--bootstrap", 50)
    assert "| mIoU |" in markdown and markdown.startswith("A is ahead: ")
    latex = good(capsys, "compare", *data.npz, "--format", "latex", "--bootstrap", 50)
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") >= 2


def test_predictions_in_place_of_saved_runs(capsys, data):
    options = ("--format", "json", "--bootstrap", 60)
    expected = good(capsys, "compare", *data.npz, *options)
    assert good(capsys, "compare", data.a, data.b, data.voc, *options) == expected
    assert good(capsys, "compare", data.npz[0], data.b, data.voc, "--threads", 2, *options) == expected
    assert good(capsys, "compare", *data.npz, *options, "--seed", 0) == expected
    assert good(capsys, "compare", *data.npz, *options, "--seed", 1) != expected


def test_a_run_equals_itself(capsys, data):
    found = json.loads(good(capsys, "compare", data.npz[0], data.npz[0], "--format", "json", "--bootstrap", 50))
    assert found["verdict"].startswith("A and B score the same")
    assert (found["gained"], found["lost"], found["disagree"]) == ([], [], False)


def test_runs_of_pixels_alone_are_compared_by_pixels(capsys, data, tmp_path):
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for folder, path in zip((data.a, data.b), paths, strict=True):
        options = ("--metrics", "miou", "--bootstrap", 0, "--save", path)
        good(capsys, "score", folder, data.voc, *options)
    found = json.loads(good(capsys, "compare", *paths, "--format", "json", "--bootstrap", 50))
    assert list(found["scores"]) == ["mIoU", "mIoU_union", "mIoU_per_image", "precision", "recall"]
    assert "IA-mIoU" not in found["verdict"]
    sentence = refused(capsys, "compare", paths[0], data.npz[1])
    assert sentence == (
        "The runs have different metrics (miou and all). Score both with the same options and compare again."
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--bins 64", "The runs have different size bins (32,96 and 64). Score both with the same options"),
        (
            "--components plain",
            "The runs have different component rules (nested, 8 neighbours and plain, 8 neighbours)",
        ),
        ("--list {r}/few.txt", "The runs hold different images: 6 only in A (2007_000003, 2007_000004, 2007_000005, "),
        ("--classes {r}/names.txt", "The runs have different class lists ('voc' with 21 classes, 'names' with 16)."),
    ],
)
def test_runs_that_were_scored_otherwise(capsys, data, tmp_path, options, sentence):
    (data.root / "few.txt").write_text("2007_000001\n2007_000002\n")
    (data.root / "names.txt").write_text("\n".join(iamiou.load_classes("voc").names[:16]))
    options = [o.format(r=data.root) for o in options.split()]
    good(capsys, "score", data.b, data.voc, *options, "--bootstrap", 0, "--save", tmp_path / "b.npz", "--format", "csv")
    assert refused(capsys, "compare", data.npz[0], tmp_path / "b.npz").startswith(sentence)


def test_other_ground_truths_are_refused(capsys, data, tmp_path):
    changed = [replace(s, semantic=np.where(s.semantic == 255, 0, s.semantic)) for s in SCENES]
    other = fakes.voc_devkit(tmp_path / "voc", changed)
    saved = tmp_path / "b.npz"
    good(capsys, "score", data.b, other, "--bootstrap", 0, "--save", saved)
    sentence = refused(capsys, "compare", data.npz[0], saved)
    digests = [iamiou.report.load(path).digest[:12] for path in (data.npz[0], saved)]
    assert sentence == (
        f"The ground truths of the runs differ (digests {digests[0]} and {digests[1]}), so their scores cannot be set "
        "side by side. Score both on the same masks."
    )


def test_options_that_saved_runs_would_ignore(capsys, data):
    sentence = refused(capsys, "compare", *data.npz, data.voc, "--bins", "64", "--list", "x")
    assert sentence.startswith("Saved runs bring their own ground truth and options; leave out GT '")
    assert "--bins" in sentence and "--list" in sentence


def test_predictions_without_a_ground_truth(capsys, data):
    sentence = refused(capsys, "compare", data.a, data.b)
    assert sentence.startswith(f"'{data.a}' is no file of saved counts (.npz). Save it with: iamiou score PREDS GT")


def test_bad_predictions_are_told_as_by_score(capsys, data, tmp_path):
    some = fakes.prediction_folder(tmp_path / "some", SCENES[:7])
    assert refused(capsys, "compare", data.a, some, data.voc) == refused(capsys, "score", some, data.voc)


def test_usage(capsys, data):
    for arguments in (("compare",), ("compare", data.a), ("compare", *data.npz, "--bootstrap", 0)):
        result = run(capsys, *arguments)
        assert (result.code, result.out) == (2, "")
        assert "Error: " in result.err


def test_as_a_process(data):
    done = process("compare", *data.npz, "--bootstrap", 50)
    assert (done.returncode, done.stderr) == (0, "")
    assert "A is ahead" in done.stdout
