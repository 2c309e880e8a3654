"""Bad input: each kind has its own sentence, says what, where, how often and what to do, and ends with code 2."""

from __future__ import annotations

import json
import shutil
import zlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests import fakes, png_files
from tests.command import good, refused, run

SCENES = fakes.scenes(3, seed=8, shape=(40, 50), labels=(1, 2, 15))
IDS = [s.id for s in SCENES]
FIRST = f"{IDS[0]}.png"
#: A file of 100 bytes whose header claims an image of 3.6 GB.
BOMB = png_files.join([png_files.header(60000, 60000), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")])


@pytest.fixture
def data(tmp_path):
    """Write a devkit of three images and one prediction each."""
    return SimpleNamespace(
        voc=fakes.voc_devkit(tmp_path / "voc", SCENES),
        predictions=fakes.prediction_folder(tmp_path / "predictions", SCENES),
        split=tmp_path / "voc" / "ImageSets" / "Segmentation" / "val.txt",
        semantic=tmp_path / "voc" / "SegmentationClass",
        instances=tmp_path / "voc" / "SegmentationObject",
        root=tmp_path,
    )


@pytest.fixture
def scored(capsys, data):
    """Return what `score` says when it refuses; `validate` has to say the same about the same data."""

    def sentence(*options, kind=None):
        told = refused(capsys, "score", data.predictions, data.voc, "--bootstrap", 0, *options)
        check = run(capsys, "validate", data.predictions, data.voc, "--format", "json", *options)
        assert check.code == 2
        if kind is None:
            assert check.err == f"Error: {told}\n"
        else:
            found = json.loads(check.out)
            assert not found["valid"] and [p["kind"] for p in found["problems"] if p["fatal"]] == [kind]
        return told

    return sentence


@pytest.fixture
def warned(capsys, data):
    """Return the warnings of a scoring that succeeds."""

    def warnings(*options):
        shown = good(capsys, "score", data.predictions, data.voc, "--bootstrap", 0, "--format", "json", *options)
        check = run(capsys, "validate", data.predictions, data.voc, *options)
        told = json.loads(shown)["warnings"]
        assert check.code == 0 and all(f"]: {w}\n" in check.out for w in told)
        return told

    return warnings


def test_missing_predictions_are_all_listed(capsys, data, scored):
    for name in IDS[:2]:
        (data.predictions / f"{name}.png").unlink()
    assert scored(kind="missing-prediction") == (
        f"2 images have no prediction: {IDS[0]}, {IDS[1]}. Predict every image, or add `--missing background` to "
        "count them as all background."
    )


def test_predictions_outside_the_split_are_a_warning(data, warned):
    data.split.write_text(f"{IDS[0]}\n")
    told = [f"2 predictions are of an image outside the split: {IDS[1]}, {IDS[2]}. Ignored."]
    assert warned() == told


def test_a_name_in_no_split_is_a_warning(data, warned):
    shutil.copy(data.predictions / FIRST, data.predictions / "holiday.png")
    assert warned() == ["1 prediction is of no image in the ground truth: holiday. Ignored."]


def test_no_name_matches(data, scored):
    for name in IDS:
        (data.predictions / f"{name}.png").rename(data.predictions / f"{name}_pred.png")
    assert scored(kind="no-prediction-matches") == (
        f"3 predictions match none of the images to score: {IDS[0]}_pred, {IDS[1]}_pred, {IDS[2]}_pred. Predictions "
        f"are named like '{IDS[0]}_pred', images like '{IDS[0]}': rename the predictions by image id."
    )


def test_a_list_that_names_no_image(data, scored):
    data.split.write_text(f"{IDS[0]}\nghost\n")
    assert scored(kind="listed-not-found") == (
        f"1 image of the list '{data.split}' has no label map in '{data.semantic}': ghost. Remove them from the list, "
        "or add what is missing."
    )


@pytest.mark.parametrize("ending", ["png", "npy"])
def test_a_size_that_differs(data, scored, ending):
    (data.predictions / FIRST).unlink()
    labels = np.zeros((41, 50), np.uint8)
    fakes.prediction_folder(data.predictions, [replace(SCENES[0], prediction=labels)], kind=ending)
    assert scored(kind="size-differs") == (
        f"1 image differs in size from the ground truth: {IDS[0]}.{ending} (41 x 50, ground truth 40 x 50). Resize the "
        "label maps, height x width, to the size of their images by nearest neighbour."
    )


def test_a_label_that_is_no_class(data, scored):
    labels = SCENES[0].prediction.copy()
    labels[:2, :3], labels[5, 5] = 33, 254
    fakes.prediction_folder(data.predictions, [replace(SCENES[0], prediction=labels)])
    assert scored(kind="prediction-label") == (
        f"1 prediction has labels that are no class: {IDS[0]} (label 33 in 6 pixels, label 254 in 1 pixel). The class "
        "list 'voc' has the labels 0 to 20; see --classes."
    )


def test_a_label_of_the_truth_that_is_no_class(data, scored, tmp_path):
    (tmp_path / "few.txt").write_text("cat\ndog\n")
    told = scored("--classes", tmp_path / "few.txt", kind="truth-label")
    assert "ground truths have labels that are no class: " in told
    assert told.endswith("The class list 'few' has the labels 0 to 2 and void 255; see --classes.")


def test_void_in_a_prediction(data, scored, warned):
    labels = SCENES[0].prediction.copy()
    labels[0, 0] = 255
    fakes.prediction_folder(data.predictions, [replace(SCENES[0], prediction=labels)])
    assert scored(kind="void-in-prediction") == (
        f"1 prediction contains the void label 255: {IDS[0]} (1 pixel). A prediction must name a class everywhere; "
        "--pred-void background counts void as background."
    )
    assert warned("--pred-void", "background") == []


@pytest.mark.parametrize(
    ("content", "kind", "what"),
    [
        (fakes.png(SCENES[0].prediction)[:-30], "broken-png", "PNG file is damaged: {} (is cut short). Write or copy"),
        (b"", "broken-png", "PNG file is damaged: {} (is empty). Write or copy them again."),
        (b"\xff\xd8\xff\xe0 photo", "not-a-png", "file is not in PNG format: {} (JPEG). Save label maps as PNG, one"),
        (b"<!doctype html>", "not-a-png", "file is not in PNG format: {} (web page or other markup). Save label maps"),
        (b"\0" * 99, "not-a-png", "file is not in PNG format: {} (starts with 00 00 00 00 00 00 00 00). Save label"),
    ],
    ids=["truncated", "empty", "JPEG", "web page", "zeros"],
)
def test_a_file_that_is_no_png(data, scored, content, kind, what):
    (data.predictions / FIRST).write_bytes(content)
    assert scored(kind=kind).startswith(f"1 {what.format(FIRST)}")
    shutil.copy(data.semantic / f"{IDS[1]}.png", data.predictions / FIRST)
    (data.semantic / FIRST).write_bytes(content)
    assert scored(kind=kind).startswith(f"1 {what.format(f'SegmentationClass/{FIRST}')}")


def test_colours_name_the_command_that_converts_them(data, scored):
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(data.predictions / FIRST)
    told = f"1 PNG file holds colours, not labels: {FIRST} (RGB). Convert colour masks with `iamiou convert IN OUT`."
    assert scored(kind="rgb-png") == told


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_unusual_pngs_are_read(capsys, data, depth, interlaced):
    labels = np.minimum(SCENES[0].prediction, min(255, 2**depth - 1))
    args = ("score", data.predictions, data.voc, "--format", "json", "--bootstrap", 0)
    fakes.prediction_folder(data.predictions, [replace(SCENES[0], prediction=labels)])
    expected = good(capsys, *args)
    for colour in (0, 3)[: 1 if depth == 16 else 2]:
        content = png_files.encode(
            labels.astype(np.uint16), depth, colour, kinds=(0, 1, 2, 3, 4), interlaced=interlaced
        )
        (data.predictions / FIRST).write_bytes(content)
        assert good(capsys, *args) == expected


def test_a_header_that_lies_is_refused_before_decoding(data, scored, monkeypatch):
    monkeypatch.setattr("iamiou.png._inflate", lambda *_: pytest.fail("inflated"))
    (data.predictions / FIRST).write_bytes(BOMB)
    for name in IDS[1:]:
        for folder in (data.predictions, data.semantic, data.instances):
            (folder / f"{name}.png").unlink()
    data.split.write_text(f"{IDS[0]}\n")
    labels = np.zeros((40, 50), np.uint8)
    for folder in (data.semantic, data.instances):  # what is no PNG is not inflated
        (folder / FIRST).unlink()
        np.save(folder / f"{IDS[0]}.npy", labels)
    told = f"1 image differs in size from the ground truth: {FIRST} (60000 x 60000, ground truth 40 x 50). "
    assert scored(kind="size-differs").startswith(told)
    (data.semantic / f"{IDS[0]}.npy").unlink()
    (data.semantic / FIRST).write_bytes(BOMB)
    assert scored(kind="too-large") == (
        f"1 image claims more than 1073741824 pixels: SegmentationClass/{FIRST} (60000 x 60000). Raise --max-pixels if "
        "they are meant to be that large."
    )


def test_max_pixels(data, scored):
    told = scored("--max-pixels", 1999, kind="too-large")
    assert told.startswith(f"3 images claim more than 1999 pixels: SegmentationClass/{FIRST} (40 x 50), ")


def test_folders_without_label_maps(data, scored):
    shutil.rmtree(data.predictions)
    data.predictions.mkdir()
    assert scored() == f"'{data.predictions}' holds no label map (.png, .npy or .tif, named by image id)."
    (data.predictions / "notes.txt").write_text("x")
    assert scored().endswith("(.png, .npy or .tif, named by image id); it holds notes.txt.")


def test_two_predictions_for_one_image(data, scored):
    np.save(data.predictions / f"{IDS[0]}.npy", SCENES[0].prediction)
    assert scored(kind="duplicate-prediction") == (
        f"1 image has more than one prediction: {IDS[0]} ({IDS[0]}.npy, {FIRST}). Keep one file an image."
    )


def test_an_instance_over_two_classes_is_a_warning(data, warned):
    semantic = SCENES[0].semantic.copy()
    inside = np.argwhere(SCENES[0].instance == 6)
    semantic[tuple(inside[0])] = 7
    (data.semantic / FIRST).write_bytes(fakes.png(semantic))
    assert warned() == [
        f"1 image has instances that lie over two classes: {IDS[0]} (1 instance). Each counts for the largest class "
        "label in it."
    ]


def test_void_that_differs_is_a_warning(data, warned):
    semantic = SCENES[0].semantic.copy()
    void = np.argwhere(semantic == 255)
    semantic[tuple(void[0])] = 0
    (data.semantic / FIRST).write_bytes(fakes.png(semantic))
    assert warned() == [
        f"1 image has a void region that differs between semantic and instance map: {IDS[0]} (1 pixel). Pixels that "
        "are void in either map are left out."
    ]


def test_more_instances_than_fit_8_bits(data, scored, warned):
    semantic, instance = np.zeros((2, 40, 50), np.uint8)
    semantic.flat[:260], instance.flat[:254], instance.flat[254:260] = 1, np.arange(1, 255), 255
    (data.semantic / FIRST).write_bytes(fakes.png(semantic))
    (data.instances / FIRST).write_bytes(fakes.png(instance))
    told = scored(kind="too-many-instances")
    assert told.startswith("1 8-bit instance map uses all 254 ids, with labelled pixels marked as void: ")
    assert told.endswith(
        f"{IDS[0]} (6 pixels). More than 254 instances do not fit 8 bits; save these instance maps with 16 bits."
    )
    wide = np.zeros((40, 50), np.uint16)
    wide.flat[:260] = np.arange(1, 261)
    (data.instances / FIRST).write_bytes(fakes.png(wide))
    assert warned() == []


def test_a_file_that_may_not_be_read(data, scored, monkeypatch):
    import os

    def forbidden(path, *rest, opened=os.open):
        if str(path) == str(data.predictions / FIRST):  # for root, modes of files forbid nothing
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *rest)

    monkeypatch.setattr(os, "open", forbidden)
    assert scored(kind="unreadable-file") == f"1 file cannot be read: {FIRST} (Permission denied)."


@pytest.mark.parametrize(
    ("labels", "kind", "what"),
    [
        (np.zeros((40, 50)), "npy-dtype", ".npy file holds no integers: {} (float64). Save the label of each pixel as"),
        (np.array([[{}]]), "npy-pickle", ".npy file holds pickled Python objects, which are never loaded because"),
        (np.zeros((1, 40, 50), int), "npy-shape", ".npy file holds no map of two dimensions: {} (shape (1, 40, 50))."),
        (np.full((40, 50), -1), "label-range", "prediction has values outside 0 to 65535: {} (values -1 to -1)"),
    ],
    ids=["float", "pickle", "3-D", "negative"],
)
def test_arrays_that_are_no_label_map(data, scored, labels, kind, what):
    (data.predictions / FIRST).unlink()
    np.save(data.predictions / f"{IDS[0]}.npy", labels, allow_pickle=True)
    name = IDS[0] if kind == "label-range" else f"{IDS[0]}.npy"
    assert scored(kind=kind).startswith(f"1 {what.format(name)}")
