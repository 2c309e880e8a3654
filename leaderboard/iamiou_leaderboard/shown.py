"""What may be shown of a board, as `iamiou_leaderboard.views` makes it for pages, json, exports and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from iamiou_leaderboard.records import State


@dataclass(frozen=True)
class Cell:
    """A number that may be shown; None is an en dash: undefined, or suppressed.

    Parameters
    ----------
    value : float or None
        From 0 to 1 for scores, already rounded where the split demands it.
    low, high : float or None
        95 % interval.
    instances, images : int or None
        What it rests on.
    suppressed : bool
        True when it rests on too little to be shown.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    instances: int | None = None
    images: int | None = None
    suppressed: bool = False


@dataclass(frozen=True)
class BoardRow:
    """One row of the table.

    Parameters
    ----------
    rank : int or None
        1, 1, 3; None for rows that are not ranked (paper rows).
    tied : bool
        Another row has the same rank.
    badge : {"", "same", "unknown"}
        "same": not distinguishable from the row above (paired over images, p > 0.05); "unknown": not compared yet.
    badge_text : str
        The badge as a sentence, "" without one.
    id : str or None
        Submission id; None for paper rows.
    team, method, kind : str
    date : int or None
        Seconds since 1970 of the submission.
    year : str
        Paper rows have a year in place of a date.
    meta : mapping
        supervision, backbone, extra_data, stage, ... as text.
    cells : mapping of str to Cell
        By column: `Table.columns`.
    classes : mapping of str to Cell
        IA-IoU by class; empty for paper rows.
    note : str
        Source, initialisation and caveat of a paper row, else "".
    """

    rank: int | None
    tied: bool
    badge: str
    badge_text: str
    id: str | None
    team: str
    method: str
    kind: str
    date: int | None
    year: str
    meta: Mapping[str, str]
    cells: Mapping[str, Cell]
    classes: Mapping[str, Cell]
    note: str = ""


@dataclass(frozen=True)
class Table:
    """The board as one split shows it: best first, paper rows last.

    Parameters
    ----------
    split, metric, primary : str
    columns : tuple of str
        Names of the score columns: IA-mIoU, IA_S, IA_M, IA_L, mIoU, phantoms.
    class_names : tuple of str
    rows : tuple of BoardRow
    choices : mapping of str to tuple of str
        What can be filtered by: supervision, backbone, extra_data, kind, and the values that occur.
    filters : mapping of str to str
        What was filtered by.
    stale : int
        Scored submissions that are left out because they have no score of this metric version.
    sort_rule, rounding : str
        To be printed below the table.
    """

    split: str
    metric: str
    primary: str
    columns: tuple[str, ...]
    class_names: tuple[str, ...]
    rows: tuple[BoardRow, ...]
    choices: Mapping[str, tuple[str, ...]]
    filters: Mapping[str, str]
    stale: int
    sort_rule: str
    rounding: str


@dataclass(frozen=True)
class SplitView:
    """What one split shows of one submission.

    Parameters
    ----------
    split : str
    scores : mapping of str to Cell
        Every headline score.
    classes : tuple of mapping
        {"name", "IoU": Cell, "IA-IoU": Cell, "precision": Cell, "recall": Cell, "S": Cell, ..., "phantoms": int|None}.
    sizes : tuple of str
        Names of the size bins: S, M, L.
    curve : tuple of mapping or None
        Public split: IoU against area, {"area", "iou", "low", "high"}; None on the hidden split.
    worst : tuple of mapping or None
        Public split: {"image", "class", "id", "area", "bin", "iou"}, worst first; None on the hidden split.
    rank, of : int or None
        Rank among all ranked rows of the board.
    provenance : mapping of str to str
        Metric, code, data set digest, library versions, times.
    older : tuple of mapping
        Scores of earlier metric versions: {"metric", "primary": Cell, "date"}.
    """

    split: str
    scores: Mapping[str, Cell]
    classes: tuple[Mapping[str, Any], ...]
    sizes: tuple[str, ...]
    curve: tuple[Mapping[str, float], ...] | None
    worst: tuple[Mapping[str, Any], ...] | None
    rank: int | None
    of: int
    provenance: Mapping[str, str]
    older: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class SubmissionView:
    """What a viewer may see of one submission.

    Parameters
    ----------
    id, team, method, kind : str
    state : State
    reason : str
    meta : mapping
    created, finished : int or None
    identity : str or None
        sha256 of the label maps.
    duplicate_of : str or None
    position : int or None
        Jobs before it in the queue, while it waits.
    problems : tuple of mapping
        Validation report; for its own team and the admin only.
    offset : int or None
        Bytes that arrived, while the upload is open; own team only.
    mine : bool
        The viewer may withdraw or cancel it.
    splits : mapping of str to SplitView
        Empty unless it is scored.
    """

    id: str
    team: str
    method: str
    kind: str
    state: State
    reason: str
    meta: Mapping[str, Any]
    created: int
    finished: int | None
    identity: str | None
    duplicate_of: str | None
    position: int | None
    problems: tuple[Mapping[str, Any], ...]
    offset: int | None
    mine: bool
    splits: Mapping[str, SplitView]


@dataclass(frozen=True)
class Delta:
    """One score of two submissions; suppressed ones have None throughout."""

    name: str
    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    suppressed: bool = False


@dataclass(frozen=True)
class ComparisonView:
    """Two submissions side by side on one split.

    Parameters
    ----------
    a, b : SubmissionView
    split : str
    verdict : str
        In words.
    scores : tuple of Delta
        Headline scores.
    classes : tuple of mapping
        {"name", "instances", "IoU": Delta, "IA-IoU": Delta, "S": Delta, "M": Delta, "L": Delta}; the sizes have no
        interval.
    images : tuple of mapping or None
        Public split: {"image", "a", "b"}: mean IA-IoU of the instances of each image; None on the hidden split.
    gained, lost : tuple of mapping or None
        Public split: the instances that B segments better, and worse, by most: {"image", "id", "class", "area",
        "bin", "a", "b", "difference"}.
    """

    a: SubmissionView
    b: SubmissionView
    split: str
    verdict: str
    scores: tuple[Delta, ...]
    classes: tuple[Mapping[str, Any], ...]
    images: tuple[Mapping[str, Any], ...] | None
    gained: tuple[Mapping[str, Any], ...] | None
    lost: tuple[Mapping[str, Any], ...] | None


@dataclass(frozen=True)
class HistoryPoint:
    """A submission that was the best when it came."""

    date: int
    value: float
    id: str
    method: str
    team: str
