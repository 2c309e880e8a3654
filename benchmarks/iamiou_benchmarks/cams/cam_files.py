"""Class maps in files of other programs: the four layouts of .npy that are about, read without running code in them.

All four are pickled dictionaries. A pickle can call any function, so that one is opened only when its owner says so,
and even then only arrays, and tensors of PyTorch, are made out of it.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import ImageError, InputError, ProblemsFound, group
from iamiou_benchmarks.cams.maps import ClassMaps, Maps, strided
from iamiou_benchmarks.stage.work import Show


@dataclass(frozen=True)
class Layout:
    """What a program writes.

    Parameters
    ----------
    about : str
    entry : str
        Where the maps of full size are; "" for a dictionary from classes to maps.
    ground : bool
        Whether a map of the background comes first, which is left out.
    labels : bool
        Whether the keys are labels, 0 for the background, and not classes counted from 0.
    """

    about: str
    entry: str
    ground: bool = False
    labels: bool = False


LAYOUTS = {
    "irn": Layout("IRN, AdvCAM, ReCAM: keys, cam, high_res", "high_res"),
    "sfc": Layout("SIPE, SFC: keys with the background, IS_CAM (prototypes) and IS_CAM1", "IS_CAM", True, True),
    "amn": Layout("AMN: as irn, with a map of the background in high_res", "high_res", True),
    "psa": Layout("PSA, SEAM, MCTformer: one map a class", ""),
}
#: All that a pickle of arrays has to call, and what is called in its place.
_ARRAYS = {
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("collections", "OrderedDict"),
    ("_codecs", "encode"),
    ("torch._utils", "_rebuild_tensor_v2"),
}


def convert_cams(
    source: Path, out: Path, layout: str, entry: str = "", *, allow_pickle: bool = False, show: Show | None = None
) -> int:
    """Write ``out/ID.npz`` for every ``source/ID.npy``; return how many.

    Parameters
    ----------
    layout : {"irn", "sfc", "amn", "psa"}
    entry : str
        Takes other maps of a file than the layout's, such as ``IS_CAM1``.
    allow_pickle : bool
        Without it nothing pickled is opened.

    Raises
    ------
    InputError
        If there are no files; for all files at once, if they are pickled and must not be, or hold something else.
    """
    paths = sorted(source.glob("*.npy")) if source.is_dir() else []
    if not paths:
        raise InputError(f"There are no .npy files in '{source}'; name the folder in which the maps lie.")
    out.mkdir(parents=True, exist_ok=True)
    errors = []
    for k, path in enumerate(paths):
        try:
            fg_ids, full = read_cam(path, layout, entry, allow_pickle=allow_pickle)
            ClassMaps(fg_ids, strided(full, 4), full, 0.25).save(out / f"{path.stem}.npz")
        except ImageError as e:
            errors.append(e)
        if show:
            show(f"{k + 1} of {len(paths)} files")
    if errors:
        raise ProblemsFound(group(errors))
    return len(paths)


def read_cam(path: Path, layout: str, entry: str = "", *, allow_pickle: bool = False) -> tuple[NDArray[np.int64], Maps]:
    """Read one file: its classes, counted from 0 without the background, and their maps, (K, H, W), from 0 to 1.

    Raises
    ------
    ImageError
        If it is pickled and must not be opened, or does not hold what its layout says.
    """
    content = _dictionary(path, allow_pickle=allow_pickle)
    try:
        fg_ids, full = _taken_apart(content, LAYOUTS[layout], entry)
    except (KeyError, ValueError, TypeError) as e:
        there = ", ".join(f"'{k}'" for k in list(content)[:6])
        hint = "See --layout: " + "; ".join(f"{name} is {known.about}" for name, known in LAYOUTS.items()) + "."
        what = f"files differ from the layout {layout}"
        raise ImageError("cam-layout", what, path.name, f"{e.args[0] if e.args else e}; keys {there}", hint) from e
    if full.size and not (np.isfinite(full).all() and full.min() >= -1e-3 and full.max() <= 1 + 1e-3):
        hint = "Divide every map by its maximum first."
        raise ImageError("cam-range", "files have scores outside of 0 to 1", path.name, f"{full.max():.3g}", hint)
    order = np.argsort(fg_ids)
    return fg_ids[order], np.clip(full[order], 0, 1)


def _taken_apart(content: dict[Any, Any], layout: Layout, entry: str) -> tuple[NDArray[np.int64], Maps]:
    """Return the classes and maps of a dictionary; errors say what does not fit."""
    if not layout.entry and not entry:
        if any(not isinstance(k, int | np.integer) for k in content):
            raise ValueError("its keys are no classes")
        maps = [np.asarray(m, np.float32) for m in content.values()]
        return np.array([int(k) for k in content], np.int64), _checked(np.stack(maps), len(maps))
    name = entry or layout.entry
    if "keys" not in content or name not in content:
        raise ValueError(f"it has no '{'keys' if 'keys' not in content else name}'")
    keys, full = np.asarray(content["keys"]).astype(np.int64).reshape(-1), np.asarray(content[name], np.float32)
    if layout.labels:
        if len(keys) == 0 or keys[0] != 0:
            raise ValueError("its keys do not begin with the background, 0")
        keys = keys[1:] - 1
    full = _checked(full, len(keys) + layout.ground)
    return keys, full[1:] if layout.ground else full


def _checked(full: Maps, number: int) -> Maps:
    if full.ndim != 3 or len(full) != number:
        raise ValueError(f"{number} maps are wanted, there is {' x '.join(map(str, full.shape))}")
    return full


def _dictionary(path: Path, *, allow_pickle: bool) -> dict[Any, Any]:
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0}.get(version, np.lib.format.read_array_header_2_0)
            dtype = read(file)[2]
            if not dtype.hasobject:
                raise ValueError("it holds a plain array, which does not name its classes")
            if not allow_pickle:
                hint = "Reading such a file can run code in it; if you trust its author, add --allow-pickle."
                raise ImageError("cam-pickle", "files are pickled", path.name, "", hint)
            found = _Arrays(file).load()
            content = found.item() if isinstance(found, np.ndarray) and found.size == 1 else found
    except (OSError, ValueError, EOFError, ImportError, AttributeError, pickle.UnpicklingError, RuntimeError) as e:
        hint = "Write it again with numpy.save, as a dictionary of arrays."
        raise ImageError("cam-file", "files cannot be read as class maps", path.name, str(e), hint) from e
    if not isinstance(content, dict):
        raise ImageError("cam-file", "files hold no dictionary", path.name, type(content).__name__)
    return content


class _Arrays(pickle.Unpickler):
    """Makes arrays and tensors out of a pickle, and refuses to call anything else."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)

    def find_class(self, module: str, name: str) -> Any:
        """Return what the pickle may call under a name."""
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _storage
        if (module, name) not in _ARRAYS:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no array")
        found: Callable[..., Any] = super().find_class(module.replace("numpy.core", "numpy._core"), name)
        return found


def _storage(content: bytes) -> Any:
    """Read what a tensor keeps, without running code in it."""
    import torch

    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
