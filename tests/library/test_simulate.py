"""The simulation behind the choice of the intervals' rule: its draws are what it says, and the command runs."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from iamiou.scores import headline
from iamiou.sums import means_of, ratios, summarise
from tests.made_counts import random_counts, repeated

FOLDER = Path(__file__).parents[2] / "benchmarks" / "intervals"


@pytest.fixture
def simulate(monkeypatch):
    """Import the script as a person runs it, from its own folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("simulate")


def test_a_drawn_data_set_scores_like_its_images(simulate):
    counts = random_counts(12, seed=4)
    images = np.array([3, 3, 0, 11, 7, 3])
    sample = simulate.draw(summarise(counts, (32, 96)), images)
    expected = headline(repeated(counts, np.bincount(images, minlength=12)))
    scored = means_of(sample.scores, ratios(sample, sample.totals()))
    for mean, value in zip(sample.scores, scored, strict=True):
        if mean.name != "iIoU":  # its mean areas stay those of the population
            assert value == pytest.approx(expected[mean.name], abs=1e-12, nan_ok=True)


def test_the_truth_over_the_classes_shown_and_over_all(simulate):
    population = summarise(random_counts(20, seed=1), (32, 96))
    whole = simulate.truths(population, population)
    assert all(shown == pytest.approx(everything) for shown, everything in whole.values())
    part = simulate.truths(population, simulate.draw(population, np.arange(2, 6)))
    assert part["mIoU"][1] == whole["mIoU"][1]
    assert part["mIoU"][0] != part["mIoU"][1]  # the class of image 0 is missing


def test_the_command(simulate, monkeypatch, tmp_path):
    monkeypatch.delenv("IAMIOU_REAL_DATA", raising=False)
    monkeypatch.setattr(simulate, "POPULATION", 300)
    monkeypatch.setattr(simulate, "SIZES", (40,))
    done = CliRunner().invoke(
        simulate.main,
        ["--trials", "2", "--resamples", "50", "--out", str(tmp_path / "out.json")],
        catch_exceptions=False,
    )
    assert done.exit_code == 0
    assert "| 40 | bayesian-t |" in done.output
    result = json.loads((tmp_path / "out.json").read_text())
    rows = result["coverage"]["like VOC"]
    assert len(rows) == 4 * len(simulate.SCORES)
    assert all(0 <= row["shown"] <= 1 and row["width"] >= 0 for row in rows if row["intervals"])
    assert {row["same"] for row in result["pairs"]["many small"]} == {True, False}
