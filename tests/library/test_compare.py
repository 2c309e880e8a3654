"""Comparing two runs: the numbers, the test against all exchanges, the words, the refusals, the command."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from iamiou.cli.compare import compare as command
from iamiou.compare import compare, holm
from iamiou.comparison import Difference, verdict
from iamiou.errors import InputError
from iamiou.evaluation import evaluate
from iamiou.labels import ClassList
from iamiou.replicates import swap_test
from iamiou.scores import headline
from iamiou.sums import summarise
from tests import fakes
from tests.made_counts import random_counts, report_of, shuffled

A, B = (report_of(random_counts(30, seed=1, model=model)) for model in (1, 2))


def mixed(a, b, take_b):
    """Return the counts in which the images of the mask ``take_b`` are predicted by the other run."""
    rows = np.where(take_b[a.instances[:, 0], None], b.instances, a.instances)
    hit = np.where(take_b[:, None], b.hit, a.hit)
    prediction = np.where(take_b[:, None], b.prediction, a.prediction)
    return replace(a, instances=rows, hit=hit, prediction=prediction, confusion=np.diag(hit.sum(axis=0)))


def test_differences_are_those_of_the_scores():
    result = compare(A, B, resamples=200)
    assert [d.name for d in result.scores] == list(A.scores)
    for d in result.scores:
        assert (d.a, d.b) == pytest.approx((A.scores[d.name], B.scores[d.name]), abs=1e-12, nan_ok=True)
        assert d.difference == pytest.approx(d.b - d.a, abs=1e-12, nan_ok=True)
        assert math.isnan(d.low) or d.low <= d.high
    for c, (iou_a, iou_b) in zip(result.classes, zip(A.class_scores.iou, B.class_scores.iou, strict=True), strict=True):
        assert (c.iou.a, c.iou.b) == pytest.approx((iou_a, iou_b), abs=1e-12)
    assert [c.ia_iou.b for c in result.classes] == pytest.approx(list(B.class_scores.ia_iou), abs=1e-12)


def test_a_run_equals_itself():
    result = compare(A, A, resamples=100)
    for d in result.scores:
        assert (d.difference, d.p) == (0, 1)
        assert (d.low, d.high) == pytest.approx((0, 0), abs=1e-6)
    assert (result.gained, result.lost, result.disagree) == ((), (), False)
    assert result.verdict.startswith("A and B score the same: mIoU +0.000, p = 1.000")


def test_exchanging_the_runs_exchanges_the_signs():
    there, back = compare(A, B, resamples=300), compare(B, A, resamples=300)
    for d, e in zip(there.scores, back.scores, strict=True):
        assert d.difference == pytest.approx(-e.difference, nan_ok=True)
        assert d.p == e.p
    assert [(c.image, c.id) for c in there.gained] == [(c.image, c.id) for c in back.lost]


def test_seed_and_order_of_the_images():
    first = compare(A, B, resamples=100, seed=3)
    assert first.to_dict() == compare(A, B, resamples=100, seed=3).to_dict()
    assert first.to_dict() != compare(A, B, resamples=100, seed=4).to_dict()
    other = compare(*(report_of(shuffled(r.counts)) for r in (A, B)), resamples=100, seed=3)
    for d, e in zip(first.scores, other.scores, strict=True):
        assert (d.low, d.high, d.p) == pytest.approx((e.low, e.high, e.p), abs=1e-6)


def test_the_test_against_every_exchange():
    a, b = (random_counts(8, seed=7, model=model) for model in (1, 2))
    observed = {k: v - headline(a)[k] for k, v in headline(b).items()}
    beyond = dict.fromkeys(observed, 0)
    for take in itertools.product([False, True], repeat=8):
        mask = np.array(take)
        one, two = headline(mixed(a, b, mask)), headline(mixed(b, a, mask))
        for name, value in observed.items():
            beyond[name] += abs(two[name] - one[name]) >= abs(value) - 1e-9
    parts = summarise(a, (32, 96)), summarise(b, (32, 96))
    p = swap_test(*parts, parts[0].scores, 20_000, np.random.default_rng(0))
    for mean, value in zip(parts[0].scores, p, strict=True):
        assert value == pytest.approx(beyond[mean.name] / 256, abs=0.015), mean.name


def test_p_values_are_even_when_nothing_but_chance_parts_the_runs():
    rng, found = np.random.default_rng(0), []
    for trial in range(150):
        a, b = (random_counts(25, seed=trial, model=model) for model in (1, 2))
        swap = rng.integers(0, 2, 25).astype(bool)
        one, two = (summarise(c, (32, 96)) for c in (mixed(a, b, swap), mixed(b, a, swap)))
        found.append(swap_test(one, two, one.scores[:6], 99, rng))
    p = np.array(found)
    assert (p.mean(axis=0) > 0.42).all()
    assert (p.mean(axis=0) < 0.60).all()
    assert ((p <= 0.1).mean(axis=0) <= 0.17).all()  # 10 % expected; 3 standard errors are 7 %
    assert ((p <= 0.5).mean(axis=0) >= 0.36).all()


def test_a_better_run_is_found_out():
    counts = A.counts
    rows = counts.instances.copy()
    rows[:, 4] = rows[:, 3]  # every instance found whole
    hit = counts.truth.copy()
    perfect = report_of(replace(counts, instances=rows, hit=hit, prediction=counts.truth + 50))
    result = compare(A, perfect, resamples=200)
    by = {d.name: d for d in result.scores}
    for name in ("mIoU", "IA-mIoU", "IA_S"):
        assert by[name].low > 0
        assert by[name].p < 0.01
    assert result.verdict.startswith("B is ahead: mIoU +")
    assert result.verdict.endswith("All differences are clear of chance.")
    assert not result.lost


def test_the_instances_that_changed_most():
    result = compare(A, B, resamples=50, top=4)
    change = B.counts.iou() - A.counts.iou()
    assert [c.difference for c in result.gained] == pytest.approx(sorted(change)[::-1][:4])
    assert [c.difference for c in result.lost] == pytest.approx(sorted(change)[:4])
    frame = A.instances.set_index(["image", "id"])
    for c in (*result.gained, *result.lost):
        row = frame.loc[(c.image, c.id)]
        assert (row["class"], row["area"], row["bin"]) == (c.class_name, c.area, c.bin)
        assert c.a == pytest.approx(row["iou"])


def test_holm_by_hand():
    assert holm([0.01, 0.02, 0.5, math.nan]) == pytest.approx([0.03, 0.04, 0.5, math.nan], nan_ok=True)
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []
    result = compare(A, B, resamples=50)
    assert [c.iou_p for c in result.classes] == holm([c.iou.p for c in result.classes])


def test_p_values_of_many_classes_can_pass_holm():
    assert compare(A, B, resamples=50).swaps == 200
    assert compare(A, B, resamples=500).swaps == 500


@pytest.mark.parametrize(
    ("miou", "small", "says", "disagree"),
    [
        (
            (0.02, 0.01),
            (-0.1, 0.2),
            "mIoU and IA_S disagree: mIoU (+0.020, p = 0.010) puts B ahead, IA_S (−0.100",
            True,
        ),
        ((0.02, 0.9), (-0.1, 0.2), "Neither difference is clear of chance.", True),
        ((-0.02, 0.01), (0.1, 0.01), "Both differences are clear of chance.", True),
        ((0.002, 0.8), (0.3, 0.0001), "mIoU does not tell A and B apart (+0.002, p = 0.800), but IA_S (+0.300", True),
        ((0.0001, 0.8), (-0.3, 0.0001), "but IA_S (−0.300, p < 0.001) puts A ahead, clear of chance.", True),
        ((0.02, 0.01), (0.1, 0.2), "B is ahead: mIoU +0.020, p = 0.010, IA_S +0.100, p = 0.200. Only the", False),
        ((-0.02, 0.01), (-0.1, 0.01), "A is ahead: ", False),
        ((0.0, 1.0), (0.0001, 1.0), "A and B score the same: ", False),
        (
            (0.0, 1.0),
            (math.nan, math.nan),
            "A and B score the same: mIoU +0.000, p = 1.000. The difference is not",
            False,
        ),
    ],
)
def test_the_verdict_in_words(miou, small, says, disagree):
    rows = [Difference(n, 0.5, 0.5 + d, d, d - 0.1, d + 0.1, p) for n, (d, p) in (("mIoU", miou), ("IA_S", small))]
    text, found = verdict(rows, ("A", "B"), "S")
    assert says in text
    assert found is disagree


def test_runs_that_cannot_be_compared():
    counts = A.counts
    other_truth = replace(counts, truth=counts.truth + 1)
    refusals = {
        "The ground truths of the runs differ (digests aaaaaaaaaaaa and bbbbbbbbbbbb)": (
            replace(A, digest="a" * 64),
            replace(B, digest="b" * 64),
        ),
        "The ground truths of the runs differ, so": (A, report_of(other_truth)),
        "different size bins (32,96 and 64)": (A, report_of(counts, bins=(64,))),
        "different class lists ('some' with 5 classes, 'mine' with 5": (
            A,
            replace(B, class_list=ClassList("mine", tuple("abcde"))),
        ),
        "different component rules (nested, 8 neighbours and plain, 4 neighbours)": (
            A,
            report_of(counts, components="plain", connectivity=4),
        ),
        "different sources of instances (annotation and components)": (A, replace(B, instances_from="components")),
        "different metrics (all and miou)": (A, report_of(counts, metrics="miou")),
        "different images: 2 only in A (image000, image001). Score both on the same split": (
            A,
            report_of(B.counts.select(B.counts.images[2:])),
        ),
    }
    for sentence, runs in refusals.items():
        with pytest.raises(InputError) as caught:
            compare(*runs)
        assert sentence in str(caught.value)
        assert caught.value.exit_code == 2
    with pytest.raises(InputError, match="0 resamples compare nothing"):
        compare(A, B, resamples=0)


def test_runs_without_instances_compare_pixels_only():
    keep = ("mIoU", "precision")
    a, b = (
        replace(r, options={"metrics": "miou"}, scores={k: r.scores[k] for k in keep}, instances_from="")
        for r in (A, B)
    )
    result = compare(a, b, resamples=50)
    assert [d.name for d in result.scores] == list(keep)
    assert all(math.isnan(c.ia_iou.difference) for c in result.classes)
    assert "mIoU" in result.verdict


def test_json_holds_no_nan():
    text = json.dumps(compare(A, B, resamples=50).to_dict(), allow_nan=False)
    loaded = json.loads(text)
    assert set(loaded["scores"]["mIoU"]) == {"a", "b", "difference", "interval", "p"}
    assert loaded["classes"][1]["IA-IoU"]["p_holm"] >= loaded["classes"][1]["IA-IoU"]["p"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Write a data set, two runs as folders, and both runs scored and saved."""
    root = tmp_path_factory.mktemp("runs")
    images = fakes.scenes(6, seed=3)
    worse = [replace(s, prediction=np.roll(s.prediction, 4, axis=1)) for s in images]
    devkit = fakes.voc_devkit(root / "devkit", images)
    for name, scenes in (("a", images), ("b", worse)):
        folder = fakes.prediction_folder(root / name, scenes)
        evaluate(folder, devkit, split="val", bootstrap=0).save(root / f"{name}.npz")
    return root


def run(*arguments) -> str:
    done = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_saved_runs_and_folders_give_the_same(saved):
    options = ["--format", "json", "--bootstrap", 100]
    of_files = run(saved / "a.npz", saved / "b.npz", *options)
    assert of_files == run(saved / "a", saved / "b", saved / "devkit", "--split", "val", *options)
    assert of_files == run(saved / "a.npz", saved / "b", saved / "devkit", "--split", "val", *options)
    assert json.loads(of_files) == compare(saved / "a.npz", saved / "b.npz", resamples=100).to_dict()


def test_every_format(saved):
    files = saved / "a.npz", saved / "b.npz"
    table = run(*files, "--bootstrap", 50, "--top", 2)
    assert table.splitlines()[:2] == [f"A = {files[0]}", f"B = {files[1]}"]
    for words in ("6 images, B minus A", "Lost most", "read the interval with care", "background"):
        assert words in table
    rows = list(csv.DictReader(io.StringIO(run(*files, "--format", "csv", "--bootstrap", 50))))
    assert (rows[0]["class"], rows[0]["score"]) == ("(all)", "mIoU")
    assert float(rows[0]["difference"]) == pytest.approx(float(rows[0]["b"]) - float(rows[0]["a"]))
    assert "| mIoU |" in run(*files, "--format", "markdown", "--bootstrap", 50)
    latex = run(*files, "--format", "latex", "--bootstrap", 50)
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") >= 3
    assert "−" not in latex.split("\n\n", 1)[1]


def test_the_command_says_what_is_missing_or_idle(saved):
    for arguments, sentence in (
        ((saved / "a", saved / "b"), "is no file of saved counts (.npz). Save it with: iamiou score PREDS GT --save"),
        ((saved / "a.npz", saved / "b.npz", saved / "devkit", "--bins", "64"), "leave out GT '"),
        ((saved / "a.npz", saved / "none.npz"), "none.npz' cannot be read (No such file or directory)"),
    ):
        with pytest.raises(InputError) as caught:
            CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
        assert sentence in str(caught.value)
    assert "leave out GT" not in str(caught.value)


def test_real_models_on_the_same_real_images(real_data, tmp_path):
    """DINOv3 and Mask R-CNN predicted some images both; the run with fewer errors is the first."""
    lists = [real_data / "voc/ImageSets" / f"pred_{name}_instances.txt" for name in ("dinov3", "maskrcnn")]
    shared = sorted(set(lists[0].read_text().split()) & set(lists[1].read_text().split()))
    (tmp_path / "shared.txt").write_text("\n".join(shared))
    reports = [
        evaluate(
            real_data / "predictions" / name,
            semantic=real_data / "voc/SegmentationClass",
            instances=real_data / "voc/SegmentationObject_derived",
            list_file=tmp_path / "shared.txt",
            bootstrap=0,
        )
        for name in ("voc_dinov3_pspnet", "voc_maskrcnn")
    ]
    result = compare(*reports, names=("DINOv3", "Mask R-CNN"))
    miou = result.scores[0]
    assert result.images == len(shared) > 5
    assert miou.high < 0
    assert miou.p < 0.05
    assert "DINOv3" in result.verdict
