"""``iamiou validate``: every problem at once, by the code that scores, with the exit code that score would have."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests import fakes
from tests.command import files, good, process, refused, run

SCENES = fakes.scenes(4, seed=8, shape=(40, 50), labels=(1, 2, 15))
IDS = [s.id for s in SCENES]


@pytest.fixture
def data(tmp_path):
    """Write a devkit of four images and one prediction each."""
    return SimpleNamespace(
        voc=fakes.voc_devkit(tmp_path / "voc", SCENES),
        predictions=fakes.prediction_folder(tmp_path / "predictions", SCENES),
    )


@pytest.fixture
def spoiled(data):
    """Spoil the predictions in five ways, two of which are only odd."""
    (data.predictions / f"{IDS[0]}.png").unlink()
    (data.predictions / f"{IDS[1]}.png").write_bytes(b"GIF89a")
    fakes.prediction_folder(data.predictions, [replace(SCENES[2], prediction=np.full((40, 50), 77, np.uint8))])
    (data.predictions / "readme.md").write_text("x")
    (data.predictions / "other.png").write_bytes(b"")
    return data


def test_good_predictions(capsys, data):
    shown = good(capsys, "validate", data.predictions, data.voc)
    assert shown == f"{data.predictions}: 4 images expected, can be scored.\n"
    found = json.loads(good(capsys, "validate", data.predictions, data.voc, "--format", "json"))
    assert found == {"valid": True, "images": 4, "problems": []}


def test_archives_are_validated_like_folders(capsys, spoiled, tmp_path):
    pack = fakes.archive(tmp_path / "p.zip", spoiled.predictions, inside="")
    shown = [run(capsys, "validate", p, spoiled.voc, "--format", "json") for p in (spoiled.predictions, pack)]
    assert [r.code for r in shown] == [2, 2]
    first, second = (json.loads(r.out)["problems"] for r in shown)
    assert first == second


def test_several_kinds_at_once(capsys, spoiled):
    result = run(capsys, "validate", spoiled.predictions, spoiled.voc, "--format", "json")
    found = json.loads(result.out)
    assert (result.code, result.err, found["valid"], found["images"]) == (2, "", False, 4)
    assert {p["kind"]: (p["fatal"], p["count"], p["names"]) for p in found["problems"]} == {
        "missing-prediction": (True, 1, [IDS[0]]),
        "not-a-png": (True, 1, [f"{IDS[1]}.png (GIF)"]),
        "prediction-label": (True, 1, [f"{IDS[2]} (label 77 in 2000 pixels)"]),
        "ignored-files": (False, 1, ["readme.md"]),
        "unknown-prediction": (False, 1, ["other"]),
    }
    assert all(set(p) == {"kind", "fatal", "count", "what", "names", "hint"} for p in found["problems"])


def test_the_text_says_what_score_says(capsys, spoiled):
    shown = run(capsys, "validate", spoiled.predictions, spoiled.voc)
    told = refused(capsys, "score", spoiled.predictions, spoiled.voc).splitlines()
    lines = shown.out.splitlines()
    assert (shown.code, shown.err, len(told)) == (2, "", 5)
    assert [line.split("]: ")[1] for line in lines[:-1]] == [
        line.removeprefix("Error: ").removeprefix("Warning: ") for line in told
    ]
    assert [line.split(":")[0] for line in lines[:-1]] == [
        "problem [missing-prediction]",
        "problem [not-a-png]",
        "problem [prediction-label]",
        "warning [ignored-files]",
        "warning [unknown-prediction]",
    ]
    assert lines[-1] == f"{spoiled.predictions}: 4 images expected, 3 kinds of problems."


def test_of_many_names_the_first_are_shown_and_json_has_all(capsys, tmp_path):
    images = [replace(SCENES[0], id=f"image{k}") for k in range(12)]
    voc = fakes.voc_devkit(tmp_path / "voc", images)
    some = fakes.prediction_folder(tmp_path / "p", images[:2])
    sentence = "10 images have no prediction: image10, image11, image2, image3, image4 and 5 more. Predict every image"
    assert refused(capsys, "score", some, voc).startswith(sentence)
    shown = run(capsys, "validate", some, voc).out.splitlines()
    assert shown[0].startswith(f"problem [missing-prediction]: {sentence}")
    assert shown[1:] == [f"{some}: 12 images expected, 1 kind of problem.", "Every name is listed by --format json."]
    (problem,) = json.loads(run(capsys, "validate", some, voc, "--format", "json").out)["problems"]
    assert problem["names"] == sorted(f"image{k}" for k in range(2, 12))


def test_warnings_alone_are_valid(capsys, data):
    (data.predictions / "readme.md").write_text("x")
    result = run(capsys, "validate", data.predictions, data.voc)
    assert (result.code, result.out) == (
        0,
        "warning [ignored-files]: 1 file or folder is no label map: readme.md. Ignored.\n"
        f"{data.predictions}: 4 images expected, can be scored.\n",
    )


def test_options_decide_what_is_a_problem(capsys, spoiled):
    (spoiled.predictions / f"{IDS[1]}.png").unlink()
    args = ("validate", spoiled.predictions, spoiled.voc, "--format", "json", "--missing", "background")
    kinds = [p["kind"] for p in json.loads(run(capsys, *args).out)["problems"] if p["fatal"]]
    assert kinds == ["prediction-label"]
    names = [f"class {k}" for k in range(80)]
    (spoiled.voc / "names.txt").write_text("\n".join(names))
    assert run(capsys, *args, "--classes", spoiled.voc / "names.txt").code == 0


def test_a_problem_of_the_ground_truth_is_reported_too(capsys, data):
    (data.voc / "SegmentationObject" / f"{IDS[3]}.png").unlink()
    result = run(capsys, "validate", data.predictions, data.voc, "--format", "json")
    found = json.loads(result.out)
    assert (result.code, found["valid"], found["images"]) == (2, False, None)
    assert [(p["kind"], p["names"]) for p in found["problems"]] == [("missing-instance-map", [IDS[3]])]
    shown = run(capsys, "validate", data.predictions, data.voc).out
    assert shown.endswith(f"{data.predictions}: 1 kind of problem.\n")


def test_what_cannot_be_opened_is_an_error(capsys, data, tmp_path):
    for style in ("text", "json"):
        told = refused(capsys, "validate", tmp_path / "nowhere", data.voc, "--format", style)
        assert told == (
            f"The predictions '{tmp_path}/nowhere' do not exist; give a folder, an archive or a COCO results file."
        )


def test_nothing_is_written(capsys, spoiled):
    root = spoiled.voc.parent
    before = files(root)
    run(capsys, "validate", spoiled.predictions, spoiled.voc)
    assert files(root) == before


def test_as_a_process(data):
    done = process("validate", data.predictions, data.voc)
    assert (done.returncode, done.stdout) == (0, f"{data.predictions}: 4 images expected, can be scored.\n")
    (data.predictions / f"{IDS[0]}.png").unlink()
    assert process("validate", data.predictions, data.voc).returncode == 2
