"""The instances that a report shows: which, where they are cut out, and their outlines."""

from __future__ import annotations

import base64
import io
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from iamiou import crops
from iamiou.counts import Counts
from iamiou.errors import ImageError
from iamiou.outlines import outline


def filled(path: str, shape: tuple[int, int]) -> np.ndarray:
    """Fill SVG path data made of closed horizontal and vertical lines by the even-odd rule."""
    crossings = np.zeros((shape[0] + 4, shape[1] + 4), int)  # of vertical lines, one more on all sides than outlines go
    for loop in re.findall(r"M[^z]*z", path):
        x, y = (int(v) for v in re.match(r"M(-?\d+) (-?\d+)", loop).groups())
        start = (x, y)
        moves = [(k, int(v)) for k, v in re.findall(r"([hv])(-?\d+)", loop)]
        ends = []
        for kind, step in moves:
            if kind == "v":
                ends.append((x, y, y + step))
                y += step
            else:
                x += step
        assert x == start[0] or y == start[1], "z must draw a horizontal or vertical line"
        if y != start[1]:
            ends.append((x, y, start[1]))
        for column, a, b in ends:
            crossings[min(a, b) + 2 : max(a, b) + 2, column + 2] += 1
    return (np.cumsum(crossings, axis=1) % 2 == 1)[2:-2, 2:-2]


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_filling_the_outline_gives_the_mask_back(mask):
    assert np.array_equal(filled(outline(mask), mask.shape), mask)


def test_an_outline_leaves_the_picture_where_the_mask_does():
    assert outline(np.ones((3, 4), bool)) == "M-1 -1h6v5h-6z"
    assert outline(np.zeros((3, 4), bool)) == ""


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
)
def test_a_window_holds_the_instance_and_stays_in_the_image(shape, ends):
    mask = np.zeros(shape, bool)
    top, bottom = sorted(int(e * (shape[0] - 1)) for e in ends[:2])
    left, right = sorted(int(e * (shape[1] - 1)) for e in ends[2:])
    mask[top : bottom + 1, left : right + 1] = True
    a, b, c, d = crops.window(mask)
    assert 0 <= a <= top < b <= shape[0]
    assert 0 <= c <= left < d <= shape[1]
    assert bottom < b
    assert right < d
    side = max(crops.LEAST, math.ceil(max(bottom - top + 1, right - left + 1) / crops.FILL))
    assert b - a == min(side, shape[0])
    assert d - c == min(side, shape[1])


def report(rows, bins=(32, 96)):
    """Return what `pick` needs of a report; rows are (image, id, class, area, tp)."""
    rows = np.array([(*row, 0, 1) for row in rows], np.int64).reshape(-1, 7)
    counts = Counts(99, tuple(f"i{k}" for k in range(20)), *[np.zeros((20, 99), np.int64)] * 4, rows, rows[:0, :3])
    return SimpleNamespace(counts=counts, bins=bins)


def test_the_worst_come_first_and_the_larger_one_among_equals():
    found = crops.pick(report([(k, 1, k + 1, 100 + k, k % 3) for k in range(8)]), 0, 3, best=False)
    assert [p.image for p in found] == ["i6", "i3", "i0"]
    assert [p.iou for p in found] == [0, 0, 0]


def test_the_best_come_first():
    found = crops.pick(report([(k, 1, k + 1, 100, 10 * k) for k in range(8)]), 0, 2, best=True)
    assert [(p.image, p.hit, p.iou) for p in found] == [("i7", 70, 0.7), ("i6", 60, 0.6)]


def test_other_classes_and_images_are_shown_before_the_same_again():
    rows = [
        (0, 1, 5, 100, 0),
        (0, 2, 6, 100, 1),
        (1, 1, 5, 100, 2),
        (2, 1, 7, 100, 3),
        *[(9, k, 9, 100, 90) for k in range(9)],
    ]
    assert [(p.image, p.label) for p in crops.pick(report(rows), 0, 2, best=False)] == [("i0", 5), ("i2", 7)]
    again = crops.pick(report(rows[:4] + rows[4:8]), 0, 4, best=False)
    assert [(p.image, p.label) for p in again] == [("i0", 5), ("i0", 6), ("i2", 7), ("i9", 9)]


@pytest.mark.parametrize(("instances", "worst", "best"), [(0, 0, 0), (1, 1, 0), (2, 1, 1), (3, 2, 1), (50, 4, 4)])
def test_no_instance_is_among_both_the_worst_and_the_best(instances, worst, best):
    r = report([(k % 20, k, k % 9 + 1, 100, k) for k in range(instances)])
    low, high = (crops.pick(r, 0, 4, best=b) for b in (False, True))
    assert (len(low), len(high)) == (worst, best)
    assert not set(low) & set(high)


def test_only_instances_of_the_size_bin_are_taken():
    r = report([(0, 1, 1, 1023, 0), (1, 1, 1, 1024, 0), (2, 1, 1, 9216, 0)])
    assert [[p.area for p in crops.pick(r, k, 4, best=False)] for k in range(3)] == [[1023], [1024], [9216]]


def picture(crop: crops.Crop) -> Image.Image:
    """Decode the embedded PNG."""
    head, data = crop.picture.split(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def scene(shape=(300, 400), void=255):
    semantic, instance, prediction = np.zeros((3, *shape), np.uint8)
    semantic[100:130, 200:240], instance[100:130, 200:240] = 3, 7
    semantic[90:100, 200:240] = instance[90:100, 200:240] = void
    prediction[100:110, 200:240] = 3
    prediction[110:130, 200:240] = 5
    return semantic, instance, prediction


PICK = crops.Pick("a", 3, 7, 1200, 400, 1 / 3)


def test_a_crop_shows_the_instance_and_says_what_it_was_taken_for():
    (crop,) = crops.crops([PICK], lambda _: scene(), None)
    assert (crop.width, crop.height, crop.is_photo, crop.taken_for) == (65, 65, False, 5)
    assert filled(crop.truth, (65, 65)).sum() == 1200
    assert filled(crop.prediction, (65, 65)).sum() == 400
    assert np.asarray(picture(crop)).max() == 2  # background, other instances, this one


def test_a_large_instance_is_shrunk():
    maps = [np.kron(m, np.ones((9, 9), np.uint8)) for m in scene()]
    (crop,) = crops.crops([PICK], lambda _: maps, None)
    assert max(crop.width, crop.height) == crops.SIDE
    assert picture(crop).size == (crop.width, crop.height)


@pytest.mark.parametrize("size", [(400, 300), (274, 274), (800, 600)])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".JPG"])
def test_the_photograph_lies_below_whatever_its_size(tmp_path, size, suffix):
    photo = np.zeros((300, 400, 3), np.uint8)
    photo[100:130, 200:240] = (220, 30, 30)
    path = tmp_path / f"a{suffix}"
    Image.fromarray(photo).resize(size).save(path, "PNG" if suffix == ".png" else "JPEG")
    (crop,) = crops.crops([PICK], lambda _: scene(), tmp_path)
    assert crop.is_photo
    seen = np.asarray(picture(crop).convert("RGB")).astype(int)
    mask = filled(crop.truth, seen.shape[:2])
    assert np.abs(seen[mask].mean(0) - (220, 30, 30)).max() < 25
    assert seen[~mask].mean() < 25


@pytest.mark.parametrize("data", [b"", b"\xff\xd8 no picture", b"\x89PNG\r\n\x1a\n\0\0\0\0"])
def test_a_photograph_that_is_missing_or_broken_gives_way_to_the_masks(tmp_path, data):
    (tmp_path / "a.jpg").write_bytes(data)
    assert not crops.crops([PICK], lambda _: scene(), tmp_path)[0].is_photo
    assert not crops.crops([PICK], lambda _: scene(), tmp_path / "nowhere")[0].is_photo


def test_an_instance_that_cannot_be_read_any_more_has_no_crop():
    def gone(image):
        raise ImageError("broken-png", "files are damaged", image)

    assert crops.crops([PICK], gone, None) == [None]
    assert crops.crops([PICK], lambda _: np.zeros((3, 5, 5), np.uint8), None) == [None]


def test_void_of_16_bits_belongs_to_no_instance():
    semantic, instance, prediction = (m.astype(np.uint16) for m in scene(void=0))
    semantic[100:110, 200:240] = 65535
    (crop,) = crops.crops([PICK], lambda _: (semantic, instance, prediction), None)
    assert filled(crop.truth, (crop.height, crop.width)).sum() == 800
