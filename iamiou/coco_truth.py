"""COCO and LVIS json as ground truth: read, checked, and ready to be painted image by image."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from iamiou.coco import rle_area, segmentation_to_rle
from iamiou.coco_names import labels_of
from iamiou.coco_paint import Mask, Picture, arrange, hidden, paint
from iamiou.errors import ImageError, InputError, Problem, ProblemsFound, group
from iamiou.labels import ClassList
from iamiou.listing import shown

if TYPE_CHECKING:
    import numpy as np

_TABLES = ("images", "annotations", "categories")


@dataclass(frozen=True)
class CocoTruth:
    """The images of a COCO or LVIS file; masks are kept as run lengths and painted when asked for.

    Parameters
    ----------
    classes : ClassList
        What the labels mean.
    image_ids : mapping of int to str
        Image id of each number in the file, for all its images.
    category_labels : mapping of int to int
        Label of each category of the class list.
    pictures : mapping of str to Picture
        What to paint, for the images that were asked for.
    warnings : tuple of Problem
        What was odd.
    """

    classes: ClassList
    image_ids: Mapping[int, str]
    category_labels: Mapping[int, int]
    pictures: Mapping[str, Picture]
    warnings: tuple[Problem, ...]

    def load(self, image_id: str) -> tuple[np.ndarray, np.ndarray]:
        """Paint the semantic and the instance map of one image; safe in threads."""
        return paint(self.pictures[image_id], len(self.classes))


@dataclass(frozen=True)
class PaintedTruth:
    """Paints the maps of an image, as ``GroundTruth.load``; can be cut down to some images, and travels."""

    pictures: Mapping[str, Picture]
    num_classes: int

    def only(self, images: Iterable[str]) -> PaintedTruth:
        """Return what is needed for some images."""
        return PaintedTruth({name: self.pictures[name] for name in images}, self.num_classes)

    def __call__(self, image_id: str) -> tuple[np.ndarray, np.ndarray]:
        """Paint the semantic and the instance map of an image."""
        return paint(self.pictures[image_id], self.num_classes)


class CocoFile(NamedTuple):
    """The three tables of a file, and the images as they will be called."""

    path: Path
    images: dict[int, tuple[str, int, int]]  # number in the file -> image id, height, width
    annotations: list[Any]
    categories: list[Any]
    federated: bool


def read_coco(path: Path, max_pixels: int) -> CocoFile:
    """Read a COCO or LVIS file and check its images.

    Parameters
    ----------
    path : path
        The json file.
    max_pixels : int
        The most pixels that an image may claim.

    Raises
    ------
    InputError
        If the file is cut short, no json, or neither COCO nor LVIS.
    ProblemsFound
        If two images share a number or an image id, or an image has no usable name or size.
    """
    return check_document(_parsed(path), path, max_pixels)


def check_document(document: Any, path: Path, max_pixels: int) -> CocoFile:
    """Check that parsed json is COCO or LVIS, and its images; parameters and errors as `read_coco`."""
    tables = _tables(document, path)
    images, problems = _images(tables["images"], max_pixels)
    if problems:
        raise ProblemsFound(problems)
    if not images:
        raise InputError(f"'{path}' lists no image, so there is nothing to score.")
    keys = ("neg_category_ids", "not_exhaustive_category_ids")
    federated = any(k in i for i in tables["images"][:100] for k in keys) or any(
        isinstance(c, dict) and "synset" in c for c in tables["categories"][:100]
    )
    return CocoFile(path, images, tables["annotations"], tables["categories"], federated)


def make_truth(file: CocoFile, classes: ClassList, wanted: Collection[str]) -> CocoTruth:
    """Make run lengths of all masks of some images, in the order of painting.

    Parameters
    ----------
    file : CocoFile
        From `read_coco`.
    classes : ClassList
        What the labels shall mean; how a category finds its class is told at `labels_of`.
    wanted : collection of str
        Image ids of the file; annotations of all others are not looked at.

    Returns
    -------
    CocoTruth
        Categories outside the class list are background, their crowds too. A crowd is void where no instance
        lies.

    Raises
    ------
    ProblemsFound
        With every annotation that cannot be used, by kind.
    """
    wanted = frozenset(wanted)
    mine, problems = check_references(file, wanted)
    used = Counter(a["category_id"] for a in mine)
    labels, of_classes = labels_of(file.categories, used, classes, federated=file.federated, source=str(file.path))
    problems += of_classes
    masks, empty, broken = _masks(file, mine, labels)
    problems += group(broken)
    if any(p.fatal for p in problems):
        raise ProblemsFound(problems)
    pictures = {name: arrange(h, w, masks.get(name, ())) for name, h, w in file.images.values() if name in wanted}
    problems += _unseen(pictures, empty, classes)
    if file.federated:
        problems.append(_federated(file.path))
    image_ids = {number: image[0] for number, image in file.images.items()}
    return CocoTruth(classes, image_ids, labels, pictures, tuple(problems))


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as e:
        raise InputError(f"'{path}' is not valid json ({e}); is it cut short? Copy or download it again.") from e
    except OSError as e:
        raise InputError(f"'{path}' cannot be read: {e.strerror or e}.") from e


def _tables(document: Any, path: Path) -> dict[str, list[Any]]:
    if isinstance(document, list):
        raise InputError(
            f"'{path}' is a list, as COCO results are, and no ground truth; give predictions first, then the ground "
            "truth with its images, annotations and categories."
        )
    missing = [k for k in _TABLES if not isinstance(document, dict) or not isinstance(document.get(k), list)]
    if missing:
        raise InputError(f"'{path}' is json, but neither COCO nor LVIS: it has no list of {' and '.join(missing)}.")
    return {k: document[k] for k in _TABLES}


def _images(entries: list[Any], max_pixels: int) -> tuple[dict[int, tuple[str, int, int]], list[Problem]]:
    """Name the images: stem of file_name, else of coco_url."""
    images: dict[int, tuple[str, int, int]] = {}
    names: dict[str, list[int]] = {}
    errors = []
    for place, entry in enumerate(entries):
        fault = _image_fault(entry)
        if fault:
            what, hint = "images are incomplete", "An image is {id, file_name, height, width}."
            errors.append(ImageError("broken-image", what, f"image {place} of the list", fault, hint))
            continue
        number, height, width = entry["id"], entry["height"], entry["width"]
        name = _stem(entry.get("file_name") or entry["coco_url"])
        if number in images:
            what, hint = "numbers stand for more than one image", "Give each image a number of its own."
            errors.append(ImageError("image-number-twice", what, str(number), "", hint))
        if height * width > max_pixels:
            what, hint = f"images claim more than {max_pixels} pixels", "Raise --max-pixels if they are that large."
            errors.append(ImageError("too-large", what, shown([name])[0], f"{height} x {width}", hint))
        images[number] = (name, height, width)
        names.setdefault(name, []).append(number)
    twice = {name: numbers for name, numbers in names.items() if len(set(numbers)) > 1}
    for name, numbers in twice.items():
        what, hint = "image ids stand for more than one image", "The stems of file names must differ."
        detail = "numbers " + " and ".join(map(str, numbers))
        errors.append(ImageError("image-id-twice", what, shown([name])[0], detail, hint))
    return images, group(errors)


def _image_fault(entry: Any) -> str:
    if not isinstance(entry, dict) or not _is_int(entry.get("id")):
        return "no whole number as id"
    if not any(isinstance(entry.get(k), str) and _stem(entry[k]) for k in ("file_name", "coco_url")):
        return "neither file_name nor coco_url"
    sized = all(_is_int(entry.get(k)) and entry[k] > 0 for k in ("height", "width"))
    return "" if sized else "no height and width"


def _stem(name: str) -> str:
    base = name.replace("\\", "/").rpartition("/")[2]
    return base.rpartition(".")[0] or base


def _is_int(value: Any) -> bool:
    return type(value) is int


def check_references(file: CocoFile, wanted: frozenset[str]) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Check which image and category each annotation is of; return those of wanted images, and all problems."""
    categories = {c["id"] for c in file.categories if isinstance(c, dict) and _is_int(c.get("id"))}
    mine, errors, seen = [], [], set()
    for place, entry in enumerate(file.annotations):
        if not isinstance(entry, dict) or not all(_is_int(entry.get(k)) for k in ("id", "image_id", "category_id")):
            what, hint = "annotations are incomplete", "An annotation is {id, image_id, category_id, segmentation}."
            errors.append(ImageError("broken-annotation", what, f"annotation {place} of the list", "", hint))
            continue
        name = f"annotation {entry['id']}"
        if entry["id"] in seen:
            what, hint = "annotations have the id of another one", "Give each a number of its own."
            errors.append(ImageError("annotation-twice", what, name, "", hint))
        seen.add(entry["id"])
        image = file.images.get(entry["image_id"])
        if image is None:
            what, hint = "annotations are of an image that the file does not list", "Add the images or remove these."
            errors.append(ImageError("unknown-image", what, name, f"image_id {entry['image_id']}", hint))
        elif entry["category_id"] not in categories:
            what, hint = "annotations are of a category that the file does not list", "Add the categories to the file."
            errors.append(ImageError("unknown-category", what, name, f"category_id {entry['category_id']}", hint))
        elif image[0] in wanted:
            mine.append(entry)
    return mine, group(errors)


def _masks(
    file: CocoFile, annotations: Iterable[dict[str, Any]], labels: Mapping[int, int]
) -> tuple[dict[str, list[Mask]], list[str], list[ImageError]]:
    """Make run lengths; return masks by image id, annotations without a pixel, and what is broken."""
    by_image: dict[str, list[Mask]] = {}
    empty, errors = [], []
    for entry in annotations:
        label = labels.get(entry["category_id"])
        if label is None:
            continue
        name, height, width = file.images[entry["image_id"]]
        whose = f"annotation {entry['id']} of image {shown([name])[0]}"
        try:
            rle = segmentation_to_rle(entry.get("segmentation"), height, width, whose)
        except ImageError as e:
            errors.append(e)
            continue
        crowd, area = bool(entry.get("iscrowd", 0)), rle_area(rle)
        if area:
            by_image.setdefault(name, []).append(Mask(entry["id"], label, crowd, area, rle["counts"]))
        elif not crowd:
            empty.append(whose)
    return by_image, empty, errors


def _unseen(pictures: Mapping[str, Picture], empty: list[str], classes: ClassList) -> list[Problem]:
    problems = []
    if empty:
        what = "annotation covers no pixel" if len(empty) == 1 else "annotations cover no pixel"
        problems.append(Problem("empty-mask", what, tuple(sorted(empty)), "Left out.", fatal=False))
    covered = [
        f"annotation {m.annotation} of image {shown([name])[0]} ({classes.names[m.label]}, {m.area} pixels)"
        for name, picture in sorted(pictures.items())
        for m in hidden(picture)
    ]
    if covered:
        what = "instance is" if len(covered) == 1 else "instances are"
        what += " hidden entirely by smaller or equal ones of the same image"
        hint = "Left out: one pixel belongs to one instance."
        problems.append(Problem("hidden-instance", what, tuple(covered), hint, fatal=False))
    return problems


def _federated(path: Path) -> Problem:
    what = "ground truth is LVIS, where objects of a class are annotated in some images only"
    hint = (
        "Where none is annotated, there may be some all the same: such pixels count as background here, so IoU and "
        "phantoms can look worse than they are."
    )
    return Problem("federated", what, (str(path),), hint, fatal=False)
