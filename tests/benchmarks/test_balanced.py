"""Ordinary and balanced test sets: the weights, the build, ranks, and two models that change place by construction."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from iamiou.errors import InputError
from iamiou.evaluation import evaluate_opened
from iamiou.ground_truth import open_ground_truth
from iamiou.masks import write_label_map
from iamiou.predictions import open_predictions
from iamiou.settings import Settings
from iamiou.sums import summarise
from iamiou_benchmarks.claims import _balanced, balanced
from iamiou_benchmarks.claims._balanced_set import build_balanced, census_of, chosen_images
from iamiou_benchmarks.claims._model_scores import Model, models_of, scores_under
from iamiou_benchmarks.claims._size_mix import effective_images, mix_weights
from iamiou_benchmarks.claims._statistics import around
from iamiou_benchmarks.datasets.data import DataOptions
from iamiou_benchmarks.datasets.shapes_devkit import folder_of, open_shapes
from iamiou_benchmarks.running.replicates import SCORES

SEEDS = range(6)
DOCS = Path(__file__).parents[2] / "docs"
OPTIONS = DataOptions(preset="tiny", knobs={"train": 1, "dev": 1, "test": 90, "tail": 0.0, "small": 2})


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(cache):
    return open_shapes(OPTIONS, cache)


@pytest.fixture(scope="module")
def census(data):
    return census_of(data)


@pytest.fixture(scope="module")
def built(data, cache):
    return build_balanced(data, folder_of(OPTIONS, cache) / "JPEGImages", cache / "build", 5)


def predictions(data, folder, kind, seed):
    """Write predictions: "steady" misses small objects, "keen" erodes the others."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for image_id in data.splits["test"]:
        semantic, instance = data.truth.load(image_id)
        label = semantic.copy()
        for number in range(1, int(instance.max()) + 1):
            mask = instance == number
            small = mask.sum() < data.bins[0] ** 2
            gone = mask & (rng.random(mask.shape) < 0.2)
            if kind == "steady" and small:
                label[mask] = 0
            elif kind == "keen" and not small:
                label[gone] = 0
        write_label_map(folder / f"{image_id}.png", label)
    return folder


def report_of(data, folder, truth=None):
    truth = truth or data.truth_of("test")
    return evaluate_opened(open_predictions(folder, truth), truth, Settings(bins=data.bins, bootstrap=0), threads=1)


@pytest.fixture(scope="module")
def folders(data, cache):
    return {(k, s): predictions(data, cache / f"{k}-{s}", k, s) for k in ("steady", "keen") for s in SEEDS}


@pytest.fixture(scope="module")
def models(data, folders):
    def model(kind, seeds):
        found = [report_of(data, folders[kind, s]) for s in seeds]
        return Model(kind, "", tuple(seeds), tuple(summarise(r.counts, r.bins) for r in found))

    return [model("steady", SEEDS), model("keen", SEEDS), replace(model("keen", [0]), name="once")]


# Weights


@pytest.mark.parametrize("share", [0.15, 0.3, 0.5])
def test_weights_make_the_mix_keep_the_classes_and_are_the_nearest(census, share):
    base = np.random.default_rng(1).exponential(size=len(census.ids))
    weights = mix_weights(census.instances, share, base)
    seen = (weights[:, None, None] * census.instances).sum(0)
    assert np.allclose(seen[:, 0] / seen.sum(1), share, atol=1e-6)
    assert np.allclose(seen.sum(1) / seen.sum(), census.instances.sum((0, 2)) / census.instances.sum(), atol=1e-6)
    assert weights.mean() == pytest.approx(1) and (weights > 0).all()
    # Nearest in relative entropy, by its conditions: log(weight / base) is a sum of what the conditions are made of.
    of_class = census.instances.sum(2)
    made_of = np.hstack([census.instances[:, :, 0], of_class, np.ones((len(base), 1))])
    target = np.log(weights / base)
    assert np.allclose(made_of @ np.linalg.lstsq(made_of, target, rcond=None)[0], target, atol=1e-6)


def test_a_mix_that_cannot_be_is_refused_and_few_images_are_worth_few():
    with pytest.raises(InputError, match="No weights of the images make 30 % of every class small"):
        mix_weights(np.array([[[0, 1]], [[0, 2]]]), 0.3)
    assert effective_images(np.array([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)


# The balanced set


def test_the_balanced_set_has_the_same_number_of_every_class_and_size_and_the_same_pixels(data, census, built):
    chosen = chosen_images(built)
    inside = np.isin(census.ids, chosen)
    counts = census.instances[inside].sum(0)
    available = census.instances.sum(0)
    assert (counts >= np.minimum(5, available)).all() and counts.max() <= 8 and 5 < inside.sum() < 90
    truth = open_ground_truth(built, list_file=built / "ImageSets" / "Segmentation" / "balanced.txt")
    truth = replace(truth, classes=data.classes)
    for image_id in chosen:
        mine, theirs = truth.load(image_id), data.truth.load(image_id)
        assert (mine[0] == theirs[0]).all()
        pairs = set(zip(mine[1].ravel().tolist(), theirs[1].ravel().tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})  # the numbers may be others


def test_a_selection_scored_by_weights_is_the_built_set_scored_pixel_by_pixel(data, census, built, folders, models):
    chosen = chosen_images(built)
    truth = open_ground_truth(built, list_file=built / "ImageSets" / "Segmentation" / "balanced.txt")
    for seed in range(2):
        scores = report_of(data, folders["keen", seed], replace(truth, classes=data.classes)).scores
        weights = np.isin(census.ids, chosen)[None].astype(np.float64)
        found = scores_under(models[1].summaries[seed], weights)[0]
        assert found == pytest.approx([scores[name] for name in SCORES], abs=1e-12)


def test_what_the_builder_says_is_passed_on(data, cache):
    with pytest.raises(InputError, match="iamiou build has failed: Error: "):
        build_balanced(data, cache / "nowhere", cache / "failing", 5)


def test_an_interval_holds_its_value_although_draws_lie_below_it():
    draws = np.array([0.7, 0.75, 0.8, 0.85, 0.9])
    low, high = around(0.95, draws)
    assert low < 0.95 < high and high == 1.0 and low == pytest.approx(0.95 - (0.8 - 0.705))


# The record


def test_models_that_see_other_sizes_change_place_beyond_doubt(models, census, built, monkeypatch):
    monkeypatch.setattr(_balanced, "SHARES", (0.15, 0.5))
    monkeypatch.setattr(_balanced, "_DRAWS", 200)
    record = json.loads(json.dumps(_balanced.measure(models, census, chosen_images(built))))
    assert record["left_out"] == ["once (1)"] and [m["name"] for m in record["models"]] == ["steady", "keen"]
    first = record["places"][0]
    assert first["columns"] == [0, 1] and (first["pairs"], first["turned"]) == (1, 1)
    assert first["beyond_doubt"] == [["steady", "keen"]]
    correlation = record["correlations"][0]["all"]
    assert correlation["spearman"][0] == correlation["kendall"][0] == -1.0
    plain = [np.mean([s[SCORES.index("mIoU")] for s in map(_plain, m.summaries)]) for m in models[:2]]
    shown = [np.mean([float(v) for v in m["scores"]["ordinary"]["mIoU"].split()]) for m in record["models"]]
    assert shown == pytest.approx(plain, abs=1e-4)
    few, many = record["mixes"]
    steady, keen = zip(*([float(v) for v in mix["IA-mIoU"].split()] for mix in (few, many)), strict=True)
    assert steady[0] - steady[1] > 0.1 > keen[0] - keen[1]
    text = "\n".join(balanced.lines(record))
    assert "steady is better than keen by mIoU, ordinary, and worse by IA-mIoU, ordinary" in text
    assert "| balanced |" in text and "Left out, with a single seed: once (1)." in text


def _plain(summary):
    return scores_under(summary, np.ones((1, len(summary.images))))[0]


def test_models_come_from_results_and_kept_counts_that_belong_together(data, folders, tmp_path):
    report = report_of(data, folders["keen", 0])
    scores = {k: None if np.isnan(v) else round(v, 6) for k, v in report.scores.items()}
    stage = {"name": "predict", "method": "predict", "key": "abc", "scores": {"test": scores}}
    result = {"run": "x-keen", "seed": 4, "config_sha256": "", "data": {}, "stages": [{"method": "centre"}, stage]}
    with pytest.raises(InputError, match=r"scores-test.npz' is not there; iamiou bench fill x-keen"):
        models_of([result], "x", tmp_path)
    (tmp_path / "predict-abc").mkdir()
    report.save(tmp_path / "predict-abc" / "scores-test.npz")
    (model,) = models_of([result], "x", tmp_path)
    assert (model.name, model.kind, model.seeds) == ("keen", "floor", (4,))
    stage["scores"] = {"test": scores | {"IA_S": 0.5}}
    with pytest.raises(InputError, match="has other scores than the result of x-keen"):
        models_of([result], "x", tmp_path)
    with pytest.raises(InputError, match="No result of a run on y has predictions"):
        models_of([result], "y", tmp_path)


def test_the_figure_can_be_drawn_from_the_committed_record(tmp_path):
    from PIL import Image

    from iamiou_benchmarks.tables.results import RESULTS

    record = json.loads((RESULTS / "claims" / "balanced.json").read_text(encoding="utf-8"))
    balanced.draw(record).savefig(tmp_path / "figure.png", dpi=110)
    with Image.open(tmp_path / "figure.png") as mine, Image.open(DOCS / "images" / "balanced.png") as shown:
        assert mine.size == shown.size


def test_classes_without_objects_of_a_size_cannot_be_balanced():
    lines = balanced._photographs([[0, 3, 1], [2, 0, 1], [0, 1, 1]])
    assert lines[1].endswith("of its 3 classes 2 have no small object, 1 have no medium object.")
    assert balanced._photographs(None) == balanced._photographs([[1, 1, 1]]) == []
