"""report.html: the data set on one page that works offline."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iamiou import __version__
from iamiou.wording import number, plural, size_words
from iamiou_builders.attribution import author_page
from iamiou_builders.facts import Facts
from iamiou_builders.goals import why_less
from iamiou_builders.licences import licence
from iamiou_builders.references import load_references
from iamiou_builders.size_chart import size_chart
from iamiou_builders.stats import histogram, statistics
from iamiou_builders.wall import wall

if TYPE_CHECKING:
    import jinja2

#: Width and height of the chart for wide, middling and narrow windows, as in the score report.
CHART_SIZES = {"wide": (1000, 380), "mid": (660, 360), "narrow": (340, 300)}


def report(facts: Facts, root: Path) -> bytes:
    """Return the page; pictures for the wall of samples are read from the devkit in ``root``."""
    from markupsafe import Markup

    environment = templates(escaped=True)

    def raw(name: str) -> str:
        return environment.get_template(name).render().strip()

    stats, script = statistics(facts), raw("report.js")
    page = environment.get_template("data.html.jinja").render(
        facts=facts,
        recipe=facts.recipe,
        stats=stats,
        tool=__version__,
        style=Markup(raw("report.css") + "\n" + raw("data.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        sizes=size_rows(facts),
        lead=_lead(facts, stats),
        mixes=_mixes(facts),
        charts=_charts(facts, stats),
        references=[r for r in load_references() if _comparable(facts, r.areas)],
        wall=wall(facts, root),
        licences=licence_rows(stats),
        together=_together(stats),
        less=less_words(facts, stats),
    )
    return page.encode()


@cache
def templates(*, escaped: bool) -> jinja2.Environment:
    """Return the templates of this package, and behind them those of the score report."""
    import jinja2

    loaders = [jinja2.PackageLoader(name, "templates") for name in ("iamiou_builders", "iamiou")]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=escaped,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(number=number, plural=plural, author_page=author_page)
    return environment


def size_rows(facts: Facts) -> list[dict[str, Any]]:
    """Return name, word, range and count of the size bins."""
    names, edges = facts.recipe.bin_names, facts.recipe.bin_edges
    ranges = [f"under {edges[0]:,} px", *(f"{a:,} to {b - 1:,} px" for a, b in pairwise(edges))]
    ranges.append(f"from {edges[-1]:,} px")
    counts = facts.counts().sum(0).tolist()
    rows = zip(names, size_words(names), ranges, counts, strict=True)
    return [{"name": n, "word": w, "range": r, "count": c} for n, w, r, c in rows]


def _lead(facts: Facts, stats: dict[str, Any]) -> str:
    """Say in one sentence whether the sizes balance."""
    ratios = [c["largest_to_smallest"] for c in stats["classes"] if c["largest_to_smallest"] is not None]
    good, of = sum(r <= 1.25 for r in ratios), len(facts.recipe.class_names)
    if good == of:
        return f"The sizes weigh about the same in all of {of} classes."
    if good:
        return f"The sizes weigh about the same in {good} of {plural(of, 'class')}; the others lack instances."
    return "There are too few instances here for the sizes to weigh the same in any class."


def _comparable(facts: Facts, areas: Any) -> bool:
    """Tell whether a reference counts the classes of this data set."""
    return set(facts.recipe.class_names) <= set(areas)


def _by_bin(facts: Facts, areas: NDArray[np.int64]) -> list[int]:
    which = np.searchsorted(facts.recipe.bin_edges, areas, side="right")
    return [int(n) for n in np.bincount(which, minlength=len(facts.recipe.bin_names))]


def _mixes(facts: Facts) -> list[dict[str, Any]]:
    """Return for each data set its name and the counts by size of every class, and of all classes together."""
    tables = [("this set", facts.counts()), ("the pool", facts.pool.counts)]
    for reference in load_references():
        if _comparable(facts, reference.areas):
            rows = [_by_bin(facts, reference.areas[name]) for name in facts.recipe.class_names]
            tables.append((reference.title, np.array(rows)))
    return [{"name": name, "rows": t.tolist(), "all": t.sum(0).tolist()} for name, t in tables]


def _charts(facts: Facts, stats: dict[str, Any]) -> dict[str, Any]:
    """Lay the chart of sizes out at three widths."""
    series = [("this set", "here", stats["areas"]["chosen"]), ("the pool", "pool", stats["areas"]["pool"])]
    for k, reference in enumerate(load_references()):
        if _comparable(facts, reference.areas):
            mine = [reference.areas[name] for name in facts.recipe.class_names]
            series.append((reference.title, f"other-{k}", histogram(np.concatenate(mine))))
    counts = facts.counts().sum(0).tolist()
    edges, names = facts.recipe.bin_edges, facts.recipe.bin_names
    return {kind: size_chart(*size, series, edges, names, counts) for kind, size in CHART_SIZES.items()}


def less_words(facts: Facts, stats: dict[str, Any]) -> str:
    """Say why cells hold fewer instances than are wanted and available; empty where none does."""
    missing = any(c[size]["missing"] for c in stats["classes"] for size in facts.recipe.bin_names)
    return why_less(facts.selection.method, facts.recipe.cap) if missing else ""


def licence_rows(stats: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the licences, most frequent first, with what they forbid."""
    rows = []
    for key, count in stats["licences"].items():
        terms = licence(int(key) if key.isdecimal() else None)
        bars = [w for w, on in (("no sale", terms.non_commercial), ("no crops", terms.no_derivatives)) if on]
        rows.append({"id": key, "name": terms.name, "url": terms.url, "count": count, "forbids": bars})
    return sorted(rows, key=lambda r: (-r["count"], r["id"]))


def _together(stats: dict[str, Any]) -> dict[str, Any]:
    """Return the matrix of classes that are seen together; colours by the share of the rarer class's images."""
    names, table = stats["together"]["classes"], stats["together"]["images"]
    rows = []
    for a, name in enumerate(names):
        cells = []
        for b, other in enumerate(names):
            rarer = max(1, min(table[a][a], table[b][b]))
            cells.append({"count": table[a][b], "with": other, "share": table[a][b] / rarer, "self": a == b})
        rows.append({"name": name, "cells": cells})
    return {"names": names, "rows": rows}
