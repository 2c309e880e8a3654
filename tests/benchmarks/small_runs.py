"""A run that takes a second, for tests: little shapes, few iterations."""

from __future__ import annotations

from pathlib import Path

import torch

from iamiou_benchmarks.pipeline import Plan, make_plan
from iamiou_benchmarks.runfile import load_run

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
