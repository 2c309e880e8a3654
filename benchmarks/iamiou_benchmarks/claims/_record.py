"""What all claims share: what the command is asked for, and how figures are kept and shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from iamiou_benchmarks.claims._statistics import word

if TYPE_CHECKING:
    from iamiou_benchmarks.stage.work import Show


@dataclass(frozen=True)
class Asked:
    """What a claim is asked for; a claim names in ``TAKES`` what it has a use for.

    Parameters
    ----------
    results : Path
        Folder with the results of the runs.
    cache : Path
        Where ``iamiou bench`` keeps stages.
    real : Path
        Folder with ``voc/``, ``coco/`` and ``predictions/``.
    device : str
    train : int
        Seeds for which stages that are missing may be trained.
    times : bool
        Time steps as well.
    show : callable, optional
        Told what is being done.
    """

    results: Path
    cache: Path = Path("runs/stages")
    real: Path = Path()
    device: str = "cpu"
    train: int = 0
    times: bool = False
    show: Show | None = None


def short(value: float | None, digits: int = 6) -> float | None:
    """Return a number as it is kept in a record, None where it is undefined.

    >>> short(0.12345678), short(float("nan")), short(None)
    (0.123457, None, None)
    """
    return None if value is None or np.isnan(value) else round(float(value), digits)


def shorts(values: Iterable[float | None], digits: int = 6) -> list[float | None]:
    """Return numbers as they are kept in a record.

    >>> shorts([0.12345678, float("nan")], 3)
    [0.123, None]
    """
    return [short(v, digits) for v in values]


def cell(value: float | None, sign: str = "") -> str:
    """Return a score in points as a cell of a table.

    >>> cell(0.1234), cell(0.1234, "+"), cell(None)
    ('12.3', '+12.3', '–')
    """
    return "–" if value is None else f"{100 * value:{sign}.1f}"


def ends(low: float | None, high: float | None, factor: float = 1.0, digits: int = 2) -> str:
    """Return an interval as a cell of a table.

    >>> ends(-0.25, 0.5), ends(0.012, 0.034, 100, 1), ends(None, None)
    ('-0.25 to +0.50', '+1.2 to +3.4', '–')
    """
    if low is None or high is None:
        return "–"
    return f"{factor * low:+.{digits}f} to {factor * high:+.{digits}f}"


def points(limits: Sequence[float | None]) -> str:
    """Return the ends of an interval of scores in points as a cell of a table.

    >>> points([0.012, 0.034])
    '+1.2 to +3.4'
    """
    low, high = limits
    return ends(low, high, 100.0, 1)


def verdict(limits: Sequence[float | None], generated: bool = False) -> str:
    """Return the verdict on a difference that is claimed to be above 0, and that it is one on shapes only.

    >>> verdict([0.1, 0.2]), verdict([0.1, 0.2], generated=True), verdict([None, None], generated=True)
    ('confirmed', 'confirmed, on shapes only', 'not shown')
    """
    told = word(*(float("nan") if v is None else v for v in limits))
    return f"{told}, on shapes only" if generated and told != "not shown" else told
