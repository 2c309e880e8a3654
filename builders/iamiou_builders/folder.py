"""The folder of a build: empty, begun, finished, or somebody else's."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from iamiou.errors import InputError
from iamiou.files import check_writable
from iamiou_builders.disk import put
from iamiou_builders.model import Selection

FINISHED = "build.json"
BEGUN = "build.json.part"

#: What a build leaves that never came to choosing images; other arguments may go on with it.
_BEFORE = frozenset({BEGUN, "failed.tsv", "sources"})

#: What `iamiou.files.replacing` leaves when its process is killed.
_HALF = re.compile(r"\..+\.\w{8}\.part")

State = Literal["new", "begun", "finished"]


def state_of(root: Path, order: Mapping[str, Any]) -> tuple[State, dict[str, Any]]:
    """Tell how far a build in a folder is, and return what it wrote down.

    Parameters
    ----------
    root : Path
    order : mapping
        What is to be built: rules, arguments and checksums of the input.

    Raises
    ------
    InputError
        If the folder cannot be written, holds something else, or another build.
    """
    check_writable(root, folder=True)
    for name, state in ((FINISHED, "finished"), (BEGUN, "begun")):
        found = read_record(root / name)
        if found is None:
            continue
        differs = differences(found["order"], order)
        if differs and state == "begun" and not {p.name for p in root.iterdir()} - _BEFORE:
            return "new", {}
        if differs:
            raise InputError(
                f"'{root}' holds another build, {'finished' if state == 'finished' else 'begun'} with "
                f"{'; '.join(differs)}. Give another --out, or the arguments of that build."
            )
        return state, found  # type: ignore[return-value]  # one of the names that are gone through
    if root.is_dir() and not all(_HALF.fullmatch(p.name) for p in root.iterdir()):
        raise InputError(f"'{root}' holds something else; give a new or an empty folder with --out.")
    return "new", {}


def sweep(root: Path) -> None:
    """Take away the half files of a killed process, and of a finished build what it needed only on the way."""
    for path in root.rglob(".*.part"):
        if _HALF.fullmatch(path.name):
            path.unlink()
    if (root / FINISHED).is_file():
        for name in (BEGUN, "failed.tsv"):
            (root / name).unlink(missing_ok=True)


def read_record(path: Path) -> dict[str, Any] | None:
    """Return the json of a build, or None where there is none of ours."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    ours = isinstance(found, dict) and found.get("schema") == 1 and isinstance(found.get("order"), dict)
    return found if ours else None


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name what differs between two orders.

    >>> differences({"seed": 0, "per_cell": 60}, {"seed": 1, "per_cell": 60})
    ['seed 0, not 1']
    """
    keys = [k for k in {**old, **new} if old.get(k) != new.get(k)]
    return [f"{k.replace('_', ' ')} {_brief(old.get(k))}, not {_brief(new.get(k))}" for k in keys]


def begin(root: Path, order: Mapping[str, Any], selection: Selection | None = None) -> None:
    """Write down what is being built here, and which images were chosen once that is known."""
    root.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {"schema": 1, "order": order}
    if selection is not None:
        record["ids"] = selection.ids.tolist()
        record["solver"] = solver_record(selection)
    put(root / BEGUN, as_json(record))


def solver_record(selection: Selection) -> dict[str, Any]:
    """Return what is known about the choice, besides the list."""
    return {
        "method": selection.method,
        "status": selection.status,
        "objective": selection.objective,
        "bound": selection.bound,
        "gap": selection.gap,
        "details": dict(selection.details),
    }


def selection_of(record: Mapping[str, Any]) -> Selection | None:
    """Return the choice that an interrupted build had made: the list is frozen from then on."""
    if "ids" not in record:
        return None
    solver = dict(record["solver"])
    for key in ("objective", "bound", "gap"):
        solver[key] = math.nan if solver[key] is None else solver[key]
    return Selection(np.array(record["ids"], np.int64), **solver)


def as_json(document: Any) -> bytes:
    """Return json with numbers as numbers: None for NaN, and NumPy's like Python's."""
    return (json.dumps(_plain(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
