"""The main table: four methods, each with three losses, on two data sets, beside published numbers."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from iamiou.published import Published, published
from iamiou_benchmarks.running.runfile import load_run
from iamiou_benchmarks.tables.results import COLUMNS
from iamiou_benchmarks.tables.sections import Line, Section, render

_DATA = {"shapes-small": "shapes small", "voc-mini": "voc-mini"}
_LOSSES = {"ce": "CE", "sw": "L_sw", "sb": "L_sb"}
#: By method: the beginning of its runs' names, and the stage that gives its seeds.
_METHODS = {"CAM": ("cam", "cam"), "IRN": ("irn", "cam"), "SFC": ("sfc", "sfc"), "ORANDNet": ("orand", "orand")}
_FLOOR, _CEILING = "centre box (floor)", "full masks (ceiling)"
#: By method: whose published numbers stand beside it.
_PUBLISHED = {
    "CAM": ("CAM (IRN's)", "CAM (Region-CAM's baseline)"),
    "IRN": ("IRN",),
    "SFC": ("SFC",),
    "ORANDNet": ("ORANDNet (ResNet-50 + ViT)", "ORANDNet (AMN + MCTformer)"),
    _CEILING: ("DeepLab-v2, fully supervised",),
}
#: By kind of result: the stage in published.csv, and the columns, a data set and split each.
_PLACES = {
    "seeds": ("cam", ("voc2012-train",)),
    "pseudo-masks": ("pseudo", ("voc2012-train",)),
    "predictions": ("segmentation", ("voc2012-val", "voc2012-test", "coco2014-val")),
}
_SHOWN = {"voc2012": "VOC 2012", "coco2014": "COCO 2014"}


def main_runs() -> tuple[str, ...]:
    """Return the runs that the table needs: floor and ceiling with CE, and four methods with three losses."""
    runs = [f"{start}-{loss}" for start, _ in _METHODS.values() for loss in _LOSSES]
    return tuple(f"{data}-{run}" for data in _DATA for run in ("centre-ce", "truth-ce", *runs))


def main_lines(known: list[dict[str, Any]], style: str) -> list[str]:
    """Return the table's lines: seeds and pseudo-masks on train, predictions on test; and what stands published.

    Sources and stand-ins are told below the table, in LaTeX as comments; csv has a line a seed and nothing published.
    """
    notes: list[str] = []
    lines = render([_section(kind, notes) for kind in _PLACES], known, style)
    if style == "csv":
        return lines
    below = [f"ORANDNet on {shown} is a {_proxy(data)}." for data, shown in _DATA.items() if _proxy(data)]
    below += ["", *(f"{k + 1}. {note}" for k, note in enumerate(notes))]
    return [*lines, *(below if style == "markdown" else [f"% {line}".rstrip() for line in below])]


def _section(kind: str, notes: list[str]) -> Section:
    stage, places = _PLACES[kind]
    titles = {
        "seeds": "Seeds: class maps at their threshold, on train",
        "pseudo-masks": "Pseudo-masks, on train",
        "predictions": "Predictions, on test",
    }
    lines = [
        Line(
            (_DATA[data], f"{method} (proxy)" if method == "ORANDNet" and _proxy(data) else method, *loss),
            run,
            place,
            "test" if kind == "predictions" else "train",
            _beside(run, method, stage, places, notes),
        )
        for (data, method), loss, run, place in _rows(kind)
    ]
    head = ("data", "method", "loss") if kind == "predictions" else ("data", "method")
    more = tuple(f"{_SHOWN[p.split('-')[0]]} {p.split('-')[1]}, published" for p in places)
    return Section(titles[kind], head, COLUMNS, tuple(lines), more)


def _rows(kind: str) -> Iterable[tuple[tuple[str, str], tuple[str, ...], str, str]]:
    """Yield data and method, the loss, the run and the stage of every row."""
    for data in _DATA:
        for method, (start, seeds) in _METHODS.items():
            label = data, method
            if kind == "seeds" and method != "IRN":  # IRN's seeds are CAM's
                yield label, (), f"{data}-{start}-ce", seeds
            elif kind == "pseudo-masks":
                yield label, (), f"{data}-{start}-ce", "pseudo"
            elif kind == "predictions":
                yield from ((label, (name,), f"{data}-{start}-{loss}", "predict") for loss, name in _LOSSES.items())
        stage = {"seeds": "centre", "pseudo-masks": "pseudo", "predictions": "predict"}[kind]
        yield (data, _FLOOR), (("CE",) if kind == "predictions" else ()), f"{data}-centre-ce", stage
        if kind == "predictions":
            yield (data, _CEILING), ("CE",), f"{data}-truth-ce", stage


def _beside(run: str, method: str, stage: str, places: tuple[str, ...], notes: list[str]) -> tuple[str, ...]:
    """Return the published numbers of a row, beside the real photographs and the loss that the papers had."""
    if not run.startswith("voc-mini") or not run.endswith("-ce") or method not in _PUBLISHED:
        return ("",) * len(places)
    names = _PUBLISHED[method]
    rows = [[p for name in names for p in published(place, stage=stage) if p.method == name] for place in places]
    return tuple(", ".join(_cell(p, places, notes) for p in found) or "–" for found in rows)


def _cell(p: Published, places: tuple[str, ...], notes: list[str]) -> str:
    """Return a published number with the number of its note, which is kept; it tells what has no column."""
    source = ", ".join(str(part) for part in (p.method, p.backbone, p.year) if part)
    besides = [
        f"{o.printed} on {_SHOWN[o.dataset]} {o.split}"
        for o in published(stage=p.stage)
        if (o.method, o.backbone, o.crf) == (p.method, p.backbone, p.crf) and f"{o.dataset}-{o.split}" not in places
    ]
    note = f"{source}. {p.note}" + (f" Besides: {', '.join(besides)}." if besides else "")
    if note not in notes:
        notes.append(note)
    return f"{p.printed} [{notes.index(note) + 1}]"


@cache
def _proxy(data: str) -> str:
    """Return what a run file says of stand-ins for networks whose weights do not come with a package."""
    said = [getattr(s.options, "note", "") for s in load_run(f"{data}-orand-ce").stages]
    return "; ".join(note for note in said if note.startswith("proxy"))
