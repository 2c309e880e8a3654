"""Builds from real annotations and photographs: twice the same, counted as pycocotools counts, fit to be scored."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from iamiou_builders.build import build
from iamiou_builders.plan import Options
from iamiou_builders.verify import verify
from tests.command import files, good

# What pycocotools' decoder warns about lies between it and NumPy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def options(data: Path, **more) -> Options:
    annotations = data / "coco" / "annotations"
    named = {k: tuple(annotations / f"{n}.json" for n in more.pop(k, ())) for k in ("coco", "lvis")}
    return Options("pascal-b", **named, images=data / "coco" / "images", source="any", **more)


@pytest.fixture(scope="module")
def both(real_data, tmp_path_factory):
    root = tmp_path_factory.mktemp("real") / "set"
    build(options(real_data, coco=("instances_full",), lvis=("lvis_v0.5_val_subset",), per_cell=3), root)
    return root


def test_twice_the_same_bytes(real_data, both, tmp_path):
    build(options(real_data, coco=("instances_full",), lvis=("lvis_v0.5_val_subset",), per_cell=3), tmp_path / "set")
    assert files(tmp_path / "set") == files(both)
    assert verify(both) == []


def test_it_is_scored_as_it_is(both, capsys):
    arguments = ("--pred-void", "background", "--bootstrap", "0", "--format", "json")
    score = json.loads(good(capsys, "score", both / "SegmentationClass", both, *arguments))
    record = json.loads((both / "build.json").read_text())
    assert (score["digest"], score["images"]) == (record["digest"], record["images"])
    assert score["scores"]["mIoU"] == 1.0
    assert sum(c["instances"] for c in score["classes"][1:]) == record["instances"]


def test_v05_and_v1_ids_give_the_same_pixels(real_data, tmp_path):
    names = ("lvis_v0.5_val_subset", "lvis_v1ids_converted_subset")
    for name in names:
        build(options(real_data, lvis=(name,), per_cell=3), tmp_path / name)
    first, second = (json.loads((tmp_path / n / "build.json").read_text()) for n in names)
    assert [first[k] for k in ("digest", "list_sha256", "images")] == [
        second[k] for k in ("digest", "list_sha256", "images")
    ]
    assert first["images"] >= 10
    assert [f["version"] for f in (*first["inputs"], *second["inputs"])] == ["v0.5", "v1"]
    masks = [
        {n: b for n, b in files(tmp_path / name).items() if n.endswith(".png")}
        for name in names
    ]  # fmt: skip
    assert masks[0] == masks[1]


def test_coco_to_devkit_counts_as_pycocotools_counts(real_data, tmp_path):
    from pycocotools.coco import COCO

    from iamiou.ground_truth import open_ground_truth
    from iamiou.labels import VOC, VOC_NAME_OF_COCO

    source = options(real_data, coco=("instances_full",), per_cell=3)
    build(source, tmp_path / "set")
    truth, coco = open_ground_truth(tmp_path / "set"), COCO(source.coco[0])
    compared = 0
    for image in truth.ids:
        semantic, instance = truth.load(image)
        mine = Counter()
        for k in range(1, int(instance[instance != 255].max(initial=0)) + 1):
            (label,) = np.unique(semantic[instance == k])
            mine[VOC.names[label]] += 1
        theirs, special = Counter(), (semantic == 255).any()
        for a in coco.loadAnns(coco.getAnnIds(imgIds=[int(image)])):
            name = coco.loadCats(a["category_id"])[0]["name"]
            if not a["iscrowd"] and VOC_NAME_OF_COCO.get(name, name) in VOC.names:
                theirs[VOC_NAME_OF_COCO.get(name, name)] += 1
        if special:  # objects that became void, or duplicates
            assert not mine - theirs
        else:
            compared += 1
            assert mine == theirs, image
    assert compared > 0.8 * len(truth.ids)


def test_quotas_that_nothing_can_meet_are_told(real_data, capsys, tmp_path):
    place = real_data / "coco"
    arguments = ("--coco", place / "annotations" / "instances_full.json", "--images", place / "images")
    out = good(capsys, "build-pascal-b", *arguments, "--source", "any", "--out", tmp_path / "set", "--dry-run")
    told = " ".join(out.split())
    assert "goals missed: class-ratio" in told
    assert "The pool may hold too few instances for 60 in each cell; a smaller --per-cell may help." in told
