"""The generators of fake data: the same seed gives the same bytes, and each file says what the scene says."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

from iamiou.labels import COCO, voc_palette
from tests import fakes


def digest(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def build(root: Path, seed: int) -> dict[str, str]:
    """Write a data set in every form that there is."""
    images = fakes.scenes(3, seed)
    fakes.voc_devkit(root / "voc", images)
    fakes.flat_folders(root / "flat", images)
    folder = fakes.prediction_folder(root / "predictions", images)
    fakes.prediction_folder(root / "npy", images, kind="npy")
    for name in ("p.zip", "p.tar", "p.tar.gz"):
        fakes.archive(root / name, folder)
    fakes.coco_truth(root / "truth.json", images, COCO.names)
    fakes.coco_results(root / "results.json", images)
    return digest(root)


def test_building_twice_gives_the_same_bytes(tmp_path):
    first = build(tmp_path / "a", 0)
    assert first == build(tmp_path / "b", 0)
    assert first != build(tmp_path / "c", 1)


def test_a_scene_has_what_a_data_set_has():
    images = fakes.scenes(8, shape=(150, 200))
    for image in images:
        assert ((image.semantic == 255) == (image.instance == 255)).all()
        assert ((image.semantic == 0) == (image.instance == 0)).all()
    areas = [np.sum(i.instance == k) for i in images for k in np.unique(i.instance) if 0 < k < 255]
    assert min(areas) < 32**2 < max(areas)


def test_the_palette_is_the_one_of_voc():
    assert fakes.palette() == [value for colour in voc_palette() for value in colour]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pillow_reads_back_what_was_drawn(dtype):
    from PIL import Image

    image = fakes.scene("a", 5, dtype=dtype)
    with Image.open(io.BytesIO(fakes.png(image.semantic))) as opened:
        assert opened.mode == ("P" if dtype == np.uint8 else "I;16")
        assert (np.asarray(opened) == image.semantic).all()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:pycocotools")
def test_pycocotools_reads_back_what_was_drawn(tmp_path, capsys):
    from pycocotools import coco

    images = fakes.scenes(4, seed=3)
    reader = coco.COCO(fakes.coco_truth(tmp_path / "truth.json", images, COCO.names))
    kinds = set()
    for number, image in enumerate(images, start=1):
        drawn = np.zeros_like(image.instance)
        for k, annotation in enumerate(reader.imgToAnns[number], start=1):
            kinds.add(type(annotation["segmentation"]))
            drawn[reader.annToMask(annotation) == 1] = 255 if annotation["iscrowd"] else k
        ids = np.unique(image.instance)  # ids that were painted over leave gaps; annotations have none
        assert (drawn == np.where(image.instance == 255, 255, np.searchsorted(ids, image.instance))).all()
    assert kinds == {list, dict}
    results = json.loads(fakes.coco_results(tmp_path / "results.json", images).read_text())
    assert all(0.5 <= r["score"] <= 1 for r in results)
    assert capsys.readouterr().err == ""
