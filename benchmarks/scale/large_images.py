"""Large images and many classes: time and peak memory, each in a process of its own.

    python benchmarks/scale/large_images.py DIR [--side 32768] [--only npy,tiff,memmap,lvis] [--markdown FILE]

makes the data under DIR (once; 8 GB at the full side), then scores

- one pair of side x side pixels with some 100,000 annotated objects, roads that cross the whole map and rings around
  them, as .npy, as GeoTIFF (512 x 512 tiles, deflate) and as memory-mapped arrays: untiled and by windows, with
  instances, without (components of the truth stand in) and for mIoU only; the scores must be the same byte for byte;
- one image of 60,000 instances in 1,203 classes and background, and 1,000 photographs of 1,204 classes.

Peak memory is that of the process that scores, as the system counts it (resident set), mapped files included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

SIDE, OBJECTS, CLASSES, BLOCK = 32768, 100_000, 8, 512
WHOLE = 2**30  # no map is larger, so with this window none is read by strips


def objects(side: int, number: int, classes: int, seed: int = 7) -> np.ndarray:
    """Return top, left, height, width, class and shape of objects, the largest first."""
    rng = np.random.default_rng(seed)
    size = np.minimum(np.exp(rng.normal(3.6, 0.8, (number, 2))), side / 8).astype(np.int64) + 4
    place = (rng.random((number, 2)) * (side - size)).astype(np.int64)
    kind = rng.integers(1, classes, number)
    table = np.column_stack([place, size, kind, rng.integers(0, 2, number)])
    return table[np.argsort(-size.prod(1))]


def paint(strip: np.ndarray, first: int, table: np.ndarray, values: np.ndarray) -> None:
    """Paint the objects that lie in the rows from ``first`` on."""
    inside = np.flatnonzero((table[:, 0] < first + len(strip)) & (table[:, 0] + table[:, 2] > first))
    for k in inside:
        top, left, height, width, _, round_ = table[k]
        y0, y1 = max(top, first), min(top + height, first + len(strip))
        part = strip[y0 - first : y1 - first, left : left + width]
        if round_:
            y = (np.arange(y0, y1) - top + 0.5) / height * 2 - 1
            x = (np.arange(width) + 0.5) / width * 2 - 1
            part[y[:, None] ** 2 + x**2 <= 1] = values[k]
        else:
            part[...] = values[k]


def make_strips(side: int, rows: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield prediction, truth and instances of a large map, strip by strip."""
    table = objects(side, max(20, OBJECTS * side * side // SIDE**2), CLASSES)
    rng = np.random.default_rng(8)
    moved = table.copy()
    moved[:, :2] = np.clip(table[:, :2] + rng.integers(-3, 4, (len(table), 2)), 0, side - table[:, 2:4])
    wrong = rng.random(len(table))
    moved[:, 4] = np.where(wrong < 0.1, 0, np.where(wrong < 0.2, rng.integers(1, CLASSES, len(table)), table[:, 4]))
    ids = np.arange(1, len(table) + 1)
    middle = side // 2
    x = np.abs(np.arange(side) - middle)
    for first in range(0, side, rows):
        height = min(rows, side - first)
        pred, truth = np.zeros((2, height, side), np.uint8)
        inst = np.zeros((height, side), np.int32)
        y = np.arange(first, first + height)
        ring = np.maximum(np.abs(y - middle)[:, None], x) // max(8, side // 64)
        pred[ring % 8 == 3] = 1  # frames in frames around most of the objects: nothing in them is closed before the end
        pred[:, 10::1500] = 2  # and roads from top to bottom
        paint(truth, first, table, table[:, 4])
        paint(inst, first, table, ids)
        paint(pred, first, moved, moved[:, 4])
        specks = rng.integers(0, height * side, height * side // 20_000)
        pred.reshape(-1)[specks] = rng.integers(1, CLASSES, len(specks))
        truth[np.abs(y - middle) < 3] = 255
        yield pred, truth, inst


def make_large(folder: Path, side: int, tiff: bool) -> None:
    """Write the large pair as .npy and, if wanted, as GeoTIFF."""
    names, dtypes = ("pred", "truth", "inst"), (np.uint8, np.uint8, np.int32)
    for name in names:
        for kind in ("npy", "tiff"):
            (folder / kind / name).mkdir(parents=True, exist_ok=True)
    maps = [
        np.lib.format.open_memmap(folder / "npy" / name / "map.npy", "w+", dtype, (side, side))
        for name, dtype in zip(names, dtypes, strict=True)
    ]
    files = [open_tiff(folder / "tiff" / n / "map.tif", side, d) for n, d in zip(names, dtypes, strict=True)] * tiff
    first = 0
    for strips in make_strips(side, BLOCK):
        for k, strip in enumerate(strips):
            maps[k][first : first + len(strip)] = strip
            if tiff:
                files[k].write(strip, 1, window=((first, first + len(strip)), (0, side)))
        first += len(strips[0])
    for file in files:
        file.close()
    (folder / "classes.txt").write_text("".join(f"class{c}\n" for c in range(1, CLASSES)))
    (folder / "made").write_text(str(side))


def open_tiff(path: Path, side: int, dtype: type) -> object:
    """Open a tiled, compressed GeoTIFF with a georeference for writing."""
    import rasterio

    place = rasterio.transform.from_origin(600000, 5800000, 0.5, 0.5)
    shape = {"width": side, "height": side, "count": 1, "dtype": np.dtype(dtype).name, "crs": "EPSG:32633"}
    tiles = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate", "bigtiff": "yes"}
    return rasterio.open(path, "w", driver="GTiff", transform=place, **shape, **tiles)


def make_lvis(folder: Path) -> None:
    """Write 60,000 instances of 1,203 classes in one image, and 1,000 photographs of the same classes."""
    (folder / "lvis.txt").write_text("".join(f"class{c}\n" for c in range(1, 1204)))
    cell, across = 32, 250
    ids = np.arange(1, 60_001).reshape(-1, across)
    inst = np.kron(ids, np.ones((cell, cell), np.int64)).astype(np.uint16)
    inst[np.arange(inst.shape[0]) % cell >= cell - 4] = 0
    inst[:, np.arange(inst.shape[1]) % cell >= cell - 5] = 0
    label = np.append(0, np.random.default_rng(9).integers(1, 1204, 60_000)).astype(np.uint16)
    write_lvis(folder / "lvis-one", "map", inst, label, np.random.default_rng(10))
    for k in range(1000):
        rng = np.random.default_rng([11, k])
        table = objects(640, 12, 2, seed=k)
        inst = np.zeros((480, 640), np.uint16)
        paint(inst, 0, table, np.arange(1, 13))
        label = np.append(0, rng.integers(1, 1204, 12)).astype(np.uint16)
        write_lvis(folder / "lvis-many", f"{k:04}", inst, label, rng)


def write_lvis(folder: Path, name: str, inst: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> None:
    """Write one image: the truth, and a prediction that is shifted and takes one object in five for another class."""
    guess = np.where(rng.random(len(label)) < 0.2, rng.integers(0, 1204, len(label)), label).astype(np.uint16)
    guess[0] = 0
    for kind, labels in (("pred", np.roll(guess[inst], 2, 1)), ("truth", label[inst]), ("inst", inst)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        np.save(folder / kind / f"{name}.npy", labels)


def measured(command: list[str]) -> tuple[float, float, float, str]:
    """Run a command; return seconds by the wall and of CPU, peak memory in MB and its output."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        text = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    wall = time.perf_counter() - start
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text


def score(folder: Path, classes: Path, *options: str) -> tuple[float, float, float, str]:
    """Run ``iamiou score`` on the folders pred, truth and, unless options say otherwise, inst."""
    instances = [] if "--no-instances" in options else ["--instances", str(folder / "inst")]
    rest = [o for o in options if o != "--no-instances"]
    command = ["-m", "iamiou", "score", str(folder / "pred"), "--semantic", str(folder / "truth"), *instances]
    return measured([sys.executable, *command, "--classes", str(classes), "--bootstrap", "0", "--threads", "1", *rest])


_MEMMAP = """
import sys, numpy as np, iamiou
maps = [np.load(f"{sys.argv[1]}/{name}/map.npy", mmap_mode="r") for name in ("pred", "truth", "inst")]
print(iamiou.score(*maps, classes=sys.argv[2], window=int(sys.argv[3])).to_json())
"""


def large(folder: Path, only: list[str], window: int) -> Iterator[tuple[str, str, float, float, float, str]]:
    """Measure the large pair: what, how, seconds (wall, CPU), MB and the score json."""
    classes = folder / "classes.txt"
    ways = (
        ("annotated instances", ()),
        ("components of the truth", ("--no-instances",)),
        ("mIoU", ("--metrics", "miou")),
    )
    for kind in ("npy", "tiff"):
        for what, options in ways if kind in only else ():
            for how, pixels in (("untiled", WHOLE), ("windows", window)):
                options_now = (*options, "--window", str(pixels), "--format", "json")
                yield f".{kind}, {what}", how, *score(folder / kind, classes, *options_now)
    if "memmap" in only:
        for how, pixels in (("untiled", WHOLE), ("windows", window)):
            command = [sys.executable, "-c", _MEMMAP, str(folder / "npy"), str(classes), str(pixels)]
            yield "numpy.memmap, annotated instances", how, *measured(command)


def lvis(folder: Path) -> Iterator[tuple[str, str, float, float, float, str]]:
    """Measure many classes."""
    for what, name in (
        ("60,000 instances of 1,203 classes, one image", "lvis-one"),
        ("1,000 images of 1,204 classes", "lvis-many"),
    ):
        for how in ("all", "miou"):
            options = ("--metrics", how, "--format", "json")
            yield what, f"--metrics {how}", *score(folder / name, folder / "lvis.txt", *options)


def make(folder: Path, side: int, only: list[str]) -> None:
    """Make what is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / "made"
    if set(only) - {"lvis"} and (not made.exists() or made.read_text() != str(side)):
        make_large(folder, side, "tiff" in only)
    if "lvis" in only and not (folder / "lvis-many").exists():
        make_lvis(folder)


def main() -> None:
    """Make the data, measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--only", default="npy,tiff,memmap,lvis")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--make", action="store_true", help="Make the data and end.")
    args = parser.parse_args()
    only = args.only.split(",")
    if args.make:
        make(args.folder, args.side, only)
        return
    # In a process of its own: what this one has used counts as a peak of the processes that it starts.
    subprocess.run([sys.executable, __file__, *sys.argv[1:], "--make"], check=True)
    import_all = "import iamiou.kernels, iamiou.unfilter, iamiou.closing, iamiou.components, iamiou.borders"
    subprocess.run([sys.executable, "-c", import_all], check=True)  # nothing is compiled while the clock runs
    lines = ["| what | how | seconds | CPU seconds | peak memory, MB | score |", "|---|---|---:|---:|---:|---|"]
    before: dict[str, str] = {}
    many = lvis(args.folder) if "lvis" in only else iter(())
    for what, how, seconds, cpu, memory, text in chain(large(args.folder, only, min(2**24, args.side**2 // 64)), many):
        found = json.loads(text)
        if how in ("untiled", "windows") and before.setdefault(what, text) != text:
            raise SystemExit(f"{what}: windows and untiled differ")
        name = "mIoU" if found["scores"].get("IA-mIoU") is None else "IA-mIoU"
        lines.append(
            f"| {what} | {how} | {seconds:.1f} | {cpu:.1f} | {memory:.0f} | {name} {found['scores'][name]:.6f} |"
        )
        print(lines[-1], flush=True)
    if args.markdown:
        args.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
