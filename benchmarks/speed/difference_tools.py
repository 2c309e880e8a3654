"""Ask the tools of one environment for mIoU of the cases: one json with a number, null (NaN) or an error each.

python difference_tools.py ENVIRONMENT: runs inside that environment. Every tool is used as its documentation says,
with 255 as the label to ignore where it has such an option, and with its defaults otherwise.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from difference_cases import CASES, CLASSES, VOID, Pairs

Tools = dict[str, Callable[[Pairs], float]]


def iamiou() -> Tools:
    from iamiou.evaluation import make_report
    from iamiou.labels import ClassList
    from iamiou.pairs import PairCounter
    from iamiou.settings import Settings

    names = ClassList("three", ("background", "one", "two"))

    def score(pairs: Pairs) -> float:
        settings = Settings(bootstrap=0)
        counter = PairCounter(names, settings.rule)
        for k, (truth, guess) in enumerate(pairs):
            counter.add(str(k), guess, truth, None)
        return make_report(counter.counts(), names, settings, "", "components").scores["mIoU"]

    return {"iamiou": score}


def cc3d() -> Tools:
    def fast_hist(pairs: Pairs) -> float:
        """Count as the script does that was copied into hundreds of repositories since FCN."""
        total = np.zeros((CLASSES, CLASSES))
        for truth, guess in pairs:
            a, b = truth.flatten(), guess.flatten()
            inside = (a >= 0) & (a < CLASSES)
            key = CLASSES * a[inside].astype(int) + b[inside]
            total += np.bincount(key, minlength=CLASSES**2).reshape(CLASSES, CLASSES)
        with np.errstate(all="ignore"):
            iou = np.diag(total) / (total.sum(1) + total.sum(0) - np.diag(total))
        return float(np.nanmean(iou))

    return {"NumPy fast_hist": fast_hist}


def torchmetrics() -> Tools:
    import torch
    from torchmetrics.classification import MulticlassJaccardIndex
    from torchmetrics.segmentation import MeanIoU

    def over(metric: object) -> Callable[[Pairs], float]:
        def score(pairs: Pairs) -> float:
            metric.reset()
            for truth, guess in pairs:
                metric.update(*(torch.from_numpy(labels).long()[None] for labels in (guess, truth)))
            return float(metric.compute())

        return score

    return {
        "torchmetrics JaccardIndex": over(MulticlassJaccardIndex(CLASSES, ignore_index=VOID)),
        "torchmetrics MeanIoU": over(MeanIoU(CLASSES, input_format="index")),
    }


def hotcoco() -> Tools:
    from hotcoco.semantic import SemanticEval

    def score(pairs: Pairs) -> float:
        metric = SemanticEval(CLASSES)
        for truth, guess in pairs:
            metric.update(truth, guess)
        return float(metric.results()["mIoU"])

    return {"hotcoco": score}


def vernier() -> Tools:
    from vernier.semantic import evaluate_semantic_from_arrays

    def over(mode: str) -> Callable[[Pairs], float]:
        def score(pairs: Pairs) -> float:
            truth, guess = (dict(enumerate(maps)) for maps in zip(*pairs, strict=True))
            return float(evaluate_semantic_from_arrays(truth, guess, CLASSES, mode, ignore_label=VOID).miou)

        return score

    return {"vernier strict": over("strict"), "vernier corrected": over("corrected")}


def cityscapesscripts() -> Tools:
    """Classes become road, sidewalk and building; void becomes unlabelled; what is no class stays none."""
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as script
    from PIL import Image

    args = script.args
    args.evalInstLevelScore, args.quiet, args.JSONOutput = False, True, False
    to_id = np.arange(256).astype(np.uint8)
    to_id[[0, 1, 2, 7]] = 7, 8, 11, 77

    def score(pairs: Pairs) -> float:
        with tempfile.TemporaryDirectory() as folder:
            names: tuple[list[str], list[str]] = [], []
            for k, pair in enumerate(pairs):
                for which, labels in enumerate(pair):
                    ids = to_id[labels]
                    if which == 0:
                        ids[labels == VOID] = 0
                    names[which].append(str(Path(folder) / f"{which}-{k}.png"))
                    Image.fromarray(ids).save(names[which][-1])
            found = script.evaluateImgLists(names[1], names[0], args)
        return float(found["averageScoreClasses"])

    return {"cityscapesScripts": score}


def panoptica() -> Tools:
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
    evaluator = Panoptica_Evaluator(
        expected_input=InputType.SEMANTIC,
        instance_approximator=ConnectedComponentsInstanceApproximator(),
        instance_matcher=NaiveThresholdMatching(),
        segmentation_class_groups=SegmentationClassGroups({str(k): LabelGroup(k) for k in range(1, CLASSES)}),
        instance_metrics=[Metric.IOU],
        global_metrics=[Metric.IOU],
    )

    def score(pairs: Pairs) -> float:
        """Mean of the foreground classes' global IoU over classes and images: it has neither background nor sets."""
        found = []
        for truth, guess in pairs:
            result = evaluator.evaluate(guess, truth)
            found += [float(one.global_bin_iou) for one in result.values()]
        return float(np.mean(found))

    return {"panoptica (global IoU)": score}


def ask(score: Callable[[Pairs], float], pairs: Pairs) -> float | str | None:
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = score(pairs)
    except KeyboardInterrupt:
        raise
    except BaseException as e:  # scripts exit, Rust panics
        text = " ".join(str(e).split()) if not isinstance(e, SystemExit) else said.getvalue().strip()
        return re.sub(r"/\S*/", "", f"{type(e).__name__}: {text}")  # folders have other names every time
    return value if np.isfinite(value) else None


def main() -> None:
    tools = globals()[sys.argv[1].replace("-", "_")]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    found = {name: {case.key: ask(score, case.maps()) for case in CASES} for name, score in tools().items()}
    json.dump(found, answers)


if __name__ == "__main__":
    main()
