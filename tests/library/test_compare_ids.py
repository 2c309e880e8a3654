"""Names of predictions against the images to score."""

from __future__ import annotations

import numpy as np
import pytest

from iamiou.predictions import Predictions, compare_ids
from tests.packing import Truth


def loads_nothing(image_id: str, shape: tuple[int, int]) -> np.ndarray:
    raise AssertionError(image_id)


def named(*ids: str, implied: frozenset[str] = frozenset()) -> Predictions:
    return Predictions(ids, loads_nothing, implied=implied)


TRUTH = Truth(ids=tuple("abcdefgh"), known=frozenset("abcdefghxy"))


def test_all_there() -> None:
    assert compare_ids(named(*"abcdefgh"), TRUTH, missing="error") == []


def test_missing_predictions_are_all_listed() -> None:
    (problem,) = compare_ids(named("a"), TRUTH, missing="error")
    assert (problem.kind, problem.names, problem.fatal) == ("missing-prediction", tuple("bcdefgh"), True)
    assert str(problem) == (
        "7 images have no prediction: b, c, d, e, f and 2 more. "
        "Predict every image, or add `--missing background` to count them as all background."
    )
    (problem,) = compare_ids(named(*"abcdefg"), TRUTH, missing="error")
    assert str(problem).startswith("1 image has no prediction: h.")


def test_missing_may_count_as_background() -> None:
    (problem,) = compare_ids(named("a"), TRUTH, missing="background")
    assert (problem.names, problem.fatal) == (tuple("bcdefgh"), False)
    assert str(problem).endswith("and 2 more. Counted as all background.")


def test_predictions_outside_the_split() -> None:
    problems = compare_ids(named(*"abcdefgh", "x", "y", "z"), TRUTH, missing="error")
    assert [p.fatal for p in problems] == [False, False]
    assert [str(p) for p in problems] == [
        "2 predictions are of an image outside the split: x, y. Ignored.",
        "1 prediction is of no image in the ground truth: z. Ignored.",
    ]


@pytest.mark.parametrize("missing", ["error", "background"])
def test_no_name_matches(missing: str) -> None:
    (problem,) = compare_ids(named("a_pred", "b_pred"), TRUTH, missing=missing)  # type: ignore[arg-type]
    assert (problem.kind, problem.fatal, problem.names) == ("no-prediction-matches", True, ("a_pred", "b_pred"))
    assert str(problem) == (
        "2 predictions match none of the images to score: a_pred, b_pred. "
        "Predictions are named like 'a_pred', images like 'a': rename the predictions by image id."
    )


def test_no_name_is_in_this_split() -> None:
    (problem,) = compare_ids(named("x"), TRUTH, missing="error")
    assert str(problem) == (
        "1 prediction matches none of the images to score: x. "
        "They are in the ground truth, but in another split: check `--split` or `--list`."
    )


def test_a_truth_without_images() -> None:
    (problem,) = compare_ids(named("x"), Truth(ids=(), known=frozenset()), missing="error")
    assert str(problem).endswith("The ground truth has no image to score.")


def test_images_without_results_are_not_missing() -> None:
    found = named(*"abcdefgh", implied=frozenset("bcdefgh"))
    assert not any(p.fatal for p in compare_ids(found, TRUTH, missing="error"))
    found = named(*"abcdefgh", "z", implied=frozenset("abcdefgh"))
    assert [p.kind for p in compare_ids(found, TRUTH, missing="error")] == ["no-prediction-matches"]


def test_images_that_coco_results_are_silent_about_are_counted() -> None:
    (problem,) = compare_ids(named(*"abcdefgh", implied=frozenset("gh")), TRUTH, missing="error")
    assert (problem.kind, problem.fatal) == ("no-result", False)
    assert str(problem) == "2 images have no COCO result: g, h. Counted as all background."
