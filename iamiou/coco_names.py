"""Categories of a COCO or LVIS file -> labels of a class list, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from iamiou.errors import Problem
from iamiou.labels import COCO, VOC, VOC_NAME_OF_COCO, ClassList
from iamiou.listing import shown

_COCO_NAME_OF_VOC = {voc: coco for coco, voc in VOC_NAME_OF_COCO.items()}


def labels_of(
    categories: Iterable[Any], used: Mapping[int, int], classes: ClassList, *, federated: bool, source: str
) -> tuple[dict[int, int], list[Problem]]:
    """Find the label of each category: by its name, and by its synset where it has one.

    COCO's and VOC's names of a class are the same. With all of COCO's 80 categories and the class list ``coco``
    that gives 1 to 80 by increasing id. LVIS names and parts objects in its own way ('car_(automobile)' beside
    'minivan'; LVIS v0.5 calls a person 'baby'), so the lists ``voc`` and ``coco`` are refused unless all their
    classes are found.

    Parameters
    ----------
    categories : iterable
        As they stand in the json.
    used : mapping of int to int
        How many annotations each category id has.
    classes : ClassList
        The class list.
    federated : bool
        Whether the file is LVIS.
    source : str
        The file, to be shown.

    Returns
    -------
    labels : dict of int to int
        Category id to label, for categories in the class list.
    problems : list of Problem
        Categories and classes that find no counterpart.

    Examples
    --------
    >>> labels_of([{"id": 5, "name": "airplane"}], {}, VOC, federated=False, source="example.json")[0]
    {5: 1}
    """
    names: dict[int, tuple[str, ...]] = {}
    odd, twice = [], []
    for place, c in enumerate(categories):
        if not isinstance(c, dict) or type(c.get("id")) is not int or not isinstance(c.get("name"), str):
            odd.append(f"category {place} of the list")
            continue
        if c["id"] in names:
            twice.append(f"{c['id']} ({names[c['id']][0]}, {c['name']})")
        names[c["id"]] = (c["name"], c["synset"]) if isinstance(c.get("synset"), str) else (c["name"],)
    problems = []
    if odd:
        hint = "A category is {id, name}."
        problems.append(Problem("broken-category", "categories are incomplete", tuple(odd), hint))
    if twice:
        what, hint = "category ids stand for more than one category", "Give each category a number of its own."
        problems.append(Problem("category-twice", what, shown(sorted(twice)), hint))
    known = {name: label for label, name in enumerate(classes.names) if label}
    labels = {i: label for i, ways in names.items() if (label := _label(ways, known))}
    left = {i: ways[0] for i, ways in names.items() if i not in labels and used.get(i)}
    absent = [name for name, label in known.items() if label not in labels.values()]
    return labels, problems + _unmatched(labels, left, absent, used, classes, federated, source)


def _label(ways: tuple[str, ...], known: Mapping[str, int]) -> int:
    for name in ways:
        for known_as in (name, VOC_NAME_OF_COCO.get(name, ""), _COCO_NAME_OF_VOC.get(name, "")):
            if known_as in known:
                return known[known_as]
    return 0


def _unmatched(
    labels: Mapping[int, int],
    left: Mapping[int, str],
    absent: list[str],
    used: Mapping[int, int],
    classes: ClassList,
    federated: bool,
    source: str,
) -> list[Problem]:
    """Judge categories that are no class and classes that are no category."""
    plain = f"the class list '{classes.name}'"
    where = f"'{source}'"
    own_list = "Write names of its categories into a text file, one a line, and give it with --classes FILE."
    built_in = classes.names in (VOC.names, COCO.names)
    lacking = "class is no category" if len(absent) == 1 else "classes are no categories"
    if absent and federated and built_in:
        hint = f"LVIS names and parts objects differently from {plain}. {own_list} A synset (car.n.01) is a name too."
        return [Problem("lvis-classes", f"{lacking} of {where}, which is LVIS", tuple(absent), hint)]
    if not labels:
        return [Problem("no-class-matches", f"{lacking} of {where}, nor is any other", tuple(absent), own_list)]
    problems = []
    most_first = sorted(left, key=lambda i: (-used[i], i))
    counted = shown([f"{left[i]} ({_annotations(used[i])})" for i in most_first])
    noun = "category of the annotations is" if len(left) == 1 else "categories of the annotations are"
    if left and classes.names == COCO.names:
        problems.append(Problem("category-unknown", f"{noun} none of COCO's 80", counted, own_list))
    elif left:
        hint = "Their objects are background."
        problems.append(Problem("category-left-out", f"{noun} not in {plain}", counted, hint, fatal=False))
    if absent:
        hint = "A class without a category has no instance and no score."
        problems.append(Problem("class-absent", f"{lacking} of {where}", tuple(absent), hint, fatal=False))
    return problems


def _annotations(count: int) -> str:
    return "1 annotation" if count == 1 else f"{count} annotations"
