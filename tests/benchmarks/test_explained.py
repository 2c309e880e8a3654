"""The sheet of pictures: each is what its stage has left, and every stage that it names exists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from iamiou.errors import IncompleteError
from iamiou.masks import read_label_map
from iamiou_benchmarks import explained
from iamiou_benchmarks.cams.maps import ClassMaps, load_maps
from iamiou_benchmarks.running.pipeline import run_stage
from iamiou_benchmarks.running.runfile import load_run
from tests.benchmarks.small_runs import little

DOCS = Path(__file__).parents[2] / "docs"
CHANGES = ("irn.iterations=4", "irn.batch=4", "irn.crop=32", "irn.exponent=2")
ID = "train_00001"


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    made = little(tmp_path_factory.mktemp("run"), *CHANGES, name="shapes-tiny-irn-sb")
    for stage in made.run.stages[:-1]:
        run_stage(made, stage)
    return made


def picture(plan, title, stage):
    return explained.maker(plan, explained.Panel(title, "", stage))(ID)


def test_pictures_are_what_the_stages_have_left(plan):
    image, _ = picture(plan, "image", "")
    assert (image == plan.data.read(ID)).all()
    truth, _ = picture(plan, "truth", "")
    assert (truth == explained.coloured(plan.data.truth.load(ID)[0])).all() and truth.any()
    kept = read_label_map((plan.folder(plan.run.stage("pseudo")) / "labels" / f"{ID}.png").read_bytes(), ID)
    assert (picture(plan, "pseudo-mask", "pseudo")[0] == explained.coloured(kept)).all()
    maps = load_maps(plan.folder(plan.run.stage("cam")) / "maps" / f"{ID}.npz")
    assert (picture(plan, "CAM", "cam")[1] == (maps.full.max(0) > maps.threshold)).all()
    boundary, lines = picture(plan, "IRN's boundaries", "irn")
    assert lines is None and boundary.shape[2] == 3 and len(np.unique(boundary)) > 3
    assert picture(plan, "prediction", "segment")[0].shape == truth.shape


def test_the_prediction_is_that_of_the_stage_predict(plan):
    stage = plan.run.stage("predict")
    run_stage(plan, stage)
    image_id = plan.data.splits["test"][0]
    kept = read_label_map((plan.folder(stage) / "predictions" / f"{image_id}.png").read_bytes(), image_id)
    found, _ = explained.maker(plan, explained.Panel("prediction", "", "segment"))(image_id)
    assert (found == explained.coloured(kept)).all()


def test_a_map_of_1_hides_the_image_and_one_of_0_shows_it():
    image = np.full((1, 2, 3), 200, np.uint8)
    maps = ClassMaps(np.array([0]), np.zeros((1, 1, 1), np.float32), np.array([[[1.0, 0.0]]], np.float32), 0.5)
    shown, outlined = explained.laid_over(image, maps)
    assert shown.tolist() == [[[255, 0, 0], [160, 160, 160]]] and outlined.tolist() == [[True, False]]


def test_a_stage_that_has_not_run_is_named(tmp_path):
    fresh = little(tmp_path)
    with pytest.raises(IncompleteError, match=r"The stage cam of shapes-tiny-cam-sb has not run; type: iamiou bench"):
        explained.maker(fresh, explained.Panel("CAM", "", "cam"))


def test_every_panel_has_a_run_and_a_stage_and_the_sheet_is_in_the_docs():
    for panel in explained.PANELS:
        run = load_run(f"{explained.DATA}-{panel.run}")
        assert not panel.stage or run.stage(panel.stage)
    assert len({p.title for p in explained.PANELS}) == len(explained.PANELS) == 2 * explained._WIDE
    assert (DOCS / "images" / "methods.png").stat().st_size < 300_000
    text = (DOCS / "baselines.md").read_text(encoding="utf-8")
    assert "images/methods.png" in text and "python -m iamiou_benchmarks.explained" in text
    assert all(f"| {p.title} |" in text for p in explained.PANELS)
