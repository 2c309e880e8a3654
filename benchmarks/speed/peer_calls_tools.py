"""The evaluators among the peers: torchmetrics, panoptica, the COCO family, cityscapesScripts, hotcoco, vernier.

See `peer_calls`. Items of "AP" are a folder with truth.json and results.json in COCO's form.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from peer_calls import VOID, Alternative, Calls, Maps, digest, of_matrix, void_of


def torchmetrics(classes: int) -> Calls:
    import torch
    from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassJaccardIndex
    from torchmetrics.detection import PanopticQuality
    from torchmetrics.segmentation import MeanIoU

    torch.set_num_threads(1)
    matrices: dict[int, Any] = {}

    def matrix(maps: Maps) -> Any:
        """Wait for the labels as int64, torch's own label type, which it makes of them anyhow."""
        void = void_of(maps)
        if void not in matrices:
            matrices[void] = MulticlassConfusionMatrix(classes, ignore_index=void, validate_args=False)
        matrices[void].update(*tensors(maps))
        return matrices[void]

    def tensors(maps: Maps) -> tuple[Any, Any]:
        return torch.from_numpy(maps.prediction), torch.from_numpy(maps.semantic)

    def of_fresh_matrix(maps: Maps) -> dict[str, Any]:
        fresh = MulticlassConfusionMatrix(classes, ignore_index=void_of(maps))
        fresh.update(*(t.long() for t in tensors(maps)))
        return of_matrix(fresh.compute().numpy())

    jaccard = MulticlassJaccardIndex(classes, ignore_index=VOID, validate_args=False)

    def of_jaccard(maps: Maps) -> dict[str, Any]:
        """Compare the counts, and what it makes of them in 32 bits."""
        fresh = MulticlassJaccardIndex(classes, ignore_index=void_of(maps), average="none")
        fresh.update(*(t.long() for t in tensors(maps)))
        found, own = of_matrix(fresh.confmat.numpy()), fresh.compute().numpy()
        present = fresh.confmat.numpy().sum(axis=1) > 0
        if abs(float(own[present].mean()) - found["mIoU"]) > 1e-5:
            raise RuntimeError(f"its mIoU is {own[present].mean()}, and of its counts {found['mIoU']}")
        return found

    mean = MeanIoU(classes, input_format="index")

    def one_hot(maps: Maps) -> None:
        """Void becomes class 0, for MeanIoU knows none."""
        prediction, truth = (t.long()[None] for t in tensors(maps))
        mean.update(prediction, torch.where(truth == VOID, 0, truth))

    quality = PanopticQuality(set(range(1, classes)), {0}, allow_unknown_preds_category=True)

    def panoptic(maps: Maps) -> None:
        truth = np.stack([np.where(maps.semantic == VOID, 0, maps.semantic).astype(np.int64), maps.instance], axis=-1)
        guess = np.stack([maps.prediction.astype(np.int64), maps.component], axis=-1)
        quality.update(torch.from_numpy(guess)[None], torch.from_numpy(truth)[None])

    return {
        "confusion: torchmetrics ConfusionMatrix": Alternative(matrix, of_fresh_matrix),
        "confusion: torchmetrics JaccardIndex": Alternative(lambda maps: jaccard.update(*tensors(maps)), of_jaccard),
        "confusion: torchmetrics MeanIoU (one-hot)": Alternative(one_hot, another("a mean over images, without void")),
        "whole: torchmetrics PanopticQuality": Alternative(panoptic, another("panoptic quality")),
    }


def another(what: str) -> Callable[[Any], dict[str, Any]]:
    return lambda _: {"different": what}


def panoptica(classes: int) -> Calls:
    from panoptica import (
        ConnectedComponentsInstanceApproximator,
        InputType,
        Metric,
        NaiveThresholdMatching,
        Panoptica_Evaluator,
        disable_citation_reminder,
    )
    from panoptica.utils.segmentation_class import LabelGroup, SegmentationClassGroups

    disable_citation_reminder()
    groups = SegmentationClassGroups({f"class {k}": LabelGroup(k) for k in range(1, classes)})
    evaluator = Panoptica_Evaluator(
        expected_input=InputType.SEMANTIC,
        instance_approximator=ConnectedComponentsInstanceApproximator(),
        instance_matcher=NaiveThresholdMatching(),
        segmentation_class_groups=groups,
        instance_metrics=[Metric.IOU],
        global_metrics=[],
    )

    def evaluate(maps: Maps) -> Any:
        truth = np.where(maps.semantic == VOID, 0, maps.semantic).astype(np.uint8)
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            return evaluator.evaluate(maps.prediction, truth)

    return {"whole: panoptica": Alternative(evaluate, another("best match of every component, one to one"))}


def rle_overlaps(mask: Any) -> Alternative:
    """Encode every predicted component and every instance, and find all IoUs."""

    masks: dict[int, list[np.ndarray]] = {}

    def prepare(maps: Maps) -> None:
        if id(maps) not in masks:
            masks[id(maps)] = [stack(maps.component, range(1, int(maps.component.max()) + 1)), stack(maps.instance)]

    def overlaps(maps: Maps) -> np.ndarray:
        prepare(maps)
        predicted, truth = (mask.encode(part) for part in masks[id(maps)])
        return np.asarray(mask.iou(predicted, truth, [0] * len(truth)))

    def stack(labels: np.ndarray, ids: Iterable[int] = ()) -> np.ndarray:
        return np.asfortranarray(np.stack([labels == k for k in ids or found(labels)], axis=-1).view(np.uint8))

    return Alternative(overlaps, lambda maps: of_overlaps(overlaps(maps)), prepare)


def found(instance: np.ndarray) -> list[int]:
    ids = np.unique(instance)
    return [int(k) for k in ids if 0 < k < np.iinfo(instance.dtype).max]


def of_overlaps(ious: np.ndarray) -> dict[str, Any]:
    return {"overlaps": digest(np.rint(ious * 1e9)) if ious.size else ""}


def average_precision(module: Any, evaluator: Any, **options: Any) -> Alternative:
    """Mask AP of COCO: read two files, evaluate, accumulate, summarise."""

    def evaluate(folder: str) -> list[float]:
        with contextlib.redirect_stdout(io.StringIO()):
            truth = module(str(Path(folder) / "truth.json"))
            results = truth.loadRes(str(Path(folder) / "results.json"))
            run = evaluator(truth, results, "segm", **options)
            run.evaluate()
            run.accumulate()
            run.summarize()
        return [float(x) for x in run.stats[:6]]

    return Alternative(evaluate, lambda folder: of_precision(evaluate(folder)))


def of_precision(stats: list[float]) -> dict[str, Any]:
    return {"AP": {str(k): value for k, value in enumerate(stats[:6]) if not math.isnan(value)}}


def pycocotools(classes: int) -> Calls:
    from pycocotools import mask
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return {"RLE: pycocotools": rle_overlaps(mask), "AP: pycocotools": average_precision(COCO, COCOeval)}


def faster_coco_eval(classes: int) -> Calls:
    from faster_coco_eval import COCO, COCOeval_faster
    from faster_coco_eval.core import mask

    return {
        "RLE: faster-coco-eval": rle_overlaps(mask),
        "AP: faster-coco-eval": average_precision(COCO, COCOeval_faster, print_function=lambda *_: None),
    }


#: The ids that Cityscapes gives to its 19 classes; void becomes its 0, unlabelled.
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


def cityscapesscripts(classes: int) -> Calls:
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as script

    args = script.args
    args.evalInstLevelScore = False
    total = script.generateMatrix(args)

    def one(paths: list[str]) -> None:
        script.evaluatePair(paths[1], paths[0], total, {}, {}, args)

    def of_one(paths: list[str]) -> dict[str, Any]:
        fresh = script.generateMatrix(args)
        script.evaluatePair(paths[1], paths[0], fresh, {}, {}, args)
        return of_matrix(fresh[np.ix_(CITYSCAPES_IDS, CITYSCAPES_IDS)])

    return {"files: cityscapesScripts": Alternative(one, of_one)}


def hotcoco(classes: int) -> Calls:
    from hotcoco import COCO, COCOeval, mask
    from hotcoco.semantic import SemanticEval

    running: dict[int, Any] = {}

    def update(maps: Maps) -> None:
        void = void_of(maps)
        if void not in running:
            running[void] = SemanticEval(classes, ignore_index=void)
        running[void].update(maps.semantic, maps.prediction)

    def of_arrays(maps: Maps) -> dict[str, Any]:
        fresh = SemanticEval(classes, ignore_index=void_of(maps))
        fresh.update(maps.semantic, maps.prediction)
        return of_matrix(fresh.confusion())

    files = SemanticEval(classes)

    def of_files(paths: list[str]) -> dict[str, Any]:
        fresh = SemanticEval(classes)
        fresh.update_png(*paths)
        return of_matrix(fresh.confusion())

    return {
        "confusion: hotcoco": Alternative(update, of_arrays),
        "files: hotcoco": Alternative(lambda paths: files.update_png(*paths), of_files),
        "RLE: hotcoco": rle_overlaps(mask),
        "AP: hotcoco": average_precision(COCO, COCOeval),
    }


def vernier(classes: int) -> Calls:
    from vernier.instance import CocoDataset, Evaluator, Segm
    from vernier.semantic import evaluate_semantic_from_arrays, evaluate_semantic_from_pngs

    def arrays(maps: Maps) -> Any:
        options = {"ignore_label": void_of(maps), "num_threads": 1}
        return evaluate_semantic_from_arrays({0: maps.semantic}, {0: maps.prediction}, classes, "strict", **options)

    def files(paths: list[str]) -> Any:
        options = {"ignore_label": VOID, "num_threads": 1}
        return evaluate_semantic_from_pngs({0: paths[0]}, {0: paths[1]}, classes, "strict", **options)

    evaluator = Evaluator(iou=Segm(), parity_mode="strict")

    def evaluate(folder: str) -> list[float]:
        truth = CocoDataset.from_json((Path(folder) / "truth.json").read_bytes())
        return evaluator.evaluate(truth, (Path(folder) / "results.json").read_bytes(), num_threads=1).stats

    def of_summary(summary: Any) -> dict[str, Any]:
        return of_matrix(summary.confusion_matrix.counts())

    return {
        "confusion: vernier": Alternative(arrays, lambda maps: of_summary(arrays(maps))),
        "files: vernier": Alternative(files, lambda paths: of_summary(files(paths))),
        "AP: vernier": Alternative(evaluate, lambda folder: of_precision(list(evaluate(folder)))),
    }


def write_coco(folder: Path, pairs: list[Maps], classes: int) -> None:
    """Write instances as annotations and predicted components as results, their share of the image as score."""
    from pycocotools import mask

    images, truth, results = [], [], []
    for image, maps in enumerate(pairs, 1):
        height, width = maps.prediction.shape
        images.append({"id": image, "height": height, "width": width, "file_name": f"{image}.png"})
        sides = ((maps.instance, found(maps.instance), maps.semantic), (maps.component, None, maps.prediction))
        for which, (labels, ids, kinds) in enumerate(sides):
            for k in ids if ids is not None else range(1, int(labels.max()) + 1):
                inside = labels == k
                code = mask.encode(np.asfortranarray(inside.view(np.uint8)))
                area, box = int(mask.area(code)), [float(x) for x in mask.toBbox(code)]
                code["counts"] = code["counts"].decode()
                record = {"image_id": image, "category_id": int(kinds[inside].max()), "segmentation": code}
                if which:
                    results.append(record | {"bbox": box, "score": area / labels.size})
                elif 0 < record["category_id"] < classes:
                    truth.append(record | {"id": len(truth) + 1, "iscrowd": 0, "area": area, "bbox": box})
    categories = [{"id": k, "name": f"class {k}"} for k in range(1, classes)]
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"info": {}, "images": images, "annotations": truth, "categories": categories}
    (folder / "truth.json").write_text(json.dumps(whole))
    (folder / "results.json").write_text(json.dumps(results))
