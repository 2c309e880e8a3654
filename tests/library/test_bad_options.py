"""Wrong paths, lists, classes, sizes and saved runs: a sentence and exit code 2, from every command that takes them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from iamiou.errors import InputError
from iamiou.settings import Settings
from tests import fakes
from tests.command import files, good, refused

SCENES = fakes.scenes(3, seed=8, shape=(40, 50), labels=(1, 2, 15))
WANTED = "a VOC devkit (with SegmentationClass/), a folder of label maps, or COCO or LVIS json"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Write a devkit with two splits, predictions, and small files that are not what they are taken for."""
    root = tmp_path_factory.mktemp("data")
    voc = fakes.voc_devkit(root / "voc", SCENES)
    fakes.image_list(voc / "ImageSets" / "Segmentation" / "train.txt", SCENES[:1])
    predictions = fakes.prediction_folder(root / "predictions", SCENES)
    (root / "none.txt").write_text("\n# only a comment\n")
    (root / "twice.txt").write_text("cat\ndog\ncat\n")
    (root / "latin.txt").write_bytes("Kühe\n".encode("latin-1"))
    (root / "empty").mkdir()
    (root / "broken.json").write_text('{"images": [')
    return SimpleNamespace(root=root, voc=voc, predictions=predictions)


@pytest.mark.parametrize("command", ["score", "validate"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("{p} {r}/nope", "The ground truth '{r}/nope' does not exist; give " + WANTED + "."),
        ("{p} {r}/none.txt", "The ground truth '{r}/none.txt' is a file, but no .json; give " + WANTED + "."),
        ("{p}", "There is no ground truth: give " + WANTED + ", or a folder with --semantic."),
        (
            "{p} {r}/empty",
            "'{r}/empty' holds no label map (.png, .npy or .tif, named by image id). Give " + WANTED + ".",
        ),
        ("{p} {v} --semantic {p}", "--semantic and --instances stand in place of the ground truth '{v}'; give one of"),
        ("{p} --instances {p}", "There is no ground truth: give "),
        ("{p} --semantic {r}/no", "The folder of semantic maps '{r}/no' does not exist; give a folder of label maps."),
        (
            "{p} --semantic {v}/SegmentationClass --instances {r}/no",
            "The folder of instance maps '{r}/no' does not exist; give a folder of label maps.",
        ),
        (
            "{p} {r}/broken.json",
            "'{r}/broken.json' is not valid json (Expecting value: line 1 column 13 (char 12)); is it cut",
        ),
        ("{r}/nope {v}", "The predictions '{r}/nope' do not exist; give a folder, an archive or a COCO results file."),
        ("{r}/none.txt {v}", "The predictions '{r}/none.txt' are neither a folder nor a .zip, .tar, .tar.gz or COCO"),
        ("{p} {v} --split tain", "There is no split 'tain': there are train, val. Choose with --split, or give a list"),
        ("{p} {p} --split val", "'{p}' is no VOC devkit, so it has no split 'val'; give a file with --list."),
        ("{p} {v} --list {r}/no", "The list '{r}/no' cannot be read (No such file or directory); give a file with one"),
        ("{p} {v} --list {r}/latin.txt", "The list '{r}/latin.txt' is not UTF-8 text; give a file with one image id"),
        ("{p} {v} --list x --split val", "--split val and --list x both choose the images; give one of them."),
        (
            "{p} {v} --classes VOC12",
            "The class list 'VOC12' cannot be read (No such file or directory); give voc, coco or a UTF-8 text file "
            "with one name a line.",
        ),
        (
            "{p} {v} --classes {r}/latin.txt",
            "The class list '{r}/latin.txt' cannot be read (it is not UTF-8); give voc",
        ),
        ("{p} {v} --classes {r}/empty", "The class list '{r}/empty' cannot be read (Is a directory); give voc, coco"),
        ("{p} {v} --classes {r}/none.txt", "The class list 'none' has 0 names; it needs background and one more."),
        ("{p} {v} --classes {r}/twice.txt", "The class list 'twice' names cat more than once; remove the repetition."),
    ],
)
def test_wrong_paths_and_lists(capsys, data, command, arguments, sentence):
    places = {"r": data.root, "p": data.predictions, "v": data.voc}
    told = refused(capsys, command, *(a.format(**places) for a in arguments.split()))
    assert told.startswith(sentence.format(**places))
    assert "\n" not in told


@pytest.mark.parametrize("bins", ["96,32", "32,32", "0,32", "-1", "a", "", "32,", "32;96", "1e3", "1.5", "3000000000"])
def test_wrong_bins(capsys, data, bins):
    told = f"'{bins}' is no list of sizes; give increasing sides in pixels, like 32,96."
    for command in ("score", "validate"):
        assert refused(capsys, command, data.predictions, data.voc, f"--bins={bins}") == told


def test_a_ground_truth_that_may_not_be_read(capsys, data, monkeypatch):
    def forbidden(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("iamiou.listing.os.scandir", forbidden)
    told = refused(capsys, "score", data.predictions, data.voc)
    assert told == f"The ground truth '{data.voc}/SegmentationClass/' cannot be read: Permission denied."


@pytest.fixture
def saved(capsys, data, tmp_path):
    """Save a run."""
    good(capsys, "score", data.predictions, data.voc, "--bootstrap", 0, "--save", tmp_path / "good.npz")
    return tmp_path


@pytest.mark.parametrize("what", ["cut", "flipped", "text", "empty", "other arrays", "pickle"])
def test_saved_runs_that_are_damaged(capsys, saved, what):
    content = (saved / "good.npz").read_bytes()
    bad = saved / "bad.npz"
    if what == "other arrays":
        np.savez(bad, a=np.zeros(3))
    elif what == "pickle":
        np.savez(bad, header=np.array([{}]))
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
        bad.write_bytes({"cut": content[:middle], "flipped": flipped, "text": b"mIoU,57\n", "empty": b""}[what])
    told = f"'{bad}' is damaged or holds no counts of iamiou; write it again: iamiou score ... --save {bad}"
    for pair in ((bad, saved / "good.npz"), (saved / "good.npz", bad)):
        assert refused(capsys, "compare", *pair) == told
    assert list(files(saved)) == ["bad.npz", "good.npz"]


def test_saved_runs_that_are_not_there(capsys, saved):
    told = f"'{saved}/no.npz' cannot be read (No such file or directory); give a file of iamiou score ... --save"
    assert refused(capsys, "compare", saved / "good.npz", saved / "no.npz") == told


def test_saved_runs_of_another_metric(capsys, saved, monkeypatch):
    monkeypatch.setattr("iamiou.report.METRIC_VERSION", "2.0")
    told = f"'{saved}/good.npz' was made with version 1.0 of the metric, not 2.0; score again."
    assert refused(capsys, "compare", saved / "good.npz", saved / "good.npz") == told


@pytest.mark.parametrize(("name", "value"), [("seed", -1), ("bootstrap", -5)])
def test_numbers_below_zero_are_refused_in_python_too(name, value):
    with pytest.raises(InputError, match=f"^{name} is {value}; give"):
        Settings(**{name: value})
