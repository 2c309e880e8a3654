"""Downloads against a server that does everything wrong that a server can."""

from __future__ import annotations

import errno
import hashlib
import threading
import time

import pytest

from iamiou.errors import IncompleteError, InputError
from iamiou_builders import fetch as module
from iamiou_builders import transfer
from iamiou_builders.fetch import Patience, Wanted, check_addresses, fetch
from tests.builders.loopback import serving

DATA = bytes(range(256)) * 1000
SUM = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def site():
    with serving() as found:
        found.files["/a"] = DATA
        yield found


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def get(site, tmp_path, pauses):
    """Return a function that fetches /a and gives (what came, why it failed)."""

    def run(*, attempts=6, timeout=5.0, path="/a", **options):
        patience = Patience(attempts, 1.0, timeout, pauses.append)
        done, failed = fetch([Wanted(site.url(path), tmp_path / "a", **options)], patience=patience)
        return (done[0], None) if done else (None, failed[0].reason)

    return run


def left(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_fetched_once_and_then_known(site, get, tmp_path):
    done, _ = get(size=len(DATA), sha256=SUM)
    assert (done.size, done.sha256, done.transferred) == (len(DATA), SUM, len(DATA))
    assert (tmp_path / "a").read_bytes() == DATA
    assert left(tmp_path) == ["a"]
    again, _ = get(size=len(DATA), sha256=SUM)
    assert (again.sha256, again.transferred) == (SUM, 0)
    assert len(site.asked) == 1


@pytest.mark.parametrize("fault", ["drop 100000", "short 100000"])
def test_a_broken_connection_is_taken_up_where_it_broke(site, get, tmp_path, pauses, fault):
    site.faults["/a"] = [fault, fault]
    done, _ = get()
    assert (tmp_path / "a").read_bytes() == DATA
    first, second, third = site.ranges("/a")
    starts = [int(r.removeprefix("bytes=").rstrip("-")) for r in (second, third)]
    assert first == "" and 0 < starts[0] < starts[1] <= 200000
    assert done.transferred == len(DATA), "no byte came twice"
    assert pauses == [1.0, 2.0]
    assert left(tmp_path) == ["a"]


def test_the_part_file_of_an_earlier_call_is_used(site, get, tmp_path):
    site.faults["/a"] = ["short 50000"]
    assert get(attempts=1)[1] == "the connection ended after 50,000 of 256,000 bytes (1 attempt)"
    assert left(tmp_path) == ["a.part", "a.part.tag"]
    done, _ = get()
    assert site.ranges("/a") == ["", "bytes=50000-"]
    assert (done.transferred, done.sha256) == (len(DATA) - 50000, SUM)


def test_a_file_that_changed_meanwhile_is_not_glued_to_the_old_half(site, get, tmp_path):
    site.faults["/a"] = ["short 50000", "changed another file"]
    done, _ = get()
    assert (tmp_path / "a").read_bytes() == b"another file"
    assert site.ranges("/a") == ["", "bytes=50000-"]
    assert done.size == 12


def test_without_a_mark_of_the_version_a_half_file_is_begun_anew(site, get, tmp_path):
    site.weak = True
    site.faults["/a"] = ["short 50000"]
    get()
    assert site.ranges("/a") == ["", ""]
    assert (tmp_path / "a").read_bytes() == DATA


def test_with_a_checksum_it_is_taken_up_all_the_same(site, get):
    site.weak = True
    site.faults["/a"] = ["short 50000"]
    done, _ = get(sha256=SUM)
    assert site.ranges("/a") == ["", "bytes=50000-"]
    assert done.sha256 == SUM


@pytest.mark.parametrize("fault", ["no-range", "odd-range", "416"])
def test_a_server_without_ranges_is_asked_for_the_whole_file(site, get, tmp_path, fault):
    site.faults["/a"] = ["short 50000", fault]
    get()
    assert (tmp_path / "a").read_bytes() == DATA
    assert left(tmp_path) == ["a"]


def test_a_part_file_longer_than_the_file_is_thrown_away(site, get, tmp_path):
    (tmp_path / "a.part").write_bytes(DATA + b"more")
    get(sha256=SUM)
    assert (tmp_path / "a").read_bytes() == DATA


def test_404_is_final(site, get, pauses, tmp_path):
    assert get(path="/none")[1] == "the server answered 404 Not Found"
    assert (len(site.asked), pauses, left(tmp_path)) == (1, [], [])


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_later(site, get, pauses, code):
    site.faults["/a"] = [str(code)] * 3
    assert get()[0].sha256 == SUM
    assert pauses == [1.0, 2.0, 4.0]


def test_the_server_says_when_to_come_back(site, get, pauses):
    site.faults["/a"] = ["503 after 7", "503 after 100000"]
    assert get()[0].sha256 == SUM
    assert pauses == [7.0, module.LONGEST_PAUSE]


def test_a_server_that_stays_busy_is_given_up(site, get, pauses):
    site.faults["/a"] = ["always", "503"]
    assert get(attempts=4)[1] == "the server answered 503 Service Unavailable (4 attempts)"
    assert pauses == [1.0, 2.0, 4.0]


def test_a_wrong_byte_is_seen_and_asked_for_again(site, get, tmp_path):
    site.faults["/a"] = ["wrong"]
    assert get(sha256=SUM)[0].sha256 == SUM
    assert site.ranges("/a") == ["", ""]
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_byte_that_stays_wrong_is_a_failure_and_leaves_no_file(site, get, tmp_path):
    site.faults["/a"] = ["always", "wrong"]
    wrong = hashlib.sha256(DATA[:-1] + b"\xfe").hexdigest()
    assert get(sha256=SUM, attempts=3)[1] == f"its sha256 is {wrong}, not {SUM} (3 attempts)"
    assert left(tmp_path) == []


def test_a_wrong_byte_in_the_half_that_was_there_is_found(site, get, tmp_path):
    (tmp_path / "a.part").write_bytes(b"\xff" + DATA[1:1000])
    assert get(sha256=SUM)[0].sha256 == SUM
    assert site.ranges("/a") == ["bytes=1000-", ""]


def test_another_size_than_announced_is_refused(site, get, tmp_path):
    assert get(size=len(DATA) + 1)[1] == "the server offers 256,000 bytes instead of 256,001"
    site.faults["/a"] = ["longer"]
    assert get(size=len(DATA))[1] == "the server offers 256,004 bytes instead of 256,000"
    assert left(tmp_path) == []


def test_a_file_without_end_is_refused(get):
    assert get(most=1000)[1] == "the server sends more than 1,000 bytes"


def test_an_empty_answer_is_no_file(site, get, tmp_path):
    site.faults["/a"] = ["empty"]
    assert get()[0].sha256 == SUM


def test_a_damaged_file_is_fetched_again(get, tmp_path):
    (tmp_path / "a").write_bytes(b"x" + DATA[1:])
    assert get(sha256=SUM)[0].transferred == len(DATA)
    assert (tmp_path / "a").read_bytes() == DATA


def test_redirects_are_followed(site, get, tmp_path):
    site.faults["/old"] = ["moved /a"]
    assert get(path="/old")[0].sha256 == SUM


def test_a_server_that_says_nothing_is_left(site, get):
    site.faults["/a"] = ["hang"]
    assert get(attempts=1, timeout=0.2)[1] == "the server did not answer in time (1 attempt)"


def test_no_server_at_all(tmp_path, pauses):
    wanted = [Wanted("http://127.0.0.1:9/a", tmp_path / "a")]
    _, failed = fetch(wanted, patience=Patience(2, 1.0, 2.0, pauses.append))
    assert failed[0].reason == "there is no connection to the server (2 attempts)"


def test_an_attempt_that_brought_much_does_not_count(site, get, tmp_path, pauses, monkeypatch):
    monkeypatch.setattr(module, "PROGRESS", 20000)
    site.faults["/a"] = ["short 20000"] * 10
    assert get(attempts=2)[0].sha256 == SUM
    assert pauses == [1.0] * 10


def test_many_files_some_of_which_fail(site, tmp_path, pauses):
    site.files |= {f"/{k}": bytes([k]) * 1000 for k in range(40)}
    site.faults = {"/3": ["404"], "/4": ["drop 10"], "/5": ["always", "503"]}
    seen = []
    wanted = [Wanted(site.url(f"/{k}"), tmp_path / f"{k}") for k in range(40)]
    done, failed = fetch(
        wanted, patience=Patience(3, 0.0, 5.0, pauses.append), progress=lambda *args: seen.append(args)
    )
    assert [f.want.url for f in failed] == [site.url("/3"), site.url("/5")]
    assert [d.want for d in done] == [w for k, w in enumerate(wanted) if k not in (3, 5)]
    assert seen[-1] == (40, 40, 38 * 1000)
    assert (tmp_path / "4").read_bytes() == bytes([4]) * 1000
    asked = len(site.asked)
    assert len(fetch(wanted, patience=Patience(1, 0.0, 5.0, pauses.append))[0]) == 39
    assert len(site.asked) == asked + 2, "only what failed is asked for again"


def test_a_full_disk_is_told_and_what_came_is_kept(site, tmp_path, monkeypatch):
    site.faults["/a"] = ["short 50000"]
    fetch([Wanted(site.url("/a"), tmp_path / "a")], patience=Patience(1))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer, "_receive", full)
    with pytest.raises(IncompleteError, match=r"No space left on device.* run the same command again"):
        fetch([Wanted(site.url("/a"), tmp_path / "a")])
    assert left(tmp_path) == ["a.part", "a.part.tag"]


def test_a_stop_ends_all_downloads(site, tmp_path):
    site.files |= {f"/{k}": b"x" for k in range(100)}

    def stop(done, total, size):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch([Wanted(site.url(f"/{k}"), tmp_path / f"{k}") for k in range(100)], threads=2, progress=stop)
    assert len(site.asked) < 100
    assert threading.active_count() < 10


def test_other_addresses_than_http_are_refused():
    check_addresses(["http://a/b", "https://a/b"])
    with pytest.raises(InputError, match="'ftp://x/y' is no address"):
        check_addresses(["ftp://x/y"])


def test_a_proxy_of_the_environment_is_used(site, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", site.address)
    monkeypatch.delenv("no_proxy", raising=False)
    site.files["http://pictures.example/a"] = b"by the proxy"
    done, _ = fetch([Wanted("http://pictures.example/a", tmp_path / "a")])
    assert done[0].size == 12
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert fetch([Wanted(site.url("/a"), tmp_path / "b")])[0][0].sha256 == SUM


@pytest.mark.parametrize("fault", ["503 after 60", "hang"])
def test_a_stop_waits_neither_for_a_pause_nor_for_a_silent_server(site, tmp_path, fault):
    site.faults["/b"] = ["always", fault]

    def stop(done, total, size):
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetch([Wanted(site.url(p), tmp_path / p[1:]) for p in ("/a", "/b")], threads=2, progress=stop)
    assert time.monotonic() - start < 5
