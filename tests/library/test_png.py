"""The PNG decoder against the samples that were written, against Pillow, and against damaged files."""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamiou import png
from iamiou.errors import ImageError
from iamiou.masks import read_label_map
from tests import png_files
from tests.png_files import by_pillow, chunk, encode, header, image_data, join

OWN = [(0, 8), (0, 16), (3, 8)]  # colour type and depth of what is decoded without Pillow
ALL = [*OWN, (0, 1), (0, 2), (0, 4), (3, 1), (3, 2), (3, 4)]
KINDS = [(0,), (1,), (2,), (3,), (4,), (4, 3, 2, 1, 0), (3, 4, 4, 1, 2, 2)]
LABELS = np.arange(200, dtype=np.uint8).reshape(10, 20)


def check(data: bytes, samples: np.ndarray) -> None:
    labels = read_label_map(data, "x")
    np.testing.assert_array_equal(labels, samples)
    np.testing.assert_array_equal(labels, by_pillow(data))
    assert labels.dtype == samples.dtype
    assert labels.flags.carray  # contiguous, aligned, writable


def refusal(data: bytes, **options: object) -> ImageError:
    with pytest.raises(ImageError) as caught:
        read_label_map(data, "x", **options)
    return caught.value


def changed(at: int, value: bytes, data: bytes = encode(LABELS)) -> bytes:
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "depth"), ALL)
def test_every_kind_filter_and_width(colour: int, depth: int, interlaced: bool) -> None:
    rng = np.random.default_rng(depth)
    for width in range(1, 41):
        for kinds in KINDS:
            samples = png_files.samples(rng, (int(rng.integers(1, 12)), width), depth)
            check(encode(samples, depth, colour, kinds, interlaced=interlaced), samples)


@pytest.mark.parametrize(("colour", "depth"), ALL)
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 2), (9, 8), (8, 9)])
def test_odd_sizes(colour: int, depth: int, shape: tuple[int, int]) -> None:
    samples = png_files.samples(np.random.default_rng(1), shape, depth)
    for interlaced in (False, True):
        check(encode(samples, depth, colour, (4, 3), interlaced=interlaced), samples)


@given(st.integers(0, 2**32), st.sampled_from(OWN), st.integers(1, 9), st.integers(1, 90), st.data())
def test_a_filter_drawn_for_every_row(
    seed: int, kind: tuple[int, int], height: int, width: int, data: st.DataObject
) -> None:
    colour, depth = kind
    samples = png_files.samples(np.random.default_rng(seed), (height, width), depth)
    kinds = data.draw(st.lists(st.integers(0, 4), min_size=height, max_size=height))
    check(encode(samples, depth, colour, kinds), samples)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kinds", KINDS)
def test_large_maps_of_few_labels(depth: int, kinds: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    samples = np.zeros((80, 1001), np.uint16 if depth == 16 else np.uint8)
    for _ in range(60):
        y, x, h, w = rng.integers(0, (80, 1001, 40, 400))
        samples[y : y + h, x : x + w] = rng.integers(0, 2**depth)
    check(encode(samples, depth, 0, kinds), samples)


def test_own_kinds_do_without_pillow() -> None:
    for colour, depth in OWN:
        parsed = png.parse(encode(LABELS.astype(np.uint16 if depth == 16 else np.uint8), depth, colour), "x")
        assert png.decode(parsed, "x") is not None
    assert png.decode(png.parse(encode(LABELS, interlaced=True), "x"), "x") is None


def test_pieces_and_chunks_that_do_not_matter() -> None:
    still = [(b"acTL", struct.pack(">II", 1, 0)), (b"fcTL", struct.pack(">IIIIIHHBB", 0, 20, 10, 0, 0, 1, 1, 0, 0))]
    for colour in (0, 3):
        plain = encode(LABELS, 8, colour)
        samples = [
            encode(LABELS, 8, colour, pieces=pieces, extra=extra)
            for pieces in (1, 2, 7, 500)
            for extra in ([], [(b"tEXt", b"Title\0map")], [(b"gAMA", struct.pack(">I", 45455))], still)
        ]
        samples.append(encode(LABELS, 8, colour, extra=[(b"tRNS", b"\0\5" if colour == 0 else bytes(256))]))
        samples.append(join([*png_files.split(plain)[:-1], (b"tIME", bytes(7)), (b"IEND", b"")]))
        samples.append(plain + b"what follows the end does not matter")
        for data in samples:
            check(data, LABELS)
            np.testing.assert_array_equal(read_label_map(bytearray(data), "x"), LABELS)


def test_a_label_beyond_the_palette_is_kept() -> None:
    chunks = png_files.split(encode(LABELS, 8, 3))
    check(join([chunks[0], (b"PLTE", bytes(3)), *chunks[2:]]), LABELS)


def test_an_empty_piece_is_nothing() -> None:
    first, data, end = png_files.split(encode(LABELS))
    check(join([first, (b"IDAT", b""), data, (b"IDAT", b""), end]), LABELS)


def test_the_size_comes_from_the_header_alone() -> None:
    assert png.png_size(encode(LABELS)[:33], "x") == (10, 20)
    with pytest.raises(ImageError, match="ends within its header"):
        png.png_size(encode(LABELS)[:32], "x")


def test_the_real_masks_equal_pillow(real_data: Path) -> None:
    folders = ("voc/SegmentationClass", "voc/SegmentationObject_derived", "voc/labelme_example")
    paths = [p for f in folders for p in sorted((real_data / f).glob("*.png"))]
    paths += sorted(real_data.glob("predictions/voc_*/*.png"))
    colours = set()
    for path in paths:
        data = path.read_bytes()
        try:
            labels = read_label_map(data, path.name)
        except ImageError as e:
            assert e.kind == "rgb-png", e
            colours.add(path.name)
            continue
        np.testing.assert_array_equal(labels, by_pillow(data))
    assert len(paths) - len(colours) > 3000
    assert len(colours) == 3  # those of the README of the data


def test_many_threads() -> None:
    rng = np.random.default_rng(3)
    samples = [png_files.samples(rng, (60, 70 + k), 8) for k in range(40)]
    files = [encode(s, kinds=(4, 3, 1)) for s in samples]
    with ThreadPoolExecutor(8) as pool:
        for labels, expected in zip(pool.map(lambda d: read_label_map(d, "x"), files * 5), samples * 5, strict=True):
            np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "(JPEG)"),
        (b"II*\0\x08\0\0\0", "(TIFF)"),
        (b"GIF89a", "(GIF)"),
        (b"\x93NUMPY\1\0", "(NumPy array)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "git lfs pull"),
        (b"<!DOCTYPE html>", "(web page or other markup)"),
        (b"\1\2\3", "(starts with 01 02 03)"),
    ],
)
def test_not_a_png(start: bytes, found: str) -> None:
    error = refusal(start)
    assert error.kind == "not-a-png"
    assert found in str(error)
    assert str(error).endswith("Save label maps as PNG, one grey value or palette index a pixel.")


@pytest.mark.parametrize(("colour", "name"), [(2, "RGB"), (4, "grey with alpha"), (6, "RGBA")])
def test_colours(colour: int, name: str) -> None:
    error = refusal(join([header(10, 20, 8, colour), (b"IDAT", b""), (b"IEND", b"")]))
    assert error.kind == "rgb-png"
    assert str(error).endswith(f"x ({name}). Convert colour masks with `iamiou convert IN OUT`.")


def test_another_size_is_refused_before_inflating(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "zlib_decompress", None)
    error = refusal(encode(LABELS), shape=(20, 10))
    assert error.kind == "size-differs"
    assert "x (10 x 20, ground truth 20 x 10)" in str(error)
    error = refusal(encode(LABELS), max_pixels=199)
    assert error.kind == "too-large"
    assert "1 image claims more than 199 pixels: x (10 x 20)" in str(error)


def test_a_small_file_cannot_claim_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "zlib_decompress", None)
    data = zlib.compress(bytes(1000))
    for interlace in (0, 1):
        error = refusal(join([header(32768, 32768, interlace=interlace), (b"IDAT", data), (b"IEND", b"")]))
        assert "has less image data than its header claims" in str(error)
    huge = join([header(2**31 - 1, 2**31 - 1), (b"IDAT", data), (b"IEND", b"")])
    assert refusal(huge).kind == "too-large"


def test_more_than_the_inflate_library_can_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "_DEFLATE_LIMIT", 2**40)
    data = join([header(2**16, 2**16), (b"IDAT", b"xxx"), (b"IEND", b"")])
    error = refusal(data, max_pixels=2**40)
    assert error.kind == "too-large"
    assert "more than 4 GiB" in str(error)


GOOD = encode(LABELS)
FIRST, PIXELS, LAST = png_files.split(GOOD)
PALETTE = (b"PLTE", bytes(768))


def with_raw(raw: bytes, interlace: int = 0) -> bytes:
    return join([header(10, 20, interlace=interlace), (b"IDAT", zlib.compress(raw)), LAST])


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "is empty"),
        (GOOD[:5], "ends within its header"),
        (GOOD[:20], "ends within its header"),
        (GOOD.replace(b"\r\n", b"\n"), "its line ends were changed by a transfer in text mode"),
        (changed(29, b"\0\0\0\0"), "its header has a wrong checksum"),
        (join([PALETTE, FIRST, PIXELS, LAST]), "does not start with a header"),
        (join([header(0, 20), PIXELS, LAST]), "its header claims 0 x 20 pixels"),
        (join([header(10, 0), PIXELS, LAST]), "its header claims 10 x 0 pixels"),
        (join([header(10, 2**31), PIXELS, LAST]), "its header claims 10 x 2147483648 pixels"),
        (join([header(10, 20, 7), PIXELS, LAST]), "its header claims colour type 0 with 7 bits"),
        (join([header(10, 20, 16, 3), PALETTE, PIXELS, LAST]), "its header claims colour type 3 with 16 bits"),
        (join([header(10, 20, 8, 5), PIXELS, LAST]), "its header claims colour type 5 with 8 bits"),
        (join([header(10, 20, method=1), PIXELS, LAST]), "unknown compression, filter or interlace method"),
        (join([header(10, 20, filters=1), PIXELS, LAST]), "unknown compression, filter or interlace method"),
        (join([header(10, 20, 8, 0, 2), PIXELS, LAST]), "unknown compression, filter or interlace method"),
        (GOOD[:35], "is cut short"),
        (GOOD[:60], "is cut short"),
        (GOOD[:-12], "is cut short"),
        (GOOD[:-1], "is cut short or damaged at its end"),
        (changed(len(GOOD) - 1, b"\0"), "is cut short or damaged at its end"),
        (changed(50, b"\xaa\xbb"), "its IDAT chunk has a wrong checksum"),
        (join([FIRST, LAST]), "has no image data"),
        (join([FIRST, FIRST, PIXELS, LAST]), "its IHDR chunk is not valid at byte 33"),
        (join([FIRST, (b"CgBI", b""), PIXELS, LAST]), "its CgBI chunk is not valid at byte 33"),
        (join([FIRST, (b"t\0Xt", b""), PIXELS, LAST]), "its 't\\x00Xt' chunk is not valid at byte 33"),
        (join([header(10, 20, 8, 3), PIXELS, LAST]), "its image data are not where they should be"),
        (join([header(10, 20, 8, 3), PIXELS, PALETTE, LAST]), "its image data are not where they should be"),
        (join([header(10, 20, 8, 3), (b"PLTE", bytes(4)), PIXELS, LAST]), "its PLTE chunk is not valid"),
        (join([header(10, 20, 8, 3), (b"PLTE", bytes(771)), PIXELS, LAST]), "its PLTE chunk is not valid"),
        (join([header(10, 20, 8, 3), PALETTE, PALETTE, PIXELS, LAST]), "its PLTE chunk is not valid"),
        (join([FIRST, PIXELS, (b"tEXt", b"a\0b"), PIXELS, LAST]), "its image data are not where they should be"),
        (join([FIRST, (b"IDAT", b"damaged data"), LAST]), "its image data are damaged or larger"),
        (join([FIRST, (b"IDAT", PIXELS[1][:-1] + b"\0"), LAST]), "its image data are damaged or larger"),
        (with_raw(image_data(LABELS, 8) + b"\0"), "its image data are damaged or larger"),
        (with_raw(image_data(LABELS, 8)[:-1]), "has less image data than its header claims"),
        (with_raw(image_data(LABELS, 8, interlaced=True) + b"\0", 1), "its image data are damaged or larger"),
        (with_raw(image_data(LABELS, 8, interlaced=True)[:-1], 1), "has less image data than its header claims"),
        (with_raw(image_data(LABELS, 8)[:63] + b"\5" + image_data(LABELS, 8)[64:]), "row 3 has an unknown filter"),
        (with_raw(b"\xff" + image_data(LABELS, 8, interlaced=True)[1:], 1), "Pillow cannot decode it"),
    ],
)
def test_damaged(data: bytes, found: str) -> None:
    error = refusal(data)
    assert error.kind == "broken-png"
    assert found in str(error)
    assert str(error).startswith("1 PNG file is damaged: x (")


def test_a_wrong_checksum_of_an_unimportant_chunk_counts_too() -> None:
    text = bytearray(chunk(b"tEXt", b"Title\0map"))
    text[-1] ^= 1
    assert "its tEXt chunk has a wrong checksum" in str(refusal(GOOD[:33] + bytes(text) + GOOD[33:]))
