"""Lists of images: every dialect that is around, and what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from iamiou.errors import ProblemsFound
from iamiou.ground_truth import open_ground_truth
from iamiou.image_lists import read_list
from tests import fakes

IMAGES = fakes.scenes(3)
IDS = tuple(i.id for i in IMAGES)


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    return fakes.voc_devkit(tmp_path / "VOC2012", IMAGES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a\nb\n", ("a", "b")),
        (b"\xef\xbb\xbfb\r\n\r\n  a  \r\n", ("a", "b")),
        (b"a 1\nb -1\nc  0", ("a", "b", "c")),
        (b"/JPEGImages/a.jpg /SegmentationClass/a.png\n", ("a",)),
        (b"x\\y\\a.JPEG x\\y\\a.png 1.png\n", ("a",)),
        (b"images/v1.5_a.png\nv1.5_b\n", ("v1.5_a", "v1.5_b")),
        ("mit Leerzeichen\nbjörn 7\n".encode(), ("björn 7", "mit Leerzeichen")),
    ],
)
def test_lists(tmp_path: Path, text: bytes, expected: tuple[str, ...]) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(text)
    assert read_list(path) == (expected, [])


def test_images_listed_twice_are_a_warning(devkit: Path, tmp_path: Path) -> None:
    path = tmp_path / "twice.txt"
    path.write_text(f"{IDS[1]}\n{IDS[0]}\n{IDS[1]} 1\n")
    truth = open_ground_truth(devkit, list_file=path)
    assert truth.ids == IDS[:2]
    assert [str(p) for p in truth.warnings] == [
        f"1 image is listed more than once in '{path}': {IDS[1]}. Each is counted once."
    ]


def test_unknown_images_of_a_list_are_all_named(devkit: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("\n".join([*IDS, *(f"z{k}" for k in range(7))]))
    with pytest.raises(ProblemsFound) as caught:
        open_ground_truth(devkit, list_file=path)
    (problem,) = caught.value.problems
    assert (problem.kind, problem.names) == ("listed-not-found", tuple(f"z{k}" for k in range(7)))
    folder = devkit / "SegmentationClass"
    assert str(problem) == (
        f"7 images of the list '{path}' have no label map in '{folder}': z0, z1, z2, z3, z4 and 2 more. Remove them "
        "from the list, or add what is missing."
    )
    path.write_text("other\n")
    with pytest.raises(ProblemsFound) as caught:
        open_ground_truth(devkit, list_file=path)
    assert str(caught.value) == (
        f"1 image of the list '{path}' has no label map in '{folder}': other. No image of the list is there; those of "
        "the ground truth are named like '2007_000001'."
    )
