"""A data set's ground truth: a VOC devkit, folders of label maps, or COCO and LVIS json -> label maps by image id."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from iamiou.errors import ImageError, InputError, Problem, ProblemsFound
from iamiou.image_lists import choose_split, pick, read_list
from iamiou.labels import VOC, ClassList
from iamiou.listing import find_label_maps, list_folder, shown

if TYPE_CHECKING:
    import numpy as np

    Load = Callable[[str], tuple[np.ndarray, np.ndarray | None]]

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_CHUNK = 2**16
_WANTED = "a VOC devkit (with SegmentationClass/), a folder of label maps, or COCO or LVIS json"


@dataclass(frozen=True)
class GroundTruth:
    """The images to score and how to get their label maps.

    Parameters
    ----------
    classes : ClassList
        What the labels mean.
    ids : tuple of str
        Sorted image ids to score.
    instances_from : {"annotation", "components"}
        Whether there are instance maps, or connected components of the truth have to stand in.
    load : callable
        ``load(image_id)`` gives the semantic map, (height, width) uint8 or uint16, and the instance map, uint8,
        uint16 or int32, or None. Void is 255 in 8-bit maps and 65535 in 16-bit maps. Safe in threads; raises
        `ImageError`. Whether the two maps agree is not judged here.
    warnings : tuple of Problem
        What was met while opening; none is fatal.
    image_ids : mapping of int to str
        Image id of a number in COCO json; empty for other ground truths.
    category_labels : mapping of int to int
        Label of a category id in COCO json; likewise.
    known : frozenset of str
        Images of all splits.
    """

    classes: ClassList
    ids: tuple[str, ...]
    instances_from: str
    load: Load
    warnings: tuple[Problem, ...] = ()
    image_ids: Mapping[int, str] = field(default_factory=dict)
    category_labels: Mapping[int, int] = field(default_factory=dict)
    known: frozenset[str] = frozenset()


def open_ground_truth(
    gt: str | Path | None = None,
    *,
    semantic: str | Path | None = None,
    instances: str | Path | None = None,
    classes: ClassList = VOC,
    split: str | None = None,
    list_file: str | Path | None = None,
    max_pixels: int = 2**30,
) -> GroundTruth:
    """Find a ground truth on disk; label maps are read when asked for.

    Parameters
    ----------
    gt : path, optional
        A VOC devkit (the folder with ``SegmentationClass``, or one that leads only there), a plain folder of
        label maps, or a .json file of COCO or LVIS.
    semantic, instances : path, optional
        In place of `gt`: folders of class maps and of instance maps, PNG or .npy, named by image id.
    classes : ClassList
        What the labels mean.
    split : str, optional
        A list of the devkit, ``ImageSets/Segmentation/<split>.txt``. Default: ``val``, else the only list, else
        all images.
    list_file : path, optional
        A file with one image id a line, in place of `split`.
    max_pixels : int
        A label map that claims more pixels is refused before it is decoded.

    Raises
    ------
    InputError
        If there is no ground truth, or options contradict each other.
    ProblemsFound
        With all that is missing or twice there, by kind.

    Examples
    --------
    >>> open_ground_truth("nowhere")
    Traceback (most recent call last):
    ...
    iamiou.errors.InputError: The ground truth 'nowhere' does not exist; give a VOC devkit ...
    """
    _check_options(gt, semantic, instances, split, list_file)
    try:
        if gt is None:
            return _open_folders(str(semantic), instances, classes, list_file, max_pixels)
        if Path(gt).is_dir():
            return _open_folder(Path(gt), classes, split, list_file, max_pixels)
        if not Path(gt).exists():
            raise InputError(f"The ground truth '{gt}' does not exist; give {_WANTED}.")
    except OSError as e:
        raise InputError(f"The ground truth '{e.filename or gt}' cannot be read: {e.strerror or e}.") from e
    if not str(gt).lower().endswith(".json"):
        raise InputError(f"The ground truth '{gt}' is a file, but no .json; give {_WANTED}.")
    if split is not None:
        raise InputError("--split names a list of a VOC devkit; with COCO or LVIS json give a file with --list.")
    return _open_coco(Path(gt), classes, list_file, max_pixels)


def _check_options(
    gt: str | Path | None,
    semantic: str | Path | None,
    instances: str | Path | None,
    split: str | None,
    list_file: str | Path | None,
) -> None:
    if gt is not None and (semantic is not None or instances is not None):
        raise InputError(f"--semantic and --instances stand in place of the ground truth '{gt}'; give one of the two.")
    if gt is None and semantic is None:
        also = "; --instances needs --semantic beside it" if instances is not None else ""
        raise InputError(f"There is no ground truth: give {_WANTED}, or a folder with --semantic{also}.")
    if split is not None and list_file is not None:
        raise InputError(f"--split {split} and --list {list_file} both choose the images; give one of them.")
    if split is not None and semantic is not None:
        raise InputError("--split names a list of a VOC devkit; with --semantic give a file with --list.")


def _open_coco(path: Path, classes: ClassList, list_file: str | Path | None, max_pixels: int) -> GroundTruth:
    from iamiou.coco_truth import make_truth, read_coco

    file = read_coco(path, max_pixels)
    known = frozenset(image_id for image_id, _, _ in file.images.values())
    ids, chosen = _choose(known, list_file, f"entry in '{path}'")
    if any(p.fatal for p in chosen):
        raise ProblemsFound(chosen)
    truth = make_truth(file, classes, ids)
    notes = (*chosen, *truth.warnings)
    return GroundTruth(classes, ids, "annotation", truth.load, notes, truth.image_ids, truth.category_labels, known)


def _open_folder(
    gt: Path, classes: ClassList, split: str | None, list_file: str | Path | None, max_pixels: int
) -> GroundTruth:
    """Open a devkit or a plain folder."""
    root = _find_devkit(gt)
    if root is None:
        if split is not None:
            raise InputError(f"'{gt}' is no VOC devkit, so it has no split '{split}'; give a file with --list.")
        return _open_folders(str(gt), None, classes, list_file, max_pixels)
    notes: list[Problem] = []
    if list_file is None:
        list_file, notes = choose_split(root / "ImageSets" / "Segmentation", split)
    instances: Path | None = root / "SegmentationObject"
    if not (root / "SegmentationObject").is_dir():
        instances = None
        what = "VOC devkit has no folder SegmentationObject"
        hint = "Instance maps that lie elsewhere go with --semantic and --instances."
        notes.append(Problem("no-instance-maps", what, (str(root),), hint, fatal=False))
    return _open_folders(str(root / "SegmentationClass"), instances, classes, list_file, max_pixels, notes)


def _find_devkit(gt: Path) -> Path | None:
    """Return the folder with SegmentationClass: `gt` or what single folders in it lead to."""
    while not (gt / "SegmentationClass").is_dir():
        level = list_folder(gt)
        folders, files = ([n for n in names if not n.startswith(".")] for names in (level.folders, level.files))
        if len(folders) != 1 or files:
            return None
        gt = gt / folders[0]
    return gt


def _open_folders(
    semantic: str,
    instances: str | Path | None,
    classes: ClassList,
    list_file: str | Path | None,
    max_pixels: int,
    notes: Collection[Problem] = (),
) -> GroundTruth:
    """Open a folder of class maps, perhaps with one of instance maps."""
    maps, problems = _find_maps(semantic, "semantic")
    known = frozenset(maps)
    ids, chosen = _choose(known, list_file, f"label map in '{semantic}'")
    problems = [*notes, *chosen, *problems]
    objects: dict[str, tuple[str, str]] = {}
    if instances is not None:
        objects, odd = _find_maps(str(instances), "instance")
        problems += odd
        if absent := [i for i in ids if i not in objects]:
            what = f"{'image has' if len(absent) == 1 else 'images have'} no instance map in '{instances}'"
            hint = "Add them, or leave these images out with --list."
            problems.append(Problem("missing-instance-map", what, shown(absent), hint))
    if any(p.fatal for p in problems):
        raise ProblemsFound(problems)
    source = "components" if instances is None else "annotation"
    load = _loader(maps, None if instances is None else objects, max_pixels)
    return GroundTruth(classes, ids, source, load, tuple(problems), known=known)


def _choose(known: frozenset[str], list_file: str | Path | None, thing: str) -> tuple[tuple[str, ...], list[Problem]]:
    """Return the ids to score, and what is wrong with the list."""
    if list_file is None:
        return tuple(sorted(known)), []
    listed, warnings = read_list(list_file)
    ids, problems = pick(known, listed, str(list_file), thing)
    return ids, [*problems, *warnings]


def _find_maps(folder: str, role: str) -> tuple[dict[str, tuple[str, str]], list[Problem]]:
    """Return path and shown name of the label maps in a folder, by image id."""
    if not Path(folder).is_dir():
        raise InputError(f"The folder of {role} maps '{folder}' does not exist; give a folder of label maps.")
    try:
        where, by_id, found = find_label_maps(lambda inside: list_folder(f"{folder}/{inside}"), folder)
    except InputError as e:
        raise InputError(f"{e} Give {_WANTED if role == 'semantic' else 'a folder of instance maps'}.") from e
    root = f"{folder}/{where}" if where else folder
    last = Path(root).name or root
    maps = {i: (f"{root}/{files[0]}", shown([f"{last}/{files[0]}"])[0]) for i, files in by_id.items()}
    problems = []
    if twice := [f"{i} ({', '.join(files)})" for i, files in by_id.items() if len(files) > 1]:
        have = "image has" if len(twice) == 1 else "images have"
        what = f"{have} more than one {role} map in '{folder}'"
        problems.append(Problem("duplicate-truth", what, shown(sorted(twice)), "Keep one file an image."))
    return maps, [*problems, *(p for p in found if p.kind == "ignored-files")]


def _loader(
    semantic: Mapping[str, tuple[str, str]], instances: Mapping[str, tuple[str, str]] | None, max_pixels: int
) -> Load:
    from iamiou.masks import read_label_map, read_npy

    def read(path: str, name: str, shape: tuple[int, int] | None) -> np.ndarray:
        decode = read_npy if path.lower().endswith(".npy") else read_label_map
        labels = decode(_read(path, name), name, shape=shape, max_pixels=max_pixels)
        return labels if labels.itemsize <= 2 and labels.dtype.kind == "u" else _narrow(labels)

    def load(image_id: str) -> tuple[np.ndarray, np.ndarray | None]:
        path, name = semantic[image_id]
        labels = read(path, name, None)
        if instances is None:
            return labels, None
        path, name = instances[image_id]
        try:
            return labels, read(path, name, labels.shape)
        except ImageError as e:
            if e.kind != "size-differs":
                raise
            what = "instance maps differ in size from the semantic map of the image"
            detail = e.detail.replace("ground truth", semantic[image_id][1])
            raise ImageError("instance-size-differs", what, name, detail, "Both must have the image's size.") from e

    return load


def _narrow(labels: np.ndarray) -> np.ndarray:
    """Bring wide integers to the width that a PNG of the same labels has, for both are the same data set."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= 2**31:
        return labels  # the evaluation says what is wrong with it
    return labels.astype("u1" if high < 2**8 else "u2" if high < 2**16 else "i4")


def _read(path: str, name: str) -> bytes:
    """Read a file with few system calls: each gives up the interpreter's lock, and takes its turn to get it back."""
    try:
        fd = os.open(path, _FLAGS)
        try:
            parts = [os.read(fd, _CHUNK)]
            if len(parts[0]) < _CHUNK:  # nearly always: the label map of a photograph takes 3 to 10 kB
                return parts[0]
            while part := os.read(fd, 2**24):
                parts.append(part)
        finally:
            os.close(fd)
    except OSError as e:
        raise ImageError("unreadable-file", "files cannot be read", name, e.strerror or str(e)) from e
    return b"".join(parts)
