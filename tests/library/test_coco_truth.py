"""COCO and LVIS json as ground truth: what is painted, and a sentence for everything that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iamiou.errors import InputError
from iamiou.ground_truth import GroundTruth, open_ground_truth
from iamiou.labels import COCO, ClassList
from tests import fakes

Document = dict[str, Any]


def square(number: int, image: int = 1, category: int = 1, left: int = 0, side: int = 4) -> Document:
    right = left + side
    polygon = [left, 0, right, 0, right, side, left, side]
    return {"id": number, "image_id": image, "category_id": category, "segmentation": [polygon], "iscrowd": 0}


def document(*annotations: Document) -> Document:
    return {
        "images": [
            {"id": 1, "file_name": "a.jpg", "height": 10, "width": 20},
            {"id": 2, "coco_url": "http://images.example/val2017/b.jpg", "height": 10, "width": 20},
        ],
        "annotations": list(annotations) or [square(1)],
        "categories": [{"id": 1, "name": "person"}, {"id": 5, "name": "airplane"}, {"id": 47, "name": "cup"}],
    }


def open_json(folder: Path, content: Document | str | list[Any], **options: Any) -> GroundTruth:
    path = folder / "truth.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return open_ground_truth(path, **options)


def warnings(truth: GroundTruth, *ignored: str) -> list[str]:
    return [str(p) for p in truth.warnings if p.kind not in ignored]


def test_fake_scenes_come_back_exactly(tmp_path: Path) -> None:
    for classes, labels in ((COCO, range(1, 81)), (ClassList("own", COCO.names), range(1, 81))):
        images = fakes.scenes(3, labels=tuple(labels))
        truth = open_ground_truth(fakes.coco_truth(tmp_path / "truth.json", images, COCO.names), classes=classes)
        assert truth.ids == tuple(i.id for i in images)
        assert truth.known == frozenset(truth.ids)
        assert (truth.instances_from, truth.warnings) == ("annotation", ())
        assert truth.image_ids == {n: i.id for n, i in enumerate(images, start=1)}
        assert truth.category_labels == dict(zip(fakes.COCO_IDS, range(1, 81), strict=True))
        for image in images:
            semantic, instance = truth.load(image.id)
            assert np.array_equal(semantic, image.semantic)
            assert instance is not None
            kept = np.unique(image.instance[image.instance != 255])  # ids are renumbered without gaps
            expected = np.where(image.instance == 255, 255, np.searchsorted(kept, image.instance))
            assert np.array_equal(instance, expected)


def test_images_without_annotation_are_background(tmp_path: Path) -> None:
    truth = open_json(tmp_path, document())
    assert truth.ids == ("a", "b")
    semantic, instance = truth.load("b")
    assert instance is not None
    assert semantic.shape == instance.shape == (10, 20)
    assert not semantic.any()
    assert not instance.any()
    assert truth.load("a")[0][:, :5].tolist() == [[15] * 4 + [0]] * 4 + [[0] * 5] * 6


def test_a_list_chooses_images_and_spares_the_others(tmp_path: Path) -> None:
    chosen = tmp_path / "list.txt"
    chosen.write_text("b\n")
    broken = square(1) | {"segmentation": [[1, 2]]}  # of image a, which is not asked for
    truth = open_json(tmp_path, document(broken, square(2, image=2)), list_file=chosen)
    assert truth.ids == ("b",)
    assert truth.known == {"a", "b"}
    assert truth.image_ids == {1: "a", 2: "b"}
    assert truth.load("b")[0].any()
    chosen.write_text("b\nc\n")
    with pytest.raises(InputError, match=r"1 image of the list '.*list.txt' has no entry in '.*truth.json': c"):
        open_json(tmp_path, document(), list_file=chosen)


def test_categories_go_by_name_and_the_rest_is_background(tmp_path: Path) -> None:
    crowd_of_cups = square(4, category=47, left=14) | {"iscrowd": 1}
    mixed = document(square(1), square(2, category=5, left=5), square(3, category=47, left=10), crowd_of_cups)
    truth = open_json(tmp_path, mixed)
    assert truth.category_labels == {1: 15, 5: 1}
    assert truth.load("a")[0][0].tolist() == [15] * 4 + [0] + [1] * 4 + [0] * 11
    assert warnings(truth, "class-absent") == [
        "1 category of the annotations is not in the class list 'voc': cup (2 annotations). Their objects are "
        "background."
    ]
    (absent,) = (p for p in truth.warnings if p.kind == "class-absent")
    assert len(absent.names) == 18
    assert str(absent).startswith("18 classes are no categories of '")
    truth = open_json(tmp_path, mixed, classes=ClassList("mine", ("background", "cup", "aeroplane")))
    assert truth.category_labels == {5: 2, 47: 1}
    assert truth.load("a")[0][0].tolist() == [0] * 5 + [2] * 4 + [0] + [1] * 4 + [255] * 4 + [0] * 2
    assert warnings(truth) == [
        "1 category of the annotations is not in the class list 'mine': person (1 annotation). Their objects are "
        "background."
    ]


def test_coco_labels_of_all_80_and_of_a_subset(tmp_path: Path) -> None:
    subset = open_json(tmp_path, document(), classes=COCO)
    assert subset.category_labels == {1: 1, 5: 5, 47: COCO.names.index("cup")}
    unknown = document(square(1), square(2, category=5))
    unknown["categories"][1]["name"] = "Aeroplane"
    with pytest.raises(InputError) as caught:
        open_json(tmp_path, unknown, classes=COCO)
    assert str(caught.value).splitlines()[0] == (
        "1 category of the annotations is none of COCO's 80: Aeroplane (1 annotation). Write names of its categories "
        "into a text file, one a line, and give it with --classes FILE."
    )


def test_hidden_and_empty_instances_are_named(tmp_path: Path) -> None:
    empty = square(4, image=2) | {"segmentation": {"size": [10, 20], "counts": [200]}}
    truth = open_json(tmp_path, document(square(2, side=5), square(3, side=5), empty))
    assert warnings(truth, "class-absent") == [
        "1 annotation covers no pixel: annotation 4 of image b. Left out.",
        "1 instance is hidden entirely by smaller or equal ones of the same image: annotation 2 of image a (person, "
        "25 pixels). Left out: one pixel belongs to one instance.",
    ]
    assert set(truth.load("a")[1].ravel().tolist()) == {0, 2}  # type: ignore[union-attr]


def test_lvis_is_known_by_its_keys_and_warns(tmp_path: Path) -> None:
    lvis = document()
    lvis["categories"] = [
        {"id": 1, "name": "baby", "synset": "person.n.01"},
        {"id": 5, "name": "car_(automobile)", "synset": "car.n.01"},
    ]
    own = ClassList("own", ("background", "person.n.01", "car_(automobile)"))
    truth = open_json(tmp_path, lvis, classes=own)
    assert truth.category_labels == {1: 1, 5: 2}
    assert [p.kind for p in truth.warnings] == ["federated"]
    assert "1 ground truth is LVIS, where objects of a class are annotated in some images only" in str(
        truth.warnings[0]
    )
    by_image = document()
    by_image["images"][0]["neg_category_ids"] = []
    assert "federated" in [p.kind for p in open_json(tmp_path, by_image, classes=ClassList("o", ("b", "cup"))).warnings]
    with pytest.raises(
        InputError, match=r"20 classes are no categories of '.*', which is LVIS: aeroplane, .*--classes"
    ):
        open_json(tmp_path, lvis)


def _with(table: str, place: int, **fields: Any) -> Callable[[], Document]:
    def make() -> Document:
        made = document(square(1), square(2))
        made[table][place] = {k: v for k, v in (made[table][place] | fields).items() if v is not ...}
        return made

    return make


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "cut short": (lambda: json.dumps(document())[:-30], "is not valid json .* is it cut short"),
    "not json": (lambda: "\x00\x01", "is not valid json"),
    "too deep": (lambda: "[" * 100_000, "is not valid json"),
    "results": (
        lambda: [{"image_id": 1}],
        "is a list, as COCO results are, and no ground truth; give predictions first",
    ),
    "a number": (lambda: "3", "neither COCO nor LVIS: it has no list of images and annotations and categories"),
    "no categories": (lambda: document() | {"categories": {}}, "neither COCO nor LVIS: it has no list of categories"),
    "no image": (lambda: document() | {"images": []}, "lists no image, so there is nothing to score"),
    "image is text": (
        lambda: document() | {"images": ["a.jpg"]},
        r"1 image is incomplete: image 0 of the list \(no whole number as id\). An image is {id, file_name",
    ),
    "unnamed image": (
        _with("images", 1, coco_url=...),
        r"1 image is incomplete: image 1 of the list \(neither file_name nor coco_url\)",
    ),
    "image without size": (_with("images", 1, height=0), r"image 1 of the list \(no height and width\)"),
    "one number for two": (_with("images", 1, id=1), "1 number stands for more than one image: 1. Give each"),
    "one id for two": (
        _with("images", 1, file_name="train/a.png"),
        r"1 image id stands for more than one image: a \(numbers 1 and 2\). The stems of file names must differ",
    ),
    "huge image": (
        _with("images", 1, height=10**6),
        r"1 image claims more than 10000 pixels: b \(1000000 x 20\). Raise --max-pixels",
    ),
    "annotation is text": (
        lambda: document() | {"annotations": ["x"]},
        "1 annotation is incomplete: annotation 0 of the list. An annotation is {id, image_id",
    ),
    "annotation without id": (_with("annotations", 1, id=...), "1 annotation is incomplete: annotation 1 of the"),
    "unknown image": (
        _with("annotations", 1, image_id=9),
        r"1 annotation is of an image that the file does not list: annotation 2 \(image_id 9\)",
    ),
    "unknown category": (
        _with("annotations", 1, category_id=9),
        r"1 annotation is of a category that the file does not list: annotation 2 \(category_id 9\)",
    ),
    "same annotation id": (_with("annotations", 1, id=1), "1 annotation has the id of another one: annotation 1"),
    "no segmentation": (
        _with("annotations", 1, segmentation=...),
        "1 annotation has no mask: annotation 2 of image a. Give polygons or run lengths",
    ),
    "two points": (
        _with("annotations", 1, segmentation=[[1, 1, 2, 2]]),
        r"1 mask has a polygon that is none: annotation 2 of image a \(4 coordinates\). A polygon is .* 3 points or",
    ),
    "another size": (
        _with("annotations", 1, segmentation={"size": [20, 10], "counts": [200]}),
        r"1 mask is of another size than the image: annotation 2 of image a \(20 x 10, image 10 x 20\)",
    ),
    "bad runs": (
        _with("annotations", 1, segmentation={"size": [10, 20], "counts": [20]}),
        r"1 mask has run lengths that do not fill the image: annotation 2 of image a \(20 pixels, image 200\)",
    ),
    "category without name": (_with("categories", 2, name=...), "1 category is incomplete: category 2 of the list"),
    "one id for two categories": (
        _with("categories", 2, id=5),
        r"1 category id stands for more than one category: 5 \(airplane, cup\). Give each",
    ),
    "foreign names": (
        lambda: document() | {"categories": [{"id": 1, "name": "nucleus"}]},
        "20 classes are no categories of '.*', nor is any other: aeroplane, .* and 15 more. Write names of its cat",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_has_a_sentence(tmp_path: Path, case: str) -> None:
    make, sentence = BAD[case]
    with pytest.raises(InputError, match=sentence) as caught:
        open_json(tmp_path, make(), max_pixels=10_000)
    assert caught.value.exit_code == 2
    assert all(line.endswith((".", "?")) for line in str(caught.value).splitlines())


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    bad = [square(k, image=9) for k in range(1, 8)] + [square(20) | {"segmentation": []}]
    with pytest.raises(InputError) as caught:
        open_json(tmp_path, document(*bad))
    lines = [line for line in str(caught.value).splitlines() if "classes" not in line]
    assert len(lines) == 2
    assert lines[0].startswith("7 annotations are of an image that the file does not list: annotation 1 (image_id 9), ")
    assert "and 2 more" in lines[0]
    assert lines[1].startswith("1 annotation has no mask: annotation 20 of image a.")


def test_names_are_shown_without_escapes(tmp_path: Path) -> None:
    named = document(square(1) | {"segmentation": []})
    named["images"][0]["file_name"] = "dir\\a\x1b[2J.jpg"
    with pytest.raises(InputError, match=r"annotation 1 of image 'a\\x1b\[2J'"):
        open_json(tmp_path, named)
