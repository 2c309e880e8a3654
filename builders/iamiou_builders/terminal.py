"""A plan and its outcome as tables on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from iamiou.errors import counted, name_some
from iamiou_builders.build import Outcome
from iamiou_builders.plan import Plan
from iamiou_builders.selection import counts_of
from iamiou_builders.stats import ratio


def show_plan(plan: Plan) -> None:
    """Print availability, what was chosen, and the goals."""
    console = Console(highlight=False)
    for warning in plan.warnings:
        console.print(Text.assemble(("Warning: ", "yellow"), str(warning)))
    console.print(_cells(plan))
    console.print(_goals(plan))
    s = plan.selection
    gap = "" if s.gap != s.gap else f"; cost {s.objective:.6g}, at least {s.bound:.6g}, gap {100 * s.gap:.2f} %"
    console.print(f"{len(s.ids):,} of {len(plan.candidates.ids):,} images chosen by {s.method}: {s.status}{gap}.")
    missed = [g.name for g in plan.goals if not g.met]
    if missed:
        text = (
            f"{counted(len(missed), 'goal')} missed: {', '.join(missed)}. The pool may hold too few instances for "
            f"{plan.recipe.per_cell} in each cell; a smaller --per-cell may help."
        )
        console.print(Text.assemble(("Warning: ", "yellow"), text))


def _table(title: str) -> Any:
    return Table(
        title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left", title_style="bold"
    )


def _cells(plan: Plan) -> Any:
    """Return the table of classes and sizes: instances chosen, and those that could be."""
    available, counts = plan.candidates.available, counts_of(plan.candidates, plan.selection.ids)
    table = _table(f"Chosen, of those there are; {plan.recipe.per_cell} wanted")
    table.add_column("class", no_wrap=True)
    for name in plan.candidates.bin_names:
        table.add_column(name, justify="right", no_wrap=True)
        table.add_column("of", justify="right", style="dim", no_wrap=True)
    table.add_column("max:min", justify="right", no_wrap=True)
    for name, have, there in zip(plan.candidates.class_names, counts, available, strict=True):
        cells = []
        for n, a in zip(have.tolist(), there.tolist(), strict=True):
            cells += [f"[yellow]{n}[/]" if n < plan.recipe.per_cell else f"{n}", f"{a}"]
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
        met = "[green]yes[/]" if g.met else "[yellow]no[/]"
        table.add_row(g.name, figure, f"{g.bound:.4g}", met, g.text)
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
    click.echo(f"Look at {root / 'report.html'}; score with: iamiou score PREDS {root}")
