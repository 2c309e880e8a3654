"""Find the label maps in a folder, on disk or in an archive, and say what else lies there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern

from iamiou.addresses import is_address, is_folder_address, list_address
from iamiou.errors import InputError, Problem, name_some

_LABEL_MAPS = (".png", ".npy")
_TIFF = (".tif", ".tiff")
_JUNK = ("__macosx", "thumbs.db", "desktop.ini")
_WELCOME = ("submission.json",)  # describes a submission to a leaderboard


@dataclass(frozen=True)
class Listing:
    """What one folder, on disk or in an archive, holds."""

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


class FileNames(Mapping[str, str]):
    """Names of files by image id, of which only the ends are kept: there may be millions.

    >>> names = FileNames({"a": ["a.png"], "b": ["b.npy", "b.png"]}, "maps/")
    >>> names["b"], "c" in names, [*names], names.get("c")
    ('maps/b.npy', False, ['a', 'b'], None)
    """

    def __init__(self, by_id: Mapping[str, Sequence[str]], prefix: str = "") -> None:
        self.prefix = prefix
        self.ends = {image_id: intern(files[0][len(image_id) :]) for image_id, files in by_id.items()}

    def __getitem__(self, image_id: str) -> str:
        return self.prefix + image_id + self.ends[image_id]

    def __contains__(self, image_id: object) -> bool:
        return image_id in self.ends

    def __iter__(self) -> Iterator[str]:
        return iter(self.ends)

    def __len__(self) -> int:
        return len(self.ends)


def shown(names: Sequence[str]) -> tuple[str, ...]:
    r"""Escape what a terminal must not receive: a name is a stranger's text.

    >>> shown(["a", "b\x1b[2J"])
    ('a', "'b\\x1b[2J'")
    """
    return tuple(name if name.isprintable() else repr(name) for name in names)


def list_folder(path: str | Path) -> Listing:
    """List a folder on disk, where links count as what they lead to, or behind an address."""
    if is_address(path):
        return Listing(*list_address(str(path)))
    level = Listing()
    with os.scandir(path) as entries:
        for e in entries:  # what is neither, a pipe or a link to nothing, must not be opened
            (level.folders if e.is_dir() else level.files if e.is_file() else level.others).append(e.name)
    return level


def is_folder(path: str | Path) -> bool:
    """Tell whether there is a folder, on disk or behind an address."""
    return is_folder_address(str(path)) if is_address(path) else Path(path).is_dir()


def within(folder: str | Path, name: str) -> str | Path:
    """Return where something in a folder is.

    >>> within("memory://a", "b.txt"), str(within("a", "b.txt"))
    ('memory://a/b.txt', 'a/b.txt')
    """
    return f"{str(folder).rstrip('/')}/{name}" if is_address(folder) else Path(folder) / name


def list_paths(paths: Iterable[str]) -> dict[str, Listing]:
    """Make the listing of every folder out of the paths of files in an archive.

    >>> list_paths(["a/b/x.png"])["a"]
    Listing(files=[], folders=['b'], others=[])
    """
    folders = {"": Listing()}
    for path in paths:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder not in folders:
                folders[folder] = Listing()
                folders["/".join(parts[: depth - 1])].folders.append(parts[depth - 1])
        folders["/".join(parts[:-1])].files.append(parts[-1])
    return folders


def find_label_maps(
    listing: Callable[[str], Listing], source: str, *, tiff: bool = False
) -> tuple[str, dict[str, list[str]], tuple[Problem, ...]]:
    """Walk down to the folder with the label maps.

    Parameters
    ----------
    listing : callable
        Gives what a folder holds; ``""`` is where to start.
    source : str
        What is walked through, to be shown.
    tiff : bool
        TIFF counts too; it is read from folders on disk only.

    Returns
    -------
    where : str
        The folder, ``""`` for the start.
    by_id : dict of str to list of str
        Names of files by image id; more than one name is a duplicate.
    problems : tuple of Problem
        Duplicates, and what was ignored.

    Raises
    ------
    InputError
        If there is no label map.
    """
    where, ignored = "", []
    endings = _LABEL_MAPS + (_TIFF if tiff else ())
    while True:
        level = listing(where)
        here = f"{where}/" if where else ""
        folders = [n for n in level.folders if not _is_junk(n)]
        files = [n for n in level.files if not _is_junk(n) and n not in _WELCOME]
        maps = [n for n in files if n.lower().endswith(endings)]
        known = set(maps)
        ignored += [here + n for n in (*files, *level.others) if n not in known]
        if maps or len(folders) != 1:
            break
        where = here + folders[0]
    ignored += [f"{here}{n}/" for n in folders]
    if not maps:
        kinds = ".png, .npy or .tif" if tiff else ".png or .npy"
        other = f"; it holds {name_some(shown(sorted(ignored)))}" if ignored else ""
        raise InputError(f"'{source}' holds no label map ({kinds}, named by image id){other}.")
    by_id: dict[str, list[str]] = {}
    for name in sorted(maps):
        by_id.setdefault(name[: name.rindex(".")], []).append(name)
    return where, by_id, _odd(by_id, ignored)


def _odd(by_id: Mapping[str, list[str]], ignored: list[str]) -> tuple[Problem, ...]:
    problems = []
    if twice := [f"{i} ({', '.join(files)})" for i, files in by_id.items() if len(files) > 1]:
        have = "image has" if len(twice) == 1 else "images have"
        what = f"{have} more than one prediction"
        problems.append(Problem("duplicate-prediction", what, shown(sorted(twice)), "Keep one file an image."))
    if ignored:
        what = "file or folder is no label map" if len(ignored) == 1 else "files or folders are no label maps"
        problems.append(Problem("ignored-files", what, shown(sorted(ignored)), "Ignored.", fatal=False))
    return tuple(problems)


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK
