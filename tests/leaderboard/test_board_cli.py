"""The commands of a board, as its operator types them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time

import pytest

from iamiou_leaderboard.board import open_board
from iamiou_leaderboard.ids import new_id
from iamiou_leaderboard.types import State
from tests.command import COMMAND, good, process, refused
from tests.fakes import image_list, voc_devkit
from tests.leaderboard.boards import drawn, packed, predictions, submit


@pytest.fixture
def devkit(tmp_path):
    images = drawn()
    root = voc_devkit(tmp_path / "devkit", images)
    image_list(root / "ImageSets" / "Segmentation" / "train.txt", images[:4])
    image_list(root / "ImageSets" / "Segmentation" / "val.txt", images[4:])
    return root


def test_a_boards_whole_life(capsys, devkit, tmp_path):
    board = tmp_path / "board"
    splits = ("--public-split", "train", "--hidden-split", "val")
    out = good(capsys, "leaderboard", "init", board, devkit, *splits, "--name", "Tiny", "--quota", 1)
    assert "public: 4 images" in out and "hidden: 16 images" in out and "Made the board 'Tiny'" in out
    secret = good(capsys, "leaderboard", "token", "create", board, "--team", "Lab", "--days", 3).strip()
    admin = good(capsys, "leaderboard", "token", "create", board, "--team", "Desk", "--admin").strip()
    listed = good(capsys, "leaderboard", "token", "list", board)
    assert "Lab" in listed and "valid" in listed and secret not in listed and admin not in listed
    assert good(capsys, "leaderboard", "token", "revoke", board, 2) == "Token 2 is revoked.\n"
    assert "revoked" in good(capsys, "leaderboard", "token", "list", board)
    opened = open_board(board)
    assert opened.store.viewer_of(secret).team == "Lab" and opened.store.viewer_of(admin) is None
    entry = submit(opened, packed(predictions(drawn())))
    bad = submit(opened, packed({"2007_000001.png": b"x"}), team="Other")
    with pytest.raises(Exception, match="1 are allowed"):
        submit(opened, b"x")
    assert good(capsys, "leaderboard", "worker", board, "--once") == "3 jobs done.\n"
    text = good(capsys, "leaderboard", "list", board)
    assert re.search(r"^1 +ours +Lab", text, re.MULTILINE) and "hidden split" in text
    table = json.loads(good(capsys, "leaderboard", "list", board, "--split", "public", "--format", "json"))
    assert table["split"] == "public" and table["rows"][0]["id"] == entry.id
    everything = good(capsys, "leaderboard", "list", board, "--all")
    assert "scored" in everything and "rejected" in everything
    assert len(json.loads(good(capsys, "leaderboard", "list", board, "--all", "--format", "json"))) == 2
    text = good(capsys, "leaderboard", "show", board, entry.id)
    assert "rank 1 of 1" in text and "IA_S" in text and "metric: 1.0" in text
    text = good(capsys, "leaderboard", "show", board, bad.id)
    assert "problem [missing-prediction]: 19 images have no prediction" in text
    assert json.loads(good(capsys, "leaderboard", "show", board, entry.id, "--format", "json"))["state"] == "scored"
    assert good(capsys, "leaderboard", "rescore", board) == "Queued for metric version 1.0: 0 submissions.\n"
    assert "Copied the board and 2" in good(capsys, "leaderboard", "backup", board, tmp_path / "copy")
    good(capsys, "leaderboard", "withdraw", board, entry.id, "--reason", "A bug in the training.")
    assert opened.store.submission(entry.id).reason == "A bug in the training."
    assert opened.store.submission(entry.id).state is State.WITHDRAWN
    assert "ours" not in good(capsys, "leaderboard", "list", board)
    opened.close()
    copy = good(capsys, "leaderboard", "list", tmp_path / "copy")
    assert "ours" in copy, "the backup is of before"


def test_a_folder_of_masks_is_hidden_altogether(capsys, devkit, tmp_path):
    source = ("--semantic", devkit / "SegmentationClass", "--instances", devkit / "SegmentationObject")
    out = good(capsys, "leaderboard", "init", tmp_path / "b", *source)
    assert "hidden: 20 images" in out and "public" not in out
    some = devkit / "ImageSets" / "Segmentation" / "val.txt"
    out = good(capsys, "leaderboard", "init", tmp_path / "c", *source, "--hidden-split", some, "--bins", "64")
    assert "hidden: 16 images" in out
    opened = open_board(tmp_path / "c")
    assert opened.board.bins == (64,) and opened.board.dataset == ""
    opened.close()


def test_mistakes_are_told_in_a_sentence(capsys, devkit, tmp_path):
    split = ("--public-split", "train")
    assert "chooses" not in refused(capsys, "leaderboard", "init", tmp_path / "b", devkit, *split, "--split", "val")
    assert "There is no split 'test'" in refused(
        capsys, "leaderboard", "init", tmp_path / "b", devkit, "--hidden-split", "test"
    )
    assert "There is no ground truth" in refused(capsys, "leaderboard", "init", tmp_path / "b")
    assert not (tmp_path / "b").exists()
    board = tmp_path / "board"
    good(capsys, "leaderboard", "init", board, devkit, *split)
    assert "is not empty" in refused(capsys, "leaderboard", "init", board, devkit)
    for command in (("list",), ("worker",), ("rescore",), ("token", "list")):
        assert "is no board" in refused(capsys, "leaderboard", *command, tmp_path / "nowhere")
    assert "is no board" in refused(capsys, "leaderboard", "backup", tmp_path / "nowhere", tmp_path / "copy")
    for name in ("x", new_id()):
        assert "There is no submission" in refused(capsys, "leaderboard", "show", board, name)
        assert "There is no submission" in refused(capsys, "leaderboard", "withdraw", board, name)
    assert "no such split" in refused(capsys, "leaderboard", "list", board, "--split", "val")
    assert "no token 9" in refused(capsys, "leaderboard", "token", "revoke", board, 9)
    assert "cannot be shown" in refused(capsys, "leaderboard", "token", "create", board, "--team", "a\u202eb")
    (board / "board.json").write_text("{", encoding="utf-8")
    assert "cannot be read" in refused(capsys, "leaderboard", "list", board)


def test_a_submission_on_its_way_is_cancelled(capsys, devkit, tmp_path):
    good(capsys, "leaderboard", "init", tmp_path / "b", devkit, "--split", "val")
    opened = open_board(tmp_path / "b")
    entry = submit(opened, b"PK")
    assert "is cancelled" in good(capsys, "leaderboard", "withdraw", tmp_path / "b", entry.id)
    assert "cannot be cancelled" in refused(capsys, "leaderboard", "withdraw", tmp_path / "b", entry.id)
    opened.close()


def test_a_worker_ends_when_it_is_asked_to(capsys, devkit, tmp_path):
    good(capsys, "leaderboard", "init", tmp_path / "b", devkit, "--split", "val")
    with subprocess.Popen(
        [*COMMAND, "leaderboard", "worker", tmp_path / "b"], stdout=subprocess.PIPE, text=True
    ) as one:
        time.sleep(1)
        one.send_signal(signal.SIGTERM)
        out, _ = one.communicate(timeout=30)
    assert one.returncode in (0, -signal.SIGTERM) and out in ("0 jobs done.\n", "")


def test_a_missing_extra_is_named(tmp_path):
    blocked = tmp_path / "sqlalchemy"
    blocked.mkdir()
    (blocked / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'sqlalchemy'\", name='sqlalchemy')"
    )
    import os

    done = process("leaderboard", "list", tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2 and "pip install 'iamiou[leaderboard]'" in done.stderr, done.stderr
