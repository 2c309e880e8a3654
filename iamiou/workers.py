"""Count all pairs of a data set on several cores and collect every problem on the way."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from iamiou.counts import Counts, merge
from iamiou.errors import ImageError, InputError, Problem, ProblemsFound, group
from iamiou.pairs import PairCounter, warnings_of
from iamiou.report import map_digest
from iamiou.settings import Settings

if TYPE_CHECKING:
    from iamiou.ground_truth import GroundTruth
    from iamiou.predictions import Predictions

#: Called now and then with the number of images done and of all images.
Progress = Callable[[int, int], None]


def count_all(
    predictions: Predictions,
    truth: GroundTruth,
    settings: Settings,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    digest: bool = True,
    processes: bool = False,
) -> tuple[Counts, list[tuple[str, str, str]], list[Problem]]:
    """Read and count all images of the ground truth.

    Parameters
    ----------
    predictions, truth, settings
        What to count, and how.
    threads : int, optional
        Default: the cores at hand, at most 8.
    progress : callable, optional
        ``progress(done, all)``.
    digest : bool
        Compute what identifies the maps, too.
    processes : bool
        Work in forked processes where that can be done; only for a program that owns its process.

    Returns
    -------
    counts : Counts
        Of all images.
    hashes : list of (image id, semantic digest, instance digest)
        Empty unless ``digest``.
    warnings : list of Problem
        What was odd but could be counted.

    Raises
    ------
    ProblemsFound
        With every fatal problem of the listing and of every image.
    """
    from iamiou.predictions import compare_ids

    problems = [*truth.warnings, *predictions.problems, *compare_ids(predictions, truth, missing=settings.missing)]
    lost = {name for p in problems if p.fatal and p.kind == "missing-prediction" for name in p.names}
    todo = [name for name in truth.ids if name not in lost]
    workers = [_Worker(predictions, truth, settings, digest) for _ in range(min(_threads(threads), max(1, len(todo))))]
    for module in ("iamiou.kernels", "iamiou.unfilter"):  # compile and load before the work is divided
        import_module(module)
    apart = processes and len(workers) > 1
    shares = _in_processes(workers, todo, progress) if apart else _in_threads(workers, todo, progress)
    errors = [e for share in shares for e in share.errors]
    warnings = [p for p in problems if not p.fatal]
    warnings += warnings_of(e for share in shares for e in share.oddities)
    fatal = [p for p in problems if p.fatal] + group(errors)
    if fatal:
        raise ProblemsFound([*fatal, *warnings])
    return merge([share.counts for share in shares]), [h for share in shares for h in share.hashes], warnings


@dataclass(frozen=True)
class _Share:
    """What one worker found in the images that it took."""

    counts: Counts
    errors: list[ImageError]
    oddities: list[ImageError]
    hashes: list[tuple[str, str, str]]


class _Worker:
    """What one thread needs: a counter of its own, so that threads share nothing but the list of images."""

    def __init__(self, predictions: Predictions, truth: GroundTruth, settings: Settings, digest: bool) -> None:
        self.truth, self.predictions, self.digest = truth, predictions, digest
        self.counter = PairCounter(truth.classes, settings.rule)
        self.given = frozenset(predictions.ids)
        self.errors: list[ImageError] = []
        self.hashes: list[tuple[str, str, str]] = []
        self.done = 0
        self.crash: BaseException | None = None

    def run(self, images: Iterator[str], stop: threading.Event) -> None:
        """Count images until there are no more or someone says stop."""
        try:
            for name in images:
                if stop.is_set():
                    break
                try:
                    self._count(name)
                except ImageError as e:
                    self.errors.append(e)
                self.done += 1
        except BaseException as e:
            self.crash = e  # raised again by the main thread
            stop.set()

    def share(self) -> _Share:
        """Return what was found, or raise what went wrong."""
        if self.crash:
            raise self.crash
        return _Share(self.counter.counts(), self.errors, self.counter.oddities, self.hashes)

    def _count(self, name: str) -> None:
        semantic, instance = self.truth.load(name)
        height, width = semantic.shape
        given = name in self.given
        pred = self.predictions.load(name, (height, width)) if given else np.zeros_like(semantic)
        self.counter.add(name, pred, semantic, instance)
        if self.digest:
            self.hashes.append((name, map_digest(semantic), map_digest(instance)))


def _in_processes(workers: Sequence[_Worker], todo: Sequence[str], progress: Progress | None) -> list[_Share]:
    from iamiou.forks import Shared, can_fork, work_apart

    if not can_fork(len(todo)):
        return _in_threads(workers, todo, progress)
    return work_apart([partial(_alone, worker) for worker in workers], Shared(todo, progress))


def _alone(worker: _Worker, images: Iterator[str]) -> _Share:
    worker.run(images, threading.Event())
    return worker.share()


def _in_threads(workers: Sequence[_Worker], todo: Sequence[str], progress: Progress | None) -> list[_Share]:
    """Let the workers share the images; the main thread only watches, so that Ctrl-C works at once."""
    images, stop = iter(todo), threading.Event()
    crew = [threading.Thread(target=w.run, args=(images, stop), daemon=True) for w in workers]
    try:
        for thread in crew:
            thread.start()
        shown = time.monotonic()
        for thread in crew:
            while thread.is_alive():
                thread.join(0.1)
                if progress and time.monotonic() - shown > 0.1:
                    shown = time.monotonic()
                    progress(sum(w.done for w in workers), len(todo))
    finally:
        stop.set()
        for thread in crew:
            thread.join()
    if progress:
        progress(sum(w.done for w in workers), len(todo))
    return [worker.share() for worker in workers]


def _threads(wanted: int | None) -> int:
    """Return how many threads to use: as asked, or the cores that this process may use, at most 8."""
    if wanted is not None:
        if wanted < 1:
            raise InputError(f"threads is {wanted}; give 1 or more.")
        return wanted
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores)
