"""Where results go: nothing of the user's is overwritten unasked, and nothing appears half written."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iamiou.errors import InputError, name_some
from iamiou.listing import shown


def check_target(source: Path, target: Path, overwrite: bool) -> None:
    """Refuse a place for the result that would cost somebody a file.

    Raises
    ------
    InputError
        If `target` holds something and `overwrite` is not set, holds more than PNG files, lies in `source` or
        the other way round, or is a file for a folder or a folder for a file.
    """
    here, there = source.resolve(), target.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise InputError(f"'{target}' and '{source}' lie in each other; choose a new place for the result.")
    if not there.parent.is_dir():
        raise InputError(f"There is no folder '{target.parent}' to write '{target.name}' in; make it first.")
    if source.is_dir():
        if not there.exists():
            return
        if not there.is_dir():
            raise InputError(f"'{target}' is a file, but a folder of masks becomes a folder.")
        inside = sorted(entry.name for entry in there.iterdir())
        if inside and not overwrite:
            raise InputError(f"'{target}' is not empty; choose another folder, or add `--overwrite` to replace it.")
        foreign = [name for name in inside if not name.lower().endswith(".png") or (there / name).is_dir()]
        if foreign:
            raise InputError(
                f"'{target}' holds more than PNG files ({name_some(shown(foreign), 3)}); `--overwrite` replaces a "
                "folder as a whole, so it only takes one that holds nothing else."
            )
    elif there.is_dir() or not there.name.lower().endswith(".png"):
        raise InputError(f"'{source.name}' is one file, so '{target}' must be a file name that ends in .png.")
    elif there.exists() and not overwrite:
        raise InputError(f"'{target}' exists; choose another name, or add `--overwrite` to replace it.")


@contextmanager
def appearing(target: Path, *, folder: bool) -> Iterator[Path]:
    """Give a place beside `target` to write to, which becomes `target` at the end and vanishes on any error.

    Examples
    --------
    >>> folder = getfixture("tmp_path")
    >>> with appearing(folder / "out", folder=True) as stage:
    ...     _ = (stage / "a.txt").write_text("a")
    ...     print((folder / "out").exists())
    False
    >>> [str(path.relative_to(folder)) for path in folder.rglob("*")]
    ['out', 'out/a.txt']
    """
    token = secrets.token_hex(4)
    stage, old = (target.with_name(f".{target.name}.{token}.{end}") for end in ("part", "old"))
    try:
        if folder:
            stage.mkdir()
        yield stage
        if not folder:
            stage.replace(target)
        else:
            if target.exists():
                target.rename(old)
            stage.rename(target)
    except BaseException as e:
        if old.exists() and not target.exists():
            old.rename(target)
        if isinstance(e, OSError):
            raise InputError(f"'{target}' cannot be written: {e.strerror or e}.") from e
        raise
    finally:
        for left in (stage, old):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
