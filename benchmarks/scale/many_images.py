"""Score 1,000, 10,000 and 118,000 pairs in one process and on two Dask workers: time, memory, and their slopes.

python benchmarks/scale/many_images.py [--work build/scale] [--data build/speed/data] [--sizes 1000,10000,118000]

The pairs are the VOC-like maps of benchmarks/speed/generate.py, which repeat under new ids as hard links. Every run is
a fresh `iamiou score --format json`; all runs of one size must print the same bytes, or this command fails.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

sys.path.insert(0, str(Path(__file__).parents[1] / "speed"))
PARTS = ("truth/SegmentationClass", "truth/SegmentationObject", "predictions")
IAMIOU = [sys.executable, "-m", "iamiou"]
WAYS = {
    "one process, rows in memory": ("--threads", "1"),
    "one process, `--rows`": ("--threads", "1", "--rows", "{rows}"),
    "two forked processes, `--rows`": ("--threads", "2", "--rows", "{rows}"),
    "two Dask workers, `--rows`": ("--scheduler", "{address}", "--rows", "{rows}"),
}


@dataclass(frozen=True)
class Run:
    """One command: seconds of the wall, CPU seconds, most memory at a time in bytes, and what it printed."""

    wall: float
    cpu: float
    peak: int
    workers: int
    output: str


def make_pairs(base: Path, folder: Path, number: int) -> None:
    """Link the maps of a base set under as many new ids as are wanted."""
    if (folder / "complete").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    names = sorted(p.name for p in (base / "predictions").iterdir())
    for part in PARTS:
        (folder / part).mkdir(parents=True)
        for k in range(number):
            os.link(base / part / names[k % len(names)], folder / part / f"{k:06}.png")
    (folder / "complete").touch()


def command(folder: Path, options: list[str]) -> Run:
    """Run `iamiou score` to its end and measure it from outside."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(
            [*IAMIOU, "score", folder / "predictions", folder / "truth", "--format", "json", *options], stdout=out
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        out.seek(0)
        text = out.read()
    if status:
        raise SystemExit(f"iamiou score failed: {options}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, 0, text)


def on_workers(folder: Path, options: list[str], client: Client) -> Run:
    """Run it on a cluster, whose workers are measured by what the system says of them."""
    client.restart(wait_for_workers=True)
    client.run(_warm)
    before = client.run(_used)
    run = command(folder, options)
    after = client.run(_used)
    cpu = run.cpu + sum(after[w][0] - before[w][0] for w in after)
    return Run(run.wall, cpu, run.peak, max(peak for _, peak in after.values()), run.output)


def _warm() -> None:
    import iamiou.kernels
    import iamiou.unfilter  # noqa: F401


def _used() -> tuple[float, int]:
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def table(runs: dict[tuple[int, str], Run], sizes: list[int], ways: list[str]) -> str:
    """Show what was measured, and for every way the slopes between the sizes."""
    lines = ["| pairs | way | seconds | CPU seconds | pairs a second | memory | of a worker |"]
    lines.append("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for (size, way), run in runs.items():
        worker = f"{run.workers / 1e6:.0f} MB" if run.workers else ""
        lines.append(
            f"| {size:,} | {way} | {run.wall:.1f} | {run.cpu:.1f} | {size / run.wall:,.0f} | {run.peak / 1e6:.0f} MB "
            f"| {worker} |"
        )
    lines += ["", f"| way | from {sizes[0]:,} to {sizes[1]:,} | from {sizes[1]:,} to {sizes[-1]:,} | bytes a pair |"]
    lines.append("| --- | ---: | ---: | ---: |")
    for way in ways:
        a, b, c = (runs[size, way] for size in (sizes[0], sizes[1], sizes[-1]))
        first = (b.wall - a.wall) / (sizes[1] - sizes[0]) * 1e6
        then = (c.wall - b.wall) / (sizes[-1] - sizes[1]) * 1e6
        memory = (c.peak - b.peak) / (sizes[-1] - sizes[1])
        lines.append(f"| {way} | {first:.0f} µs a pair | {then:.0f} µs a pair | {memory:,.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Generate, run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/scale"))
    parser.add_argument("--data", type=Path, default=Path("build/speed/data"))
    parser.add_argument("--sizes", default="1000,10000,118000")
    parser.add_argument("--bootstrap", default="1000")
    parser.add_argument("--skip", default="", help="ways to leave out, by a word in them: forked,memory")
    arguments = parser.parse_args()
    skipped = [word for word in arguments.skip.split(",") if word]
    ways = {way: given for way, given in WAYS.items() if not any(word in way for word in skipped)}
    sizes = [int(size) for size in arguments.sizes.split(",")]
    from distributed import Client, LocalCluster
    from generate import make

    print("Pairs:", make(arguments.data, "voc"), flush=True)
    runs: dict[tuple[int, str], Run] = {}
    options = {
        "n_workers": 2,
        "threads_per_worker": 1,
        "processes": True,
        "silence_logs": 50,
        "dashboard_address": "127.0.0.1:0",
    }
    with LocalCluster(**options, host="127.0.0.1") as cluster, Client(cluster) as client:
        for size in sizes:
            folder, rows = arguments.work / f"pairs-{size}", arguments.work / "rows"
            make_pairs(arguments.data / "voc", folder, size)
            digests = set()
            for way, given in ways.items():
                words = [w.format(rows=rows, address=cluster.scheduler_address) for w in given]
                words += ["--bootstrap", arguments.bootstrap]
                far = "--scheduler" in given
                run = on_workers(folder, words, client) if far else command(folder, words)
                runs[size, way] = run
                digests.add(hashlib.sha256(run.output.encode()).hexdigest())
                shown = f"{run.wall:.1f} s, {run.peak / 1e6:.0f} MB, worker {run.workers / 1e6:.0f} MB"
                print(f"{size:,} pairs, {way}: {shown}", flush=True)
            if len(digests) > 1:
                raise SystemExit(f"The ways do not print the same bytes for {size} pairs.")
            bytes_of_rows = sum(p.stat().st_size for p in rows.rglob("*.parquet"))
            print(f"{size:,} pairs: the same bytes in all ways; rows {bytes_of_rows / 1e6:.1f} MB", flush=True)
    print(f"\n{table(runs, sizes, [*ways])}")


if __name__ == "__main__":
    main()
