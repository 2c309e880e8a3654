"""A run that takes a second, for tests: little shapes, few iterations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import torch

from iamiou_benchmarks.running.pipeline import Plan, execute, make_plan
from iamiou_benchmarks.running.runfile import load_run
from iamiou_benchmarks.stage import work

#: Changes that make any run on `shapes` little.
LITTLE = (
    "data.knobs={train = 10, dev = 4, test = 5, side = 32}",
    "classifier.iterations=6",
    "classifier.batch=4",
    "classifier.crop=32",
    "classifier.keep=2",
    "cam.scales=[1.0]",
    "segment.iterations=6",
    "segment.batch=4",
    "segment.crop=32",
    "segment.keep=2",
    "segment.head=v1",
)


def little(cache: Path, *changes: str, name: str = "shapes-tiny-cam-sb", seed: int = 0) -> Plan:
    """Plan a little run."""
    torch.set_num_threads(1)
    return make_plan(load_run(name, [*LITTLE, *changes]), seed, cache, "cpu")


def kill_run(root: Path, stage: str, at: int, *changes: str, name: str = "shapes-tiny-cam-sb") -> None:
    """Run or go on with a little run in a process that kills itself when a stage has come so far."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.small_runs",
        stage,
        str(at),
        str(root),
        name,
        json.dumps(changes),
    ]
    killed = subprocess.run(command, capture_output=True, cwd=Path(__file__).parents[2], timeout=100, check=False)
    assert killed.returncode == -9, killed.stderr.decode()


def _main(stage: str, at: str, root: str, name: str, changes: str) -> None:
    def tell(self: work.Log, done: int, total: int, text: str = "") -> None:
        if self.stage == stage and done == int(at):
            os.kill(os.getpid(), 9)

    with mock.patch.object(work.Log, "tell", tell):
        execute(little(Path(root) / "cache", *json.loads(changes), name=name), Path(root) / "out", resume=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
