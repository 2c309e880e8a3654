"""Seconds that every stage of scoring takes for itself, by clocks put around the functions that do it.

python stage_profile.py count PREDICTIONS SEMANTIC INSTANCES CLASSES ROUNDS    stages of counting, one thread
python stage_profile.py start PREDICTIONS SEMANTIC INSTANCES CLASSES            stages of one fresh process

Runs in the environment of iamiou. A clock inside another takes its seconds from it, so that the stages add up.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

CLOCK = time.thread_time
STARTED = time.process_time()  # what the interpreter took to come here

#: Stage, and the functions that it consists of, where they are looked up when they are called.
STAGES = (
    ("read the files", "os", ("open", "read", "close")),
    ("take PNG apart, checksums", "iamiou.masks", ("parse",)),
    ("inflate (libdeflate)", "iamiou.png", ("zlib_decompress",)),
    ("undo the row filters", "iamiou.unfilter", ("unfilter",)),
    ("kernel: scan, runs, overlaps", "iamiou.kernels", ("scan",)),
    ("kernel: nesting, sharing", "iamiou.kernels", ("share",)),
)


class Clocks:
    """Exclusive seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.inner = [0.0]

    def around(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            self.inner.append(0.0)
            start = CLOCK()
            try:
                return function(*arguments, **options)
            finally:
                taken = CLOCK() - start
                self.seconds[stage] += taken - self.inner.pop()
                self.inner[-1] += taken

        return timed

    def put(self) -> None:
        for stage, module, names in STAGES:
            home = import_module(module)
            for name in names:
                setattr(home, name, self.around(stage, getattr(home, name)))


def opened(arguments: list[str]) -> tuple[Any, Any, Any]:
    from iamiou.ground_truth import open_ground_truth
    from iamiou.labels import ClassList
    from iamiou.predictions import open_predictions
    from iamiou.settings import Settings

    predictions, semantic, instances, number = arguments
    ids = sorted({p.stem for p in Path(predictions).glob("*.png")} & {p.stem for p in Path(instances).glob("*.png")})
    listed = Path(os.environ["STAGE_LIST"])
    listed.write_text("".join(f"{name}\n" for name in ids))
    classes = ClassList("benchmark", tuple(f"class {k}" for k in range(int(number))))
    truth = open_ground_truth(None, semantic=semantic, instances=instances, classes=classes, list_file=listed)
    return open_predictions(predictions, truth), truth, Settings(bootstrap=0)


def floor(truth: Any, predictions: Any, rounds: int) -> dict[str, float]:
    """Seconds of one read of all decoded maps, each in the cache, and of its files' bytes: nobody can do with less."""
    import numpy as np

    once = 0.0
    size = 0
    for name in truth.ids:
        semantic, instance = truth.load(name)
        maps = [semantic, instance, predictions.load(name, semantic.shape)]
        words = [m.reshape(-1).view(np.uint8)[: m.nbytes & ~7].view(np.uint64) for m in maps]
        size += sum(m.nbytes for m in maps)
        best = 1.0
        for _ in range(rounds):
            start = CLOCK()
            for part in words:
                np.add.reduce(part)
            best = min(best, CLOCK() - start)
        once += best
    return {"floor": once, "bytes": size}


def count(arguments: list[str], rounds: int) -> dict[str, Any]:
    from iamiou.workers import count_all

    found: dict[str, Any] = {}
    predictions, truth, settings = opened(arguments)
    for name in truth.ids[:3]:
        truth.load(name)
    count_all(predictions, truth, settings, threads=1, digest=False)
    found |= floor(truth, predictions, 5)
    found["images"] = len(truth.ids)
    bare, inside = [], []
    kept = os.open, os.read, os.close
    for _ in range(rounds):  # without clocks and with them, in turn
        start = time.process_time()
        count_all(predictions, truth, settings, threads=1, digest=False)
        bare.append(time.process_time() - start)
    clocks = Clocks()
    clocks.put()
    import iamiou.png

    iamiou.png._unfilter.cache_clear()
    for _ in range(rounds):
        clocks.seconds.clear()
        start = time.process_time()
        count_all(predictions, truth, settings, threads=1, digest=False)
        inside.append({"all": time.process_time() - start, **clocks.seconds})
    os.open, os.read, os.close = kept
    return found | {"bare": bare, "rounds": inside}


def start(arguments: list[str]) -> dict[str, Any]:
    """CPU seconds from the start of this process to the end of every step that `iamiou score` goes through."""
    marks = {"start Python": STARTED}

    def mark(step: str) -> None:
        marks[step] = time.process_time()

    import_module("iamiou.cli.score")
    mark("import the command line")
    import_module("numpy")
    mark("import NumPy")
    predictions, truth, settings = opened(arguments)
    mark("list the folders")
    from iamiou.jit import load_for_good

    load_for_good(["numba"])
    mark("import Numba")
    load_for_good(["iamiou.kernels", "iamiou.unfilter"])
    mark("load the compiled kernels")
    from iamiou.workers import count_all

    name = truth.ids[0]
    truth.load(name)
    count_all(predictions, truth, settings, threads=1, digest=False)
    mark("count the images")
    from iamiou.evaluation import evaluate_opened  # noqa: F401
    from iamiou.scores import headline

    counts, _, _ = count_all(predictions, truth, settings, threads=1, digest=False)
    before = time.process_time()
    headline(counts, settings.bins)
    marks["scores"] = marks["count the images"] + time.process_time() - before
    return {"marks": marks, "images": len(truth.ids)}


def main() -> None:
    what, *arguments = sys.argv[1:]
    found = count(arguments[:4], int(arguments[4])) if what == "count" else start(arguments[:4])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
