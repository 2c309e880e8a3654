"""Read annotations, settle them, choose images and paint the chosen ones, in a process of its own that is measured.

    python -m benchmarks.builders.one_build FOLDER [--objective min-images]

FOLDER holds coco.json and lvis.json of ``tests/builders/pool_files.py``. Prints one json: seconds of each step, peak
memory, sha256 of the list and of all label maps, and the goals.
"""

from __future__ import annotations

import hashlib
import json
import resource
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--objective", type=click.Choice(["balance", "min-images"]), default="balance")
def main(folder: Path, objective: Any) -> None:
    """Build from the files in FOLDER, all but the pictures."""
    start, cpu = time.perf_counter(), time.process_time()
    seconds: dict[str, float] = {}
    last = start

    def step(name: str) -> None:
        nonlocal last
        seconds[name], last = time.perf_counter() - last, time.perf_counter()

    from iamiou_builders.annotations import read_sources
    from iamiou_builders.availability import candidates_of
    from iamiou_builders.goals import check
    from iamiou_builders.mapping import load_mapping
    from iamiou_builders.painting import paint
    from iamiou_builders.recipe import load_recipe
    from iamiou_builders.resolve import resolve_pool
    from iamiou_builders.selection import select

    recipe = load_recipe("pascal-b")
    step("imports")
    sources = read_sources([folder / "coco.json"], [folder / "lvis.json"], recipe, load_mapping(recipe.mapping))
    step("reading")
    pool = resolve_pool(sources)
    step("settling")
    candidates, exclusions = candidates_of(pool, recipe, source="any")
    selection = select(candidates, per_cell=recipe.per_cell, objective=objective, cap=recipe.cap)
    step("selecting")
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    goals = check(candidates, selection, per_cell=recipe.per_cell, cap=recipe.cap)
    chosen = set(selection.ids.tolist())
    maps = hashlib.sha256()
    last = time.perf_counter()
    for image in (r for r in pool if r.picture.id in chosen):
        for labels in paint(image):
            maps.update(f"{image.picture.id} {labels.dtype} {labels.shape}".encode() + labels.tobytes())
    step("painting")
    report = {"seconds": seconds, "wall": wall, "cpu": used, "peak": peak, "images": len(pool)}
    report |= {"annotations": {f.kind: f.annotations for f in sources.files}, "excluded": len(exclusions)}
    report |= {"selected": len(chosen), "list": hashlib.sha256(selection.ids.tobytes()).hexdigest()}
    report |= {"maps": maps.hexdigest(), "status": selection.status, "cost": selection.objective}
    report |= {"bound": selection.bound, "gap": selection.gap, "goals": [asdict(g) | {"met": g.met} for g in goals]}
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
