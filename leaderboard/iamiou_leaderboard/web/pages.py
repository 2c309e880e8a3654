"""The pages: what may be shown comes from `views`, and the templates write it down."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

from iamiou.scores import bin_names
from iamiou.wording import size_ranges, size_words
from iamiou_leaderboard import views
from iamiou_leaderboard.types import ComparisonView, Delta, Submission, SubmissionView, Table
from iamiou_leaderboard.web.drawings import area_curve, best_over_time, per_image, size_against_miou
from iamiou_leaderboard.web.pictures import worst_pictures
from iamiou_leaderboard.web.sessions import ANONYMOUS, Visit
from iamiou_leaderboard.web.site import Site

#: Widths and heights of the drawings for wide and narrow windows.
HALF = {"wide": (580, 400), "narrow": (340, 330)}
FULL = {"wide": (1160, 400), "narrow": (340, 320)}
SQUARE = {"wide": (600, 560), "narrow": (340, 340)}


def table_of(site: Site, split: str | None, filters: Mapping[str, str], visit: Visit) -> Table:
    """Return the table of a split."""
    return views.board_table(site.opened, split=split, filters=filters, viewer=visit.viewer)


def board_page(site: Site, visit: Visit, *, split: str | None, filters: Mapping[str, str], classes: bool) -> str:
    """Return the table with its two charts."""
    table = table_of(site, split, filters, visit)
    points = views.history(site.opened, split=table.split, filters=table.filters)
    return site.render(
        "board.html.jinja",
        visit,
        here="board",
        table=table,
        classes=classes,
        tabs={s: site.links.board(s, classes=classes, filters=table.filters) for s in site.board.splits},
        scatter=_drawings(HALF, lambda w, h: size_against_miou(table.rows, w, h)),
        history=_drawings(HALF, lambda w, h: best_over_time(points, w, h, table.primary)),
    )


def headlines(site: Site) -> dict[str, str]:
    """Return the scores that get a tile, and a word on each."""
    names = bin_names(site.board.bins)
    sizes = zip(names, size_words(names), size_ranges(site.board.bins), strict=True)
    first = {"IA-mIoU": "every instance of a class counts alike", "mIoU": "every pixel of a class counts alike"}
    return first | {f"IA_{n}": f"{word} objects, {span}" for n, word, span in sizes}


def submission_page(site: Site, visit: Visit, view: SubmissionView, others: list[dict[str, str]] | None = None) -> str:
    """Return the page of one submission.

    Parameters
    ----------
    site : Site
    visit : Visit
    view : SubmissionView
    others : list, optional
        Comparisons that exist as files; a server offers every ranked submission.
    """
    about = {k: v for k, v in view.meta.items() if k not in ("method", "team", "kind")}
    about |= {"identity": view.identity, "id": view.id}
    if others is None:
        others = _others(site, visit, view)
    return site.render(
        "submission.html.jinja",
        visit,
        here="",
        view=view,
        about=about,
        headlines=headlines(site),
        others=others,
        pictures={split: worst_pictures(site.opened, view, s, visit.viewer) for split, s in view.splits.items()},
        curves={
            split: _drawings(FULL, lambda w, h, c=s.curve: area_curve(c, site.board.bins, w, h))
            for split, s in view.splits.items()
            if s.curve
        },
    )


def _others(site: Site, visit: Visit, view: SubmissionView) -> list[dict[str, str]]:
    """Return the ranked submissions that this one can be compared with."""
    if not view.splits:
        return []
    rows = table_of(site, None, {}, visit).rows
    return [
        {"id": row.id, "text": f"{row.rank}. {row.method} ({row.team})"} for row in rows if row.id and row.id != view.id
    ]


def comparison_page(site: Site, visit: Visit, view: ComparisonView, tabs: Mapping[str, str] | None = None) -> str:
    """Return the page that compares two submissions."""
    if tabs is None:
        tabs = {s: site.links.compare(view.a.id, view.b.id, s) for s in site.board.splits}
    keys = sorted(view.a.meta.keys() | view.b.meta.keys() - {"method", "team"})
    first = list(headlines(site))
    drawing = _drawings(SQUARE, lambda w, h: per_image(view.images or (), w, h))
    return site.render(
        "comparison.html.jinja",
        visit,
        here="",
        view=view,
        tabs=tabs,
        sizes=bin_names(site.board.bins),
        scores=sorted(view.scores, key=lambda d: _place(d.name, first)),
        reach=_reach(view.scores),
        scatter=drawing,
        shown=len(drawing["wide"].marks) if drawing else 0,
        meta=[(k, _words(view.a.meta.get(k)), _words(view.b.meta.get(k))) for k in keys if k not in ("method", "team")],
    )


def _place(name: str, first: list[str]) -> int:
    return first.index(name) if name in first else len(first)


def _reach(scores: tuple[Delta, ...]) -> float:
    """Return a round number that every interval of the drawing stays within."""
    ends = [abs(v) for v in chain.from_iterable((d.difference, d.low, d.high) for d in scores) if v is not None]
    return next((r for r in (0.02, 0.05, 0.1, 0.2, 0.5) if max(ends, default=0.0) <= r), 1.0)


def _words(value: Any) -> str:
    if value in (None, "", []):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _drawings(sizes: Mapping[str, tuple[int, int]], draw: Any) -> dict[str, Any] | None:
    """Draw a chart once for each width of window."""
    drawn = {kind: draw(width, height) for kind, (width, height) in sizes.items()}
    return drawn if all(drawn.values()) else None


def rules_page(site: Site, visit: Visit) -> str:
    """Return the page on the rules and the data set."""
    return site.render(
        "rules.html.jinja", visit, table=table_of(site, None, {}, Visit(ANONYMOUS)), rules=views.rules(site.opened)
    )


def submit_page(site: Site, visit: Visit, *, given: Mapping[str, str] | None = None, problem: str = "") -> str:
    """Return the form, with what was filled in and why it was not taken."""
    mine: list[Submission] = []
    if visit.viewer.role != "anonymous":
        mine = site.store.submissions(team=visit.viewer.team)[::-1]
    shown = [views.submission_view(site.opened, s.id, viewer=visit.viewer) for s in mine[:50]]
    return site.render("submit.html.jinja", visit, given=given or {}, problem=problem, mine=shown)


def sign_in_page(site: Site, visit: Visit, problem: str = "") -> str:
    """Return the form for the access token."""
    return site.render("sign_in.html.jinja", visit, problem=problem)


def message_page(site: Site, visit: Visit, status: int, message: str) -> str:
    """Return a page that only says what went wrong."""
    title = {404: "Not found", 401: "Sign in first", 403: "Not allowed", 500: "Our fault"}.get(status, "Not done")
    return site.render("message.html.jinja", visit, here="", status=status, title=title, message=message)
