"""A plan and its outcome as tables on the terminal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from iamiou.errors import counted, name_some
from iamiou.labels import VOC
from iamiou_builders.build import Outcome
from iamiou_builders.facts import split_name
from iamiou_builders.goals import why_less
from iamiou_builders.plan import Plan
from iamiou_builders.selection import counts_of
from iamiou_builders.stats import ratio

_COLOURS = {"yes": "green", "no": "yellow", "–": "dim"}


def show_plan(plan: Plan) -> None:
    """Print availability, what was chosen, and the goals."""
    console = Console(highlight=False)
    for warning in plan.warnings:
        console.print(Text.assemble(("Warning: ", "yellow"), str(warning)))
    less = fewer(plan)
    console.print(_cells(plan, less))
    if less.any():
        why = why_less(plan.selection.method, plan.recipe.cap)
        console.print(f"* fewer than are wanted and there: {why}.", style="dim")
    console.print(_goals(plan))
    s = plan.selection
    gap = "" if s.gap != s.gap else f"; cost {s.objective:.6g}, at least {s.bound:.6g}, gap {100 * s.gap:.2f} %"
    console.print(f"{len(s.ids):,} of {len(plan.candidates.ids):,} images chosen by {s.method}: {s.status}{gap}.")
    train = sum(r.picture.split != "val" for r in plan.chosen)
    if train:
        share = f"{100 * train / len(s.ids):.0f} %"
        console.print(f"{train:,} of them ({share}) are in COCO train, or not known to be in val.")
    n, available = plan.recipe.per_cell, plan.candidates.available
    if available.max() < n:
        c, b = np.unravel_index(available.argmax(), available.shape)
        most = f"{plan.candidates.class_names[c]} {plan.candidates.bin_names[b]}, the fullest, has {available.max()}"
        text = f"No cell has {n} instances to choose from ({most}), so nothing is balanced; take --per-cell down."
        console.print(Text.assemble(("Warning: ", "yellow"), text))
    missed = [g.name for g in plan.goals if not g.met]
    if missed:
        text = (
            f"{counted(len(missed), 'goal')} missed: {', '.join(missed)}. The pool may hold too few instances for "
            f"{n} in each cell; a smaller --per-cell may help."
        )
        console.print(Text.assemble(("Warning: ", "yellow"), text))


def _table(title: str) -> Any:
    return Table(
        title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left", title_style="bold"
    )


def fewer(plan: Plan) -> NDArray[np.bool_]:
    """Return which cells hold fewer instances than are wanted and available, (classes, bins)."""
    have = counts_of(plan.candidates, plan.selection.ids)
    return np.asarray(have < np.minimum(plan.candidates.available, plan.recipe.per_cell))


def _cells(plan: Plan, less: NDArray[np.bool_]) -> Any:
    """Return the table of classes and sizes: instances chosen, and those that could be."""
    available, counts = plan.candidates.available, counts_of(plan.candidates, plan.selection.ids)
    table = _table(f"Chosen, of those there are; {plan.recipe.per_cell} wanted")
    table.add_column("class", no_wrap=True)
    for name in plan.candidates.bin_names:
        table.add_column(name, justify="right", no_wrap=True)
        table.add_column("of", justify="right", style="dim", no_wrap=True)
    table.add_column("max:min", justify="right", no_wrap=True)
    for name, have, there, marked in zip(plan.candidates.class_names, counts, available, less, strict=True):
        cells = []
        for n, a, mark in zip(have.tolist(), there.tolist(), marked.tolist(), strict=True):
            shown = f"{n}*" if mark else f"{n}"
            cells += [f"[yellow]{shown}[/]" if n < plan.recipe.per_cell else shown, f"{a}"]
        found = ratio(have, there)
        table.add_row(name, *cells, "–" if found is None else f"{found:.2f}")
    table.add_section()
    sums = [f"{v}" for pair in zip(counts.sum(0).tolist(), available.sum(0).tolist(), strict=True) for v in pair]
    table.add_row("all", *sums, "")
    return table


def _goals(plan: Plan) -> Any:
    table = _table("Goals")
    for name, side in (("goal", "left"), ("figure", "right"), ("at most", "right"), ("met", "left"), ("", "left")):
        table.add_column(name, justify=side, no_wrap=name != "")
    for g in plan.goals:
        figure = "–" if g.figure != g.figure else f"{g.figure:.4g}"
        table.add_row(g.name, figure, f"{g.bound:.4g}", Text(g.verdict, _COLOURS[g.verdict]), g.text)
    return table


def show_outcome(outcome: Outcome, root: Path) -> None:
    """Print what a build has done, and what to do with it."""
    record = outcome.record
    if outcome.state == "unchanged":
        click.echo(f"'{root}' is finished and right; nothing was changed. Digest {record['digest']}")
        return
    if outcome.mended:
        click.echo(f"Made again what was missing or damaged: {name_some(outcome.mended)}")
    came = f", {outcome.transferred / 1e6:,.1f} MB of pictures fetched" if outcome.transferred else ""
    click.echo(f"Wrote {record['images']:,} images with {record['instances']:,} instances to '{root}'{came}.")
    click.echo(f"List   {record['list_sha256']}\nDigest {record['digest']}")
    if outcome.plan:
        arguments = truth_arguments(outcome.plan, root)
        click.echo(f"Look at {root / 'report.html'}; score with: iamiou score PREDS {arguments}")


def truth_arguments(plan: Plan, root: Path) -> str:
    """Return what `iamiou score` has to be told: where the data set is, and classes and sizes if they are not VOC's."""
    recipe = plan.recipe
    json = root / "annotations" / f"instances_{split_name(recipe.name)}.json"
    words = [f"{root if 'voc' in plan.order['export'] else json}"]
    if recipe.classes.names != VOC.names:
        words.append(f"--classes {root / 'classes.txt'}")
    sides = [math.isqrt(edge) for edge in recipe.bin_edges]
    if sides != [32, 96] and [s * s for s in sides] == list(recipe.bin_edges):
        words.append(f"--bins {','.join(map(str, sides))}")
    return " ".join(words)
