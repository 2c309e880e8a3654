"""The benchmark's own judgements: right values of the cases, agreement of tools, ratios, and what goes into docs."""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import iamiou
from iamiou.errors import ImageError

SPEED = Path(__file__).resolve().parents[2] / "benchmarks" / "speed"


@pytest.fixture
def speed(monkeypatch):
    """Import a module of the benchmark by its name."""
    monkeypatch.syspath_prepend(SPEED)
    return import_module


def test_iamiou_gives_the_right_answer_to_every_case_of_one_image(speed, tmp_path):
    names = tmp_path / "classes.txt"
    names.write_text("background\none\ntwo\n")
    seen = 0
    for case in speed("difference_cases").CASES:
        if len(case.pairs) > 1:
            continue
        ((truth, guess),) = case.maps()
        right = case.right()
        seen += 1
        if right is None:
            with pytest.raises(ImageError):
                iamiou.score(guess, truth, classes=names)
            continue
        score = iamiou.score(guess, truth, classes=names).scores["mIoU"]
        assert math.isnan(score) if math.isnan(right) else abs(score - right) < 1e-12, case.key
    assert seen >= 9


def test_the_two_conventions_differ_only_where_a_class_is_predicted_but_not_there(speed):
    cases = {case.key: case for case in speed("difference_cases").CASES if not case.error and case.key != "all-void"}
    differ = {key for key, case in cases.items() if case.right() != case.union()}
    assert differ == {"only-predicted"}


def test_a_tool_that_finds_another_number_is_named(speed):
    crew = speed("peer_crew")
    same = {"a: x": [{"mIoU": 0.5, "confusion": "ab"}], "a: y": [{"mIoU": 0.5 + 1e-12}], "a: z": "no such file"}
    assert list(crew.disagreements(same)) == []
    faults = list(crew.disagreements(same | {"a: w": [{"mIoU": 0.51, "different": "another number"}]}))
    assert len(faults) == 1
    assert "a: w gives mIoU = 0.51 for item 0, a: x gives 0.5" in faults[0]


def test_slow_tools_are_compared_on_the_pairs_that_they_did(speed):
    times = speed("timing").Times({"fast": [[1.0, 9.0, 1.0, 9.0]] * 3, "slow": [[10.0, 10.0]] * 3})
    assert speed("peer_crew").ratio(times, "slow", "fast", {"slow": 2}).value == 10


def test_numpy_and_loop_count_the_same(speed):
    calls = speed("peer_calls")
    rng = np.random.default_rng(3)
    truth, guess = rng.integers(0, 4, (2, 30, 40)).astype(np.uint8)
    truth[truth == 3] = 255
    guess[guess == 3] = 0
    matrix = calls.bincount(calls.Maps(guess, truth, truth, truth), 3)
    loop = [[int(np.sum((truth == t) & (guess == p))) for p in range(3)] for t in range(3)]
    assert matrix.tolist() == loop


def test_a_part_of_the_docs_is_replaced_and_the_rest_stays(speed, tmp_path):
    replace, path = speed("docs_section").replace, tmp_path / "speed.md"
    path.write_text("# Speed\n\nfirst\n")
    replace(path, "stages", "one")
    replace(path, "peers", "two")
    before = path.read_text()
    replace(path, "stages", "three")
    assert path.read_text() == before.replace("\none\n", "\nthree\n")
    assert before.startswith("# Speed\n\nfirst\n")
