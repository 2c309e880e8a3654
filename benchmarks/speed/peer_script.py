"""mIoU of two folders of PNG label maps with one peer, as a short script of its user: a whole process to be timed.

python peer_script.py TOOL TRUTH PREDICTIONS CLASSES THREADS
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np


def numpy(pairs: list[tuple[str, str]], classes: int, threads: int) -> np.ndarray:
    from PIL import Image

    total = np.zeros(classes * (classes + 1), np.int64)
    for truth, guess in pairs:
        labels = np.array(Image.open(truth))
        key = np.where(labels == 255, classes, labels).astype(np.uint16) * np.uint16(classes)
        key += np.array(Image.open(guess))
        total += np.bincount(key.ravel(), minlength=len(total))
    return total[: classes * classes].reshape(classes, classes)


def opencv(pairs: list[tuple[str, str]], classes: int, threads: int) -> np.ndarray:
    import cv2

    cv2.setNumThreads(threads)
    total = np.zeros((classes, classes))
    for names in pairs:
        maps = [cv2.imread(name, cv2.IMREAD_UNCHANGED) for name in names]
        total += cv2.calcHist(maps, [0, 1], None, [classes, classes], [0, classes, 0, classes])
    return total


def torchmetrics(pairs: list[tuple[str, str]], classes: int, threads: int) -> np.ndarray:
    import torch
    from PIL import Image
    from torchmetrics.classification import MulticlassConfusionMatrix

    torch.set_num_threads(threads)
    metric = MulticlassConfusionMatrix(classes, ignore_index=255, validate_args=False)
    for truth, guess in pairs:
        metric.update(*(torch.from_numpy(np.array(Image.open(name))) for name in (guess, truth)))
    return metric.compute().numpy()


def vernier(pairs: list[tuple[str, str]], classes: int, threads: int) -> np.ndarray:
    from vernier.semantic import evaluate_semantic_from_pngs

    truth, guess = (dict(enumerate(names)) for names in zip(*pairs, strict=True))
    options: dict[str, Any] = {"ignore_label": 255, "num_threads": threads}
    return evaluate_semantic_from_pngs(truth, guess, classes, "strict", **options).confusion_matrix.counts()


def cityscapesscripts(pairs: list[tuple[str, str]], classes: int, threads: int) -> np.ndarray:
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as script
    from peer_calls_tools import CITYSCAPES_IDS

    script.args.evalInstLevelScore = False
    total = script.generateMatrix(script.args)
    for truth, guess in pairs:
        script.evaluatePair(guess, truth, total, {}, {}, script.args)
    return total[np.ix_(CITYSCAPES_IDS, CITYSCAPES_IDS)]


def main() -> None:
    tool, truth, guess, classes, threads = sys.argv[1:]
    pairs = [(str(file), str(Path(guess) / file.name)) for file in sorted(Path(truth).glob("*.png"))]
    matrix = globals()[tool](pairs, int(classes), int(threads)).astype(np.int64)
    present, both = matrix.sum(axis=1), np.diag(matrix)
    union = (present + matrix.sum(axis=0) - both)[present > 0]
    print(f"mIoU {np.mean(both[present > 0] / union):.12f}")


if __name__ == "__main__":
    main()
