"""Truth and predictions side by side, real and generated, for claims about the metric itself.

The real ones lie in a folder that is not part of iamiou: ``voc/``, ``coco/`` and ``predictions/``, as the variable
IAMIOU_REAL_DATA names it. Only numbers of them are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iamiou.counts import Counts
from iamiou.errors import InputError
from iamiou.ground_truth import GroundTruth, open_ground_truth
from iamiou.labels import COCO, VOC, ClassList
from iamiou.pairs import PairCounter, Rule
from iamiou.predictions import Predictions, open_predictions
from iamiou.scores import headline
from iamiou.sums import means_of, ratios, summarise, weighted
from iamiou_benchmarks.claims._disturb import VOID, Ids, classes_of
from iamiou_benchmarks.claims._statistics import Floats
from iamiou_benchmarks.running.replicates import image_weights

if TYPE_CHECKING:
    from iamiou_benchmarks.running.pipeline import Plan

#: What the real sets are.
TITLES = {
    "voc-dinov3": "VOC, DINOv3 + PSPNet",
    "voc-maskrcnn": "VOC, Mask R-CNN",
    "coco-example": "COCO, cocoapi's example result",
}
_RULE = Rule(pred_void="background")


@dataclass(frozen=True)
class Pair:
    """One image: class and instance map, uint16 with `VOID`, the class of every id, a prediction for every seed."""

    image_id: str
    semantic: Ids
    instance: Ids
    classes: Ids
    predictions: tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True)
class ScoredSet:
    """Truth with predictions.

    Parameters
    ----------
    name, title : str
    classes : ClassList
    bins : tuple of int
        Sides that part small, medium and large.
    near : int
        Objects of one class at most so many pixels apart count as neighbours.
    pairs : tuple of Pair
    """

    name: str
    title: str
    classes: ClassList
    bins: tuple[int, ...]
    near: int
    pairs: tuple[Pair, ...]


def count(scored: ScoredSet, maps: Iterable[tuple[Ids, Ids | None]], seed: int) -> Counts:
    """Count the predictions of a seed against class and instance maps, one pair an image in the set's order."""
    counter = PairCounter(scored.classes, _RULE)
    for pair, (semantic, instance) in zip(scored.pairs, maps, strict=True):
        counter.add(pair.image_id, pair.predictions[seed % len(pair.predictions)], semantic, instance)
    return counter.counts()


def scores_and_draws(counts: Counts, bins: tuple[int, ...], names: Sequence[str], draws: int) -> tuple[Floats, Floats]:
    """Return the scores with these names, (S,), and what they are under weightings of the images, (draws, S)."""
    summary = summarise(counts, bins)
    means = [next(m for m in summary.scores if m.name == name) for name in names]
    drawn = means_of(means, ratios(summary, weighted(summary, image_weights(summary.images, draws))))
    found = headline(counts, bins)
    return np.array([found[name] for name in names]), drawn


def _pair(image_id: str, truth: GroundTruth, opened: Sequence[Predictions]) -> Pair:
    semantic, instance = (wide(m) for m in truth.load(image_id))
    predictions = tuple(o.load(image_id, semantic.shape) for o in opened)
    return Pair(image_id, semantic, instance, classes_of(semantic, instance), predictions)


def open_real(name: str, root: Path) -> ScoredSet:
    """Open one of `TITLES`.

    Raises
    ------
    InputError
        If the folder holds no such set.
    """
    truth, predicted = _sources(name, root)
    opened = open_predictions(predicted, truth)
    pairs = [_pair(image_id, truth, [opened]) for image_id in truth.ids]
    return ScoredSet(name, TITLES[name], truth.classes, (32, 96), 6, tuple(pairs))


def open_shapes(run: str, seeds: int, cache: Path, device: str = "auto") -> ScoredSet:
    """Open the test images of `shapes` with what a run predicts in the seeds 0, 1 ...; missing stages are run.

    Parameters
    ----------
    run : str
        Name of a run file, as ``"shapes-small-irn-ce"``.
    """
    plans = [finished(run, seed, cache, device) for seed in range(seeds)]
    truth = plans[0].data.truth_of("test")
    opened = [open_predictions(p.folder(p.run.stage("predict")) / "predictions", truth) for p in plans]
    pairs = [_pair(image_id, truth, opened) for image_id in truth.ids]
    return ScoredSet("shapes", f"shapes, {run}", truth.classes, plans[0].data.bins, 1, tuple(pairs))


def finished(run: str, seed: int, cache: Path, device: str, changes: Sequence[str] = ()) -> Plan:
    """Return the plan of a run whose predictions are there; what they take is run first, as far as it is missing."""
    from iamiou_benchmarks.running.pipeline import make_plan, run_stage
    from iamiou_benchmarks.running.runfile import load_run
    from iamiou_benchmarks.running.tune import needed

    plan = make_plan(load_run(run, changes), seed, cache, device)
    predict = plan.run.stage("predict")
    if not plan.finished(predict):
        for stage in needed(plan, predict):
            run_stage(plan, stage)
    return plan


def _sources(name: str, root: Path) -> tuple[GroundTruth, Path]:
    predictions = root / "predictions"
    if name == "coco-example":
        predicted, truth = predictions / "coco_fakesegm100_results.json", coco_truth(root)
        _check(predicted)
        named = {one["image_id"] for one in json.loads(predicted.read_text(encoding="utf-8"))}
        ids = tuple(sorted(i for number, i in truth.image_ids.items() if number in named))
        return replace(truth, ids=ids), predicted
    folder, images = {
        "voc-dinov3": ("voc_dinov3_pspnet", "pred_dinov3_instances"),
        "voc-maskrcnn": ("voc_maskrcnn", "pred_maskrcnn_instances"),
    }[name]
    _check(predictions / folder)
    return voc_truth(root, images), predictions / folder


def voc_truth(root: Path, images: str = "instances") -> GroundTruth:
    """Open VOC's masks with their instances, by a list of ids."""
    voc = root / "voc"
    semantic, instances = voc / "SegmentationClass", voc / "SegmentationObject_derived"
    _check(semantic, instances)
    names = voc / "ImageSets" / f"{images}.txt"
    return open_ground_truth(semantic=semantic, instances=instances, classes=VOC, list_file=names)


def coco_truth(root: Path) -> GroundTruth:
    """Open COCO's annotations, of all 80 classes."""
    path = root / "coco" / "annotations" / "instances_full.json"
    _check(path)
    return open_ground_truth(path, classes=COCO)


def _check(*paths: Path) -> None:
    for path in paths:
        if not path.exists():
            raise InputError(
                f"There is no '{path}'; name the folder with voc/, coco/ and predictions/ by --real DIR or the "
                "variable IAMIOU_REAL_DATA."
            )


def wide(labels: NDArray[Any]) -> Ids:
    """Return a label map as uint16, its void as `VOID`.

    >>> wide(np.array([[3, 255]], np.uint8)).tolist()
    [[3, 65535]]
    """
    out = labels.astype(np.uint16)
    if labels.dtype == np.uint8:
        out[labels == 255] = VOID
    return out
