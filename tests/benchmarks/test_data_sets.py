"""Readers of data sets: VOC in both dialects, COCO, folders, the real pictures, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from iamiou.errors import ImageError, InputError
from iamiou.image_lists import read_list
from iamiou_benchmarks.datasets.coco import labels_of_json, open_coco
from iamiou_benchmarks.datasets.data import SPLITS, DataOptions, check_agreement, limited, open_data, read_photograph
from iamiou_benchmarks.datasets.devkit import labels_of_xml
from iamiou_benchmarks.datasets.voc_mini import LISTS, make_lists
from tests.fakes import COCO_IDS, scenes, voc_devkit


def xml(*names, part=""):
    objects = "".join(f"<object>\n<name>{n}</name><difficult>1</difficult>{part}</object>" for n in names)
    return f"<annotation><filename>x.jpg</filename>{objects}</annotation>"


def photograph(path, shape):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*shape, 3), 90, np.uint8)).save(path)


@pytest.fixture
def devkit(tmp_path):
    """Write a VOC devkit with pictures, annotations, and lists in both dialects."""
    from iamiou.labels import VOC

    images = scenes(6, seed=3)
    root = voc_devkit(tmp_path / "VOC2012", images, "all")
    for image in images:
        photograph(root / "JPEGImages" / f"{image.id}.jpg", image.semantic.shape)
        names = [VOC.names[k] for k in np.unique(image.semantic) if 0 < k < 21]
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{image.id}.xml").write_text(xml(*names), encoding="utf-8")
    ids = [image.id for image in images]
    lists = root / "ImageSets" / "Segmentation"
    lines = [f"/JPEGImages/{i}.jpg /SegmentationClassAug/{i}.png" for i in ids[:4]]
    (tmp_path / "trainaug_voc.txt").write_text("\n".join(lines), encoding="utf-8")
    (lists / "train_aug.txt").write_text("\n".join(ids[:4]), encoding="utf-8")
    (lists / "dev.txt").write_text(ids[0], encoding="utf-8")
    (lists / "val.txt").write_text("\n".join(ids[4:]), encoding="utf-8")
    return root


def options(root, **changes):
    return DataOptions(**{"name": "voc", "root": str(root), "train": "train_aug", "test": "val", **changes})


def test_both_dialects_of_lists_give_one_data_set(devkit, tmp_path):
    first = open_data(options(devkit), tmp_path)
    second = open_data(options(devkit, train=str(tmp_path / "trainaug_voc.txt")), tmp_path)
    assert first.splits == second.splits and first.digest == second.digest
    assert [len(first.splits[s]) for s in SPLITS] == [4, 1, 2]
    masks = open_data(options(devkit, labels="masks"), tmp_path)
    assert masks.labels == dict(first.labels)
    assert first.multi_hot(first.splits["train"][0]).sum() == len(first.labels[first.splits["train"][0]])
    assert limited(first, 2).splits["train"] == (first.splits["train"][0], first.splits["train"][2])


def test_images_without_mask_train_but_are_not_scored(devkit, tmp_path):
    absent = open_data(options(devkit), tmp_path).splits["train"][1]
    for folder in ("SegmentationClass", "SegmentationObject"):
        (devkit / folder / f"{absent}.png").unlink()
    data = open_data(options(devkit), tmp_path)
    assert absent in data.splits["train"] and absent not in data.truth_of("train").ids
    assert len(data.truth_of("train").ids) == 3


def test_parts_of_objects_are_no_labels(tmp_path):
    from iamiou.labels import VOC

    (tmp_path / "a.xml").write_text(xml("person", "dog", part="<part><name>head</name></part>"), encoding="utf-8")
    assert labels_of_xml(tmp_path, ["a"], VOC) == {"a": (12, 15)}
    (tmp_path / "a.xml").write_text(xml("head"), encoding="utf-8")
    with pytest.raises(InputError, match=r"1 image has objects of a class not in the list: a \(head\)"):
        labels_of_xml(tmp_path, ["a", "a"][:1], VOC)


def test_what_is_missing_is_named(devkit, tmp_path):
    with pytest.raises(InputError, match="has no folder JPEGImages"):
        open_data(DataOptions(name="voc"), tmp_path)
    with pytest.raises(InputError, match="no data set 'vok'"):
        open_data(DataOptions(name="vok"), tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        open_data(options(devkit, train="nothing"), tmp_path)
    first, second = open_data(options(devkit), tmp_path).splits["train"][:2]
    (devkit / "Annotations" / f"{first}.xml").unlink()
    with pytest.raises(InputError, match=rf"1 image has no annotation file: {first}"):
        open_data(options(devkit), tmp_path)
    (devkit / "Annotations" / f"{first}.xml").write_text(xml(), encoding="utf-8")
    (devkit / "JPEGImages" / f"{second}.jpg").unlink()
    with pytest.raises(InputError) as caught:
        open_data(options(devkit), tmp_path)
    assert f"has no image label: {first}" in str(caught.value) and f"has no image file: {second}" in str(caught.value)


def test_a_test_image_must_not_be_trained_on():
    splits = {"train": ("a", "b"), "dev": ("a",), "test": ("b", "c")}
    with pytest.raises(InputError, match="1 image is in both train and test: b"):
        check_agreement(splits, dict.fromkeys("abc", (1,)), "abc")


def test_broken_photographs_are_refused(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"1 image cannot be read: a.jpg"):
        read_photograph(tmp_path / "a.jpg")


@pytest.fixture
def coco(tmp_path):
    """Write a COCO of two parts: crowds, an image without annotation, and a category id above 80."""
    for part, first in (("train2014", 1), ("val2014", 11)):
        images, annotations = [], []
        for k in range(4):
            name = f"COCO_{part}_{first + k:012}.jpg"
            photograph(tmp_path / part / name, (20, 30))
            images.append({"id": first + k, "file_name": name, "height": 20, "width": 30})
        for k, (image, category, crowd) in enumerate(((0, 1, 0), (0, 90, 0), (1, 13, 0), (1, 1, 1), (2, 18, 1))):
            box = [2 + k, 2, 10 + k, 2, 10 + k, 12, 2 + k, 12]
            mask = {"size": [20, 30], "counts": [0, 50, 550]} if crowd else [box]
            annotations.append({"id": k + 1, "image_id": first + image, "category_id": category, "iscrowd": crowd,
                                "segmentation": mask, "area": 80, "bbox": [2, 2, 8, 10]})  # fmt: skip
        from iamiou.labels import COCO

        categories = [{"id": i, "name": n} for i, n in zip(COCO_IDS, COCO.names[1:], strict=True)]
        path = tmp_path / "annotations" / f"instances_{part}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return tmp_path


def test_coco_has_81_classes_and_leaves_out_images_without_a_class(coco, tmp_path):
    data = open_coco(DataOptions(name="coco", root=str(coco), train="train2014", test="val2014"))
    assert len(data.classes) == 81
    train = data.splits["train"]
    assert [i[-2:] for i in train] == ["01", "02"] and [i[-2:] for i in data.splits["test"]] == ["11", "12"]
    assert [data.labels[i] for i in train] == [(1, 80), (12,)]
    semantic, instance = data.truth_of("test").load(data.splits["test"][0])
    assert set(np.unique(semantic)) == {0, 1, 80} and instance is not None and instance.max() == 2
    assert data.read(train[0]).shape == (20, 30, 3)
    with pytest.raises(InputError, match=r"There is no '.*train2017'"):
        open_coco(DataOptions(name="coco", root=str(coco), train="train2017", test="val2014"))


def test_lists_of_voc_mini_do_not_overlap_and_are_large_enough():
    lists = {split: read_list(LISTS / f"voc-mini-{split}.txt")[0] for split in SPLITS}
    together = [i for ids in lists.values() for i in ids]
    assert len(together) == len(set(together))
    assert len(lists["train"]) >= 250 and len(lists["test"]) >= 150
    for ids in lists.values():  # ids of COCO are numbers, those of VOC begin with a year and an underscore
        assert 0.2 < sum("_" in i for i in ids) / len(ids) < 0.8


def test_lists_of_voc_mini_are_those_that_the_command_makes(real_data):
    assert make_lists(real_data) == {s: list(read_list(LISTS / f"voc-mini-{s}.txt")[0]) for s in SPLITS}


def test_voc_mini_fits_together(real_data, tmp_path):
    data = open_data(DataOptions(name="voc-mini", root=str(real_data)), tmp_path)
    for split in SPLITS:
        for image_id in data.splits[split][::12]:
            semantic, instance = data.truth.load(image_id)
            assert data.read(image_id).shape[:2] == semantic.shape == instance.shape
            shown = set(np.unique(semantic).tolist()) - {0, 255}
            assert shown <= set(data.labels[image_id]), image_id
    known = labels_of_json(Path(real_data) / "coco" / "annotations" / "instances_full.json", data.truth)
    assert isinstance(known, dict)


def test_voc_mini_says_what_it_needs(monkeypatch, tmp_path):
    monkeypatch.delenv("IAMIOU_REAL_DATA", raising=False)
    with pytest.raises(InputError, match="needs real pictures"):
        open_data(DataOptions(name="voc-mini"), tmp_path)
    with pytest.raises(InputError, match=r"There is no '.*instances_full.json'"):
        open_data(DataOptions(name="voc-mini", root=str(tmp_path)), tmp_path)
