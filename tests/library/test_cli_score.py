"""``iamiou score``: every option that changes the numbers, every format."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import re
from types import SimpleNamespace

import numpy as np
import pytest

import iamiou
from iamiou.labels import COCO
from tests import fakes
from tests.command import good, refused, run

LABELS = (1, 2, 3, 15)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Write a devkit of 6 images, 4 of them in the split ``train``, and the predictions in every packing."""
    root = tmp_path_factory.mktemp("data")
    images = fakes.scenes(6, seed=8, shape=(110, 140), labels=LABELS)
    voc = fakes.voc_devkit(root / "voc", images)
    fakes.image_list(voc / "ImageSets" / "Segmentation" / "train.txt", images[:4])
    semantic, instances, listed = fakes.flat_folders(root / "flat", images)
    folder = fakes.prediction_folder(root / "predictions", images)
    packed = [fakes.archive(root / name, folder) for name in ("p.zip", "p.tar", "p.tar.gz")]
    arrays = [fakes.prediction_folder(root / kind, images, kind=kind) for kind in ("npy", "grey")]
    return SimpleNamespace(
        root=root,
        images=images,
        voc=voc,
        semantic=semantic,
        instances=instances,
        list=listed,
        predictions=folder,
        packings=[*packed, *arrays],
    )


@pytest.fixture
def score(capsys, data):
    """Score without intervals, and return the json as text."""

    def scored(*options, predictions=None, truth=(data.voc, "--split", "val")):
        first = data.predictions if predictions is None else predictions
        return good(capsys, "score", first, *truth, "--format", "json", "--bootstrap", 0, *options)

    return scored


def test_the_numbers_are_those_of_the_library(score, data):
    report = iamiou.evaluate(data.predictions, data.voc, split="val", bootstrap=0)
    assert json.loads(score()) == json.loads(report.to_json())


def test_the_table(capsys, data, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = good(capsys, "score", data.predictions, data.voc, "--split", "val", "--bootstrap", 50)
    report = iamiou.evaluate(data.predictions, data.voc, split="val", bootstrap=50)
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert shown.startswith(f"6 images, {len(report.counts.instances)} instances")
    rows = {line.split()[0]: line for line in shown.splitlines() if line.strip()}
    for name, value in report.scores.items():
        assert f" {'–' if math.isnan(value) else f'{value:.3f}'} " in rows[name]
    for row in report.class_rows():
        assert (row["IoU"] is not None) == (row["name"] in rows)
        assert row["IoU"] is None or f"{row['IoU']:.3f}" in rows[row["name"]]


@pytest.mark.parametrize("bins", ["8,16,32,64,96", "4,8,16,24,32,48,64,80,96"])
def test_many_bins_leave_columns_out_and_say_so(capsys, data, monkeypatch, bins):
    monkeypatch.setenv("COLUMNS", "80")
    command = ("score", data.predictions, data.voc, "--split", "val", "--bins", bins, "--bootstrap", 0)
    shown = good(capsys, *command)
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "a wider terminal or --format csv shows them all" in shown
    monkeypatch.setenv("COLUMNS", "200")
    assert "do not fit" not in good(capsys, *command)


def test_csv(capsys, data, score):
    shown = good(capsys, "score", data.predictions, data.voc, "--split", "val", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(shown)))
    expected = json.loads(score())
    assert [r["class"] for r in rows] == ["(all)", *(c["name"] for c in expected["classes"])]
    assert float(rows[0]["IA-IoU"]) == expected["scores"]["IA-mIoU"]
    assert float(rows[0]["IA_S"]) == expected["scores"]["IA_S"]
    for row, entry in zip(rows[1:], expected["classes"], strict=True):
        assert (float(row["IoU"]) if row["IoU"] else None) == entry["IoU"]
        assert (float(row["IA_S"]) if row["IA_S"] else None) == entry["S"]["IA-IoU"]
        assert int(row["phantoms"]) == entry["phantoms"]["count"]


def test_markdown_and_latex(capsys, data):
    args = ("score", data.predictions, data.voc, "--bootstrap", 20, "--format")
    markdown, latex = good(capsys, *args, "markdown"), good(capsys, *args, "latex")
    tables = [part.splitlines() for part in markdown.split("\n\n")[:2]]
    for table in tables:
        assert len({line.count("|") for line in table}) == 1
        assert re.fullmatch(r"\| ---( \| ---:)+ \|", table[1])
    assert [line.split(" | ")[0] for line in tables[0][2:5]] == ["| mIoU", "| IA-mIoU", "| IA-mIoU_fg"]
    assert "Warning: 1 split was taken, though there are others (train): val. Choose with --split." in markdown
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2
    assert r"IA-mIoU\_fg & " in latex and "% Warning: 1 split was taken" in latex
    assert not re.search(r"(?<!\\)[_&%#](?! )", re.sub(r"(?m)^%.*$", "", latex))


def test_threads_and_the_order_of_files_do_not_matter(score, data, tmp_path):
    expected = score("--threads", 1)
    assert score("--threads", 2) == score("--threads", 5) == expected
    for seed in range(2):
        images = list(data.images)
        random.Random(seed).shuffle(images)
        shuffled = fakes.prediction_folder(tmp_path / f"p{seed}", images)
        root = fakes.voc_devkit(tmp_path / f"voc{seed}", images)
        assert score(predictions=shuffled, truth=(root,)) == expected


def test_every_packing_gives_the_same(score, data):
    expected = score()
    for packing in data.packings:
        assert score(predictions=packing) == expected
    flat = ("--semantic", data.semantic, "--instances", data.instances, "--list", data.list)
    assert score(truth=flat) == expected


def test_split_and_list_choose_images(score, data, tmp_path):
    train = json.loads(score(truth=(data.voc, "--split", "train")))
    assert train["images"] == 4
    assert train["warnings"] == [
        "2 predictions are of an image outside the split: 2007_000005, 2007_000006. Ignored.",
    ]
    listed = data.voc / "ImageSets" / "Segmentation" / "train.txt"
    assert json.loads(score(truth=(data.voc, "--list", listed))) == train
    (tmp_path / "two.txt").write_text("2007_000001\n2007_000002\n")
    two = score(truth=(data.voc, "--list", tmp_path / "two.txt"))
    assert json.loads(two)["images"] == 2
    assert json.loads(two)["digest"] != train["digest"]


def test_classes_from_a_file(score, capsys, data, tmp_path):
    (tmp_path / "mine.txt").write_text("\n".join(iamiou.load_classes("voc").names[:16]) + "\n")
    mine, voc = json.loads(score("--classes", tmp_path / "mine.txt")), json.loads(score())
    assert [c["name"] for c in mine["classes"]] == [c["name"] for c in voc["classes"]][:16]
    assert mine["scores"] == voc["scores"]
    assert mine["digest"] != voc["digest"]


def test_bins(score):
    found = {bins: json.loads(score("--bins", bins)) for bins in ("16,64,128", "64", "32,96")}
    assert [k for k in found["16,64,128"]["scores"] if k.startswith("IA_")] == ["IA_1", "IA_2", "IA_3", "IA_4"]
    assert [k for k in found["64"]["scores"] if k.startswith("IA_")] == ["IA_S", "IA_L"]
    for result in found.values():
        names = [k.removeprefix("IA_") for k in result["scores"] if k.startswith("IA_")]
        counted = [sum(c[name]["instances"] for c in result["classes"]) for name in names]
        assert sum(counted) == found["32,96"]["support"]["IA-mIoU_fg"]["instances"]
        assert counted == [result["support"][f"IA_{name}"]["instances"] for name in names]
        assert result["scores"]["IA-mIoU"] == found["32,96"]["scores"]["IA-mIoU"]


def test_plain_components(score, capsys, data, tmp_path):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 3, s.semantic.shape, dtype=np.uint8) for s in data.images]
    images = [fakes.Scene(s.id, s.semantic, s.instance, n) for s, n in zip(data.images, noise, strict=True)]
    noisy = fakes.prediction_folder(tmp_path / "noisy", images)
    rules = ("nested", "plain", "plain --connectivity 4")
    found = [json.loads(score("--components", *rule.split(), predictions=noisy)) for rule in rules]
    assert len({d["scores"]["mIoU"] for d in found}) == 1
    assert len({d["scores"]["IA-mIoU"] for d in found}) == 3
    assert [d["options"]["connectivity"] for d in found] == [8, 8, 4]
    sentence = refused(capsys, "score", data.predictions, data.voc, "--connectivity", 4)
    assert sentence == "The nested rule is defined for 8 neighbours; use connectivity 4 with components 'plain'."


def test_miou_alone(score, capsys, data):
    found = json.loads(score("--metrics", "miou"))
    assert list(found["scores"]) == ["mIoU", "mIoU_union", "mIoU_per_image", "precision", "recall"]
    shown = good(capsys, "score", data.predictions, data.voc, "--split", "val", "--metrics", "miou")
    assert "IA" not in shown and "phantoms" not in shown and shown.startswith("6 images ")


def test_void_in_predictions(score, capsys, data, tmp_path):
    images = [fakes.Scene(s.id, s.semantic, s.instance, s.prediction.copy()) for s in data.images]
    images[1].prediction[:3, :5] = 255
    voided = fakes.prediction_folder(tmp_path / "void", images)
    sentence = refused(capsys, "score", voided, data.voc, "--split", "val")
    assert sentence.startswith("1 prediction contains the void label 255: 2007_000002 (15 pixels). ")
    images[1].prediction[:3, :5] = 0
    background = fakes.prediction_folder(tmp_path / "background", images)
    result = json.loads(score("--pred-void", "background", predictions=voided))
    assert result["scores"] == json.loads(score(predictions=background))["scores"]
    assert result["options"]["pred_void"] == "background"


def test_missing_predictions(score, capsys, data, tmp_path):
    some = fakes.prediction_folder(tmp_path / "some", data.images[:4])
    sentence = refused(capsys, "score", some, data.voc, "--split", "val")
    assert sentence == (
        "2 images have no prediction: 2007_000005, 2007_000006. Predict every image, or add `--missing background` "
        "to count them as all background."
    )
    result = json.loads(score("--missing", "background", predictions=some))
    assert result["warnings"] == [
        "2 images have no prediction: 2007_000005, 2007_000006. Counted as all background.",
    ]
    empty = [fakes.Scene(s.id, s.semantic, s.instance, s.prediction * (k < 4)) for k, s in enumerate(data.images)]
    filled = fakes.prediction_folder(tmp_path / "filled", empty)
    assert json.loads(score(predictions=filled))["scores"] == result["scores"]


def test_bootstrap_and_seed(capsys, data):
    args = ("score", data.predictions, data.voc, "--format", "json", "--bootstrap")
    first, again, other, none = (
        json.loads(good(capsys, *args, *more)) for more in ((50,), (50, "--seed", 0), (50, "--seed", 1), (0,))
    )
    assert first == again
    assert first["intervals"] != other["intervals"] and first["scores"] == other["scores"] == none["scores"]
    assert none["intervals"] == {}
    for name, (low, high) in first["intervals"].items():
        assert low <= high, name


def test_coco(capsys, tmp_path):
    images = fakes.scenes(3, seed=1, labels=(1, 3, 17))
    truth = fakes.coco_truth(tmp_path / "truth.json", images, COCO.names)
    results = fakes.coco_results(tmp_path / "results.json", images)
    args = ("score", results, truth, "--classes", "coco", "--format", "json", "--bootstrap", 0)
    found = json.loads(good(capsys, *args))
    assert len(found["classes"]) == 81 and found["instances_from"] == "annotation"
    nothing = json.loads(good(capsys, *args, "--score-threshold", 1.5))
    assert nothing["scores"]["IA-mIoU_fg"] == 0 < found["scores"]["IA-mIoU_fg"]


def test_usage(capsys, data):
    assert run(capsys, "--version").out == f"iamiou {iamiou.__version__}\n"
    for arguments in (
        ("scor",),
        ("score",),
        ("score", data.predictions, data.voc, "--bin", "3"),
        ("score", data.predictions, data.voc, "--threads", "0"),
        ("score", data.predictions, data.voc, "--format", "xml"),
        ("score", data.predictions, data.voc, data.voc),
    ):
        result = run(capsys, *arguments)
        assert (result.code, result.out) == (2, "")
        assert "Try 'iamiou" in result.err and "Error: " in result.err
