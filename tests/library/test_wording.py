"""The sentences of the report page."""

from __future__ import annotations

import pytest

from iamiou import wording
from iamiou.labels import ClassList
from tests.library.test_html import report_of

TWO = ClassList("two", ("background", "cat", "dog"))


def made(small: int, large: int, images: int = 1, interval=None):
    """Return a report of one small and one large cat an image, with the given hits of 100 and of 10,000 pixels."""
    rows = [row for k in range(images) for row in ((k, 1, 1, 100, small, 0, 1), (k, 2, 1, 10_000, large, 0, 1))]
    report = report_of(TWO, sorted(rows), names=[f"i{k}" for k in range(images)])
    if interval:
        report.intervals["gap_SL"] = interval
    return report


@pytest.mark.parametrize(
    ("small", "large", "interval", "says"),
    [
        (20, 9000, None, "Small objects are segmented less well than large ones."),
        (95, 5000, None, "Small objects are segmented better than large ones here."),
        (90, 9050, None, "These images do not settle whether small objects fare worse."),
        (20, 9000, (0.3, 0.9), "Small objects are segmented less well than large ones."),
        (20, 9000, (-0.1, 0.9), "These images do not settle whether small objects fare worse."),
        (95, 5000, (-0.6, -0.2), "Small objects are segmented better than large ones here."),
    ],
)
def test_the_verdict_follows_the_interval(small, large, interval, says):
    assert wording.gap(made(small, large, interval=interval))[0] == says


def test_the_sentences_give_both_sides_the_gap_and_its_interval():
    _, text = wording.gap(made(20, 9000, interval=(-0.05, 0.75)))
    assert "Over the 1 class with both, IA-IoU is 0.200 on small instances and 0.900 on large ones" in text
    assert "a gap of 0.700 (95 % interval −0.050 to 0.750)" in text
    assert "mIoU alone, at 0.500, does not tell" in text


def test_few_images_are_a_caution_and_five_are_not():
    assert (
        "rests on 4 instances in 4 images, and 1 of 1 class has them in fewer than 5"
        in wording.gap(made(20, 9000, 4))[1]
    )
    assert "rests on" not in wording.gap(made(20, 9000, 5))[1]
    assert wording.thin_note(made(1, 1, 4), 0) == "1 of 1 class in fewer than 5 images"
    assert wording.thin_note(made(1, 1, 5)) == ""


def test_classes_without_both_sizes_are_not_compared():
    rows = [(0, 1, 1, 100, 10, 0, 1), (0, 2, 2, 10_000, 9000, 0, 1)]
    line, text = wording.gap(report_of(TWO, rows))
    assert line == "Sizes cannot be compared here."
    assert "No class has both small and large instances" in text


def test_only_classes_with_both_enter_the_gap():
    rows = [(0, 1, 1, 100, 50, 0, 1), (0, 2, 1, 10_000, 9000, 0, 1), (0, 3, 2, 100, 0, 0, 1)]
    text = wording.gap(report_of(TWO, rows))[1]
    assert "0.500 on small instances and 0.900 on large ones: a gap of 0.400" in text
