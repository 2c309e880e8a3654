"""Lists of images: chosen by an earlier build, or not to be chosen; and what names a list."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from iamiou.errors import InputError, Problem, ProblemsFound, name_some
from iamiou.image_lists import read_list
from iamiou_builders.availability import Exclusion
from iamiou_builders.devkit import listed
from iamiou_builders.model import Candidates, Resolved, Selection


def from_list(
    path: Path, candidates: Candidates, exclusions: Sequence[Exclusion], resolved: Sequence[Resolved]
) -> Selection:
    """Take the images of a list, or of the manifest of an earlier build, in place of a choice.

    Raises
    ------
    ProblemsFound
        If some of them are not in the annotations, or may not be chosen.
    """
    names = tuple(read_manifest(path)) if path.suffix == ".jsonl" else read_list(path)[0]
    by_name = {r.picture.name: r.picture.id for r in resolved}
    allowed = frozenset(candidates.ids.tolist())
    reasons = {e.id: e.text for e in exclusions}
    problems = []
    if absent := tuple(sorted(n for n in names if n not in by_name)):
        what = "listed images are not in the annotations"
        problems.append(
            Problem("not-annotated", what, absent, f"Give the annotation files that '{path}' was made from.")
        )
    barred = [n for n in names if n in by_name and by_name[n] not in allowed]
    if barred:
        what = f"listed {'image' if len(barred) == 1 else 'images'} may not be chosen"
        told = tuple(sorted(f"{n} ({reasons.get(by_name[n], 'holds no instance')})" for n in barred))
        hint = f"Use the options that '{path}' was made with."
        problems.append(Problem("not-eligible", what, told, hint))
    if problems:
        raise ProblemsFound(problems)
    ids = np.array(sorted(by_name[n] for n in names), np.int64)
    return Selection(ids, "list", f"the images of {path.name}", math.nan, math.nan, math.nan)


def read_manifest(path: Path) -> dict[str, str]:
    """Return image ids and the sha256 of their pictures out of a manifest.

    Raises
    ------
    InputError
        If it is none.
    """
    found: dict[str, str] = {}
    number = 0
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            number += 1
            entry = json.loads(line)
            found[str(entry["image"])] = str(entry["sha256"])
    except OSError as e:
        raise InputError(f"The manifest '{path}' cannot be read: {e.strerror or e}.") from e
    except (ValueError, KeyError, TypeError) as e:
        raise InputError(f"Line {number} of '{path}' is no line of a manifest; give manifest.jsonl of a build.") from e
    if not found:
        raise InputError(f"The manifest '{path}' is empty; give manifest.jsonl of a build.")
    return found


def read_leak_lists(paths: Sequence[Path]) -> frozenset[int]:
    """Return the numbers of the images that must not be chosen.

    A line is a number of COCO, or a file name of COCO 2014 or 2017.

    Raises
    ------
    InputError
        If a file cannot be read or names what is no image of COCO.
    """
    found: set[int] = set()
    for path in paths:
        names, _ = read_list(path)
        numbers = {name: re.fullmatch(r"(?:COCO_(?:train|val|test)\d{4}_)?(\d+)", name) for name in names}
        if strange := sorted(name for name, match in numbers.items() if match is None):
            raise InputError(
                f"The leak list '{path}' names what is no number of a COCO image, {len(strange)} times: "
                f"{name_some(strange)}. Give numbers, or file names of COCO."
            )
        found |= {int(match[1]) for match in numbers.values() if match is not None}
    return frozenset(found)


def checksums(path: Path | None) -> dict[str, str]:
    """Return the known sha256 of pictures, where a manifest stands in place of a selection."""
    return read_manifest(path) if path is not None and path.suffix == ".jsonl" else {}


def list_digest(names: Sequence[str]) -> str:
    """Return the identity of a list of images."""
    return hashlib.sha256(listed(names)).hexdigest()
