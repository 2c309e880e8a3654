"""COCO result json -> label maps: masks with scores, painted so that the best one is seen.

Which image and which class a result is about is never guessed; the rules are those of `read_results`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from iamiou.coco_categories import Truth, category_labels
from iamiou.errors import InputError, Problem
from iamiou.labels import VOID_8BIT

if TYPE_CHECKING:
    import numpy as np


class Detection(NamedTuple):
    """One mask of one image."""

    label: int
    score: float
    segmentation: Any


@dataclass(frozen=True)
class Results:
    """The masks of a results file that can be painted.

    Parameters
    ----------
    by_image : mapping of str to list of Detection
        Masks at or above the score threshold of images to score.
    found : frozenset of str
        Every image that the file speaks of, whatever the scores and the split.
    problems : tuple of Problem
    """

    by_image: Mapping[str, list[Detection]]
    found: frozenset[str]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class PaintedResults:
    """Paints the label map of an image, as ``Predictions.load``; can be cut down to some images, and travels."""

    by_image: Mapping[str, list[Detection]]
    num_classes: int

    def only(self, images: Sequence[str]) -> PaintedResults:
        """Return what is needed for some images."""
        return PaintedResults({i: self.by_image[i] for i in images if i in self.by_image}, self.num_classes)

    def __call__(self, image_id: str, shape: tuple[int, int]) -> np.ndarray:
        """Paint the label map of an image."""
        return paint(self.by_image.get(image_id, ()), shape, self.num_classes, image_id)


def read_results(path: str | Path, truth: Truth, score_threshold: float = 0.0) -> Results:
    """Read a COCO results file: a list, or an object with ``annotations`` and, to give names, ``categories``.

    The image of a result is the stem of its ``file_name`` if it has one; else ``image_id``, a text being the
    image id itself and a number being looked up in the ground truth's COCO json; where the ground truth is
    none, a number is the image of that very name. The class of a result is found by the rules of
    `category_labels`.

    Parameters
    ----------
    path : path
        The file.
    truth : GroundTruth
        Its class list, image ids and numbers.
    score_threshold : float
        Results with a lower score are left out.

    Raises
    ------
    InputError
        If the file is no such json or holds no result.
    """
    items, names = _load(Path(path))
    good, problems = _check(items)
    image_ids = [_image_id(item, truth) for _, item in good]
    labels, of_categories = category_labels([item["category_id"] for _, item in good], truth, names)
    problems += of_categories
    if numbers := sorted({item["image_id"] for (_, item), i in zip(good, image_ids, strict=True) if i is None}):
        what = "image numbers mean nothing to this ground truth, which is no COCO json"
        hint = 'Give each result the "file_name" of its image.'
        problems.append(Problem("unknown-image-number", what, tuple(map(str, numbers)), hint))
    if score_threshold == 0 and (below := [f"result {i}" for i, item in good if item["score"] < 0]):
        what = "results have a negative score, below the threshold 0"
        hint = "Give the threshold that fits the scores with `--score-threshold`."
        problems.append(Problem("negative-score", what, tuple(below), hint, fatal=False))
    wanted = set(truth.ids)
    by_image: dict[str, list[Detection]] = {}
    for image_id, (_, item) in zip(image_ids, good, strict=True):
        label = labels.get(item["category_id"])
        if label and image_id in wanted and item["score"] >= score_threshold:
            by_image.setdefault(str(image_id), []).append(Detection(label, item["score"], item["segmentation"]))
    return Results(by_image, frozenset(i for i in image_ids if i is not None), tuple(problems))


def paint(detections: Sequence[Detection], shape: tuple[int, int], num_classes: int, name: str) -> np.ndarray:
    """Paint masks over each other, the best score last; of equal scores the smaller mask last.

    Parameters
    ----------
    detections : sequence of Detection
        The masks of one image.
    shape : (height, width)
        In pixels.
    num_classes : int
        Decides between uint8 and uint16.
    name : str
        Image id, for errors.

    Returns
    -------
    ndarray, (height, width), uint8 or uint16
        0 where no mask is; C-contiguous.

    Raises
    ------
    ImageError
        If a mask is of another size or makes no sense.

    Examples
    --------
    >>> low = Detection(1, 0.5, {"size": [2, 3], "counts": [0, 4, 2]})
    >>> high = Detection(2, 0.9, {"size": [2, 3], "counts": [3, 3]})
    >>> paint([high, low], (2, 3), 21, "example")
    array([[1, 1, 2],
           [1, 2, 2]], dtype=uint8)
    """
    import numpy as np

    from iamiou.coco import rle_area, rle_runs, segmentation_to_rle

    height, width = shape
    rles = [segmentation_to_rle(d.segmentation, height, width, name) for d in detections]
    order = sorted(range(len(rles)), key=lambda i: (detections[i].score, -rle_area(rles[i]), i))
    columns = np.zeros(height * width, np.uint8 if num_classes <= VOID_8BIT else np.uint16)
    for i in order:
        for start, end in rle_runs(rles[i]["counts"]):
            columns[start:end] = detections[i].label
    return np.ascontiguousarray(columns.reshape(width, height).T)


def _load(path: Path) -> tuple[list[Any], dict[int, str] | None]:
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as e:
        raise InputError(f"'{path}' is not valid json ({e}); is it cut short?") from e
    except OSError as e:
        raise InputError(f"'{path}' cannot be read: {e.strerror or e}.") from e
    names = None
    if isinstance(data, dict):
        categories = data.get("categories")
        if isinstance(categories, list) and categories:
            good = [
                c for c in categories if isinstance(c, dict) and _is_int(c.get("id")) and isinstance(c.get("name"), str)
            ]
            names = {c["id"]: c["name"] for c in good}
        data = data.get("annotations")
    if not isinstance(data, list):
        raise InputError(
            f"'{path}' is json, but no COCO results, which are a list of "
            "{image_id, category_id, segmentation, score}."
        )
    if not data:
        raise InputError(f"'{path}' holds no result.")
    return data, names


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check(items: Sequence[Any]) -> tuple[list[tuple[int, dict[str, Any]]], list[Problem]]:
    """Split results into whole ones, each with its place in the file, and problems."""
    good, bad = [], []
    for i, item in enumerate(items):
        if fault := _fault(item):
            bad.append(f"result {i} ({fault})")
        else:
            good.append((i, item))
    if not bad:
        return good, []
    hint = "A result is {image_id, category_id, segmentation, score}; boxes alone cannot be scored."
    return good, [Problem("incomplete-result", "results are incomplete", tuple(bad), hint)]


def _fault(item: Any) -> str:
    if not isinstance(item, dict):
        return "no object"
    if not (
        isinstance(item.get("file_name"), str) or isinstance(item.get("image_id"), str) or _is_int(item.get("image_id"))
    ):
        return "no file_name or image_id"
    if not _is_int(item.get("category_id")):
        return "no whole number as category_id"
    if not isinstance(item.get("segmentation"), (dict, list)):
        return "no segmentation"
    score = item.get("score")
    if isinstance(score, bool) or not isinstance(score, (int, float)):
        return "no score"
    # Python's json reads NaN, Infinity and whole numbers of any length.
    return "" if -1e300 < score < 1e300 else "a score that is no number"


def _image_id(item: Mapping[str, Any], truth: Truth) -> str | None:
    """Return the image id that a result is about, None for a number that says nothing here."""
    name = item.get("file_name")
    if isinstance(name, str):
        base = name.replace("\\", "/").rpartition("/")[2]
        return base.rpartition(".")[0] or base
    number = item["image_id"]
    if isinstance(number, str):
        return number
    if truth.image_ids:
        return truth.image_ids.get(number, f"image_id {number}")
    return str(number) if str(number) in truth.known else None
