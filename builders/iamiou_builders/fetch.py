"""Downloads that can stop anywhere: ``.part`` files, resumed by range, tried again with growing pauses, and checked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from iamiou.errors import InputError, counted
from iamiou_builders.disk import cannot_write, sha256_of
from iamiou_builders.transfer import (
    GiveUpError,
    Pools,
    TryAgainError,
    Wanted,
    attempt,
    connections,
    drop,
    size_of,
    tag_of,
)

__all__ = ["Failure", "Fetched", "Patience", "Wanted", "check_addresses", "fetch"]

#: The first pause after a failure, in seconds; it doubles with each.
PAUSE = 1.0
#: A pause is never longer than this, whatever the server asks for, in seconds.
LONGEST_PAUSE = 60.0
#: How long to wait for downloads that are under way when all are stopped, in seconds.
STOPPING = 1.0
#: An attempt that brought this many bytes was no failure: the count of attempts starts again.
PROGRESS = 2**20

Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class Fetched:
    """A file that is there now; ``transferred`` counts the bytes that came over the line for it in this call."""

    want: Wanted
    size: int
    sha256: str
    transferred: int


@dataclass(frozen=True)
class Failure:
    """A file that could not be had, and why: half a sentence to follow the address."""

    want: Wanted
    reason: str


@dataclass(frozen=True)
class Patience:
    """How long to try: attempts without progress, first pause (default `PAUSE`) and time-out in seconds.

    ``sleep`` stands in for the pause in tests; without it, a pause ends as soon as the download is stopped.
    """

    attempts: int = 6
    pause: float | None = None
    timeout: float = 30.0
    sleep: Callable[[float], object] | None = None


def fetch(
    wanted: Sequence[Wanted],
    *,
    threads: int = 8,
    patience: Patience | None = None,
    progress: Progress | None = None,
) -> tuple[list[Fetched], list[Failure]]:
    """Download files, those that are there and right excepted.

    A file appears under its name when it is complete and its checksum, where one is known, is right. Until then it
    is ``NAME.part``, from which a later call goes on if the server still has the same file.

    Parameters
    ----------
    wanted : sequence of Wanted
    threads : int
        Files fetched at the same time.
    patience : Patience, optional
    progress : callable, optional
        Called with (files done, files in all, bytes transferred).

    Returns
    -------
    fetched : list of Fetched
        In the order of ``wanted``.
    failed : list of Failure

    Raises
    ------
    IncompleteError
        If the disk is full; what has come so far stays for the next call.
    InputError
        If a folder cannot be written.
    """
    patience = patience or Patience()
    stop = threading.Event()
    outcomes: list[Fetched | Failure | None] = [None] * len(wanted)
    moved = 0
    with connections(patience.timeout, threads) as pools:
        results = _side_by_side(len(wanted), threads, stop, lambda k: _get(pools, wanted[k], patience, stop))
        with closing(results):
            for done, (k, outcome) in enumerate(results, 1):
                outcomes[k] = outcome
                moved += outcome.transferred if isinstance(outcome, Fetched) else 0
                if progress is not None:
                    progress(done, len(wanted), moved)
    return [o for o in outcomes if isinstance(o, Fetched)], [o for o in outcomes if isinstance(o, Failure)]


def _side_by_side(
    count: int, threads: int, stop: threading.Event, work: Callable[[int], Fetched | Failure]
) -> Generator[tuple[int, Fetched | Failure]]:
    """Yield place and outcome of each piece of work as it ends.

    Who stops listening waits for nobody for long: a thread that a silent server holds up dies with the process.
    (`concurrent.futures` would wait for it, up to the time-out of the line.)
    """
    waiting: SimpleQueue[int] = SimpleQueue()
    ended: SimpleQueue[tuple[int, Fetched | Failure | BaseException]] = SimpleQueue()
    for k in range(count):
        waiting.put(k)

    def serve() -> None:
        with suppress(Empty):
            while not stop.is_set():
                k = waiting.get_nowait()
                try:
                    ended.put((k, work(k)))
                except BaseException as e:
                    ended.put((k, e))

    workers = [threading.Thread(target=serve, daemon=True) for _ in range(min(threads, count))]
    try:
        for worker in workers:
            worker.start()
        for _ in range(count):
            k, outcome = ended.get()
            if isinstance(outcome, BaseException):
                raise outcome
            yield k, outcome
    finally:
        stop.set()
        end = time.monotonic() + STOPPING
        for worker in workers:
            worker.join(max(0.0, end - time.monotonic()))


def _get(pools: Pools, want: Wanted, patience: Patience, stop: threading.Event) -> Fetched | Failure:
    """Fetch one file, trying again as long as it makes sense."""
    part, moved, failures = want.path.with_name(f"{want.path.name}.part"), 0, 0
    try:
        if (there := _there(want)) is not None:
            return there
        while True:
            before = size_of(part)
            try:
                moved += attempt(pools(want.url), want, part, stop)
                return _finish(want, part, moved)
            except GiveUpError as e:
                return Failure(want, str(e))
            except TryAgainError as e:
                grown = max(0, size_of(part) - before)
                moved += grown
                failures = 1 if grown >= PROGRESS else failures + 1
                if failures >= patience.attempts or stop.is_set():
                    return Failure(want, f"{e} ({counted(failures, 'attempt')})")
                pause = PAUSE if patience.pause is None else patience.pause
                (patience.sleep or stop.wait)(min(LONGEST_PAUSE, max(e.after, pause * 2 ** (failures - 1))))
    except OSError as e:
        raise cannot_write(want.path, e) from e


def _there(want: Wanted) -> Fetched | None:
    """Return the file if it is there and nothing speaks against it."""
    if not want.path.is_file():
        return None
    size, digest = want.path.stat().st_size, sha256_of(want.path)
    wrong = (want.size is not None and size != want.size) or (want.sha256 and digest != want.sha256)
    return None if wrong or size == 0 else Fetched(want, size, digest, 0)


def _finish(want: Wanted, part: Path, moved: int) -> Fetched:
    """Check the complete file and give it its name; a wrong one is thrown away and asked for again."""
    size, digest = part.stat().st_size, sha256_of(part)
    if want.size is not None and size != want.size:
        drop(part)
        raise TryAgainError(f"{size:,} bytes came instead of {want.size:,}")
    if size == 0:
        drop(part)
        raise TryAgainError("the file that came is empty")
    if want.sha256 and digest != want.sha256:
        drop(part)
        raise TryAgainError(f"its sha256 is {digest}, not {want.sha256}")
    part.replace(want.path)
    tag_of(part).unlink(missing_ok=True)
    return Fetched(want, size, digest, moved)


def check_addresses(urls: Sequence[str]) -> None:
    """Refuse addresses that are not http.

    >>> check_addresses(["file:///etc/passwd"])
    Traceback (most recent call last):
    ...
    iamiou.errors.InputError: 'file:///etc/passwd' is no address that can be fetched; it has to start with http:// ...
    """
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise InputError(
                f"'{url}' is no address that can be fetched; it has to start with http:// or https://. "
                "Give local files instead: --images DIR, --coco FILE, --lvis FILE."
            )
