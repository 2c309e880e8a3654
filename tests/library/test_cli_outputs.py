"""What ``iamiou score`` writes: whole or not at all, even when it is stopped; what it says when it cannot."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import iamiou
from iamiou.report import load
from tests import fakes
from tests.command import COMMAND, files, good, process, refused

FIGURES = [f"{n}.{k}" for n in ("classes", "headline", "iou_against_area", "sizes") for k in ("png", "svg")]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Write a devkit of 3 images, and predictions."""
    root = tmp_path_factory.mktemp("data")
    images = fakes.scenes(3, seed=8, shape=(80, 90), labels=(1, 2, 15))
    voc = fakes.voc_devkit(root / "voc", images)
    predictions = fakes.prediction_folder(root / "predictions", images)
    return SimpleNamespace(images=images, voc=voc, predictions=predictions)


@pytest.fixture
def broken(data, tmp_path):
    """Return predictions of which one is no image."""
    folder = fakes.prediction_folder(tmp_path / "broken", data.images)
    (folder / f"{data.images[2].id}.png").write_bytes(b"GIF89a")
    return folder


def test_files_appear_whole(capsys, data, tmp_path):
    figures = tmp_path / "deep" / "figures"
    outputs = ("--report", tmp_path / "a.html", "--figures", figures, "--save", tmp_path / "a.npz")
    shown = good(capsys, "score", data.predictions, data.voc, "--split", "val", "--bootstrap", 20, *outputs)
    places = zip(("report", "figures", "counts"), outputs[1::2], strict=True)
    assert shown.splitlines()[-3:] == [f"Wrote {kind}: {place}" for kind, place in places]
    assert list(files(tmp_path)) == ["a.html", "a.npz", *(f"deep/figures/{name}" for name in FIGURES)]
    report = iamiou.evaluate(data.predictions, data.voc, split="val", bootstrap=20)
    assert load(tmp_path / "a.npz").to_dict() | {"intervals": 0} == report.to_dict() | {"intervals": 0}
    assert (tmp_path / "a.html").read_text().rstrip().endswith("</html>")
    for name in FIGURES[::2]:
        with Image.open(figures / name) as picture:
            picture.verify()


def test_what_is_there_is_replaced(capsys, data, tmp_path):
    (tmp_path / "a.npz").write_bytes(b"of yesterday")
    (tmp_path / "a.html").write_bytes(b"of yesterday")
    outputs = ("--save", tmp_path / "a.npz", "--report", tmp_path / "a.html")
    good(capsys, "score", data.predictions, data.voc, "--bootstrap", 0, *outputs)
    assert len(load(tmp_path / "a.npz").counts.images) == 3
    assert list(files(tmp_path)) == ["a.html", "a.npz"]


def test_saved_counts_are_the_same_bytes_on_any_number_of_threads(capsys, data, tmp_path):
    for threads in (1, 2, 3):
        options = ("--threads", threads, "--save", tmp_path / f"{threads}.npz", "--format", "csv")
        good(capsys, "score", data.predictions, data.voc, "--bootstrap", 0, *options)
    assert len(set(files(tmp_path).values())) == 1


def test_photographs_go_into_the_report(capsys, data, tmp_path):
    (tmp_path / "photos").mkdir()
    for image in data.images:
        Image.fromarray(np.full((*image.semantic.shape, 3), 90, np.uint8)).save(tmp_path / "photos" / f"{image.id}.jpg")
    pictures = []
    for name, more in (("without", ()), ("with", ("--images", tmp_path / "photos"))):
        page = tmp_path / f"{name}.html"
        good(capsys, "score", data.predictions, data.voc, "--split", "val", "--bootstrap", 0, "--report", page, *more)
        pictures.append(re.findall("data:image/png;base64,[^\"']*", page.read_text()))
    assert len(pictures[0]) == len(pictures[1]) > 0
    assert not set(pictures[0]) & set(pictures[1])


def test_a_failed_scoring_writes_nothing_and_keeps_what_was_there(capsys, data, broken, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.npz").write_bytes(b"of yesterday")
    outputs = ("--save", out / "a.npz", "--report", out / "a.html", "--figures", out / "figures")
    sentence = refused(capsys, "score", broken, data.voc, "--split", "val", *outputs)
    assert sentence.startswith("1 file is not in PNG format: 2007_000003.png (GIF). Save label maps as PNG")
    assert files(out) == {"a.npz": b"of yesterday"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--save {}/no/a.npz", "'{}/no/a.npz' cannot be written: there is no folder '{}/no'; make it first."),
        ("--report {}/no/a.html", "'{}/no/a.html' cannot be written: there is no folder '{}/no'; make it first."),
        ("--report {}", "'{}' cannot be written: it is a folder; give the name of a file."),
        ("--save {}/file/a.npz", "'{}/file/a.npz' cannot be written: '{}/file' is a file; choose another place."),
        ("--figures {}/file", "'{}/file' cannot be written: it is a file; give the name of a folder."),
        ("--figures {}/file/x", "'{}/file/x' cannot be written: '{}/file' is a file; choose another place."),
        ("--save {}/a", "--save '{}/a' does not end in .npz, by which `iamiou compare` knows it; add the ending."),
        ("--images {}", "--images puts photographs into the report; add --report FILE.html."),
        (
            "--images {}/no --report {}/a.html",
            "There is no folder '{}/no' of photographs; correct --images, or leave it out.",
        ),
    ],
)
def test_a_place_that_cannot_be_is_told_before_the_work(capsys, data, tmp_path, monkeypatch, options, sentence):
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("iamiou.evaluation.share_all", lambda *_, **__: pytest.fail("scored in vain"))
    options = [option.format(tmp_path) for option in options.split()]
    assert refused(capsys, "score", data.predictions, data.voc, *options) == sentence.replace("{}", str(tmp_path))
    assert list(files(tmp_path)) == ["file"]


def test_a_folder_that_may_not_be_written_is_told_before_the_work(capsys, data, tmp_path, monkeypatch):
    monkeypatch.setattr("iamiou.files.os.access", lambda _, mode: not mode & os.W_OK)  # root may all
    for option, name in (("--save", "a.npz"), ("--report", "a.html"), ("--figures", "figures/of/it")):
        place = tmp_path / name
        expected = f"'{place}' cannot be written: nothing may be written in '{tmp_path}'; choose another place."
        assert refused(capsys, "score", data.predictions, data.voc, option, place) == expected


@pytest.fixture
def long_job(tmp_path):
    """Lay out 400 images of noise that take minutes to score, all links to one file each."""
    rng = np.random.default_rng(0)
    for name, high in (("semantic", 21), ("instances", 200), ("predictions", 21)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / f"{name}.npy", rng.integers(0, high, (1500, 1500), dtype=np.uint8))
        for k in range(400):
            (tmp_path / name / f"{k:03}.npy").symlink_to(tmp_path / f"{name}.npy")
    return [tmp_path / "predictions", "--semantic", tmp_path / "semantic", "--instances", tmp_path / "instances"]


def read_until(fd: int, text: str, seconds: float = 100) -> str:
    """Read a terminal until a text shows."""
    seen, end = "", time.monotonic() + seconds
    while text not in seen and time.monotonic() < end:
        try:
            seen += os.read(fd, 4096).decode(errors="replace")
        except OSError:  # the other side has gone
            break
    return seen


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")
def test_ctrl_c_in_the_middle_leaves_nothing(long_job, tmp_path):
    import pty

    out = tmp_path / "out"
    out.mkdir()
    outputs = ["--save", out / "a.npz", "--report", out / "a.html", "--figures", out / "figures", "--threads", 2]
    ours, theirs = pty.openpty()
    command = [*COMMAND, "score", *map(str, long_job), *map(str, outputs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs) as job:
        os.close(theirs)
        try:
            seen = read_until(ours, "/400")
            assert "Scoring" in seen  # the progress bar: the scoring has begun
            job.send_signal(signal.SIGINT)
            seen = read_until(ours, "half written.", 60)
            printed, _ = job.communicate(timeout=60)
        finally:
            job.kill()  # or a failure would wait for the end of the scoring
    os.close(ours)
    assert (job.returncode, printed) == (130, b"")
    assert "Interrupted; nothing is left half written." in seen
    assert "Traceback" not in seen
    assert files(out) == {}


def test_no_progress_bar_without_a_terminal(data):
    done = process("score", data.predictions, data.voc, "--bootstrap", 0)
    assert (done.returncode, "Scoring" in done.stderr) == (0, False)


def test_exit_codes_of_a_process(data, tmp_path):
    assert process("--version").stdout == f"iamiou {iamiou.__version__}\n"
    nowhere = process("score", data.predictions, tmp_path / "nowhere")
    assert (nowhere.returncode, nowhere.stdout) == (2, "")
    assert nowhere.stderr.startswith("Error: The ground truth '")
    assert "Traceback" not in nowhere.stderr


@pytest.mark.parametrize("style", ["table", "json", "csv", "markdown", "latex"])
def test_a_reader_that_has_gone_is_no_bug(data, style):
    reading, writing = os.pipe()
    os.close(reading)
    command = [*COMMAND, "score", str(data.predictions), str(data.voc), "--bootstrap", "0", "--format", style]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full to write to")
@pytest.mark.parametrize("style", ["table", "csv"])
def test_a_full_disk_behind_the_output(data, style):
    command = [*COMMAND, "score", str(data.predictions), str(data.voc), "--bootstrap", "0", "--format", style]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    expected = "Error: The disk is full; free some space and run the command again.\n"
    assert (done.returncode, done.stderr) == (2, expected)


def test_a_full_disk_leaves_nothing(capsys, data, tmp_path, monkeypatch):
    def full(file, *_, **__):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    sentence = refused(capsys, "score", data.predictions, data.voc, "--bootstrap", 0, "--save", tmp_path / "a.npz")
    expected = f"'{tmp_path}/a.npz' cannot be written (No space left on device); free some space or give another path."
    assert sentence == expected
    assert files(tmp_path) == {}


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_that_knows_few_characters_gets_its_table(data, encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding, "COLUMNS": "80"}
    done = process("score", data.predictions, data.voc, "--bootstrap", 0, env=environment, encoding=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert "IA-mIoU" in done.stdout
