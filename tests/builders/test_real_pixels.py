"""Real COCO and LVIS: both versions of LVIS give the same pixels, and the libraries of both agree on the masks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from iamiou.coco import rle_to_mask
from iamiou_builders.availability import candidates_of
from iamiou_builders.model import Resolved
from iamiou_builders.overlaps import rles_of
from iamiou_builders.painting import paint
from iamiou_builders.resolve import resolve_pool
from iamiou_builders.sources import Sources
from tests.builders.fake_sources import CLASSES, RECIPE, Scene, annotation, rect, write_coco
from tests.builders.fake_sources import image as coco_image
from tests.builders.fake_sources import read as read_files


@pytest.fixture(scope="module")
def folder(real_data: Path) -> Path:
    return real_data / "coco" / "annotations"


@pytest.fixture(scope="module")
def everything(folder: Path) -> Sources:
    coco = [folder / f"instances_{part}.json" for part in ("full", "noimages", "person_only")]
    return read_files(coco, [folder / "lvis_v0.5_val_subset.json"])


@pytest.fixture(scope="module")
def resolved(everything: Sources) -> tuple[Resolved, ...]:
    return resolve_pool(everything)


def test_lvis_v05_and_v1_give_the_same_pixels(folder):
    old, new = (
        resolve_pool(read_files([], [folder / name]))
        for name in ("lvis_v0.5_val_subset.json", "lvis_v1ids_converted_subset.json")
    )
    assert len(old) == 39
    assert sum(len(r.instances) for r in old) > 50
    for a, b in zip(old, new, strict=True):
        assert a == b
        for one, other in zip(paint(a), paint(b), strict=True):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)


def test_both_versions_may_be_given_at_once(folder):
    names = ("lvis_v0.5_val_subset.json", "lvis_v1ids_converted_subset.json")
    assert resolve_pool(read_files([], [folder / n for n in names])) == resolve_pool(
        read_files([], [folder / names[0]])
    )


def test_what_is_painted_is_what_was_counted(everything, resolved):
    assert len(resolved) == 470
    assert len(everything.lvis) == 18
    for r in resolved:
        semantic, instance = paint(r)
        assert semantic.shape == instance.shape == (r.picture.height, r.picture.width)
        pixels = np.bincount(instance.ravel(), minlength=len(r.instances) + 1)
        assert pixels[1 : len(r.instances) + 1].tolist() == [p.visible for p in r.instances]
        for number, piece in enumerate(r.instances, 1):
            assert np.all(semantic[instance == number] == piece.label)
            assert piece.visible >= RECIPE.rules.min_area
            assert piece.visible >= RECIPE.rules.min_visible * piece.area
        assert (semantic == 255).sum() == sum(p.visible for p in r.pieces if not p.label)
        assert np.array_equal(semantic == 0, instance == 0)


def test_an_oracle_that_paints_whole_masks_agrees(resolved):
    crowded = sorted(resolved, key=lambda r: -len(r.pieces))[:40]
    for r in crowded:
        canvas = np.zeros((r.picture.height, r.picture.width), int)
        size = canvas.shape
        masks = [rle_to_mask(m).astype(bool) for m in rles_of([p.counts for p in r.pieces], *size)]
        assert [int(m.sum()) for m in masks] == [p.area for p in r.pieces]
        for number, m in enumerate(masks, 1):
            canvas[m] = number
        found = np.bincount(canvas.ravel(), minlength=len(masks) + 1)[1:]
        assert found.tolist() == [p.visible for p in r.pieces]


def test_every_annotation_is_painted_or_has_a_decision(everything, resolved):
    for r in resolved:
        number = r.picture.id
        told = {pair for d in r.decisions for pair in d.annotations} | {(p.origin, p.annotation) for p in r.pieces}
        for origin, table in (("coco", everything.coco), ("lvis", everything.lvis)):
            masks = table[number].masks if number in table else ()
            assert {(origin, m.annotation) for m in masks} <= told
        assert all(any((p.origin, p.annotation) in d.annotations for d in r.decisions) for p in r.pieces if not p.label)


def test_the_pool_of_val_has_the_counts_that_its_own_instances_give(resolved):
    found, out = candidates_of(resolved, RECIPE)
    assert len(found.ids) + len(out) == len(resolved)
    by_id = {r.picture.id: r for r in resolved}
    for number, counts in zip(found.ids.tolist(), found.counts, strict=True):
        r = by_id[number]
        assert r.picture.split == "val"
        for label in range(1, len(CLASSES)):
            sizes = [p.visible for p in r.instances if p.label == label]
            expected = [
                sum(s < 1024 for s in sizes),
                sum(1024 <= s < 9216 for s in sizes),
                sum(s >= 9216 for s in sizes),
            ]
            assert counts[label - 1].tolist() == expected


def _files(folder: Path) -> Iterator[Path]:
    yield from (folder / f"lvis_{part}_subset.json" for part in ("v0.5_val", "v1ids_converted"))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools to itself
def test_lvis_reads_the_files_and_has_the_same_masks(folder):
    lvis = pytest.importorskip("lvis", exc_type=ImportError)
    for path in _files(folder):
        theirs = lvis.LVIS(str(path))
        ours = read_files([], [path])
        assert sorted(theirs.get_img_ids()) == list(ours.pictures)
        for number, annotated in ours.lvis.items():
            picture = ours.pictures[number]
            rles = rles_of([m.counts for m in annotated.masks], picture.height, picture.width)
            for mask, rle in zip(annotated.masks, rles, strict=True):
                (entry,) = theirs.load_anns([mask.annotation])
                assert theirs.load_cats([entry["category_id"]])[0]["synset"] == mask.category
                assert np.array_equal(theirs.ann_to_mask(entry), rle_to_mask(rle))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools to itself
def test_pycocotools_reads_the_files_and_has_the_same_masks(folder, capsys):
    from pycocotools.coco import COCO

    path = folder / "instances_full.json"
    theirs, ours = COCO(str(path)), read_files([path])
    capsys.readouterr()  # it prints
    assert sorted(theirs.imgs) == list(ours.pictures)
    for number, annotated in ours.coco.items():
        picture = ours.pictures[number]
        rles = rles_of([m.counts for m in annotated.masks], picture.height, picture.width)
        for mask, rle in zip(annotated.masks, rles, strict=True):
            assert np.array_equal(theirs.annToMask(theirs.anns[mask.annotation]), rle_to_mask(rle))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools to itself
def test_both_libraries_read_made_up_files_too(tmp_path, capsys):
    from pycocotools.coco import COCO

    big = rect(10, 10, 60, 60)
    path = write_coco(tmp_path / "coco.json", [coco_image()], [annotation(1, 1, 17, big)])
    theirs = COCO(str(path))
    capsys.readouterr()
    assert np.array_equal(theirs.annToMask(theirs.anns[1]), big)
    lvis = pytest.importorskip("lvis", exc_type=ImportError)
    _, (path,) = Scene(None, [("cat.n.01", big)]).write(tmp_path)
    marked = lvis.LVIS(str(path))
    assert np.array_equal(marked.ann_to_mask(marked.load_anns([1001])[0]), big)
