"""From a run to a board: the line that a run prints sends its predictions, and the board finds the run's scores."""

from __future__ import annotations

import json
import re
import shlex

import pytest

pytest.importorskip("torch")

from tests.benchmarks.small_runs import LITTLE
from tests.command import good
from tests.leaderboard.live import Process, Server, token

RUN = "shapes-tiny-cam-ce"
#: True masks and some more iterations, so that the predictions are not all background.
CHANGES = (*LITTLE, "pseudo.method=truth", "pseudo.inputs=[]", "segment.iterations=30")


def test_the_line_that_a_run_prints_submits_its_predictions(tmp_path, capsys, monkeypatch):
    changes = [part for change in CHANGES for part in ("--set", change)]
    run = ["bench", "run", RUN, "--out", tmp_path / "run", "--cache", tmp_path / "cache", "--device", "cpu"]
    printed = good(capsys, *run, *changes).splitlines()
    assert printed[-1].startswith("$ iamiou submit ")
    command = shlex.split(printed[-1].removeprefix("$ iamiou "))

    result = json.loads((tmp_path / "run" / "result.json").read_text())
    devkit = next((tmp_path / "cache").glob("shapes-tiny-*/classes.txt")).parent
    board, bins = tmp_path / "board", ",".join(map(str, result["data"]["bins"]))
    options = ["--public-split", "test", "--classes", devkit / "classes.txt", "--bins", bins]
    good(capsys, "leaderboard", "init", board, devkit, *options)
    monkeypatch.setenv("IAMIOU_TOKEN", token(board))
    with Server(board) as server, Process("worker", board):
        sent = good(capsys, *[server.url if word == "URL" else word for word in command], "--wait")

    assert sent.startswith(f"Submitted '{RUN}' to 'board' as ")
    shown = {name: float(value) for name, value in re.findall(r"(\S+) (\d\.\d+)", sent)}
    scores = result["stages"][-1]["scores"]["test"]
    assert set(shown) >= {"IA-mIoU", "mIoU"} and scores["mIoU"] > 0.2
    assert shown == {name: pytest.approx(scores[name], abs=0.00051) for name in shown}
