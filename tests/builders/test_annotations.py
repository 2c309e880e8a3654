"""Reading COCO and LVIS: what the pool is, which order does not matter, and a sentence for everything that is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iamiou.errors import InputError, ProblemsFound
from iamiou_builders.availability import candidates_of
from iamiou_builders.resolve import resolve_pool
from tests.builders.fake_sources import (
    COCO_IDS,
    RECIPE,
    Scene,
    annotation,
    image,
    lvis_ids,
    lvis_image,
    read,
    rect,
    resolve,
    rle,
    seen,
    write_coco,
    write_lvis,
)

CAT, DOG, PERSON = COCO_IDS["cat"], COCO_IDS["dog"], COCO_IDS["person"]
BIG, APART = rect(10, 10, 60, 60), rect(100, 100, 40, 40)


def kinds(sources: Any) -> list[str]:
    return [w.kind for w in sources.warnings]


def coco(folder: Path, *annotations: Any, images: Any = None, name: str = "coco.json", **more: Any) -> Path:
    return write_coco(folder / name, images or [image()], annotations, **more)


def refused(*args: Any) -> str:
    with pytest.raises(ProblemsFound) as e:
        read(*args)
    return str(e.value)


# What is read


def test_the_pool_is_that_of_coco(tmp_path):
    ids = lvis_ids("v1")
    both = [annotation(k, k, ids["cat.n.01"], BIG) for k in (1, 2)]
    lvis = write_lvis(tmp_path / "lvis.json", [lvis_image(1), lvis_image(2)], both)
    sources = read([coco(tmp_path)], [lvis])
    assert list(sources.pictures) == list(sources.lvis) == [1]
    assert [str(w) for w in sources.warnings if w.kind == "not-in-pool"] == [
        "1 LVIS image lies in no COCO file: 2. Left out."
    ]


def test_lvis_alone_says_what_it_costs(tmp_path):
    sources = read(*Scene(None, [("cat.n.01", BIG)], neg=("dog.n.01",)).write(tmp_path))
    assert kinds(sources) == ["unsettled"]
    assert "18 of 20 pairs of image and class (90.0 %)" in str(sources.warnings[0])


def test_coco_alone_says_what_it_costs(tmp_path):
    assert kinds(read([coco(tmp_path)])) == ["no-lvis"]


def test_coco_with_one_category_leaves_the_others_open(tmp_path):
    sources = read([coco(tmp_path, annotation(1, 1, PERSON, BIG), categories={"person": 1})])
    assert kinds(sources) == ["unsettled", "no-lvis"]
    assert "19 of 20 pairs" in str(sources.warnings[0])


def test_coco_and_lvis_together_warn_of_nothing(tmp_path):
    assert kinds(read(*Scene([("cat", BIG)], [("cat.n.01", BIG)]).write(tmp_path))) == []


def test_versions_of_lvis_are_mapped_by_synset(tmp_path):
    scene = Scene([("dog", BIG)], [("dog.n.01", BIG), ("cat.n.01", APART)], neg=("horse.n.01",))
    one = resolve(tmp_path, scene)
    other = resolve(tmp_path, replace(scene, version="v0.5"))
    assert lvis_ids("v1")["dog.n.01"] != lvis_ids("v0.5")["dog.n.01"]
    assert one == other
    assert seen(one) == [("dog", "lvis", 1001, 3600), ("cat", "lvis", 1002, 1600)]


def test_the_version_is_recorded_though_both_call_themselves_1_0(tmp_path):
    for version in ("v0.5", "v1"):
        (file,) = read(*Scene(None, [], version=version).write(tmp_path)).files
        assert (file.kind, file.version, file.images, file.annotations) == ("lvis", version, 1, 0)


def test_the_name_of_an_image_is_that_of_2017(tmp_path):
    picture = lvis_image(1, file_name="COCO_val2014_000000000001.jpg")
    sources = read([coco(tmp_path)], [write_lvis(tmp_path / "lvis.json", [picture], [])])
    assert sources.pictures[1].file_name == "000000000001.jpg"


@pytest.mark.parametrize(
    ("url", "split"),
    [
        ("http://images.cocodataset.org/val2017/000000000001.jpg", "val"),
        ("http://images.cocodataset.org/train2017/000000000001.jpg", "train"),
        ("http://images.cocodataset.org/val2014/COCO_val2014_000000000001.jpg", "unknown"),
        ("", "unknown"),
    ],
)
def test_an_image_of_unknown_split_counts_as_train(tmp_path, url, split):
    sources = read([coco(tmp_path, annotation(1, 1, CAT, BIG), images=[image(coco_url=url)])])
    assert sources.pictures[1].split == split
    resolved = resolve_pool(sources)
    found, out = candidates_of(resolved, RECIPE)
    assert len(found.ids) == (split == "val")
    assert [e.reason for e in out] == ([] if split == "val" else ["train"])
    assert len(candidates_of(resolved, RECIPE, source="any")[0].ids) == 1


def test_leaked_images_and_other_licences_are_left_out(tmp_path):
    pictures = [image(k, license=k) for k in (1, 2, 3)]
    found = [annotation(k, k, CAT, BIG) for k in (1, 2, 3)]
    resolved = resolve_pool(read([coco(tmp_path, *found, images=pictures)]))
    candidates, out = candidates_of(resolved, RECIPE, leaks={2}, licenses={1, 2})
    assert candidates.ids.tolist() == [1]
    assert [(e.id, e.name, e.reason) for e in out] == [(2, "000000000002", "leaked"), (3, "000000000003", "license")]


def test_the_order_of_files_and_of_what_is_in_them_does_not_matter(tmp_path):
    ids = lvis_ids("v1")
    pictures = [image(k) for k in (1, 2, 3)]
    found = [annotation(k, 1 + k % 3, CAT, rect(5 * k, 3 * k, 50, 40)) for k in range(1, 9)]
    marked = [annotation(k, 1 + k % 3, ids["cat.n.01"], rect(5 * k, 3 * k + 1, 50, 40)) for k in range(1, 9)]
    results = []
    for step, folder in ((1, tmp_path / "a"), (-1, tmp_path / "z")):
        folder.mkdir()
        one = coco(folder, *[a for a in found if a["image_id"] < 3][::step], images=pictures[:2][::step], name="1.json")
        two = coco(folder, *[a for a in found if a["image_id"] == 3][::step], images=pictures[2:], name="2.json")
        lvis = write_lvis(folder / "lvis.json", [lvis_image(k) for k in (1, 2, 3)][::step], marked[::step])
        results.append(resolve_pool(read([one, two][::step], [lvis])))
    assert results[0] == results[1]
    assert sum(len(r.decisions) for r in results[0]) == 8


def test_two_files_that_agree_on_an_image_are_one(tmp_path):
    found = [annotation(1, 1, PERSON, BIG), annotation(2, 1, CAT, APART)]
    whole = coco(tmp_path, *found)
    persons = coco(tmp_path, found[0], name="persons.json", categories={"person": 1})
    sources = read([whole, persons])
    assert len(sources.coco[1].masks) == 2
    assert len(sources.coco[1].complete) == 20
    assert len(sources.files) == 2


# What is wrong


@pytest.mark.parametrize(
    ("other", "detail"),
    [
        ({"images": [image(size=(200, 241))]}, "200 x 240 and 200 x 241|200 x 241 and 200 x 240"),
        ({"images": [image(file_name="2.jpg")]}, "000000000001.jpg|2.jpg"),
        ({"images": [image(split="train2017")]}, "train2017 and val2017"),
        ({"images": [image()]}, "other masks, in coco.json and other.json"),
    ],
)
def test_two_files_that_define_one_image_differently_are_refused(tmp_path, other, detail):
    one = coco(tmp_path, annotation(1, 1, CAT, BIG))
    two = coco(tmp_path, name="other.json", **other)
    said = refused([one, two])
    assert said.startswith("1 image is defined differently by two files: image 1 (")
    assert any(d in said for d in detail.split("|"))


def test_coco_and_lvis_that_differ_in_size_are_refused(tmp_path):
    lvis = write_lvis(tmp_path / "lvis.json", [lvis_image(1, height=100)], [])
    assert "image 1 (COCO and LVIS, 200 x 240 and 100 x 240)" in refused([coco(tmp_path)], [lvis])


def test_two_images_of_one_name_in_two_files_are_refused(tmp_path):
    one = coco(tmp_path)
    two = coco(tmp_path, images=[image(2, file_name="000000000001.jpg")], name="other.json")
    assert "1 image id stands for more than one image: 000000000001 (numbers 1 and 2)" in refused([one, two])


def test_nothing_to_read_is_refused():
    with pytest.raises(InputError, match="give COCO json with --coco, LVIS json with --lvis, or both"):
        read()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.json' cannot be read: No such file"):
        read([tmp_path / "none.json"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"images": [{"id": 1', "is not valid json .* is it cut short"),
        ("", "is not valid json"),
        ("\xff", "is not valid json|neither"),
        ("[" * 100_000, "is not valid json"),
        ("[]", "is a list, as COCO results are"),
        ("{}", "neither COCO nor LVIS: it has no list of images and annotations and categories"),
        ('{"images": [], "annotations": [], "categories": []}', "lists no image"),
    ],
)
@pytest.mark.parametrize("kind", ["coco", "lvis"])
def test_what_is_no_annotation_file_is_refused(tmp_path, text, sentence, kind):
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=sentence):
        read(**{kind: [path]})


def test_coco_and_lvis_cannot_be_swapped(tmp_path):
    coco_files, lvis_files = Scene([], []).write(tmp_path)
    with pytest.raises(InputError, match="was given with --lvis, but it is COCO; give it with --coco"):
        read([], coco_files)
    with pytest.raises(InputError, match="was given with --coco, but it is LVIS; give it with --lvis"):
        read(lvis_files)


def test_another_vocabulary_than_those_of_lvis_is_refused(tmp_path):
    path = write_lvis(tmp_path / "lvis.json", [lvis_image(1)], [])
    document = json.loads(path.read_text())
    document["categories"].pop()
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"lvis\.json' has categories of 1202 synsets, neither the 1230 of v0.5"):
        read([], [path])


def test_categories_that_mean_something_else_are_refused(tmp_path):
    with pytest.raises(InputError, match="calls category 17 'dog', but in the mapping it is 'cat'"):
        read([coco(tmp_path, categories={"dog": 17})])
    with pytest.raises(InputError, match="has none of the COCO categories of the mapping"):
        read([coco(tmp_path, categories={"truck": 8})])


WRONG = [
    (annotation(7, 2, CAT, BIG), "1 annotation is of an image that the file does not list: annotation 7 (image_id 2)"),
    (annotation(7, 1, 99, BIG), "of a category that the file does not list: annotation 7 (category_id 99)"),
    (
        annotation(7, 1, CAT, [[1, 1, 5, 5]]),
        "1 mask has a polygon that is none: annotation 7 of image 1 (4 coordinates)",
    ),
    (annotation(7, 1, CAT, [[1, 1, 5, 5, 9]]), "(5 coordinates)"),
    (annotation(7, 1, CAT, [[1, 1, 5, 5, 9, None]]), "polygon that is none: annotation 7 of image 1"),
    (annotation(7, 1, CAT, [[1, 1, 5, 5, 9, 10**400]]), "polygon that is none: annotation 7 of image 1"),
    (annotation(7, 1, CAT, [[1, 1, 5, 5, 9, float("nan")]]), "coordinates that are no numbers"),
    (annotation(7, 1, CAT, [[1, 1, 5, 5, 9, 9999]]), "coordinates far outside the image"),
    (annotation(7, 1, CAT, ["abcdef"]), "polygon that is none"),
    (annotation(7, 1, CAT, []), "1 annotation has no mask: annotation 7 of image 1"),
    (annotation(7, 1, CAT, None), "1 annotation has no mask"),
    (annotation(7, 1, CAT, rle(rect(0, 0, 5, 5, (50, 50)))), "(50 x 50, image 200 x 240)"),
    (annotation(7, 1, CAT, {"size": [200, 240], "counts": [10, 20]}), "run lengths that do not fill the image"),
    (annotation(7, 1, CAT, {"size": [200, 240], "counts": "P"}), "(they cannot be read)"),
    ({"id": 7}, "1 annotation is incomplete: annotation 0 of the list"),
    ("what", "1 annotation is incomplete: annotation 0 of the list"),
]


@pytest.mark.parametrize(("entry", "sentence"), WRONG)
def test_a_wrong_annotation_is_named(tmp_path, entry, sentence):
    assert sentence in refused([coco(tmp_path, entry)])


def test_all_problems_of_all_files_are_said_at_once(tmp_path):
    one = coco(tmp_path, annotation(7, 1, CAT, [[1, 1, 5, 5]]), annotation(8, 2, CAT, BIG))
    two = coco(tmp_path, annotation(9, 3, CAT, [[1, 1, 5, 5]]), images=[image(3)], name="two.json")
    said = refused([one, two])
    assert (
        "2 masks have a polygon that is none: annotation 7 of image 1 (4 coordinates), annotation 9 of image 3" in said
    )
    assert "1 annotation is of an image that the file does not list" in said


def test_masks_of_other_categories_are_not_looked_at(tmp_path):
    assert read([coco(tmp_path, annotation(7, 1, COCO_IDS["truck"], [[1, 1]]))]).coco[1].masks == ()


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (image(height=0), "no height and width"),
        (image(width="9"), "no height and width"),
        ({**image(), "id": "1"}, "no whole number as id"),
        (image(file_name="", coco_url=""), "neither file_name nor coco_url"),
        (image(height=2**20, width=2**20), "claims more than 1073741824 pixels"),
        (image(file_name="\x1b[2J.jpg"), "has a name that can be no plain file"),
        (image(file_name=".hidden.jpg"), "has a name that can be no plain file"),
    ],
)
def test_a_wrong_image_is_named(tmp_path, entry, sentence):
    said = refused([coco(tmp_path, images=[entry])])
    assert any(s in said for s in sentence.split("|"))
    assert "\x1b" not in said


def test_an_image_listed_twice_is_refused(tmp_path):
    assert "1 number stands for more than one image: 1" in refused([coco(tmp_path, images=[image(), image()])])


@pytest.mark.parametrize("lists", [{"neg_category_ids": [99999]}, {"not_exhaustive_category_ids": "all"}])
def test_lists_of_categories_that_lvis_does_not_have_are_refused(tmp_path, lists):
    path = write_lvis(tmp_path / "lvis.json", [lvis_image(1) | lists], [])
    assert "1 image has categories, as negative or not exhaustive, that the file lacks" in refused([], [path])


def test_an_area_that_disagrees_with_the_mask_is_a_warning(tmp_path):
    sources = read([coco(tmp_path, annotation(1, 1, CAT, BIG, area=9999), annotation(2, 1, CAT, APART, area=1601))])
    (said,) = [str(w) for w in sources.warnings if w.kind == "area-differs"]
    assert "annotation 1 of image 1 (9999, its mask has 3600 pixels). The mask counts." in said
    assert "annotation 2" not in said


def test_a_mask_without_a_pixel_is_left_out(tmp_path):
    sources = read([coco(tmp_path, annotation(1, 1, CAT, [[5, 5, 5.1, 5, 5.1, 5.1]]))])
    assert "1 annotation has a mask without a pixel: annotation 1 of image 1. Left out." in map(str, sources.warnings)
    assert sources.coco[1].masks == ()


def test_progress_is_told(tmp_path):
    told: list[tuple[str, int, int]] = []
    files = Scene([("cat", BIG)], [("cat.n.01", BIG)]).write(tmp_path)
    from iamiou_builders.annotations import read_sources
    from iamiou_builders.mapping import load_mapping

    sources = read_sources(*files, RECIPE, load_mapping(RECIPE.mapping), progress=lambda *a: told.append(a))
    resolve_pool(sources, progress=lambda *a: told.append(a))
    assert told[-1] == ("conflicts", 1, 1)
    assert ("masks of coco.json", 1, 1) in told
    assert np.all([done <= total for _, done, total in told])
