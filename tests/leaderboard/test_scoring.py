"""From an archive to a score: the same numbers as `iamiou score`, whatever breaks on the way."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

import iamiou
from iamiou.errors import InputError
from iamiou.ground_truth import open_ground_truth
from iamiou.report import METRIC_VERSION, load
from iamiou_leaderboard import scorer, scorer_main, worker
from iamiou_leaderboard.backup import back_up
from iamiou_leaderboard.board import cell_support, create_board, open_board
from iamiou_leaderboard.ids import new_id
from iamiou_leaderboard.scorer import Limits
from iamiou_leaderboard.scorer_main import OUT_OF_DISK, OUT_OF_MEMORY
from iamiou_leaderboard.types import Job, Quota, State
from iamiou_leaderboard.worker import do, sweep, work
from tests.fakes import prediction_folder, voc_devkit
from tests.leaderboard.boards import (
    HIDDEN,
    PUBLIC,
    drawn,
    make_board,
    packed,
    predictions,
    submit,
    truth_as_prediction,
)


@pytest.fixture
def scored(scored_folder):
    return scored_folder


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return make_board(tmp_path_factory.mktemp("boards") / "template")


@pytest.fixture
def opened(template, tmp_path):
    """Return a board without submissions."""
    shutil.copytree(template, tmp_path / "board")
    board = open_board(tmp_path / "board")
    yield board
    board.close()


def test_scores_are_those_of_the_command(scored, tmp_path):
    place, ids = scored
    images = drawn()
    truth, folder = place.with_name("board-devkit"), prediction_folder(tmp_path / "preds", images)
    opened = open_board(place)
    for split, number in (("public", PUBLIC), ("hidden", HIDDEN)):
        expected = iamiou.evaluate(folder, truth, list_file=truth / f"{split}.txt")
        row = next(r for r in opened.store.score_rows(split=split, submission_id=ids[0]).values())
        found = load(opened.counts_file(ids[0], METRIC_VERSION, split))
        assert found.counts == expected.counts and len(found.counts.images) == number
        assert row.report["scores"] == expected.to_dict()["scores"]
        ends = {k: pytest.approx(v, abs=1e-6) for k, v in expected.to_dict()["intervals"].items()}
        assert row.report["intervals"] == ends
        assert row.dataset_digest == opened.board.digests[split] == expected.digest
        assert row.primary == expected.scores["IA-mIoU"] and row.metric == METRIC_VERSION
        assert set(row.environment) == {"python", "system", "host", "numpy", "numba", "pillow"}
    opened.close()


def test_rows_are_parquet_that_says_the_same_as_the_counts(scored):
    import pyarrow.parquet as pq

    place, ids = scored
    opened = open_board(place)
    table = pq.read_table(opened.rows_file(ids[1], METRIC_VERSION, "hidden")).to_pydict()
    expected = load(opened.counts_file(ids[1], METRIC_VERSION, "hidden")).instances
    for name in ("image", "class", "id", "area", "tp", "fp", "iou", "components"):
        assert table[name] == expected[name].tolist()
    opened.close()


def test_the_ground_truth_is_for_this_user_only(scored):
    place, _ = scored
    paths = [place, *(p for p in place.rglob("*"))]
    open_to_others = [p for p in paths if stat.S_IMODE(p.stat().st_mode) & 0o077]
    assert {p.name.partition("-")[0] for p in open_to_others if p != place} <= {"board.sqlite3"}
    assert stat.S_IMODE(place.stat().st_mode) == 0o700, "which keeps everything below from others"


def test_what_is_known_of_the_truth_does_not_depend_on_predictions(scored):
    place, ids = scored
    opened = open_board(place)
    for split in opened.board.splits:
        kept = json.loads((place / "truth" / f"{split}.json").read_text())
        for name in ids:
            assert cell_support(load(opened.counts_file(name, METRIC_VERSION, split))) == kept
    opened.close()


def test_another_packing_of_the_same_labels_is_the_same_submission(opened):
    import zipfile

    files = predictions(drawn())
    first = submit(opened, packed(files))
    second = submit(opened, packed({f"deep/{n}": d for n, d in reversed(files.items())}, zipfile.ZIP_STORED))
    work(opened.directory, once=True)
    states = [opened.store.submission(e.id) for e in (first, second)]
    assert [s.state for s in states] == [State.SCORED, State.REJECTED]
    assert states[1].duplicate_of == first.id and states[0].content_sha256 == states[1].content_sha256
    assert len(opened.store.score_rows(split="hidden")) == 1


def test_archives_go_and_label_maps_stay_and_perfect_ones_score_one(opened):
    good, bad = submit(opened, packed(truth_as_prediction(drawn()))), submit(opened, packed({"a.txt": b"x"}))
    work(opened.directory, once=True)
    files = [sorted(p.name for p in opened.store.folder(e.id).iterdir()) for e in (good, bad)]
    assert files == [["labels.zip"], []] and not list((opened.directory / "logs").iterdir())
    assert [r.primary for r in opened.store.score_rows(submission_id=good.id).values()] == pytest.approx([1, 1])


def test_rescoring_needs_nothing_but_the_kept_label_maps(opened, monkeypatch):
    entry = submit(opened, packed(predictions(drawn())))
    work(opened.directory, once=True)
    before = next(iter(opened.store.score_rows(split="hidden").values()))
    old = replace(before, metric="0.9", primary=0.25)
    from sqlalchemy import text

    from iamiou_leaderboard.jobs import _columns
    from iamiou_leaderboard.tables import score

    with opened.store.write() as connection:  # as if it had been scored long ago
        connection.execute(text("DROP TRIGGER score_delete"))
        connection.execute(score.delete())
        connection.execute(score.insert().values(_columns(old)))
    opened.store._scores.clear()
    shutil.rmtree(opened.directory / "counts" / entry.id)
    assert opened.store.rescore(METRIC_VERSION) == 1
    work(opened.directory, once=True)
    rows = list(opened.store.score_rows(split="hidden").values())
    assert [(r.metric, r.primary) for r in rows] == [("0.9", 0.25), (METRIC_VERSION, before.primary)]
    assert opened.store.submission(entry.id).state is State.SCORED


def test_a_changed_ground_truth_is_noticed(opened):
    entry = submit(opened, packed(predictions(drawn())))
    masks = sorted((opened.directory / "truth" / "hidden" / "semantic").iterdir())
    shutil.copy(masks[0], masks[1])
    work(opened.directory, once=True)
    found = opened.store.submission(entry.id)
    assert found.state is State.ERROR and "3 times" in found.reason and "The scorer ended with code 1" in found.reason
    log = next((opened.directory / "logs").iterdir()).read_text()
    assert "is not what the board was made from" in log


def test_what_takes_too_long_ends_in_error_after_three_attempts(opened):
    entry = submit(opened, packed(predictions(drawn())))
    work(opened.directory, once=True, limits=Limits(seconds=0))
    found = opened.store.submission(entry.id)
    assert found.state is State.ERROR and "more than 0 seconds" in found.reason and "3 times" in found.reason
    assert opened.store.retry() == 1
    work(opened.directory, once=True)
    assert opened.store.submission(entry.id).state is State.SCORED, "its archive was kept"
    assert [p.name for p in opened.store.folder(entry.id).iterdir()] == ["labels.zip"]


def test_an_archive_that_takes_too_much_is_rejected_and_a_score_is_our_fault():
    def ended(code: int, kind: str):
        return scorer._ended(code, Job(1, "s", kind, "running", "w", 0.0, 1, ""), Limits(cpu=7), 20)

    for code, reason in ((OUT_OF_MEMORY, "4 GiB of memory"), (-signal.SIGXCPU, "more than 7 seconds of work")):
        rejected = ended(code, "validate")
        assert rejected.identity is None and reason in rejected.report["problems"][0]["hint"]
        assert reason in ended(code, "score").reason
    assert ended(OUT_OF_DISK, "validate").reason.startswith("The server's disk is full")
    assert ended(-signal.SIGSEGV, "validate").reason == "The scorer ended with code -11."


LIMITED = """
import json, sys
from iamiou_leaderboard.scorer_main import _limit
_limit({"memory": 2**30, "cpu": 1, "file": 1000})
exec(sys.argv[1])
"""


@pytest.mark.parametrize(
    "code, expected",
    [
        ("while True: pass", -signal.SIGXCPU),
        ("try: bytearray(2**30)\nexcept MemoryError: sys.exit(70)", 70),
        ("try:\n with open('f', 'wb') as f: f.write(bytes(2000))\nexcept OSError as e: sys.exit(e.errno)", errno.EFBIG),
        ("import os; sys.exit(0 if os.umask(0) == 0o077 and os.nice(0) >= 5 else 1)", 0),
    ],
    ids=["cpu", "memory", "file", "mask"],
)
def test_the_limits_are_those_of_the_system(code, expected, tmp_path):
    done = subprocess.run([sys.executable, "-c", LIMITED, code], cwd=tmp_path, check=False, timeout=60)
    assert done.returncode == expected


def test_a_lack_of_memory_or_disk_has_an_exit_code_of_its_own(monkeypatch, tmp_path):
    def raises(error):
        def job(*_):
            raise error

        return job

    monkeypatch.setattr(scorer_main, "_limit", lambda _: None)
    monkeypatch.setattr(scorer_main, "_end_with_parent", lambda: None)
    monkeypatch.chdir(tmp_path)
    arguments = ["validate", "board", str(tmp_path), str(tmp_path), "{}"]
    worded = InputError("'labels' cannot be written")
    worded.__cause__ = OSError(errno.EFBIG, "too large")
    found = ((MemoryError(), OUT_OF_MEMORY), (OSError(errno.ENOSPC, "full"), OUT_OF_DISK), (worded, OUT_OF_DISK))
    for error, code in found:
        monkeypatch.setattr(scorer_main, "_validate", raises(error))
        assert scorer_main.main(arguments) == code


def test_a_worker_that_has_to_stop_gives_its_job_back(opened):
    entry = submit(opened, packed(predictions(drawn())))
    stop = threading.Event()
    stop.set()
    assert not do(opened, opened.store.claim("w"), stop, Limits(), 60)
    assert opened.store.submission(entry.id).state is State.RECEIVED
    assert opened.store.claim("w").attempts == 1


def test_a_cancelled_job_is_dropped_by_its_worker(opened):
    entry = submit(opened, packed(predictions(drawn())))
    job = opened.store.claim("w")
    opened.store.cancel(entry.id, "Lab")
    assert not do(opened, job, threading.Event(), Limits(), lease=0.01)
    sweep(opened)
    assert not list(opened.store.folder(entry.id).iterdir())


def test_trouble_of_the_worker_itself_is_a_failure_of_the_job(opened, monkeypatch):
    entry = submit(opened, packed(predictions(drawn())))

    def broken(*_: object) -> None:
        raise RuntimeError("secret path /srv/truth")

    monkeypatch.setattr(worker, "score_in_subprocess", broken)
    work(opened.directory, once=True)
    found = opened.store.submission(entry.id)
    assert found.state is State.ERROR and "RuntimeError" in found.reason and "secret" not in found.reason
    assert "secret path" in next((opened.directory / "logs").iterdir()).read_text()


def test_the_scorer_ends_with_its_worker(opened, tmp_path):
    submit(opened, packed(predictions(drawn())))
    command = [sys.executable, "-m", "iamiou_leaderboard.scorer_main", "validate"]
    arguments = [opened.directory, opened.directory, tmp_path, json.dumps(vars(Limits()))]
    with subprocess.Popen(
        [*command, *map(str, arguments)], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        process.stdin.close()
        assert process.wait(20) == 75


def test_workers_side_by_side_leave_one_another_alone(opened):
    images = drawn()
    entries = [submit(opened, packed(predictions(images, lambda a, k=k: np.roll(a, k, 1)))) for k in range(3)]
    worker._REAP_EVERY, before = 0.0, worker._REAP_EVERY  # each looks for dead ones all the time
    try:
        with subprocess.Popen([sys.executable, "-c", WORKER, str(opened.directory)]) as other:
            work(opened.directory, once=True)
            assert other.wait(60) == 0
    finally:
        worker._REAP_EVERY = before
    assert {opened.store.submission(e.id).state for e in entries} == {State.SCORED}
    actions = [line["action"] for line in opened.store.audit_log()]
    assert actions.count("validate-started") == actions.count("score-started") == 3
    assert not [a for a in actions if a.endswith("failed")]


WORKER = "import sys; from iamiou_leaderboard.worker import work; work(sys.argv[1], once=True)"


def _killed(board, after: float) -> int:
    """Start a worker in a process of its own, kill it after so many seconds, return its exit code."""
    with subprocess.Popen([sys.executable, "-c", WORKER, str(board)], start_new_session=True) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(after)
        process.send_signal(signal.SIGKILL)
        return process.wait()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL is a thing of Unix")
def test_workers_that_are_killed_lose_nothing_and_score_nothing_twice(opened):
    images, chance = drawn(), random.Random(0)
    entries = [submit(opened, packed(predictions(images, lambda a, k=k: np.roll(a, k, 1))), f"T{k}") for k in range(2)]
    codes = [_killed(opened.directory, chance.uniform(0.3, 1.6)) for _ in range(4)]
    assert -signal.SIGKILL in codes
    work(opened.directory, once=True)
    for entry in entries:
        found = opened.store.submission(entry.id)
        assert found.state is State.SCORED or (found.state is State.ERROR and "worker stopped" in found.reason)
        rows = opened.store.score_rows(split="hidden", submission_id=entry.id)
        assert len(rows) == (found.state is State.SCORED)
    assert opened.store.queue_length() == 0


def test_a_database_that_is_away_for_a_while_stops_no_worker(opened, monkeypatch):
    from sqlalchemy.exc import OperationalError

    from iamiou_leaderboard.store import Store

    entry = submit(opened, packed({"a.txt": b"x"}))
    claim, calls = Store.claim, []

    def away(*arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) < 3:
            raise OperationalError("claim", {}, Exception("database or disk is full"))
        return claim(*arguments, **options)

    monkeypatch.setattr(Store, "claim", away)
    monkeypatch.setattr(worker, "_PAUSE", 0.01)
    stop = threading.Event()
    crew = threading.Thread(target=work, args=(opened.directory,), kwargs={"stop": stop})
    crew.start()
    end = time.monotonic() + 30
    while opened.store.submission(entry.id).state is not State.REJECTED and time.monotonic() < end:
        time.sleep(0.05)
    stop.set()
    crew.join(30)
    assert opened.store.submission(entry.id).state is State.REJECTED and not crew.is_alive()


def test_folders_that_the_database_does_not_know_are_left_alone(opened):
    for name in ("strange", new_id()):
        (opened.directory / "submissions" / name).mkdir()
        (opened.directory / "submissions" / name / "archive.zip").write_bytes(b"x")
    sweep(opened)
    assert len(list(opened.directory.glob("submissions/*/archive.zip"))) == 2


def test_a_backup_is_the_same_board(scored, tmp_path):
    from iamiou_leaderboard.views import as_json, board_table, submission_view

    place, ids = scored
    assert back_up(place, tmp_path / "copy") == len(ids)
    pages = []
    for folder in (place, tmp_path / "copy"):
        opened = open_board(folder)
        pages.append(as_json([board_table(opened), *(submission_view(opened, i) for i in ids)]))
        opened.close()
    assert pages[0] == pages[1]
    with pytest.raises(InputError, match="exists"):
        back_up(place, tmp_path / "copy")


def test_a_backup_in_the_midst_of_work_goes_on_where_the_board_was(opened, tmp_path):
    images = drawn()
    entries = [submit(opened, packed(predictions(images, lambda a, k=k: np.roll(a, k, 1)))) for k in range(2)]
    crew = threading.Thread(target=work, args=(opened.directory,), kwargs={"once": True})
    crew.start()
    while crew.is_alive() and not opened.store.submissions(state=State.SCORING):
        time.sleep(0.02)
    back_up(opened.directory, tmp_path / "copy")
    crew.join()
    copy = open_board(tmp_path / "copy")
    assert {s.state for s in copy.store.submissions()} != {State.SCORED}, "it was taken in the midst"
    job = copy.store.claim("w", now=time.time() + 1000)  # the lease of the worker of the other board
    while job is not None:
        do(copy, job, threading.Event(), Limits(), 60)
        job = copy.store.claim("w", now=time.time() + 1000)
    for entry in entries:
        numbers = [
            [row.primary for row in b.store.score_rows(split="hidden", submission_id=entry.id).values()]
            for b in (opened, copy)
        ]
        assert numbers[0] == numbers[1] and len(numbers[0]) == 1
    copy.close()


def test_boards_that_make_no_sense_are_refused(tmp_path):
    images = drawn()
    devkit = voc_devkit(tmp_path / "devkit", images)
    one = open_ground_truth(devkit)
    few = tmp_path / "few.txt"
    few.write_text(f"{images[0].id}\n")
    small = open_ground_truth(devkit, list_file=few)
    with pytest.raises(InputError, match="20 images are in the public and in the hidden split"):
        create_board(tmp_path / "b", {"public": one, "hidden": one})
    with pytest.raises(InputError, match="has 1 images and"):
        create_board(tmp_path / "b", {"hidden": small})
    with pytest.raises(InputError, match="'IA_XL' cannot rank"):
        create_board(tmp_path / "b", {"hidden": one}, primary="IA_XL")
    with pytest.raises(InputError, match="not empty"):
        create_board(tmp_path, {"hidden": one})
    assert not (tmp_path / "b").exists() and not list(tmp_path.glob(".b*")), "nothing is left"
    create_board(tmp_path / "b", {"public": small}, quota=Quota(1, 2, 3))
    opened = open_board(tmp_path / "b")
    assert opened.board.splits == ("public",) and opened.board.quota == Quota(1, 2, 3)
    opened.close()


def test_pillow_and_the_fast_reader_agree_on_every_kind_of_label_map(tmp_path):
    import io

    from PIL import Image

    from iamiou.errors import ImageError
    from iamiou.masks import decode_with_pillow, read_label_map

    rng = np.random.default_rng(0)
    for shape in ((1, 1), (3, 5), (60, 80), (9, 64)):
        for bits in (1, 2, 4, 8, 16):
            labels = rng.integers(0, 2**bits, shape).astype(np.uint16 if bits == 16 else np.uint8)
            image = Image.fromarray(labels)
            for mode in ("L", "P") if bits <= 8 else ("I;16",):
                out = io.BytesIO()
                if mode == "P":
                    image = Image.fromarray(labels)
                    image.putpalette(bytes(range(256)) * 3)
                image.save(out, "PNG", **({"bits": bits} if mode == "P" else {}))
                data = out.getvalue()
                both = [read_label_map(data, "x", decoder=d) for d in (None, decode_with_pillow)]
                assert both[0].dtype == both[1].dtype and np.array_equal(*both) and np.array_equal(both[0], labels)
                for damage in range(0, len(data), 7):
                    bad = data[:damage] + bytes([data[damage] ^ 0x55]) + data[damage + 1 :]
                    found = []
                    for decoder in (None, decode_with_pillow):
                        try:
                            found.append(read_label_map(bad, "x", decoder=decoder).tolist())
                        except ImageError as e:
                            found.append(e.kind)
                    assert found[0] == found[1]


def test_strangers_images_meet_pillow_only(opened, monkeypatch):
    from iamiou import masks
    from iamiou_leaderboard.validation import check

    submitted = opened.directory / "a.zip"
    submitted.write_bytes(packed(predictions(drawn())))

    def never(*_: object) -> None:
        raise AssertionError("the fast reader saw it")

    monkeypatch.setattr(masks, "decode", never)
    assert check(submitted, opened.board.class_list, opened.images).identity
    assert scorer.Limits().memory < 2**33
