"""The study: weights have the wanted shares and no others, and without a wish the scores are iamiou's own."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.optimize import minimize

from iamiou.resample import intervals
from iamiou.scores import DEFAULT_BINS
from iamiou_builders import study

SIZES = np.array([[3, 1, 0], [0, 2, 1], [0, 0, 2], [1, 1, 1], [0, 1, 0], [2, 0, 4]], float)


def test_tilt_reaches_the_shares_with_least_change():
    wanted = (0.3, 0.3, 0.4)
    weights = study.tilt(SIZES, wanted, np.ones(6))
    assert weights.sum() == pytest.approx(6)
    total = weights @ SIZES
    assert total / total.sum() == pytest.approx(wanted, abs=1e-6)

    # A general optimiser, which knows nothing of the dual, finds no weights nearer to equal ones.
    def entropy(w):
        return float((w * np.log(np.maximum(w, 1e-12))).sum())

    moments = SIZES - SIZES.sum(axis=1, keepdims=True) * wanted
    rules = [{"type": "eq", "fun": lambda w: w @ moments[:, :2]}, {"type": "eq", "fun": lambda w: w.sum() - 6}]
    other = minimize(entropy, np.ones(6), bounds=[(0, None)] * 6, constraints=rules, method="SLSQP", tol=1e-10)
    assert weights == pytest.approx(other.x, abs=1e-3)


def test_tilt_keeps_weights_that_have_the_shares_and_images_left_out():
    own = SIZES.sum(axis=0) / SIZES.sum()
    assert study.tilt(SIZES, own, np.ones(6)) == pytest.approx(np.ones(6))
    weights = study.tilt(SIZES, (0.3, 0.3, 0.4), np.array([2.0, 1, 0, 1, 1, 1]))
    assert weights[2] == 0 and weights.sum() == pytest.approx(6)


@pytest.mark.parametrize("wanted", [(0.9, 0.1, 0.0), (0.0, 0.0, 1.0 - 1e-4), (0.8, 0.0, 0.2)])
def test_tilt_says_so_when_no_weights_have_the_shares(wanted):
    sizes = SIZES[[0, 1, 3]]  # no image with more small ones than three of four, none with large ones alone
    assert study.tilt(sizes, wanted, np.ones(3)) is None


def test_real_images_as_they_are(real_data):
    counts = study.real_counts(real_data, *study.RUNS["Mask R-CNN"])
    own, others = study.study(counts, resamples=40)
    assert own.images == pytest.approx(len(counts.images))
    from iamiou.scores import headline

    scores = headline(counts, DEFAULT_BINS)
    for name, (value, low, high) in own.scores.items():
        assert value == pytest.approx(scores[name])
        assert low <= high
    assert {round(m.shares[0], 3) for m in others} <= set(study.SHARES)
    moved = study.change(own, others[-1])
    assert moved["mIoU"][0] == pytest.approx(others[-1].scores["mIoU"][0] - scores["mIoU"])
    assert study.change(own, own) == dict.fromkeys(study.SCORES, (0, 0, 0))
    # The same draws by iamiou's own percentile bootstrap: intervals of the images as they are agree but for chance.
    ends = intervals(counts, DEFAULT_BINS, resamples=400, method="percentile")["mIoU"]
    assert own.scores["mIoU"][1:] == pytest.approx(ends, abs=0.06)


def test_command_prints_tables_and_draws(real_data, tmp_path, capsys):
    from click.testing import CliRunner

    figure = tmp_path / "mix.png"
    done = CliRunner().invoke(study.main, [str(real_data), "--figure", str(figure), "--resamples", "10"])
    assert done.exit_code == 0, done.output
    assert "**DINOv3 + PSPNet**" in done.output and "(as they are) | 209 |" in done.output
    again = tmp_path / "again.png"
    CliRunner().invoke(study.main, [str(real_data), "--figure", str(again), "--resamples", "10"])
    assert figure.read_bytes() == again.read_bytes()
    with Image.open(figure) as image:
        assert image.width > 1000
