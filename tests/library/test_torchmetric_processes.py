"""The metric for training loops in two processes gives what one gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

from tests import fakes, metric_process  # noqa: E402
from tests.command import good  # noqa: E402
from tests.metric_scenes import expected  # noqa: E402


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """Return what every scenario gave in two processes that talk over gloo."""
    folder = tmp_path_factory.mktemp("gloo")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    crew = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.metric_process", str(rank), str(folder)],
            cwd=Path(__file__).parents[2],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        errors = [process.communicate(timeout=240)[1] for process in crew]
    finally:
        for process in crew:
            process.kill()
    assert [process.returncode for process in crew] == [0, 0], "\n".join(errors)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


ALL = metric_process.SCENES


@pytest.mark.parametrize(
    "scenario",
    ["padded", "second_saw_nothing", "first_saw_nothing", "forward_of_every_batch", "through_a_checkpoint"],
)
def test_two_processes_give_the_scores_of_one(two_processes, scenario):
    assert [found[scenario] for found in two_processes] == 2 * [expected(ALL)]


def test_without_ids_a_padded_duplicate_counts_twice(two_processes):
    assert [found["padded_without_ids"] for found in two_processes] == [6, 6]


def test_two_processes_without_images_give_nan(two_processes):
    assert [set(found["nobody_saw_anything"].values()) for found in two_processes] == [{"nan"}, {"nan"}]


def test_after_a_computation_every_process_has_its_own_images(two_processes):
    assert [found["computed_in_between"] for found in two_processes] == 2 * [[expected(ALL), 3]]
    assert [found["saved_after_compute"] for found in two_processes] == [3, 3]


def test_every_process_may_compute_for_itself(two_processes):
    parts = [[ALL[0], ALL[2], ALL[4]], [ALL[1], ALL[3], ALL[0]]]
    assert [found["every_process_for_itself"] for found in two_processes] == [expected(part) for part in parts]


def test_a_step_may_be_that_of_all_processes(two_processes):
    steps = [expected(ALL[:4]), expected([ALL[4], ALL[0]])]
    assert [found["forward_in_step"] for found in two_processes] == 2 * [[steps, expected(ALL)]]


def test_a_collection_merges_too(two_processes):
    scores = {name: expected(ALL)[name] for name in ("IA_S", "mIoU")}
    assert [found["one_state_for_two_metrics"] for found in two_processes] == 2 * [[scores, 1]]


def test_the_report_of_two_processes_is_that_of_the_command(two_processes, tmp_path, capsys):
    truth = fakes.voc_devkit(tmp_path / "truth", ALL)
    predictions = fakes.prediction_folder(tmp_path / "predictions", ALL)
    theirs = good(capsys, "score", predictions, truth, "--split", "val", "--format", "json", "--bootstrap", 50)
    assert [found["whole_report"] for found in two_processes] == [theirs, theirs]


def test_all_processes_learn_of_one_id_for_two_images(two_processes):
    said = [found["one_id_for_two_images"] for found in two_processes]
    sentence = "1 image id came with more than one ground truth: twin. Give every image an id of its own."
    assert said == 2 * [[sentence, sentence, 1]]


def test_all_processes_keep_the_same_of_two_predictions(two_processes):
    (first, said), (second, said_too) = (found["predictions_differ"] for found in two_processes)
    assert first == second
    assert said == said_too
    assert [text.partition(",")[0] for text in said] == ["1 image came more than once with different predictions"]
