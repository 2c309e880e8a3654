"""Measure iamiou against its peers and against the floor, in turn, and print the table of ratios.

python benchmarks/speed/run.py [--quick] [--only NAME,...] [--real DIR] [--out FILE.md] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import whole_process as whole
from environments import prepare
from goals import Measured, table
from timing import run

HERE = Path(__file__).resolve().parent
IN_PROCESS = ("kernel", "components", "decode", "linear")
VOC_PARTS, CITY_PARTS = ["truth/SegmentationClass", "predictions"], ["semantic", "predictions"]
WHOLE: dict[str, Callable[[whole.Tools], dict[str, Measured]]] = {
    "help": whole.start,
    "score": whole.whole_score,
    "miou": lambda tools: {
        **whole.miou_alone(tools, "voc", VOC_PARTS, 21),
        **whole.miou_alone(tools, "city", CITY_PARTS, 19),
    },
    "threads": whole.threads,
    "large": whole.large,
    "bootstrap": whole.bootstrap,
}
NAMES = (*IN_PROCESS, *WHOLE, "memory")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the speed of iamiou against its peers.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and images: a look, not a result")
    parser.add_argument("--only", metavar="NAME,...", default=",".join(NAMES), help=f"of {', '.join(NAMES)}")
    parser.add_argument("--real", type=Path, default=os.environ.get("IAMIOU_REAL_DATA"), help="real masks")
    parser.add_argument("--work", type=Path, default=Path("build/speed"), help="environments (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="generated maps (default: data in WORK)")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write the table here, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(NAMES):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return options


def in_process(options: argparse.Namespace, programs: dict[str, Path], data: Path) -> dict:
    only = [name for name in IN_PROCESS if name in options.only]
    if not only:
        return {"measured": {}, "linear": {}, "sizes": []}
    command = [programs["arrays"] / "python", HERE / "in_process.py", data, "--only", ",".join(only)]
    command += ["--real", options.real.resolve()] if options.real else []
    return json.loads(run(command + ["--quick"] * options.quick).output)


def curve(linear: dict[str, list[float]], sizes: list[int]) -> str:
    """Show nanoseconds a pixel at growing sizes: flat is linear."""
    lines = ["Nanoseconds a pixel of maps made to be hard, by their side in pixels (level means linear):", ""]
    lines += [f"| map | {' | '.join(map(str, sizes))} |", "|---" * (len(sizes) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(f'{ns:.1f}' for ns in each)} |" for name, each in linear.items()]
    return "\n".join(lines)


def main() -> None:
    options = parse()
    work = options.work.resolve()
    data = (options.data or work / "data").resolve()
    programs = prepare(work)
    made = run([programs["arrays"] / "python", HERE / "generate.py", data]).output
    inside = in_process(options, programs, data)
    measured = {key: Measured(**row) for key, row in inside["measured"].items()}
    tools = whole.Tools(programs, data, work / "links", options.quick)
    tools.work.mkdir(parents=True, exist_ok=True)
    for name, measure in WHOLE.items():
        if name in options.only:
            print(f"measuring {name}", file=sys.stderr, flush=True)
            measured |= measure(tools)
    parts = [table(measured)]
    parts += [curve(inside["linear"], inside["sizes"])] if inside["linear"] else []
    parts += [whole.flat_memory(tools)] if "memory" in options.only else []
    parts += [
        f"Generated maps ({platform.processor() or platform.machine()}, {os.cpu_count()} cores):\n\n{made.strip()}"
    ]
    text = "\n\n".join(parts) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text)
    if options.json:
        rows = {key: asdict(value) for key, value in measured.items()}
        found = {"measured": rows, "linear": inside["linear"], "sizes": inside["sizes"], "data": made}
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
