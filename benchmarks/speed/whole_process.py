"""What is timed as whole processes in turn: the command line against hotcoco's, and against bare imports."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from goals import Measured
from timing import Run, Times, compare, interleave_processes, run

Command = list[str | Path]


@dataclass(frozen=True)
class Tools:
    """The programs and the data."""

    programs: dict[str, Path]
    data: Path
    work: Path
    quick: bool

    def iamiou(self, *arguments: str | Path) -> Command:
        return [self.programs["iamiou"] / "iamiou", *arguments]

    def python(self, code: str) -> Command:
        return [self.programs["iamiou"] / "python", "-c", code]

    def score(self, data: Path, *options: str | Path) -> Command:
        return self.iamiou(
            "score", data / "predictions", data / "truth", "--split", "val", "--bootstrap", "0", *options
        )

    def hotcoco(self, truth: Path, predictions: Path, classes: int) -> Command:
        folders = ("--gt", truth, "--pred", predictions)
        return [self.programs["hotcoco"] / "coco", "semantic", "eval", *folders, "--classes", str(classes), "--json"]

    def rounds(self, number: int) -> int:
        return max(2, number // 3) if self.quick else number


def subset(tools: Tools, name: str, parts: list[str], number: int, copies: int = 1) -> Path:
    """Return a folder with copies of the first `number` images of a set, `copies` times under other names."""
    folder = tools.work / f"{name}-{number}x{copies}"
    shutil.rmtree(folder, ignore_errors=True)
    names = []
    for part in parts:
        (folder / part).mkdir(parents=True)
        names = sorted(file.name for file in (tools.data / name / part).iterdir())[:number]
        for copy in range(copies):
            for file in names:
                shutil.copyfile(tools.data / name / part / file, folder / part / f"{copy}-{file}")
    lists = folder / "truth/ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("".join(f"{c}-{Path(n).stem}\n" for c in range(copies) for n in names))
    return folder


VOC_PARTS = ["truth/SegmentationClass", "truth/SegmentationObject", "predictions"]


def slope(many: list[Run], few: list[Run], images: int, get: Callable[[Run], float]) -> list[list[float]]:
    """Seconds an image, start-up taken off, of every round."""
    return [[(get(a) - get(b)) / images] for a, b in zip(many, few, strict=True)]


def miou_alone(tools: Tools, name: str, parts: list[str], classes: int) -> dict[str, Measured]:
    """Compare mIoU from folders of PNG with hotcoco, CPU an image, after checking that both agree."""
    total = len(list((tools.data / name / parts[0]).iterdir()))
    few = total // 10
    key = {"voc": "VOC-like", "city": "City-like"}[name]
    class_list = tools.work / f"{classes}-classes.txt"
    class_list.write_text("".join(f"class {k}\n" for k in range(classes)))
    commands: dict[str, Command] = {}
    for size in (total, few):
        folder = subset(tools, name, parts, size)
        ids = folder / "truth/ImageSets/Segmentation/val.txt"
        options = ("--metrics", "miou", "--bootstrap", "0", "--threads", "1", "--classes", class_list)
        truth, predictions = folder / parts[0], folder / parts[-1]
        commands[f"ours {size}"] = tools.iamiou("score", predictions, "--semantic", truth, "--list", ids, *options)
        commands[f"hotcoco {size}"] = tools.hotcoco(truth, predictions, classes)
    ours = json.loads(run([*commands[f"ours {total}"], "--format", "json"]).output)["scores"]["mIoU"]
    theirs = json.loads(run(commands[f"hotcoco {total}"]).output)["mIoU"]
    if abs(ours - theirs) > 1e-12:
        raise SystemExit(f"iamiou finds mIoU {ours} on {key} pairs, hotcoco {theirs}: one of them is wrong.")
    runs = interleave_processes(commands, tools.rounds(7), {"RAYON_NUM_THREADS": "1"})
    times = Times(
        {w: slope(runs[f"{w} {total}"], runs[f"{w} {few}"], total - few, lambda r: r.cpu) for w in ("ours", "hotcoco")}
    )
    note = ", ".join(f"{w} {1000 * times.of(w):.3f}" for w in ("ours", "hotcoco"))
    note = f"CPU ms a pair: {note}; mIoU equal ({ours:.4f})"
    return {f"miou {key}": Measured.of(times.ratio("ours", "hotcoco"), note)}


def whole_score(tools: Tools) -> dict[str, Measured]:
    """Compare scoring all 1,449 triples, and the start of it, with hotcoco's mIoU alone and with bare imports."""
    voc, few = tools.data / "voc", subset(tools, "voc", VOC_PARTS, 20)
    commands = {
        "score": tools.score(voc, "--threads", "2"),
        "hotcoco": tools.hotcoco(voc / VOC_PARTS[0], voc / "predictions", 21),
        "few": tools.score(few, "--threads", "2"),
        "numba": tools.python("import numba"),
    }
    runs = interleave_processes(commands, tools.rounds(12))
    found = {
        "score": Measured.of(compare(runs, "score", "hotcoco"), walls(runs, "score", "hotcoco")),
        "few": Measured.of(compare(runs, "few", "numba"), walls(runs, "few", "numba")),
    }
    runs = {"first": [], "numba": []}
    for _ in range(tools.rounds(4)):
        with tempfile.TemporaryDirectory() as cache:
            runs["first"].append(run(commands["few"], {"NUMBA_CACHE_DIR": cache}))
        runs["numba"].append(run(commands["numba"]))
    said = [r.output.count("Compiling") for r in runs["first"]]
    note = f"{walls(runs, 'first', 'numba')}; says that it compiles {max(said)} time"
    return found | {"first": Measured.of(compare(runs, "first", "numba"), note)}


def start(tools: Tools) -> dict[str, Measured]:
    """Compare `iamiou --help` with importing click; look at what it imports."""
    commands = {"help": tools.iamiou("--help"), "click": tools.python("import click")}
    runs = interleave_processes(commands, tools.rounds(30))
    imports = run(commands["help"], {"PYTHONPROFILEIMPORTTIME": "1"}).output
    modules = {line.rpartition("|")[2].strip() for line in imports.splitlines() if line.startswith("import time:")}
    heavy = sorted(modules & {"numpy", "numba", "pandas", "PIL", "matplotlib", "rich"})
    note = f"{walls(runs, 'help', 'click')}; imports {', '.join(heavy) or 'neither numpy nor numba'}"
    return {"help": Measured.of(compare(runs, "help", "click"), note)}


def threads(tools: Tools) -> dict[str, Measured]:
    """Compare two threads with one, images only, beside a control that never holds the interpreter's lock.

    Images stand there several times under other names, so that a run takes seconds and start-up little of them.
    """
    found = {}
    for name, parts, few, many, copies, key in (
        ("voc", VOC_PARTS, 144, 1449, 4, "VOC-like"),
        ("city", ["semantic", "instances", "predictions"], 50, 50, 8, "City-like"),
    ):
        commands = {}
        for size, folder in (
            ("few", subset(tools, name, parts, few)),
            ("many", subset(tools, name, parts, many, copies)),
        ):
            ids = folder / "truth/ImageSets/Segmentation/val.txt"
            sides = ("--semantic", folder / parts[0], "--instances", folder / parts[1], "--list", ids)
            command = tools.iamiou("score", folder / "predictions", *sides, "--bootstrap", "0", "--threads")
            commands |= {f"{size} {n}": [*command, n] for n in ("1", "2")}
        rounds, controls = tools.rounds(11), []
        runs: dict[str, list[Run]] = {key: [] for key in commands}
        for _ in range(rounds):
            controls.append(control())
            for label, command in commands.items():
                runs[label].append(run(command))
        times = Times({n: slope(runs[f"many {n}"], runs[f"few {n}"], 1, lambda r: r.wall) for n in ("1", "2")})
        reached = median(controls)
        note = f"control: {reached:.2f} ×" + ("" if reached >= 1.9 else "; a busy machine, no verdict")
        found[f"threads {key}"] = Measured.of(times.ratio("1", "2"), note, void=reached < 1.9)
    return found


def control() -> float:
    """How many times faster two threads hash, which needs no lock, than one."""
    block = bytes(1 << 20)

    def work(blocks: int) -> None:
        for _ in range(blocks):
            hashlib.sha256(block)

    def wall(workers: int) -> float:
        pool = [threading.Thread(target=work, args=(200 // workers,)) for _ in range(workers)]
        begin = time.perf_counter()
        for worker in pool:
            worker.start()
        for worker in pool:
            worker.join()
        return time.perf_counter() - begin

    return wall(1) / wall(2)


def large(tools: Tools) -> dict[str, Measured]:
    """Time one 8192 x 8192 pair in fresh processes, and what memory it takes beside the maps."""
    command = [tools.programs["arrays"] / "python", Path(__file__).with_name("large.py"), tools.data / "big"]
    seconds: dict[str, list[list[float]]] = {"ours": [], "numpy": []}
    extra: dict[str, list[float]] = {"ours": [], "numpy": []}
    for _ in range(tools.rounds(5)):
        for which, rounds in seconds.items():
            result = json.loads(run([*command, which]).output)
            rounds.append([result["seconds"]])
            extra[which].append(result["extra_mb"])
    times = Times(seconds)
    note = f"ms: ours {1000 * times.of('ours'):.0f}, NumPy + cc3d {1000 * times.of('numpy'):.0f}"
    memory = Measured(
        *(median(extra["ours"]), min(extra["ours"]), max(extra["ours"])),
        f"NumPy + cc3d: {median(extra['numpy']):,.0f} MB",
    )
    return {"large time": Measured.of(times.ratio("numpy", "ours"), note), "large memory": memory}


def flat_memory(tools: Tools) -> str:
    """Return a sentence on the peak memory of scoring 1,000 and 10,000 images."""
    peaks = []
    for copies in (1, 10):
        folder = subset(tools, "voc", VOC_PARTS, 1000, copies)
        peaks.append(run(tools.score(folder, "--threads", "2")).peak / 1e6)
        shutil.rmtree(folder)
    rows = 1e6 * (peaks[1] - peaks[0]) / 9000
    return (
        f"Peak memory of `iamiou score`: {peaks[0]:.0f} MB for 1,000 images, {peaks[1]:.0f} MB for 10,000: "
        f"{rows:,.0f} bytes for each further image and its instances."
    )


def bootstrap(tools: Tools) -> dict[str, Measured]:
    """Compare 1,000 resamples with the scoring of 1,449 images, inside one process."""
    code = f"""
import json, time, iamiou
def seconds(**options):
    start = time.perf_counter()
    iamiou.evaluate({str(tools.data / "voc/predictions")!r}, {str(tools.data / "voc/truth")!r}, split="val", **options)
    return time.perf_counter() - start
seconds(bootstrap=10)
print(json.dumps([(seconds(bootstrap=0), seconds(bootstrap=1000)) for _ in range({tools.rounds(9)})]))
"""
    pairs = json.loads(run(tools.python(code)).output.splitlines()[-1])
    extra = [full - bare for bare, full in pairs]
    ratio = Times({"extra": [[e] for e in extra], "bare": [[bare] for bare, _ in pairs]}).ratio("extra", "bare")
    note = f"s: {median(extra):.3f} beside {median(bare for bare, _ in pairs):.3f}"
    return {"bootstrap": Measured.of(ratio, note)}


def walls(runs: dict[str, list[Run]], name: str, other: str) -> str:
    """Return the seconds from start to end, and the ratio of the CPU seconds, which a busy machine disturbs less."""
    seconds = ", ".join(f"{key} {median(r.wall for r in runs[key]):.3f}" for key in (name, other))
    return f"s: {seconds}; CPU {compare(runs, name, other, cpu=True).value:.2f} ×"
