"""Claims and open questions of the papers, each put to the test by one module: ``iamiou bench claim NAME``.

A module has ``record_of(asked)``, which measures; ``TAKES``, what of `Asked` it has a use for; ``lines(record)``, which
says in Markdown what the record holds, with a verdict; and ``draw(record)``, its figure.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from iamiou.errors import InputError, extra_missing, near_miss


def known_claims() -> list[str]:
    """Return the names of the claims.

    >>> "noise" in known_claims()
    True
    """
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_"))


def claim_module(name: str) -> Any:
    """Return the module of a claim.

    Raises
    ------
    InputError
        If there is no such claim, or what the baselines need is not installed.
    """
    if name not in known_claims():
        raise InputError(f"There is no claim '{name}'. {near_miss(name, known_claims())}")
    if not all(importlib.util.find_spec(package) for package in ("scipy", "torch")):
        raise extra_missing(f"The claim '{name}'", "baselines")
    return importlib.import_module(f"iamiou_benchmarks.claims.{name}")


def claim_lines(name: str, results: Path) -> list[str]:
    """Return what a claim's record says, as lines of Markdown.

    Raises
    ------
    InputError
        If there is no such claim, or no record of it.
    """
    module, record = claim_module(name), results / "claims" / f"{name}.json"
    if not record.is_file():
        raise InputError(f"{record} is missing; `iamiou bench claim {name} --out {record}` makes it.")
    found: list[str] = module.lines(json.loads(record.read_text(encoding="utf-8")))
    return found
