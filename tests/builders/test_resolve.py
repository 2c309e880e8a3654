"""Every rule of the ground truth, on pixels drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from iamiou_builders.availability import candidates_of
from iamiou_builders.painting import paint
from iamiou_builders.resolve import resolve_pool
from tests.builders.fake_sources import (
    RECIPE,
    Scene,
    annotation,
    area,
    image,
    read,
    rect,
    resolve,
    rules_of,
    seen,
    void,
    write_coco,
)

BIG, SHIFTED = rect(10, 10, 60, 60), rect(10, 20, 60, 60)  # 3600 pixels each, 3000 shared: IoU 5/7
APART, FAR = rect(100, 100, 40, 40), rect(150, 190, 30, 40)


def test_a_matched_object_takes_the_mask_of_lvis(tmp_path):
    found = resolve(tmp_path, Scene([("cat", BIG)], [("cat.n.01", SHIFTED)]))
    assert seen(found) == [("cat", "lvis", 1001, 3600)]
    assert rules_of(found) == ["match"]
    assert found.decisions[0].annotations == (("coco", 1), ("lvis", 1001))
    semantic, _ = paint(found)
    assert np.array_equal(semantic == 8, SHIFTED)


@pytest.mark.parametrize(("columns", "matched"), [(20, True), (21, False)])
def test_the_threshold_of_a_match_is_an_iou_of_one_half(tmp_path, columns, matched):
    # 60 columns, shifted by 20: 40 of 80 shared, IoU 0.5 exactly.
    found = resolve(tmp_path, Scene([("cat", BIG)], [("cat.n.01", rect(10, 10 + columns, 60, 60))]))
    assert ("match" in rules_of(found)) == matched


def test_matching_takes_the_best_pair_first(tmp_path):
    near, nearer = rect(10, 14, 60, 60), rect(10, 11, 60, 60)
    found = resolve(tmp_path, Scene([("sheep", BIG)], [("sheep.n.01", near), ("sheep.n.01", nearer)]), duplicate_iou=1)
    assert [d.annotations for d in found.decisions if d.rule == "match"] == [(("coco", 1), ("lvis", 1002))]


def test_objects_of_other_classes_never_match(tmp_path):
    found = resolve(tmp_path, Scene([("cat", BIG)], [("dog.n.01", SHIFTED)]))
    assert "match" not in rules_of(found)


def test_a_dining_table_keeps_the_mask_of_coco(tmp_path):
    found = resolve(tmp_path, Scene([("dining table", BIG)], [("dining_table.n.01", SHIFTED)]))
    assert seen(found) == [("diningtable", "coco", 1, 3600)]
    assert rules_of(found) == ["match"]


def test_a_dining_table_that_only_lvis_has_is_an_instance(tmp_path):
    assert seen(resolve(tmp_path, Scene(None, [("dining_table.n.01", BIG)]))) == [("diningtable", "lvis", 1001, 3600)]


def test_a_potted_plant_keeps_the_mask_of_coco(tmp_path):
    found = resolve(tmp_path, Scene([("potted plant", BIG)], [("pot.n.04", rect(40, 10, 30, 60))]))
    assert seen(found) == [("pottedplant", "coco", 1, 3600)]
    assert rules_of(found) == ["evidence"]


@pytest.mark.parametrize("coco", [None, []])
def test_a_flowerpot_without_a_plant_of_coco_is_void(tmp_path, coco):
    found = resolve(tmp_path, Scene(coco, [("pot.n.04", BIG)]))
    assert seen(found) == []
    assert void(found) == [("lvis", 1001, 3600, ("evidence",))]


def test_parts_add_pixels_to_their_train_and_no_instance(tmp_path):
    train = rect(10, 10, 30, 100)
    inside = rect(10, 95, 30, 20)  # 15 of 20 columns lie in the train
    found = resolve(tmp_path, Scene([("train", train)], [("car.n.02", inside)]))
    assert seen(found) == [("train", "coco", 1, 30 * 105)]
    assert rules_of(found) == ["part"]
    semantic, instance = paint(found)
    assert np.array_equal(semantic == 19, train | inside)
    assert np.array_equal(instance == 1, train | inside)


def test_a_part_never_replaces_the_mask_of_its_train(tmp_path):
    found = resolve(tmp_path, Scene([("train", BIG)], [("car.n.02", rect(10, 10, 60, 58))]))
    assert seen(found) == [("train", "coco", 1, 3600)]


@pytest.mark.parametrize("coco", [None, [], [("train", APART)]])
def test_a_part_without_its_train_is_void(tmp_path, coco):
    found = resolve(tmp_path, Scene(coco, [("passenger_car.n.01", BIG)]))
    assert ("lvis", 1001, 3600, ("part",)) in void(found)
    assert [row[0] for row in seen(found)] == ["train"] * len(coco or [])


def test_parts_join_the_train_of_lvis_too(tmp_path):
    scene = Scene(None, [("train.n.01", rect(10, 10, 30, 100)), ("freight_car.n.01", rect(10, 95, 30, 20))])
    assert seen(resolve(tmp_path, scene)) == [("train", "lvis", 1001, 30 * 105)]


def test_an_object_that_only_lvis_has_is_added_and_flagged(tmp_path):
    found = resolve(tmp_path, Scene([("cat", BIG)], [("cat.n.01", APART)]))
    assert seen(found) == [("cat", "coco", 1, 3600), ("cat", "lvis", 1001, 1600)]
    assert {p.annotation: p.flags for p in found.pieces} == {1: ("coco_only",), 1001: ("lvis_only",)}
    assert rules_of(found) == ["coco-only", "lvis-only"]


def test_lvis_alone_has_no_such_flag(tmp_path):
    found = resolve(tmp_path, Scene(None, [("cat.n.01", BIG)]))
    assert [p.flags for p in found.pieces] == [()]


def test_an_object_that_only_coco_has_stays_where_lvis_did_not_look(tmp_path):
    found = resolve(tmp_path, Scene([("cat", BIG)], [("dog.n.01", APART)]))
    assert ("cat", "coco", 1, 3600) in seen(found)


def test_an_object_of_coco_that_lvis_looked_for_in_vain_is_void(tmp_path):
    found = resolve(tmp_path, Scene([("cat", BIG), ("dog", APART)], [], neg=("cat.n.01",)))
    assert seen(found) == [("dog", "coco", 2, 1600)]
    assert void(found) == [("coco", 1, 3600, ("contradiction",))]
    assert rules_of(found)[0] == "contradiction"


@pytest.mark.parametrize("synset", ["kitten.n.01", "pot.n.04", "dining_table.n.01"])
def test_only_the_main_synset_of_a_class_can_contradict_coco(tmp_path, synset):
    scene = Scene([("cat", BIG), ("dining table", APART), ("potted plant", FAR)], [], neg=(synset,))
    assert len(seen(resolve(tmp_path, scene))) == 3


def test_no_contradiction_where_lvis_has_the_class_under_another_synset(tmp_path):
    scene = Scene([("boat", BIG), ("boat", APART)], [("kayak.n.01", BIG)], neg=("boat.n.01",))
    assert len(seen(resolve(tmp_path, scene))) == 2


def test_crowds_are_void_and_no_instances(tmp_path):
    found = resolve(tmp_path, Scene([("person", APART)], None, crowds=[("person", BIG)]))
    assert seen(found) == [("person", "coco", 1, 1600)]
    assert void(found) == [("coco", 901, 3600, ("crowd",))]
    assert "crowd" in rules_of(found)


def test_a_crowd_never_matches_and_smaller_objects_lie_on_it(tmp_path):
    one = rect(20, 20, 20, 20)
    found = resolve(tmp_path, Scene([], [("person.n.01", one)], crowds=[("person", BIG)]))
    assert seen(found) == [("person", "lvis", 1001, 400)]
    semantic, _ = paint(found)
    assert np.array_equal(semantic == 255, BIG & ~one)


def test_twice_in_one_source_keeps_the_mask_with_more_corners(tmp_path):
    coarse = [[10, 10, 70, 10, 70, 70, 10, 70]]
    fine = [[10, 10, 40, 10, 70, 10, 70, 40, 70, 69, 10, 69]]
    found = resolve(tmp_path, Scene([("cat", coarse), ("cat", fine)]))
    assert seen(found) == [("cat", "coco", 2, 60 * 59)]
    assert rules_of(found) == ["duplicate"]
    assert found.decisions[0].annotations == (("coco", 1), ("coco", 2))


def test_of_equal_corners_the_lower_id_stays_and_synsets_of_one_class_are_twins(tmp_path):
    found = resolve(tmp_path, Scene(None, [("car.n.01", BIG), ("cab.n.03", BIG)]))
    assert seen(found) == [("car", "lvis", 1001, 3600)]


@pytest.mark.parametrize(("rows", "kept"), [(48, 2), (49, 1)])
def test_twins_need_an_iou_above_0_8(tmp_path, rows, kept):
    found = resolve(tmp_path, Scene([("cow", BIG), ("cow", rect(10, 10, rows, 60))]), min_visible=0.0)
    assert len(seen(found)) == kept


def test_crowds_are_no_twins(tmp_path):
    found = resolve(tmp_path, Scene([("cow", BIG)], crowds=[("cow", BIG)]))
    assert "duplicate" not in rules_of(found)


@pytest.mark.parametrize(("rows", "clash"), [(48, False), (49, True)])
def test_two_classes_for_one_mask_are_void(tmp_path, rows, clash):
    found = resolve(tmp_path, Scene([("chair", BIG), ("couch", rect(10, 10, rows, 60))]), min_visible=0.0)
    assert ("conflict" in rules_of(found)) == clash
    assert len(seen(found)) == (0 if clash else 2)
    if clash:
        semantic, _ = paint(found)
        assert np.array_equal(semantic == 255, BIG)
        assert {flags for *_, flags in void(found)} == {("conflict",)}


def test_coco_and_lvis_can_conflict(tmp_path):
    found = resolve(tmp_path, Scene([("couch", BIG)], [("armchair.n.01", BIG)]))
    assert seen(found) == []
    assert rules_of(found)[:3] == ["lvis-only", "conflict", "ignored"]


def test_an_undecided_category_in_place_of_an_object_is_a_conflict(tmp_path):
    found = resolve(tmp_path, Scene(None, [("car.n.01", BIG), ("pickup.n.01", BIG)]))
    assert seen(found) == []
    assert "conflict" in rules_of(found)


def test_undecided_categories_are_void_unless_coco_has_an_object_there(tmp_path):
    stool, touching = rect(100, 100, 30, 30), rect(60, 60, 30, 30)
    found = resolve(tmp_path, Scene([("chair", BIG)], [("stool.n.01", stool), ("stool.n.01", touching)]))
    assert seen(found) == [("chair", "coco", 1, 3600)]
    assert void(found) == [("lvis", 1001, 900, ("ignore",))]
    semantic, _ = paint(found)
    assert not semantic[80, 80]  # the rest of the stool that touches: COCO counts


def test_an_undecided_category_of_two_classes_is_settled_by_either(tmp_path):
    pet = [("pet.n.01", SHIFTED)]
    beside = rect(10, 60, 30, 60)  # touches the pet
    assert void(resolve(tmp_path, Scene([("dog", beside)], pet))) == []
    assert void(resolve(tmp_path, Scene([("cat", beside)], pet))) == []
    assert ("lvis", 1001, 3000, ("ignore",)) in void(resolve(tmp_path, Scene([("horse", beside)], pet)))


def test_an_undecided_category_is_settled_by_the_same_object_of_another_class_in_coco(tmp_path):
    found = resolve(tmp_path, Scene([("bus", BIG)], [("motor_vehicle.n.01", SHIFTED)]))
    assert seen(found) == [("bus", "coco", 1, 3600)]
    assert void(found) == []


def test_categories_that_are_none_of_the_classes_are_background(tmp_path):
    found = resolve(tmp_path, Scene([("truck", BIG)], [("helicopter.n.01", BIG), ("laptop.n.01", APART)]))
    assert found.pieces == ()
    assert not paint(found)[0].any()


def test_where_outlines_differ_too_much_to_match_the_rest_of_the_larger_is_void(tmp_path):
    inner = rect(10, 10, 60, 25)  # IoU 0.42
    found = resolve(tmp_path, Scene([("bird", BIG)], [("bird.n.01", inner)]))
    assert seen(found) == [("bird", "lvis", 1001, 1500)]
    assert void(found) == [("coco", 1, 2100, ("coco_only", "disputed"))]


def test_an_object_of_lvis_inside_one_that_both_have_is_void(tmp_path):
    found = resolve(tmp_path, Scene([("bird", BIG)], [("bird.n.01", BIG), ("duck.n.01", rect(20, 20, 20, 20))]))
    assert seen(found) == [("bird", "lvis", 1001, 3200)]
    assert void(found) == [("lvis", 1002, 400, ("lvis_only", "disputed"))]


def test_objects_of_one_source_may_overlap(tmp_path):
    found = resolve(tmp_path, Scene([("person", BIG), ("person", rect(20, 20, 20, 20))]))
    assert len(seen(found)) == 2


def test_large_ones_are_painted_first(tmp_path):
    small, large = rect(20, 20, 10, 10), BIG
    found = resolve(tmp_path, Scene([("bottle", small), ("person", large)]))
    semantic, instance = paint(found)
    assert seen(found) == [("bottle", "coco", 1, 100), ("person", "coco", 2, 3500)]
    assert np.array_equal(semantic == 5, small)
    assert np.array_equal(instance == 2, small)  # painted second
    assert np.array_equal(instance == 1, large & ~small)


def test_of_equal_areas_the_later_id_lies_on_top(tmp_path):
    found = resolve(tmp_path, Scene([("cat", SHIFTED), ("dog", BIG)]))
    assert np.array_equal(paint(found)[0] == 12, BIG)


def test_sizes_are_those_of_the_visible_pixels(tmp_path):
    found = resolve(
        tmp_path, Scene([("person", area(9216)), ("bottle", rect(0, 0, 1, 1)), ("cat", rect(5, 5, 10, 10))])
    )
    counts, _ = candidates_of([found], RECIPE)
    assert counts.counts[0, 14].tolist() == [0, 1, 0]  # 9216 pixels, of which 9115 are seen


@pytest.mark.parametrize(("pixels", "place"), [(16, 0), (1023, 0), (1024, 1), (9215, 1), (9216, 2), (20000, 2)])
def test_bins_partition_the_sizes(tmp_path, pixels, place):
    found, _ = candidates_of([resolve(tmp_path, Scene([("cat", area(pixels))]))], RECIPE)
    assert found.counts[0, 7].tolist() == [int(k == place) for k in range(3)]
    assert found.available.sum() == 1


@pytest.mark.parametrize(("pixels", "kept"), [(15, 0), (16, 1)])
def test_too_small_instances_become_void(tmp_path, pixels, kept):
    found = resolve(tmp_path, Scene([("cat", area(pixels)), ("dog", APART)]))
    assert len(seen(found)) == 1 + kept
    assert ("small" in rules_of(found)) == (not kept)
    assert (paint(found)[0] == 255).sum() == (0 if kept else 15)


def test_the_smallest_area_is_a_choice(tmp_path):
    assert len(seen(resolve(tmp_path, Scene([("cat", area(15))]), min_area=15))) == 1


@pytest.mark.parametrize(("covered", "kept"), [(48, True), (49, False)])
def test_instances_hidden_to_more_than_80_percent_become_void(tmp_path, covered, kept):
    under = rect(10, 10, 60, 60)
    lid = rect(10, 10, covered, 60)
    lid[0:6] = False
    found = resolve(tmp_path, Scene([("couch", under), ("cat", lid)]), conflict_iou=1.0)
    assert ("sofa" in [row[0] for row in seen(found)]) == kept
    if not kept:
        assert ("coco", 1, 660, ("hidden",)) in void(found)


def test_hidden_pixels_stay_void_and_do_not_turn_into_background(tmp_path):
    found = resolve(tmp_path, Scene([("couch", BIG), ("cat", rect(10, 10, 49, 60))]), conflict_iou=1.0)
    semantic, instance = paint(found)
    assert (semantic == 255).sum() == (instance == 255).sum() == 11 * 60


def test_partial_classes_keep_their_objects_but_bar_the_image(tmp_path):
    found = resolve(tmp_path, Scene(None, [("sheep.n.01", BIG), ("sheep.n.01", APART)], partial=("sheep.n.01",)))
    assert [p.flags for p in found.instances] == [("not_exhaustive",)] * 2
    assert found.ineligible[0].startswith("not-exhaustive: ")
    candidates, (out,) = candidates_of([found], RECIPE)
    assert len(candidates.ids) == 0
    assert out.reason == "not-exhaustive"


@pytest.mark.parametrize(("objects", "crowds", "allowed"), [(2, 0, True), (1, 0, False), (3, 0, False), (2, 1, False)])
def test_partial_classes_are_settled_when_coco_counts_as_many(tmp_path, objects, crowds, allowed):
    three = [("sheep", BIG), ("sheep", APART), ("sheep", FAR)]
    scene = Scene(
        three[:objects], [("sheep.n.01", BIG), ("sheep.n.01", APART)], partial=("sheep.n.01",),
        crowds=[("sheep", rect(0, 0, 5, 5))] * crowds,
    )  # fmt: skip
    found = resolve(tmp_path, scene)
    assert (found.ineligible == ()) == allowed
    assert "not-exhaustive" in rules_of(found)


@pytest.mark.parametrize(("rows", "allowed"), [(15, True), (16, False)])
def test_images_with_more_than_a_fifth_of_void_are_barred(tmp_path, rows, allowed):
    # 60 rows of object; 15 rows of crowd are 20 % of 75.
    found = resolve(tmp_path, Scene([("person", BIG)], crowds=[("person", rect(100, 10, rows, 60))]))
    assert found.ignored == pytest.approx(rows / (60 + rows))
    assert (found.ineligible == ()) == allowed
    assert ("ignored" in rules_of(found)) == (not allowed)


def test_an_image_without_objects_has_nothing_to_select(tmp_path):
    found = resolve(tmp_path, Scene([]))
    assert (found.pieces, found.decisions) == ((), ())
    assert candidates_of([found], RECIPE)[1][0].reason == "empty"


def test_an_image_of_a_coco_file_that_lacks_categories_is_barred(tmp_path):
    persons = write_coco(tmp_path / "coco.json", [image()], [annotation(1, 1, 1, BIG)], {"person": 1})
    (found,) = resolve_pool(read([persons]))
    assert seen(found) == [("person", "coco", 1, 3600)]
    assert found.ineligible == ("unsettled: nothing says that all aeroplane, bicycle, bird and 16 more are annotated",)
    assert candidates_of([found], RECIPE)[1][0].reason == "unsettled"


def test_lvis_alone_is_not_barred_for_what_it_leaves_open(tmp_path):
    assert resolve(tmp_path, Scene(None, [("person.n.01", BIG)])).ineligible == ()


def test_what_lies_on_a_part_hides_it(tmp_path):
    train, part, bottle = rect(10, 10, 30, 100), rect(10, 95, 30, 20), rect(12, 111, 5, 3)
    found = resolve(tmp_path, Scene([("train", train), ("bottle", bottle)], [("car.n.02", part)]), min_area=1)
    assert seen(found) == [("train", "coco", 1, 30 * 105 - 15), ("bottle", "coco", 2, 15)]
