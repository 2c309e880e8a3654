"""Ask every tool for mIoU of the same small maps, and write what each answered into docs/differences.md.

python benchmarks/speed/differences.py [--work DIR] [--out FILE.md]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from difference_cases import CASES, Case
from docs_section import replace
from peer_environments import Peers, install, pins, version
from timing import run

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = ("iamiou", "cc3d", "torchmetrics", "hotcoco", "vernier", "cityscapesscripts", "panoptica")
Answer = float | str | None


def right_text(case: Case) -> str:
    value = case.right()
    return "an error" if value is None else "undefined" if math.isnan(value) else f"{float(value):.4f}"


def is_right(case: Case, answer: Answer) -> bool:
    value = case.right()
    if value is None:
        return isinstance(answer, str)
    if math.isnan(value):
        return answer is None
    return isinstance(answer, float) and abs(answer - float(value)) < 1e-5


def cell(case: Case, answer: Answer, notes: list[str]) -> str:
    """Write an answer, bold where it is not right; errors become notes."""
    if isinstance(answer, str):
        note = answer.replace("|", "\\|")[:300]
        if note not in notes:
            notes.append(note)
        shown = f"error<sup>{notes.index(note) + 1}</sup>"
    else:
        shown = "NaN" if answer is None else f"{answer:.4f}"
    if is_right(case, answer):
        return shown
    other = case.union()
    if isinstance(answer, float) and other is not None and abs(answer - float(other)) < 1e-5:
        return f"*{shown}*"
    return f"**{shown}**"


def drawn(labels: np.ndarray) -> str:
    return " ".join("".join("v" if x == 255 else str(x) for x in row) for row in labels.tolist())


READERS = ("iamiou", "cc3d", "imageio", "scikit-image", "opencv")


def reading(peers: Peers) -> str:
    """Ask who reads label maps from PNG files what they hold."""
    tools: dict[str, dict[str, str]] = {}
    labels: dict[str, str] = {}
    for environment in READERS:
        if environment in peers.pythons:
            output = run([peers.pythons[environment], HERE / "difference_files.py", environment]).output
            one = json.loads(output.splitlines()[-1])
            tools, labels = tools | one["tools"], one["labels"]
    lines = [
        "\n## What is read from a PNG\n",
        "The same command wrote small label maps and read them with each tool. Bold is what is not the labels.\n",
        f"| file | labels | {' | '.join(tools)} |",
        "|---" * (len(tools) + 2) + "|",
    ]
    for name, right in labels.items():
        lines.append(f"| {name} | {right} | {' | '.join(answers[name] for answers in tools.values())} |")
    return "\n".join(lines) + "\n"


def text(found: dict[str, dict[str, Answer]], missing: dict[str, str]) -> str:
    notes: list[str] = []
    versions = [version(name) for name in ENVIRONMENTS if name in pins() and name != "cc3d"]
    lines = [
        f"""Each tool was given the same maps and asked for mIoU of three classes, background included, with 255 as the
label to ignore where it has such an option and its defaults otherwise
({", ".join(versions)}).
Every cell is what it really answered when

```console
$ python benchmarks/speed/differences.py
```

ran; bold is what differs from the right value, which a plain loop over the pixels finds (`difference_cases.py`). In
italics: another convention, the mean over all classes that occur in the truth or the prediction. panoptica has no
mIoU: its column is the mean over images and foreground classes of its global IoU. pycocotools, faster-coco-eval, cc3d,
scikit-image and OpenCV have none either.
""",
        f"| maps | right | {' | '.join(found)} |",
        "|---" * (len(found) + 2) + "|",
    ]
    for case in CASES:
        cells = [cell(case, answers[case.key], notes) for answers in found.values()]
        lines.append(f"| {case.title} | {right_text(case)} | {' | '.join(cells)} |")
    lines += [f"\nNot installed: {name} ({reason})." for name, reason in missing.items()]
    lines += ["", "Errors, word for word (long ones are cut):", ""]
    lines += [f"{k}. `{note}`" if "`" not in note else f"{k}. {note}" for k, note in enumerate(notes, 1)]
    lines += ["", "## Why, and the maps", "", "A digit is a label, v is void (255); rows are parted by blanks.", ""]
    lines += ["| maps | truth | prediction | why the right value is right |", "|---|---|---|---|"]
    for case in CASES:
        sides = ("<br>".join(f"`{drawn(m)}`" for m in side) for side in zip(*case.maps(), strict=True))
        lines.append(f"| {case.title} | {' | '.join(sides)} | {case.why} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/speed"), help="environments (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE.parents[1] / "docs/differences.md")
    options = parser.parse_args()
    peers = install(options.work.resolve(), {*ENVIRONMENTS, *READERS})
    found: dict[str, dict[str, Any]] = {}
    for environment in ENVIRONMENTS:
        if environment in peers.pythons:
            output = run([peers.pythons[environment], HERE / "difference_tools.py", environment]).output
            found |= json.loads(output.splitlines()[-1])
    wrong = [case.title for case in CASES if not is_right(case, found["iamiou"][case.key])]
    if wrong:
        raise SystemExit(f"iamiou itself does not give the right value: {', '.join(wrong)}")
    replace(options.out, "differences", text(found, peers.missing) + reading(peers))
    print(f"the table is in {options.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
