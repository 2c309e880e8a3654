"""Large .npy maps and memory-mapped arrays are read by windows: the same report, and clear words for broken files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import iamiou
from iamiou.big_maps import BigMap, Place, background, from_array, in_memory
from iamiou.errors import ImageError, ProblemsFound
from iamiou.masks import write_label_map
from iamiou.report import map_digest
from iamiou.windows import open_big
from tests.command import good
from tests.counting import random_case

NAMES = ("pred", "truth", "inst")


def lay(folder: Path, *, order: str = "C", dtypes=("u1", "u1", "u1"), images: int = 2) -> dict[str, str]:
    """Save some images as .npy."""
    for k in range(images):
        case = random_case(20 + k, (60 + k, 50))
        for name, labels, dtype in zip(NAMES, (case.pred, case.semantic, case.instance), dtypes, strict=True):
            (folder / name).mkdir(parents=True, exist_ok=True)
            np.save(folder / name / f"image{k}.npy", np.asarray(labels.astype(dtype), order=order))
    (folder / "classes.txt").write_text("one\ntwo\nthree\n")
    return {"semantic": str(folder / "truth"), "instances": str(folder / "inst"), "classes": folder / "classes.txt"}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtypes", [("u1", "u1", "u1"), ("i8", "<i4", ">i4"), ("u2", "u1", "u2")])
@pytest.mark.parametrize("options", [{}, {"instances": None}, {"metrics": "miou"}, {"components": "plain"}])
def test_the_report_is_the_same(tmp_path, order, dtypes, options):
    given = lay(tmp_path, order=order, dtypes=dtypes) | {"bootstrap": 0} | options
    whole = iamiou.evaluate(tmp_path / "pred", window=2**24, **given)
    strips = iamiou.evaluate(tmp_path / "pred", window=300, **given)
    assert strips.to_json() == whole.to_json()
    assert strips.counts == whole.counts
    assert strips.digest == whole.digest != ""


def test_maps_of_several_formats(tmp_path):
    """A PNG has to be decoded as a whole, and is then counted with the windows of the .npy maps beside it."""
    given = lay(tmp_path) | {"bootstrap": 0}
    expected = iamiou.evaluate(tmp_path / "pred", **given).to_json()
    for name in ("truth", "pred"):
        path = tmp_path / name / "image0.npy"
        write_label_map(path.with_suffix(".png"), np.load(path))
        path.unlink()
        assert iamiou.evaluate(tmp_path / "pred", window=300, **given).to_json() == expected


def test_a_missing_prediction_is_background(tmp_path):
    given = lay(tmp_path) | {"bootstrap": 0, "missing": "background"}
    (tmp_path / "pred" / "image1.npy").unlink()
    whole, strips = (iamiou.evaluate(tmp_path / "pred", window=window, **given) for window in (2**24, 300))
    assert strips.to_json() == whole.to_json()


def test_the_command_takes_a_window_and_its_report_leaves_out_what_is_too_large(tmp_path, capsys):
    given = lay(tmp_path)
    page = tmp_path / "report.html"
    words = ["score", tmp_path / "pred", "--semantic", given["semantic"], "--instances", given["instances"]]
    words += ["--classes", given["classes"], "--bootstrap", "0", "--format", "json", "--report", page]
    found, pictures = [], []
    for window in (2**24, 300):
        found.append(good(capsys, *words, "--window", window))
        pictures.append(page.read_text().count("data:image/png"))
    assert found[0] == found[1]
    assert json.loads(found[0])["images"] == 2
    assert pictures[0] > pictures[1] == 0


def mapped(folder: Path, mode: str = "r"):
    return [np.load(folder / name / "image0.npy", mmap_mode=mode) for name in NAMES]


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memory_mapped_arrays(tmp_path, mode):
    given = lay(tmp_path)
    maps = mapped(tmp_path, mode)
    if mode == "c":  # what only this process sees must not be lost when pages are given back
        maps[0][0] = 3
    arrays = [np.array(m) for m in maps]
    report = iamiou.score(*maps, classes=given["classes"], window=300)
    assert report.to_json() == iamiou.score(*arrays, classes=given["classes"]).to_json()
    without = iamiou.score(*maps[:2], classes=given["classes"], window=300)
    assert without.to_json() == iamiou.score(*arrays[:2], classes=given["classes"]).to_json()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts resident pages as Linux does")
def test_mapped_pages_are_given_back(tmp_path):
    page = os.sysconf("SC_PAGE_SIZE")

    def shared() -> int:
        return int(Path("/proc/self/statm").read_text().split()[2]) * page

    labels = np.lib.format.open_memmap(tmp_path / "map.npy", "w+", np.uint8, (16_000, 2_000))
    labels[:] = 1
    labels.flush()
    del labels
    mine, before, most = np.load(tmp_path / "map.npy", mmap_mode="r"), shared(), 0
    for strip in from_array(mine, 2_000_000).strips():
        assert strip.all()
        most = max(most, shared() - before)
    assert most < 8_000_000 < mine.nbytes


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "i8", "bool"])
@pytest.mark.parametrize("top", [1, 200, 254, 255, 256, 65534, 65535, 70_000])
def test_the_digest_of_a_map_does_not_depend_on_how_it_is_read(dtype, top):
    labels = np.random.default_rng(top).integers(0, top + 1, (30, 20))
    labels[3, 3], labels[-1, -1] = 0, top
    if not np.can_cast(np.min_scalar_type(top), dtype) and dtype != "bool":
        return
    labels = labels.astype(dtype)
    assert map_digest(from_array(labels, 60)) == map_digest(labels)
    if dtype == "u2":
        labels[5] = 65535
        assert map_digest(from_array(labels, 60)) == map_digest(labels)


def opened(path: Path, **given) -> BigMap | np.ndarray | None:
    return open_big(str(path), "map", **{"shape": None, "max_pixels": 2**30, "window": 100} | given)


def test_what_is_read_as_bytes(tmp_path):
    small, png = tmp_path / "small.npy", tmp_path / "map.png"
    np.save(small, np.zeros((10, 10), np.int64))  # 800 bytes, but 100 pixels
    png.write_bytes(bytes(1000))
    assert opened(small) is None
    assert opened(png) is None
    np.save(small, np.zeros((10, 11), np.uint8))
    assert isinstance(opened(small), BigMap)
    assert opened(small, window=None) is None


def test_broken_files(tmp_path):
    path = tmp_path / "map.npy"
    np.save(path, np.zeros((20, 30), np.uint8))
    whole = path.read_bytes()
    good = opened(path)
    for data, words in (
        (whole[:-1], "599 bytes of data, expected 600"),
        (whole + b"x", "601 bytes of data"),
        (b"PK" + whole, "not in .npy format"),
        (whole[:9] + bytes(500), "header cannot be read"),
    ):
        path.write_bytes(data)
        with pytest.raises(ImageError, match=words):
            opened(path)
    with pytest.raises(ImageError, match="it became shorter"):
        path.write_bytes(whole[:-1])
        list(good.strips())
    path.unlink()
    with pytest.raises(ImageError, match="No such file"):
        list(good.strips())
    with pytest.raises(ImageError, match="No such file"):
        opened(path)


def test_size_and_kind_are_judged_before_anything_is_read(tmp_path):
    path = tmp_path / "map.npy"
    np.lib.format.open_memmap(path, "w+", np.uint8, (3000, 1000)).flush()
    with pytest.raises(ImageError, match="claims more than 2999999 pixels"):
        opened(path, max_pixels=2_999_999)
    with pytest.raises(ImageError, match="3000 x 1000, ground truth 20 x 30"):
        opened(path, shape=(20, 30))
    np.save(path, np.zeros((20, 30), np.float32))
    with pytest.raises(ImageError, match="holds no integers"):
        opened(path)
    np.save(path, np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(ImageError, match="holds no map of two dimensions"):
        opened(path)


def test_a_bad_label_in_the_last_strip_is_named_with_its_file(tmp_path):
    given = lay(tmp_path)
    labels = np.load(tmp_path / "pred" / "image1.npy")
    labels[-1, -3:] = 9
    np.save(tmp_path / "pred" / "image1.npy", labels)
    with pytest.raises(ProblemsFound, match=r"no class: image1 \(label 9 in 3 pixels\)"):
        iamiou.evaluate(tmp_path / "pred", window=300, **given)


def test_helpers():
    labels = np.arange(12, dtype=np.uint16).reshape(4, 3)
    big = from_array(labels, 6)
    assert background(big).whole().tolist() == np.zeros((4, 3)).tolist()
    assert background(labels).dtype == np.uint16
    assert in_memory(labels, "map") is labels
    assert in_memory(from_array(labels, 12), "map").tolist() == labels.tolist()
    with pytest.raises(ImageError, match="4 x 3"):
        in_memory(big, "map")


def test_places_differ_by_more_than_a_hundredth_of_a_pixel():
    here = Place("EPSG:32633", (0.5, 0.0, 600_000.0, 0.0, -0.5, 5_800_000.0))
    assert not here.differs(Place("EPSG:32633", (0.5, 0.0, 600_000.004, 0.0, -0.5, 5_800_000.0)))
    for other in (
        Place("EPSG:32632", here.transform),
        Place("EPSG:32633", (0.5, 0.0, 600_000.5, 0.0, -0.5, 5_800_000.0)),
        Place("EPSG:32633", (0.5, 0.0, 600_000.0, 0.0, 0.5, 5_800_000.0)),
        Place("EPSG:32633", (0.51, 0.0, 600_000.0, 0.0, -0.5, 5_800_000.0)),
    ):
        assert here.differs(other)
        assert other.differs(here)
