"""What a stage can ask about the stages before it: the options that they ran with."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from iamiou.errors import InputError
from iamiou.masks import write_bytes

T = TypeVar("T")


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
    try:
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    except TypeError as e:
        raise InputError(f"'{folder}' is a stage of another method than the one it should feed; see 'inputs'.") from e
