"""The types of a board under one roof: `records` of the inside, and what is `shown`."""

from __future__ import annotations

from iamiou_leaderboard.records import (
    HIDDEN,
    KINDS,
    PUBLIC,
    SPLITS,
    Board,
    BoardError,
    ImageInfo,
    Job,
    Quota,
    ScoreRow,
    State,
    Submission,
    Token,
    Viewer,
    not_found,
)
from iamiou_leaderboard.shown import (
    BoardRow,
    Cell,
    ComparisonView,
    Delta,
    HistoryPoint,
    SplitView,
    SubmissionView,
    Table,
)

__all__ = [
    "HIDDEN",
    "KINDS",
    "PUBLIC",
    "SPLITS",
    "Board",
    "BoardError",
    "BoardRow",
    "Cell",
    "ComparisonView",
    "Delta",
    "HistoryPoint",
    "ImageInfo",
    "Job",
    "Quota",
    "ScoreRow",
    "SplitView",
    "State",
    "Submission",
    "SubmissionView",
    "Table",
    "Token",
    "Viewer",
    "not_found",
]
