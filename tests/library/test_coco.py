"""COCO segmentations against pycocotools, and everything that must not reach its C code."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pycocotools.mask as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamiou.coco import rle_area, rle_boxes, rle_counts, rle_to_mask, segmentation_to_rle
from iamiou.coco_paint import Mask, Picture, arrange, hidden, paint
from iamiou.errors import ImageError
from tests import fakes


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    blocks = np.kron(rng.random((height, width)) < draw(st.floats(0, 1)), np.ones((draw(st.integers(1, 9)), 1)))
    return blocks[:height].astype(np.uint8)


def encode(mask: Any) -> Any:
    return reference.encode(np.asfortranarray(np.asarray(mask, np.uint8)))


def decode(rle: Any) -> Any:
    with warnings.catch_warnings():  # of pycocotools to itself: its __array__ has no copy keyword
        warnings.simplefilter("ignore", DeprecationWarning)
        return reference.decode(rle)


@given(masks())
def test_all_forms_of_run_lengths_give_the_mask(mask: np.ndarray) -> None:
    height, width = mask.shape
    expected = encode(mask)
    compressed = {"size": [height, width], "counts": expected["counts"].decode()}
    for segmentation in (expected, compressed, fakes.rle(mask == 1)):
        rle = segmentation_to_rle(segmentation, height, width)
        assert rle == expected
        assert np.array_equal(rle_to_mask(rle), mask)
        assert rle_area(rle) == mask.sum()


def test_long_runs_take_several_characters() -> None:
    mask = np.zeros((3000, 2000), np.uint8)
    mask[2990:, 500:] = mask[1, 1] = 1
    assert np.array_equal(rle_to_mask(encode(mask)), mask)
    counts = rle_counts(encode(mask)["counts"])
    assert counts is not None
    assert counts.sum() == mask.size


@given(st.lists(st.lists(st.floats(-9, 39), min_size=6, max_size=20), min_size=1, max_size=4))
def test_polygons_are_those_of_pycocotools(polygons: list[list[float]]) -> None:
    polygons = [p[: len(p) // 2 * 2] for p in polygons]
    expected = decode(reference.merge(reference.frPyObjects(polygons, 30, 20)))
    rle = segmentation_to_rle(polygons, 30, 20)
    assert np.array_equal(rle_to_mask(rle), expected)
    runs = rle_counts(rle["counts"])
    assert runs is not None
    assert not (runs[1:] == 0).any()


@given(st.binary(max_size=40), masks(), st.integers(0, 2**32))
def test_any_text_is_read_as_pycocotools_does_or_refused(text: bytes, mask: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mutated = bytearray(encode(mask)["counts"])
    mutated[rng.integers(len(mutated))] ^= 1 << rng.integers(8)
    mostly_right = bytes(48 + b % 66 for b in text)
    for counts in (text, mostly_right, bytes(mutated), encode(mask)["counts"] + b"0"):
        size = list(mask.shape)
        try:
            rle = segmentation_to_rle({"size": size, "counts": counts}, *mask.shape)
        except ImageError as e:
            assert e.kind == "broken-rle"
        else:
            assert np.array_equal(rle_to_mask(rle), decode({"size": size, "counts": counts}))


@given(masks())
def test_boxes_are_tight(mask: np.ndarray) -> None:
    (found,) = rle_boxes([encode(mask)])
    if mask.any():
        top, left, bottom, right = fakes.box(mask == 1)
        assert found.tolist() == [left, top, right, bottom]
    else:
        assert found.tolist() == [0, 0, 0, 0]


def test_empty_runs_are_joined_so_that_boxes_stay_tight() -> None:
    for counts in ([3, 2, 0, 1, 6, 0, 4], [3, 3, 10, 0]):
        rle = segmentation_to_rle({"size": [4, 4], "counts": counts}, 4, 4)
        assert rle["counts"] == b"33:"
        assert rle_boxes([rle]).tolist() == [[0, 0, 2, 4]]
    text = b"".join((b"3", b"2", b"0", b"O", b"6", b"O", b"N"))  # the same, each difference by hand
    runs = rle_counts(text)
    assert runs is not None
    assert runs.tolist() == [3, 2, 0, 1, 6, 0, 4]
    assert segmentation_to_rle({"size": [4, 4], "counts": text}, 4, 4)["counts"] == b"33:"


BROKEN = {
    "nothing": (None, "no-mask", ""),
    "no polygon": ([], "no-mask", ""),
    "a number": (7, "no-mask", ""),
    "two points": ([[1, 1, 3, 3]], "broken-polygon", "4 coordinates"),
    "odd": ([[1, 1, 3, 1, 3, 3, 1]], "broken-polygon", "7 coordinates"),
    "a flat list": ([1, 1, 3, 1, 3, 3], "broken-polygon", "1 for a polygon"),
    "second is short": ([[1, 1, 3, 1, 3, 3], [1, 1]], "broken-polygon", "2 coordinates"),
    "text": ([["1", "1", "3", "1", "3", "3"]], "broken-polygon", "coordinates that are no numbers"),
    "null": ([[1, 1, 3, 1, 3, None]], "broken-polygon", "coordinates that are no numbers"),
    "pairs": ([[[1, 1], [3, 1], [3, 3], [1, 3], [0, 2], [0, 1]]], "broken-polygon", "coordinates that are no numbers"),
    "ragged": ([[1, 1, 3, 1, 3, [3]]], "broken-polygon", "coordinates that are no numbers"),
    "nan": ([[1, 1, 3, 1, 3, float("nan")]], "broken-polygon", "coordinates that are no numbers"),
    "infinity": ([[1, 1, 3, 1, 3, float("inf")]], "broken-polygon", "coordinates that are no numbers"),
    "huge": ([[1, 1, 10**400, 1, 3, 3]], "broken-polygon", "coordinates that are no numbers"),
    "far": ([[1, 1, 1e9, 1, 3, 3]], "broken-polygon", "coordinates far outside the image, 1 to 1e+09"),
    "negative": ([[1, 1, -6.5, 1, 3, 3]], "broken-polygon", "coordinates far outside the image, -6.5 to 3"),
    "size": ({"size": [6, 4], "counts": [24]}, "rle-size", "6 x 4, image 4 x 6"),
    "no size": ({"counts": [24]}, "rle-size", "no size, image 4 x 6"),
    "too few": ({"size": [4, 6], "counts": [3, 5]}, "broken-rle", "8 pixels, image 24"),
    "too many": ({"size": [4, 6], "counts": [3, 50]}, "broken-rle", "53 pixels, image 24"),
    "no run": ({"size": [4, 6], "counts": []}, "broken-rle", "0 pixels, image 24"),
    "negative run": ({"size": [4, 6], "counts": [30, -6]}, "broken-rle", "a run is negative"),
    "huge run": ({"size": [4, 6], "counts": [24 + 2**32]}, "broken-rle", "they cannot be read"),
    "text run": ({"size": [4, 6], "counts": ["24"]}, "broken-rle", "they cannot be read"),
    "no counts": ({"size": [4, 6]}, "broken-rle", "they cannot be read"),
    "empty text": ({"size": [4, 6], "counts": ""}, "broken-rle", "they cannot be read"),
    "cut text": ({"size": [4, 6], "counts": "3h"}, "broken-rle", "they cannot be read"),
    "foreign text": ({"size": [4, 6], "counts": "3é"}, "broken-rle", "they cannot be read"),
    "endless number": ({"size": [4, 6], "counts": "o" * 500 + "0"}, "broken-rle", "they cannot be read"),
    "short text": ({"size": [4, 6], "counts": "35"}, "broken-rle", "8 pixels, image 24"),
    "negative text": ({"size": [4, 6], "counts": "n0J"}, "broken-rle", "a run is negative"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_segmentations_are_named(case: str) -> None:
    segmentation, kind, detail = BROKEN[case]
    with pytest.raises(ImageError) as caught:
        segmentation_to_rle(segmentation, 4, 6, "annotation 5")
    assert (caught.value.kind, caught.value.detail) == (kind, detail)
    assert "annotation 5" in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_polygon_that_would_take_all_memory_is_refused() -> None:
    zigzag = [0.0, 0.0, 900.0, 900.0] * 3000
    with pytest.raises(ImageError, match="an outline of 5400000 pixels"):
        segmentation_to_rle([zigzag], 900, 900)
    many_points = [float(v) for k in range(3000) for v in (k % 30, k % 7)]
    assert rle_area(segmentation_to_rle([many_points], 900, 900)) > 0


def mask(annotation: int, box: tuple[int, int, int, int], label: int = 1, crowd: bool = False) -> Mask:
    """Make a rectangle (top, left, bottom, right) in an image of 8 x 8."""
    pixels = np.zeros((8, 8), np.uint8)
    pixels[box[0] : box[2], box[1] : box[3]] = 1
    return Mask(annotation, label, crowd, int(pixels.sum()), encode(pixels)["counts"])


def test_small_on_top_and_crowds_below_all() -> None:
    crowd, large = mask(1, (0, 0, 8, 5), 3, crowd=True), mask(30, (0, 0, 8, 4), 2)
    small, smallest = mask(10, (0, 0, 4, 4), 1), mask(20, (0, 0, 1, 1), 2)
    semantic, instance = paint(arrange(8, 8, [smallest, small, large, crowd]), 21)
    expected = np.zeros((8, 8), int)
    expected[:, :5], expected[:, :4], expected[:4, :4], expected[0, 0] = 255, 2, 1, 2
    assert np.array_equal(semantic, expected)
    expected[:, :4], expected[:4, :4], expected[0, 0] = 3, 1, 2  # ids by increasing annotation id
    assert np.array_equal(instance, expected)
    assert semantic.dtype == instance.dtype == np.uint8
    assert semantic.flags.c_contiguous
    assert instance.flags.c_contiguous


def test_ties_go_by_annotation_id_whatever_the_order_in_the_file() -> None:
    one, two = mask(5, (0, 0, 2, 4)), mask(6, (1, 0, 3, 4))
    for order in ([one, two], [two, one]):
        assert paint(arrange(8, 8, order), 21)[1][:3, 0].tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ([], []),
        ([mask(1, (0, 0, 4, 4))], []),
        ([mask(1, (0, 0, 4, 4)), mask(2, (0, 0, 4, 4))], [1]),
        ([mask(1, (0, 0, 4, 4)), mask(2, (0, 0, 4, 2)), mask(3, (0, 2, 4, 4))], [1]),
        ([mask(1, (0, 0, 4, 4)), mask(2, (0, 0, 4, 2)), mask(3, (0, 2, 4, 4), crowd=True)], []),
        ([mask(1, (0, 0, 4, 4)), mask(2, (0, 0, 4, 2)), mask(3, (0, 2, 3, 4))], []),
        ([mask(1, (0, 0, 2, 2)), mask(2, (0, 0, 8, 8))], []),
        ([mask(1, (1, 1, 3, 3)), mask(2, (0, 1, 2, 3)), mask(3, (2, 1, 4, 3))], [1]),
    ],
)
def test_hidden_instances(masks: list[Mask], expected: list[int]) -> None:
    assert [m.annotation for m in hidden(arrange(8, 8, masks))] == expected


@given(st.integers(0, 2**32), st.integers(2, 9))
def test_hidden_is_what_painting_loses(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    boxes = [(*rng.integers(0, 4, 2).tolist(), *rng.integers(4, 7, 2).tolist()) for _ in range(count)]
    picture = arrange(8, 8, [mask(k, b) for k, b in enumerate(boxes)])
    seen = set(paint(picture, 21)[1].ravel().tolist())
    assert [m.annotation for m in hidden(picture)] == [m.annotation for k, m in picture.masks if k not in seen]


@pytest.mark.parametrize(("count", "dtype", "void"), [(254, "uint8", 255), (255, "uint16", 65535)])
def test_the_instance_map_widens_with_the_number_of_instances(count: int, dtype: str, void: int) -> None:
    semantic, instance = paint(_grid(count), 21)
    assert (instance.dtype.name, semantic.dtype.name) == (dtype, "uint8")
    assert instance.ravel(order="F")[: count + 1].tolist() == [*range(1, count + 1), void]
    assert semantic.ravel(order="F")[: count + 1].tolist() == [1] * count + [255]


def test_more_instances_than_16_bits_hold() -> None:
    crowd, last = mask(1, (0, 0, 8, 5), crowd=True), mask(2, (0, 0, 8, 4))
    for instances, dtype, void in ((65534, "uint16", 65535), (65535, "int32", 0)):
        semantic, instance = paint(Picture(8, 8, ((0, crowd), (instances, last)), instances), 300)
        assert (instance.dtype.name, semantic.dtype.name) == (dtype, "uint16")
        assert instance[0].tolist() == [instances] * 4 + [void, 0, 0, 0]
        assert semantic[0].tolist() == [1] * 4 + [65535, 0, 0, 0]


def test_one_hidden_among_very_many() -> None:
    many = _grid(1200)
    assert hidden(many) == []
    (_, first), *others = many.masks[1:]
    again = Mask(5000, 1, False, 1, first.counts)
    assert hidden(arrange(many.height, many.width, [again, first, *(m for _, m in others)])) == [first]


def _grid(count: int) -> Picture:
    """Put `count` instances of one pixel side by side, and then one pixel of crowd."""

    def pixel(place: int) -> bytes:
        rest = size * size - place - 1
        counts: bytes = reference.frPyObjects({"size": [size, size], "counts": [place, 1, rest]}, size, size)["counts"]
        return counts

    size = int(count**0.5) + 2
    masks = [Mask(k, 1, False, 1, pixel(k)) for k in range(count)]
    return arrange(size, size, [*masks, Mask(count, 1, True, 1, pixel(count))])
