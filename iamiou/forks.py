"""Worker processes by fork, for commands, which own their process.

Threads share one interpreter, and wait for each other's Python: with two they are 1.6 times as fast as one, and with
eight hardly more than four times. A forked process has all that was opened before at once. A library that is called
must not fork: nobody knows what else runs in that process.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Protocol, TypeVar

T = TypeVar("T")
Item_co = TypeVar("Item_co", covariant=True)

#: Fewer images are not worth a process.
FEW_IMAGES = 40

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's numbers of these options

_CONTEXT = multiprocessing.get_context("fork") if sys.platform == "linux" else None


def can_fork(images: int) -> bool:
    """Tell whether processes can be forked safely here, and are worth it for so many images."""
    return _CONTEXT is not None and images >= FEW_IMAGES and threading.active_count() == 1


class Items(Protocol[Item_co]):
    """Whatever has a length and numbered items."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Item_co: ...


class Shared(Iterator[Item_co]):
    """A list that several processes take their next item from."""

    def __init__(self, items: Items[Item_co], progress: Callable[[int, int], None] | None) -> None:
        assert _CONTEXT is not None
        self.items, self.progress, self.shown = items, progress, time.monotonic()
        self.taken = _CONTEXT.Value("q", 0)

    def __next__(self) -> Item_co:
        """Take an item; in the parent process, tell now and then how many were taken."""
        with self.taken.get_lock():
            k: int = self.taken.value
            self.taken.value = k + 1
        if self.progress and time.monotonic() - self.shown > 0.1:
            self.shown = time.monotonic()
            self.progress(min(k, len(self.items)), len(self.items))
        if k >= len(self.items):
            raise StopIteration
        return self.items[k]


def work_apart(jobs: Sequence[Callable[[Iterator[Item_co]], T]], images: Shared[Item_co]) -> list[T]:
    """Run every job in a process of its own, the first in this one, and return what they return.

    Parameters
    ----------
    jobs : sequence of callables
        Each takes images until there are no more. What it returns is sent as a pickle, from our own child.
    images : Shared
        What they share.

    Raises
    ------
    MemoryError
        If the system stopped a process, as it does when the memory runs out.
    Exception
        What a job raises.
    """
    assert _CONTEXT is not None
    children, ends = [], []
    _keep_memory()
    try:
        for job in jobs[1:]:
            receive, send = _CONTEXT.Pipe(duplex=False)
            child = _CONTEXT.Process(target=_child, args=(job, images, send), daemon=True)
            with _held_interrupts(), warnings.catch_warnings():
                # Python 3.12 warns of the threads that NumPy's BLAS keeps; nothing here calls it in a child.
                warnings.simplefilter("ignore", DeprecationWarning)
                child.start()
            send.close()
            children.append(child)
            ends.append(receive)
        results = [jobs[0](images)]
        for receive in ends:
            try:
                good, found = receive.recv()
            except EOFError:
                raise MemoryError("a worker process was stopped") from None
            if not good:
                raise found
            results.append(found)
    finally:
        for child in children:
            child.kill()  # it holds nothing, and may have inherited a handler of gentler signals
            child.join()
    if images.progress:
        images.progress(len(images.items), len(images.items))
    return results


@contextmanager
def _held_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back while a process is forked: what is raised in the hooks of a fork is printed and forgotten."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    held: list[int] = []
    signal.signal(signal.SIGINT, lambda *_: held.append(1))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if held:
        signal.raise_signal(signal.SIGINT)


def _keep_memory() -> None:
    """Let this process and its children keep what they free, where the C library is glibc.

    Otherwise a forked process may give every image's buffers back and fetch them again page by page, which took
    a fifth of its time on images of 1024 x 2048.
    """
    with suppress(OSError, AttributeError):
        tune = ctypes.CDLL(None).mallopt
        tune(_MMAP_THRESHOLD, 32 << 20)  # the most that glibc takes
        tune(_TRIM_THRESHOLD, 256 << 20)


def _child(job: Callable[[Iterator[Item_co]], T], images: Shared[Item_co], send: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its children
    images.progress = None
    try:
        answer: tuple[bool, T | Exception] = (True, job(images))
    except Exception as e:
        answer = (False, e)
    with suppress(BrokenPipeError):
        send.send(answer)
