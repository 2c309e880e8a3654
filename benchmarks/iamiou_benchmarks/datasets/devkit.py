"""VOC devkits and folders like them: JPEGImages, Annotations, SegmentationClass, ImageSets/Segmentation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from iamiou.errors import InputError, Problem, ProblemsFound
from iamiou.ground_truth import GroundTruth, open_ground_truth
from iamiou.image_lists import read_list
from iamiou.labels import ClassList, load_classes
from iamiou_benchmarks.datasets.data import SPLITS, DataOptions, DataSet, check_agreement, read_photograph, split_digest

_PHOTOGRAPHS = (".jpg", ".jpeg", ".png")
_OBJECT = re.compile(r"<object>(.*?)</object>", re.DOTALL)
_PART = re.compile(r"<part>.*?</part>", re.DOTALL)
_NAME = re.compile(r"<name>\s*([^<]*?)\s*</name>")


def open_devkit(options: DataOptions) -> DataSet:
    """Open VOC 2012 or a folder like it.

    Lists come in both dialects, bare ids and pairs of paths. Image labels are the union of the names of objects in
    the XML, difficult ones too, or are read off the masks. Images of the lists need no mask, for train_aug's extra
    images have none in VOC itself: seeds are scored on those that have one.

    Raises
    ------
    InputError
        With what is missing.
    """
    root = Path(options.root)
    if not options.root or not (root / "JPEGImages").is_dir():
        raise InputError(f"'{options.root}' has no folder JPEGImages; name a VOC devkit with --set data.root=DIR.")
    classes = load_classes(options.classes)
    splits = {name: read_split(root, getattr(options, name)) for name in SPLITS}
    images = find_photographs(root / "JPEGImages")
    truth = open_truth(root, classes)
    listed = sorted({i for ids in splits.values() for i in ids})
    if options.labels == "masks":
        labels = labels_of_masks(truth, (i for i in listed if i in truth.known), len(classes))
    else:
        labels = labels_of_xml(root / "Annotations", listed, classes)
    check_agreement(splits, labels, images)
    digests = {name: split_digest(ids, labels, lambda i: str(images[i].stat().st_size)) for name, ids in splits.items()}
    return DataSet(root.name, classes, splits, labels, lambda i: read_photograph(images[i]), truth, digests)


def open_truth(root: Path, classes: ClassList) -> GroundTruth:
    """Open all label maps of a devkit; without SegmentationObject, components stand in."""
    objects = root / "SegmentationObject"
    instances = objects if objects.is_dir() else None
    return open_ground_truth(semantic=root / "SegmentationClass", instances=instances, classes=classes)


def read_split(root: Path, name: str) -> tuple[str, ...]:
    """Read a list by its name in the devkit or as a file.

    Raises
    ------
    InputError
        If there is none.
    """
    inside = root / "ImageSets" / "Segmentation" / f"{name.removesuffix('.txt')}.txt"
    return read_list(inside if inside.is_file() else name)[0]


def find_photographs(folder: Path) -> dict[str, Path]:
    """Return the photographs in a folder by image id."""
    return {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in _PHOTOGRAPHS}


def labels_of_xml(folder: Path, ids: Iterable[str], classes: ClassList) -> dict[str, tuple[int, ...]]:
    """Read image labels off VOC's annotations: the names of all objects, without those of their parts.

    Raises
    ------
    ProblemsFound
        If a file is missing or names a class that the list has not.
    """
    labels, missing, foreign = {}, [], []
    numbers = {name: k for k, name in enumerate(classes.names)}
    for image_id in ids:
        try:
            text = (folder / f"{image_id}.xml").read_text(encoding="utf-8")
        except OSError:
            missing.append(image_id)
            continue
        names = {m for part in _OBJECT.findall(text) for m in _NAME.findall(_PART.sub("", part))[:1]}
        foreign += [f"{image_id} ({name})" for name in sorted(names) if name not in numbers]
        labels[image_id] = tuple(sorted(numbers[name] for name in names if numbers.get(name)))
    problems = []
    if missing:
        hint = f"Put ID.xml into '{folder}', or read labels off the masks with --set data.labels=masks."
        problems.append(Problem("no-annotation", "images have no annotation file", tuple(missing), hint))
    if foreign:
        hint = f"The class list '{classes.name}' has other names; see data.classes."
        problems.append(
            Problem("foreign-class", "images have objects of a class not in the list", tuple(foreign), hint)
        )
    if problems:
        raise ProblemsFound(problems)
    return labels


def labels_of_masks(truth: GroundTruth, ids: Iterable[str], size: int) -> dict[str, tuple[int, ...]]:
    """Read image labels off class maps: every class that has a pixel."""
    found = ((i, np.unique(truth.load(i)[0]).tolist()) for i in ids)
    return {i: tuple(k for k in present if 0 < k < size) for i, present in found}
