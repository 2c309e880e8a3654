"""Find where the time of `iamiou score` goes, stage by stage, beside one read of the bytes, and write it down.

python benchmarks/speed/stages.py [--quick] [--real DIR] [--work DIR] [--out FILE.md]
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from statistics import median
from typing import Any

from docs_section import parse, replace
from environments import prepare
from peer_sets import FOLDERS
from stage_profile import STAGES
from timing import run

HERE = Path(__file__).resolve().parent
TITLES = {"voc": "VOC-like", "city": "Cityscapes-like", "real": "real VOC masks"}
FEW = 20


def folders(data: Path, real: Path | None) -> dict[str, list[str]]:
    """Return predictions, class maps, instance maps and the number of classes of every set."""
    roots = {"voc": data / "voc", "city": data / "city", **({"real": real} if real else {})}
    sets = {name: [str(root / part) for part in FOLDERS[name]] for name, root in roots.items()}
    return {name: [*parts, "19" if name == "city" else "21"] for name, parts in sets.items()}


def profile(python: Path, work: Path, *arguments: str) -> dict[str, Any]:
    output = run([python, HERE / "stage_profile.py", *arguments], {"STAGE_LIST": str(work / "stage-list.txt")}).output
    return json.loads(output.splitlines()[-1])


def counting(found: dict[str, dict[str, Any]]) -> str:
    """One row a stage: microseconds a pair, and its share."""
    lines = [f"| microseconds a pair | {' | '.join(TITLES[name] for name in found)} |", "|---" * (len(found) + 1) + "|"]

    def row(title: str, values: list[float], totals: list[float]) -> None:
        cells = (f"{v:,.0f} ({100 * v / t:.0f} %)" for v, t in zip(values, totals, strict=True))
        lines.append(f"| {title} | {' | '.join(cells)} |")

    bare, rest = [], []
    parts: dict[str, list[float]] = {stage: [] for stage, _, _ in STAGES}
    for one in found.values():
        per = 1e6 / one["images"]
        bare.append(per * median(one["bare"]))
        inside = [per * median(r.get(stage, 0.0) for r in one["rounds"]) for stage in parts]
        for values, value in zip(parts.values(), inside, strict=True):
            values.append(value)
        rest.append(bare[-1] - sum(inside))
    for stage, values in parts.items():
        row(stage, values, bare)
    row("Python between them", rest, bare)
    lines.append(f"| **all** | {' | '.join(f'**{b:,.0f}**' for b in bare)} |")
    floors = [1e6 * one["floor"] / one["images"] for one in found.values()]
    cells = [f"{f:,.0f} (all is {b / f:.0f} times that)" for f, b in zip(floors, bare, strict=True)]
    lines.append(f"| the floor: one read of the decoded bytes, from the cache | {' | '.join(cells)} |")
    return "\n".join(lines)


def starting(runs: list[dict[str, Any]]) -> str:
    """One row a step of a fresh process: milliseconds, and the sum so far."""
    lines = ["| step | CPU ms | so far |", "|---|---|---|"]
    before = 0.0
    for step in runs[0]["marks"]:
        until = 1000 * median(r["marks"][step] for r in runs)
        title = step if step != "count the images" else f"count {runs[0]['images']} images"
        lines.append(f"| {title} | {until - before:.0f} | {until:.0f} |")
        before = until
    return "\n".join(lines)


def text(found: dict[str, dict[str, Any]], starts: list[dict[str, Any]]) -> str:
    sizes = ", ".join(f"{TITLES[name]} {one['bytes'] / one['images'] / 1e6:.2f} MB" for name, one in found.items())
    return f"""## Where the time goes

CPU time of `iamiou score` on one thread, by clocks around the functions of each stage, made by

```console
$ python benchmarks/speed/stages.py
```

Medians; every stage without what it calls of the others, and "Python between them" is what a run without clocks
takes beyond their sum. Decoded maps a pair: {sizes}.

{counting(found)}

A fresh process with {starts[0]["images"]} VOC-like pairs, step by step (`iamiou score` imports in this order):

{starting(starts)}
"""


def main() -> None:
    options = parse(__doc__)
    work = options.work.resolve()
    programs = prepare(work)
    python = programs["iamiou"] / "python"
    run([programs["arrays"] / "python", HERE / "generate.py", work / "data"])
    sets = folders(work / "data", options.real.resolve() if options.real else None)
    rounds = "2" if options.quick else "5"
    found = {name: profile(python, work, "count", *arguments, rounds) for name, arguments in sets.items()}
    few = work / "stage-few"
    shutil.rmtree(few, ignore_errors=True)
    few.mkdir()
    for file in sorted(Path(sets["voc"][0]).glob("*.png"))[:FEW]:
        shutil.copyfile(file, few / file.name)
    arguments = [str(few), *sets["voc"][1:]]
    starts = [profile(python, work, "start", *arguments) for _ in range(3 if options.quick else 9)]
    replace(options.out, "stages", text(found, starts))
    print(f"the table is in {options.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
