"""Which categories of COCO and LVIS belong to which class, and as what: a text file with a reason on each line."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from iamiou.errors import InputError, name_some

#: What the masks of a category are to a class; described at the top of recipes/voc.mapping.tsv.
Role = Literal["object", "object-coco", "evidence", "part", "ignore", "background"]
_ROLES: tuple[Role, ...] = get_args(Role)
_FORM = "class, source (coco or lvis), key, role and reason, divided by tabs"


@dataclass(frozen=True)
class Line:
    """One category of one source.

    Parameters
    ----------
    classes : tuple of str
        Its class; several only for ``ignore`` and ``background``.
    source : {'coco', 'lvis'}
    key : str
        COCO's number and name ("5 airplane"), or the synset in LVIS.
    role : str
    reason : str
    """

    classes: tuple[str, ...]
    source: Literal["coco", "lvis"]
    key: str
    role: Role
    reason: str


@dataclass(frozen=True)
class Mapping:
    """The lines of a mapping, and what leads to them.

    Parameters
    ----------
    version : str
    lines : tuple of Line
        As they stand in the file.
    coco : dict of int to Line
        By COCO's number of the category.
    lvis : dict of str to Line
        By synset.
    sha256 : str
        Of the file.
    """

    version: str
    lines: tuple[Line, ...]
    coco: dict[int, Line] = field(repr=False)
    lvis: dict[str, Line] = field(repr=False)
    sha256: str

    @property
    def classes(self) -> frozenset[str]:
        """Return the names of all classes that some line gives objects."""
        return frozenset(c for line in self.lines if line.role in ("object", "object-coco") for c in line.classes)


def load_mapping(path: str | Path) -> Mapping:
    """Read a mapping.

    Parameters
    ----------
    path : path
        Text with tabs: class, source, key, role, reason. Empty lines and lines that start with ``#`` are skipped,
        but for ``# version: ...``, which has to be there.

    Raises
    ------
    InputError
        With the line and what is wrong with it.

    Examples
    --------
    >>> from iamiou_builders.recipe import load_recipe
    >>> mapping = load_mapping(load_recipe("pascal-b").mapping)
    >>> mapping.coco[5].classes, mapping.lvis["beef.n.01"].classes, mapping.lvis["pot.n.04"].role
    (('aeroplane',), ('cow',), 'evidence')
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        text = data.decode()
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"The mapping '{path}' cannot be read ({getattr(e, 'strerror', None) or 'no UTF-8'}).") from e
    version = ""
    lines: list[Line] = []
    coco: dict[int, Line] = {}
    lvis: dict[str, Line] = {}
    for number, row in enumerate(text.splitlines(), 1):
        where = f"Line {number} of the mapping '{path}'"
        if not row.strip() or row.startswith("#"):
            version = version or row.partition("# version:")[2].strip()
            continue
        line = _line(row, where)
        lines.append(line)
        if line.source == "lvis":
            first = lvis.setdefault(line.key, line)
        else:
            first = coco.setdefault(int(line.key.split(" ")[0]), line)
        if first is not line:
            raise InputError(f"{where} gives '{line.key}' a second time; keep one line for it.")
    if not lines or not version:
        lacks = "has no line of " + _FORM if not lines else "does not say its version; begin it with '# version: 1'"
        raise InputError(f"The mapping '{path}' {lacks}.")
    return Mapping(version, tuple(lines), coco, lvis, hashlib.sha256(data).hexdigest())


def lvis_version(synsets: frozenset[str]) -> str:
    """Tell by the synsets of its categories which LVIS a file is: its own version says "1.0" in v0.5 as well.

    Returns
    -------
    str
        "v0.5" or "v1".

    Raises
    ------
    InputError
        If it is neither; the caller puts the file's name before the sentence.
    """
    known = lvis_synsets()
    for version, expected in known.items():
        if synsets == expected:
            return version
    unknown = sorted(synsets - frozenset().union(*known.values()))
    strange = f"; unknown to both: {name_some(unknown)}" if unknown else ""
    counts = " nor ".join(f"the {len(s)} of {v}" for v, s in known.items())
    raise InputError(f"has categories of {len(synsets)} synsets, neither {counts}{strange}; give LVIS v1 or v0.5.")


@cache
def lvis_synsets() -> dict[str, frozenset[str]]:
    """Return the synsets of the versions of LVIS that are known."""
    versions: dict[str, set[str]] = {"v0.5": set(), "v1": set()}
    text = (Path(__file__).parent / "recipes" / "lvis.synsets.tsv").read_text(encoding="utf-8")
    for row in text.splitlines():
        if row.startswith("#"):
            continue
        synset, _, listed = row.partition("\t")
        for version in listed.split(" "):
            versions[version].add(synset)
    return {version: frozenset(names) for version, names in versions.items()}


def _line(row: str, where: str) -> Line:
    cells = [c.strip() for c in row.split("\t")]
    if len(cells) != 5 or not all(cells):
        raise InputError(f"{where} has {len(cells)} cells, or an empty one; it needs {_FORM}.")
    names, source, key, role, reason = cells
    if role not in _ROLES:
        raise InputError(f"{where} has the unknown role '{role}'{_meant(role, _ROLES)}; use {', '.join(_ROLES)}.")
    classes = tuple(n.strip() for n in names.split(","))
    if len(classes) > 1 and role not in ("ignore", "background"):
        raise InputError(f"{where} gives the role '{role}' for several classes; only ignore and background may.")
    if source == "lvis":
        known = frozenset().union(*lvis_synsets().values())
        if key not in known:
            raise InputError(f"{where} has the synset '{key}', which no known version of LVIS has{_meant(key, known)}.")
        return Line(classes, "lvis", key, role, reason)
    if source != "coco":
        raise InputError(f"{where} has the unknown source '{source}'; use coco or lvis.")
    if not (key.split(" ")[0].isdecimal() and " " in key):
        raise InputError(
            f"{where} has the key '{key}'; for coco give number and name of the category, as '5 airplane'."
        )
    if role not in ("object", "ignore", "background"):
        raise InputError(f"{where} has the role '{role}', which only categories of LVIS have.")
    return Line(classes, "coco", key, role, reason)


def _meant(word: str, known: Iterable[str]) -> str:
    """Name the near miss, where there is one."""
    near = difflib.get_close_matches(word, sorted(known), 1)
    return f" (do you mean '{near[0]}'?)" if near else ""
