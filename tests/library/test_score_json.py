"""The score json keeps to its schema, and the schema is strict enough to notice when it does not."""

from __future__ import annotations

import copy
import json
from importlib.resources import files

import jsonschema
import pytest

import iamiou
from iamiou.demo import write_demo
from tests import fakes
from tests.command import good

SCHEMA = json.loads(files("iamiou").joinpath("schemas/score.schema.json").read_text(encoding="utf-8"))
CHECK = jsonschema.Draft202012Validator(SCHEMA)
LABELS = (1, 2, 15)


def no_constant(name: str):
    raise AssertionError(f"{name} is no json")


def parse(text: str) -> dict:
    """Read strict json: no NaN, no Infinity."""
    return json.loads(text, parse_constant=no_constant)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Write a devkit with predictions of 5 images."""
    root = tmp_path_factory.mktemp("data")
    images = fakes.scenes(5, seed=3, shape=(120, 150), labels=LABELS)
    fakes.voc_devkit(root / "voc", images)
    fakes.prediction_folder(root / "predictions", images)
    (root / "names.txt").write_text("\n".join(iamiou.load_classes("voc").names[:16]))
    return root


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--bootstrap 0",
        "--metrics miou",
        "--metrics miou --bootstrap 0 --bins 64",
        "--bins 16,64,128",
        "--bins 64 --components plain --connectivity 4",
        "--bins 8,16,32,64,128,256,512,1024,2048,4096",
    ],
)
def test_what_score_prints_is_valid(capsys, data, options):
    found = parse(good(capsys, "score", data / "predictions", data / "voc", "--format", "json", *options.split()))
    CHECK.validate(found)
    assert list(found["support"]) and set(found["support"]) == set(found["scores"]) >= set(found["intervals"])
    assert [row["id"] for row in found["classes"]] == list(range(21))
    assert bool(found["intervals"]) == ("--bootstrap 0" not in options)


def test_the_demo_is_valid(capsys, tmp_path):
    root = write_demo(tmp_path / "demo", images=3)
    found = parse(good(capsys, "score", root / "predictions" / "keen", root, "--format", "json", "--bootstrap", 20))
    CHECK.validate(found)
    assert (found["images"], found["instances_from"], found["warnings"]) == (3, "annotation", [])
    assert {row["name"]: row["IoU"] for row in found["classes"]}["tvmonitor"] is None


def test_truth_without_instances_says_so(capsys, data):
    plain = data / "voc" / "SegmentationClass"
    found = parse(good(capsys, "score", data / "predictions", plain, "--format", "json", "--bootstrap", 0))
    CHECK.validate(found)
    assert found["instances_from"] == "components"
    assert found["warnings"][0].startswith("Instances are connected components of the ground truth")
    pixels = parse(
        good(capsys, "score", data / "predictions", plain, "--format", "json", "--bootstrap", 0, "--metrics", "miou")
    )
    CHECK.validate(pixels)
    assert (pixels["instances_from"], pixels["warnings"]) == ("components", [])


def test_a_class_file_and_warnings_are_valid(capsys, data, tmp_path):
    extra = fakes.prediction_folder(tmp_path / "p", fakes.scenes(5, seed=3, shape=(120, 150), labels=LABELS))
    (extra / "notes.txt").write_text("x")
    names = data / "names.txt"
    found = parse(good(capsys, "score", extra, data / "voc", "--classes", names, "--format", "json", "--bootstrap", 0))
    CHECK.validate(found)
    assert len(found["classes"]) == 16
    assert found["warnings"] == ["1 file or folder is no label map: notes.txt. Ignored."]


def test_arrays_are_valid():
    image = fakes.scene("a", 5, labels=LABELS)
    for instance in (image.instance, None):
        report = iamiou.score(image.prediction, image.semantic, instance)
        CHECK.validate(report.to_dict())
        assert parse(report.to_json()) == json.loads(json.dumps(report.to_dict()))


def test_a_data_set_of_background_only_is_valid():
    image = fakes.scene("a", 5, labels=LABELS)
    report = iamiou.score(image.semantic * 0, image.semantic * 0, image.semantic * 0)
    CHECK.validate(report.to_dict())
    assert (report.to_dict()["scores"]["mIoU"], report.to_dict()["scores"]["IA_S"]) == (1, None)


def test_a_file_of_saved_counts_gives_valid_json(capsys, data, tmp_path):
    from iamiou.report import load

    for metrics in ("all", "miou"):
        args = ("--save", tmp_path / "counts.npz", "--format", "json", "--bootstrap", 0, "--metrics", metrics)
        printed = parse(good(capsys, "score", data / "predictions", data / "voc", *args))
        loaded = load(tmp_path / "counts.npz").to_dict()
        CHECK.validate(json.loads(json.dumps(loaded)))
        assert json.loads(json.dumps(loaded)) == printed


def test_pixel_scores_alone_claim_nothing_about_instances(capsys, data):
    args = ("score", data / "predictions", data / "voc", "--format", "json", "--bootstrap", 0)
    whole, pixels = (parse(good(capsys, *args, "--metrics", m)) for m in ("all", "miou"))
    assert pixels["scores"] == {k: v for k, v in whole["scores"].items() if k in pixels["scores"]}
    for row, other in zip(pixels["classes"], whole["classes"], strict=True):
        kept = ("id", "name", "IoU", "precision", "recall")
        assert [row[k] for k in kept] == [other[k] for k in kept]
        assert (row["instances"], row["S"]["instances"], row["phantoms"]["count"]) == (None, None, None)


BREAKING = {
    "an unknown key": lambda d: d.update(comment="x"),
    "another schema": lambda d: d.update(schema=2),
    "no digest": lambda d: d.pop("digest"),
    "an empty digest": lambda d: d.update(digest=""),
    "instances from nowhere": lambda d: d.update(instances_from=""),
    "a score above 1": lambda d: d["scores"].update(mIoU=57.1),
    "a score as text": lambda d: d["scores"].update(mIoU="0.5"),
    "an unknown score": lambda d: d["scores"].update(Dice=0.5),
    "a score that is missing": lambda d: d["scores"].pop("IA-mIoU"),
    "a bin of another list": lambda d: d["scores"].update(IA_1=0.5),
    "a gap below -1": lambda d: d["scores"].update(gap_SL=-1.5),
    "half an interval": lambda d: d["intervals"].update(mIoU=[0.5]),
    "an interval with null": lambda d: d["intervals"].update(mIoU=[0.5, None]),
    "intervals without bootstrap": lambda d: d["options"].update(bootstrap=0),
    "support without classes": lambda d: d["support"]["mIoU"].pop("classes"),
    "images as a fraction": lambda d: d.update(images=1.5),
    "an unknown option": lambda d: d["options"].update(threads=2),
    "an option's other value": lambda d: d["options"].update(missing="skip"),
    "a class without a name": lambda d: d["classes"][1].pop("name"),
    "a class without a bin": lambda d: d["classes"][1].pop("M"),
    "a class with one bin more": lambda d: d["classes"][1].update(XL={}),
    "instances below 0": lambda d: d["classes"][1]["S"].update(instances=-1),
    "instances not counted": lambda d: d["classes"][1].update(instances=None),
    "phantoms without pixels": lambda d: d["classes"][1]["phantoms"].pop("pixels"),
    "instance scores with miou": lambda d: d["options"].update(metrics="miou"),
    "a warning that is empty": lambda d: d["warnings"].append(""),
}


@pytest.fixture(scope="module")
def document(data):
    report = iamiou.evaluate(data / "predictions", data / "voc", bootstrap=20)
    return json.loads(report.to_json())


@pytest.mark.parametrize("what", BREAKING)
def test_a_wrong_document_is_noticed(document, what):
    CHECK.validate(document)
    wrong = copy.deepcopy(document)
    BREAKING[what](wrong)
    with pytest.raises(jsonschema.ValidationError):
        CHECK.validate(wrong)
