"""Uploads over HTTP: in pieces, broken, resumed, whole, by the form, too long, and onto a full disk."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.leaderboard.boards import drawn, packed, predictions
from tests.leaderboard.web import Web, form_token

OCTETS = {"content-type": "application/octet-stream"}


@pytest.fixture(scope="module")
def archive():
    return packed(predictions(drawn()))


@pytest.fixture
def announced(web: Web, archive):
    """Announce a submission of Lab; return its upload address."""
    body = {"meta": {"method": "by pieces"}, "size": len(archive), "sha256": hashlib.sha256(archive).hexdigest()}
    answer = web.client("Lab").post("/api/v1/submissions", json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["offset"] == 0
    yield made["upload"]
    if not web.opened.store.submission(made["id"]).state.final:
        web.opened.store.cancel(made["id"], "Lab")


def test_pieces_and_resume(web, archive, announced):
    client, half = web.client("Lab"), len(archive) // 2
    first = client.patch(announced, content=archive[:half], headers=OCTETS | {"upload-offset": "0"})
    assert (first.status_code, first.headers["upload-offset"]) == (204, str(half))
    wrong = client.patch(announced, content=archive, headers=OCTETS | {"upload-offset": "0"})
    assert (wrong.status_code, wrong.headers["upload-offset"], wrong.json()["code"]) == (409, str(half), "offset")
    state = client.head(announced)
    assert (state.headers["upload-offset"], state.headers["upload-length"]) == (str(half), str(len(archive)))
    early = client.post(announced.replace("/archive", "/complete"))
    assert (early.status_code, early.json()["code"]) == (409, "offset")
    client.patch(announced, content=archive[half:], headers=OCTETS | {"upload-offset": str(half)})
    done = client.post(announced.replace("/archive", "/complete"))
    assert (done.status_code, done.json()["state"]) == (200, "received")
    assert client.patch(announced, content=b"x", headers=OCTETS | {"upload-offset": "0"}).status_code == 409


def test_what_arrived_before_the_connection_broke_counts(web, archive, announced):
    head = (
        f"PATCH {announced} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {web.tokens['Lab']}\r\n"
        f"Content-Type: application/octet-stream\r\nUpload-Offset: 0\r\nContent-Length: {len(archive)}\r\n\r\n"
    )
    with socket.create_connection(web.listener.getsockname()) as s:
        s.sendall(head.encode() + archive[:1000])
        time.sleep(0.5)  # what lies in the server's own buffer when the connection breaks is lost
    client = web.client("Lab")
    for _ in range(200):
        if client.head(announced).headers["upload-offset"] == "1000":
            break
    rest = client.patch(announced, content=archive[1000:], headers=OCTETS | {"upload-offset": "1000"})
    assert (rest.status_code, rest.headers["upload-offset"]) == (204, str(len(archive)))
    assert client.post(announced.replace("/archive", "/complete")).status_code == 200


def test_of_requests_at_one_offset_one_is_taken(web):
    """Each body is longer than what is written at once, so that the others come in between."""
    size, clients = 3_000_000, [web.client("Lab") for _ in range(6)]
    made = clients[0].post("/api/v1/submissions", json={"meta": {"method": "crowd"}, "size": 2 * size}).json()
    for start in (0, size):

        def one(k, headers=OCTETS | {"upload-offset": str(start)}):
            return clients[k].patch(made["upload"], content=bytes([k]) * size, headers=headers)

        with ThreadPoolExecutor(len(clients)) as pool:
            answers = list(pool.map(one, range(len(clients))))
        assert sorted(a.status_code for a in answers) == [204] + [409] * 5
        winner = next(k for k, a in enumerate(answers) if a.status_code == 204)
        part = (web.opened.store.folder(made["id"]) / "archive.part").read_bytes()
        assert part[start:] == bytes([winner]) * size
    web.opened.store.cancel(made["id"], "Lab")


def test_complete_asked_by_many_at_once_is_done_once(web, archive, announced):
    clients = [web.client("Lab") for _ in range(6)]
    clients[0].patch(announced, content=archive, headers=OCTETS | {"upload-offset": "0"})
    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(lambda c: c.post(announced.replace("/archive", "/complete")), clients))
    assert [a.status_code for a in answers] == [200] * 6
    name = announced.split("/")[-2]
    assert [line["action"] for line in web.opened.store.audit_log() if line["submission_id"] == name] == [
        "created",
        "uploaded",
    ]


def test_other_bytes_than_announced(web, archive, announced):
    client, start = web.client("Lab"), OCTETS | {"upload-offset": "0"}
    assert client.patch(announced, content=archive + b"x", headers=start).status_code == 413
    left = int(client.head(announced).headers["upload-offset"])
    client.patch(announced, content=bytes(len(archive) - left), headers=OCTETS | {"upload-offset": str(left)})
    answer = client.post(announced.replace("/archive", "/complete"))
    assert (answer.status_code, answer.json()["code"]) == (409, "checksum")
    assert client.patch(announced, content=archive, headers=start).status_code == 204  # it may be sent again
    assert client.post(announced.replace("/archive", "/complete")).status_code == 200


def test_another_content_type(web, announced):
    headers = {"content-type": "application/zip", "upload-offset": "0"}
    answer = web.client("Lab").patch(announced, content=b"x", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "content-type")


def test_more_than_the_board_takes(web):
    body = {"meta": {"method": "large"}, "size": web.opened.board.max_archive + 1}
    answer = web.client("Lab").post("/api/v1/submissions", json=body)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


def test_a_full_disk_rejects_the_upload_and_keeps_serving(web, archive, announced, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as m:
        m.setattr("iamiou_leaderboard.uploads.os.fdopen", full)
        answer = web.client("Lab").patch(announced, content=archive, headers=OCTETS | {"upload-offset": "0"})
    assert (answer.status_code, answer.json()["code"]) == (507, "disk-full")
    here = web.client("Lab").get(announced.removesuffix("/archive")).json()
    assert here["state"] == "rejected" and "disk is full" in here["reason"]
    assert web.client().get("/").status_code == 200


def test_the_form_with_its_archive(web, archive):
    browser = web.browser("Lab")
    page = browser.get("/submit").text
    fields = {"form_token": form_token(page), "method": "by form", "supervision": "image", "seed": "3"}
    fields |= {"foundation_models": "CLIP, SAM", "coco_pretrained": "true", "paper": "https://example.org/p"}
    answer = browser.post("/submit", data=fields, files={"archive": ("a.zip", archive, "application/zip")})
    assert answer.status_code == 303, answer.text
    submission_id = answer.headers["location"].rpartition("/")[2]
    entry = web.opened.store.submission(submission_id)
    try:
        assert entry.archive_sha256 == hashlib.sha256(archive).hexdigest()
        expected = {"method": "by form", "supervision": "image", "seed": 3, "foundation_models": ["CLIP", "SAM"]}
        assert expected.items() <= entry.meta.items() and entry.meta["coco_pretrained"] is True
        assert "by form" in browser.get("/submit").text
    finally:
        web.opened.store.cancel(submission_id, "Lab")


@pytest.mark.parametrize(
    ("fields", "name", "said"),
    [
        ({"method": "x", "seed": "many"}, "a.zip", "seed"),
        ({"method": ""}, "a.zip", "method"),
        ({"method": "x\u202ey"}, "a.zip", "U+202E"),
        ({"method": "x", "paper": "javascript:alert(1)"}, "a.zip", "paper"),
        ({"method": "x"}, None, "choose a .zip"),
    ],
)
def test_a_form_that_is_not_taken_says_why_and_keeps_what_was_typed(web, archive, fields, name, said):
    browser = web.browser("Lab")
    sent = {"form_token": form_token(browser.get("/submit").text), "backbone": "ResNet-77", **fields}
    files = {"archive": (name, archive, "application/zip")} if name else {"archive": ("", b"", "application/zip")}
    before = len(web.opened.store.submissions())
    answer = browser.post("/submit", data=sent, files=files)
    assert answer.status_code == 422
    assert said in answer.text and "ResNet-77" in answer.text and 'role="alert"' in answer.text
    assert len(web.opened.store.submissions()) == before
