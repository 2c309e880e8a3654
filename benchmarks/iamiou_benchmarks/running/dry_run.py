"""What a dry run prints: the stages of a run, what they took before, and what those ask for that never ran."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from iamiou.errors import InputError
from iamiou_benchmarks.running.pipeline import Plan, described, make_plan
from iamiou_benchmarks.running.runfile import Run
from iamiou_benchmarks.tables.measured import clock, identity, known_seconds

if TYPE_CHECKING:
    from iamiou_benchmarks.running.full_size import Load

#: Seconds to start a small operation on a GPU.
_LAUNCH = 1e-5
#: Numbers of GPUs that are looked at.
_SEVERAL = (2, 5)


def run_lines(run: Run, seed: int, cache: Path, device: str, teraflops: float) -> list[str]:
    """Return what is known of a run before it starts, line by line.

    Parameters
    ----------
    teraflops : float
        What one GPU sustains, for stages that nobody has measured.
    """
    plan, lines = _opened(run, seed, cache, device)
    config = json.loads(json.dumps(described(run)))
    known, total, never = known_seconds(), 0.0, []
    for stage in run.stages:
        seconds = known.get(identity(config, stage.name))
        done = plan is not None and plan.finished(stage)
        if not done and seconds is None:
            never.append(stage.name)
        total += 0 if done else seconds or 0
        state = "finished" if done else "never measured" if seconds is None else f"about {clock(seconds)}"
        lines.append(f"{stage.name:<12} {stage.method:<12} {plan.key(stage) if plan else '-':<17} {state}")
    if len(never) < len(run.stages):
        lines.append(f"About {clock(total)} for what was measured, on the machine of the committed results.")
    return [*lines, *(_counted(run, teraflops) if never else [])]


def _opened(run: Run, seed: int, cache: Path, device: str) -> tuple[Plan | None, list[str]]:
    """Open the data where it is at hand; a plan needs it, an estimate does not."""
    try:
        return make_plan(run, seed, cache, device), []
    except InputError as e:
        from iamiou_benchmarks.running.full_size import known_size

        if not known_size(run.data):
            raise
        return None, [f"The data cannot be opened, so that this knows no key and nothing finished: {e}"]


def _counted(run: Run, teraflops: float) -> list[str]:
    from iamiou_benchmarks.running.full_size import SIZES, known_size, loads

    if not known_size(run.data):
        return ["For data of this kind nothing is known of stages that were never measured."]
    found, reading = loads(run), reading_seconds(SIZES[run.data.name])
    lines = ["", f"{'stage':<12} {'PFLOP':>8} {'images read':>12} {'GPU memory':>11} {'1 GPU':>8}"]
    for load in found:
        memory = f"{load.memory / 2**30:.1f} GiB" if load.memory else "-"
        spent = clock(seconds_of(load, teraflops, reading)) if load.operations else "not counted"
        lines.append(f"{load.stage:<12} {load.operations / 1e15:>8.1f} {load.images:>12,.0f} {memory:>11} {spent:>8}")
    total = sum(seconds_of(load, teraflops, reading) for load in found)
    lines.append(f"About {clock(total)} in all on one GPU, counted and not measured.")
    for load in found:
        shared = [n for n in _SEVERAL if load.batch and load.batch % n == 0]
        times = [f"{clock(seconds_of(load, teraflops, reading, n))} on {n}" for n in shared]
        if times:
            said = ", ".join(times)
            lines.append(f"{load.stage} under torchrun, with accumulate = 1: {said} GPUs, each with no more memory.")
    return [*lines, *_basis(teraflops, reading)]


def seconds_of(load: Load, teraflops: float, reading: float, gpus: int = 1) -> float:
    """Return how long a stage takes: a thread reads the next images while the GPU computes, the slower one counts.

    Examples
    --------
    >>> from iamiou_benchmarks.running.full_size import Load
    >>> seconds_of(Load("a", 100e12, images=1000), 20, 0.001), seconds_of(Load("a", 100e12, images=1000), 20, 0.01, 2)
    (5.0, 5.0)
    """
    return max(load.operations / (teraflops * 1e12), load.images * reading) / gpus + load.launches * _LAUNCH


def reading_seconds(size: tuple[int, int]) -> float:
    """Measure how long one thread of this machine takes to decode, scale and cut a photograph."""
    from PIL import Image

    from iamiou_benchmarks.training.batches import Cut, cut

    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    file, spent = io.BytesIO(), []
    small.resize(size[::-1], Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    for _ in range(5):
        start = time.thread_time()
        cut(np.asarray(Image.open(io.BytesIO(file.getvalue()))), None, rng, Cut(512, 0.5, 1.5))
        spent.append(time.thread_time() - start)
    return median(spent)


def _basis(teraflops: float, reading: float) -> Iterable[str]:
    """Say what the numbers stand on."""
    yield f"This stands on: {teraflops:g} TFLOP/s that the GPU sustains (--tflops; taken, not measured),"
    yield f"{1000 * reading:.0f} ms in which one thread of this machine reads and cuts an image (measured now),"
    yield "10 us to start one of the walk's small operations (taken). Memory is weights, gradients, the optimiser's"
    yield "state and what one micro-batch keeps for the backward pass: a lower bound. Writing maps, dense CRF and"
    yield "scoring are not counted."
