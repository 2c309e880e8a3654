"""Who stands where: ranks with ties, and whether neighbours can be told apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from iamiou.report import METRIC_VERSION, Report
from iamiou_leaderboard.board import Opened
from iamiou_leaderboard.disclosure import DIGITS, shown
from iamiou_leaderboard.jobs import PairRow
from iamiou_leaderboard.types import BoardError, ScoreRow, State, Submission

#: A p-value above this does not tell two rows apart.
ALPHA = 0.05
SORT_RULE = (
    "Sorted by {primary}, then mIoU, both at the digits shown, then by date, the earlier first. Rows with the same "
    "{primary} share a rank."
)


@dataclass(frozen=True)
class Standing:
    """A ranked row: number of its score, the score, the submission, its rank and whether it shares it."""

    number: int
    score: ScoreRow
    submission: Submission
    rank: int
    tied: bool


def current(opened: Opened, split: str) -> dict[str, tuple[int, ScoreRow]]:
    """Return the scores of this metric version on this data set, by submission, whatever its state."""
    digest = opened.board.digests[split]
    rows = opened.store.score_rows(split=split)
    return {
        row.submission: (number, row)
        for number, row in rows.items()
        if row.metric == METRIC_VERSION and row.dataset_digest == digest
    }


def standings(opened: Opened, split: str, filters: Mapping[str, str] | None = None) -> tuple[list[Standing], int]:
    """Rank all scored submissions, best first.

    Parameters
    ----------
    opened : Opened
    split : str
    filters : mapping, optional
        Only submissions whose meta data say so, ranked among themselves.

    Returns
    -------
    list of Standing
    int
        Submissions that have only scores of other metric versions.
    """
    scores, entries, stale = current(opened, split), [], 0
    for entry in opened.store.submissions(state=State.SCORED):
        if any(meta_text(entry, name) != value for name, value in (filters or {}).items()):
            continue
        if entry.id in scores:
            entries.append((*scores[entry.id], entry))
        else:
            stale += 1
    places = [(round(row.primary, DIGITS), number, row, entry) for number, row, entry in entries]
    places.sort(key=lambda p: (-p[0], -round(p[2].report["scores"].get("mIoU") or 0.0, DIGITS), p[3].created, p[3].id))
    values = [value for value, *_ in places]
    return [
        Standing(number, row, entry, values.index(value) + 1, values.count(value) > 1)
        for value, number, row, entry in places
    ], stale


def meta_text(entry: Submission, name: str) -> str:
    """Return a field of the meta data as text: lists joined, nothing for what is missing."""
    value = entry.kind if name == "kind" else entry.meta.get(name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value)
    return "" if value is None else str(value)


def badges(opened: Opened, split: str, rows: list[Standing]) -> list[tuple[str, str]]:
    """Return a badge and its sentence for every row, about the row above it."""
    known, out = opened.store.pairs(), [("", "")] * min(1, len(rows))
    for above, row in pairwise(rows):
        found = known.get((above.number, row.number))
        if found is None:
            out.append(("unknown", "Not compared with the row above yet."))
            continue
        same = found.p > ALPHA or found.low is None or found.high is None or found.low <= 0 <= found.high
        apart = (shown(above.score.primary, split) or 0.0) - (shown(row.score.primary, split) or 0.0)
        out.append(("same", _sentence(found, apart)) if same else ("", ""))
    return out


def _sentence(found: PairRow, apart: float) -> str:
    """Say how far apart two rows are: by the scores that stand there, not by what was rounded away."""
    ends = "" if found.low is None or found.high is None else f" (95 % interval {found.low:.3f} to {found.high:.3f})"
    return f"Not distinguishable from the row above: {apart:.3f} apart{ends}, p = {found.p:.2f}, paired over images."


def missing_pair(opened: Opened, split: str) -> tuple[Standing, Standing] | None:
    """Return two rows that stand next to one another and were not compared yet."""
    rows, _ = standings(opened, split)
    known = opened.store.pairs()
    return next(((a, b) for a, b in pairwise(rows) if (a.number, b.number) not in known), None)


def compare_pair(opened: Opened, split: str, above: Standing, row: Standing) -> PairRow:
    """Compare two rows, paired over images as `iamiou.compare` does, and keep what came out."""
    from iamiou.compare import compare

    upper, lower = (saved_report(opened, s.submission.id, split) for s in (above, row))
    found = next(d for d in compare(lower, upper).scores if d.name == opened.board.primary)
    low, high = (None if math.isnan(v) else v for v in (found.low, found.high))
    pair = PairRow(found.difference, low, high, 1.0 if math.isnan(found.p) else found.p)
    opened.store.add_pair(above.number, row.number, pair)
    return pair


def saved_report(opened: Opened, submission_id: str, split: str) -> Report:
    """Load the saved counts of a submission's current score; for the inside and the public split only."""
    path = opened.counts_file(submission_id, METRIC_VERSION, split)
    if not path.exists():
        text = f"The submission {submission_id} has no score of metric version {METRIC_VERSION}; it has to be rescored."
        raise BoardError(text, "conflict", 409)
    return _load(path)


@lru_cache(maxsize=32)
def _load(path: Path) -> Report:
    from iamiou.report import load

    return load(path)
