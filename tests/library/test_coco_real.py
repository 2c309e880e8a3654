"""COCO and LVIS as they were published, painted."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pycocotools.coco as reference
import pytest

from iamiou.errors import InputError
from iamiou.ground_truth import open_ground_truth
from iamiou.labels import COCO, VOC, VOC_NAME_OF_COCO, ClassList


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools to itself
@pytest.mark.parametrize(("classes", "instances"), [(VOC, 1395), (COCO, 2685)])
def test_real_coco_as_a_plain_painter_has_it(real_data: Path, classes: ClassList, instances: int) -> None:
    path = real_data / "coco" / "annotations" / "instances_full.json"
    with contextlib.redirect_stdout(None):
        file = reference.COCO(str(path))
    truth = open_ground_truth(path, classes=classes)
    assert len(truth.ids) == 292
    assert not {p.kind for p in truth.warnings} & {"hidden-instance", "empty-mask"}
    label_of = {i: classes.names.index(n) for i, n in _names(file, classes).items() if n in classes.names}
    assert truth.category_labels == label_of
    found = 0
    for number, image_id in truth.image_ids.items():
        semantic, instance = truth.load(image_id)
        assert instance is not None
        found += len(set(instance[instance < 255].tolist()) - {0})
        if number % 6:
            continue  # a sample of 44 images, for time
        mine = [a for a in file.imgToAnns[number] if a["category_id"] in label_of]
        mine.sort(key=lambda a: (not a["iscrowd"], -file.annToMask(a).sum(dtype=int), a["id"]))
        alone = sorted(a["id"] for a in mine if not a["iscrowd"])
        expected = np.zeros((2, file.imgs[number]["height"], file.imgs[number]["width"]), np.uint8)
        for a in mine:
            labels = (255, 255) if a["iscrowd"] else (label_of[a["category_id"]], 1 + alone.index(a["id"]))
            expected[:, file.annToMask(a) == 1] = np.array([labels]).T
        assert np.array_equal([semantic, instance], expected)
    assert found == instances  # small on top loses none


def _names(file: reference.COCO, classes: ClassList) -> dict[int, str]:
    names = {c["id"]: c["name"] for c in file.dataset["categories"]}
    return {i: VOC_NAME_OF_COCO.get(n, n) for i, n in names.items()} if classes is VOC else names


@pytest.mark.parametrize(
    ("name", "person"), [("lvis_v0.5_val_subset", "baby"), ("lvis_v1ids_converted_subset", "person")]
)
def test_real_lvis(real_data: Path, name: str, person: str) -> None:
    path = real_data / "coco" / "annotations" / f"{name}.json"
    for classes in (VOC, COCO):
        with pytest.raises(InputError, match=r"which is LVIS: .*give it with --classes FILE"):
            open_ground_truth(path, classes=classes)
    file = json.loads(path.read_bytes())
    for names in (("background", "person.n.01"), ("background", person)):
        truth = open_ground_truth(path, classes=ClassList("own", names))
        assert len(truth.ids) == 39
        assert [p.kind for p in truth.warnings] == ["category-left-out", "federated"]
    everything = ClassList("lvis", ("background", *(c["name"] for c in file["categories"])))
    truth = open_ground_truth(path, classes=everything)
    assert [p.kind for p in truth.warnings] == ["federated"]
    maps = [truth.load(i) for i in truth.ids]
    assert {semantic.dtype.name for semantic, _ in maps} == {"uint16"}
    # Small on top loses no instance of the 409.
    assert sum(len(np.unique(instance)) - 1 for _, instance in maps if instance is not None) == 409
