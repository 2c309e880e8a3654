"""The store: uploads that break off, leases, the reaper, quotas, tokens; on PostgreSQL too where there is one."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import time
import uuid
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
import sqlalchemy as sa

from iamiou.errors import InputError
from iamiou_leaderboard.database import Database, network_mount
from iamiou_leaderboard.ids import is_id, new_id
from iamiou_leaderboard.jobs import ATTEMPTS, Checked, PairRow, Scored, worker_name
from iamiou_leaderboard.store import Store
from iamiou_leaderboard.tables import metadata
from iamiou_leaderboard.types import BoardError, Quota, ScoreRow, State
from iamiou_leaderboard.uploads import PATIENCE

GOOD = {"valid": True, "images": 1, "problems": []}
META = {"method": "ours", "kind": "submission"}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """Return an empty database: a file, or a schema of its own on the server that IAMIOU_TEST_PG names."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/board.sqlite3"
        return
    server = os.environ.get("IAMIOU_TEST_PG")
    if not server:
        pytest.skip("set IAMIOU_TEST_PG to postgresql+psycopg://USER:PASSWORD@HOST/NAME to run this on PostgreSQL")
    schema = f"t{uuid.uuid4().hex}"
    engine = sa.create_engine(server)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
    yield sa.make_url(server).update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(False)
    with engine.begin() as connection:
        connection.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


@pytest.fixture
def store(url, tmp_path):
    opened = Store(url, tmp_path)
    yield opened
    opened.close()


def uploaded(store: Store, team: str = "Lab", data: bytes = b"12345", **options):
    entry = store.create_submission(team, META, archive_size=len(data), **options)
    store.append(entry.id, 0, [data])
    return store.finish_upload(entry.id)


def a_score(submission: str, split: str = "hidden", metric: str = "1.0", primary: float = 0.5) -> ScoreRow:
    return ScoreRow(submission, split, metric, "d", "0.1", primary, {"scores": {"mIoU": 0.5}}, {"python": "3"}, 1, 2)


def score(store: Store, identity: str, team: str = "Lab", primary: float = 0.5) -> str:
    """Take one submission through all states."""
    entry = uploaded(store, team)
    assert store.finish_job(store.claim("w"), Checked(GOOD, identity))
    assert store.finish_job(store.claim("w"), Scored((a_score(entry.id, primary=primary),)))
    return entry.id


def test_the_migrations_lead_to_the_tables_of_the_code(store):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_opening_twice_and_at_once_is_no_harm(url, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        for opened in pool.map(lambda _: Store(url, tmp_path), range(4)):
            assert opened.submissions() == []
            opened.close()


def test_a_submission_goes_through_its_states(store):
    entry = store.create_submission("Lab", META, archive_size=5, archive_sha256=hashlib.sha256(b"12345").hexdigest())
    assert is_id(entry.id) and entry.state is State.RECEIVED and entry.meta == META
    assert store.claim("w") is None, "nothing to do before the upload is whole"
    assert store.append(entry.id, 0, [b"12", b"3"]) == store.upload_offset(entry.id) == 3
    with pytest.raises(BoardError, match="3 of 5 bytes"):
        store.finish_upload(entry.id)
    assert store.append(entry.id, 3, [b"45"]) == 5
    assert store.finish_upload(entry.id).uploaded
    assert store.finish_upload(entry.id) == store.submission(entry.id), "a second call changes nothing"
    assert (store.folder(entry.id) / "archive.zip").read_bytes() == b"12345"
    assert store.queue_length() == 1 and store.queue_length(before=entry.id) == 0
    job = store.claim("w")
    assert (job.kind, job.attempts, store.submission(entry.id).state) == ("validate", 1, State.VALIDATING)
    assert store.claim("w2") is None
    assert store.finish_job(job, Checked(GOOD, "i"))
    assert not store.finish_job(job, Checked(GOOD, "i")), "the second result of a job counts for nothing"
    assert store.submission(entry.id).state is State.QUEUED
    job = store.claim("w")
    assert (job.kind, store.submission(entry.id).state) == ("score", State.SCORING)
    assert store.finish_job(job, Scored((a_score(entry.id), a_score(entry.id, "public"))))
    done = store.submission(entry.id)
    assert done.state is State.SCORED and done.scored and done.report == GOOD and done.content_sha256 == "i"
    assert [row.split for row in store.score_rows(submission_id=entry.id).values()] == ["hidden", "public"]
    actions = [line["action"] for line in store.audit_log()]
    assert actions == "created uploaded validate-started accepted score-started scored".split()


def test_pieces_must_follow_one_another(store):
    entry = store.create_submission("Lab", META, archive_size=5)
    store.append(entry.id, 0, [b"123"])
    for offset in (0, 2, 4):
        with pytest.raises(BoardError, match="stands at byte 3") as e:
            store.append(entry.id, offset, [b"45"])
        assert (e.value.code, e.value.status) == ("offset", 409)
    with pytest.raises(BoardError, match="longer than the 5 bytes") as e:
        store.append(entry.id, 3, [b"4", b"56"])
    assert e.value.status == 413
    assert store.upload_offset(entry.id) == 4, "what was good stays"
    assert store.append(entry.id, 4, [b"5"]) == 5
    store.finish_upload(entry.id)
    with pytest.raises(BoardError, match="takes no more bytes"):
        store.append(entry.id, 5, [b"6"])


def test_a_connection_that_breaks_keeps_what_arrived(store):
    def breaks():
        yield b"123"
        raise ConnectionError

    entry = store.create_submission("Lab", META, archive_size=5)
    with pytest.raises(ConnectionError):
        store.append(entry.id, 0, breaks())
    assert store.upload_offset(entry.id) == 3


def test_other_bytes_than_announced_are_refused(store):
    entry = store.create_submission("Lab", META, archive_size=3, archive_sha256="0" * 64)
    store.append(entry.id, 0, [b"abc"])
    with pytest.raises(BoardError, match="changed on its way"):
        store.finish_upload(entry.id)
    assert store.upload_offset(entry.id) == 0


def test_a_stop_between_the_file_and_the_database_is_made_good(store):
    entry = store.create_submission("Lab", META, archive_size=3)
    store.append(entry.id, 0, [b"abc"])
    (store.folder(entry.id) / "archive.part").rename(store.folder(entry.id) / "archive.zip")
    assert store.upload_offset(entry.id) == 3
    assert store.finish_upload(entry.id).uploaded


def test_a_full_disk_rejects_one_upload_and_nothing_else(store):
    def full():
        yield b"12"
        raise OSError(errno.ENOSPC, "No space left on device")

    entry = store.create_submission("Lab", META, archive_size=5)
    with pytest.raises(BoardError, match="disk is full") as e:
        store.append(entry.id, 0, full())
    assert (e.value.code, e.value.status) == ("disk-full", 507)
    assert store.submission(entry.id).state is State.REJECTED
    assert not (store.folder(entry.id) / "archive.part").exists()
    assert uploaded(store).state is State.RECEIVED


@pytest.mark.parametrize("bad", ["", "../../etc/passwd", "0" * 26 + "/..", "x" * 26, "\0" * 26])
def test_nothing_but_an_id_becomes_a_path(store, bad):
    for call in (store.submission, store.upload_offset, store.finish_upload, store.folder):
        with pytest.raises(BoardError) as e:
            call(bad)
        assert e.value.status == 404 and "passwd" not in str(e.value)


def test_ids_sort_by_time_and_are_not_alike():
    ids = [new_id(t) for t in (1, 2, 3) for _ in range(100)]
    assert [i[:10] for i in ids] == sorted(i[:10] for i in ids) and len(set(ids)) == 300 and all(map(is_id, ids))


def test_three_failures_end_in_error_with_the_reason(store):
    entry = uploaded(store)
    for attempt in range(1, ATTEMPTS + 1):
        job = store.claim("w")
        assert job.attempts == attempt
        store.fail_job(job, "It broke.")
    assert store.claim("w") is None
    found = store.submission(entry.id)
    assert found.state is State.ERROR and "3 times: It broke." in found.reason


def test_an_operator_tries_again_what_ended_in_error(store):
    """With new attempts, from where it stood: one unchecked, one checked, one whose team was faster."""
    unchecked = uploaded(store)
    for _ in range(ATTEMPTS):
        store.fail_job(store.claim("w"), "It broke.")
    checked, twin = [], []
    for team, found in (("Lab", checked), ("Other", twin)):
        found.append(uploaded(store, team).id)
        assert store.finish_job(store.claim("w"), Checked(GOOD, f"of {team}"))
        store.fail_job(store.claim("w"), "It broke.", final=True)
    second = score(store, "of Other", team="Other")
    assert store.retry() == 2 and store.retry() == 0
    states = {s.id: s.state for s in store.submissions()}
    assert states == {
        unchecked.id: State.RECEIVED, checked[0]: State.QUEUED, twin[0]: State.ERROR, second: State.SCORED
    }  # fmt: skip
    assert store.submission(checked[0]).reason == "" and store.submission(checked[0]).finished is None
    again = [store.claim("w") for _ in range(2)]
    assert [(j.submission, j.kind, j.attempts) for j in again] == [
        (unchecked.id, "validate", 1), (checked[0], "score", 1)
    ]  # fmt: skip
    assert [line["action"] for line in store.audit_log()].count("tried-again") == 2


def test_the_same_announcement_is_the_same_submission(store):
    """An answer that got lost is given again, whatever has happened since; what came to nothing may be tried anew."""
    digest = hashlib.sha256(b"12345").hexdigest()

    def announce(team="Lab", meta=META, **more):
        return store.create_submission(team, meta, archive_size=5, archive_sha256=digest, **more).id

    first = announce()
    store.append(first, 0, [b"123"])
    assert announce() == first and store.upload_offset(first) == 3
    store.append(first, 3, [b"45"])
    store.finish_upload(first)
    for outcome in (None, Checked(GOOD, "i"), Scored((a_score(first),))):
        if outcome:
            assert store.finish_job(store.claim("w"), outcome)
        assert announce(quota=Quota(1, 7, 1)) == first, "it costs nothing"
        assert store.upload_offset(first) == 5 and store.finish_upload(first).id == first
    (store.folder(first) / "archive.zip").unlink()  # as a worker does
    assert store.upload_offset(first) == 5
    others = {announce(team="Other"), announce(meta={**META, "seed": 1})}
    assert len(others | {first}) == 3
    store.withdraw(first, "Lab")
    assert announce() not in others | {first}


def test_a_worker_that_is_silent_loses_its_job(store):
    entry = uploaded(store)
    first = store.claim("elsewhere:1:2", now=100, lease=60)
    assert store.claim("w", now=159) is None
    assert store.heartbeat(first, now=150, lease=60)
    assert store.claim("w", now=209) is None
    second = store.claim("w", now=211)
    assert (second.submission, second.attempts) == (entry.id, 2)
    assert not store.heartbeat(first, now=212), "the first one learns that it is not its job any more"
    assert not store.finish_job(first, Checked(GOOD, "i"))
    store.fail_job(first, "late")
    store.release(first)
    assert store.finish_job(second, Checked(GOOD, "i"))


def test_the_reaper_ends_what_nobody_works_on(store):
    entry = uploaded(store)
    for k in range(ATTEMPTS):
        assert store.claim("elsewhere:1:2", now=1000 * k, lease=60).attempts == k + 1
        assert store.reap(now=1000 * k + 59) == 0
        assert store.reap(now=1000 * k + 61) == 1
    assert store.submission(entry.id).state is State.ERROR
    assert "worker stopped" in store.submission(entry.id).reason


def test_the_reaper_frees_the_jobs_of_dead_processes_at_once(store):
    uploaded(store)
    code = "from iamiou_leaderboard.jobs import worker_name; print(worker_name())"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    store.claim(dead)
    assert store.reap() == 1
    store.claim(worker_name())
    assert store.reap() == 0, "this process is alive"


def test_a_job_given_back_costs_no_attempt(store):
    uploaded(store)
    store.release(store.claim("w"))
    assert store.claim("w").attempts == 1


def test_uploads_that_never_end_are_given_up(store):
    entry = store.create_submission("Lab", META, archive_size=5, now=1000)
    store.append(entry.id, 0, [b"1"])
    store.reap(now=1000 + PATIENCE - 1)
    assert store.submission(entry.id).state is State.RECEIVED
    store.reap(now=1000 + PATIENCE + 10)
    assert store.submission(entry.id).state is State.CANCELLED
    assert not list(store.folder(entry.id).iterdir())


def test_cancel_and_withdraw_only_where_they_make_sense(store):
    waiting = uploaded(store)
    with pytest.raises(BoardError, match="cannot be withdrawn"):
        store.withdraw(waiting.id, "Lab")
    job = store.claim("w")
    assert store.cancel(waiting.id, "Lab").state is State.CANCELLED
    assert not store.heartbeat(job) and not store.finish_job(job, Checked(GOOD, "i"))
    with pytest.raises(BoardError, match="cannot be cancelled"):
        store.cancel(waiting.id, "Lab")
    scored = score(store, "i")
    with pytest.raises(BoardError, match="cannot be cancelled"):
        store.cancel(scored, "Lab")
    assert store.withdraw(scored, "Lab").state is State.WITHDRAWN
    assert store.submission(scored).scored, "it still counts"


def test_the_same_label_maps_stand_once_for_each_team(store):
    first = score(store, "same")
    second = uploaded(store)
    store.finish_job(store.claim("w"), Checked(GOOD, "same"))
    found = store.submission(second.id)
    assert (found.state, found.duplicate_of) == (State.REJECTED, first) and first in found.reason
    score(store, "same", team="Other")
    store.withdraw(first, "Lab")
    score(store, "same")


def test_rejected_ones_keep_their_report(store):
    entry = uploaded(store)
    report = {"valid": False, "images": 2, "problems": [{"kind": "missing-prediction", "names": ["ä"]}]}
    store.finish_job(store.claim("w"), Checked(report, None))
    assert store.submission(entry.id).state is State.REJECTED and store.submission(entry.id).report == report
    assert store.queue_length() == 0


def test_the_quota_counts_scored_runs_and_attempts_apart(store):
    quota, now, day = Quota(scored=2, days=7, attempts=4), 1e9, 86_400
    first = store.create_submission("Lab", META, archive_size=1, quota=quota, now=now)
    store.create_submission("Lab", META, archive_size=1, quota=quota, now=now)
    with pytest.raises(BoardError, match="2 submissions scored or under way") as e:
        store.create_submission("Lab", META, archive_size=1, quota=quota, now=now)
    assert (e.value.code, e.value.status) == ("quota", 429)
    store.create_submission("Other", META, archive_size=1, quota=quota, now=now)
    for _ in range(2):  # failures cost no scored run, but an attempt each
        store.cancel(first.id, "Lab")
        first = store.create_submission("Lab", META, archive_size=1, quota=quota, now=now)
    store.cancel(first.id, "Lab")
    with pytest.raises(BoardError, match="4 attempts in 24 hours"):
        store.create_submission("Lab", META, archive_size=1, quota=quota, now=now + 1)
    store.create_submission("Lab", META, archive_size=1, quota=quota, now=now + day + 1)


def test_a_withdrawn_run_still_counts_and_an_old_one_does_not(store):
    quota = Quota(scored=1, days=7, attempts=0)
    store.withdraw(score(store, "i"), "Lab")
    with pytest.raises(BoardError, match="scored or under way"):
        store.create_submission("Lab", META, archive_size=1, quota=quota)
    store.create_submission("Lab", META, archive_size=1, quota=quota, now=time.time() + 8 * 86_400)


def test_nothing_undefined_can_be_scored(store):
    from sqlalchemy.exc import DBAPIError

    for bad in (float("nan"), -0.1, 1.1, None):
        entry = uploaded(store)
        store.finish_job(store.claim("w"), Checked(GOOD, f"i{bad}"))
        job = store.claim("w")
        with pytest.raises((RuntimeError, DBAPIError)):
            store.finish_job(job, Scored((a_score(entry.id, primary=bad),)))
        assert store.submission(entry.id).state is State.SCORING
        store.fail_job(job, "undefined", final=True)


def test_logs_scores_and_submissions_cannot_be_changed_or_deleted(store):
    from sqlalchemy.exc import DBAPIError

    score(store, "i")
    for statement in (
        "DELETE FROM audit",
        "UPDATE audit SET actor = 'x'",
        "DELETE FROM submission",
        "DELETE FROM score",
        "UPDATE score SET primary_value = 1",
    ):
        with pytest.raises(DBAPIError, match="only grows"), store.write() as connection:
            connection.execute(sa.text(statement))


def test_rescore_queues_what_lacks_a_version_once(store):
    name = score(store, "i")
    assert store.rescore("1.0") == 0
    assert store.rescore("2.0") == 1 and store.rescore("2.0") == 0
    job = store.claim("w")
    assert job.kind == "rescore" and store.submission(name).state is State.SCORED
    store.finish_job(job, Scored((a_score(name, metric="2.0", primary=0.7),)))
    assert [(r.metric, r.primary) for r in store.score_rows().values()] == [("1.0", 0.5), ("2.0", 0.7)]
    assert store.rescore("2.0") == 0


def test_new_submissions_come_before_rescoring(store):
    score(store, "i")
    store.rescore("2.0")
    uploaded(store)
    assert [store.claim("w").kind for _ in range(2)] == ["validate", "rescore"]


def test_pairs_are_kept_once(store):
    a, b = score(store, "i"), score(store, "j")
    numbers = list(store.score_rows())
    from concurrent.futures import ThreadPoolExecutor

    store.add_pair(*numbers, PairRow(0.1, None, 0.2, 0.2))
    with ThreadPoolExecutor(8) as pool:  # workers that are idle compare the same rows at the same time
        list(pool.map(lambda p: store.add_pair(*numbers, PairRow(0.1, None, 0.2, p)), [0.3] * 8))
        list(pool.map(lambda p: store.add_pair(*numbers[::-1], PairRow(0.1, None, 0.2, p)), [0.3] * 8))
    both = {tuple(numbers): PairRow(0.1, None, 0.2, 0.2), tuple(numbers[::-1]): PairRow(0.1, None, 0.2, 0.3)}
    assert store.pairs() == both and a != b


def test_tokens_are_shown_once_hashed_and_revoked_at_once(store):
    secret = store.create_token("Lab", expires=2000)
    assert secret.startswith("iamiou_") and len(secret) == 50
    viewer = store.viewer_of(secret, now=1999)
    assert (viewer.role, viewer.team) == ("team", "Lab")
    assert store.viewer_of(secret, now=2000) is None and store.viewer_of(secret[:-1]) is None
    assert store.viewer_of("") is None and store.viewer_of("\ud800") is None
    admin = store.create_token("Lab", "admin")
    assert store.viewer_of(admin).role == "admin"
    with store.read() as connection:
        kept = json.dumps([list(row) for row in connection.execute(sa.text("SELECT * FROM token"))])
    assert secret not in kept and secret.removeprefix("iamiou_") not in kept
    assert hashlib.sha256(secret.encode()).hexdigest() in kept
    number = store.tokens()[1].id
    store.revoke_token(number)
    assert store.viewer_of(admin) is None
    with pytest.raises(InputError, match="no token"):
        store.revoke_token(number)
    with pytest.raises(InputError, match="no scope"):
        store.create_token("Lab", "root")


def _share(url: str, folder: str, out: multiprocessing.Queue, ready: Barrier) -> None:
    """Do jobs until there are none; what a worker process does, without the scoring."""
    store, done = Store(url, folder), []
    name = worker_name()
    ready.wait(60)  # or the first to start has done all before the second has started
    while (job := store.claim(name)) is not None:
        if not done:
            ready.wait(60)  # each holds a job; SQLite lets a quick one go first many times
        if job.kind == "validate":
            assert store.finish_job(job, Checked(GOOD, job.submission))
        else:
            assert store.finish_job(job, Scored((a_score(job.submission),)))
        done.append((job.kind, job.submission))
    store.close()
    out.put(done)


def test_two_workers_share_a_hundred_jobs_without_loss(url, tmp_path):
    store = Store(url, tmp_path)
    ids = [uploaded(store, team=f"Team {k % 7}").id for k in range(50)]
    context = multiprocessing.get_context("spawn")
    out, ready = context.Queue(), context.Barrier(2)
    crew = [context.Process(target=_share, args=(url, str(tmp_path), out, ready)) for _ in range(2)]
    for process in crew:
        process.start()
    done = [out.get(timeout=60) for _ in crew]
    for process in crew:
        process.join()
    assert sorted(done[0] + done[1]) == sorted((kind, i) for kind in ("score", "validate") for i in ids)
    assert all(done), "both had a part in it"
    assert {s.state for s in store.submissions()} == {State.SCORED}
    assert len(store.score_rows()) == 50
    store.close()


def test_a_network_file_system_is_refused(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path}/far nfs4 rw 0 0\n", encoding="utf-8")
    assert network_mount(tmp_path / "far" / "board.sqlite3", mounts) == "nfs4"
    assert network_mount(tmp_path / "farther", mounts) == network_mount(tmp_path, mounts) == ""
    assert network_mount(tmp_path, tmp_path / "none") == ""


@pytest.mark.parametrize("bad", ["mysqlx://h/n", "not a url", "postgresql+psycopg://x@127.0.0.1:1/none"])
def test_a_database_that_cannot_be_used_is_one_sentence(bad):
    with pytest.raises(InputError, match="database"):
        Database(bad).migrate()


def test_the_databases_pragmas_hold_on_every_connection(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/b.sqlite3", Path(tmp_path))
    with store.read() as connection:
        values = [connection.exec_driver_sql(f"PRAGMA {p}").scalar() for p in ("journal_mode", "foreign_keys")]
    assert values == ["wal", 1]
    store.close()


def test_a_heartbeat_in_the_last_moment_keeps_the_job(store, monkeypatch):
    uploaded(store)
    job = store.claim("elsewhere:1:2", now=100, lease=60)
    from iamiou_leaderboard import jobs

    def beats(_: str) -> bool:
        store.heartbeat(job, now=165, lease=60)
        return True

    monkeypatch.setattr(jobs, "_died", beats)
    assert store.reap(now=110) == 0 and store.heartbeat(job, now=170)


def test_many_at_once_keep_to_the_quota_and_to_the_offset(store):
    from concurrent.futures import ThreadPoolExecutor

    def one(_: int) -> str:
        try:
            return store.create_submission("Lab", META, archive_size=8, quota=Quota(3, 7, 0)).id
        except BoardError as e:
            return e.code

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(8)))
        assert found.count("quota") == 5
        entry = next(name for name in found if name != "quota")

        def piece(k: int) -> str:
            try:
                return str(store.append(entry, 0, [bytes([k]) * 4, bytes([k]) * 4]))
            except BoardError as e:
                return e.code

        assert sorted(pool.map(piece, range(8))) == ["8"] + ["offset"] * 7
    assert len(set((store.folder(entry) / "archive.part").read_bytes())) == 1
