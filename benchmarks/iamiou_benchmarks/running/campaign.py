"""Run what a table still lacks: run by run and seed by seed, each result into one folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from iamiou.errors import InputError
from iamiou.masks import write_bytes
from iamiou_benchmarks.running.pipeline import execute, make_plan
from iamiou_benchmarks.running.runfile import list_runs, load_run
from iamiou_benchmarks.stage.work import Show
from iamiou_benchmarks.tables.named_tables import TABLES
from iamiou_benchmarks.tables.verdicts import meant_seeds


def missing(
    patterns: Iterable[str], seeds: int | None, results: Path, *, only: Collection[int] = (), again: bool = False
) -> list[tuple[str, int]]:
    """Return the runs and seeds that have no result yet, seed by seed, so that pairs become whole early.

    Parameters
    ----------
    patterns : iterable of str
        Names of tables or of run files, or beginnings of these that end with ``-``.
    seeds : int, optional
        How many; None is what verdicts on the data are meant to stand on.
    results : Path
    only : collection of int
        Of these seeds alone; all where it is empty.
    again : bool
        Also those that have a result.

    Raises
    ------
    InputError
        If no table and no run file has such a name.

    Examples
    --------
    >>> missing(["shapes-tiny-cam-sb"], 2, Path("none"))
    [('shapes-tiny-cam-sb', 0), ('shapes-tiny-cam-sb', 1)]
    >>> missing(["shapes-tiny-cam-sb"], 4, Path("none"), only=[3])
    [('shapes-tiny-cam-sb', 3)]
    >>> len(missing(["main"], None, Path("none"))) # 14 runs, of 5 seeds on shapes small and of 3 on voc-mini
    112
    """
    names: list[str] = []
    for pattern in patterns:
        found = [n for n in list_runs() if n == pattern or (pattern.endswith("-") and n.startswith(pattern))]
        found = list(TABLES[pattern].runs) if pattern in TABLES else found
        if not found:
            raise InputError(
                f"There is no run '{pattern}'; see iamiou bench list. A beginning of names ends with '-'; "
                f"{', '.join(TABLES)} are tables."
            )
        names += [n for n in found if n not in names]
    many = {name: seeds or meant_seeds(name) for name in names}
    every = [(name, seed) for seed in range(max(many.values(), default=0)) for name in names if seed < many[name]]
    if nobody := sorted({*only} - {seed for _, seed in every}):
        raise InputError(f"There is no seed {nobody[0]} among those to fill; --seeds says how many there are.")
    asked = [(name, seed) for name, seed in every if not only or seed in only]
    return [(name, seed) for name, seed in asked if again or not (results / f"{name}-{seed}.json").exists()]


def fill(
    todo: Iterable[tuple[str, int]],
    results: Path,
    cache: Path,
    device: str,
    done: Callable[[str], None],
    show: Show | None,
) -> None:
    """Execute runs one after the other; each leaves ``RUN-SEED.json`` in `results` and its folder beside `cache`.

    Parameters
    ----------
    done : callable
        Is told the name of every result.
    """
    for name, seed in todo:
        folder = cache.parent / f"{name}-{seed}"
        execute(make_plan(load_run(name), seed, cache, device), folder, resume=True, show=show)
        results.mkdir(parents=True, exist_ok=True)
        write_bytes(results / f"{name}-{seed}.json", (folder / "result.json").read_bytes())
        shutil.rmtree(folder / "predictions", ignore_errors=True)  # they lie among the stages
        done(f"{name}-{seed}.json")
