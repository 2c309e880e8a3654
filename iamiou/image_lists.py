"""Lists of images: which of a data set are to be scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from iamiou.addresses import is_address, read_address
from iamiou.errors import ImageError, InputError, Problem
from iamiou.listing import is_folder, list_folder, shown, within

_ENDINGS = (".jpg", ".jpeg", ".png", ".npy", ".bmp", ".tif", ".tiff", ".webp")


def read_list(path: str | Path) -> tuple[tuple[str, ...], list[Problem]]:
    """Read a list of images, one a line.

    A line is an image id; an id and VOC's flag -1, 0 or 1, which is not looked at; or paths of image and mask,
    of which the stem of the first is the id.

    Parameters
    ----------
    path : path
        A UTF-8 text file, with or without byte order mark.

    Returns
    -------
    ids : tuple of str
        Sorted, each once.
    problems : list of Problem
        A warning when images are listed more than once.

    Raises
    ------
    InputError
        If the file cannot be read or lists no image.
    """
    try:
        data = read_address(str(path), str(path)) if is_address(path) else Path(path).read_bytes()
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as e:
        raise InputError(f"The list '{path}' is not UTF-8 text; give a file with one image id a line.") from e
    except (OSError, ImageError) as e:
        reason = e.detail if isinstance(e, ImageError) else e.strerror or e
        raise InputError(f"The list '{path}' cannot be read ({reason}); give a file with one image id a line.") from e
    counts = Counter(image_id(line) for line in lines if line.strip())
    if not counts:
        raise InputError(f"The list '{path}' names no image; it should hold one image id a line.")
    twice = sorted(name for name, n in counts.items() if n > 1)
    problems = []
    if twice:
        what = f"{'image is' if len(twice) == 1 else 'images are'} listed more than once in '{path}'"
        problems.append(Problem("listed-twice", what, shown(twice), "Each is counted once.", fatal=False))
    return tuple(sorted(counts)), problems


def image_id(line: str) -> str:
    """Return the image id that a line of a list is about.

    >>> [image_id(s) for s in ("2007_000033", "2007_000033 -1", "/JPEGImages/a.jpg /SegmentationClass/a.png")]
    ['2007_000033', '2007_000033', 'a']
    """
    columns = line.split()
    flagged = len(columns) == 2 and columns[1] in ("-1", "0", "1")
    paths = len(columns) > 1 and all(c.lower().endswith(_ENDINGS) for c in columns)
    first = columns[0] if flagged or paths else line.strip()
    base = first.replace("\\", "/").rpartition("/")[2]
    stem, _, ending = base.rpartition(".")
    return stem if stem and f".{ending.lower()}" in _ENDINGS else base


def choose_split(folder: str | Path, split: str | None) -> tuple[str | Path | None, list[Problem]]:
    """Choose a list of a VOC devkit.

    Parameters
    ----------
    folder : path
        ``ImageSets/Segmentation``, which need not exist.
    split : str or None
        Name of a list; None takes ``val``, or else the only list, or else all images.

    Returns
    -------
    path : path or None
        The list; None for all images.
    problems : list of Problem
        A warning when there were several lists and none was asked for.

    Raises
    ------
    InputError
        If there is no such list.
    """
    files = list_folder(folder).files if is_address(folder) and is_folder(folder) else _local_files(folder)
    names = sorted(n.removesuffix(".txt") for n in files if n.endswith(".txt") and not n.startswith("."))
    if split is not None:
        wanted = split.removesuffix(".txt")
        if wanted not in names:
            lists = f"there are {', '.join(shown(names))}" if names else f"there is no list in '{folder}'"
            lists = lists.replace("there are", "there is only") if len(names) == 1 else lists
            raise InputError(f"There is no split '{split}': {lists}. Choose with --split, or give a list with --list.")
        return within(folder, f"{wanted}.txt"), []
    if len(names) <= 1:
        return (within(folder, f"{names[0]}.txt") if names else None), []
    if "val" in names:
        others = ", ".join(shown([n for n in names if n != "val"]))
        what, hint = f"split was taken, though there are others ({others})", "Choose with --split."
        return within(folder, "val.txt"), [Problem("default-split", what, ("val",), hint, fatal=False)]
    what, hint = "splits were found and none asked for, so all images are scored", "Choose with --split."
    return None, [Problem("default-split", what, shown(names), hint, fatal=False)]


def _local_files(folder: str | Path) -> list[str]:
    return [] if is_address(folder) else [p.name for p in Path(folder).glob("*.txt")]


def pick(
    known: Collection[str], listed: Sequence[str], source: str, thing: str
) -> tuple[tuple[str, ...], list[Problem]]:
    """Hold a list of images against the images that there are.

    Parameters
    ----------
    known : collection of str
        Image ids in the ground truth.
    listed : sequence of str
        Image ids that were asked for.
    source, thing : str
        The list, and what an image lacks if it is not known: ``"semantic map"``.

    Returns
    -------
    ids : tuple of str
        Those that were listed and are known, sorted.
    problems : list of Problem
        All that are not known; fatal.
    """
    known = frozenset(known)
    if absent := sorted(i for i in listed if i not in known):
        what = f"{'image of' if len(absent) == 1 else 'images of'} the list '{source}' {_has(absent)} no {thing}"
        hint = "Remove them from the list, or add what is missing."
        if len(absent) == len(listed):
            like = min(known, default="")
            hint = f"No image of the list is there; those of the ground truth are named like '{shown([like])[0]}'."
        return tuple(sorted(known.intersection(listed))), [Problem("listed-not-found", what, shown(absent), hint)]
    return tuple(sorted(listed)), []


def _has(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"
