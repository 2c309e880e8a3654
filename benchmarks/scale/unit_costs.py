"""Measure what one pair, one row and one submission cost, for the arithmetic of docs/scale.md.

python benchmarks/scale/unit_costs.py [--data build/speed/data] [--images 1449]

Takes the VOC-like maps of benchmarks/speed/generate.py. CPU is user and system time of a command and of the processes
that it waits for, less that of a tenth of the images where start-up is taken off.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PARTS = ("truth/SegmentationClass", "truth/SegmentationObject", "predictions")
IAMIOU = [sys.executable, "-m", "iamiou"]


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    wall: float
    cpu: float
    output: str


def run(*command: str | Path) -> Cost:
    """Run an `iamiou` command to its end; raise with its output when it fails."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([*IAMIOU, *map(str, command)], capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout)


def subset(data: Path, out: Path, images: int) -> Path:
    """Copy the first images of the maps into a devkit with a folder of predictions."""
    for part in PARTS:
        (out / part).mkdir(parents=True)
        for file in sorted((data / part).iterdir())[:images]:
            shutil.copyfile(file, out / part / file.name)
    names = sorted(file.stem for file in (out / PARTS[0]).iterdir())
    (out / "truth/ImageSets/Segmentation").mkdir(parents=True)
    (out / "truth/ImageSets/Segmentation/val.txt").write_text("".join(f"{name}\n" for name in names))
    return out


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def scoring(many: Path, few: Path, images: int) -> dict[str, str]:
    """Cost of a pair: CPU, bytes that are read, rows that come out."""

    def score(folder: Path, *options: str) -> Cost:
        runs = [run("score", folder / "predictions", folder / "truth", "--split", "val", *options) for _ in range(3)]
        return sorted(runs, key=lambda r: r.cpu)[1]

    plain = ("--bootstrap", "0", "--threads", "1")
    extra = images - images // 10
    pair = (score(many, *plain).cpu - score(few, *plain).cpu) / extra
    resampled = (score(many, "--threads", "1").cpu - score(many, *plain).cpu) / images
    with tempfile.TemporaryDirectory() as out:
        rows = Path(out, "rows")
        run("score", many / "predictions", many / "truth", "--split", "val", *plain, "--rows", rows)
        parquet = size(rows)
    found = json.loads(
        run("score", many / "predictions", many / "truth", "--split", "val", *plain, "--format", "json").output
    )
    instances = found["support"]["IA-mIoU_fg"]["instances"]
    phantoms = sum(c["phantoms"]["count"] for c in found["classes"])
    read = sum(size(many / part) for part in PARTS)
    return {
        "CPU a pair: read, decode, count": f"{1000 * pair:.2f} ms",
        "CPU a pair: 1,000 resamples": f"{1000 * resampled:.3f} ms",
        "bytes read a pair (three PNG)": f"{read / images:,.0f}",
        "rows a pair: instances, phantoms": f"{instances / images:.1f}, {phantoms / images:.1f}",
        "bytes a pair of rows in Parquet": f"{parquet / images:,.0f}",
    }


def submission(many: Path, work: Path, images: int) -> dict[str, str]:
    """Cost of one submission to a board of these images, scored here and now."""
    board = work / "board"
    run("leaderboard", "init", board, many / "truth", "--split", "val", "--name", "Costs", "--dataset", "costs")
    before = size(board)
    cost = run("submit", many / "predictions", "--to", board, "--method", "costs", "--wait")
    return {
        f"a submission of {images:,} images: CPU in all": f"{cost.cpu:.1f} s",
        "a submission: from the command to the score": f"{cost.wall:.1f} s",
        "a submission: bytes kept": f"{size(board) - before:,}",
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what a pair and a submission cost.")
    parser.add_argument(
        "--data", type=Path, default=Path("build/speed/data"), help="generated maps (default: %(default)s)"
    )
    parser.add_argument("--images", type=int, default=1449)
    options = parser.parse_args()
    if not (options.data / "voc").is_dir():
        parser.error(f"no maps in {options.data}; make them: python benchmarks/speed/generate.py {options.data}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        many = subset(options.data / "voc", work / "many", options.images)
        few = subset(options.data / "voc", work / "few", options.images // 10)
        rows = scoring(many, few, options.images) | submission(many, work, options.images)
    lines = ["| what | measured |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows.items())]
    sys.stdout.write(
        "\n".join(lines) + f"\n\n{os.cpu_count()} cores, {sys.platform}, Python {sys.version.split()[0]}\n"
    )


if __name__ == "__main__":
    main()
