"""Damaged PNGs, decoded by loops that check every index: the pixels that Pillow finds, or a plain refusal."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamiou import png
from iamiou.errors import ImageError
from iamiou.jit import BOUNDSCHECK
from iamiou.masks import read_label_map
from tests import png_files

REFUSALS = {"not-a-png", "broken-png", "rgb-png", "too-large"}
FORMS = [(0, 8, False), (0, 16, False), (3, 8, False), (0, 1, False), (3, 2, False), (0, 4, True), (3, 8, True)]


@pytest.fixture(scope="module")
def checked() -> Iterator[Callable[..., int]]:
    """Compile the loop with bounds checks, in a second copy of its module, and let the decoder use it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(BOUNDSCHECK, "1")
        spec = importlib.util.find_spec("iamiou.unfilter")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        patch.setattr(png, "_unfilter", lambda: module.unfilter)
        yield module.unfilter


def test_the_bounds_checks_are_on(checked: Callable[..., int]) -> None:
    for kind in range(5):
        for size in (1, 2):
            with pytest.raises(IndexError):
                checked(np.full(9 * 4, kind, np.uint8), 4, 9, size)  # rows of 9 bytes and a filter need 40
    assert checked(np.zeros(9 * 4, np.uint8), 4, 8, 1) == -1


def decoded_or_refused(data: bytes) -> bool:
    """Decode; what comes out must be what Pillow makes of the chunks that matter."""
    try:
        labels = read_label_map(data, "x", max_pixels=2**22)
    except ImageError as e:
        assert e.kind in REFUSALS, e.kind
        assert str(e).startswith("1 ")
        return False
    needed = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
    plain = png_files.join([c for c in png_files.split(data) if c[0] in needed])
    np.testing.assert_array_equal(labels, png_files.by_pillow(plain))
    return True


def valid_file(rng: random.Random) -> bytes:
    colour, depth, interlaced = rng.choice(FORMS)
    numbers = np.random.default_rng(rng.randrange(2**32))
    samples = png_files.samples(numbers, (rng.randrange(1, 14), rng.randrange(1, 60)), depth)
    kinds = [rng.randrange(5) for _ in range(len(samples))]
    extra = [(b"tEXt", b"Title\0map")] * rng.randrange(2)
    return png_files.encode(
        samples, depth, colour, kinds, interlaced=interlaced, pieces=rng.choice([1, 3]), extra=extra
    )


@given(st.randoms(use_true_random=False))
def test_one_injury(checked: Callable[..., int], rng: random.Random) -> None:
    decoded_or_refused(png_files.mutate(valid_file(rng), rng))


def test_many_injuries(checked: Callable[..., int]) -> None:
    rng = random.Random(0)
    outcomes = [decoded_or_refused(png_files.mutate(valid_file(rng), rng)) for _ in range(3000)]
    assert 300 < sum(outcomes) < 2700  # the injuries are neither all harmless nor all found at once
