"""Category ids to labels: by the ground truth, by name, by one reading that fits; never by a guess."""

from __future__ import annotations

from iamiou.coco_categories import COCO_IDS, category_labels
from iamiou.labels import COCO, VOC, ClassList
from tests.packing import Truth


def test_cocos_numbers_for_cocos_classes() -> None:
    truth = Truth(classes=COCO)
    assert category_labels(COCO_IDS, truth) == (dict(zip(COCO_IDS, range(1, 81), strict=True)), [])
    labels, (problem,) = category_labels([1, 12, 80], truth)
    assert labels == {}
    assert str(problem).startswith("1 category id is not among those of COCO: 12. Say what they mean: ")


def test_voc_by_cocos_numbers() -> None:
    """Ids above 20 are COCO's; its categories that VOC does not have are left out with a warning."""
    labels, (problem,) = category_labels([1, 5, 4, 63, 64, 67, 72, 18, 90], Truth())
    names = {i: VOC.names[label] for i, label in labels.items()}
    assert names == {
        1: "person", 5: "aeroplane", 4: "motorbike", 63: "sofa", 64: "pottedplant", 67: "diningtable", 72: "tvmonitor",
        18: "dog",
    }  # fmt: skip
    assert (problem.fatal, problem.names) == (False, ("90 (results: 1)",))


def test_voc_by_its_own_numbers() -> None:
    """12 is no category of COCO, so ids from 1 to 20 with a 12 are VOC's labels."""
    assert category_labels(range(1, 21), Truth()) == ({i: i for i in range(1, 21)}, [])


def test_numbers_that_mean_two_things_are_refused() -> None:
    labels, (problem,) = category_labels([1, 15, 15], Truth())
    assert labels == {}
    assert problem.fatal
    assert str(problem) == (
        "2 category ids can be a label of the class list 'voc' or an id of COCO: "
        "1 (aeroplane or COCO's person), 15 (person or COCO's bench). Say what they mean: write the results as "
        '{"categories": [{"id": 1, "name": "person"}, ...], "annotations": [...]}.'
    )


def test_names_of_voc_for_classes_of_coco() -> None:
    truth = Truth(classes=COCO)
    labels, problems = category_labels([5, 6], truth, {5: "aeroplane", 6: "tvmonitor"})
    assert ([COCO.names[i] for i in labels.values()], problems) == (["airplane", "tv"], [])


def test_classes_of_ones_own() -> None:
    cells = Truth(classes=ClassList("cells", ("background", "nucleus", "membrane")))
    assert category_labels([1, 2, 2], cells) == ({1: 1, 2: 2}, [])
    labels, (problem,) = category_labels([1, 3, 500], cells)
    assert labels == {}
    assert str(problem).startswith(
        "1 category id is neither among the labels of the class list 'cells' nor among those of COCO: 500. "
        "Say what they mean"
    )
    labels, (problem,) = category_labels([0, 1], cells)
    assert problem.names == ("0",)
    people = Truth(classes=ClassList("people", ("background", "person", "dog")))
    assert category_labels([1, 18], people) == ({1: 1, 18: 2}, [])
    assert category_labels([1], people) == ({1: 1}, [])  # both readings agree
