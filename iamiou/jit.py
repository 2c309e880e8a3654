"""One way to compile the Numba loops: explicit signatures, on-disk cache, and a fallback where no cache can be kept."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

#: Set to 1 to compile every loop with bounds checks and without the cache; the fuzz tests do.
BOUNDSCHECK = "IAMIOU_BOUNDSCHECK"

# Files that hold `inner` loops.
_parts: set[str] = set()


def jit(signatures: Sequence[Any]) -> Callable[[F], F]:
    """Compile a function at once for `signatures`, without the interpreter lock, and keep the machine code on disk.

    Explicit signatures, compiled in one fixed order, let several processes fill the cache at the same time. Where
    no folder can hold the cache (a read-only install without a home folder, a full disk) the function is compiled
    for this process only.

    Parameters
    ----------
    signatures : sequence of numba signatures
        As `numba.njit` takes them. Most useful with one: each costs compile time on the first run.

    Examples
    --------
    >>> from numba import types
    >>> @jit([types.int64(types.int64)])
    ... def double(x):
    ...     return 2 * x
    >>> double(21)
    42
    """
    import numba

    njit: Any = numba.njit  # newer versions of Numba type it, older ones do not
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}

    def compile_now(function: F) -> F:
        compiled: F
        if os.environ.get(BOUNDSCHECK) == "1":
            compiled = njit(list(signatures), boundscheck=True, **options)(function)
            return compiled
        try:
            _forget_stale(Path(function.__code__.co_filename))
            found = _from_cache(njit(cache=True, **options)(function), signatures)
            compiled = found or _without_gc(lambda: njit(list(signatures), cache=True, **options)(function))
        except Exception:
            # A cache fails in many ways (RuntimeError: no place for it; OSError: cannot write it; pickle errors:
            # cannot read it). An error that is not the cache's fault is raised again by the compilation without it.
            compiled = njit(list(signatures), **options)(function)
        return compiled

    return compile_now


def load_for_good(modules: Iterable[str]) -> None:
    """Import modules without the garbage collector, and let it pass over all there is from now on.

    Numba makes some hundred thousand objects that stay until the end. The collector goes through them several times
    while it is imported, and again while images are counted. Only for a program that owns its process: what is
    garbage at this moment stays.

    Parameters
    ----------
    modules : iterable of str
        Full names.

    Examples
    --------
    >>> load_for_good(["iamiou.jit"])
    >>> gc.isenabled()
    True
    """
    _without_gc(lambda: [import_module(name) for name in modules])
    gc.freeze()


def _without_gc(work: Callable[[], Any]) -> Any:
    """Work without the garbage collector, which takes a tenth of the time and finds next to nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return work()
    finally:
        if enabled:
            gc.enable()


def _from_cache(dispatcher: Any, signatures: Sequence[Any]) -> Any:
    """Take the machine code of all signatures from the disk, or return None.

    Numba does the same, but first loads all that a compilation may need, which takes longer than all of our start.
    These are Numba's own steps without that one, and they are not its public interface: whatever a version of Numba
    does otherwise, the caller goes the ordinary way.
    """
    try:
        from numba.core.registry import cpu_target
        from numba.core.runtime.nrt import rtsys

        context: Any = cpu_target.target_context
        rtsys.initialize(context)  # what frees the arrays of a loop
        context.refresh = lambda: None
        try:
            for signature in signatures:
                loaded = dispatcher._cache.load_overload(signature, context)
                if loaded is None:
                    return None
                dispatcher.add_overload(loaded)
        finally:
            del context.refresh
        dispatcher.disable_compile()
    except Exception:
        return None
    return dispatcher


def inner(function: F) -> F:
    """Mark a loop that only other loops call: it is compiled into them, with no entry from Python and no cache file.

    Its types follow from its callers, whose signatures are explicit. To import a cached loop takes milliseconds
    for each file of the cache, so that only entries should have one.
    """
    return _inner(function, "never")


def once(function: F) -> F:
    """Mark an `inner` loop with a single caller: it is spliced into that, which saves compiling it twice."""
    return _inner(function, "always")


def _inner(function: F, inline: str) -> F:
    import numba

    _parts.add(function.__code__.co_filename)
    njit: Any = numba.njit
    check = os.environ.get(BOUNDSCHECK) == "1"
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "no_cpython_wrapper": True}
    done: F = njit(boundscheck=check, inline=inline, **options)(function)
    return done


def compiled(modules: Iterable[str]) -> bool:
    """Tell, without importing Numba, whether the loops of all `modules` seem to lie compiled on disk.

    An index of the cache that is newer than the source counts. A wrong answer (after Numba was upgraded, say) costs
    a sentence on the terminal, nothing else.

    Parameters
    ----------
    modules : iterable of str
        Full names of modules that call `jit`, such as ``"iamiou.unfilter"``.

    Examples
    --------
    >>> compiled(["iamiou.errors"])  # it has nothing to compile
    False
    """
    return all(_has_index(name) for name in modules)


def _has_index(module: str) -> bool:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return False
    source = Path(spec.origin)
    try:
        born = source.stat().st_mtime
        return any(index.stat().st_mtime >= born for index in _indices(source))
    except OSError:
        return False


def _forget_stale(source: Path) -> None:
    """Remove indices that are older than a file of `inner` loops: Numba looks at the entry's own file only."""
    try:
        newest = max((Path(part).stat().st_mtime for part in _parts), default=0.0)
        for index in _indices(source):
            if index.stat().st_mtime < newest:
                index.unlink(missing_ok=True)
    except OSError:
        return  # a cache that cannot be changed belongs to an install that does not change either


def _indices(source: Path) -> Iterator[Path]:
    """Find the indices of Numba's cache for a source file and this version of Python."""
    for folder, pattern in _cache_folders(source):
        yield from folder.glob(f"{pattern}{source.stem}.*.py{sys.version_info[0]}{sys.version_info[1]}*.nbi")


def _cache_folders(source: Path) -> list[tuple[Path, str]]:
    """Return the folders where Numba may keep the cache of a source file, with the pattern of their subfolder."""
    subfolder = f"{source.parent.name}_*/"  # Numba adds a hash of the path
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return [(Path(chosen), subfolder)]
    if sys.platform == "win32":
        user = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"), "numba", "Cache")
    elif sys.platform == "darwin":
        user = Path.home() / "Library" / "Caches" / "numba"
    else:
        user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "numba")
    return [(source.parent / "__pycache__", ""), (user, subfolder)]
