"""From arguments to a choice of images: all of a build that needs no picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from iamiou.errors import InputError, Problem, counted, name_some
from iamiou_builders.annotations import read_sources
from iamiou_builders.availability import Exclusion, candidates_of
from iamiou_builders.disk import sha256_of
from iamiou_builders.facts import Pool
from iamiou_builders.goals import Goal, check
from iamiou_builders.lists import from_list, read_leak_lists
from iamiou_builders.mapping import load_mapping
from iamiou_builders.model import Candidates, Resolved, Selection
from iamiou_builders.recipe import Objective, Recipe, Source, load_recipe
from iamiou_builders.resolve import resolve_pool
from iamiou_builders.selection import select
from iamiou_builders.sources import SourceFile

EXPORTS = ("voc", "coco")

_REASONS = {
    "leaked": "on a leak list",
    "train": "in COCO train, or not known to be in val",
    "license": "another licence",
    "empty": "no instance",
}

#: ``tell(what, done, all)``: what is being done and how much of it; ``all`` is 0 where that is not known.
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Options:
    """What the command line chose; None where the recipe decides.

    Parameters
    ----------
    recipe : str
        Name or file.
    coco, lvis : tuple of Path
        Annotations; both empty: they are fetched.
    images : Path or None
        Folder of pictures; None: they are fetched.
    per_cell, seed, min_area : int
    objective, source : str
    leak_lists : tuple of Path
        Lists of images that must not be chosen.
    licenses : tuple of int
        COCO's licences to choose from; empty: all.
    mapping : Path or None
    list_file : Path or None
        The images, in place of a selection: a list, or the manifest of an earlier build.
    export : tuple of str
        Of `EXPORTS`.
    """

    recipe: str
    coco: tuple[Path, ...] = ()
    lvis: tuple[Path, ...] = ()
    images: Path | None = None
    per_cell: int | None = None
    seed: int = 0
    min_area: int | None = None
    objective: Objective | None = None
    source: Source | None = None
    leak_lists: tuple[Path, ...] = ()
    licenses: tuple[int, ...] = ()
    mapping: Path | None = None
    list_file: Path | None = None
    export: tuple[str, ...] = EXPORTS


@dataclass(frozen=True)
class Plan:
    """What will be built.

    Parameters
    ----------
    recipe : Recipe
    order : mapping
        All that decides what comes out, for the records.
    files : tuple of SourceFile
    warnings : tuple of Problem
    resolved : tuple of Resolved
        The pool.
    candidates : Candidates
    exclusions : tuple of Exclusion
    selection : Selection
    goals : tuple of Goal
    """

    recipe: Recipe
    order: Mapping[str, Any]
    files: tuple[SourceFile, ...]
    warnings: tuple[Problem, ...]
    resolved: tuple[Resolved, ...]
    candidates: Candidates
    exclusions: tuple[Exclusion, ...]
    selection: Selection
    goals: tuple[Goal, ...]

    @property
    def chosen(self) -> tuple[Resolved, ...]:
        """Return the images of the data set."""
        ids = frozenset(self.selection.ids.tolist())
        return tuple(r for r in self.resolved if r.picture.id in ids)

    def reasons(self) -> dict[int, tuple[str, ...]]:
        """Return why images could not be chosen, by number."""
        found: dict[int, tuple[str, ...]] = {}
        for e in self.exclusions:
            found[e.id] = (f"{e.reason}: {e.text}",)
        return found

    def pool(self) -> Pool:
        """Return what the report says of the pool."""
        shape = self.candidates.counts.shape[1:]
        counts = np.zeros(shape, np.int64)
        areas = [(p.label - 1, p.visible) for r in self.resolved for p in r.instances]
        table = np.array(areas, np.int64).reshape(-1, 2)
        np.add.at(counts, (table[:, 0], np.searchsorted(self.recipe.bin_edges, table[:, 1], side="right")), 1)
        excluded = Counter(_REASONS.get(e.reason, e.reason) for e in self.exclusions)
        return Pool(len(self.resolved), self.candidates, counts, table[:, 1], excluded)


def recipe_of(options: Options) -> Recipe:
    """Read the recipe and put in what the command line says."""
    recipe = load_recipe(options.recipe)
    changes: dict[str, Any] = {k: getattr(options, k) for k in ("per_cell", "objective", "source", "mapping")}
    if options.min_area is not None:
        changes["rules"] = replace(recipe.rules, min_area=options.min_area)
    return replace(recipe, **{k: v for k, v in changes.items() if v is not None})


def order_of(options: Options, recipe: Recipe) -> dict[str, Any]:
    """Return all that decides what comes out: no path of this machine, and files by their checksum."""
    given = [{"name": p.name, "sha256": _digest(p)} for p in (*options.coco, *options.lvis)]
    return {
        "recipe": recipe.name,
        "recipe_version": recipe.version,
        "recipe_sha256": recipe.sha256,
        "mapping_sha256": load_mapping(recipe.mapping).sha256,
        "per_cell": recipe.per_cell,
        "seed": options.seed,
        "objective": recipe.objective,
        "source": recipe.source,
        "min_area": recipe.rules.min_area,
        "license_filter": sorted(options.licenses),
        "leak_lists": sorted(_digest(p) for p in options.leak_lists),
        "list": None if options.list_file is None else _digest(options.list_file),
        "export": [e for e in EXPORTS if e in options.export],
        "annotations": sorted(given, key=lambda f: f["sha256"]) or "official addresses",
    }


def make_plan(
    options: Options,
    recipe: Recipe,
    order: Mapping[str, Any],
    files: tuple[Sequence[Path], Sequence[Path]],
    *,
    frozen: Selection | None = None,
    tell: Tell | None = None,
) -> Plan:
    """Read the annotations, settle all conflicts and choose the images.

    Parameters
    ----------
    options : Options
    recipe : Recipe
        From `recipe_of`.
    order : mapping
        From `order_of`.
    files : (coco, lvis)
        Annotation files.
    frozen : Selection, optional
        The choice of an interrupted build, which is kept.
    tell : callable, optional
    """
    tell = tell or (lambda *_: None)
    sources = read_sources(*files, recipe, load_mapping(recipe.mapping), progress=tell)
    resolved = resolve_pool(sources, progress=tell)
    leaks = read_leak_lists(options.leak_lists)
    candidates, exclusions = candidates_of(
        resolved, recipe, leaks=leaks, licenses=frozenset(options.licenses) or None
    )  # fmt: skip
    if not candidates.ids.size:
        raise InputError(_nothing(exclusions))
    if frozen is not None:
        selection = frozen
    elif options.list_file is not None:
        selection = from_list(options.list_file, candidates, exclusions, resolved)
    else:
        selection = select(
            candidates,
            per_cell=recipe.per_cell,
            seed=options.seed,
            objective=recipe.objective,
            cap=recipe.cap,
            progress=lambda text: tell(text[:1].upper() + text[1:], 0, 0),
        )
    leaked = leaks | {r.picture.id for r in resolved if recipe.source == "val-only" and r.picture.split != "val"}
    goals = check(candidates, selection, per_cell=recipe.per_cell, cap=recipe.cap, leaked=leaked)
    return Plan(
        recipe, order, sources.files, sources.warnings, resolved, candidates, exclusions, selection, goals
    )  # fmt: skip


def _nothing(exclusions: Sequence[Exclusion]) -> str:
    reasons = Counter(e.text for e in exclusions).most_common()
    told = name_some([f"{text} ({n} times)" for text, n in reasons], 3)
    return (
        f"None of {counted(len(exclusions), 'image')} can be chosen: {told}. Give other files, or loosen the options."
    )


def _digest(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as e:
        raise InputError(f"'{path}' cannot be read: {e.strerror or e}.") from e
