"""Data sets: images, image labels, three splits, and the truth that only scoring may look at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import ImageError, InputError, Problem, ProblemsFound
from iamiou.ground_truth import GroundTruth
from iamiou.labels import ClassList

Image = NDArray[np.uint8]
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class DataOptions:
    """The table ``[data]`` of a run file.

    Parameters
    ----------
    name : {"shapes", "voc", "coco", "voc-mini", "folder"}
        Which reader.
    preset : str
        Of `shapes`.
    knobs : dict
        Of `shapes`: fields of `Knobs` that differ from the preset's.
    seed : int
        Of `shapes`; it is part of the data, not of a run.
    root : str
        Where the data lies; ``voc-mini`` also looks at the variable IAMIOU_REAL_DATA.
    train, dev, test : str
        Lists: files, or names of lists in ``ImageSets/Segmentation``; of ``coco`` the parts, as ``train2014``.
    classes : str
        ``voc``, ``coco`` or a file of names.
    labels : {"xml", "masks"}
        Where image labels come from.
    limit : int
        Take only so many images a split, evenly spread; 0 takes all.
    """

    name: str = "shapes"
    preset: str = "tiny"
    knobs: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    root: str = ""
    train: str = "train"
    dev: str = "dev"
    test: str = "test"
    classes: str = "voc"
    labels: str = "xml"
    limit: int = 0


@dataclass(frozen=True)
class DataSet:
    """A data set that is open; nothing is read before it is asked for.

    Parameters
    ----------
    name : str
        To be shown.
    classes : ClassList
        Background and the C - 1 classes.
    splits : mapping of str to tuple of str
        Image ids of train, dev and test.
    labels : mapping of str to tuple of int
        Classes that an image shows, 1 to C - 1, increasing.
    read : callable
        ``read(image_id)`` gives the image, uint8 (height, width, 3).
    truth : GroundTruth
        Label maps, for scoring.
    digests : mapping of str to str
        sha256 of each split.
    bins : tuple of int
        Sides that part small, medium and large.
    """

    name: str
    classes: ClassList
    splits: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, tuple[int, ...]]
    read: Callable[[str], Image]
    truth: GroundTruth
    digests: Mapping[str, str]
    bins: tuple[int, ...] = (32, 96)

    @property
    def digest(self) -> str:
        """One sha256 for all that methods can see."""
        return hashlib.sha256(json.dumps(dict(self.digests), sort_keys=True).encode()).hexdigest()

    def truth_of(self, split: str) -> GroundTruth:
        """Return the truth of those images of a split that have one."""
        known = self.truth.known or frozenset(self.truth.ids)
        return replace(self.truth, ids=tuple(sorted(i for i in self.splits[split] if i in known)))

    def multi_hot(self, image_id: str) -> NDArray[np.float32]:
        """Return the image's label, float32 (C - 1,)."""
        label = np.zeros(len(self.classes) - 1, np.float32)
        label[[k - 1 for k in self.labels[image_id]]] = 1
        return label


def open_data(options: DataOptions, cache: Path) -> DataSet:
    """Open the data set that a run file names; `shapes` is generated into `cache` when it is not there yet.

    Raises
    ------
    InputError
        If something is missing or images, labels and lists do not agree.
    """
    if options.name == "shapes":
        from iamiou_benchmarks.datasets.shapes_devkit import open_shapes

        data = open_shapes(options, cache)
    elif options.name in ("voc", "folder"):
        from iamiou_benchmarks.datasets.devkit import open_devkit

        data = open_devkit(options)
    elif options.name == "coco":
        from iamiou_benchmarks.datasets.coco import open_coco

        data = open_coco(options)
    elif options.name == "voc-mini":
        from iamiou_benchmarks.datasets.voc_mini import open_voc_mini

        data = open_voc_mini(options)
    else:
        raise InputError(f"There is no data set '{options.name}'; name shapes, voc, coco, voc-mini or folder.")
    return limited(data, options.limit) if options.limit else data


def limited(data: DataSet, most: int) -> DataSet:
    """Keep at most so many images of every split, evenly spread over it."""
    splits = {
        name: tuple(ids[k * len(ids) // most] for k in range(most)) if len(ids) > most else ids
        for name, ids in data.splits.items()
    }
    digests = {name: hashlib.sha256(f"{data.digests[name]}{most}".encode()).hexdigest() for name in splits}
    return replace(data, splits=splits, digests=digests)


def split_digest(ids: Iterable[str], labels: Mapping[str, tuple[int, ...]], content: Callable[[str], str]) -> str:
    """Return sha256 over ids, labels and what ``content`` says of each image."""
    digest = hashlib.sha256()
    for name in ids:
        digest.update(f"{name} {labels[name]} {content(name)}\n".encode())
    return digest.hexdigest()


def check_agreement(
    splits: Mapping[str, tuple[str, ...]], labels: Mapping[str, tuple[int, ...]], images: Iterable[str]
) -> None:
    """Refuse lists, labels and images that do not agree, naming every kind of trouble at once.

    Raises
    ------
    ProblemsFound
        Images without label or label without image; images in two splits are allowed between train and dev only.
    """
    there, problems = frozenset(images), []
    listed = sorted({i for ids in splits.values() for i in ids})
    if absent := [i for i in listed if i not in there]:
        hint = "Add the images, or take them off the lists."
        problems.append(Problem("no-image", "listed images have no image file", tuple(absent), hint))
    if bare := [i for i in listed if i in there and not labels.get(i)]:
        hint = 'Every image needs the names of its classes: Annotations/ID.xml, or labels = "masks".'
        problems.append(Problem("no-label", "images have no image label", tuple(bare), hint))
    for seen in ("train", "dev"):
        if both := sorted(set(splits[seen]) & set(splits["test"])):
            hint = "Test images must not be used before the test."
            problems.append(Problem("split-overlap", f"images are in both {seen} and test", tuple(both), hint))
    if problems:
        raise ProblemsFound(problems)


def read_photograph(path: Path) -> Image:
    """Read a photograph as uint8 (height, width, 3); grey ones get three equal channels.

    Raises
    ------
    ImageError
        If Pillow cannot read it.
    """
    from PIL import Image as Pillow

    try:
        with Pillow.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, Pillow.DecompressionBombError) as e:
        raise ImageError("broken-image", "images cannot be read", path.name, str(e), "Copy them again.") from e


def resized(image: Image, height: int, width: int, *, nearest: bool = False) -> Image:
    """Resize with Pillow: bicubic for photographs, nearest for label maps."""
    from PIL import Image as Pillow

    if image.shape[:2] == (height, width):
        return image
    how = Pillow.Resampling.NEAREST if nearest else Pillow.Resampling.BICUBIC
    return np.asarray(Pillow.fromarray(image).resize((width, height), how))
