"""Where `iamiou convert` writes: nothing is lost, nothing is half there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iamiou.convert import Job, convert
from iamiou.errors import InputError
from iamiou.labels import voc_palette

COLOURS = np.array(voc_palette(), np.uint8)
LABELS = np.array([[0, 15], [255, 20]], np.uint8)


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def tree(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def refused(tmp_path: Path, **options: bool) -> str:
    """Convert in to out, which has to fail without a trace, and return the sentences."""
    before = tree(tmp_path)
    with pytest.raises(InputError) as e:
        convert(tmp_path / "in", tmp_path / "out", **options)  # type: ignore[arg-type]
    assert tree(tmp_path) == before
    assert e.value.exit_code == 2
    return str(e.value)


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", COLOURS[LABELS])
    save(tmp_path / "out" / "old.png", LABELS)
    assert "is not empty; choose another folder, or add `--overwrite` to replace it." in refused(tmp_path)
    convert(tmp_path / "in", tmp_path / "out", overwrite=True)
    assert tree(tmp_path) == ["in", "in/a.png", "out", "out/a.png"]
    (tmp_path / "out" / "thesis.tex").write_text("")
    assert "holds more than PNG files (thesis.tex); `--overwrite` replaces a folder" in refused(
        tmp_path, overwrite=True
    )


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", COLOURS[LABELS])
    (tmp_path / "out").mkdir()
    convert(tmp_path / "in", tmp_path / "out")
    assert tree(tmp_path) == ["in", "in/a.png", "out", "out/a.png"]


def test_places_that_cannot_be(tmp_path: Path) -> None:
    a = save(tmp_path / "in" / "a.png", COLOURS[LABELS])
    (tmp_path / "file").write_text("")
    for source, target, sentence in (
        ("in", "in", "lie in each other"),
        ("in", "in/out", "lie in each other"),
        ("in", ".", "lie in each other"),
        ("in", "file", "is a file, but a folder of masks becomes a folder"),
        ("in", "no/out", "There is no folder"),
        ("in/a.png", "b.jpg", "must be a file name that ends in .png"),
        ("in/a.png", "c", "must be a file name that ends in .png"),
        ("in/a.png", "in/a.png", "lie in each other"),
    ):
        with pytest.raises(InputError, match=sentence):
            convert(tmp_path / source, tmp_path / target, overwrite=True)
    assert np.array_equal(read(a), COLOURS[LABELS])
    assert tree(tmp_path) == ["file", "in", "in/a.png"]


def interrupt(jobs: Sequence[Job]) -> Iterable[Job]:
    yield jobs[0]
    raise KeyboardInterrupt


@pytest.mark.parametrize("old", [False, True])
def test_ctrl_c_leaves_nothing(tmp_path: Path, old: bool) -> None:
    for name in "ab":
        save(tmp_path / "in" / f"{name}.png", COLOURS[LABELS])
    if old:
        save(tmp_path / "out" / "old.png", LABELS)
    before = tree(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        convert(tmp_path / "in", tmp_path / "out", overwrite=old, progress=interrupt)
    assert tree(tmp_path) == before


def test_what_was_there_comes_back_when_the_last_step_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "in" / "a.png", COLOURS[LABELS])
    save(tmp_path / "out" / "old.png", LABELS)
    before, rename = tree(tmp_path), Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name.endswith(".part"):
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(InputError, match="out' cannot be written: Input/output error"):
        convert(tmp_path / "in", tmp_path / "out", overwrite=True)
    assert tree(tmp_path) == before


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "in" / "a.png", COLOURS[LABELS])
    before = tree(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("iamiou.masks.write_bytes", full)
    with pytest.raises(InputError, match="out' cannot be written: No space left on device"):
        convert(tmp_path / "in", tmp_path / "out")
    assert tree(tmp_path) == before
