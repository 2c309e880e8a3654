"""Label maps in .npy files, label maps written, and files that appear whole or not at all."""

from __future__ import annotations

import io
import os
import pickle
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from iamiou.errors import ImageError, InputError
from iamiou.labels import voc_palette
from iamiou.masks import read_label_map, read_npy, write_bytes, write_label_map

INTEGERS = [np.dtype(code) for code in ("u1", "<u2", ">u2", "i1", "<i4", ">i4", "<u4", "<i8", ">i8", "<u8")]
LABELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


def with_header(text: str, data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text.encode() + data


def refusal(data: bytes, **options: object) -> ImageError:
    with pytest.raises(ImageError) as caught:
        read_npy(data, "x", **options)
    return caught.value


@given(
    hnp.arrays(st.sampled_from(INTEGERS), hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)),
    st.sampled_from([(1, 0), (2, 0)]),
    st.booleans(),
)
def test_npy_of_any_integers(array: np.ndarray, version: tuple[int, int], fortran: bool) -> None:
    labels = read_npy(npy(np.asfortranarray(array) if fortran else array, version), "x", shape=array.shape)
    np.testing.assert_array_equal(labels, array)
    assert labels.dtype == array.dtype.newbyteorder("=")
    assert labels.dtype.isnative
    assert labels.flags.carray


def test_npy_at_an_odd_place_in_memory() -> None:
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    text = str({"descr": "<i8", "fortran_order": False, "shape": (2, 3)}) + " \n"
    labels = read_npy(with_header(text, array.tobytes()), "x")
    np.testing.assert_array_equal(labels, array)
    assert labels.flags.carray


@pytest.mark.parametrize(
    ("data", "kind", "found"),
    [
        (b"", "not-npy", "is empty"),
        (b"\x89PNG\r\n\x1a\n", "not-npy", "starts with 89 50 4e 47"),
        (npy(LABELS)[:7], "broken-npy", "its header cannot be read"),
        (npy(LABELS)[:40], "broken-npy", "its header cannot be read"),
        (npy(LABELS)[:-1], "broken-npy", "11 bytes of data, expected 12"),
        (npy(LABELS) + b"\0", "broken-npy", "13 bytes of data, expected 12"),
        (with_header("(" * 900), "broken-npy", "its header cannot be read"),
        (with_header(" " * 2000), "broken-npy", "its header cannot be read"),
        (with_header("{'descr': '|u1', 'fortran_order': False}"), "broken-npy", "its header cannot be read"),
        (with_header("{}", version=b"\7\0"), "broken-npy", "its header cannot be read"),
        (npy(LABELS.astype(float)), "npy-dtype", "holds no integers: x (float64)"),
        (npy(LABELS > 3), "npy-dtype", "holds no integers: x (bool)"),
        (npy(np.zeros((2, 2), "u1,u1")), "npy-dtype", "holds no integers"),
        (npy(LABELS[None]), "npy-shape", "holds no map of two dimensions: x (shape (1, 3, 4))"),
        (npy(LABELS[0]), "npy-shape", "holds no map of two dimensions: x (shape (4,))"),
        (npy(LABELS[:0]), "npy-shape", "holds no pixels: x (shape (0, 4))"),
        (
            with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-3, -4)}", bytes(12)),
            "npy-shape",
            "holds no pixels: x (shape (-3, -4))",
        ),
    ],
)
def test_npy_refused(data: bytes, kind: str, found: str) -> None:
    error = refusal(data)
    assert error.kind == kind
    assert found in str(error)


def test_npy_sizes_are_refused_before_the_data_are_read() -> None:
    text = "{'descr': '<i8', 'fortran_order': False, 'shape': (1000000, 1000000)}"
    assert refusal(with_header(text)).kind == "too-large"
    assert "1 image claims more than 11 pixels: x (3 x 4)" in str(refusal(npy(LABELS), max_pixels=11))
    error = refusal(npy(LABELS), shape=(4, 3))
    assert error.kind == "size-differs"
    assert "x (3 x 4, ground truth 4 x 3)" in str(error)


def test_npy_never_unpickles() -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return pytest.fail, ("unpickled",)

    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1, 1)})
    assert refusal(file.getvalue() + pickle.dumps([Trap()])).kind == "npy-pickle"


@given(
    labels=hnp.arrays(st.sampled_from([np.uint8, np.uint16]), hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)),
    palette=st.booleans(),
)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, labels: np.ndarray, palette: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "map.png"
    write_label_map(path, labels, palette=palette)
    again = read_label_map(path.read_bytes(), "x", shape=labels.shape)
    np.testing.assert_array_equal(again, labels)
    assert again.dtype == labels.dtype


def test_written_formats(tmp_path: Path) -> None:
    path = tmp_path / "map.png"
    for dtype, palette, mode in [("u1", True, "P"), ("u1", False, "L"), ("u2", True, "I;16"), (">u2", True, "I;16")]:
        write_label_map(str(path), LABELS.astype(dtype)[:, ::-1], palette=palette)
        np.testing.assert_array_equal(read_label_map(path.read_bytes(), "x"), LABELS[:, ::-1])
        with Image.open(path) as image:
            assert image.mode == mode
            if mode == "P":
                assert image.getpalette() == [value for colour in voc_palette() for value in colour]
    assert [p.name for p in tmp_path.iterdir()] == ["map.png"]


@pytest.mark.parametrize("labels", [LABELS.astype(np.int64), LABELS > 3, LABELS[None], LABELS[:0]])
def test_what_cannot_be_written(tmp_path: Path, labels: np.ndarray) -> None:
    with pytest.raises(InputError, match="give a uint8 or uint16 array"):
        write_label_map(tmp_path / "map.png", labels)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_a_write_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    path = tmp_path / "map.png"
    path.write_bytes(b"old")
    real = Path.write_bytes

    def fail(self: Path, *arguments: object) -> None:
        real(self, b"half")
        raise error

    monkeypatch.setattr(Path, step, fail)
    with pytest.raises(type(error)):
        write_bytes(path, b"new")
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["map.png"]
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_written_files_have_the_usual_mode(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    write_bytes(tmp_path / "file", b"")
    usual, written = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "file"))
    assert written == usual
