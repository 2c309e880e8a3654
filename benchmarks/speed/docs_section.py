"""What the commands share that make a part of docs/speed.md each: their options, and replacing that part alone."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def parse(description: str | None) -> argparse.Namespace:
    """Read the options from the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, not a result")
    parser.add_argument("--real", type=Path, default=os.environ.get("IAMIOU_REAL_DATA"), help="real masks")
    parser.add_argument("--work", type=Path, default=Path("build/speed"), help="environments (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[2] / "docs/speed.md")
    return parser.parse_args()


def replace(path: Path, name: str, text: str) -> None:
    """Put the text between the marks of this name; without marks, at the end of the file."""
    start, end = f"<!-- begin {name}: made by benchmarks/speed/{name}.py -->", f"<!-- end {name} -->"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    part = f"{start}\n{text.strip()}\n{end}"
    if start in old and end in old:
        before, _, rest = old.partition(start)
        after = rest.partition(end)[2]
        new = before + part + after
    else:
        new = f"{old.rstrip()}\n\n{part}\n".lstrip()
    path.write_text(new, encoding="utf-8")
