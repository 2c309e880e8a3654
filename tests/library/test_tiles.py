"""Images counted by strips give the integers of the whole image, whatever the strips; and the tables stay small."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamiou import tiles
from iamiou.big_maps import BigMap, from_array, rows_of
from iamiou.counts import Counts
from iamiou.errors import ImageError
from iamiou.pairs import PairCounter, Rule, ground_truth_components
from iamiou.stand_in import Components
from tests.counting import CLASSES, RULES, agree, expected, random_case
from tests.strategies import Case, cases, checkerboard, comb, diamonds, rings, spiral

ALL_RULES = {**RULES, "miou": Rule(metrics="miou")}


def by_strips(maps, rule: Rule, rows: int) -> PairCounter:
    """Count one image by strips of so many rows."""
    window = rows * maps[1].shape[1]
    assert window < maps[1].size, "a map that fits into a window is not read by strips"
    counter = PairCounter(CLASSES, rule)
    counter.add("image", *(m if m is None else from_array(m, window) for m in maps))
    return counter


def whole(maps, rule: Rule) -> PairCounter:
    counter = PairCounter(CLASSES, rule)
    counter.add("image", *maps)
    return counter


def same(maps, rule: Rule, rows: int) -> Counts:
    """Compare every integer and every warning of the two ways; return the counts."""
    strips, image = by_strips(maps, rule, rows), whole(maps, rule)
    for field in fields(Counts):
        assert np.array_equal(getattr(strips.counts(), field.name), getattr(image.counts(), field.name)), field.name
    assert [str(e) for e in strips.oddities] == [str(e) for e in image.oddities]
    return strips.counts()


def maps_of(case: Case):
    return case.pred, case.semantic, case.instance


@pytest.mark.parametrize("rule", RULES)
@given(case=st.one_of(cases(), cases(void=65535)), data=st.data())
def test_strips_of_any_height_agree_with_the_oracle(rule, case, data):
    height = case.pred.shape[0]
    rows = data.draw(st.one_of(st.just(1), st.integers(1, max(1, height - 1))))
    if height > 1:
        agree(same(maps_of(case), RULES[rule], rows), expected(case, rule))


@pytest.mark.parametrize("rule", ALL_RULES)
@given(case=cases(most=20), rows=st.integers(1, 6), stand_in=st.booleans())
def test_strips_agree_with_the_whole_image(rule, case, rows, stand_in):
    pred, semantic, instance = maps_of(case)
    if rows < len(pred):
        same((pred, semantic, None if stand_in else instance), ALL_RULES[rule], rows)


SHAPES = {"checkerboard": checkerboard, "spiral": spiral, "comb": comb, "rings": rings, "diamonds": diamonds}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shape", SHAPES)
def test_hard_shapes_at_every_height(shape, rule):
    size, others = (23, 19), itertools.cycle(SHAPES.values())
    next(others)
    mask = SHAPES[shape](*size)
    semantic = (next(others)(*size) % 2).astype(np.uint8)
    instance = (semantic * (1 + np.indices(size)[0] // 5)).astype(np.uint8)
    for turned in (mask, mask[::-1], mask[:, ::-1]):
        pred = (turned % 3).astype(np.uint8)
        for rows in (1, 2, 3, 7, 22):
            same((pred, semantic, instance), RULES[rule], rows)
            same((pred, semantic, None), RULES[rule], rows)


@pytest.mark.parametrize("pred", ["u1", "u2", "i2", "i8", ">u4"])
@pytest.mark.parametrize("semantic", ["u1", "u2", ">u2", "i4"])
@pytest.mark.parametrize("instance", ["u1", "u2", "i4", "u4", "i8"])
def test_every_mixture_of_dtypes(pred, semantic, instance):
    case = random_case(3, (40, 50), void=255)
    truth = case.semantic.astype(semantic)
    if semantic.endswith("u2"):
        truth[truth == 255] = 65535
    same((case.pred.astype(pred), truth, case.instance.astype(instance)), Rule(), 3)


def test_a_wide_map_is_as_narrow_as_its_largest_label_anywhere():
    """255 is void in a map of small labels and an id where a larger one comes in the last row."""
    case = random_case(4, (30, 40))
    wide = case.instance.astype(np.int64)
    same((case.pred, case.semantic, wide), Rule(), 1)
    wide[-1, -1] = 300
    same((case.pred, case.semantic, wide), Rule(), 1)
    wide[-1, -1] = 70_000
    same((case.pred, case.semantic, wide), Rule(), 1)


def test_ids_beyond_a_million():
    case = random_case(5, (60, 33))
    ids = np.where(case.instance == 255, 0, case.instance).astype(np.int32)
    large = np.where(ids % 3 == 0, ids * 8_000_009, ids).astype(np.int32)
    found = same((case.pred, case.semantic, large), Rule(), 4)
    assert found.instances[:, 1].max() > tiles.MOST_IDS
    assert (np.diff(found.instances[:, 1]) > 0).all()


def test_an_instance_whose_class_shows_late():
    """Instance 1 is of class 1 for many rows, and of class 2 by one pixel of its last row; so all is judged anew."""
    semantic, pred = np.zeros((2, 40, 12), np.uint8)
    semantic[:, 2:6], pred[::2, 2:9] = 1, 1
    instance = (semantic > 0).astype(np.uint8)
    semantic[39, 5] = 2
    for rule in RULES:
        for rows in (1, 4):
            agree(same((pred, semantic, instance), RULES[rule], rows), expected(Case(pred, semantic, instance), rule))
    assert same((pred, semantic, instance), Rule(), 4).phantoms.shape[0] == 20, "nothing is left of class 1 to touch"


def test_a_hole_may_close_in_the_last_row_or_never():
    """Twenty squares in a frame: one component when the frame is closed, twenty-one when it has a gap."""
    pred, semantic = np.zeros((2, 50, 40), np.uint8)
    pred[:, [0, 39]], pred[[0, 49]] = 1, 1
    pred[5:45:8, 5:35:8] = 1
    semantic[0, 0] = 1
    closed = same((pred, semantic, semantic), Rule(), 2)
    assert len(closed.phantoms) == 0
    assert closed.instances[0, -2:].tolist() == [int((pred == 1).sum()) - 1, 1]
    pred[49, 20] = 0
    opened = same((pred, semantic, semantic), Rule(), 2)
    assert len(opened.phantoms) == 20


@given(case=cases(most=25), rows=st.integers(1, 5), reach=st.integers(0, 1))
def test_components_are_numbered_as_in_the_whole_map(case, rows, reach):
    labels = case.semantic
    rows = min(rows, len(labels))
    numbers = Components(from_array(labels, rows * labels.shape[1]), rows, reach)
    out = np.empty(labels.shape, np.int32)
    for first in range(0, len(labels), rows):
        numbers.fill(first, labels[first : first + rows], out[first : first + rows])
    assert np.array_equal(out, ground_truth_components(labels, 8 if reach else 4))


def tables(pred, rows: int, rule: Rule) -> dict[str, int]:
    """Columns of the tables after an image was counted by strips."""
    truth = np.zeros_like(pred)
    truth[::7, ::3] = 1
    counter = by_strips((pred, truth, truth), rule, rows)
    room = counter._room
    return {name: getattr(room, name).shape[1] for name in ("run", "comp", "overlap")}


@pytest.mark.parametrize("rule", RULES)
def test_the_tables_do_not_grow_with_the_height(rule):
    rng = np.random.default_rng(0)
    noise = (rng.random((16_000, 600)) < 0.3).astype(np.uint8)
    assert tables(noise[:2000], 20, RULES[rule]) == tables(noise, 20, RULES[rule])


def test_what_may_lie_in_a_hole_is_kept_without_its_runs():
    rng = np.random.default_rng(1)
    noise = (rng.random((8_000, 600)) < 0.1).astype(np.uint8)
    plain = tables(noise, 20, Rule())
    noise[:, [1, -2]], noise[1] = 0, 0
    noise[:, [0, -1]], noise[0] = 1, 1  # everything else lies in what may become a hole
    framed = tables(noise, 20, Rule())
    assert framed["run"] == plain["run"]
    components = int(ground_truth_components(noise).max())
    assert components < framed["comp"] < 3 * components
    assert max(tables(noise, 20, Rule(components="plain")).values()) < 10_000 < components


def test_one_component_over_many_instances_keeps_a_record_for_each():
    """Two instances in turn under one component, in every row: two records, not two a row."""
    pred, truth = np.ones((5_000, 60), np.uint8), np.ones((5_000, 60), np.uint8)
    truth[:, 30:] = 2
    counter = by_strips((pred, (truth > 0).astype(np.uint8), truth), Rule(), 4)
    assert counter._room.overlap.shape[1] <= 1024
    assert counter.counts().instances[:, 4].tolist() == [150_000, 150_000]


def refused(maps, rule: Rule, rows: int | None) -> str:
    with pytest.raises(ImageError) as e:
        whole(maps, rule) if rows is None else by_strips(maps, rule, rows)
    return str(e.value)


def test_errors_are_the_same_sentences():
    case = random_case(6, (30, 40))
    pred, semantic, instance = maps_of(case)
    far = pred.copy()
    far[[3, 20], 5] = 17
    odd = semantic.copy()
    odd[[3, 20], 5] = 99
    void = pred.copy()
    void[7:25, 2] = 255
    for maps in (
        (far, semantic, instance),
        (pred, odd, instance),
        (void, semantic, instance),
        (pred[:-1], semantic, instance),
        (pred, semantic, instance[:, :-1]),
        (pred.astype(np.int64) - 1, semantic, instance),
        (pred, semantic.astype(np.int32) + 70_000, instance),
        (pred.astype(np.float32), semantic, instance),
        (pred[0], semantic, instance),
    ):
        sentence = refused(maps, Rule(), None)
        window = 5 * 40
        counter = PairCounter(CLASSES, Rule())
        with pytest.raises(ImageError) as e:
            counter.add("image", *(from_array(m, window) if m.ndim == 2 else m for m in maps))
        assert str(e.value) == sentence
    background = Rule(pred_void="background")
    same((void, semantic, instance), background, 5)


def test_all_254_ids_with_void_is_refused_by_strips_too():
    instance = np.arange(1, 255, dtype=np.uint8).repeat(4).reshape(-1, 8)
    instance = np.vstack([instance, np.full((1, 8), 255, np.uint8)])
    semantic = np.ones_like(instance)
    assert refused((semantic, semantic, instance), Rule(), 4) == refused((semantic, semantic, instance), Rule(), None)


def test_a_counter_counts_large_and_small_images_in_turn():
    one, two = random_case(7, (60, 40)), random_case(8, (25, 70))
    mixed, plain = PairCounter(CLASSES, Rule()), PairCounter(CLASSES, Rule())
    for k in range(3):
        mixed.add(f"large{k}", *(from_array(m, 170) for m in maps_of(one)))
        mixed.add(f"small{k}", *maps_of(two))
        mixed.add(f"window{k}", *(from_array(m, 10_000) for m in maps_of(two)))  # fits into its window
        for name, case in (("large", one), ("small", two), ("window", two)):
            plain.add(f"{name}{k}", *maps_of(case))
    assert mixed.counts() == plain.counts()


def test_a_strip_is_read_once_and_no_more_than_a_strip():
    case = random_case(9, (64, 50))
    asked: list[tuple[int, int]] = []

    def watched(labels: np.ndarray) -> BigMap:
        def fill(first: int, out: np.ndarray) -> None:
            asked.append((first, len(out)))
            out[...] = labels[first : first + len(out)]

        return BigMap(labels.shape, labels.dtype, fill, 6, 6 * 50)

    counter = PairCounter(CLASSES, Rule())
    counter.add("image", watched(case.pred), watched(case.semantic), watched(case.instance))
    assert sorted(asked) == sorted([(first, min(6, 64 - first)) for first in range(0, 64, 6)] * 3)


def test_many_classes_are_kept_by_image_and_come_out_dense():
    names = ClassListOf(1204)
    rng = np.random.default_rng(10)
    counter, dense = PairCounter(names, Rule()), np.zeros((3, 4, 1204), np.int64)
    for k in range(4):
        truth, pred = rng.integers(0, 1204, (2, 20, 30)).astype(np.uint16)
        truth[0], pred[:, :9] = 65535, truth[:, :9] % 1204
        counter.add(str(k), pred, truth, None)
        seen = truth != 65535
        for row, labels in enumerate((truth[seen], pred[seen], truth[seen & (truth == pred)])):
            dense[row, k] = np.bincount(labels, minlength=1204)
    found = counter.counts()
    assert np.array_equal(np.stack([found.truth, found.prediction, found.hit]), dense)
    assert all(values.shape[1] <= 1200 for _, values in counter._per_class)


def ClassListOf(number: int):  # noqa: N802
    from iamiou.labels import ClassList

    return ClassList("many", tuple(f"class{c}" for c in range(number)))


def test_rows_of_a_strip():
    assert rows_of((100, 10), 95) == 9
    assert rows_of((100, 10), 3) == 1
    assert rows_of((100, 10), 10**6) == 100
    assert rows_of((100, 10), 95, block=4) == 8
    assert rows_of((100, 10), 95, block=16) == 16


def test_ordinary_images_do_not_load_the_kernels_of_large_ones():
    code = """if True:
        import sys, numpy as np, iamiou
        labels = np.ones((50, 60), np.uint8)
        iamiou.score(labels, labels, labels)
        loaded = {"iamiou.closing", "iamiou.borders", "iamiou.tiles", "iamiou.raster", "rasterio"} & set(sys.modules)
        assert not loaded, loaded
    """
    subprocess.run([sys.executable, "-c", code], check=True)
