"""Claims and open questions of the papers, each put to the test by one module and one command.

``python -m iamiou_benchmarks.claims.NAME`` measures, and writes ``results/claims/NAME.json`` and a figure; the module's
``lines(record)`` says in Markdown what the record holds, with a verdict.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from iamiou.errors import InputError


def claim_lines(name: str, results: Path) -> list[str]:
    """Return what a claim's record says, as lines of Markdown.

    Raises
    ------
    InputError
        If there is no such claim, or no record of it.
    """
    record = results / "claims" / f"{name}.json"
    known = sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_"))
    if name not in known:
        raise InputError(f"There is no claim '{name}'; there are {', '.join(known)}.")
    if not record.is_file():
        raise InputError(f"{record} is missing; `python -m iamiou_benchmarks.claims.{name}` makes it.")
    module = importlib.import_module(f"iamiou_benchmarks.claims.{name}")
    found: list[str] = module.lines(json.loads(record.read_text(encoding="utf-8")))
    return found
