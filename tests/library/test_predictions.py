"""Predictions in folders and archives: what is found, and a sentence for everything that is wrong."""

from __future__ import annotations

import io
import os
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iamiou.errors import ImageError, InputError
from iamiou.predictions import Predictions, compare_ids, open_predictions
from tests.packing import LAYOUTS, Truth, lay, npy, png


def sentences(predictions: Predictions) -> list[str]:
    return [str(p) for p in predictions.problems]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_label_maps_are_found_by_image_id(tmp_path: Path, layout: str) -> None:
    found = open_predictions(lay(tmp_path, layout, {"b.PNG": png(2), "a.npy": npy(np.full((4, 6), 3))}), Truth())
    assert found.ids == ("a", "b")
    assert found.problems == ()
    for image_id, value in (("a", 3), ("b", 2), ("a", 3)):
        labels = found.load(image_id, (4, 6))
        assert labels.shape == (4, 6)
        assert np.all(labels == value)
    assert Path(found.source).name.startswith(("folder", "preds"))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("prefix", ["preds/", "results/VOC2012/Segmentation/"])
def test_a_lone_folder_is_looked_into(tmp_path: Path, layout: str, prefix: str) -> None:
    files = {f"{prefix}a.png": png(1), "submission.json": b"{}", "__MACOSX/preds/._a.png": b"junk"}
    found = open_predictions(lay(tmp_path, layout, files), Truth())
    assert found.ids == ("a",)
    assert found.problems == ()
    assert found.load("a", (4, 6))[0, 0] == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_other_files_are_ignored_with_a_warning_and_junk_without(tmp_path: Path, layout: str) -> None:
    junk = {".DS_Store": b"", "Thumbs.db": b"", "desktop.ini": b"", ".a.png.swp": b"", "submission.json": b"{}"}
    other = {"photo.jpg": b"", "notes.txt": b"", "old/c.png": png(), "inner.zip": b"PK"}
    found = open_predictions(lay(tmp_path, layout, {"a.png": png(), **junk, **other}), Truth())
    assert found.ids == ("a",)
    (problem,) = found.problems
    assert (problem.kind, problem.fatal) == ("ignored-files", False)
    assert str(problem) == "4 files or folders are no label maps: inner.zip, notes.txt, old/, photo.jpg. Ignored."


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_predictions_for_one_image(tmp_path: Path, layout: str) -> None:
    files = {"a.png": png(), "a.npy": npy(np.ones((4, 6), int)), "b.png": png(), "b.PNG": png(), "c.png": png()}
    (problem,) = open_predictions(lay(tmp_path, layout, files), Truth()).problems
    assert problem.fatal
    assert (
        str(problem)
        == "2 images have more than one prediction: a (a.npy, a.png), b (b.PNG, b.png). Keep one file an image."
    )


def test_a_member_twice_in_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as t:
        for data in (png(1), png(2)):
            info = tarfile.TarInfo("a.png")
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    assert sentences(open_predictions(path, Truth())) == [
        "1 image has more than one prediction: a (a.png, a.png). Keep one file an image."
    ]
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as z, pytest.warns(UserWarning, match="Duplicate name"):
        z.writestr("a.png", png(1))
        z.writestr("a.png", png(2))
    assert "a (a.png, a.png)" in sentences(open_predictions(path, Truth()))[0]


def test_a_refused_archive_says_why_and_nothing_else(tmp_path: Path) -> None:
    path = lay(tmp_path, ".zip", {"../a.png": png(), "b.png": png()})
    found = open_predictions(path, Truth())
    assert (found.ids, [p.kind for p in found.problems]) == ((), ["unsafe-path"])
    assert compare_ids(found, Truth(), missing="error") == []
    with pytest.raises(ImageError, match="lies in an archive that was refused: b"):
        found.load("b", (4, 6))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_to_score(tmp_path: Path, layout: str) -> None:
    path = lay(tmp_path, layout, {"x/photo.jpg": b"", "x/inner.zip": b""})
    with pytest.raises(
        InputError, match=r"holds no label map \(\.png.*, named by image id\); it holds x/inner\.zip, x"
    ):
        open_predictions(path, Truth())


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "preds").mkdir()
    with pytest.raises(InputError, match=r"preds' holds no label map \(\.png, \.npy or \.tif, named by image id\)\.$"):
        open_predictions(tmp_path / "preds", Truth())


def test_several_folders_are_not_chosen_between(tmp_path: Path) -> None:
    path = lay(tmp_path, "folder", {"epoch1/a.png": png(), "epoch2/a.png": png()})
    with pytest.raises(InputError, match="it holds epoch1/, epoch2/"):
        open_predictions(path, Truth())


def test_what_is_no_place_of_predictions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere' do not exist; give a folder, an archive or a COCO results file"):
        open_predictions(tmp_path / "nowhere", Truth())
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    with pytest.raises(InputError, match=r"a\.rar' are neither a folder nor a \.zip, \.tar, \.tar\.gz or COCO results"):
        open_predictions(tmp_path / "a.rar", Truth())
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(InputError, match="are neither a folder nor"):
        open_predictions(tmp_path / "pipe.json", Truth())


def test_pipes_and_dangling_links_are_not_opened(tmp_path: Path) -> None:
    path = lay(tmp_path, "folder", {"a.png": png()})
    os.mkfifo(path / "b.png")
    (path / "c.png").symlink_to("nowhere")
    found = open_predictions(path, Truth())
    assert found.ids == ("a",)
    assert sentences(found) == ["2 files or folders are no label maps: b.png, c.png. Ignored."]


def test_a_folder_that_contains_itself(tmp_path: Path) -> None:
    (tmp_path / "preds").mkdir()
    (tmp_path / "preds" / "again").symlink_to(".")
    with pytest.raises(InputError, match="cannot be read: Too many levels of symbolic links"):
        open_predictions(tmp_path / "preds", Truth())


def test_links_to_label_maps_are_followed(tmp_path: Path) -> None:
    path = lay(tmp_path, "folder", {"a.png": png(5)})
    other = lay(tmp_path, "other", {"x.txt": b""})
    (other / "a.png").symlink_to(path / "a.png")
    assert open_predictions(other, Truth()).load("a", (4, 6))[0, 0] == 5


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.png", png(shape=(5, 6)), r"differs in size.*a\.png \(5 x 6, ground truth 4 x 6\)"),
        ("a.png", png(mode="RGB"), r"holds colours, not labels.*a\.png.*iamiou convert IN OUT"),
        ("a.png", png()[:-20], r"damaged.*a\.png"),
        ("a.png", b"\xff\xd8\xff\xe0 a photograph", r"not in PNG format.*a\.png \(JPEG\)"),
        ("a.png", b"", r"damaged.*a\.png \(is empty\)"),
        ("a.npy", npy(np.ones((4, 6))), r"a\.npy"),
        ("a.npy", npy(np.ones((4, 6, 3), int)), r"a\.npy"),
        ("a.npy", npy(np.ones((6, 4), int)), r"a\.npy.*6 x 4"),
    ],
)
def test_each_bad_file_has_its_sentence(tmp_path: Path, layout: str, name: str, data: bytes, sentence: str) -> None:
    found = open_predictions(lay(tmp_path, layout, {name: data}), Truth())
    with pytest.raises(ImageError, match=sentence) as e:
        found.load("a", (4, 6))
    assert e.value.exit_code == 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_longer_than_its_image_allows(tmp_path: Path, layout: str) -> None:
    tail = bytes(2**20 + 200)
    path = lay(tmp_path, layout, {"a.png": png() + tail, "b.npy": npy(np.ones((4, 6), int)) + tail})
    found = open_predictions(path, Truth())
    for name in "ab":
        sentence = rf"larger than any label map of the image: {name}\.\w+ \(more than 1048768 bytes\)\. Write 8-bit PNG"
        with pytest.raises(ImageError, match=sentence):
            found.load(name, (4, 6))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_much_larger_map_is_told_by_its_size_in_pixels(tmp_path: Path, layout: str) -> None:
    files = {"a.npy": npy(np.ones((500, 600), int)), "b.png": png(shape=(500, 600)) + bytes(2**21)}
    found = open_predictions(lay(tmp_path, layout, files), Truth())
    for name in "ab":
        with pytest.raises(ImageError, match="500 x 600"):
            found.load(name, (4, 6))


@pytest.mark.parametrize("size", [2**16 - 1, 2**16, 2**16 + 1, 2**20])
def test_files_around_the_size_of_one_read(tmp_path: Path, size: int) -> None:
    filler = np.random.default_rng(1).integers(0, 255, (1, size - 128), np.uint8)  # 128: numpy's header
    path = lay(tmp_path, "folder", {"a.npy": npy(filler)})
    assert (path / "a.npy").stat().st_size == size
    assert np.array_equal(open_predictions(path, Truth()).load("a", filler.shape), filler)


def test_max_pixels_is_handed_on(tmp_path: Path) -> None:
    found = open_predictions(lay(tmp_path, "folder", {"a.png": png()}), Truth(), max_pixels=23)
    with pytest.raises(ImageError, match="claims more than 23 pixels"):
        found.load("a", (4, 6))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_id_without_a_prediction(tmp_path: Path, layout: str) -> None:
    found = open_predictions(lay(tmp_path, layout, {"a.png": png()}), Truth())
    with pytest.raises(ImageError, match="has no prediction: b"):
        found.load("b", (4, 6))


def test_a_file_that_vanished(tmp_path: Path) -> None:
    path = lay(tmp_path, "folder", {"a.png": png()})
    found = open_predictions(path, Truth())
    (path / "a.png").unlink()
    with pytest.raises(ImageError, match=r"file cannot be read: a\.png \(No such file or directory\)"):
        found.load("a", (4, 6))


@pytest.mark.parametrize("layout", ["folder", ".zip", ".tar"])
def test_names_cannot_reach_the_terminal(tmp_path: Path, layout: str) -> None:
    found = open_predictions(lay(tmp_path, layout, {"a.png": png(), "\u202eb.png": png(), "\x9bx.txt": b""}), Truth())
    text = "".join(map(str, [*found.problems, *compare_ids(found, Truth(), missing="error")]))
    assert "\\u202e" in text
    assert "\\x9b" in text
    assert text.isprintable()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_threads_load_side_by_side(tmp_path: Path, layout: str) -> None:
    files = {f"{i}.png": png(i) for i in range(20)} | {f"{i}.npy": npy(np.full((4, 6), i)) for i in range(20, 40)}
    found = open_predictions(lay(tmp_path, layout, files), Truth())
    wrong: list[str] = []

    def work() -> None:
        wrong.extend(i for i in found.ids if found.load(i, (4, 6))[0, 0] != int(i))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []
    assert len(found.ids) == 40


# ---- real data


def test_real_predictions_as_folder_and_as_archives(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "predictions" / "voc_dinov3_pspnet"
    names = tuple(sorted(p.stem for p in folder.glob("*.png")))
    truth = Truth(ids=names, known=frozenset(names))
    files = {f"preds/{p.name}": p.read_bytes() for p in folder.glob("*.png")}
    found = [open_predictions(folder, truth), *(open_predictions(lay(tmp_path, s, files), truth) for s in LAYOUTS[1:])]
    for name in names:
        with Image.open(folder / f"{name}.png") as image:
            expected = np.asarray(image)
        for predictions in found:
            assert np.array_equal(predictions.load(name, expected.shape), expected)  # type: ignore[arg-type]
    for predictions in found:
        assert predictions.ids == names
        assert predictions.problems == ()
        assert compare_ids(predictions, truth, missing="error") == []


def test_real_predictions_of_another_size(real_data: Path) -> None:
    found = open_predictions(real_data / "predictions" / "voc_marcelsan_320", Truth())
    for name in found.ids:
        with Image.open(real_data / "voc" / "SegmentationClass" / f"{name}.png") as image:
            shape = image.size[::-1]
        with pytest.raises(ImageError, match=rf"{name}\.png \(320 x 320, ground truth {shape[0]} x {shape[1]}\)"):
            found.load(name, shape)
