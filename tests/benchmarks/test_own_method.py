"""A method of one's own: the example of CONTRIBUTING.md runs, and a run file alone cannot make anything else run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from iamiou.errors import InputError
from iamiou_benchmarks.cams.maps import load_maps
from iamiou_benchmarks.running.pipeline import execute
from iamiou_benchmarks.running.runfile import load_run
from tests.benchmarks.small_runs import little

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "shapes-tiny-smooth.toml"
METHOD = ROOT / "examples" / "own_methods" / "smooth.py"


@pytest.fixture
def examples(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    yield
    for name in [n for n in sys.modules if n.partition(".")[0] == "own_methods"]:
        del sys.modules[name]


def test_the_example_runs_is_scored_and_feeds_the_stages_after_it(examples, tmp_path):
    plan = little(tmp_path / "cache", name=str(EXAMPLE))
    result = execute(plan, tmp_path / "run")
    names = [s["name"] for s in result["stages"]]
    assert names == ["classifier", "cam", "smooth", "pseudo", "segment", "predict"]
    scores = {s["name"]: s["scores"] for s in result["stages"]}
    assert set(scores["smooth"]) == {"train", "train oracle"}
    assert scores["pseudo"]["train"]["mIoU"] == scores["smooth"]["train"]["mIoU"]
    cam, smooth = (plan.folder(plan.run.stage(name)) / "maps" for name in ("cam", "smooth"))
    before, after = (load_maps(folder / "train_00000.npz") for folder in (cam, smooth))
    assert after.fg_ids.tolist() == before.fg_ids.tolist() and after.full.shape == before.full.shape
    assert after.full.max() < before.full.max() and after.threshold == scores["smooth"]["train"]["threshold"]


def test_the_example_computes_what_it_says(examples):
    from own_methods.smooth import Options, smoothed

    rng = np.random.default_rng(0)
    image, maps = rng.normal(size=(3, 5, 6)), rng.random((2, 5, 6))
    wanted = maps.copy()
    for _ in range(2):
        before = wanted.copy()
        for y, x in np.ndindex(5, 6):
            around = [(r, c) for r in (y - 1, y, y + 1) for c in (x - 1, x, x + 1) if 0 <= r < 5 and 0 <= c < 6]
            weight = [np.exp(-((image[:, y, x] - image[:, r, c]) ** 2).sum() / (2 * 0.8**2)) for r, c in around]
            wanted[:, y, x] = sum(w * before[:, r, c] for w, (r, c) in zip(weight, around, strict=True)) / sum(weight)
    found = smoothed(torch.from_numpy(maps), torch.from_numpy(image), Options(steps=2, width=0.8))
    assert np.allclose(found.numpy(), wanted)


def test_the_example_is_short_and_the_page_leads_to_it():
    assert len(METHOD.read_text(encoding="utf-8").splitlines()) < 100
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Add a method")[2].partition("\n## ")[0]
    assert "examples/own_methods/smooth.py" in page and "examples/shapes-tiny-smooth.toml" in page
    assert 10 < len(page.splitlines()) < 60


def test_a_run_file_imports_nothing_that_is_no_method(tmp_path, monkeypatch):
    package = tmp_path / "strange"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "trap.py").write_text("raise SystemExit('it ran')\n")
    (package / "torn.py").write_text("def run(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    mine = tmp_path / "mine.toml"
    for name, message in (
        ("strange.trap", "'strange.trap' is no method: it has no Options, INPUTS, VERSION, run"),
        ("strange.torn", "'strange.torn' cannot be read"),
        ("strange.none", r"'strange.none' cannot be imported .*PYTHONPATH"),
        ("own_methods.smooth", r"'own_methods.smooth' cannot be imported .*PYTHONPATH"),
    ):
        mine.write_text(f"[stages.truth]\nmethod = '{name}'\n", encoding="utf-8")
        with pytest.raises(InputError, match=message):
            load_run(str(mine))


def test_the_trainer_knows_no_method_and_no_method_has_a_loop_of_its_own():
    source = ROOT / "benchmarks" / "iamiou_benchmarks"
    assert "iamiou_benchmarks.methods" not in (source / "training" / "trainer.py").read_text(encoding="utf-8")
    looping = {p.stem for p in (source / "methods").glob("*.py") if ".backward(" in p.read_text(encoding="utf-8")}
    assert looping == {"probe"}  # which solves a convex problem, with LBFGS
