"""Counting on a Dask cluster: partitions of the images go to its workers, what they found comes back as a tree of sums.

Partial results add up exactly, so that neither the number of workers nor the order in which they finish can be seen in
the result, and a partition that was lost with its worker is counted again. Client, scheduler and workers exchange
pickles, which are programs: whoever can reach the scheduler can run anything as its user.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iamiou import __version__
from iamiou.counts import Counts
from iamiou.errors import InputError, extra_missing, name_some
from iamiou.rows import PART, encode, write_part
from iamiou.shares import Parts, Share, ShareCounter, Source, merge_shares

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that a scheduler has to answer, and then its first worker to come.
PATIENCE = 15.0
_BRANCHES = 8  # shares that are put together at a time
_AHEAD = 3  # partitions under way for every thread: enough to keep it busy, and few enough for the scheduler
_PIECES, _FEWEST = 4, 25  # partitions for every thread, and images in one, where there are enough


@dataclass(frozen=True, eq=False)
class _Found:
    """What comes back for a partition."""

    share: Share | None = None
    rows: tuple[bytes, bytes] | None = None
    refusal: InputError | None = None


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Connect to a scheduler, which has `PATIENCE` to answer.

    Parameters
    ----------
    address : str
        ``tcp://host:8786``, or what else Dask knows.

    Raises
    ------
    InputError
        If nobody answers there in time, or Dask is not installed.
    """
    try:
        from distributed import Client
    except ImportError as e:
        raise extra_missing("--scheduler", "dask") from e
    try:
        asyncio.run(_ask(address))
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except Exception as e:  # Dask has many: OSError, ValueError, TimeoutError, those of its protocols ...
        raise InputError(
            f"No Dask scheduler answers at '{address}' within {PATIENCE:g} seconds; "
            "start one with `dask scheduler`, or correct --scheduler."
        ) from e
    try:
        yield client
    finally:
        with suppress(Exception):
            client.close(timeout=5)


async def _ask(address: str) -> None:
    """Ask who is there: a client would wait for ever for a server of another kind."""
    from distributed.comm import connect
    from distributed.security import Security

    async def who() -> str:
        comm = await connect(address, timeout=PATIENCE, **Security().get_connection_args("client"))
        try:
            await comm.write({"op": "identity", "reply": True})
            return str((await comm.read())["type"])
        finally:
            comm.abort()

    if (kind := await asyncio.wait_for(who(), PATIENCE)) != "Scheduler":
        raise ValueError(f"a {kind}")


def count_on(
    client: Any,
    source: Source,
    todo: Sequence[str],
    bins: tuple[int, ...],
    rows: Path | None,
    progress: Callable[[int, int], None] | None,
) -> Share:
    """Count images on the workers of a client.

    Parameters
    ----------
    client : distributed.Client
    source : Source
        Its paths must be the same on all workers.
    todo : sequence of str
        The image ids, sorted.
    bins : tuple of int
        Sides in pixels that part the size bins.
    rows : path, optional
        Where this process writes the rows of instances; the workers write nothing.
    progress : callable, optional
        ``progress(done, all)``.

    Raises
    ------
    InputError
        If there are no workers, one has another version of iamiou, does not see a file that this process saw, or
        workers die again and again.
    """
    threads = _check_workers(client, with_rows=rows is not None)
    even = -(-len(todo) // (threads * _PIECES))
    parts = Parts(todo, PART if rows is not None else max(1, min(PART, max(even, _FEWEST))))
    tree = _Tree(client, source, bins, rows)
    try:
        return tree.grow(parts, threads * _AHEAD, progress)
    finally:
        tree.cut()


def _check_workers(client: Any, *, with_rows: bool) -> int:
    """Refuse workers that would count in another way; return how many threads they have."""
    if client.asynchronous:
        raise InputError("The Dask client is asynchronous; give one that is not: distributed.Client(address).")
    where = client.scheduler.address
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as e:
        raise InputError(f"The Dask scheduler at '{where}' has no workers; start some: dask worker {where}") from e

    def versions() -> tuple[str | None, str | None]:  # is sent as it stands, for iamiou may be missing there
        import importlib

        found: list[str | None] = []
        for name in ("iamiou", "pyarrow"):
            try:
                found.append(str(importlib.import_module(name).__version__))
            except ImportError:
                found.append(None)
        return found[0], found[1]

    found = client.run(versions)
    if wrong := {worker: have for worker, (have, _) in found.items() if have != __version__}:
        raise _other_version(wrong)
    if with_rows:
        import pyarrow as pa

        if wrong := {worker: have for worker, (_, have) in found.items() if have != pa.__version__}:
            raise _other_version(wrong, "pyarrow", pa.__version__, "rows in Parquet")
    return max(1, sum(int(n) for n in client.nthreads().values()))


def _other_version(
    wrong: dict[str, str | None], package: str = "iamiou", mine: str = __version__, what: str = "scores"
) -> InputError:
    shown = [f"{worker} ({have or 'none'})" for worker, have in sorted(wrong.items())]
    have = "worker has" if len(shown) == 1 else "workers have"
    return InputError(
        f"{len(shown)} {have} another version of {package} than this process, which has {mine}: {name_some(shown, 3)}. "
        f"The same {what} need the same version everywhere; install it on all workers."
    )


class _Tree:
    """Partitions under way, and the shares that came of them, put together in groups as they come."""

    def __init__(self, client: Any, source: Source, bins: tuple[int, ...], rows: Path | None) -> None:
        self.client, self.source, self.bins, self.rows = client, source, bins, rows
        self.token = os.urandom(8).hex()  # keys of another run must not be taken for ours
        self.under_way: dict[Any, tuple[int, Any]] = {}
        self.levels: list[list[Any]] = [[]]
        self.merged = 0

    def grow(self, parts: Parts, ahead: int, progress: Callable[[int, int], None] | None) -> Share:
        """Count all parts, some of them under way at a time, and return what they make together."""
        from distributed import as_completed

        numbers, done = iter(range(len(parts))), 0
        glances = as_completed([self._start(parts, k) for k in islice(numbers, ahead)], loop=self.client.loop)
        for glance in glances:
            number, counted_part = self.under_way.pop(glance)
            with _sentences(parts[number][1]):
                found: _Found = glance.result()
            if found.refusal:
                raise found.refusal
            if self.rows is not None and found.rows is not None:
                write_part(self.rows, number, found.rows)
            self._keep(counted_part)
            done += len(parts[number][1])
            if progress:
                progress(done, len(parts.images))
            for k in islice(numbers, 1):
                glances.add(self._start(parts, k))
        return self._whole(parts)

    def _start(self, parts: Parts, number: int) -> Any:
        """Send a part to the cluster; return the future of what this process looks at."""
        import cloudpickle

        images = parts[number][1]
        work = zlib.compress(cloudpickle.dumps((self.source.only(images), images)), 1)
        future = self.client.submit(
            _count, work, self.bins, self.rows is not None, __version__, key=f"iamiou-count-{self.token}-{number}"
        )
        glance = self.client.submit(_glance, future, key=f"iamiou-glance-{self.token}-{number}")
        self.under_way[glance] = number, future
        return glance

    def _keep(self, future: Any, level: int = 0) -> None:
        """Put a share beside its like; as soon as they are enough, the cluster puts them together."""
        if level == len(self.levels):
            self.levels.append([])
        self.levels[level].append(future)
        if len(self.levels[level]) == _BRANCHES:
            together, self.levels[level] = self.levels[level], []
            self._keep(self._together(together), level + 1)

    def _together(self, futures: list[Any]) -> Any:
        self.merged += 1
        return self.client.submit(_together, futures, key=f"iamiou-sum-{self.token}-{self.merged}")

    def _whole(self, parts: Parts) -> Share:
        rest = [future for level in self.levels for future in level]
        if not rest:
            nothing = ShareCounter(self.source).share()
            return nothing.without_rows(self.bins) if self.rows is not None else nothing
        while len(rest) > 1:
            rest = [self._together(rest[k : k + _BRANCHES]) for k in range(0, len(rest), _BRANCHES)]
        self.levels = [rest]
        with _sentences(parts.images):
            found: _Found = rest[0].result()
        assert found.share is not None
        return found.share

    def cut(self) -> None:
        """Let the cluster forget what was not finished."""
        futures = [*self.under_way, *(future for _, future in self.under_way.values())]
        futures += [future for level in self.levels for future in level]
        with suppress(Exception):
            self.client.cancel(futures)


@contextmanager
def _sentences(images: Sequence[str]) -> Iterator[None]:
    """Say in a sentence what befell the cluster."""
    from distributed import CancelledError
    from distributed.scheduler import KilledWorker

    try:
        yield
    except KilledWorker as e:
        raise InputError(
            f"Worker after worker died over the images '{images[0]}' to '{images[-1]}'; look into the workers' logs: "
            "they may need more memory."
        ) from e
    except CancelledError as e:
        raise InputError("The Dask scheduler was lost, and with it what was counted; start one and run again.") from e


def _count(work: bytes, bins: tuple[int, ...], with_rows: bool, version: str) -> _Found:
    """Count a partition; runs on a worker."""
    if version != __version__:
        return _Found(refusal=_other_version({"one that came later": __version__}, mine=version))
    try:
        source, images = pickle.loads(zlib.decompress(work))  # from our own client, as is this call
        counter = ShareCounter(source)
        for name in images:
            counter.add(name)
        share = counter.share()
    except InputError as e:  # not of one image: an archive that is not there
        return _Found(refusal=e)
    if not with_rows:
        return _Found(share)
    assert isinstance(share.kept, Counts)
    return _Found(share.without_rows(bins), encode(share.kept, source.classes, bins))


def _glance(found: _Found) -> _Found:
    """Return what the client has to see of a partition; runs on a worker."""
    return replace(found, share=None)


def _together(found: list[_Found]) -> _Found:
    """Put shares together; runs on a worker."""
    return _Found(merge_shares([part.share for part in found if part.share is not None]))
