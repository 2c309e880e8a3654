"""What stands beside the label maps: every file says the same, and what others read out of it too."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from iamiou.ground_truth import open_ground_truth
from iamiou_builders.build import build
from iamiou_builders.plan import Options
from tests.builders.small_pool import COUNT, lines, make_pool

# What pycocotools' decoder warns about lies between it and NumPy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
BINS = (1024, 9216)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a build of the whole pool: every licence and a crowd are in it."""
    folder = tmp_path_factory.mktemp("whole")
    pool = make_pool(folder / "pool")
    options = Options("pascal-b", coco=(pool.coco,), lvis=(pool.lvis,), images=pool.images, per_cell=50)
    build(options, folder / "set")
    return folder / "set"


@pytest.fixture(scope="module")
def manifest(root):
    return lines(root / "manifest.jsonl")


def devkit_counts(root):
    """Count instances by image, class and size in the PNGs, with NumPy alone."""
    truth = open_ground_truth(root)
    counts = Counter()
    for image in truth.ids:
        semantic, instance = truth.load(image)
        for k in range(1, int(instance[instance != 255].max(initial=0)) + 1):
            mine = instance == k
            (label,) = np.unique(semantic[mine])
            counts[image, truth.classes.names[label], int(np.searchsorted(BINS, mine.sum(), side="right"))] += 1
    return counts


def coco_counts(path):
    """Count the same with pycocotools."""
    from pycocotools.coco import COCO

    coco = COCO(path)
    counts = Counter()
    for a in coco.loadAnns(coco.getAnnIds(iscrowd=False)):
        area = int(coco.annToMask(a).sum())
        assert area == a["area"]
        name = coco.loadCats(a["category_id"])[0]["name"]
        image = coco.loadImgs(a["image_id"])[0]["file_name"].removesuffix(".jpg")
        counts[image, name, int(np.searchsorted(BINS, area, side="right"))] += 1
    return counts


def test_devkit_coco_json_and_manifest_count_the_same(root, manifest, capsys):
    by_png = devkit_counts(root)
    assert coco_counts(root / "annotations" / "instances_pascal_b.json") == by_png
    said = Counter()
    for entry in manifest:
        for piece in entry["instances"]:
            said[entry["image"], piece["class"], "SML".index(piece["size"])] += 1
        assert sum(sum(row.values()) for row in entry["counts"].values()) == len(entry["instances"])
    assert said == by_png
    assert sum(by_png.values()) == json.loads((root / "build.json").read_text())["instances"] > 40


def test_void_is_a_crowd_of_every_class(root):
    from pycocotools import mask

    document = json.loads((root / "annotations" / "instances_pascal_b.json").read_text())
    truth = open_ground_truth(root)
    crowds = [a for a in document["annotations"] if a["iscrowd"]]
    names = {i["id"]: i["file_name"].removesuffix(".jpg") for i in document["images"]}
    assert {a["category_id"] for a in crowds} == set(range(1, 21))
    for a in crowds:
        semantic, _ = truth.load(names[a["image_id"]])
        np.testing.assert_array_equal(mask.decode(a["segmentation"]) == 1, semantic == 255)
    assert {names[a["image_id"]] for a in crowds} == {i for i in truth.ids if (truth.load(i)[0] == 255).any()} != set()


def test_coco_json_overlaps_nowhere_and_names_its_sources(root, manifest):
    from pycocotools import mask

    document = json.loads((root / "annotations" / "instances_pascal_b.json").read_text())
    assert [a["id"] for a in document["annotations"]] == list(range(1, len(document["annotations"]) + 1))
    by_image = {e["id"]: e["instances"] for e in manifest}
    for image in document["images"]:
        mine = [a for a in document["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]]
        assert sum(mask.decode(a["segmentation"]).astype(int) for a in mine).max() == 1
        assert [(a["instance"], a["source"], a["source_id"], a["area"]) for a in mine] == [
            (p["id"], p["source"], p["annotation"], p["visible"]) for p in by_image[image["id"]]
        ]
    assert {a.get("source") for a in document["annotations"]} == {"coco", "lvis", None}


def test_every_image_of_the_pool_is_accounted_for(root, manifest):
    rest = lines(root / "pool.jsonl")
    names = [e["image"] for e in manifest] + [e["image"] for e in rest]
    assert len(names) == len(set(names)) == COUNT
    assert all(e["why"] for e in rest)
    crowd = next(e for e in manifest if any("crowd" in v["flags"] for v in e["void"]))
    assert any(d["rule"] == "crowd" for d in crowd["decisions"])


def test_attribution_names_author_and_licence_of_every_picture(root, manifest):
    with open(root / "ATTRIBUTION.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["image"] for r in rows] == [e["image"] for e in manifest]
    row = next(r for r in rows if r["licence_id"] == "3")
    assert (row["licence"], row["licence_url"]) == (
        "CC BY-NC-ND 2.0",
        "https://creativecommons.org/licenses/by-nc-nd/2.0/",
    )
    assert row["author_page"].startswith("https://www.flickr.com/photo.gne?id=35735165")
    assert {r["licence"] for r in rows if not r["licence_id"]} == {"unknown"}


def test_statistics_agree_with_the_maps(root):
    stats = json.loads((root / "stats.json").read_text())
    counts = devkit_counts(root)
    for row in stats["classes"]:
        for b, size in enumerate("SML"):
            mine = sum(n for (_, name, where), n in counts.items() if (name, where) == (row["name"], b))
            assert row[size]["instances"] == mine
            assert row[size]["missing"] == max(0, min(50, row[size]["available"]) - mine)
        assert row["images"] == len({image for image, name, _ in counts if name == row["name"]})
    assert stats["instances"] == sum(counts.values()) == sum(stats["areas"]["chosen"])
    person, car = (stats["together"]["classes"].index(n) for n in ("person", "cat"))
    both = {i for i, n, _ in counts if n == "person"} & {i for i, n, _ in counts if n == "cat"}
    assert stats["together"]["images"][person][car] == stats["together"]["images"][car][person] == len(both)
    assert sum(stats["licences"].values()) == sum(stats["coco_splits"].values()) == stats["images"]


def test_the_datasheet_says_what_the_set_is(root):
    text = (root / "DATASHEET.md").read_text(encoding="utf-8")
    record = json.loads((root / "build.json").read_text())
    for part in ("**This is a reconstruction.**", record["digest"], record["list_sha256"], "| person |", "CC BY-NC-ND"):
        assert part in text
    for heading in "Motivation Composition Collection Uses Distribution Maintenance".split():
        assert f"\n## {heading}" in text
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(table) >= 20 and "{{" not in text and "None" not in text


CROISSANT = """
import logging, sys
logging.disable(logging.CRITICAL)
import mlcroissant
data = mlcroissant.Dataset(sys.argv[1])
assert not data.metadata.ctx.issues.errors, data.metadata.ctx.issues.report()
for record in data.records("images"):
    print(record["images/image"].decode(), record["images/height"], record["images/semantic"].decode())
"""


def test_croissant_is_valid_and_its_records_can_be_read(root, manifest):
    done = subprocess.run(
        [sys.executable, "-c", CROISSANT, root / "croissant.json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{e['image']} {e['height']} {e['semantic']}" for e in manifest]


def test_no_file_tells_the_time_or_a_path_of_this_machine(root):
    for path in root.rglob("*"):
        if path.suffix in (".json", ".jsonl", ".md", ".html", ".csv", ".txt"):
            text = path.read_text(encoding="utf-8")
            assert str(root.parent) not in text and "/tmp/" not in text
            assert "2026-" not in text


def test_goals_and_solver_stand_in_the_record(root):
    record = json.loads((root / "build.json").read_text())
    assert {g["name"] for g in record["goals"]} >= {"shortfall", "class-ratio", "class-ratio-mean", "leaked"}
    assert set(record["solver"]) == {"method", "status", "objective", "bound", "gap", "details"}
    assert [f["kind"] for f in record["inputs"]].count("lvis") == 1
    assert all(len(f["sha256"]) == 64 for f in record["inputs"])
    assert record["order"]["per_cell"] == 50
