"""The tables of the documentation by name: which runs each needs, and how it is made of their results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from iamiou_benchmarks.tables.claims_of_papers import LOSSES, ORAND, SFC, Claim
from iamiou_benchmarks.tables.main_table import main_lines, main_runs
from iamiou_benchmarks.tables.results import COLUMNS, run_table
from iamiou_benchmarks.tables.sections import Line, Section, render
from iamiou_benchmarks.tables.verdicts import verdict_matrix, verdicts_of

Known = list[dict[str, Any]]
_DATA = "shapes-small"
_GROUPED = ("mIoU", "IoU_Many", "IoU_Medium", "IoU_Few")


@dataclass(frozen=True)
class Table:
    """What a table is about, the runs that it needs, ``make(results, style)``, which gives its lines, and claims."""

    about: str
    runs: tuple[str, ...]
    make: Callable[[Known, str], list[str]]
    claims: tuple[Claim, ...] = ()
    data: str = _DATA


def _every_stage(about: str, data: str, runs: Iterable[str]) -> Table:
    """Make a table of every stage of these runs, with verdicts."""
    named = tuple(f"{data}-{run}" for run in runs)
    return Table(about, named, lambda known, style: run_table(known, data, style, named).splitlines(), LOSSES, data)


def _line(label: str, run: str, stage: str, split: str = "train") -> Line:
    return Line((label,), f"{_DATA}-{run}", stage, split)


_METHODS = {
    "CAM": ("cam-ce", "cam"),
    "IRN": ("irn-ce", "irn"),
    "SFC": ("sfc-ce", "sfc"),
    "ORANDNet": ("orand-ce", "orand"),
}
_CLASSES = Section(
    "Maps of train by how many training images show a class",
    ("maps",),
    _GROUPED,
    tuple(
        _line(label, run, stage)
        for label, (run, stage) in (
            _METHODS | {"SFC, then IRN": ("sfc-ce", "irn"), "ORANDNet, then IRN": ("orand-ce", "irn")}
        ).items()
    ),
)
_PREDICTED = Section(
    "Predictions on test by how many training images show a class",
    ("network of",),
    _GROUPED,
    tuple(_line(label, run, "predict", "test") for label, (run, _) in _METHODS.items()),
)
_ABLATION = Section(
    "SFC's maps of train, with parts of it left out",
    ("maps",),
    (*_GROUPED, "precision", "recall", "IA-mIoU"),
    (
        _line("CAM, with which SFC begins", "sfc-ce", "cam"),
        _line("as many steps without SFC", "sfc-plain", "sfc"),
        _line("bank alone", "sfc-onlybank", "sfc"),
        _line("consistency alone", "sfc-nobank", "sfc"),
        _line("without L_P", "sfc-nolp", "sfc"),
        _line("without L_W", "sfc-nolw", "sfc"),
        _line("without DC", "sfc-nodc", "sfc"),
        _line("SFC, M_W + M_P", "sfc-ce", "sfc"),
        _line("M_W alone", "sfc-maps", "weights"),
        _line("M_P alone", "sfc-maps", "prototypes"),
        _line("M_W + 0.7 M_P", "sfc-maps", "mix07"),
        _line("M_W + 0.3 M_P", "sfc-maps", "mix03"),
    ),
)
_EVEN = Section(
    "SFC's maps of train where all classes are as frequent (`tail = 0`)",
    ("maps",),
    ("mIoU", "precision", "recall", "IA-mIoU"),
    (
        _line("CAM", "sfc-even", "cam"),
        _line("as many steps without SFC", "sfc-evenplain", "sfc"),
        _line("SFC", "sfc-even", "sfc"),
    ),
)
_COMBINED = Section(
    "Maps of train: what ORANDNet is made of, and what it makes",
    ("maps",),
    COLUMNS,
    (
        _line("CNN alone", "orand-ce", "cam"),
        _line("ViT alone", "orand-ce", "vitcam"),
        _line("mean", "mean-ce", "mean"),
        _line("OR", "orand-ce", "or"),
        _line("AND", "orand-ce", "and"),
        _line("refined", "orand-ce", "orand"),
        _line("refined, two CNNs", "orandsame-ce", "orand"),
        _line("refined, three classifiers", "orand3-ce", "orand"),
        _line("refined, four classifiers", "orand4-ce", "orand"),
    ),
)
_TRAINED = Section(
    "Predictions on test of the networks that IRN's masks from these maps train",
    ("network of",),
    COLUMNS,
    (
        _line("CNN alone", "irn-ce", "predict", "test"),
        _line("ViT alone", "vitcam-ce", "predict", "test"),
        _line("mean", "mean-ce", "predict", "test"),
        _line("OR", "or-ce", "predict", "test"),
        _line("AND", "and-ce", "predict", "test"),
        _line("refined", "orand-ce", "predict", "test"),
        _line("refined, two CNNs", "orandsame-ce", "predict", "test"),
        _line("refined, three classifiers", "orand3-ce", "predict", "test"),
        _line("refined, four classifiers", "orand4-ce", "predict", "test"),
        _line("refined, scale scheduling", "orand-cephased", "predict", "test"),
        _line("refined, L_sb", "orand-sb", "predict", "test"),
        _line("refined, L_sb and scale scheduling", "orand-sbphased", "predict", "test"),
    ),
)


def _classes_of(known: Known) -> list[str]:
    """Say which classes are in which group, and how many training images show each."""
    found = next((r["classes"] for r in known if r["run"] == f"{_DATA}-sfc-ce" and "classes" in r), None)
    if found is None:
        return []
    groups: dict[str, list[str]] = {}
    for name, group in found["group"].items():
        groups.setdefault(group, []).append(f"{name} {found['images'][name]}")
    said = "; ".join(
        f"{group}: {', '.join(names)}" for group, names in sorted(groups.items(), key=lambda g: g[0] != "Many")
    )
    return [f"Training images that show each class: {said}.", ""]


def _table(*sections: Section, claims: tuple[Claim, ...] = (), classes: bool = False) -> Table:
    """Make a table of sections, with verdicts on claims of SFC or of ORANDNet."""
    runs = dict.fromkeys(line.run for section in sections for line in section.lines)

    def make(known: Known, style: str) -> list[str]:
        lines = render(sections, known, style)
        if style == "markdown":
            lines = [*(_classes_of(known) if classes else []), *lines]
            lines += ["**Verdicts, on shapes only**", "", *verdict_matrix(verdicts_of(known, _DATA, claims), _DATA)]
        return lines

    return Table("; ".join(s.title for s in sections), tuple(runs), make, claims)


_SOURCES = ("cam", "walk", "irn", "irnvit", "truth")
_LOSSES = ("centre-ce", *(f"{source}-{loss}" for source in _SOURCES for loss in ("ce", "sw", "sb")), "irn-swtrue")
_PHOTOGRAPHS = (
    "centre-ce",
    "cam-ce",
    "walk-ce",
    "irn-ce",
    "irn-sw",
    "irn-sb",
    "sfc-ce",
    "orand-ce",
    "truth-ce",
    "probe",
)

TABLES = {
    "main": Table("CAM, IRN, SFC and ORANDNet with CE, L_sw and L_sb on two data sets", main_runs(), main_lines),
    "losses": _every_stage("L_sw and L_sb on masks of several sources", _DATA, _LOSSES),
    "photographs": _every_stage(
        "CAM, the walk, IRN, three losses, SFC and ORANDNet on voc-mini", "voc-mini", _PHOTOGRAPHS
    ),
    "sfc": _table(_CLASSES, _PREDICTED, _ABLATION, _EVEN, claims=SFC, classes=True),
    "orand": _table(_COMBINED, _TRAINED, claims=ORAND),
}
