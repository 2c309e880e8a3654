"""The check of an archive: every problem of every image, nothing that depends on a label of the ground truth."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from iamiou.ground_truth import open_ground_truth
from iamiou.labels import VOC
from iamiou.predictions import open_predictions
from iamiou.report import dataset_digest, map_digest
from iamiou.settings import Settings
from iamiou.workers import count_all
from iamiou_leaderboard.types import ImageInfo
from iamiou_leaderboard.validation import MOST_NAMES, blind_truth, check
from tests.fakes import png, scenes, voc_devkit
from tests.leaderboard.boards import packed, predictions

IMAGES = scenes(4, 0)
INFOS = tuple(ImageInfo(i.id, *i.semantic.shape, "hidden") for i in IMAGES)


@pytest.fixture(autouse=True)
def in_the_folder(monkeypatch, tmp_path):
    """The scorer works in the folder of a submission, so that no path of the server is named."""
    monkeypatch.chdir(tmp_path)


def checked(tmp_path, files, keep=None):
    (tmp_path / "archive.zip").write_bytes(files if isinstance(files, bytes) else packed(files))
    found = check(Path("archive.zip"), VOC, INFOS, keep)
    assert str(tmp_path) not in str(found.report)
    return found


def kinds(found) -> dict[str, bool]:
    return {p["kind"]: p["fatal"] for p in found.report["problems"]}


def test_good_predictions_are_kept_as_they_were_decoded(tmp_path):
    found = checked(tmp_path, predictions(IMAGES), tmp_path / "labels.zip")
    assert found.report == {"valid": True, "images": 4, "problems": []}
    maps = [(i.id, map_digest(i.prediction), map_digest(None)) for i in IMAGES]
    assert found.identity == dataset_digest(VOC, maps)
    kept = open_predictions(tmp_path / "labels.zip", blind_truth(VOC, INFOS))
    for image in IMAGES:
        assert np.array_equal(kept.load(image.id, image.semantic.shape), image.prediction)


def test_the_identity_is_of_the_labels_not_of_the_files(tmp_path):
    plain = predictions(IMAGES)
    grey = {f"a/b/{i.id}.png": png(i.prediction, colours=False) for i in reversed(IMAGES)}
    wide = {f"{i.id}.png": png(i.prediction.astype(np.uint16)) for i in IMAGES}
    moved = predictions(IMAGES, lambda a: np.roll(a, 1))
    identities = [checked(tmp_path, files).identity for files in (plain, grey, wide, moved)]
    assert identities[0] == identities[1] == identities[2] != identities[3] and None not in identities


def test_all_problems_come_at_once_and_are_those_of_the_command(tmp_path):
    files = predictions(IMAGES)
    names = sorted(files)
    files[names[0]] = png(np.zeros((5, 5), np.uint8))
    files[names[1]] = png(np.full(IMAGES[1].semantic.shape, 77, np.uint8))
    files[names[2]] = b"II*\0 a TIFF"
    del files[names[3]]
    files["strange.png"] = png(np.zeros((5, 5), np.uint8))
    found = checked(tmp_path, files)
    assert found.identity is None and not found.report["valid"]
    assert kinds(found) == {
        "missing-prediction": True,
        "not-a-png": True,
        "prediction-label": True,
        "size-differs": True,
        "unknown-prediction": True,  # which the command only warns of
    }
    devkit = voc_devkit(tmp_path / "devkit", IMAGES)
    truth = open_ground_truth(devkit)
    predicted = open_predictions(tmp_path / "archive.zip", truth)
    with pytest.raises(Exception) as e:
        count_all(predicted, truth, Settings())
    assert {p.kind for p in e.value.problems} == set(kinds(found))


def test_void_is_an_error_and_its_pixels_are_those_of_the_prediction(tmp_path):
    """Void pixels of the truth must not show in what is said of a prediction."""
    files = predictions(IMAGES, lambda a: np.where(np.arange(a.shape[1]) < 3, 255, a).astype(np.uint8))
    found = checked(tmp_path, files)
    (problem,) = found.report["problems"]
    assert problem["kind"] == "void-in-prediction" and problem["count"] == 4
    assert problem["names"] == [f"{i.id} ({3 * i.semantic.shape[0]} pixels)" for i in IMAGES]


@pytest.mark.parametrize(
    "files, kind",
    [
        (b"Rar!", "refused-archive"),
        (b"", "refused-archive"),
        (b"PK\x05\x06" + bytes(18), "refused-archive"),
        ({**predictions(IMAGES), "more.zip": b"PK"}, "nested-archive"),
        ({**predictions(IMAGES), "more.npy": b"x"}, "npy-member"),
        ({f"{k}.png": b"" for k in range(109)}, "refused-archive"),
        ({"../2007_000001.png": b"x"}, "unsafe-path"),
        ({"notes.txt": b"x"}, "refused-archive"),
    ],
)
def test_archives_that_are_refused_say_why(tmp_path, files, kind):
    found = checked(tmp_path, files)
    assert kinds(found)[kind] and not found.report["valid"] and found.identity is None


def test_a_report_lists_some_names_and_counts_all(tmp_path):
    infos = tuple(ImageInfo(f"i{k:04}", 4, 4, "hidden") for k in range(300))
    (tmp_path / "archive.zip").write_bytes(packed({"i0000.png": png(np.zeros((4, 4), np.uint8))}))
    (problem,) = check(tmp_path / "archive.zip", VOC, infos).report["problems"]
    assert problem["count"] == 299 and len(problem["names"]) == MOST_NAMES


def test_a_zip_of_a_zip_of_nothing_is_not_read_for_ever(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for image in IMAGES:
            z.writestr(f"{image.id}.png", png(np.zeros((1, 1), np.uint8)) + bytes(2**24))
    found = checked(tmp_path, out.getvalue())
    assert set(kinds(found)) <= {"size-differs", "oversize-file"} and not found.report["valid"]
