"""`voc-mini`: real photographs of VOC's classes, from fully annotated COCO pictures and VOC pictures.

The pictures may not be passed on, so only lists of their ids are part of iamiou. They lie in a folder with ``coco/``
and ``voc/`` (see docs/baselines.md), which ``root`` or the variable IAMIOU_REAL_DATA names. The lists were made by

    python -m iamiou_benchmarks.datasets.voc_mini DIR
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import InputError
from iamiou.ground_truth import GroundTruth, open_ground_truth
from iamiou.image_lists import read_list
from iamiou.labels import VOC
from iamiou_benchmarks.datasets.coco import file_names, joined, labels_of_json, read_json
from iamiou_benchmarks.datasets.data import (
    SPLITS,
    DataOptions,
    DataSet,
    Image,
    check_agreement,
    read_photograph,
    resized,
    split_digest,
)

LISTS = Path(__file__).parents[1] / "lists"
#: Of twenty images of each source so many are for each split, in the order of the hashes of their ids.
_PARTS = ("train",) * 11 + ("dev",) * 2 + ("test",) * 7


class Sources:
    """The two sources: pictures, image labels and truth by image id."""

    def __init__(self, root: Path) -> None:
        json_path, voc = root / "coco" / "annotations" / "instances_full.json", root / "voc"
        for place in (json_path, voc / "boxes.json", voc / "SegmentationObject_derived"):
            if not place.exists():
                raise InputError(
                    f"There is no '{place}'; name the folder with coco/ and voc/ by --set data.root=DIR "
                    "or the variable IAMIOU_REAL_DATA."
                )
        coco = open_ground_truth(json_path, classes=VOC)
        files = file_names(json_path)
        self.coco = {i: root / "coco" / "images" / files[i] for i in labels_of_json(json_path, coco)}
        objects = {p.stem for p in (voc / "SegmentationObject_derived").glob("*.png")}
        # The pictures of the original size come last, so that they win over the small copies of the same id.
        pictures = [*(voc / "images_274").glob("*.jpg"), *(voc / "JPEGImages").glob("*.jpg")]
        self.voc = {p.stem: p for p in pictures if p.stem in objects}
        self.labels = labels_of_json(json_path, coco) | _labels_of_boxes(voc / "boxes.json", self.voc)
        self.truth: GroundTruth = joined([coco, _voc_truth(voc, self.voc)])

    @property
    def images(self) -> dict[str, Path]:
        """All pictures by image id."""
        return self.coco | self.voc


def open_voc_mini(options: DataOptions) -> DataSet:
    """Open the data set by the committed lists.

    Raises
    ------
    InputError
        If the folder is not there or lacks pictures of the lists.
    """
    root = options.root or os.environ.get("IAMIOU_REAL_DATA", "")
    if not root:
        raise InputError("voc-mini needs real pictures: name their folder by --set data.root=DIR or IAMIOU_REAL_DATA.")
    sources = Sources(Path(root))
    splits = {split: read_list(LISTS / f"voc-mini-{split}.txt")[0] for split in SPLITS}
    images, truth = sources.images, sources.truth
    check_agreement(splits, sources.labels, images)

    def read(image_id: str) -> Image:
        image = read_photograph(images[image_id])
        if image_id in sources.coco:
            return image
        return resized(image, *truth.load(image_id)[0].shape)  # some VOC pictures are squashed to a square

    digests = {s: split_digest(i, sources.labels, lambda n: _file_digest(images[n])) for s, i in splits.items()}
    return DataSet("voc-mini", VOC, splits, sources.labels, read, truth, digests)


def make_lists(root: Path) -> dict[str, list[str]]:
    """Part the images of both sources; every image once, by the hash of its id alone.

    Returns
    -------
    dict
        Sorted ids by split.
    """
    sources = Sources(root)
    lists: dict[str, list[str]] = {split: [] for split in SPLITS}
    for source in (sources.coco, sources.voc):
        order = sorted(source, key=lambda i: hashlib.sha256(i.encode()).hexdigest())
        for k, image_id in enumerate(order):
            lists[_PARTS[k % len(_PARTS)]].append(image_id)
    return {split: sorted(ids) for split, ids in lists.items()}


def _labels_of_boxes(path: Path, wanted: Mapping[str, Path]) -> dict[str, tuple[int, ...]]:
    """Return image labels from VOC's boxes in COCO form: all objects, difficult ones too."""
    content = read_json(path)
    classes = {c["id"]: VOC.names.index(c["name"]) for c in content["categories"]}
    names = {e["id"]: Path(e["file_name"]).stem for e in content["images"]}
    found: dict[str, set[int]] = {}
    for entry in content["annotations"]:
        if names[entry["image_id"]] in wanted:
            found.setdefault(names[entry["image_id"]], set()).add(classes[entry["category_id"]])
    return {name: tuple(sorted(labels)) for name, labels in found.items()}


def _voc_truth(voc: Path, wanted: Mapping[str, Path]) -> GroundTruth:
    truth = open_ground_truth(semantic=voc / "SegmentationClass", classes=VOC)
    objects = open_ground_truth(semantic=voc / "SegmentationObject_derived", classes=VOC)

    def load(image_id: str) -> tuple[NDArray[np.integer], NDArray[np.integer] | None]:
        return truth.load(image_id)[0], objects.load(image_id)[0]

    ids = tuple(sorted(wanted))
    return replace(truth, ids=ids, known=frozenset(ids), load=load, instances_from="annotation")


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    import sys

    for name, ids in make_lists(Path(sys.argv[1])).items():
        (LISTS / f"voc-mini-{name}.txt").write_text("".join(f"{i}\n" for i in ids), encoding="utf-8")
        sys.stdout.write(f"{name}: {len(ids)} images\n")
