"""Run the command line as a user does, and say what came back."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from iamiou.cli import main

#: Starts the command in a process of its own, from wherever the package under test was imported.
COMMAND = [sys.executable, "-c", "from iamiou.cli import main; main()"]


@dataclass(frozen=True)
class Result:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> Result:
    """Run a command in this process; a bug, which would end with a traceback, fails the test."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in err and "This is a bug" not in err, err
    return Result(int(stop.value.code or 0), out, "".join(s for s in err.splitlines(True) if "Compiling" not in s))


def good(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    """Run a command that must succeed without a word on the error stream, and return what it printed."""
    result = run(capsys, *arguments)
    assert (result.code, result.err) == (0, "")
    return result.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    """Run a command that must end with exit code 2 and print nothing, and return the sentence."""
    result = run(capsys, *arguments)
    assert (result.code, result.out) == (2, ""), result
    assert result.err.startswith(("Error: ", "Usage: "))
    return result.err.removeprefix("Error: ").rstrip("\n")


def process(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    command = [*COMMAND, *(str(a) for a in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


def files(folder: Path) -> dict[str, bytes]:
    """Return every file under a folder, hidden ones too, by path."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
