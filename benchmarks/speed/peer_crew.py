"""The driver's side: one waiting process an environment, told in turn what to time, so that all share one run."""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from peer_environments import Peers
from timing import Ratio, Times

WORKER = Path(__file__).with_name("peer_worker.py")
#: One thread for every library that starts threads of its own.
SINGLE = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "RAYON", "NUMBA", "VERNIER")}


class RefusalError(Exception):
    """A tool did not do it: its own words."""


class Worker:
    """One process of one environment."""

    def __init__(self, python: Path, environment: str) -> None:
        self.process = subprocess.Popen(
            [str(python), str(WORKER), environment],
            env={**os.environ, **SINGLE},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def order(self, timeout: float, **order: Any) -> Any:
        """Send an order and wait for its answer; a worker that takes too long or dies is of no use any more."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            self.close()
            raise RefusalError(f"more than {timeout:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise RefusalError(f"its process ended with {self.process.returncode}")
        found = json.loads(line)
        if "error" in found:
            raise RefusalError(found["error"])
        return found["reply"]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class Crew:
    """The workers of all environments, started when they are first needed."""

    def __init__(self, peers: Peers) -> None:
        self.peers = peers
        self._workers: dict[str, Worker] = {}
        self._lists: dict[str, list[str]] = {}

    def order(self, environment: str, timeout: float = 120, **order: Any) -> Any:
        worker = self._workers.get(environment)
        if worker is None or worker.process.poll() is not None:
            worker = self._workers[environment] = Worker(self.peers.pythons[environment], environment)
        return worker.order(timeout, **order)

    def alone(self, environment: str, timeout: float, **order: Any) -> Any:
        """Give an order to a fresh process."""
        worker = Worker(self.peers.pythons[environment], environment)
        try:
            return worker.order(timeout, **order)
        finally:
            worker.close()

    def offers(self, kind: str) -> dict[str, str]:
        """Return who does this kind of work: "kind: name" -> environment, iamiou first."""
        for environment in self.peers.pythons:
            if environment not in self._lists:
                try:
                    self._lists[environment] = self.order(environment, what="list", classes=21)
                except RefusalError as e:
                    self.peers.missing[environment] = str(e)
                    self._lists[environment] = []
        return {what: env for env, all_ in self._lists.items() for what in all_ if what.partition(":")[0] == kind}

    def forget(self) -> None:
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()


def interleave(
    crew: Crew,
    offers: dict[str, str],
    items: dict[str, Sequence[Any]],
    classes: int,
    rounds: int,
    *,
    every: dict[str, int] | None = None,
    chunk: int = 10,
    limit: float = 60,
) -> tuple[Times, dict[str, str]]:
    """Time all offers in turn, chunk by chunk of items, round after round.

    `items` has for every offer what it is called on, in one order. Slow ones take only every n-th. Who needs more than
    `limit` seconds for the first item, or cannot do it, is returned with the reason.
    """
    every = every or {}
    able: dict[str, str] = {}
    refused: dict[str, str] = {}
    for what, environment in offers.items():  # once unseen: to load, and to see who is too slow
        try:
            crew.order(environment, what="list", classes=classes)  # imports do not count
            patience = limit if environment != "iamiou" else 120  # ours may have to compile
            crew.order(environment, patience, what=what, do="time", items=items[what][:1], classes=classes)
            able[what] = environment
        except RefusalError as e:
            refused[what] = str(e)
    seconds: dict[str, list[list[float]]] = {what: [[] for _ in range(rounds)] for what in able}
    number = max(len(each) for each in items.values())
    for k in range(rounds):
        for start in range(0, number, chunk):
            for what, environment in able.items():
                step = every.get(what, 1)
                picked = [items[what][i] for i in range(start, min(start + chunk, number)) if i % step == 0]
                if picked:
                    order = {"what": what, "do": "time", "items": picked, "classes": classes}
                    seconds[what][k] += crew.order(environment, 10 * limit, **order)
    return Times(seconds), refused


def ratio(times: Times, name: str, other: str, every: dict[str, int] | None = None) -> Ratio:
    """Compare two alternatives over the items that both were called on."""
    steps = {key: (every or {}).get(key, 1) for key in (name, other)}
    both = max(steps.values())  # steps divide each other
    picked = {key: [r[:: both // steps[key]] for r in times.seconds[key]] for key in (name, other)}
    return Times(picked).ratio(name, other)


def answers(crew: Crew, offers: dict[str, str], items: dict[str, Sequence[Any]], classes: int) -> dict[str, Any]:
    """Return what every alternative finds for every item, or why it does not."""
    found: dict[str, Any] = {}
    for what, environment in offers.items():
        try:
            found[what] = crew.order(environment, what=what, do="answer", items=list(items[what]), classes=classes)
        except RefusalError as e:
            found[what] = str(e)
    return found


def disagreements(found: dict[str, Any]) -> Iterable[str]:
    """Compare all answers of the same name with the first that was given; yield a sentence for each that differs."""
    told: dict[tuple[int, str], tuple[str, Any]] = {}
    for what, replies in found.items():
        if isinstance(replies, str):
            continue
        for k, reply in enumerate(replies):
            for key, value in reply.items():
                if key == "different":
                    continue
                first, expected = told.setdefault((k, key), (what, value))
                if not same(value, expected):
                    yield f"{what} gives {key} = {shown(value)} for item {k}, {first} gives {shown(expected)}"


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, float) or isinstance(b, float):
        return abs(a - b) <= 1e-9
    return bool(a == b)


def shown(value: Any) -> str:
    return str(value)[:120]
