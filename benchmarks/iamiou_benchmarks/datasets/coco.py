"""COCO 2014 or 2017 as it is downloaded: pictures in a folder a part, everything else from its json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import ImageError, InputError
from iamiou.ground_truth import GroundTruth, open_ground_truth
from iamiou.image_lists import read_list
from iamiou.labels import ClassList, load_classes
from iamiou_benchmarks.datasets.data import DataOptions, DataSet, check_agreement, read_photograph, split_digest

_DEV = 1000


def open_coco(options: DataOptions) -> DataSet:
    """Open COCO: ``train`` and ``test`` name parts such as ``train2014`` and ``val2014``.

    Category ids 1 to 90 become the labels 1 to 80 in increasing order (by name for VOC's classes). Images without an
    annotated class are left out, as in the literature (82,081 and 40,137 of COCO 2014). ``dev`` is a list, or else
    1,000 images spread evenly over train, which remain in train: dev only chooses thresholds.

    Raises
    ------
    InputError
        If json or pictures are missing.
    """
    root, classes = Path(options.root), load_classes("coco" if options.classes == "voc" else options.classes)
    parts = {split: _open_part(root, getattr(options, split), classes) for split in ("train", "test")}
    images = parts["train"].images | parts["test"].images
    labels = parts["train"].labels | parts["test"].labels
    train, test = (tuple(sorted(parts[s].labels)) for s in ("train", "test"))
    dev = read_list(options.dev)[0] if Path(options.dev).is_file() else spread(train, _DEV)
    splits = {"train": train, "dev": dev, "test": test}
    check_agreement(splits, labels, images)
    digests = {s: split_digest(ids, labels, lambda i: str(images[i].stat().st_size)) for s, ids in splits.items()}
    truth = joined([p.truth for p in parts.values()])
    return DataSet("coco", classes, splits, labels, lambda i: read_photograph(images[i]), truth, digests)


def spread(ids: tuple[str, ...], most: int) -> tuple[str, ...]:
    """Take so many ids, evenly spread.

    >>> spread(("a", "b", "c", "d"), 2)
    ('a', 'c')
    """
    return tuple(ids[k * len(ids) // most] for k in range(most)) if len(ids) > most else ids


class Part:
    """One json and its pictures: images by id, image labels, truth."""

    def __init__(self, images: dict[str, Path], labels: dict[str, tuple[int, ...]], truth: GroundTruth) -> None:
        self.images, self.labels, self.truth = images, labels, truth


def _open_part(root: Path, name: str, classes: ClassList) -> Part:
    pictures, path = root / name, root / "annotations" / f"instances_{name}.json"
    for place in (pictures, path):
        if not place.exists():
            raise InputError(
                f"There is no '{place}'; name COCO's folder with --set data.root=DIR and its parts "
                "with data.train and data.test, such as train2014."
            )
    truth = open_ground_truth(path, classes=classes)
    labels = labels_of_json(path, truth)
    images = {i: pictures / f for i, f in file_names(path).items() if (pictures / f).is_file()}
    return Part(images, labels, truth)


def read_json(path: Path) -> dict[str, Any]:
    """Read a json that the library has opened, and so checked, before."""
    with path.open(encoding="utf-8") as file:
        content: dict[str, Any] = json.load(file)
    return content


def file_names(path: Path) -> dict[str, str]:
    """Return the names of the picture files by image id."""
    names = (e.get("file_name") or e["coco_url"].rpartition("/")[2] for e in read_json(path)["images"])
    return {Path(name).stem: name for name in names}


def labels_of_json(path: Path, truth: GroundTruth) -> dict[str, tuple[int, ...]]:
    """Return the classes of every image with an annotation that is no crowd; images without any are left out."""
    found: dict[str, set[int]] = {}
    for entry in read_json(path)["annotations"]:
        label = truth.category_labels.get(entry["category_id"])
        name = truth.image_ids.get(entry["image_id"])
        if label and name is not None and not entry.get("iscrowd"):
            found.setdefault(name, set()).add(label)
    return {name: tuple(sorted(labels)) for name, labels in found.items()}


def joined(truths: Iterable[GroundTruth]) -> GroundTruth:
    """Make one truth of several about different images."""
    listed = list(truths)
    home = {image_id: truth for truth in listed for image_id in (truth.known or truth.ids)}

    def load(image_id: str) -> tuple[NDArray[np.integer], NDArray[np.integer] | None]:
        if image_id not in home:
            raise ImageError("no-truth", "images have no ground truth", image_id)
        return home[image_id].load(image_id)

    source = "annotation" if all(t.instances_from == "annotation" for t in listed) else "components"
    ids = tuple(sorted(home))
    return replace(listed[0], ids=ids, known=frozenset(ids), load=load, instances_from=source)
