"""``iamiou submit`` against a real server in a process of its own, and against what only looks like one."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from iamiou.errors import IncompleteError, InputError
from iamiou_leaderboard import client
from iamiou_leaderboard.board import open_board
from iamiou_leaderboard.client import Remote, digest_of
from iamiou_leaderboard.types import State
from tests.command import good, refused, run
from tests.fakes import archive, prediction_folder
from tests.leaderboard.boards import drawn, make_board
from tests.leaderboard.live import BreakingWire, Process, Server, send, token, variant

IMAGES = drawn(12)
META = {"method": "ours", "kind": "submission"}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_board(tmp_path_factory.mktemp("live") / "board", IMAGES)


@pytest.fixture(scope="module")
def server(board: Path) -> Iterator[Server]:
    with Server(board) as running, Process("worker", board):
        yield running


@pytest.fixture(scope="module")
def secret(board: Path) -> str:
    return token(board, "Vision Lab")


@pytest.fixture
def preds(tmp_path: Path) -> Path:
    return prediction_folder(tmp_path / "preds", IMAGES)


def test_a_folder_is_submitted_scored_and_ranked(server, secret, preds, capsys, monkeypatch):
    monkeypatch.setenv("IAMIOU_TOKEN", secret)
    (preds / "submission.json").write_text('{"method": "by file", "supervision": "image", "seed": 1}')
    out = good(capsys, "submit", preds, "--to", server.url, "--wait").splitlines()
    assert out[0].startswith("Submitted 'by file' to 'Drawn' as 0")
    assert out[1].startswith("hidden split: rank 1 of 1; IA-mIoU 0.") and ", mIoU 0." in out[1]
    assert out[2].startswith("public split: rank 1 of 1; IA-mIoU 0.")
    assert out[3].startswith(f"See {server.url}/submissions/0")
    again = run(capsys, "submit", preds, "--to", server.url, "--method", "another name", "--wait")
    assert again.code == 2
    assert "rejected: The same label maps are on the board already" in again.out


def test_what_the_board_would_reject_is_not_sent(server, secret, preds, capsys, board):
    (preds / f"{IMAGES[0].id}.png").unlink()
    (preds / "stranger.png").write_bytes((preds / f"{IMAGES[1].id}.png").read_bytes())
    result = run(capsys, "submit", preds, "--to", server.url, "--method", "bad", "--token", secret)
    assert result.code == 2
    assert result.out.splitlines() == [
        f"problem [missing-prediction]: 1 image has no prediction: {IMAGES[0].id}. Predict every image of the board.",
        "problem [unknown-prediction]: 1 prediction is of no image in the ground truth: stranger. Leave them out.",
        f"{preds}: 12 images expected, 2 kinds of problems.",
    ]
    opened = open_board(board)
    assert all(s.method != "bad" for s in opened.store.submissions())
    opened.close()


def test_the_same_label_maps_make_the_same_bytes(tmp_path, board):
    from iamiou.predictions import open_predictions
    from iamiou_leaderboard.validation import blind_truth, examine

    folder = prediction_folder(tmp_path / "png", IMAGES)
    forms = [folder, prediction_folder(tmp_path / "grey", IMAGES, kind="grey")]
    forms += [prediction_folder(tmp_path / "npy", IMAGES, kind="npy")]
    forms += [archive(tmp_path / f"a{suffix}", folder) for suffix in (".zip", ".tar", ".tar.gz")]
    opened = open_board(board)
    truth = blind_truth(opened.board.class_list, opened.images)
    opened.close()
    made = []
    for k, form in enumerate(forms):
        problems, identity = examine(open_predictions(form, truth), truth, tmp_path / f"{k}.zip")
        assert problems == []
        made.append((identity, digest_of(tmp_path / f"{k}.zip")))
    assert len(set(made)) == 1


def test_an_upload_goes_on_through_a_connection_that_breaks(server, secret, tmp_path, board, monkeypatch):
    monkeypatch.setattr(client, "PIECE", 8192)
    path = tmp_path / "archive.zip"
    path.write_bytes(variant(IMAGES, 1, noise=12))
    assert path.stat().st_size > 100_000
    wire = BreakingWire(server.port, seed=1, most=24_000)
    seen: list[int] = []
    remote = Remote(wire.url, secret, patience=20)
    submission_id = send(remote, path, META, lambda done, total: seen.append(done))
    wire.close()
    assert wire.broken > 5
    assert seen == sorted(seen) and seen[-1] == path.stat().st_size
    opened = open_board(board)
    assert opened.store.submission(submission_id).archive_sha256 == digest_of(path)
    opened.close()


def test_the_same_command_goes_on_where_it_was_stopped(server, secret, tmp_path, monkeypatch):
    monkeypatch.setattr(client, "PIECE", 8192)
    path = tmp_path / "archive.zip"
    path.write_bytes(variant(IMAGES, 2, noise=12))

    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    remote, places = Remote(server.url, secret), []
    with pytest.raises(KeyboardInterrupt):
        send(remote, path, META, stop)
    first = remote.create(META, path.stat().st_size, digest_of(path))
    second = send(remote, path, META, lambda done, total: places.append(done))
    assert first == second
    assert places[0] > path.stat().st_size / 2


def test_an_answer_that_gets_lost_makes_no_second_submission(server, board, preds, capsys, monkeypatch):
    """The server has taken everything, and the client dies before it hears of that; so it asks again."""
    ask, secret = Remote._ask, token(board, "Far away")
    common = ("submit", preds, "--to", server.url, "--method", "lost", "--token", secret)

    def lose(self, method, place, body=None):
        answer = ask(self, method, place, body)
        if place.endswith("/complete"):
            raise IncompleteError("The line is dead.")
        return answer

    with monkeypatch.context() as m:
        m.setattr(Remote, "_ask", lose)
        assert run(capsys, *common).code == 3
    first, second = good(capsys, *common, "--wait"), good(capsys, *common, "--wait")
    assert first == second and first.startswith("Submitted 'lost' to 'Drawn' as 0") and "rank " in first


def test_a_server_that_stays_away_can_be_met_later(secret, tmp_path, capsys, preds):
    with pytest.raises(IncompleteError, match="run the same command again") as e:
        Remote("http://127.0.0.1:9", secret, patience=0.2).facts()
    assert e.value.exit_code == 3


def test_a_server_that_goes_while_one_waits(monkeypatch):
    """What has arrived must not be submitted again."""
    from iamiou_leaderboard import cli_submit

    gone = Remote("http://127.0.0.1:9", "t", patience=0.2)
    with pytest.raises(IncompleteError, match=r"All of 0X has arrived, .* see http://127\.0\.0\.1:9/submissions/0X"):
        cli_submit._wait(gone, "0X")


def test_the_token_decides(server, secret, preds, capsys, monkeypatch):
    monkeypatch.delenv("IAMIOU_TOKEN", raising=False)
    bare = ("submit", preds, "--to", server.url, "--method", "m")
    assert refused(capsys, *bare).startswith("A submission needs an access token")
    assert refused(capsys, *bare, "--token", "iamiou_wrong").startswith("This access token is not valid")
    assert refused(capsys, *bare, "--token", "a b").startswith("The access token has a blank")


@pytest.mark.parametrize("to", ["nowhere", "ftp://host", "http://", "http://user:pass@host", "http://host/?q=1"])
def test_what_is_no_board_is_refused(capsys, preds, to):
    assert "--to" in refused(capsys, "submit", preds, "--to", to, "--method", "m", "--token", "t")


def test_names_and_files_that_are_wrong(server, secret, preds, capsys, tmp_path):
    common = ("submit", preds, "--to", server.url, "--token", secret)
    assert refused(capsys, *common) == "The submission has no name; give it with --method NAME."
    assert "cannot be read (No such file" in refused(capsys, *common, "--meta", tmp_path / "none.json")
    (tmp_path / "meta.json").write_text('{"method": "m", "backbon": "x"}')
    assert "did you mean 'backbone'?" in refused(capsys, *common, "--meta", tmp_path / "meta.json")
    assert "do not exist" in refused(capsys, "submit", "none", *common[2:], "--method", "m")
    (tmp_path / "results.json").write_text("[]")
    sentence = refused(capsys, "submit", tmp_path / "results.json", *common[2:], "--method", "m")
    assert sentence.startswith("COCO results cannot be submitted")


class Impostor(http.server.BaseHTTPRequestHandler):
    """A server that is no board."""

    answer: tuple[int, str, bytes] = (200, "", b"")
    heard: list[str | None] = []  # noqa: RUF012 - shared on purpose

    def do_GET(self) -> None:
        status, where, body = self.answer
        self.heard.append(self.headers.get("Authorization"))
        self.send_response(status)
        if where:
            self.send_header("Location", where)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, "", b"<html>"), "answers, but not as a board"),
        ((200, "", b"{}"), "answers, but not as a board"),
        ((200, "", b"[]"), "answers, but not as a board"),
        ((200, "", json.dumps({"name": 1, "classes": 2, "images": 3}).encode()), "answers, but not as a board"),
        ((404, "", b"gone"), "answers 404; check --to"),
        ((403, "", b'{"code": "x", "message": "no\\u001b[2J"}'), "no \\[2J"),
        ((302, "http://evil.example/", b""), "has moved to 'http://evil.example/'"),
    ],
)
def test_an_impostor_is_seen_through(answer, said):
    handler = type("Handler", (Impostor,), {"answer": answer, "heard": []})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, daemon=True)
        thread.start()
        with pytest.raises(InputError, match=said):
            Remote(f"http://127.0.0.1:{listener.server_port}", "secret").facts()
        listener.shutdown()
        thread.join()
    assert handler.heard == ["Bearer secret"]


def test_a_submitter_needs_no_extra():
    """An upload over HTTP works with the library alone."""
    modules = ", ".join(f"iamiou_leaderboard.{name}" for name in ("cli_submit", "client", "meta", "validation"))
    extras = "{'sqlalchemy', 'fastapi', 'alembic', 'pyarrow'}"
    code = f"import sys, {modules}; print(sorted({extras} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_the_token_is_not_shown_by_an_error():
    assert "secret" not in repr(Remote("http://127.0.0.1:1", "secret"))


def test_into_a_folder_it_says_that_nothing_is_hidden(tmp_path, preds, capsys):
    place = make_board(tmp_path / "mine", IMAGES)
    result = run(capsys, "submit", preds, "--to", place, "--method", "alone", "--wait")
    assert result.code == 0
    assert "its ground truth is not hidden from you" in result.err
    assert "hidden split: rank 1 of 1; IA-mIoU" in result.out
    opened = open_board(place)
    (entry,) = opened.store.submissions()
    assert entry.state == State.SCORED
    opened.close()
    shown = good(capsys, "leaderboard", "show", place, entry.id)
    assert "alone by" in shown


def test_a_wide_class_list_takes_wide_labels(tmp_path, capsys):
    """Labels above 255 travel as PNG of 16 bits."""
    from tests.fakes import flat_folders, scenes

    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"class{k}" for k in range(400)))
    images = scenes(6, 3, shape=(60, 80), labels=(5, 300, 390), dtype=np.uint16)
    semantic, instances, _ = flat_folders(tmp_path / "truth", images)
    place = tmp_path / "wide"
    out = good(
        capsys, "leaderboard", "init", place, "--semantic", semantic, "--instances", instances, "--classes", names
    )  # fmt: skip
    assert "hidden: 6 images" in out
    folder = prediction_folder(tmp_path / "wide-preds", images, kind="npy")
    result = run(capsys, "submit", folder, "--to", place, "--method", "wide", "--wait")
    assert result.code == 0 and "rank 1 of 1" in result.out
