"""`iamiou convert`: colours to labels, and nothing half written."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from iamiou.cli.convert import convert as command
from iamiou.convert import convert
from iamiou.errors import InputError, ProblemsFound
from iamiou.labels import voc_palette

COLOURS = np.array(voc_palette(), np.uint8)
LABELS = np.random.default_rng(7).choice(np.array([0, 0, 1, 15, 20, 255], np.uint8), (30, 40))


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def save_palette(path: Path, labels: np.ndarray, colours: Iterable[Sequence[int]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels)
    image.putpalette(np.array(list(colours), np.uint8).tobytes())
    image.save(path)
    return path


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def rgba(labels: np.ndarray, alpha: int = 255) -> np.ndarray:
    return np.dstack([COLOURS[labels], np.full(labels.shape, alpha, np.uint8)])


def tree(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.mark.parametrize("colours", [COLOURS[LABELS], rgba(LABELS)])
def test_colours_become_labels(tmp_path: Path, colours: np.ndarray) -> None:
    save(tmp_path / "in" / "a.png", colours)
    done = convert(tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), LABELS)
        assert np.array_equal(np.asarray(image.convert("RGB")), COLOURS[LABELS])
    assert dict(done.files) == {"colours": 1}
    assert (done.pixels, done.changed, done.ignored) == (1200, 0, ())


def test_label_maps_and_arrays_keep_their_labels(tmp_path: Path) -> None:
    save_palette(tmp_path / "in" / "p.png", LABELS, COLOURS)
    save_palette(tmp_path / "in" / "other.png", LABELS, np.random.default_rng(1).integers(1, 255, (256, 3)))
    save(tmp_path / "in" / "grey.png", LABELS)
    save(tmp_path / "in" / "wide.png", LABELS.astype(np.uint16) + 300)
    np.save(tmp_path / "in" / "n.npy", LABELS.astype(np.int64))
    np.save(tmp_path / "in" / "wide_n.npy", LABELS.astype(np.int32) + 300)
    done = convert(tmp_path / "in", tmp_path / "out")
    assert dict(done.files) == {"label maps": 4, "arrays": 2}
    for name in ("p", "other", "grey", "n"):
        assert np.array_equal(read(tmp_path / "out" / f"{name}.png"), LABELS)
    for name in ("wide", "wide_n"):
        assert np.array_equal(read(tmp_path / "out" / f"{name}.png"), LABELS.astype(int) + 300)
    assert tree(tmp_path / "out") == ["grey.png", "n.png", "other.png", "p.png", "wide.png", "wide_n.png"]


def test_a_colour_mask_that_was_shrunk_to_a_palette(tmp_path: Path) -> None:
    """Programs that shrink PNGs number the colours as they like."""
    save_palette(tmp_path / "in" / "a.png", np.array([[0, 1, 2]], np.uint8), [COLOURS[0], COLOURS[15], COLOURS[255]])
    with pytest.raises(ProblemsFound, match=r"a\.png \(number 1 has the colour of label 15\)\. Add `--by-colour`"):
        convert(tmp_path / "in", tmp_path / "out")
    done = convert(tmp_path / "in", tmp_path / "out", by_colour=True)
    assert read(tmp_path / "out" / "a.png").tolist() == [[0, 15, 255]]
    assert dict(done.files) == {"colours": 1}


def test_one_file(tmp_path: Path) -> None:
    save(tmp_path / "a.png", COLOURS[LABELS])
    convert(tmp_path / "a.png", tmp_path / "b.png")
    assert np.array_equal(read(tmp_path / "b.png"), LABELS)
    with pytest.raises(InputError, match=r"b\.png' exists; choose another name, or add `--overwrite`"):
        convert(tmp_path / "a.png", tmp_path / "b.png")
    save(tmp_path / "a.png", COLOURS[LABELS[:5]])
    convert(tmp_path / "a.png", tmp_path / "b.png", overwrite=True)
    assert np.array_equal(read(tmp_path / "b.png"), LABELS[:5])
    assert tree(tmp_path) == ["a.png", "b.png"]


# ---- refusals


def refused(tmp_path: Path, **options: bool) -> str:
    """Convert in to out, which has to fail without a trace, and return the sentences."""
    before = tree(tmp_path)
    with pytest.raises(InputError) as e:
        convert(tmp_path / "in", tmp_path / "out", **options)  # type: ignore[arg-type]
    assert tree(tmp_path) == before
    assert e.value.exit_code == 2
    return str(e.value)


def test_colours_that_no_label_has(tmp_path: Path) -> None:
    pixels = COLOURS[LABELS]
    pixels[0, :7], pixels[1, :3] = (1, 2, 3), (9, 9, 9)
    save(tmp_path / "in" / "b.png", pixels)
    save(tmp_path / "in" / "c.png", pixels[1:])
    save(tmp_path / "in" / "a.png", COLOURS[LABELS])
    assert refused(tmp_path) == (
        "2 colours are not in VOC's palette: "
        "(1, 2, 3) in 7 pixels, first in b.png, (9, 9, 9) in 6 pixels, first in b.png. "
        "Give the right one with `--palette`, or add `--nearest` to take the nearest colour."
    )
    done = convert(tmp_path / "in", tmp_path / "out", nearest=True)
    assert (done.changed, done.pixels) == (13, 1200 + 1200 + 1160)
    assert done.sentence("out") == (
        "Wrote 3 label maps to 'out', 3 from colours. "
        "The nearest colour was taken for 0.365 % of the pixels in colours."
    )
    labels = read(tmp_path / "out" / "b.png")
    assert np.all(labels[0, :7] == 0)
    assert np.array_equal(labels[2:], LABELS[2:])


def test_photographs_are_told_from_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iamiou.convert._MOST_COLOURS", 100)
    save(tmp_path / "in" / "a.png", np.random.default_rng(2).integers(0, 256, (40, 40, 3)).astype(np.uint8))
    assert refused(tmp_path).endswith("and 1595 more. These look like photographs, not masks.")


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    save(tmp_path / "in" / "ok.png", COLOURS[LABELS])
    save(tmp_path / "in" / "odd.png", np.full((2, 2, 3), 7, np.uint8))
    (tmp_path / "in" / "photo.png").write_bytes(b"\xff\xd8\xff\xe0")
    broken = save(tmp_path / "in" / "broken.png", COLOURS[LABELS])
    broken.write_bytes(broken.read_bytes()[:200])
    save(tmp_path / "in" / "glass.png", rgba(LABELS, 128))
    np.save(tmp_path / "in" / "low.npy", np.array([[-1, 3]]))
    np.save(tmp_path / "in" / "float.npy", np.ones((2, 2)))
    np.save(tmp_path / "in" / "cube.npy", np.ones((2, 2, 2), int))
    sentences = refused(tmp_path)
    for part in (
        "1 colour is not in VOC's palette: (7, 7, 7) in 4 pixels, first in odd.png.",
        "photo.png (JPEG)",
        "1 PNG file is damaged: broken.png (Pillow cannot decode it:",
        "1 mask has transparent pixels, which have no label: glass.png. Write masks without transparency.",
        "1 .npy file holds labels outside 0 to 65535: low.npy (from -1 to 3). Save void as 255.",
        "float.npy (float64)",
        "cube.npy (shape (2, 2, 2))",
    ):
        assert part in sentences
    assert len(sentences.splitlines()) == 7


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", np.array({"cam": Trap()}, dtype=object), allow_pickle=True)
    assert refused(tmp_path) == (
        "1 .npy file holds pickled Python objects, which are never loaded because loading them can run any code: "
        "a.npy. "
        "Load them where you trust them and save the label map alone: numpy.save(path, labels)."
    )
    assert not (tmp_path / "sprung").exists()


def test_grey_with_alpha(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(LABELS).convert("LA").save(tmp_path / "in" / "a.png")
    assert refused(tmp_path).startswith(
        "1 PNG file holds grey with alpha, which is neither labels nor colours: a.png. "
    )


def test_16_bits_a_channel(tmp_path: Path) -> None:
    """Pillow keeps the upper byte, which holds all of a colour that was 8 bits once."""
    import struct
    import zlib

    row = b"\0" + struct.pack(">6H", *(257 * int(v) for c in (15, 255) for v in COLOURS[c]))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(row)), (b"IEND", b"")]
    out = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    out.seek(8)
    for kind, data in chunks:
        out.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(out.getvalue())
    convert(tmp_path / "in", tmp_path / "out")
    assert read(tmp_path / "out" / "a.png").tolist() == [[15, 255]]


def test_a_header_that_claims_too_much(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", COLOURS[LABELS])
    with pytest.raises(ProblemsFound, match=r"claims more than 1000 pixels: a\.png \(30 x 40\)"):
        convert(tmp_path / "in", tmp_path / "out", max_pixels=1000)


def test_two_files_for_one_name(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", COLOURS[LABELS])
    np.save(tmp_path / "in" / "a.npy", LABELS)
    assert "a (a.npy, a.png)" in refused(tmp_path)


def test_nothing_to_convert(tmp_path: Path) -> None:
    assert "does not exist; give a folder of masks or one file" in refused(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(b"")
    assert "holds no label map (.png or .npy, named by image id); it holds a.jpg." in refused(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"is neither a PNG nor a \.npy file; JPEG changes colours"):
        convert(tmp_path / "photo.jpg", tmp_path / "b.png")


# ---- the command


def test_the_command(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", COLOURS[LABELS])
    (tmp_path / "in" / "notes.txt").write_text("")
    (tmp_path / "in" / "submission.json").write_text("{}")
    (tmp_path / "colours.txt").write_text("\n".join(f"{i} {r} {g} {b}" for i, (r, g, b) in enumerate(COLOURS.tolist())))
    for options in ([], ["--overwrite", "--palette", str(tmp_path / "colours.txt"), "--nearest", "--by-colour"]):
        result = CliRunner().invoke(command, [str(tmp_path / "in"), str(tmp_path / "out"), *options])
        assert result.exit_code == 0, result.output
        assert result.output.startswith(f"Wrote 1 label map to '{tmp_path / 'out'}', 1 from colours.")
        assert result.output.endswith("Ignored: notes.txt.\n")
        assert np.array_equal(read(tmp_path / "out" / "a.png"), LABELS)


def test_real_colour_masks(real_data: Path, tmp_path: Path) -> None:
    masks = real_data / "predictions" / "voc_wsss_2007_000123"
    done = convert(masks, tmp_path / "out")
    assert dict(done.files) == {"colours": 3, "label maps": 2}
    for name in ("BECO", "PCAM1", "ours", "LIID", "rsedm"):
        labels = read(tmp_path / "out" / f"{name}.png")
        assert np.unique(labels).tolist() == [0, 19]
        with Image.open(masks / f"{name}.png") as image:
            expected = COLOURS[labels] if image.mode == "RGB" else labels
            assert np.array_equal(np.asarray(image), expected)
