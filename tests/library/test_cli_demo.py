"""``iamiou demo``: two models that mIoU cannot tell apart and IA-mIoU can, the same on every machine."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from iamiou.demo import MODELS, write_demo
from iamiou.masks import read_label_map
from iamiou.report import load
from tests.command import files, good, process, refused


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run the demo as a user does."""
    root = tmp_path_factory.mktemp("demo") / "here"
    done = process("demo", root)
    assert (done.returncode, done.stderr.replace("Compiling the kernels, once (some seconds) ...\n", "")) == (0, "")
    return root, done.stdout


def test_equal_in_miou_and_apart_in_small_objects(ran):
    steady, keen = (load(ran[0] / f"{model}.npz").scores for model in MODELS)
    assert abs(steady["mIoU"] - keen["mIoU"]) < 0.005
    assert keen["IA_S"] - steady["IA_S"] > 0.3
    assert keen["IA-mIoU"] - steady["IA-mIoU"] > 0.1
    assert abs(steady["IA_L"] - keen["IA_L"]) < 0.1


def test_it_scores_compares_and_says_what_to_look_at(ran):
    root, shown = ran
    for model in MODELS:
        outputs = f"--report {root}/{model}.html --save {root}/{model}.npz"
        _, _, after = shown.partition(f"\n$ iamiou score {root}/predictions/{model} {root} {outputs}\n")
        scores = load(root / f"{model}.npz").scores
        told = dict(re.findall(r"^ *([\w-]+) +(\d\.\d{3}) ", after.split("\n\n")[0], re.MULTILINE))
        assert told == {name: f"{scores[name]:.3f}" for name in ("mIoU", "IA-mIoU", "IA_S", "IA_L")}
        assert (root / f"{model}.html").read_text().rstrip().endswith("</html>")
    assert f"\n$ iamiou compare {root}/steady.npz {root}/keen.npz\n" in shown
    assert "mIoU does not tell A and B apart" in re.sub(r"\s+", " ", shown)
    assert shown.endswith(f"\nNow look at {root}/keen.html and {root}/steady.html in a browser.\n")
    lines = [line for line in shown.splitlines() if str(root) not in line]
    assert max(len(line) for line in lines) <= 80


def test_it_leaves_a_devkit_and_nothing_half_written(ran):
    found = files(ran[0])
    folders = ["JPEGImages", "SegmentationClass", "SegmentationObject", "predictions/keen", "predictions/steady"]
    names = {
        f"{folder}/demo_{k:03}.{'jpg' if folder == 'JPEGImages' else 'png'}" for folder in folders for k in range(20)
    }
    pages = {f"{model}.{kind}" for model in MODELS for kind in ("npz", "html")}
    assert set(found) == names | pages | {"ImageSets/Segmentation/val.txt"}


def test_the_commands_that_it_names_give_the_same(capsys, ran):
    root, shown = ran
    saved = load(root / "keen.npz")
    printed = json.loads(good(capsys, "score", root / "predictions" / "keen", root, "--format", "json"))
    assert (printed["digest"], printed["scores"]) == (saved.digest, saved.to_dict()["scores"])
    verdict = json.loads(good(capsys, "compare", root / "steady.npz", root / "keen.npz", "--format", "json"))["verdict"]
    assert verdict in re.sub(r"\s+", " ", shown)


def test_it_runs_twice(ran):
    root, shown = ran
    before = files(root)
    again = process("demo", root)
    assert (again.returncode, again.stdout) == (0, shown)
    assert files(root) == before


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    first, again, other = (
        files(write_demo(tmp_path / name, images=3, seed=seed)) for name, seed in (("a", 7), ("b", 7), ("c", 8))
    )
    assert first == again
    assert first.keys() == other.keys()
    assert first["SegmentationClass/demo_000.png"] != other["SegmentationClass/demo_000.png"]


def test_the_maps_fit_together(tmp_path):
    root = write_demo(tmp_path / "demo", images=3)
    for k in range(3):
        with Image.open(root / "JPEGImages" / f"demo_{k:03}.jpg") as photo:
            size = photo.height, photo.width
        names = [root / folder / f"demo_{k:03}.png" for folder in ("SegmentationClass", "SegmentationObject")]
        semantic, instance = (read_label_map(name.read_bytes(), name.name) for name in names)
        assert semantic.shape == instance.shape == size
        assert ((semantic > 0) == (instance > 0)).all()
        assert all(len(np.unique(semantic[instance == i])) == 1 for i in np.unique(instance))


def test_a_folder_that_holds_something_else_is_refused(capsys, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    told = f"'{tmp_path}' holds something else; give the demo a folder of its own: iamiou demo DIR"
    assert refused(capsys, "demo", tmp_path) == told
    assert refused(capsys, "demo", tmp_path / "thesis.tex").startswith(f"'{tmp_path}/thesis.tex' holds something else")
    assert files(tmp_path) == {"thesis.tex": b"x"}


def test_a_place_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").write_text("x")
    told = refused(capsys, "demo", tmp_path / "file" / "demo")
    assert told == f"'{tmp_path}/file/demo' cannot be written: '{tmp_path}/file' is a file; choose another place."
