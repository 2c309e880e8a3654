"""The numbers that papers have published: whole, with a source each, and in the units that we use."""

from __future__ import annotations

import csv

import pytest

from iamiou import published as module
from iamiou.published import published

NUMBERS = published()


def test_every_number_has_a_source_and_known_words() -> None:
    assert len(NUMBERS) > 150
    for p in NUMBERS:
        assert p.method and p.source and p.metric == "mIoU"
        assert p.dataset in ("voc2012", "coco2014") and p.split in ("train", "val", "test")
        assert p.stage in ("cam", "pseudo", "segmentation", "") and p.supervision in ("image", "full")
        assert 0.15 < p.value < 0.9
        assert p.year is None or 2016 <= p.year <= 2026


def test_no_number_stands_twice() -> None:
    keys = [(p.method, p.dataset, p.split, p.stage, p.backbone, p.initialisation, p.crf, p.printed) for p in NUMBERS]
    assert len(set(keys)) == len(keys)


def test_values_are_the_printed_ones() -> None:
    with open(module._FILE, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [p.printed for p in NUMBERS] == [row["value"] for row in rows]
    for p in NUMBERS:
        assert p.value == pytest.approx(float(p.printed) / 100, abs=1e-12)


@pytest.mark.parametrize(
    ("dataset", "method", "printed"),
    [
        ("voc2012-val", "SFC", ["71.2"]),
        ("voc2012-test", "SFC", ["72.5"]),
        ("coco2014-val", "SFC", ["46.8"]),
        ("voc2012-val", "CLIP-ES", ["71.1", "73.8"]),
        ("voc2012-val", "ORANDNet (ResNet-50 + ViT)", ["70.3"]),
    ],
)
def test_the_reference_methods(dataset: str, method: str, printed: list[str]) -> None:
    assert [p.printed for p in published(dataset, stage="segmentation") if p.method == method] == printed


def test_what_was_chosen_with_pixel_labels_says_so() -> None:
    (mask,) = (p for p in published("voc2012-train", stage="pseudo") if p.method == "SFC")
    assert mask.printed == "73.7"
    assert "selected on pixel labels" in mask.note


def test_an_unknown_data_set_has_none() -> None:
    assert published("cityscapes-val") == ()
