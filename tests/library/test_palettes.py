"""Colours to labels, against plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iamiou.convert import convert
from iamiou.errors import InputError
from iamiou.labels import voc_palette
from iamiou.palettes import encode, load_palette, look_up, voc_colours

COLOURS = np.array(voc_palette(), np.uint8)


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_every_colour_of_voc() -> None:
    found = look_up(encode(COLOURS[None]), voc_colours())
    assert np.array_equal(found.labels[0], np.arange(256))
    assert found.unknown == {}


def test_lookup_against_a_plain_loop() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        pixels = COLOURS[rng.choice([0, 3, 8, 255], (9, 11))]
        pixels[rng.random((9, 11)) < 0.3] = rng.integers(0, 256, 3)
        found = look_up(encode(pixels), voc_colours())
        table = {tuple(c): i for i, c in enumerate(COLOURS.tolist())}
        flat = [tuple(p) for p in pixels.reshape(-1, 3).tolist()]
        assert found.labels.reshape(-1).tolist() == [table.get(p, 0) for p in flat]
        assert sum(found.unknown.values()) == sum(p not in table for p in flat)


def test_nearest_against_a_plain_loop() -> None:
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    found = look_up(encode(pixels), voc_colours(), nearest=True)
    candidates = [*range(21), 255]
    for p, label in zip(pixels.reshape(-1, 3).tolist(), found.labels.reshape(-1).tolist(), strict=True):
        distance = {i: sum((a - b) ** 2 for a, b in zip(p, COLOURS[i].tolist(), strict=True)) for i in candidates}
        assert distance[label] == min(distance.values())


def test_a_palette_file(tmp_path: Path) -> None:
    (tmp_path / "colours.txt").write_text(
        "# label red green blue\n\n0 0 0 0\n300 10 20 30\n300 10 20 31\n2 255 255 255\n"
    )
    palette = load_palette(tmp_path / "colours.txt")
    save(tmp_path / "in" / "a.png", np.array([[(10, 20, 30), (255, 255, 255), (10, 20, 31)]], np.uint8))
    convert(tmp_path / "in", tmp_path / "out", palette=palette)
    assert read(tmp_path / "out" / "a.png").tolist() == [[300, 2, 300]]
    save(tmp_path / "in" / "b.png", np.array([[(10, 20, 33), (200, 255, 255), (0, 0, 1)]], np.uint8))
    done = convert(tmp_path / "in", tmp_path / "out", palette=palette, nearest=True, overwrite=True)
    assert read(tmp_path / "out" / "b.png").tolist() == [[300, 2, 0]]
    assert done.changed == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty; give lines of 'label red green blue'"),
        ("0 0 0\n", "Line 1 of the palette .* is not 'label red green blue': '0 0 0'"),
        ("0 0 0 0\n1 -1 0 0\n", "Line 2 of the palette .* is not"),
        ("1 256 0 0\n", "has a label above 65535 or a colour above 255"),
        ("65536 0 0 0\n", "has a label above 65535 or a colour above 255"),
        ("1 5 5 5\n2 5 5 5\n", r"Line 2 of the palette .* gives \(5, 5, 5\) the label 2, but it already has 1"),
        ("1 ² 5 5\n", "Line 1 of the palette .* is not"),
    ],
)
def test_a_palette_file_that_makes_no_sense(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "colours.txt").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=sentence):
        load_palette(tmp_path / "colours.txt")


def test_a_palette_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The palette '.*nowhere' cannot be read \(FileNotFoundError\)"):
        load_palette(tmp_path / "nowhere")
