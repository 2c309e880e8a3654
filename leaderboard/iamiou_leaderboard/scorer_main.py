"""What runs in the scorer's process: ``python -m iamiou_leaderboard.scorer_main``, started by `scorer` only.

It limits itself before it reads a byte of a stranger, works in a folder of its own, and ends when the worker
that started it is gone.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from iamiou.report import Report
    from iamiou_leaderboard.types import Board

#: Exit codes that `scorer` understands.
OUT_OF_MEMORY, OUT_OF_DISK = 70, 71
_BOOTSTRAP = 1000


def main(arguments: list[str]) -> int:
    """Do one job: ``KIND BOARD SUBMISSION-FOLDER WORK-FOLDER LIMITS``; write WORK-FOLDER/result.json at its end."""
    kind, board_folder, folder, work, limits = arguments
    _limit(json.loads(limits))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.chdir(folder)  # names of files in messages are then those that the submitter knows
    try:
        result = (_validate if kind == "validate" else _score)(Path(board_folder), Path(work))
    except MemoryError:
        return OUT_OF_MEMORY
    except Exception as e:
        import errno

        cause = e if isinstance(e, OSError) else e.__cause__  # `replacing` says it in words of its own
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return OUT_OF_DISK
        raise
    from iamiou.files import replacing

    with replacing(Path(work, "result.json")) as file:
        file.write(json.dumps(result, ensure_ascii=False).encode())
    return 0


def _limit(limits: dict[str, int]) -> None:
    """Take away what the job does not need; what is asked for beyond fails."""
    os.umask(0o077)
    if sys.platform != "win32":
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails with EFBIG instead
        os.nice(5)
        wanted = {resource.RLIMIT_AS: "memory", resource.RLIMIT_CPU: "cpu", resource.RLIMIT_FSIZE: "file"}
        for what, name in wanted.items():
            # A little more processor time is left for the signal that tells this limit from others.
            resource.setrlimit(what, (limits[name], limits[name] + 5 * (name == "cpu")))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))


def _end_with_parent() -> None:
    """Wait for the end of standard input, which the worker holds open as long as it lives."""
    while os.read(0, 1024):
        pass
    os._exit(75)


def _validate(directory: Path, work: Path) -> dict[str, Any]:
    from iamiou_leaderboard.board import read_configuration
    from iamiou_leaderboard.validation import check

    board, images = read_configuration(directory)
    # After a restore from a backup the archive may be gone, and what was decoded from it stands in.
    archive = next((p for p in (Path("archive.zip"), Path("labels.zip")) if p.exists()), Path("archive.zip"))
    found = check(archive, board.class_list, images, work / "labels.zip")
    return {"report": found.report, "identity": found.identity}


def _score(directory: Path, work: Path) -> dict[str, Any]:
    import time

    from iamiou import __version__
    from iamiou.report import METRIC_VERSION
    from iamiou_leaderboard.board import read_configuration

    board, images = read_configuration(directory)
    most = max(i.height * i.width for i in images)
    rows = []
    for split in board.splits:
        started = int(time.time())
        report = _evaluate(directory, board, split, most)
        if report.digest != board.digests[split]:
            raise RuntimeError(f"the ground truth of the {split} split is not what the board was made from")
        report.save(work / f"{split}.npz")
        _write_rows(report, work / f"{split}.parquet")
        score: dict[str, Any] = {
            "split": split,
            "metric": METRIC_VERSION,
            "dataset_digest": report.digest,
            "code": __version__,
        }
        score |= {"primary": report.scores[board.primary], "report": report.to_dict()}
        rows.append(score | {"environment": _environment(), "started": started, "finished": int(time.time())})
    return {"rows": rows}


def _evaluate(directory: Path, board: Board, split: str, max_pixels: int) -> Report:
    from iamiou.evaluation import evaluate_opened
    from iamiou.predictions import open_predictions
    from iamiou.settings import Settings
    from iamiou_leaderboard.board import open_truth

    truth = open_truth(directory, split, board.class_list, board.instances_from)
    found = open_predictions("labels.zip", truth, max_pixels=max_pixels)
    mine = replace(found, ids=truth.ids)  # the other split's are none of its business
    return evaluate_opened(mine, truth, Settings(bins=board.bins, bootstrap=_BOOTSTRAP), threads=1)


def _write_rows(report: Report, path: Path) -> None:
    """Write one row an instance, for whoever wants to look further; readable with pandas, DuckDB and others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from iamiou.counts import AREA, CLASS, COMPONENTS, FP, ID, IMAGE, TP

    rows = report.counts.instances
    numbers = {name: rows[:, k] for name, k in {"id": ID, "area": AREA, "tp": TP, "fp": FP}.items()}
    table = {
        "image": _names(report.counts.images, rows[:, IMAGE]),
        "class": _names(report.class_list.names, rows[:, CLASS]),
        **{name: _column(pa.int64(), column) for name, column in numbers.items()},
        "components": _column(pa.int64(), rows[:, COMPONENTS]),
        "iou": _column(pa.float64(), report.counts.iou()),
    }
    pq.write_table(pa.table(table), path)


def _column(kind: Any, values: np.ndarray) -> Any:
    """Hand an array to pyarrow by its memory: pyarrow's own conversion first loads pandas, a third of a second."""
    import numpy as np
    import pyarrow as pa

    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def _names(names: Sequence[str], index: np.ndarray) -> Any:
    """Return names by index, each one kept once."""
    import numpy as np
    import pyarrow as pa

    texts = [name.encode() for name in names]
    ends = np.cumsum([0, *(len(text) for text in texts)]).astype(np.int32)
    known = pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(b"".join(texts)))
    return pa.DictionaryArray.from_arrays(_column(pa.int64(), index), known)


def _environment() -> dict[str, str]:
    from importlib.metadata import version

    libraries = {name: version(name) for name in ("numpy", "numba", "pillow")}
    return {"python": platform.python_version(), "system": platform.system(), "host": platform.node(), **libraries}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
