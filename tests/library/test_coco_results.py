"""COCO results: which image, which class, which mask on top; and nothing is guessed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from iamiou.coco_categories import COCO_IDS
from iamiou.coco_results import Detection, paint, read_results
from iamiou.errors import ImageError, InputError
from iamiou.labels import COCO, VOC, ClassList
from iamiou.predictions import Predictions, compare_ids, open_predictions
from tests.packing import Truth

SHAPE = (6, 8)


CATEGORIES = {i: n for n, i in enumerate(COCO_IDS, 1)}
IN_JSON = Truth(("a", "b"), COCO, {7: "a", 8: "b", 9: "c"}, CATEGORIES, frozenset("abc"))
PLAIN = Truth(known=frozenset("abc"))


def rle(top: int, left: int, bottom: int, right: int, shape: tuple[int, int] = SHAPE) -> dict[str, Any]:
    """Encode a box as uncompressed RLE: runs of 0 and 1 down the columns."""
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    flat = np.concatenate([[False], mask.T.reshape(-1), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(np.concatenate([[0], edges, [mask.size]]))
    return {"size": list(shape), "counts": runs.tolist()}


def result(image: object = 7, category: object = 1, score: object = 0.5, **more: object) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "segmentation": rle(0, 0, 2, 2), "score": score, **more}


def write(tmp_path: Path, data: object) -> Path:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def opened(tmp_path: Path, items: object, truth: Truth = IN_JSON, threshold: float = 0.0) -> Predictions:
    return open_predictions(write(tmp_path, items), truth, score_threshold=threshold)


def sentences(found: Predictions) -> list[str]:
    return [str(p) for p in found.problems]


# ---- which image


def test_numbers_go_through_the_ground_truth(tmp_path: Path) -> None:
    found = opened(tmp_path, [result(7), result(9), result(999)])
    assert found.problems == ()
    assert found.ids == ("a", "b", "c", "image_id 999")
    assert found.implied == {"b"}
    assert found.load("a", SHAPE).sum() == 4
    assert not found.load("b", SHAPE).any()
    assert [str(p) for p in compare_ids(found, IN_JSON, missing="error")] == [
        "1 image has no COCO result: b. Counted as all background.",
        "1 prediction is of an image outside the split: c. Ignored.",
        "1 prediction is of no image in the ground truth: image_id 999. Ignored.",
    ]


def test_a_file_name_wins_over_a_number(tmp_path: Path) -> None:
    found = opened(tmp_path, [result(8, file_name="val2017/a.jpg"), result(8, file_name="x\\b")])
    assert found.implied == frozenset()
    assert found.load("a", SHAPE).any()
    assert found.load("b", SHAPE).any()


def test_a_text_is_the_image_id(tmp_path: Path) -> None:
    assert opened(tmp_path, [result("b")]).implied == {"a"}


def test_a_number_without_coco_json(tmp_path: Path) -> None:
    found = opened(tmp_path, [result(7, 15), result(3, 12), result(3, 15)], PLAIN)
    assert sentences(found) == [
        "2 image numbers mean nothing to this ground truth, which is no COCO json: 3, 7. "
        'Give each result the "file_name" of its image.'
    ]
    assert found.problems[0].fatal
    numbered = Truth(("3", "4"), VOC, {}, {}, frozenset(("3", "4")))
    found = opened(tmp_path, [result(3, 12)], numbered)
    assert (found.problems, found.implied) == ((), {"4"})


def test_no_image_matches(tmp_path: Path) -> None:
    found = opened(tmp_path, [result("a.jpg"), result("b.jpg")])
    (problem,) = compare_ids(found, IN_JSON, missing="error")
    assert str(problem).endswith(
        "Predictions are named like 'a.jpg', images like 'a': rename the predictions by image id."
    )


# ---- which mask on top


def test_the_best_score_is_on_top(tmp_path: Path) -> None:
    low = result(7, 1, 0.3) | {"segmentation": rle(0, 0, 4, 4)}
    high = result(7, 2, 0.9) | {"segmentation": rle(2, 2, 6, 6)}
    expected = np.zeros(SHAPE, int)
    expected[:4, :4] = 1
    expected[2:6, 2:6] = 2
    for items in ([low, high], [high, low]):
        labels = opened(tmp_path, items).load("a", SHAPE)
        assert labels.dtype == np.uint8
        assert np.array_equal(labels, expected)


def test_of_equal_scores_the_smaller_mask_is_on_top(tmp_path: Path) -> None:
    small = result(7, 1) | {"segmentation": rle(1, 1, 3, 3)}
    large = result(7, 2) | {"segmentation": rle(0, 0, 5, 5)}
    for items in ([small, large], [large, small]):
        assert opened(tmp_path, items).load("a", SHAPE)[2, 2] == 1


def test_of_equal_masks_the_later_is_on_top(tmp_path: Path) -> None:
    assert opened(tmp_path, [result(7, 1), result(7, 2), result(7, 3)]).load("a", SHAPE)[0, 0] == 3


def test_the_threshold_keeps_what_reaches_it(tmp_path: Path) -> None:
    items = [result(7, 1, 0.5), result(8, 1, 0.49)]
    found = opened(tmp_path, items, threshold=0.5)
    assert found.load("a", SHAPE).any()
    assert not found.load("b", SHAPE).any()
    assert (found.problems, found.implied) == ((), frozenset())


def test_negative_scores_are_not_dropped_quietly(tmp_path: Path) -> None:
    found = opened(tmp_path, [result(7, 1, -3.5), result(7, 2, 2)])
    assert sentences(found) == [
        "1 result has a negative score, below the threshold 0: result 0. "
        "Give the threshold that fits the scores with `--score-threshold`."
    ]
    assert not found.problems[0].fatal
    assert opened(tmp_path, [result(7, 1, -3.5)], threshold=-10).load("a", SHAPE).any()


def test_many_classes_need_16_bits() -> None:
    names = ClassList("many", tuple(f"class {i}" for i in range(1000)))
    labels = paint([Detection(999, 1.0, rle(0, 0, 2, 2))], SHAPE, len(names), "a")
    assert (labels.dtype, labels.max()) == (np.uint16, 999)
    assert paint([], SHAPE, 255, "a").dtype == np.uint8
    assert paint([], SHAPE, 256, "a").dtype == np.uint16


def test_polygons_and_compressed_masks(tmp_path: Path) -> None:
    from pycocotools import mask

    box = np.zeros(SHAPE, np.uint8, order="F")
    box[1:4, 2:5] = 1
    packed = mask.encode(box)
    packed["counts"] = packed["counts"].decode()
    for segmentation in (packed, [[2, 1, 5, 1, 5, 4, 2, 4]], rle(1, 2, 4, 5)):
        labels = opened(tmp_path, [result(7, 3) | {"segmentation": segmentation}]).load("a", SHAPE)
        assert np.array_equal(labels, box * 3)


@pytest.mark.parametrize(
    "segmentation",
    [
        rle(0, 0, 2, 2, (5, 8)),
        {"size": [6, 8], "counts": [3, 4]},
        {"size": [6, 8], "counts": "~~~~"},
        {"size": [6, 8]},
        {"counts": [48]},
        {"size": [6, 8], "counts": [-5, 53]},
        [[1, 2, 3]],
        ["no"],
    ],
)
def test_a_mask_that_cannot_be_painted(tmp_path: Path, segmentation: object) -> None:
    found = opened(tmp_path, [result(7) | {"segmentation": segmentation}])
    with pytest.raises(ImageError, match=r"mask (is|has) .*: a \("):
        found.load("a", SHAPE)


# ---- which class


def test_categories_of_the_ground_truth_outside_its_classes(tmp_path: Path) -> None:
    truth = replace(IN_JSON, category_labels={1: 1, 3: 2})
    found = opened(tmp_path, [result(7, 3), result(7, 44), result(7, 44), result(8, 90)], truth)
    assert sentences(found) == ["2 category ids are not in the class list: 44 (results: 2), 90 (results: 1). Left out."]
    assert not found.problems[0].fatal
    assert found.load("a", SHAPE)[0, 0] == 2
    found = opened(tmp_path, [result(7, 44)], truth)
    assert sentences(found) == ["1 category id is in no class of the class list: 44 (results: 1). Check `--classes`."]
    assert found.problems[0].fatal


def test_names_in_the_file_decide(tmp_path: Path) -> None:
    categories = [
        {"id": 1, "name": "person"},
        {"id": 15, "name": "potted plant"},
        {"id": 3, "name": "unicorn"},
        {"id": "x"},
    ]
    items = [result("a", 1), result("b", 15), result("b", 3)]
    found = opened(tmp_path, {"categories": categories, "annotations": items}, PLAIN)
    assert found.load("a", SHAPE)[0, 0] == VOC.names.index("person")
    assert found.load("b", SHAPE)[0, 0] == VOC.names.index("pottedplant")
    assert sentences(found) == ["1 category id is not in the class list: 3 (results: 1). Left out."]


# ---- files that are no results


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        ("text", "no object"),
        ({"category_id": 1, "segmentation": [], "score": 1}, "no file_name or image_id"),
        (result(7.0), "no file_name or image_id"),
        (result(True), "no file_name or image_id"),
        (result(7, "person"), "no whole number as category_id"),
        (result(7, None), "no whole number as category_id"),
        ({"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}, "no segmentation"),
        ({"image_id": 7, "category_id": 1, "segmentation": []}, "no score"),
        (result(7, 1, "0.9"), "no score"),
        (result(7, 1, True), "no score"),
        (result(7, 1, float("nan")), "a score that is no number"),
        (result(7, 1, float("inf")), "a score that is no number"),
        (result(7, 1, 10**400), "a score that is no number"),
    ],
)
def test_an_incomplete_result(tmp_path: Path, item: object, fault: str) -> None:
    (problem,) = opened(tmp_path, [result(8), item]).problems
    assert problem.fatal
    assert str(problem) == (
        f"1 result is incomplete: result 1 ({fault}). "
        "A result is {image_id, category_id, segmentation, score}; boxes alone cannot be scored."
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", r"results\.json' holds no result"),
        ('{"annotations": []}', r"results\.json' holds no result"),
        ("{}", r"is json, but no COCO results, which are a list of \{image_id, category_id, segmentation, score\}"),
        ('"text"', "is json, but no COCO results"),
        ('[{"image_id": 7', r"results\.json' is not valid json \(.*\); is it cut short\?"),
        ("", "is not valid json"),
        ("[" * 100_000, "is not valid json"),
        ("[" + "9" * 5000 + "]", "is not valid json"),
    ],
)
def test_a_file_that_holds_no_results(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_results(tmp_path / "results.json", IN_JSON)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match="is not valid json"):
        read_results(tmp_path / "results.json", IN_JSON)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_results(tmp_path / "nowhere.json", IN_JSON)


# ---- real data


def test_real_results_of_mask_rcnn_are_as_their_pngs(real_data: Path) -> None:
    painted = real_data / "predictions" / "voc_maskrcnn"
    names = tuple(sorted(p.stem for p in painted.glob("*.png")))
    truth = Truth(names, VOC, {}, {}, frozenset(names))
    found = open_predictions(painted.with_name("voc_maskrcnn_results.json"), truth, score_threshold=0.5)
    assert found.problems == ()
    assert found.ids == names
    assert compare_ids(found, truth, missing="error") == []
    for name in names:
        with Image.open(painted / f"{name}.png") as image:
            expected = np.asarray(image)
        assert np.array_equal(found.load(name, expected.shape), expected), name  # type: ignore[arg-type]


def test_real_results_of_cocoapi(real_data: Path) -> None:
    images = [
        image
        for name in ("full", "noimages", "person_only")
        for image in json.loads((real_data / f"coco/annotations/instances_{name}.json").read_text())["images"]
    ]
    ids = {i["id"]: Path(i["file_name"]).stem for i in images}
    shapes = {Path(i["file_name"]).stem: (i["height"], i["width"]) for i in images}
    truth = Truth(tuple(sorted(set(ids.values()))), COCO, ids, CATEGORIES, frozenset(ids.values()))
    found = open_predictions(real_data / "predictions" / "coco_fakesegm100_results.json", truth)
    assert (found.problems, found.ids) == ((), truth.ids)
    spoken_of = set(found.ids) - found.implied
    assert len(spoken_of) == 50
    assert all(found.load(name, shapes[name]).any() for name in spoken_of)
