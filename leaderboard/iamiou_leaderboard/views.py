"""Everything that is shown of a board comes from here: pages, json, exports and the command line print nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from iamiou.report import METRIC_VERSION
from iamiou.scores import bin_names
from iamiou_leaderboard.board import FEW_IMAGES, FEW_INSTANCES, Opened
from iamiou_leaderboard.detail import comparison_view, picture, split_support, submission_view
from iamiou_leaderboard.disclosure import class_cell, headline, shown
from iamiou_leaderboard.ranking import SORT_RULE, Standing, badges, meta_text, standings
from iamiou_leaderboard.types import HIDDEN, BoardError, BoardRow, Cell, HistoryPoint, Table, Viewer

__all__ = ["as_json", "board_table", "comparison_view", "history", "picture", "rules", "submission_view"]

#: What the table can be filtered by.
FILTERS = ("supervision", "backbone", "extra_data", "kind")
_META = ("supervision", "backbone", "extra_data", "coco_pretrained", "foundation_models", "postprocessing", "stage")
_LINKS = ("paper", "code")
#: Images of data sets whose lists are fixed: a part of one is another data set.
_IMAGES = {"voc2012-train": 1464, "voc2012-val": 1449, "voc2012-test": 1456, "coco2014-val": 40_504}


def board_table(
    opened: Opened,
    *,
    split: str | None = None,
    filters: Mapping[str, str] | None = None,
    viewer: Viewer | None = None,  # noqa: ARG001 - a view like the others, and the same for all
) -> Table:
    """Return the board of a split, best first, rows of papers last.

    Parameters
    ----------
    opened : Opened
    split : str, optional
        Default: the hidden one where there is one.
    filters : mapping, optional
        supervision, backbone, extra_data, kind; other keys and empty values are passed over.
    viewer : Viewer, optional
        Nobody sees more than others here.
    """
    board, split = opened.board, check_split(opened, split)
    chosen = {name: value for name, value in (filters or {}).items() if name in FILTERS and value}
    rows, stale = standings(opened, split, chosen)
    everyone = standings(opened, split)[0] if chosen else rows
    sizes = bin_names(board.bins)
    columns = tuple(dict.fromkeys((board.primary, "IA-mIoU", *(f"IA_{size}" for size in sizes), "mIoU", "phantoms")))
    papers = _papers(opened, split, columns)
    choices = {
        name: tuple(
            sorted(
                {v for s in everyone if (v := meta_text(s.submission, name))} | {p.meta.get(name, "") for p in papers}
            )
        )
        for name in FILTERS
    }
    shown_rows = [
        _row(opened, split, standing, badge, columns)
        for standing, badge in zip(rows, badges(opened, split, rows), strict=True)
    ]
    shown_rows += [p for p in papers if all(p.meta.get(name, "") == value for name, value in chosen.items())]
    return Table(
        split=split,
        metric=METRIC_VERSION,
        primary=board.primary,
        columns=columns,
        class_names=board.class_names,
        rows=tuple(shown_rows),
        choices={name: tuple(v for v in values if v) for name, values in choices.items()},
        filters=chosen,
        stale=stale,
        sort_rule=SORT_RULE.format(primary=board.primary),
        rounding=rounding(split),
    )


def history(
    opened: Opened, *, split: str | None = None, filters: Mapping[str, str] | None = None
) -> list[HistoryPoint]:
    """Return the submissions that were the best when they came, oldest first."""
    split = check_split(opened, split)
    chosen = {name: value for name, value in (filters or {}).items() if name in FILTERS and value}
    rows, _ = standings(opened, split, chosen)
    out: list[HistoryPoint] = []
    for s in sorted(rows, key=lambda s: s.submission.id):
        value = shown(s.score.primary, split) or 0.0
        if not out or value > out[-1].value:
            entry = s.submission
            out.append(HistoryPoint(entry.created, value, entry.id, entry.method, entry.team))
    return out


def rules(opened: Opened) -> dict[str, Any]:
    """Return what the rules page says, and what a client needs to check predictions without the ground truth."""
    board = opened.board
    return {
        "name": board.name,
        "description": board.description,
        "dataset": board.dataset,
        "classes": {"name": board.classes, "names": list(board.class_names)},
        "bins": list(board.bins),
        "primary": board.primary,
        "metric": METRIC_VERSION,
        "instances_from": board.instances_from,
        "splits": {
            split: {"images": board.images[split], "instances": board.instances[split], "digest": board.digests[split]}
            for split in board.splits
        },
        "quota": vars(board.quota),
        "max_archive": board.max_archive,
        "rounding": {split: rounding(split) for split in board.splits},
        "few": {"instances": FEW_INSTANCES, "images": FEW_IMAGES},
        "images": [[i.id, i.height, i.width, i.split] for i in opened.images],
    }


def rounding(split: str) -> str:
    """Say what is left out of a split's numbers."""
    if split != HIDDEN:
        return "Full digits are shown, and instances and images one by one: the ground truth of this split is public."
    return (
        f"Rounded to three digits. What rests on fewer than {FEW_INSTANCES} instances or {FEW_IMAGES} images is not "
        "shown, nor what would give it away."
    )


def check_split(opened: Opened, split: str | None) -> str:
    """Return the split that was asked for, or the one that ranks by default."""
    if split is None:
        return opened.board.splits[0]
    if split not in opened.board.splits:
        raise BoardError(f"This board has no such split; it has {' and '.join(opened.board.splits)}.", "not-found", 404)
    return split


def as_json(view: Any) -> Any:
    """Turn a view into what json can hold.

    Examples
    --------
    >>> as_json(Cell(0.5, instances=12))["value"]
    0.5
    """
    if isinstance(view, Enum):
        return view.value
    if is_dataclass(view):
        return {f.name: as_json(getattr(view, f.name)) for f in fields(view)}
    if isinstance(view, Mapping):
        return {str(name): as_json(value) for name, value in view.items()}
    if isinstance(view, list | tuple):
        return [as_json(value) for value in view]
    return view


def _row(opened: Opened, split: str, standing: Standing, badge: tuple[str, str], columns: tuple[str, ...]) -> BoardRow:
    entry, report = standing.submission, standing.score.report
    cells = headline(report, split)
    support = split_support(opened, split)
    return BoardRow(
        rank=standing.rank,
        tied=standing.tied,
        badge=badge[0],
        badge_text=badge[1],
        id=entry.id,
        team=entry.team,
        method=entry.method,
        kind=entry.kind,
        date=entry.created,
        year="",
        meta={name: meta_text(entry, name) for name in (*_META, *_LINKS)} | {"kind": entry.kind},
        cells={name: cells.get(name, Cell()) for name in columns},
        classes={row["name"]: class_cell(row["IA-IoU"], split, support, c) for c, row in enumerate(report["classes"])},
    )


def _papers(opened: Opened, split: str, columns: tuple[str, ...]) -> list[BoardRow]:
    """Return what papers say of the same data set, all of its images: mIoU only, without rank."""
    from iamiou.published import published

    name = opened.board.dataset
    if not name or opened.board.images[split] != _IMAGES.get(name, opened.board.images[split]):
        return []
    return [
        BoardRow(
            rank=None,
            tied=False,
            badge="",
            badge_text="",
            id=None,
            team="",
            method=paper.method,
            kind="paper",
            date=None,
            year=str(paper.year or ""),
            meta={
                "kind": "paper",
                "supervision": paper.supervision,
                "backbone": paper.backbone,
                "stage": paper.stage,
                "postprocessing": "CRF" if paper.crf else "",
            },
            cells=dict.fromkeys(columns, Cell()) | {"mIoU": Cell(paper.value)},
            classes={},
            note=paper.note,
        )
        for paper in published(name)
        if paper.metric == "mIoU"
    ]
