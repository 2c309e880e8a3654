"""Ground truths in folders: every layout, every choice of images, and a sentence for everything that is wrong."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iamiou.errors import ImageError, InputError, ProblemsFound
from iamiou.ground_truth import GroundTruth, open_ground_truth
from iamiou.labels import VOC
from iamiou.report import map_digest
from tests import fakes

IMAGES = fakes.scenes(4)
IDS = tuple(i.id for i in IMAGES)


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    return fakes.voc_devkit(tmp_path / "VOC2012", IMAGES)


def sentences(truth: GroundTruth) -> list[str]:
    assert not [p for p in truth.warnings if p.fatal]
    return [str(p) for p in truth.warnings]


def refused(*args: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        open_ground_truth(*args, **options)
    return str(caught.value)


def npy(labels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, labels, allow_pickle=False)
    return buffer.getvalue()


def check(truth: GroundTruth, images: tuple[fakes.Scene, ...] = IMAGES, instances: bool = True) -> None:
    assert truth.ids == tuple(i.id for i in images)
    assert truth.instances_from == ("annotation" if instances else "components")
    assert (truth.image_ids, truth.category_labels, truth.classes) == ({}, {}, VOC)
    for image in images:
        semantic, instance = truth.load(image.id)
        assert np.array_equal(semantic, image.semantic)
        assert np.array_equal(instance, image.instance) if instances else instance is None  # type: ignore[arg-type]
        assert semantic.flags.c_contiguous


def test_voc_devkit(devkit: Path) -> None:
    truth = open_ground_truth(devkit)
    check(truth)
    assert sentences(truth) == []
    assert truth.known == frozenset(IDS)


def test_voc_devkit_inside_lone_folders(devkit: Path) -> None:
    (devkit.parent / ".DS_Store").touch()
    check(open_ground_truth(str(devkit.parent)))


def test_voc_devkit_without_instance_maps(tmp_path: Path) -> None:
    for image in IMAGES:
        fakes._write(tmp_path / "SegmentationClass" / f"{image.id}.png", fakes.png(image.semantic))
    truth = open_ground_truth(tmp_path)
    check(truth, instances=False)
    assert sentences(truth) == [
        f"1 VOC devkit has no folder SegmentationObject: {tmp_path}. Instance maps that lie elsewhere go with "
        "--semantic and --instances."
    ]


@pytest.mark.parametrize(
    ("lists", "split", "expected", "warning"),
    [
        ({"val": 2}, None, 2, ""),
        ({"pascal_b": 3}, None, 3, ""),
        ({}, None, 4, ""),
        ({"train": 1, "trainval": 3, "val": 2}, None, 2,
         "1 split was taken, though there are others (train, trainval): val. Choose with --split."),
        ({"a": 1, "b": 2}, None, 4,
         "2 splits were found and none asked for, so all images are scored: a, b. Choose with --split."),
        ({"train": 1, "val": 2}, "train", 1, ""),
        ({"train": 1, "val": 2}, "train.txt", 1, ""),
    ],
)  # fmt: skip
def test_default_and_named_splits(
    tmp_path: Path, lists: dict[str, int], split: str | None, expected: int, warning: str
) -> None:
    root = fakes.voc_devkit(tmp_path, IMAGES, split="x")
    (root / "ImageSets" / "Segmentation" / "x.txt").unlink()
    (root / "ImageSets" / "Segmentation" / "._val.txt").write_bytes(b"\x00\x05")  # macOS
    for name, count in lists.items():
        fakes.image_list(root / "ImageSets" / "Segmentation" / f"{name}.txt", IMAGES[:count])
    truth = open_ground_truth(root, split=split)
    check(truth, IMAGES[:expected])
    assert truth.known == frozenset(IDS)
    assert sentences(truth) == ([warning] if warning else [])


def test_a_list_takes_the_place_of_the_split(devkit: Path, tmp_path: Path) -> None:
    check(open_ground_truth(devkit, list_file=fakes.image_list(tmp_path / "mine.txt", IMAGES[1:2])), IMAGES[1:2])


def test_two_folders(tmp_path: Path) -> None:
    semantic, instances, chosen = fakes.flat_folders(tmp_path, IMAGES)
    fakes.image_list(chosen, IMAGES[:3])
    check(open_ground_truth(semantic=semantic, instances=str(instances)))
    check(open_ground_truth(semantic=semantic, instances=instances, list_file=chosen), IMAGES[:3])
    check(open_ground_truth(semantic=semantic), instances=False)
    check(open_ground_truth(semantic), instances=False)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int64])
def test_16_bits_and_npy(tmp_path: Path, dtype: type[np.integer]) -> None:
    wide = fakes.scenes(2, dtype=np.uint16)
    narrow = fakes.scenes(2)
    for k, (a, b) in enumerate(zip(wide, narrow, strict=True)):
        fakes._write(tmp_path / "s" / f"{k}.png", fakes.png(a.semantic))
        fakes._write(tmp_path / "i" / f"{k}.PNG", fakes.png(a.instance))
        fakes._write(tmp_path / "ns" / f"{k}.npy", npy(b.semantic.astype(dtype)))
        fakes._write(tmp_path / "ni" / f"{k}.NPY", npy(np.asfortranarray(b.instance.astype(dtype))))
    truth = open_ground_truth(semantic=tmp_path / "s", instances=tmp_path / "i")
    mixed = open_ground_truth(semantic=tmp_path / "ns", instances=tmp_path / "ni")
    for k, (a, b) in enumerate(zip(wide, narrow, strict=True)):
        for got, expected in zip(truth.load(str(k)), (a.semantic, a.instance), strict=True):
            assert got is not None
            assert got.dtype == np.uint16
            assert np.array_equal(got, expected)
        for got, expected in zip(mixed.load(str(k)), (b.semantic, b.instance), strict=True):
            assert got is not None
            assert np.array_equal(got, expected)
            if dtype is not np.uint16:  # which says that it is 16-bit, with another void
                assert map_digest(got) == map_digest(expected)


def test_wide_labels_stay_what_they_are(tmp_path: Path) -> None:
    for name, top in (("a", 255), ("b", 256), ("c", 65536), ("d", 2**31), ("e", -1)):
        fakes._write(tmp_path / f"{name}.npy", npy(np.array([[top, 1]])))
    truth = open_ground_truth(tmp_path)
    loaded = {i: truth.load(i)[0] for i in truth.ids}
    assert {i: m.dtype.name for i, m in loaded.items()} == {
        "a": "uint8", "b": "uint16", "c": "int32", "d": "int64", "e": "int64"
    }  # fmt: skip
    assert [int(m[0, 0]) for m in loaded.values()] == [255, 256, 65536, 2**31, -1]


def test_a_large_file_is_read_in_parts(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 20, (600, 700)).astype(np.uint8)
    fakes._write(tmp_path / "a.png", fakes.png(noise))
    fakes._write(tmp_path / "b.npy", npy(noise))
    assert (tmp_path / "a.png").stat().st_size > 2**16
    truth = open_ground_truth(tmp_path)
    for name in "ab":
        assert np.array_equal(truth.load(name)[0], noise)


def test_threads_get_what_one_gets(devkit: Path) -> None:
    truth = open_ground_truth(devkit)
    wrong: list[str] = []

    def work() -> None:
        for image in IMAGES * 20:
            if not np.array_equal(truth.load(image.id)[0], image.semantic):
                wrong.append(image.id)

    crew = [threading.Thread(target=work) for _ in range(4)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    assert wrong == []


def test_all_that_is_missing_or_twice_comes_at_once(devkit: Path) -> None:
    for name in IDS[:2]:
        (devkit / "SegmentationObject" / f"{name}.png").unlink()
    (devkit / "SegmentationClass" / f"{IDS[3]}.npy").write_bytes(b"")
    (devkit / "SegmentationObject" / f"{IDS[2]}.npy").write_bytes(b"")
    (devkit / "SegmentationObject" / "notes.txt").write_bytes(b"")
    fakes._write(devkit / "ImageSets" / "Segmentation" / "val.txt", "\n".join([*IDS, "other"]))
    assert refused(devkit).splitlines() == [
        f"1 image of the list '{devkit}/ImageSets/Segmentation/val.txt' has no label map in "
        f"'{devkit}/SegmentationClass': other. Remove them from the list, or add what is missing.",
        f"1 image has more than one semantic map in '{devkit}/SegmentationClass': {IDS[3]} ({IDS[3]}.npy, "
        f"{IDS[3]}.png). Keep one file an image.",
        f"1 image has more than one instance map in '{devkit}/SegmentationObject': {IDS[2]} ({IDS[2]}.npy, "
        f"{IDS[2]}.png). Keep one file an image.",
        "Warning: 1 file or folder is no label map: notes.txt. Ignored.",
        f"2 images have no instance map in '{devkit}/SegmentationObject': {IDS[0]}, {IDS[1]}. Add them, or leave "
        "these images out with --list.",
    ]


_SIZES = "(60 x 77, SegmentationClass/2007_000001.png 60 x 80)"
BROKEN: dict[str, tuple[bytes, str, str]] = {
    "size": (fakes.png(IMAGES[0].instance[:, :-3]), "instance-size-differs", _SIZES),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(40), "not-a-png", ""),
    "empty": (b"", "broken-png", ""),
    "cut": (fakes.png(IMAGES[0].instance)[:-40], "broken-png", ""),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_maps_are_named_with_their_folder(devkit: Path, case: str) -> None:
    data, kind, detail = BROKEN[case]
    (devkit / "SegmentationObject" / f"{IDS[0]}.png").write_bytes(data)
    with pytest.raises(ImageError) as caught:
        open_ground_truth(devkit).load(IDS[0])
    assert caught.value.kind == kind
    assert "SegmentationObject/2007_000001.png (" in str(caught.value)
    assert detail in str(caught.value)


def test_too_many_pixels_and_files_that_went_away(devkit: Path) -> None:
    with pytest.raises(ImageError) as caught:
        open_ground_truth(devkit, max_pixels=4000).load(IDS[0])
    assert caught.value.kind == "too-large"
    truth = open_ground_truth(devkit)
    (devkit / "SegmentationClass" / f"{IDS[0]}.png").unlink()
    with pytest.raises(ImageError, match=r"1 file cannot be read: SegmentationClass/2007_000001.png \(No such file"):
        truth.load(IDS[0])


def _touch(path: Path) -> Path:
    path.touch()
    return path


REFUSED: dict[str, tuple[Callable[[Path], tuple[list[Any], dict[str, Any]]], str]] = {
    "nothing": (lambda _: ([], {}), "There is no ground truth: give a VOC devkit"),
    "instances alone": (lambda d: ([], {"instances": d}), "; --instances needs --semantic beside it."),
    "both": (lambda d: ([d], {"semantic": d}), "--semantic and --instances stand in place of the ground truth"),
    "gt and instances": (lambda d: ([d], {"instances": d}), "give one of the two."),
    "split and list": (lambda d: ([d], {"split": "val", "list_file": d}), "both choose the images; give one of them."),
    "split of folders": (lambda d: ([], {"semantic": d, "split": "val"}), "with --semantic give a file with --list."),
    "split of a plain folder": (lambda d: ([d / "SegmentationClass"], {"split": "val"}), "is no VOC devkit, so it has"),
    "split of json": (lambda d: ([_touch(d / "a.json")], {"split": "val"}), "with COCO or LVIS json give a file with"),
    "no such path": (lambda d: ([d / "none"], {}), "/none' does not exist; give a VOC devkit"),
    "no such folder": (lambda d: ([], {"semantic": d / "none"}), "The folder of semantic maps '"),
    "no such instances": (
        lambda d: ([], {"semantic": d / "SegmentationClass", "instances": d / "none"}),
        "/none' does not exist; give a folder of label maps.",
    ),
    "no such split": (lambda d: ([d], {"split": "test"}), "There is no split 'test': there is only val. Choose with"),
    "no such list": (lambda d: ([d], {"list_file": d / "x.txt"}), "cannot be read (No such file or directory); give a"),
    "empty list": (lambda d: ([d], {"list_file": _touch(d / "x.txt")}), "names no image; it should hold one image id"),
    "list is a picture": (
        lambda d: ([d], {"list_file": d / "SegmentationClass" / f"{IDS[0]}.png"}),
        "is not UTF-8 text; give a file with one image id a line.",
    ),
    "other file": (lambda d: ([_touch(d / "a.txt")], {}), "is a file, but no .json; give a VOC devkit"),
    "folder without maps": (
        lambda d: ([d / "ImageSets"], {}),
        "holds no label map (.png, .npy or .tif, named by image id); it holds Segmentation/val.txt. Give a VOC devkit",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_sentence(devkit: Path, case: str) -> None:
    make, sentence = REFUSED[case]
    args, options = make(devkit)
    message = refused(*args, **options)
    assert sentence in message
    assert message.endswith(".")


def test_real_voc(real_data: Path) -> None:
    from PIL import Image

    voc = real_data / "voc"
    folders: dict[str, Any] = {"semantic": voc / "SegmentationClass", "instances": voc / "SegmentationObject_derived"}
    truth = open_ground_truth(**folders, list_file=voc / "ImageSets" / "instances.txt")
    assert (len(truth.ids), len(truth.known), sentences(truth)) == (1458, 1521, [])
    for image_id in truth.ids[::50]:
        for got, folder in zip(truth.load(image_id), folders.values(), strict=True):
            assert np.array_equal(np.asarray(Image.open(folder / f"{image_id}.png")), got)  # type: ignore[arg-type]
    with pytest.raises(ProblemsFound) as caught:
        open_ground_truth(**folders, list_file=voc / "ImageSets" / "val.txt")
    (problem,) = caught.value.problems
    assert (problem.kind, len(problem.names)) == ("missing-instance-map", 62)
    plain = open_ground_truth(voc)
    assert (len(plain.ids), plain.instances_from) == (1521, "components")
    assert [p.kind for p in plain.warnings] == ["no-instance-maps"]
