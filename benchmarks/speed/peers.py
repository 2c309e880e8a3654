"""Measure iamiou beside every peer that can be installed, and write the table and the figure of docs/speed.md.

python benchmarks/speed/peers.py [--quick] [--only NAME,...] [--real DIR] [--json FILE] [--from FILE] [--out FILE.md]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import peer_commands
import peer_measure as measure
from docs_section import replace
from peer_crew import Crew
from peer_environments import install, versions
from peer_table import text
from timing import run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PARTS: dict[str, Callable[[measure.Work], dict[str, Any]]] = {
    "pairs": measure.on_pairs,
    "files": measure.on_files,
    "precision": measure.precision,
    "start": peer_commands.start_up,
    "commands": peer_commands.commands,
    "memory": measure.memory,
    **{way: partial(measure.sweep, ways=[way]) for way in ("classes", "instances", "size")},
}
NAMES = tuple(PARTS)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure iamiou beside its peers.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and images: a look, not a result")
    parser.add_argument("--only", metavar="NAME,...", default=",".join(NAMES), help=f"of {', '.join(NAMES)}")
    parser.add_argument("--real", type=Path, default=os.environ.get("IAMIOU_REAL_DATA"), help="real masks")
    parser.add_argument("--work", type=Path, default=Path("build/speed"), help="environments (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all figures here; parts already there stay")
    parser.add_argument("--from", dest="given", type=Path, metavar="FILE", help="measure nothing, show these figures")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/speed.md", help="where the table goes")
    parser.add_argument("--image", type=Path, default=ROOT / "docs/images/speed.png", help="where the figure goes")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(NAMES):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return options


def measured(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    peers = install(work)
    if lacking := {"iamiou", "cc3d"} - set(peers.pythons):
        raise SystemExit(f"Nothing can be compared without {', '.join(lacking)}: {peers.missing}")
    data, maps, python = work / "data", work / "peers" / "data", peers.pythons["cc3d"]
    run([python, HERE / "generate.py", data])
    real = options.real.resolve() if options.real else None
    run([python, HERE / "peer_data.py", data, maps, *(["--real", real] if real else [])])
    if "pycocotools" in peers.pythons and not (maps / "coco" / "results.json").exists():
        run([peers.pythons["pycocotools"], HERE / "peer_coco.py", maps / "voc", maps / "coco"])
    crew = Crew(peers)
    todo = measure.Work(crew, maps, data, real, options.quick)
    found: dict[str, Any] = {}
    kept = options.json or work / "peers.json"
    if options.json and kept.exists():
        found = json.loads(kept.read_text())["found"]
    everything = {"found": found, "missing": peers.missing, "versions": versions(), "cores": os.cpu_count(), "load": []}
    try:
        for name in options.only:
            found |= PARTS[name](todo)
            everything["load"].append(os.getloadavg()[0])
            kept.write_text(json.dumps(everything, indent=1) + "\n")
    finally:
        crew.forget()
    return everything


def main() -> None:
    options = parse()
    work = options.work.resolve()
    everything = json.loads(options.given.read_text()) if options.given else measured(options, work)
    kept = options.given or options.json or work / "peers.json"
    replace(options.out, "peers", text(everything))
    print(f"the table is in {options.out}, all figures in {kept}", file=sys.stderr)
    python = work / "venv-iamiou/bin/python"
    run([python if python.exists() else sys.executable, HERE / "peer_figure.py", kept, options.image])
    print(f"the figure is {options.image}", file=sys.stderr)


if __name__ == "__main__":
    main()
