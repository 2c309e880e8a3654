"""Categories of a COCO or LVIS file -> lines of the mapping."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass, field

from iamiou.coco_truth import CocoFile
from iamiou.errors import InputError
from iamiou_builders.mapping import Line, Mapping, lvis_version
from iamiou_builders.recipe import Recipe


@dataclass(frozen=True)
class Known:
    """What the mapping knows of a file's categories.

    Parameters
    ----------
    ids : frozenset of int
        All categories of the file.
    lines : mapping of int to Line
        Line of the mapping, for the categories that it names and that are not background.
    labels : mapping of int to tuple of int
        Their classes, 1..C.
    complete : frozenset of int
        COCO: classes whose categories the file has, all of them.
    main : mapping of int to int
        LVIS: class of the category that stands for all of it: where this one is absent, the class is. It is the first
        line of the class with the role ``object`` and the word of COCO; classes of other roles have none, as COCO
        alone decides about them.
    version : str
        LVIS: v0.5 or v1.
    """

    ids: frozenset[int]
    lines: Map[int, Line]
    labels: Map[int, tuple[int, ...]]
    complete: frozenset[int] = frozenset()
    main: Map[int, int] = field(default_factory=dict)
    version: str = ""


def coco_categories(file: CocoFile, recipe: Recipe, mapping: Mapping) -> Known:
    """Find the lines of a COCO file's categories, by number, and prove the names.

    Raises
    ------
    InputError
        If a number has another name than in the mapping, or no category is in the mapping.
    """
    names: dict[int, str] = {}
    for c in file.categories:
        if isinstance(c, dict) and type(c.get("id")) is int:
            names[c["id"]] = str(c.get("name"))
    lines = {i: mapping.coco[i] for i in names if i in mapping.coco}
    for i, line in lines.items():
        expected = line.key.partition(" ")[2]
        if names[i] != expected:
            raise InputError(
                f"'{file.path}' calls category {i} '{names[i]}', but in the mapping it is '{expected}'; "
                "give COCO's instances json, or a mapping of your categories with --mapping."
            )
    if not lines:
        raise InputError(f"'{file.path}' has none of the COCO categories of the mapping; give COCO's instances json.")
    lacking = {
        recipe.classes.names.index(c)
        for i, line in mapping.coco.items()
        if line.role == "object" and i not in names
        for c in line.classes
    }
    labels = _labels(lines, recipe)
    present = {label for i, line in lines.items() if line.role == "object" for label in labels[i]}
    return Known(frozenset(names), _but_background(lines), labels, frozenset(present - lacking))


def lvis_categories(file: CocoFile, recipe: Recipe, mapping: Mapping) -> Known:
    """Find the lines of an LVIS file's categories, by synset: numbers and names differ between its versions.

    Raises
    ------
    InputError
        If the file is neither LVIS v1 nor v0.5.
    """
    synsets: dict[int, str] = {}
    for c in file.categories:
        if isinstance(c, dict) and type(c.get("id")) is int:
            synsets[c["id"]] = str(c.get("synset"))
    try:
        version = lvis_version(frozenset(synsets.values()))
    except InputError as e:
        raise InputError(f"'{file.path}' {e}") from e
    lines = {i: mapping.lvis[s] for i, s in synsets.items() if s in mapping.lvis}
    labels = _labels(lines, recipe)
    first: dict[str, str] = {}
    for line in mapping.lines:
        if line.source == "lvis" and line.role in ("object", "object-coco", "evidence"):
            first.setdefault(line.classes[0], line.key)
    main = {i: labels[i][0] for i, x in lines.items() if x.role == "object" and first[x.classes[0]] == x.key}
    return Known(frozenset(synsets), _but_background(lines), labels, frozenset(), main, version)


def _labels(lines: Map[int, Line], recipe: Recipe) -> dict[int, tuple[int, ...]]:
    return {i: tuple(recipe.classes.names.index(c) for c in line.classes) for i, line in lines.items()}


def _but_background(lines: Map[int, Line]) -> dict[int, Line]:
    return {i: line for i, line in lines.items() if line.role != "background"}
