"""What every claim's command does: read arguments, and keep a record and a figure."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iamiou.errors import InputError
from iamiou.masks import write_bytes
from iamiou_benchmarks.claims._statistics import word
from iamiou_benchmarks.tables.results import RESULTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Where the figures of the docs lie, in a checkout.
IMAGES = Path(__file__).parents[3] / "docs" / "images"


def arguments(about: str) -> argparse.ArgumentParser:
    """Return a parser of what all commands take: where results are read, where record and figure go."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder with the results of the runs")
    parser.add_argument("--out", type=Path, default=RESULTS / "claims", help="folder for the record")
    parser.add_argument("--images", type=Path, default=IMAGES, help="folder for the figure")
    return parser


def keep(name: str, record: dict[str, Any], figure: Figure, asked: argparse.Namespace) -> None:
    """Write the record and the figure of a claim."""
    asked.out.mkdir(parents=True, exist_ok=True)
    asked.images.mkdir(parents=True, exist_ok=True)
    write_bytes(asked.out / f"{name}.json", (json.dumps(record, indent=1) + "\n").encode())
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    write_bytes(asked.images / f"{name}.png", file.getvalue())


def guarded(work: Callable[[], None]) -> None:
    """Do the work of a command; a user's mistake ends it with one sentence and the code 2."""
    try:
        work()
    except InputError as e:
        sys.stderr.write(f"Error: {e}\n")
        raise SystemExit(2) from e


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
