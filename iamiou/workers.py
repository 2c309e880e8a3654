"""Count all pairs of a data set on several cores, or on a cluster, and collect every problem on the way."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iamiou.counts import Counts
from iamiou.errors import InputError, Problem, ProblemsFound
from iamiou.settings import Settings
from iamiou.shares import Part, Parts, Share, ShareCounter, Source, merge_shares

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
    share, warnings = share_all(
        predictions, truth, settings, threads=threads, progress=progress, digest=digest, processes=processes
    )
    assert isinstance(share.kept, Counts)
    return share.kept, [*share.digests()], warnings


def share_all(
    predictions: Predictions,
    truth: GroundTruth,
    settings: Settings,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    digest: bool = True,
    processes: bool = False,
    rows: Path | None = None,
    client: Any = None,
) -> tuple[Share, list[Problem]]:
    """Count all images as `count_all`, wherever that is done and whatever is kept of them.

    Parameters
    ----------
    rows : path, optional
        A folder of `iamiou.rows.making_rows`; the rows of instances and phantoms go there and not into the result.
    client : distributed.Client, optional
        Count on its cluster.
    """
    from iamiou.predictions import compare_ids

    problems = [*truth.warnings, *predictions.problems, *compare_ids(predictions, truth, missing=settings.missing)]
    lost = {name for p in problems if p.fatal and p.kind == "missing-prediction" for name in p.names}
    todo = [name for name in truth.ids if name not in lost] if lost else truth.ids
    given = frozenset(predictions.ids)
    source = Source(truth.classes, truth.load, predictions.load, given, settings.rule, digest)
    if client is not None:
        from iamiou.cluster import count_on

        share = count_on(client, source, todo, settings.bins, rows, progress)
    else:
        share = _count_here(source, todo, settings.bins, rows, threads, progress, processes)
    warnings = [p for p in problems if not p.fatal] + list(share.oddities)
    fatal = [p for p in problems if p.fatal] + list(share.errors)
    if fatal:
        raise ProblemsFound([*fatal, *warnings])
    return share, warnings


def _count_here(
    source: Source,
    todo: Sequence[str],
    bins: tuple[int, ...],
    rows: Path | None,
    threads: int | None,
    progress: Progress | None,
    processes: bool,
) -> Share:
    from iamiou.rows import PART

    # Without rows to write, a part is one image, and a worker puts all its images into one share.
    size = 1 if rows is None else PART
    parts = Parts(todo, size)
    number = min(_threads(threads), max(1, len(parts)))
    workers = [_Worker(source) if rows is None else _Writer(source, bins, rows) for _ in range(number)]
    for module in ("iamiou.kernels", "iamiou.unfilter"):  # compile and load before the work is divided
        import_module(module)
    shares = _in_processes(workers, parts, len(todo), progress) if processes and number > 1 else None
    return merge_shares(shares or _in_threads(workers, parts, len(todo), progress))


class _Worker:
    """What one thread needs: a counter of its own, so that threads share nothing but the list of images."""

    def __init__(self, source: Source) -> None:
        self.source, self.done = source, 0
        self.crash: BaseException | None = None
        self.counter: ShareCounter | None = None

    def run(self, parts: Iterator[Part], stop: threading.Event) -> None:
        """Count parts until there are no more or someone says stop."""
        try:
            for number, names in parts:
                self.counter = self.counter or ShareCounter(self.source)
                for name in names:
                    if stop.is_set():
                        return
                    self.counter.add(name)
                    self.done += 1
                self.finish(number)
        except BaseException as e:
            self.crash = e  # raised again by the main thread
            stop.set()

    def finish(self, number: int) -> None:
        """Do what is to be done at the end of a part."""

    def share(self) -> Share:
        """Return what was found, or raise what went wrong."""
        if self.crash:
            raise self.crash
        return (self.counter or ShareCounter(self.source)).share()


class _Writer(_Worker):
    """Writes the rows of every part, and keeps what is left of it."""

    def __init__(self, source: Source, bins: tuple[int, ...], folder: Path) -> None:
        super().__init__(source)
        self.bins, self.folder = bins, folder
        self.shares: list[Share] = []

    def finish(self, number: int) -> None:
        """Write the rows of a part."""
        from iamiou.rows import encode, write_part

        share = super().share()
        assert isinstance(share.kept, Counts)
        write_part(self.folder, number, encode(share.kept, self.source.classes, self.bins))
        self.shares.append(share.without_rows(self.bins))
        self.counter = None

    def share(self) -> Share:
        """Return what was found in all parts."""
        if self.crash:
            raise self.crash
        nothing = ShareCounter(replace(self.source, digest=False)).share().without_rows(self.bins)
        return merge_shares(self.shares) if self.shares else nothing


def _in_processes(
    workers: Sequence[_Worker], parts: Parts, images: int, progress: Progress | None
) -> list[Share] | None:
    """Let forked processes share the parts; None where that cannot be done."""
    from iamiou.forks import Shared, can_fork, work_apart

    if not can_fork(images):
        return None

    def tell(taken: int, _: int) -> None:
        if progress:
            progress(min(taken * parts.size, images), images)

    return work_apart([partial(_alone, worker) for worker in workers], Shared(parts, tell))


def _alone(worker: _Worker, parts: Iterator[Part]) -> Share:
    worker.run(parts, threading.Event())
    return worker.share()


def _in_threads(workers: Sequence[_Worker], parts: Parts, images: int, progress: Progress | None) -> list[Share]:
    """Let the workers share the parts; the main thread only watches, so that Ctrl-C works at once."""
    # Not a generator, which two threads cannot share.
    todo, stop = map(parts.__getitem__, range(len(parts))), threading.Event()
    crew = [threading.Thread(target=w.run, args=(todo, stop), daemon=True) for w in workers]
    try:
        for thread in crew:
            thread.start()
        shown = time.monotonic()
        for thread in crew:
            while thread.is_alive():
                thread.join(0.1)
                if progress and time.monotonic() - shown > 0.1:
                    shown = time.monotonic()
                    progress(sum(w.done for w in workers), images)
    finally:
        stop.set()
        for thread in crew:
            thread.join()
    if progress:
        progress(sum(w.done for w in workers), images)
    return [worker.share() for worker in workers]


def _threads(wanted: int | None) -> int:
    """Return how many threads to use: as asked, or the cores that this process may use, at most 8."""
    if wanted is not None:
        if wanted < 1:
            raise InputError(f"threads is {wanted}; give 1 or more.")
        return wanted
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores)
