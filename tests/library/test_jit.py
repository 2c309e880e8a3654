"""Compiled loops without a place for the cache, with a broken one, and with several processes filling one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba import types
from numba.core import caching

import iamiou.unfilter
from iamiou.cli.options import compile_kernels
from iamiou.jit import BOUNDSCHECK, compiled, inner, jit

DECODE = """
import io, numpy
from PIL import Image
from iamiou.jit import compiled
from iamiou.masks import read_label_map
before = compiled(["iamiou.unfilter"])
labels = numpy.arange(900, dtype=numpy.uint8).reshape(30, 30)
file = io.BytesIO()
Image.fromarray(labels).save(file, "PNG")
assert (read_label_map(file.getvalue(), "x") == labels).all()
print(before, compiled(["iamiou.unfilter"]))
"""


def start(cache: Path) -> subprocess.Popen[str]:
    root = Path(iamiou.unfilter.__file__).parents[1]
    env = {k: v for k, v in os.environ.items() if k != BOUNDSCHECK} | {"NUMBA_CACHE_DIR": str(cache)}
    return subprocess.Popen(
        [sys.executable, "-c", DECODE], cwd=root, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def outcome(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output.strip()


def test_several_processes_fill_the_cache_at_once(tmp_path: Path) -> None:
    together = [start(tmp_path) for _ in range(3)]
    assert {outcome(p) for p in together} <= {"False True", "True True"}
    assert outcome(start(tmp_path)) == "True True"


def test_no_place_for_the_cache() -> None:
    """A function without a file stands for a package in a place that cannot be written."""
    names: dict[str, object] = {}
    exec("def add(x, y):\n    return x + y", names)
    add = jit([types.int64(types.int64, types.int64)])(names["add"])
    assert add(20, 22) == 42


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "disk full"), PermissionError(), EOFError()])
@pytest.mark.parametrize("step", ["save", "load"])
def test_a_cache_that_fails(monkeypatch: pytest.MonkeyPatch, step: str, error: Exception) -> None:
    called = []

    def fail(*arguments: object) -> None:
        called.append(step)
        raise error

    monkeypatch.setattr(caching.IndexDataCacheFile, step, fail)

    @jit([types.int64(types.int64)])
    def double(x: int) -> int:
        return 2 * x

    assert double(21) == 42
    assert called


def test_an_error_in_the_loop_itself_is_raised() -> None:
    with pytest.raises(Exception, match="Failed in nopython mode pipeline"):

        @jit([types.int64(types.int64)])
        def wrong(x: int) -> int:
            return x.there_is_no_such_thing


def test_inner_loops_are_compiled_into_their_callers() -> None:
    @inner
    def add_one(x: int) -> int:
        return x + 1

    @jit([types.int64(types.int64)])
    def outer(x: int) -> int:
        return add_one(x) + add_one(x)

    assert outer(20) == 42


def test_compiled_knows_what_it_cannot_find(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert not compiled(["iamiou.no_such_module"])
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert not compiled(["iamiou.unfilter"])


def test_the_second_process_imports_the_package_that_the_first_one_did(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Python looks into the working folder first when it runs ``-c``; what lies there is not what was installed."""
    (tmp_path / "iamiou").mkdir()
    (tmp_path / "iamiou/__init__.py").write_text("open('imported', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    monkeypatch.setattr("iamiou.jit.compiled", lambda modules: False)
    compile_kernels()
    assert not (tmp_path / "imported").exists()
