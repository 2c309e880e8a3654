"""How every peer is called for each kind of work, as its own documentation shows it, on one thread.

`alternatives(environment, classes)` returns what the packages of one environment can do. Each has a `call`, which is
timed, and an `answer`, which makes of one item what can be compared with the other tools: a digest of the confusion
matrix (truth by prediction, without void), mIoU, the number of components, a digest of the counted integers ...
Items of "decode" are bytes of a file, those of "files" two paths, all others `Maps`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

VOID = 255


class Maps(NamedTuple):
    """One pair; `component` are the 8-connected components of the prediction, for tools that take them as given."""

    prediction: np.ndarray
    semantic: np.ndarray
    instance: np.ndarray
    component: np.ndarray


@dataclass(frozen=True)
class Alternative:
    """One way of doing one kind of work."""

    call: Callable[[Any], object]
    answer: Callable[[Any], dict[str, Any]]
    prepare: Callable[[Any], object] = id  # once an item, untimed: what is not the tool's own work


Calls = dict[str, Alternative]  # "kind: name"


def digest(numbers: object) -> str:
    array = np.ascontiguousarray(np.asarray(numbers), np.int64)
    return hashlib.sha256(array.tobytes() + repr(array.shape).encode()).hexdigest()[:16]


def of_matrix(matrix: object) -> dict[str, Any]:
    """Compare a whole matrix, and mIoU over the classes with truth."""
    m = np.asarray(matrix).astype(np.int64)
    truth, both = m.sum(axis=1), np.diag(m)
    union = truth + m.sum(axis=0) - both
    return {"confusion": digest(m), "mIoU": float(np.mean(both[truth > 0] / union[truth > 0]))}


def void_of(maps: Maps) -> int:
    return int(np.iinfo(maps.semantic.dtype).max)


def iamiou(classes: int) -> Calls:
    from iamiou.labels import ClassList
    from iamiou.masks import read_label_map
    from iamiou.pairs import PairCounter, Rule, ground_truth_components

    names = ClassList("benchmark", tuple(f"class {k}" for k in range(classes)))

    def counts(maps: Maps, rule: Rule) -> Any:
        counter = PairCounter(names, rule)
        counter.add("image", *maps[:3])
        return counter.counts()

    def counting(rule: Rule, answer: Callable[[Any], dict[str, Any]]) -> Alternative:
        counter = PairCounter(names, rule)
        return Alternative(lambda maps: counter.add("image", *maps[:3]), lambda maps: answer(counts(maps, rule)))

    def of_records(c: Any) -> dict[str, Any]:
        phantoms = c.phantoms[:, 1:]
        phantoms = phantoms[np.lexsort(phantoms.T[::-1])]
        return {"records": digest(c.confusion) + digest(c.instances[:, 1:]) + digest(phantoms)}

    def of_ious(c: Any) -> dict[str, Any]:
        _, instance, _, area, tp, fp, _ = c.instances.T
        return {"IoU": {str(i): float(v) for i, v in zip(instance, tp / (area + fp), strict=True)}}

    pixels, plain, nested = Rule(metrics="miou"), Rule(components="plain"), Rule()
    from_files = PairCounter(names, pixels)

    def read(path: str) -> np.ndarray:
        return read_label_map(Path(path).read_bytes(), path)

    def of_files(paths: list[str]) -> dict[str, Any]:
        maps = [read(path) for path in paths]
        return of_matrix(counts((maps[1], maps[0], None), pixels).confusion)

    return {
        "confusion: iamiou": counting(pixels, lambda c: of_matrix(c.confusion)),
        "components: iamiou": Alternative(
            lambda maps: ground_truth_components(maps.prediction),
            lambda maps: {"components": int(ground_truth_components(maps.prediction).max())},
        ),
        "whole: iamiou": counting(nested, of_ious),
        "whole: iamiou --components plain": counting(plain, of_records),
        "decode: iamiou": Alternative(
            lambda data: read_label_map(data, "map"), lambda data: of_pixels(read_label_map(data, "map"))
        ),
        "files: iamiou": Alternative(
            lambda paths: from_files.add("image", read(paths[1]), read(paths[0]), None), of_files
        ),
    }


def of_pixels(labels: np.ndarray) -> dict[str, Any]:
    """Compare decoded labels; a picture of three channels holds colours, not labels."""
    return {"pixels": digest(labels)} if labels.ndim == 2 else {"different": f"colours, shape {labels.shape}"}


def bincount(maps: Maps, classes: int) -> np.ndarray:
    """Count with one histogram of joint keys, the way most evaluation scripts do."""
    void = void_of(maps)
    if classes * (classes + 1) < 65536:
        truth = np.where(maps.semantic != void, maps.semantic, np.asarray(classes, maps.semantic.dtype))
        key = truth.astype(np.uint16) * np.uint16(classes) + maps.prediction
        return np.bincount(key.ravel(), minlength=classes * (classes + 1))[: classes * classes].reshape(classes, -1)
    valid = maps.semantic != void
    key = maps.semantic[valid].astype(np.int64) * classes + maps.prediction[valid]
    return np.bincount(key, minlength=classes * classes).reshape(classes, -1)


def of_pair(pair: Any) -> dict[str, Any]:
    return {"records": digest(pair.confusion) + digest(pair.instances) + digest(pair.phantoms)}


def cc3d(classes: int) -> Calls:
    import cc3d as library
    import numpy_peer
    from PIL import Image

    def label(maps: Maps) -> np.ndarray:
        return library.connected_components(maps.prediction, connectivity=8)

    def counted(maps: Maps) -> Any:
        return numpy_peer.count(*maps[:3], classes)

    def pillow(data: bytes) -> np.ndarray:
        return np.array(Image.open(io.BytesIO(data)))

    def from_files(paths: list[str]) -> np.ndarray:
        truth, prediction = (np.array(Image.open(path)) for path in paths)
        return bincount(Maps(prediction, truth, truth, truth), classes)

    return {
        "confusion: NumPy bincount": Alternative(
            lambda maps: bincount(maps, classes), lambda maps: of_matrix(bincount(maps, classes))
        ),
        "components: cc3d": Alternative(label, lambda maps: {"components": int(label(maps).max())}),
        "whole: NumPy + cc3d": Alternative(counted, lambda maps: of_pair(counted(maps))),
        "decode: Pillow": Alternative(pillow, lambda data: of_pixels(pillow(data))),
        "files: Pillow + NumPy": Alternative(from_files, lambda paths: of_matrix(from_files(paths))),
    }


def scikit_image(classes: int) -> Calls:
    import numpy_peer
    from scipy import ndimage
    from skimage.io import imread
    from skimage.measure import label as measure_label

    def label(prediction: np.ndarray) -> np.ndarray:
        return measure_label(prediction, background=0, connectivity=2)

    def by_class(maps: Maps) -> int:
        full = np.ones((3, 3), int)
        present = np.flatnonzero(np.bincount(maps.prediction.ravel(), minlength=1)[1:]) + 1
        return sum(ndimage.label(maps.prediction == c, full)[1] for c in present)

    def counted(maps: Maps) -> Any:
        return numpy_peer.count(*maps[:3], classes, label)

    def decoded(data: bytes) -> np.ndarray:
        return imread(io.BytesIO(data))

    return {
        "components: scikit-image": Alternative(
            lambda maps: label(maps.prediction), lambda maps: {"components": int(label(maps.prediction).max())}
        ),
        "components: SciPy, class by class": Alternative(by_class, lambda maps: {"components": by_class(maps)}),
        "whole: NumPy + scikit-image": Alternative(counted, lambda maps: of_pair(counted(maps))),
        "decode: scikit-image": Alternative(decoded, lambda data: of_pixels(decoded(data))),
    }


def opencv(classes: int) -> Calls:
    import cv2
    from contour_peer import score_instances

    cv2.setNumThreads(1)

    def histogram(maps: Maps) -> np.ndarray:
        """Joint histogram; OpenCV counts in float32, which is exact to 2**24 pixels a cell."""
        size = [classes, classes]
        ranges = [0, classes, 0, classes]
        return cv2.calcHist([maps.semantic, maps.prediction], [0, 1], None, size, ranges)

    def by_class(maps: Maps) -> int:
        found = np.flatnonzero(np.bincount(maps.prediction.ravel(), minlength=1)[1:]) + 1
        return sum(cv2.connectedComponents((maps.prediction == c).view(np.uint8))[0] - 1 for c in found)

    def decoded(data: bytes) -> np.ndarray:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)

    return {
        "confusion: OpenCV calcHist": Alternative(histogram, lambda maps: of_matrix(histogram(maps))),
        "components: OpenCV, class by class": Alternative(by_class, lambda maps: {"components": by_class(maps)}),
        "whole: OpenCV contours, the paper's way": Alternative(
            score_instances, lambda maps: {"IoU": {str(k): v for k, v in score_instances(maps).items()}}
        ),
        "decode: OpenCV": Alternative(decoded, lambda data: of_pixels(decoded(data))),
    }


def imageio(classes: int) -> Calls:
    from imageio.v3 import imread

    def decoded(data: bytes) -> np.ndarray:
        return imread(data)

    return {"decode: imageio": Alternative(decoded, lambda data: of_pixels(decoded(data)))}
