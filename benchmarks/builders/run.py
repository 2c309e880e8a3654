"""Hold the builder against its goals on generated pools; README.md says what is measured and how.

python -m benchmarks.builders.run [--images 20000] [--work DIR] [--out FILE.md]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import click

from iamiou_builders.goals import Goal, check
from iamiou_builders.selection import select
from tests.builders.pool_files import write_pool
from tests.builders.pools import make_pool

SECONDS, GIGABYTES = 60, 3
#: What the processes differ in: files, hash seed, threads.
PROCESSES = {"plain": ("plain", "0", "1"), "shuffled": ("shuffled", "77", "4")}
_HEAD = "| goal | figure | at most | met | |\n|---|---|---|---|---|"


@click.command()
@click.option("--images", default=20_000, show_default=True, help="Size of the pool.")
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), default=Path("build/builders"))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the tables here too.")
@click.option("--matrices/--no-matrices", default=True, help="Selections from pools that are matrices only.")
def main(images: int, work: Path, out: Path | None, matrices: bool) -> None:
    """Print the goals' tables."""
    lines = []
    for line in chain(from_matrices(images) if matrices else (), from_files(images, work)):
        click.echo(line)
        lines.append(line)
    if out:
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def from_matrices(images: int) -> Iterator[str]:
    """Select from pools of the size of LVIS val and of COCO val, and yield their tables."""
    for size, seeds in ((images, (0, 1, 2)), (images // 4, (0,))):
        for objective in ("balance", "min-images"):
            for seed in seeds:
                pool = make_pool(size, seed)
                start = time.perf_counter()
                found = select(pool, per_cell=60, seed=seed, objective=objective)
                seconds = time.perf_counter() - start
                yield f"\n### Matrices: {size} images, seed {seed}, {objective}\n"
                yield (
                    f"{found.ids.size} images selected in {seconds:.1f} s; {found.status}; cost {found.objective:g}, "
                    f"proved bound {found.bound:.1f}, gap {found.gap:.1%}; "
                    f"the greedy choice costs {found.details['greedy_cost']:g}.\n"
                )
                yield _HEAD
                yield from map(row, check(pool, found, per_cell=60))


def from_files(images: int, work: Path) -> Iterator[str]:
    """Build from json in two processes that must agree, then for the fewest images, and yield the tables."""
    for name, shuffle in (("plain", None), ("shuffled", 1)):
        folder = work / f"{name}-{images}"
        if not (folder / "lvis.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_pool(folder, images, shuffle=shuffle)
    reports = {name: build(work, images, *how) for name, how in PROCESSES.items()}
    plain, shuffled = reports.values()
    same = [f"{what} {plain[what][:12]}" for what in ("list", "maps") if plain[what] == shuffled[what]]
    yield from table(plain, "balance")
    text = "list, label maps: shuffled files, other hash seed, other threads; the same: " + (", ".join(same) or "none")
    yield row(Goal("differences", 2 - len(same), 0, text))
    for name, report in reports.items():
        steps = ", ".join(f"{k} {v:.1f}" for k, v in report["seconds"].items() if k != "painting")
        painting = f"painting the selected {report['seconds']['painting']:.1f} more"
        yield row(Goal("seconds", report["wall"], SECONDS, f"{name}: {steps}; CPU {report['cpu']:.1f}; {painting}"))
        yield row(Goal("peak memory, GB", report["peak"] / 1e9, GIGABYTES, f"{name}: of the whole process"))
    yield from table(build(work, images, *PROCESSES["plain"], "min-images"), "min-images")


def build(
    work: Path, images: int, files: str, hash_seed: str, threads: str, objective: str = "balance"
) -> dict[str, Any]:
    """Run one build in a process of its own."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | {"PYTHONHASHSEED": hash_seed} | dict.fromkeys(names, threads)
    command = [sys.executable, "-m", "benchmarks.builders.one_build", str(work / f"{files}-{images}")]
    done = subprocess.run([*command, "--objective", objective], env=environment, stdout=subprocess.PIPE, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def table(report: dict[str, Any], objective: str) -> Iterator[str]:
    """Yield the goals of a build from json."""
    size = ", ".join(f"{n} annotations of {kind.upper()}" for kind, n in report["annotations"].items())
    yield f"\n### Json: {report['images']} images, {size}, {objective}\n"
    yield (
        f"{report['selected']} images selected; {report['status']}; cost {report['cost']:g}, proved bound "
        f"{report['bound']:.1f}, gap {report['gap']:.1%}.\n"
    )
    yield _HEAD
    yield from (row(Goal(g["name"], g["figure"], g["bound"], g["text"])) for g in report["goals"])


def row(goal: Goal) -> str:
    """Return a line of a table."""
    return f"| {goal.name} | {goal.figure:.4g} | {goal.bound:.4g} | {'yes' if goal.met else '**no**'} | {goal.text} |"


if __name__ == "__main__":
    main()
