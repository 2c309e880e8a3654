"""Time alternatives in turn, so that a busy machine slows all of them alike, and compare by ratios only."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any


@dataclass(frozen=True)
class Ratio:
    """How many times as long one thing takes as another, over interleaved rounds."""

    low: float  # quartiles and median of the rounds' own ratios
    value: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"

    def inverse(self) -> Ratio:
        return Ratio(1 / self.high, 1 / self.value, 1 / self.low)


class Times:
    """Seconds of every round, item and alternative."""

    def __init__(self, seconds: Mapping[str, list[list[float]]]) -> None:
        self.seconds = seconds  # name -> rounds x items

    def of(self, name: str) -> float:
        """Seconds an item: each item's median over the rounds, averaged over the items."""
        rounds = self.seconds[name]
        return sum(median(item) for item in zip(*rounds, strict=True)) / len(rounds[0])

    def ratio(self, name: str, other: str) -> Ratio:
        """Compare `name` with `other`, round by round: above 1 means that `name` takes longer."""
        each = [sum(a) / sum(b) for a, b in zip(self.seconds[name], self.seconds[other], strict=True)]
        return Ratio(*quantiles(each, n=4) if len(each) > 1 else each * 3)


def interleave(
    alternatives: Mapping[str, Callable[[Any], object]],
    items: Sequence[Any],
    rounds: int,
    *,
    before: Callable[[Any], object] | None = None,
    clock: Callable[[], float] = time.thread_time,
) -> Times:
    """Call every alternative on every item, one after the other, `rounds` times.

    The clock counts the CPU time of this thread by default: what other programs take of the core does not
    enter. `before` is called ahead of every timed call; it brings the item into the cache, as decoding would.
    """
    for call in alternatives.values():
        call(items[0])
    seconds: dict[str, list[list[float]]] = {name: [] for name in alternatives}
    for _ in range(rounds):
        for name in alternatives:
            seconds[name].append([])
        for item in items:
            for name, call in alternatives.items():
                if before is not None:
                    before(item)
                start = clock()
                call(item)
                seconds[name][-1].append(clock() - start)
    return Times(seconds)


@dataclass(frozen=True)
class Run:
    """What one process took."""

    wall: float
    cpu: float
    peak: int  # bytes
    output: str


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Run:
    """Run a command to its end; raise with its output when it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{output}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output)


def interleave_processes(
    commands: Mapping[str, Sequence[str | Path]], rounds: int, environment: Mapping[str, str] | None = None
) -> dict[str, list[Run]]:
    """Run every command once unseen, to warm the caches, then in turn `rounds` times."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for counted in [False] + [True] * rounds:
        for name, command in commands.items():
            once = run(command, environment)
            if counted:
                runs[name].append(once)
    return runs


def compare(runs: Mapping[str, Iterable[Run]], name: str, other: str, *, cpu: bool = False) -> Ratio:
    """Compare two commands by wall time, or by the CPU time of all their threads."""
    seconds = {key: [[r.cpu if cpu else r.wall] for r in runs[key]] for key in (name, other)}
    return Times(seconds).ratio(name, other)
