"""What a stage can ask about the stages before it: the options that they ran with."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from iamiou.errors import InputError
from iamiou.masks import write_bytes

T = TypeVar("T")
#: Metadata of an option that came later, as ``field(default=0, metadata=ADDED)``; see `counted_options`.
ADDED = {"added": True}


def keep_options(folder: Path, options: Any) -> None:
    """Write a stage's options into its folder."""
    write_bytes(folder / "options.json", (json.dumps(asdict(options), indent=1) + "\n").encode())


def stage_options(folder: Path, kind: type[T]) -> T:
    """Return the options that a finished stage ran with.

    Raises
    ------
    InputError
        If the stage is of another method.
    """
    values = json.loads((folder / "options.json").read_text(encoding="utf-8"))
    known = {f.name: f.metadata.get("added") for f in fields(kind)}  # type: ignore[arg-type]  # kind is a dataclass
    if all(k in values or added for k, added in known.items()):  # it can do more, such as `sfc`: it stands in
        values = {k: v for k, v in values.items() if k in known}
    try:
        return kind(**{k: _tuples(v) for k, v in values.items()})
    except TypeError as e:
        raise InputError(f"'{folder}' is a stage of another method than the one it should feed; see 'inputs'.") from e


def counted_options(options: Any) -> dict[str, Any]:
    """Return the options that tell one stage from another: all, but those that came later and have their default.

    So a method can get a new option, and what was finished without it keeps its key.

    Examples
    --------
    >>> from dataclasses import dataclass, field
    >>> @dataclass(frozen=True)
    ... class Options:
    ...     old: int = 1
    ...     new: int = field(default=0, metadata=ADDED)
    >>> counted_options(Options()), counted_options(Options(new=2))
    ({'old': 1}, {'old': 1, 'new': 2})
    """
    later = {f.name: f.default for f in fields(options) if f.metadata.get("added")}
    return {k: v for k, v in asdict(options).items() if k not in later or v != later[k]}


def _tuples(value: Any) -> Any:
    """Return what json made lists of as tuples, at any depth."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
