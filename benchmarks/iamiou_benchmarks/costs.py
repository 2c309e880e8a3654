"""What the stages of finished runs cost: seconds, images a second and peak memory.

``python -m iamiou_benchmarks.costs`` measures the random walk beside its published dense form and keeps the figures
for the documentation.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from iamiou.errors import InputError
from iamiou_benchmarks.tables.results import RESULTS, groups_of, markdown

#: Images of these sides in pixels, whose maps have a quarter of that, as for VOC in IRN's code base.
SIDES = (64, 128, 192, 256)
_RADIUS, _BETA, _EXPONENT = 5, 10, 8


def cost_lines(results: Iterable[dict[str, Any]], name: str) -> list[str]:
    """Return a table of the stages of the runs whose names begin like this, each finished stage counted once.

    A stage that was interrupted tells the time of its last session alone, and is left out.

    Raises
    ------
    InputError
        If nothing is left.
    """
    results = [r for r in results if r["run"].startswith(name)]
    by_stage: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}
    for result in (r for group in groups_of(results, name).values() for r in group):
        h = result["hardware"]
        where = f"{h['name']}, {h['threads']} thread{'s' * (h['threads'] > 1)}" if h["device"] == "cpu" else h["name"]
        for record in (s for s in result["stages"] if not s["resumed"]):
            loss = result["config"]["stages"][record["name"]]["options"].get("loss")
            label = f"`{record['name']}`" + (f" {loss}" if loss else "")
            by_stage.setdefault((label, where), {})[record["key"]] = record
    if not by_stage:
        raise InputError(f"No run '{name}...' has a stage that ran through without an interruption.")
    lines = [["stage", "seconds", "images a second", "peak memory", "times run", "hardware"]]
    for (label, where), records in by_stage.items():
        of = {k: [r[k] for r in records.values()] for k in ("seconds", "images_per_second", "peak_memory_bytes")}
        rate = f"{median(of['images_per_second']):.0f}" if any(of["images_per_second"]) else "–"
        memory = f"{max(of['peak_memory_bytes']) / 1e6:,.0f} MB"
        lines.append([label, f"{median(of['seconds']):.1f}", rate, memory, str(len(records)), where])
    return markdown(lines)


def walk_lines(record: dict[str, Any]) -> list[str]:
    """Return the measured walks as a table."""
    lines = [["pixels of the maps", "sparse products", "dense squarings", "times as long", "difference"]]
    for one in record["walks"]:
        dense, sparse = one["dense"], one["sparse"]
        cells = [f"{each['seconds']:.3g} s, {each['megabytes']:,.0f} MB" for each in (sparse, dense)]
        ratio = f"{dense['seconds'] / sparse['seconds']:.1f}"
        lines.append([f"{one['side']} × {one['side']}", *cells, ratio, f"{one['difference']:.0e}"])
    hardware = record["hardware"]
    return [*markdown(lines), "", f"{hardware['name']}, {hardware['threads']} thread, double precision both."]


def _dense(maps: Any, boundary: Any) -> Any:
    """Walk as published: the whole matrix, squared eight times."""
    import torch

    from iamiou_benchmarks.cams.affinity import affinities, offsets

    height, width = boundary.shape
    n = height * width
    weight = affinities(boundary.double()[None], _RADIUS)[0].pow(_BETA)
    index = torch.arange(n).view(height, width)
    matrix = torch.eye(n, dtype=torch.float64)
    for (y, x), w in zip(offsets(_RADIUS), weight, strict=True):
        rows, columns = slice(0, height - y), slice(max(0, -x), width - max(0, x))
        here, there = index[rows, columns], index[y:, max(0, x) : width + min(0, x)]
        matrix[here, there] = matrix[there, here] = w[rows, columns]
    matrix /= matrix.sum(0)
    for _ in range(_EXPONENT):
        matrix = matrix @ matrix
    return ((maps * (1 - boundary)).reshape(len(maps), -1).double() @ matrix).view(maps.shape)


def _measure(form: str, side: int) -> None:
    """Walk once in this process, and print what it took and what came out."""
    import resource

    import torch

    from iamiou_benchmarks.cams.affinity import walk

    torch.set_num_threads(1)
    random = torch.Generator().manual_seed(side)
    maps, boundary = torch.rand(2, side, side, generator=random), torch.rand(side, side, generator=random)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    if form == "sparse":
        out = walk(maps, boundary, radius=_RADIUS, beta=_BETA, steps=2**_EXPONENT).double()
    else:
        out = _dense(maps, boundary)
    seconds = time.process_time() - start
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
    sys.stdout.write(json.dumps({"seconds": seconds, "megabytes": peak, "out": out.flatten().tolist()}) + "\n")


def measure_walks() -> dict[str, Any]:
    """Measure both forms of the walk in turn, three times each, every time in a fresh process."""
    from iamiou_benchmarks.running.pipeline import hardware, versions

    walks = []
    for side in (s // 4 for s in SIDES):
        found: dict[str, list[dict[str, Any]]] = {"sparse": [], "dense": []}
        for _ in range(3):
            for form, each in found.items():
                command = [sys.executable, "-m", "iamiou_benchmarks.costs", form, str(side)]
                each.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        pairs = zip(found["sparse"][0]["out"], found["dense"][0]["out"], strict=True)
        one: dict[str, Any] = {"side": side, "difference": max(abs(a - b) for a, b in pairs)}
        for form, each in found.items():
            one[form] = {k: median(e[k] for e in each) for k in ("seconds", "megabytes")}
        walks.append(one)
    machine = {**hardware("cpu"), "threads": 1}
    return {"schema": 1, "walks": walks, "hardware": machine, "versions": versions()}


def main(arguments: list[str]) -> None:
    """Measure one form in this process, or both forms in processes of their own."""
    if arguments:
        _measure(arguments[0], int(arguments[1]))
        return
    record = measure_walks()
    out = Path(RESULTS) / "dev" / "walks.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write("\n".join([*walk_lines(record), ""]))


if __name__ == "__main__":
    main(sys.argv[1:])
