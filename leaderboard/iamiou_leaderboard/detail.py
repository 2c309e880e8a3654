"""One submission, and two side by side, as far as a viewer may see them."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iamiou.report import Report
from iamiou.scores import bin_names
from iamiou_leaderboard.board import Opened, open_truth
from iamiou_leaderboard.disclosure import Support, class_cells, headline, shown, suppressed
from iamiou_leaderboard.ranking import current, saved_report, standings
from iamiou_leaderboard.types import (
    HIDDEN,
    PUBLIC,
    BoardError,
    Cell,
    ComparisonView,
    Delta,
    ScoreRow,
    SplitView,
    State,
    Submission,
    SubmissionView,
    Viewer,
    not_found,
)

if TYPE_CHECKING:
    from iamiou.comparison import Comparison, Difference

_WORST = 50
#: What everybody sees of submissions that are not their own.
_OPEN = (State.SCORED, State.WITHDRAWN)


def submission_view(opened: Opened, submission_id: str, viewer: Viewer | None = None) -> SubmissionView:
    """Return what a viewer may see of a submission.

    Raises
    ------
    BoardError
        "not-found" when there is none, and in the same words when it has no score and belongs to another team.
    """
    entry, viewer = opened.store.submission(submission_id), viewer or Viewer()
    mine = viewer.owns(entry.team)
    if not mine and entry.state not in _OPEN:
        raise not_found(submission_id)
    waits = mine and not entry.state.final
    uploading = mine and entry.state == State.RECEIVED and entry.uploaded is None
    splits = opened.board.splits if entry.state == State.SCORED else ()
    return SubmissionView(
        id=entry.id,
        team=entry.team,
        method=entry.method,
        kind=entry.kind,
        state=entry.state,
        reason=entry.reason,
        meta={k: v for k, v in entry.meta.items() if k not in ("team", "method", "kind")},
        created=entry.created,
        finished=entry.finished,
        identity=entry.content_sha256,
        duplicate_of=entry.duplicate_of if mine else None,
        position=opened.store.queue_length(before=entry.id) if waits else None,
        problems=tuple((entry.report or {}).get("problems", ())) if mine else (),
        offset=opened.store.upload_offset(entry.id) if uploading else None,
        mine=mine,
        splits={split: _split_view(opened, entry, split, viewer) for split in splits},
    )


def comparison_view(
    opened: Opened, a: str, b: str, *, split: str | None = None, viewer: Viewer | None = None
) -> ComparisonView:
    """Set two scored submissions side by side on a split.

    Raises
    ------
    BoardError
        When one of them is not there for this viewer, or has no score of this metric version.
    """
    split = opened.board.splits[0] if split is None else split
    if split not in opened.board.splits:
        raise BoardError(f"This board has no such split; it has {' and '.join(opened.board.splits)}.", "not-found", 404)
    views = [submission_view(opened, name, viewer) for name in (a, b)]
    for view in views:
        if view.state != State.SCORED:
            raise BoardError(
                f"The submission {view.id} is {view.state}; only scored ones are compared.", "conflict", 409
            )
    if a == b:
        raise BoardError("A submission cannot be compared with itself; choose another one.", "conflict", 409)
    reports = [saved_report(opened, name, split) for name in (a, b)]
    names = (views[0].method, views[1].method)
    found = _compared(reports[0], reports[1], names if names[0] != names[1] else ("A", "B"))
    scores = _score_deltas(opened, a, found, split)
    public = split == PUBLIC
    return ComparisonView(
        a=views[0],
        b=views[1],
        split=split,
        verdict=_verdict(scores, found, opened),
        scores=scores,
        classes=_class_deltas(opened, split, found, reports),
        images=_image_pairs(*reports) if public else None,
        gained=_changes(found, "gained") if public else None,
        lost=_changes(found, "lost") if public else None,
    )


def picture(
    opened: Opened, submission_id: str, image_id: str, viewer: Viewer | None = None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Return truth, instances and prediction of an image of the public split; any other one does not exist.

    Raises
    ------
    BoardError
        "not-found" in the same words for hidden images and for no images.
    """
    from iamiou.predictions import open_predictions

    view = submission_view(opened, submission_id, viewer)
    info = next((i for i in opened.images if i.id == image_id and i.split == PUBLIC), None)
    if info is None or view.state != State.SCORED:
        raise BoardError("There is no such image on the public split.", "not-found", 404)
    truth = open_truth(opened.directory, PUBLIC, opened.board.class_list, opened.board.instances_from)
    found = open_predictions(opened.store.folder(submission_id) / "labels.zip", truth)
    semantic, instance = truth.load(image_id)
    return semantic, instance, found.load(image_id, (info.height, info.width))


def split_support(opened: Opened, split: str) -> Support:
    """Return what every cell of a split rests on, as it was counted when the board was made."""
    return _support(opened.directory / "truth" / f"{split}.json")


@lru_cache(maxsize=8)
def _support(path: Path) -> Support:
    found = json.loads(path.read_text(encoding="utf-8"))
    return tuple(tuple((instances, images) for instances, images in row) for row in found)


def _split_view(opened: Opened, entry: Submission, split: str, viewer: Viewer) -> SplitView:
    rows = opened.store.score_rows(split=split, submission_id=entry.id).values()
    ranked, _ = standings(opened, split)
    place = next((s for s in ranked if s.submission.id == entry.id), None)
    _, row = current(opened, split).get(entry.id, (0, None))
    older = tuple(_older(r, split) for r in rows if r is not row)
    sizes = bin_names(opened.board.bins)
    if row is None:
        return SplitView(split, {}, (), sizes, None, None, None, len(ranked), {}, older)
    curve = worst = None
    if split == PUBLIC:
        report = saved_report(opened, entry.id, split)
        curve, worst = _curve(report), _worst(report)
    return SplitView(
        split=split,
        scores=headline(row.report, split),
        classes=tuple(class_cells(row.report, split, split_support(opened, split), sizes)),
        sizes=sizes,
        curve=curve,
        worst=worst,
        rank=place.rank if place else None,
        of=len(ranked),
        provenance=_provenance(row, opened.board.dataset, viewer),
        older=older,
    )


def _older(row: ScoreRow, split: str) -> Mapping[str, Any]:
    return {"metric": row.metric, "primary": Cell(shown(row.primary, split)), "date": row.finished}


def _provenance(row: ScoreRow, dataset: str, viewer: Viewer) -> Mapping[str, str]:
    """Say what a score was made with; where, only to the admin."""
    out = {"metric": row.metric, "iamiou": row.code, "data set": dataset, "digest": row.dataset_digest}
    out |= row.environment
    if viewer.role != "admin":
        out.pop("host", None)
    return out | {"started": _iso(row.started), "finished": _iso(row.finished)}


def _iso(stamp: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(stamp))


def _curve(report: Report) -> tuple[Mapping[str, float], ...]:
    from iamiou.counts import AREA, IMAGE
    from iamiou.curves import iou_against_area

    rows = report.counts.instances
    found = iou_against_area(rows[:, AREA], report.counts.iou(), rows[:, IMAGE], points=49)
    points = zip(found.area.tolist(), found.iou.tolist(), found.low.tolist(), found.high.tolist(), strict=True)
    names = ("area", "iou", "low", "high")
    return tuple(dict(zip(names, point, strict=True)) for point in points if not any(map(math.isnan, point)))


def _worst(report: Report) -> tuple[Mapping[str, Any], ...]:
    table = report.instances[["image", "class", "id", "area", "bin", "iou"]]
    rows = table.sort_values(["iou", "area"], ascending=[True, False], kind="stable").head(_WORST)
    return tuple({str(name): value for name, value in row.items()} for row in rows.to_dict("records"))


@lru_cache(maxsize=64)
def _compared(a: Report, b: Report, names: tuple[str, str]) -> Comparison:
    from iamiou.compare import compare

    return compare(a, b, names=names)


def _delta(row: Difference, split: str, *, hide: bool = False, p: float | None = None) -> Delta:
    """Show a difference; on the hidden split that of the rounded scores."""
    if hide:
        return Delta(row.name, None, None, None, None, None, None, suppressed=True)
    a, b = shown(row.a, split), shown(row.b, split)
    both = a is not None and b is not None
    difference = shown(b - a, split) if both else None  # type: ignore[operator]  # both has looked
    chance = shown(row.p if p is None else p, split, 2) if both else None
    return Delta(row.name, a, b, difference, shown(row.low, split), shown(row.high, split), chance)


def _score_deltas(opened: Opened, a: str, found: Comparison, split: str) -> tuple[Delta, ...]:
    cells = headline(current(opened, split)[a][1].report, split)
    return tuple(_delta(row, split, hide=cells[row.name].suppressed) for row in found.scores)


def _verdict(scores: tuple[Delta, ...], found: Comparison, opened: Opened) -> str:
    """Say who is better, from what is shown only."""
    from iamiou.comparison import Difference, verdict

    nan = math.nan
    rows = [
        Difference(d.name, *(nan if v is None else v for v in (d.a, d.b, d.difference, d.low, d.high, d.p)))
        for d in scores
    ]
    return verdict(rows, found.names, bin_names(opened.board.bins)[0])[0]


def _class_deltas(
    opened: Opened, split: str, found: Comparison, reports: list[Report]
) -> tuple[Mapping[str, Any], ...]:
    from iamiou.comparison import Difference

    hidden = suppressed(split_support(opened, split)) if split == HIDDEN else frozenset()
    sizes, index = bin_names(opened.board.bins), {name: c for c, name in enumerate(opened.board.class_names)}
    out = []
    for row in found.classes:
        c = index[row.name]
        hide = (c, len(sizes)) in hidden
        line: dict[str, Any] = {"name": row.name, "instances": None if hide else row.instances}
        line["IoU"] = _delta(row.iou, split, hide=hide, p=row.iou_p)
        line["IA-IoU"] = _delta(row.ia_iou, split, hide=hide, p=row.ia_iou_p)
        for k, size in enumerate(sizes):
            a, b = (float(report.class_scores.ia_iou_by_bin[c, k]) for report in reports)
            line[size] = _delta(Difference(size, a, b, b - a, *[math.nan] * 3), split, hide=(c, k) in hidden)
        out.append(line)
    return tuple(out)


def _image_pairs(a: Report, b: Report) -> tuple[Mapping[str, Any], ...]:
    """Return the mean IA-IoU of the instances of every image that has some."""
    from iamiou.counts import IMAGE

    image = a.counts.instances[:, IMAGE]
    n = np.bincount(image, minlength=len(a.counts.images))
    means = [np.bincount(image, r.counts.iou(), len(n)) / np.maximum(n, 1) for r in (a, b)]
    return tuple(
        {"image": a.counts.images[k], "a": float(means[0][k]), "b": float(means[1][k])} for k in np.flatnonzero(n)
    )


def _changes(found: Comparison, kind: str) -> tuple[Mapping[str, Any], ...]:
    rows: tuple[Mapping[str, Any], ...] = tuple(found.to_dict()[kind])
    return rows
