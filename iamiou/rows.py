"""Rows of instances and phantoms as partitioned Parquet, for data sets whose rows do not fit the memory.

A folder of rows holds ``instances/`` and ``phantoms/``, each with one file for every `PART` images in the order of
their ids, and ``rows.json``. Which images stand in which file depends on the data set alone, so that the files have
the same bytes however the work was divided.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from iamiou.bins import bin_names, bin_of
from iamiou.counts import AREA, CLASS, COMPONENTS, FP, ID, IMAGE, PHANTOM_AREA, PHANTOM_CLASS, TP, Counts, Ints
from iamiou.errors import InputError, extra_missing
from iamiou.files import check_writable
from iamiou.output import appearing

if TYPE_CHECKING:
    from iamiou.labels import ClassList
    from iamiou.tally import Tally

#: Images whose rows stand in one file.
PART = 1000
_FORMAT = "iamiou-rows-1"
_ABOUT, _LOCK = "rows.json", ".lock"
_TABLES = ("instances", "phantoms")


def encode(counts: Counts, classes: ClassList, bins: tuple[int, ...]) -> tuple[bytes, bytes]:
    """Write the rows of some images as two Parquet files, instances and phantoms.

    Parameters
    ----------
    counts : Counts
    classes : ClassList
        Names of the classes.
    bins : tuple of int
        Sides in pixels that part the size bins.
    """
    rows, phantoms = counts.instances, counts.phantoms
    area, phantom_area = rows[:, AREA], phantoms[:, PHANTOM_AREA]
    numbers = {"id": ID, "area": AREA, "tp": TP, "fp": FP, "components": COMPONENTS}
    return (
        _parquet(
            _labels(counts.images, rows[:, IMAGE], rows[:, CLASS], area, classes, bins)
            | {name: rows[:, column] for name, column in numbers.items()}
            | {"fn": area - rows[:, TP], "iou": counts.iou()}
        ),
        _parquet(
            _labels(counts.images, phantoms[:, IMAGE], phantoms[:, PHANTOM_CLASS], phantom_area, classes, bins)
            | {"area": phantom_area}
        ),
    )


def _labels(
    images: tuple[str, ...], image: Ints, label: Ints, area: Ints, classes: ClassList, bins: tuple[int, ...]
) -> dict[str, Any]:
    import pyarrow as pa

    def words(index: Ints, names: tuple[str, ...]) -> Any:
        return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), pa.array(names, pa.string()))

    return {
        "image": words(image, images),
        "class": words(label, classes.names),
        "label": label.astype(np.int32),
        "bin": words(bin_of(area, bins), bin_names(bins)),
    }


def _parquet(columns: dict[str, Any]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, compression="zstd")
    return out.getvalue()


def file_names(part: int) -> tuple[str, str]:
    """Return where the rows of a part stand in the folder.

    >>> file_names(7)
    ('instances/part-00007.parquet', 'phantoms/part-00007.parquet')
    """
    first, second = (f"{table}/part-{part:05}.parquet" for table in _TABLES)
    return first, second


def write_part(folder: Path, part: int, files: tuple[bytes, bytes]) -> None:
    """Put the rows of a part into a folder that is still being made."""
    for name, data in zip(file_names(part), files, strict=True):
        (folder / name).write_bytes(data)


def check_rows_folder(path: str | Path) -> None:
    """Refuse a folder for rows that could not be written, or would cost somebody a file, before any work is done.

    Raises
    ------
    InputError
        With the reason; or when pyarrow is missing.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as e:
        raise extra_missing("--rows (rows in Parquet)", "dask") from e
    check_writable(path, folder=True)
    place = Path(path)
    if place.is_dir() and any(place.iterdir()) and not (place / _ABOUT).is_file():
        raise InputError(
            f"'{path}' is not empty and holds no rows of iamiou; choose another folder for --rows, which is written "
            "anew as a whole."
        )


@contextmanager
def making_rows(path: str | Path, about: dict[str, Any]) -> Iterator[Path]:
    """Give a folder to write parts to, which takes its name when all are there; an earlier one is replaced as a whole.

    What a run that was killed has left beside it is removed by the next run.
    """
    target = Path(path).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    with appearing(target, folder=True) as stage:
        for table in _TABLES:
            (stage / table).mkdir()
        with open(stage / _LOCK, "wb") as lock:
            _locked(lock)
            yield stage
            (stage / _ABOUT).write_text(json.dumps({"format": _FORMAT, **about}, indent=2) + "\n", encoding="utf-8")
            (stage / _LOCK).unlink()


def _sweep(target: Path) -> None:
    """Remove unfinished folders that no process holds any more."""
    for stage in target.parent.glob(f".{target.name}.*.part"):
        with suppress(OSError), open(stage / _LOCK, "r+b") as lock:
            if _locked(lock):
                shutil.rmtree(stage, ignore_errors=True)


def _locked(file: IO[bytes]) -> bool:
    """Lock a file for as long as it is open, where the system can; tell whether that was done."""
    if os.name != "posix":
        return False
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class StoredCounts(Counts):
    """Counts whose rows are read back from Parquet when somebody asks for them, and then take all their memory.

    Parameters
    ----------
    tally : Tally
        All but the rows.
    folder : path
        What `making_rows` made.
    """

    tally: Tally
    folder: Path

    def __init__(self, tally: Tally, folder: str | Path) -> None:
        given = {"num_classes": tally.entries.num_classes, "images": tally.images, "confusion": tally.totals.confusion}
        vars(self).update(given, tally=tally, folder=Path(folder).absolute())

    def __getattr__(self, name: str) -> Any:
        """Make an array when somebody asks for it the first time."""
        if name in ("truth", "prediction", "hit"):
            entries = self.tally.entries
            vars(self)[name] = entries.dense(0, len(self.images))[name].astype(np.int64)
        elif name == "instances":
            vars(self)[name] = self._read(name, ("id", "label", "area", "tp", "fp", "components"))
        elif name == "phantoms":
            vars(self)[name] = self._read(name, ("label", "area"))
        else:
            raise AttributeError(name)
        return vars(self)[name]

    def _read(self, table: str, columns: tuple[str, ...]) -> Ints:
        import pyarrow.parquet as pq

        folder, place = self.folder / table, {name: k for k, name in enumerate(self.images)}
        parts = [np.zeros((0, 1 + len(columns)), np.int64)]
        try:
            for path in sorted(folder.glob("part-*.parquet")):
                rows = pq.read_table(path, columns=["image", *columns], use_threads=False)
                for batch in rows.to_batches():
                    image = batch.column("image")
                    index = np.array([place[name] for name in image.dictionary.to_pylist()], np.int64)
                    numbers = [batch.column(name).to_numpy().astype(np.int64) for name in columns]
                    parts.append(np.column_stack([index[image.indices.to_numpy()], *numbers]))
        except (OSError, ValueError, KeyError) as e:
            raise InputError(f"The rows in '{folder}' cannot be read ({e}); score again with --rows.") from e
        return np.concatenate(parts)
