"""Category ids of COCO results -> labels of a class list, by rules that never guess."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from iamiou.errors import Problem
from iamiou.labels import COCO, VOC_NAME_OF_COCO, ClassList

#: COCO's category ids in increasing order; the numbers up to 90 that are left out were never used.
COCO_IDS = tuple(i for i in range(1, 91) if i not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83))
_NAME_THEM = (
    'Say what they mean: write the results as {"categories": [{"id": 1, "name": "person"}, ...], "annotations": [...]}.'
)


class Truth(Protocol):
    """What predictions ask of a `GroundTruth`; the fields are described there."""

    @property
    def classes(self) -> ClassList:
        """Names of the labels."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Images to score."""

    @property
    def image_ids(self) -> Mapping[int, str]:
        """Image id of a number in COCO json."""

    @property
    def category_labels(self) -> Mapping[int, int]:
        """Label of a category id in COCO json."""

    @property
    def known(self) -> frozenset[str]:
        """Images of all splits."""


def category_labels(
    ids: Sequence[int], truth: Truth, names: Mapping[int, str] | None = None
) -> tuple[dict[int, int], list[Problem]]:
    """Find the label of each category id.

    1. Truth in COCO json: its ``categories``.
    2. Else a results file with ``categories``: by name; COCO's and VOC's names of a class are the same.
    3. Else class list ``coco``: COCO's category ids in increasing order are 1 to 80.
    4. Else two readings are tried: ids are labels (VOC's 1 to 20), or they are COCO's category ids, taken by
       name. The one that explains every id is used. If both do and differ, the results are refused.

    Parameters
    ----------
    ids : sequence of int
        Category ids of all results.
    truth : GroundTruth
    names : mapping of int to str, optional
        Category names that the results file gives.

    Returns
    -------
    labels : dict of int to int
        Category id to label, for ids in the class list.
    problems : list of Problem
        Categories that are left out (a warning), unknown or ambiguous.
    """
    used = sorted(set(ids))
    of_coco = {i: _label_of(name, truth.classes) for i, name in zip(COCO_IDS, COCO.names[1:], strict=True)}
    if truth.category_labels:
        found: dict[int, int] = {i: truth.category_labels[i] for i in used if i in truth.category_labels}
        return found, _left_out(ids, found)
    if names is not None:
        found = {i: label for i in used if i in names and (label := _label_of(names[i], truth.classes))}
        return found, _left_out(ids, found)
    as_labels = {i: i for i in used} if all(0 < i < len(truth.classes) for i in used) else None
    as_coco = None
    if all(i in of_coco for i in used) and any(of_coco[i] for i in used):
        as_coco = {i: label for i in used if (label := of_coco[i])}
    if truth.classes.names == COCO.names:
        as_labels = None
    if as_labels is not None and as_coco is not None and as_labels != as_coco:
        return {}, [_ambiguous(used, of_coco, truth.classes)]
    if as_labels is not None:
        return as_labels, []
    if as_coco is not None:
        return as_coco, _left_out(ids, as_coco)
    neither = f"neither among the labels of the class list '{truth.classes.name}' nor"
    what = f"category ids are {'not' if truth.classes.names == COCO.names else neither} among those of COCO"
    odd = tuple(str(i) for i in used if i not in of_coco) or tuple(str(i) for i in used)
    return {}, [Problem("unknown-category", what, odd, _NAME_THEM)]


def _label_of(name: str, classes: ClassList) -> int:
    """Label of a class by COCO's or VOC's name for it; 0 if the list has no such class."""
    coco_name_of = {voc: coco for coco, voc in VOC_NAME_OF_COCO.items()}
    for known_as in (name, VOC_NAME_OF_COCO.get(name), coco_name_of.get(name)):
        if known_as in classes.names:
            return classes.names.index(known_as)
    return 0


def _left_out(ids: Sequence[int], found: Mapping[int, int]) -> list[Problem]:
    out = Counter(i for i in ids if i not in found)
    if not out:
        return []
    named = tuple(f"{i} (results: {n})" for i, n in sorted(out.items()))
    if not found:
        what = "category ids are in no class of the class list"
        return [Problem("unknown-category", what, named, "Check `--classes`.")]
    what = "category ids are not in the class list"
    return [Problem("category-left-out", what, named, "Left out.", fatal=False)]


def _ambiguous(used: Sequence[int], of_coco: Mapping[int, int], classes: ClassList) -> Problem:
    coco = dict(zip(COCO_IDS, COCO.names[1:], strict=True))
    names = tuple(f"{i} ({classes.names[i]} or COCO's {coco[i]})" for i in used if of_coco[i] != i)
    what = f"category ids can be a label of the class list '{classes.name}' or an id of COCO"
    return Problem("ambiguous-category", what, names, _NAME_THEM)
