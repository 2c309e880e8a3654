"""A recipe: which classes, size bins and quotas a data set has, by which rules, and where its input is to be had."""

from __future__ import annotations

import difflib
import hashlib
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from iamiou.errors import InputError
from iamiou.labels import ClassList

#: Where the recipes lie that come with the package.
RECIPES = Path(__file__).parent / "recipes"

Objective = Literal["balance", "min-images"]
Source = Literal["val-only", "any"]


@dataclass(frozen=True)
class Rules:
    """What is decided how; the steps are told in docs/data.md and at `iamiou_builders.resolve`.

    Parameters
    ----------
    min_area : int
        Visible pixels below which an instance becomes void.
    min_visible : float
        Visible share of its mask below which an instance becomes void.
    match_iou : float
        IoU from which on a COCO and an LVIS mask of one class are the same object.
    duplicate_iou : float
        IoU above which two masks of one class in one source are the same object.
    conflict_iou : float
        IoU above which masks of two classes contradict each other.
    inside : float
        Share of the smaller mask above which it lies in another one: a part in its train, an object that only one
        source has in one that is there already.
    max_ignored : float
        Share of void in the pixels of all objects above which an image cannot be selected.
    area_tolerance : float
        How far an annotation's own area may be from that of its mask, as a share of the mask; below 100 pixels, of
        100 pixels.
    """

    min_area: int = 16
    min_visible: float = 0.2
    match_iou: float = 0.5
    duplicate_iou: float = 0.8
    conflict_iou: float = 0.8
    inside: float = 0.5
    max_ignored: float = 0.2
    area_tolerance: float = 0.5


@dataclass(frozen=True)
class Download:
    """One file of annotations at its official address.

    Parameters
    ----------
    name : str
        What to call it on disk.
    kind : {'coco', 'lvis'}
    split : {'train', 'val'}
        ``train`` is fetched only for ``--source any``.
    url : str
    member : str
        File in the archive; empty when the address gives the json itself.
    bytes : int or None
        Size of what the address gives; None when not known for sure.
    sha256 : str or None
        Likewise; what is not known is written down at the first download.
    """

    name: str
    kind: Literal["coco", "lvis"]
    split: Literal["train", "val"]
    url: str
    member: str = ""
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Recipe:
    """Everything that says what a build makes, beside its input and its seed.

    Parameters
    ----------
    name, title, version : str
        ``pascal-b``; a line for people; the version of the recipe.
    classes : ClassList
        Background and the classes.
    bin_names : tuple of str
        Size bins, from small to large.
    bin_edges : tuple of int
        Pixels at which the next bin begins: 1024 visible pixels are in the second bin of (1024, 9216).
    per_cell, cap : int
        Instances wanted in each cell of class and bin; most instances of one class that an image may bring.
    objective : {'balance', 'min-images'}
    source : {'val-only', 'any'}
        Whether COCO train may be used.
    rules : Rules
    mapping : path
        File of `iamiou_builders.mapping`.
    image_url : str
        Address of a picture, with ``{split}`` and ``{name}``, in place of the one that the annotations give it; empty:
        theirs.
    downloads : tuple of Download
    sha256 : str
        Of the recipe file.
    """

    name: str
    title: str
    version: str
    classes: ClassList
    bin_names: tuple[str, ...]
    bin_edges: tuple[int, ...]
    per_cell: int
    cap: int
    objective: Objective
    source: Source
    rules: Rules
    mapping: Path
    image_url: str
    downloads: tuple[Download, ...]
    sha256: str

    @property
    def class_names(self) -> tuple[str, ...]:
        """Return the names of the classes, without background."""
        return self.classes.names[1:]

    def bin_of(self, area: int) -> int:
        """Return the place of the size bin of an instance of `area` visible pixels.

        >>> [load_recipe("pascal-b").bin_of(a) for a in (1023, 1024, 9215, 9216)]
        [0, 1, 1, 2]
        """
        return sum(area >= edge for edge in self.bin_edges)


_TABLES: dict[str, dict[str, type]] = {
    "": {
        "name": str, "title": str, "version": str, "classes": list, "mapping": str, "image_url": str,
        "bins": dict, "selection": dict, "rules": dict, "annotations": list,
    },
    "bins": {"names": list, "edges": list},
    "selection": {"per_cell": int, "cap": int, "objective": str, "source": str},
    "rules": {f.name: int if f.name == "min_area" else float for f in fields(Rules)},
    "annotations": {"name": str, "kind": str, "split": str, "url": str, "member": str, "bytes": int, "sha256": str},
}  # fmt: skip
_NEEDED = {
    "": ("name", "version", "classes", "mapping", "bins", "selection"),
    "bins": ("names", "edges"),
    "selection": ("per_cell",),
    "annotations": ("name", "kind", "split", "url"),
}
_WORDS = {int: "a whole number", float: "a number", str: "a text", list: "a list", dict: "a table"}
_CHOICES = {
    ("selection", "objective"): ("balance", "min-images"),
    ("selection", "source"): ("val-only", "any"),
    ("annotations", "kind"): ("coco", "lvis"),
    ("annotations", "split"): ("train", "val"),
}


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Read a recipe that comes with the package, or one of yours.

    Parameters
    ----------
    name_or_path : str or path
        ``pascal-b``, or a .toml file; its mapping is looked for beside it.

    Raises
    ------
    InputError
        If there is no such recipe, or it has a key that no recipe has, lacks one, or gives it a value that it
        cannot have; all of these at once.

    Examples
    --------
    >>> recipe = load_recipe("pascal-b")
    >>> len(recipe.class_names), recipe.bin_names, recipe.bin_edges, recipe.per_cell
    (20, ('S', 'M', 'L'), (1024, 9216), 60)
    """
    path = _find(name_or_path)
    try:
        data = path.read_bytes()
        document = tomllib.loads(data.decode())
    except OSError as e:
        raise InputError(f"The recipe '{path}' cannot be read: {e.strerror or e}.") from e
    except ValueError as e:  # no UTF-8, no TOML
        raise InputError(f"The recipe '{path}' is not valid TOML ({e}); correct it.") from e
    faults = _faults(document)
    if faults:
        raise InputError(f"The recipe '{path}' cannot be used: " + "; ".join(faults) + ".")
    bins, selection = document["bins"], document["selection"]
    return Recipe(
        name=document["name"],
        title=document.get("title", document["name"]),
        version=document["version"],
        classes=ClassList(document["name"], ("background", *document["classes"])),
        bin_names=tuple(bins["names"]),
        bin_edges=tuple(bins["edges"]),
        per_cell=selection["per_cell"],
        cap=selection.get("cap", 8),
        objective=selection.get("objective", "balance"),
        source=selection.get("source", "val-only"),
        rules=Rules(**document.get("rules", {})),
        mapping=path.parent / document["mapping"],
        image_url=document.get("image_url", ""),
        downloads=tuple(Download(**entry) for entry in document.get("annotations", ())),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _find(name_or_path: str | Path) -> Path:
    ours = {p.stem: p for p in sorted(RECIPES.glob("*.toml"))}
    if str(name_or_path) in ours:
        return ours[str(name_or_path)]
    path = Path(name_or_path)
    if path.is_file():
        return path
    names = " and ".join(f"'{n}'" for n in ours)
    meant = difflib.get_close_matches(str(name_or_path), ours, 1)
    hint = (
        f"do you mean '{meant[0]}'?" if meant else f"give a .toml file, or the name of one that comes along: {names}."
    )
    raise InputError(f"There is no recipe '{name_or_path}'; {hint}")


def _faults(document: Mapping[str, Any]) -> list[str]:
    faults = _faults_of_table(document, "", "")
    for table in ("bins", "selection", "rules"):
        if isinstance(document.get(table), dict):
            faults += _faults_of_table(document[table], table, f" in [{table}]")
    if isinstance(document.get("annotations"), list):
        for number, entry in enumerate(document["annotations"], 1):
            where = f" in [[annotations]] number {number}"
            faults += _faults_of_table(entry, "annotations", where) if isinstance(entry, dict) else [f"no table{where}"]
    return faults or _faults_of_values(document)


def _faults_of_table(table: Mapping[str, Any], kind: str, where: str) -> list[str]:
    known = _TABLES[kind]
    faults = []
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            meant = f", do you mean '{near[0]}'?" if near else f"; it may have {', '.join(known)}"
            faults.append(f"it has the unknown key '{key}'{where}{meant}")
        elif not (type(value) is known[key] or (known[key] is float and type(value) is int)):
            faults.append(f"'{key}'{where} is {value!r:.40}, not {_WORDS[known[key]]}")
        elif (kind, key) in _CHOICES and value not in _CHOICES[kind, key]:
            faults.append(f"'{key}'{where} is '{value}', not {' or '.join(_CHOICES[kind, key])}")
    return faults + [f"'{key}'{where} is missing" for key in _NEEDED.get(kind, ()) if key not in table]


def _faults_of_values(document: Mapping[str, Any]) -> list[str]:
    """Check what types do not tell."""
    faults = []
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", document["name"]):
        faults.append(f"'name' is '{document['name']}', but names files: use letters, digits, '-', '_' and '.'")
    names, edges, classes = document["bins"]["names"], document["bins"]["edges"], document["classes"]
    if not all(type(e) is int and e > 0 for e in edges) or sorted(set(edges)) != edges:
        faults.append("'edges' in [bins] must be whole numbers above 0, increasing")
    if len(names) != len(edges) + 1 or not _distinct_words(names):
        faults.append(f"'names' in [bins] must be {len(edges) + 1} different texts, one more than there are edges")
    if not classes or not _distinct_words(classes) or "background" in classes:
        faults.append("'classes' must be different names, without the background")
    elif len(classes) > 254:
        faults.append(f"'classes' are {len(classes)}, but 8-bit label maps hold 254 beside background and void")
    for key, least in (("per_cell", 1), ("cap", 1)):
        if document["selection"].get(key, least) < least:
            faults.append(f"'{key}' in [selection] must be {least} or more")
    for key, value in document.get("rules", {}).items():
        most = math.inf if key in ("min_area", "area_tolerance") else 1
        if not 0 <= value <= most:  # NaN lies nowhere
            where = "lie between 0 and 1" if most == 1 else "be 0 or more"
            faults.append(f"'{key}' in [rules] is {value}; it must {where}")
    for entry in document.get("annotations", ()):
        if urlsplit(entry["url"]).scheme not in ("http", "https") or Path(entry["name"]).name != entry["name"]:
            faults.append(f"'{entry['name']}' in [[annotations]] needs a plain file name and an http address")
    return faults


def _distinct_words(values: list[Any]) -> bool:
    """Tell whether all are different, and can stand in a file of names: one a line, # for remarks."""
    plain = (isinstance(v, str) and v == v.strip() and v.isprintable() and v[:1] not in ("", "#") for v in values)
    return all(plain) and len(set(values)) == len(values)
