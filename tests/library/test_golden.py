"""Real predictions on real masks: the numbers of the authors' released program, to twelve digits."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image

import iamiou
from iamiou.labels import VOC
from iamiou.pairs import PairCounter, Rule
from iamiou.scores import class_scores, headline

RUNS = {"voc_dinov3_pspnet": "pred_dinov3_instances", "voc_maskrcnn": "pred_maskrcnn_instances"}
EXACT = 1e-12


@pytest.mark.parametrize("name", RUNS)
def test_the_arithmetic_alone(real_data, name):
    """The maps come from Pillow here, so that a fault of the readers cannot hide one of the loops."""
    golden = json.loads((real_data / "golden_scores.json").read_text(encoding="utf-8"))[name]
    folders = ("predictions/" + name, "voc/SegmentationClass", "voc/SegmentationObject_derived")
    counter = PairCounter(VOC, Rule())
    for image in (real_data / "voc" / "ImageSets" / f"{RUNS[name]}.txt").read_text().split():
        counter.add(image, *(read(real_data / folder / f"{image}.png") for folder in folders))
    scores = headline(counter.counts())
    for key, value in golden["scores"].items():
        assert abs(scores[key] - value) <= EXACT, key


def read(path):
    """Read a label map with Pillow."""
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module", params=RUNS)
def run(request, real_data):
    """Score one set of real predictions; return (report, what the released program gave)."""
    golden = json.loads((real_data / "golden_scores.json").read_text(encoding="utf-8"))[request.param]
    voc = real_data / "voc"
    report = iamiou.evaluate(
        real_data / "predictions" / request.param,
        semantic=voc / "SegmentationClass",
        instances=voc / "SegmentationObject_derived",
        list_file=voc / "ImageSets" / f"{RUNS[request.param]}.txt",
        bootstrap=0,
    )
    return report, golden


def test_headline_scores(run):
    report, golden = run
    assert len(report.counts.images) == golden["images"]
    assert set(golden["scores"]) <= set(report.scores)
    for name, value in golden["scores"].items():
        assert abs(report.scores[name] - value) <= EXACT, name


def test_sums_and_counts_of_every_class(run):
    """The program adds in file order, this adds exactly: the sums agree to rounding, the counts at all."""
    report, golden = run
    sums, per = golden["sums"], class_scores(report.counts)
    assert per.instances.tolist() == sums["Class stack"]
    for c in range(21):
        if per.instances[c]:
            assert abs(per.ia_iou[c] - sums["IoU stack"][c] / per.instances[c]) <= EXACT
    for k, size in enumerate(("Small", "Medium", "Large")):
        assert per.instances_by_bin[1:, k].tolist() == sums[f"{size} Class stack"][1:]
        for c in range(1, 21):
            if per.instances_by_bin[c, k]:
                mean = sums[f"{size} IoU stack"][c] / per.instances_by_bin[c, k]
                assert abs(per.ia_iou_by_bin[c, k] - mean) <= EXACT
            else:
                assert math.isnan(per.ia_iou_by_bin[c, k])


def test_the_rows_add_up_to_the_scores(run):
    report, golden = run
    by_class = report.instances.groupby("class")["iou"]
    means = [math.fsum(group) / len(group) for _, group in by_class]
    assert abs(math.fsum(means) / len(means) - golden["scores"]["IA-mIoU_fg"]) <= EXACT


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_does_not_show(real_data, threads):
    voc = real_data / "voc"
    reports = [
        iamiou.evaluate(
            real_data / "predictions" / "voc_maskrcnn",
            semantic=voc / "SegmentationClass",
            instances=voc / "SegmentationObject_derived",
            list_file=voc / "ImageSets" / "pred_maskrcnn_instances.txt",
            bootstrap=0,
            threads=n,
        )
        for n in (1, threads)
    ]
    assert reports[0].to_json() == reports[1].to_json()
    assert reports[0].counts == reports[1].counts
