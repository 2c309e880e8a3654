"""The generated pool, as matrices and as files: of COCO's shape, the same from a seed, readable by the builder."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.builders.run import build as build_apart
from iamiou_builders.annotations import read_sources
from iamiou_builders.availability import candidates_of
from iamiou_builders.mapping import load_mapping
from iamiou_builders.recipe import load_recipe
from iamiou_builders.resolve import resolve_pool
from iamiou_builders.selection import select
from tests.builders.pool_files import write_pool
from tests.builders.pools import COCO_TRAIN, SHAPES, make_objects, make_pool

IMAGES = 400


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    return write_pool(folder, IMAGES)


def test_matrices_have_the_shape_of_coco():
    pool = make_pool(20_000, 0)
    shows = (pool.counts.sum(axis=2) > 0).sum(axis=0)
    number = pool.counts.sum(axis=(0, 2))
    for k, (images, instances, *_) in enumerate(SHAPES.values()):
        assert shows[k] == pytest.approx(images * 20_000 / COCO_TRAIN, rel=0.15)
        assert number[k] == pytest.approx(instances * 20_000 / COCO_TRAIN, rel=0.25)
    assert (np.diff(pool.ids) > 0).all()
    assert (pool.available >= 60).sum() >= 55 and (pool.available < 60).any()  # some cells are scarce


def test_the_seed_decides():
    first, again, other = make_pool(500, 3), make_pool(500, 3), make_pool(500, 4)
    assert (first.counts == again.counts).all() and (first.ids == again.ids).all()
    assert first.counts.shape == other.counts.shape and (first.counts != other.counts).any()


def test_files_have_the_size_that_was_promised(files):
    coco, lvis = (json.loads(f.read_text()) for f in files)
    assert len(coco["images"]) == len(lvis["images"]) == IMAGES
    assert len(lvis["annotations"]) == round(12.25 * IMAGES)  # 245,000 for 20,000
    assert len(coco["annotations"]) == pytest.approx(7.3 * IMAGES, abs=2)
    assert any(a["iscrowd"] for a in coco["annotations"])
    assert len({a["id"] for a in lvis["annotations"]}) == len(lvis["annotations"])
    assert {a["image_id"] for a in lvis["annotations"]} <= {i["id"] for i in lvis["images"]}


def build(files):
    recipe = load_recipe("pascal-b")
    coco, lvis = files
    sources = read_sources([coco], [lvis], recipe, load_mapping(recipe.mapping))
    pool = resolve_pool(sources)
    return candidates_of(pool, recipe, source="any")[0]


def test_files_in_another_order_give_the_same_selection(files, tmp_path):
    first, again = build(files), build(write_pool(tmp_path, IMAGES, shuffle=5))
    assert first.ids.tolist() == again.ids.tolist() and (first.counts == again.counts).all()
    assert select(first, per_cell=4).ids.tolist() == select(again, per_cell=4).ids.tolist()
    drawn = np.bincount(make_objects(IMAGES).label, minlength=21)[1:]
    found = first.counts.sum(axis=(0, 2))
    assert found.sum() == pytest.approx(drawn.sum(), rel=0.25)  # some are hidden, some images not eligible


def test_processes_agree_on_list_and_label_maps(tmp_path):
    """Other order of the files, other hash seed, other number of threads: what the benchmark does, on a small pool."""
    for name, shuffle in (("plain", None), ("shuffled", 1)):
        (tmp_path / f"{name}-{IMAGES}").mkdir()
        write_pool(tmp_path / f"{name}-{IMAGES}", IMAGES, shuffle=shuffle)
    first, again = (
        build_apart(tmp_path, IMAGES, *how) for how in (("plain", "0", "1"), ("shuffled", "77", "4"))
    )  # fmt: skip
    assert first["selected"] > 50
    for what in ("list", "maps", "cost", "bound", "goals"):
        assert first[what] == again[what]
