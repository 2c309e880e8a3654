"""A data set's ground truth: a VOC devkit, folders of label maps, or COCO and LVIS json -> label maps by image id."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iamiou.addresses import is_address
from iamiou.errors import InputError, Problem, ProblemsFound
from iamiou.image_lists import choose_split, pick, read_list
from iamiou.labels import VOC, ClassList
from iamiou.listing import FileNames, find_label_maps, is_folder, list_folder, shown, within
from iamiou.truth_files import Files, TruthFiles

if TYPE_CHECKING:
    Load = Callable[[str], tuple[Any, Any]]

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
        uint16 or int32, or None; arrays or, with a window, `BigMap` of any integers. Void is 255 in 8-bit maps and
        65535 in 16-bit maps. Safe in threads; raises `ImageError`. Whether the two maps agree is not judged here.
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
    window: int | None = None,
) -> GroundTruth:
    """Find a ground truth on disk; label maps are read when asked for.

    Parameters
    ----------
    gt : path, optional
        A VOC devkit (the folder with ``SegmentationClass``, or one that leads only there), a plain folder of
        label maps, or a .json file of COCO or LVIS.
    semantic, instances : path, optional
        In place of `gt`: folders of class maps and of instance maps, PNG, .npy or TIFF, named by image id.
    classes : ClassList
        What the labels mean.
    split : str, optional
        A list of the devkit, ``ImageSets/Segmentation/<split>.txt``. Default: ``val``, else the only list, else
        all images.
    list_file : path, optional
        A file with one image id a line, in place of `split`.
    max_pixels : int
        A label map that claims more pixels is refused before it is decoded.
    window : int, optional
        TIFF, and .npy files of more pixels, come as `iamiou.big_maps.BigMap`, to be read by strips of about so many.
        Without it all maps come as arrays.

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
            return _by_window(_open_folders(str(semantic), instances, classes, list_file, max_pixels), window)
        if is_folder(gt):
            return _by_window(_open_folder(str(gt), classes, split, list_file, max_pixels), window)
        if is_address(gt):
            raise InputError(f"'{gt}' is no folder that holds anything; behind an address only folders are read.")
        if not Path(gt).exists():
            raise InputError(f"The ground truth '{gt}' does not exist; give {_WANTED}.")
    except OSError as e:
        raise InputError(f"The ground truth '{e.filename or gt}' cannot be read: {e.strerror or e}.") from e
    if not str(gt).lower().endswith(".json"):
        raise InputError(f"The ground truth '{gt}' is a file, but no .json; give {_WANTED}.")
    if split is not None:
        raise InputError("--split names a list of a VOC devkit; with COCO or LVIS json give a file with --list.")
    return _open_coco(Path(gt), classes, list_file, max_pixels)


def _by_window(truth: GroundTruth, window: int | None) -> GroundTruth:
    assert isinstance(truth.load, TruthFiles)
    return replace(truth, load=replace(truth.load, window=window))


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
    from iamiou.coco_truth import PaintedTruth, make_truth, read_coco

    file = read_coco(path, max_pixels)
    known = frozenset(image_id for image_id, _, _ in file.images.values())
    ids, chosen = _choose(known, list_file, f"entry in '{path}'")
    if any(p.fatal for p in chosen):
        raise ProblemsFound(chosen)
    truth = make_truth(file, classes, ids)
    notes, load = (*chosen, *truth.warnings), PaintedTruth(truth.pictures, len(classes))
    return GroundTruth(classes, ids, "annotation", load, notes, truth.image_ids, truth.category_labels, known)


def _open_folder(
    gt: str, classes: ClassList, split: str | None, list_file: str | Path | None, max_pixels: int
) -> GroundTruth:
    """Open a devkit or a plain folder."""
    root = _find_devkit(gt)
    if root is None:
        if split is not None:
            raise InputError(f"'{gt}' is no VOC devkit, so it has no split '{split}'; give a file with --list.")
        return _open_folders(gt, None, classes, list_file, max_pixels)
    notes: list[Problem] = []
    if list_file is None:
        list_file, notes = choose_split(within(root, "ImageSets/Segmentation"), split)
    instances: str | Path | None = within(root, "SegmentationObject")
    if not is_folder(within(root, "SegmentationObject")):
        instances = None
        what = "VOC devkit has no folder SegmentationObject"
        hint = "Instance maps that lie elsewhere go with --semantic and --instances."
        notes.append(Problem("no-instance-maps", what, (str(root),), hint, fatal=False))
    return _open_folders(str(within(root, "SegmentationClass")), instances, classes, list_file, max_pixels, notes)


def _find_devkit(gt: str) -> str | None:
    """Return the folder with SegmentationClass: `gt` or what single folders in it lead to."""
    while not is_folder(within(gt, "SegmentationClass")):
        level = list_folder(gt)
        folders, files = ([n for n in names if not n.startswith(".")] for names in (level.folders, level.files))
        if len(folders) != 1 or files:
            return None
        gt = str(within(gt, folders[0]))
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
    known = frozenset(maps.names)
    ids, chosen = _choose(known, list_file, f"label map in '{semantic}'")
    problems = [*notes, *chosen, *problems]
    objects: Files | None = None
    if instances is not None:
        objects, odd = _find_maps(str(instances), "instance")
        problems += odd
        if absent := [i for i in ids if i not in objects.names]:
            what = f"{'image has' if len(absent) == 1 else 'images have'} no instance map in '{instances}'"
            hint = "Add them, or leave these images out with --list."
            problems.append(Problem("missing-instance-map", what, shown(absent), hint))
    if any(p.fatal for p in problems):
        raise ProblemsFound(problems)
    source = "components" if instances is None else "annotation"
    return GroundTruth(classes, ids, source, TruthFiles(maps, objects, max_pixels), tuple(problems), known=known)


def _choose(known: frozenset[str], list_file: str | Path | None, thing: str) -> tuple[tuple[str, ...], list[Problem]]:
    """Return the ids to score, and what is wrong with the list."""
    if list_file is None:
        return tuple(sorted(known)), []
    listed, warnings = read_list(list_file)
    ids, problems = pick(known, listed, str(list_file), thing)
    return ids, [*problems, *warnings]


def _find_maps(folder: str, role: str) -> tuple[Files, list[Problem]]:
    """Return the label maps in a folder."""
    if not is_folder(folder):
        raise InputError(f"The folder of {role} maps '{folder}' does not exist; give a folder of label maps.")
    try:
        where, by_id, found = find_label_maps(
            lambda inside: list_folder(f"{folder}/{inside}"), folder, tiff=not is_address(folder)
        )
    except InputError as e:
        raise InputError(f"{e} Give {_WANTED if role == 'semantic' else 'a folder of instance maps'}.") from e
    root = f"{folder}/{where}" if where else folder
    maps = Files(root, FileNames(by_id))
    problems = []
    if twice := [f"{i} ({', '.join(files)})" for i, files in by_id.items() if len(files) > 1]:
        have = "image has" if len(twice) == 1 else "images have"
        what = f"{have} more than one {role} map in '{folder}'"
        problems.append(Problem("duplicate-truth", what, shown(sorted(twice)), "Keep one file an image."))
    return maps, [*problems, *(p for p in found if p.kind == "ignored-files")]
