"""Strangers at the door: hosts, origins, forms, tokens, paths, bodies and headers."""

from __future__ import annotations

import http.client
import json
import socket
import time

import httpx
import pytest

from iamiou_leaderboard.web.guard import HEADERS, SMALL_BODY, host_name
from iamiou_leaderboard.web.serving import names_of
from tests.leaderboard.boards import drawn, packed, predictions, submit
from tests.leaderboard.web import Web, form_token

PATHS = (
    *("../board.json", "..%2Fboard.json", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "....//....//board.json", "..\\board.json"),
    *("%00", "A" * 26, "01ARZ3NDEKTSV4RRFFQ69G5FA%0A", "truth", ".", "~root", "C:%5Cboard.json", "%C0%AE%C0%AE%2F"),
    "a" * 3000,
)
PLACES = (
    *("/{}", "/assets/{}", "/submissions/{}", "/compare?a={}&b={}", "/?split={}", "/api/v1/board?split={}"),
    *("/api/v1/submissions/{}", "/api/v1/submissions/{}/archive", "/api/v1/compare?a={}&b={}"),
)
HOSTS = ("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1@evil.example", "", "[::1")


@pytest.fixture
def waiting(web: Web):
    """A submission of Lab that nobody scores."""
    entry = submit(web.opened, packed(predictions(drawn())), "Lab", "waits")
    yield entry
    web.opened.store.cancel(entry.id, "Lab")


@pytest.mark.parametrize("host", HOSTS)
def test_another_host_name_is_not_answered(web, host):
    answer = web.client("Lab").get("/", headers={"host": host})
    assert answer.status_code in (400, 421)
    assert "Drawn" not in answer.text


def test_names_that_the_server_answers_to(web):
    port = httpx.URL(web.url).port
    for host in (f"127.0.0.1:{port}", "localhost", "LOCALHOST:1", "[::1]:80"):
        assert web.client().get("/rules", headers={"host": host}).status_code == 200
    assert host_name("board.lab.example:8000") == "board.lab.example"
    assert {"127.0.0.1", "localhost"} < names_of("0.0.0.0")
    assert "board.lab.example" in names_of("board.lab.example")


def test_two_host_headers_are_refused(web):
    with socket.create_connection(web.listener.getsockname()) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        assert s.recv(100).split()[1] in (b"400", b"421")


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_pages_of_other_sites_change_nothing(web, waiting, sent):
    browser = web.browser("Lab")
    token = form_token(browser.get(f"/submissions/{waiting.id}").text)
    answers = [
        browser.post(f"/submissions/{waiting.id}/cancel", data={"form_token": token}, headers=sent),
        browser.post(f"/api/v1/submissions/{waiting.id}/cancel", headers=sent | {"x-form-token": token}),
        web.client("Lab").post(f"/api/v1/submissions/{waiting.id}/cancel", headers=sent),
        browser.post("/sign-out", data={"form_token": token}, headers=sent),
    ]
    assert {a.status_code for a in answers} == {403}
    assert web.opened.store.submission(waiting.id).state == "received"


@pytest.mark.parametrize("token", ["", "0" * 64, "é", "x" * 10_000])
def test_a_form_without_its_token_changes_nothing(web, waiting, token):
    browser = web.browser("Lab")
    mine = f"/submissions/{waiting.id}/cancel"
    assert browser.post(mine, data={"form_token": token}).status_code == 403
    assert browser.post(f"/api/v1{mine}", headers={"x-form-token": token.encode()}).status_code == 403
    assert browser.post(f"/api/v1{mine}").status_code == 403
    assert web.client().post("/sign-in", data={"form_token": token, "token": web.tokens["Lab"]}).status_code == 403
    others = form_token(web.browser("Other").get("/submit").text)
    assert browser.post(mine, data={"form_token": others}).status_code == 403
    assert web.opened.store.submission(waiting.id).state == "received"


def test_the_form_with_its_token_does_it(web):
    entry = submit(web.opened, packed(predictions(drawn())), "Lab", "to cancel")
    browser = web.browser("Lab")
    token = form_token(browser.get(f"/submissions/{entry.id}").text)
    origin = {"origin": web.url, "sec-fetch-site": "same-origin"}
    answer = browser.post(f"/submissions/{entry.id}/cancel", data={"form_token": token}, headers=origin)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/submissions/{entry.id}")
    assert web.opened.store.submission(entry.id).state == "cancelled"
    assert "Cancelled by its team." in browser.get(f"/submissions/{entry.id}").text


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(web):
    client = web.client()
    page = client.get("/sign-in")
    cookies = page.headers.get_list("set-cookie")
    sent = {"form_token": form_token(page.text), "token": web.tokens["Lab"]}
    cookies += client.post("/sign-in", data=sent).headers.get_list("set-cookie")
    for cookie in (c for c in cookies if "Max-Age=0" not in c):
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie, cookie


@pytest.mark.parametrize("who", ["Other", ""])
def test_one_team_neither_reads_nor_changes_what_another_has_under_way(web, waiting, who):
    client, here = web.client(who), f"/api/v1/submissions/{waiting.id}"
    piece = {"content-type": "application/octet-stream", "upload-offset": "0"}
    answers = [
        client.get(here),
        client.head(f"{here}/archive"),
        client.patch(f"{here}/archive", content=b"x", headers=piece),
        *(client.post(f"{here}/{verb}") for verb in ("complete", "cancel", "withdraw")),
        client.post(f"/api/v1/submissions/{web.ids[0]}/withdraw"),
    ]
    assert answers[0].status_code == 404
    assert {a.status_code for a in answers[1:]} == {404 if who else 401}
    assert "waits" not in client.get("/api/v1/submissions").text
    assert web.opened.store.submission(waiting.id).state == "received"
    assert web.opened.store.submission(web.ids[0]).state == "scored"


def test_what_is_there_and_what_is_not_read_alike_to_others(web, waiting):
    gone = "7" + waiting.id[1:]
    for path in ("/api/v1/submissions/{}", "/submissions/{}"):
        answers = [web.client().get(path.format(i)) for i in (waiting.id, gone)]
        texts = [a.text.replace(i, "ID") for a, i in zip(answers, (waiting.id, gone), strict=True)]
        assert texts[0] == texts[1] and {a.status_code for a in answers} == {404}


def test_a_revoked_or_late_token_is_worthless_at_once(web):
    secret = web.opened.store.create_token("Lab")
    late = web.opened.store.create_token("Lab", expires=int(time.time()) - 1)
    client = web.client()
    ask = lambda token: client.get("/api/v1/submissions", headers={"authorization": f"Bearer {token}"}).status_code  # noqa: E731
    assert (ask(secret), ask(late)) == (200, 401)
    browser = web.client()
    page = browser.get("/sign-in")
    browser.post("/sign-in", data={"form_token": form_token(page.text), "token": secret})
    assert "Sign out" in browser.get("/").text
    web.opened.store.revoke_token(max(t.id for t in web.opened.store.tokens() if t.expires is None))
    assert ask(secret) == 401
    assert "Sign out" not in browser.get("/").text


@pytest.mark.parametrize("header", ["Bearer x", "Bearer", "Basic QTpC", "Bearer iamiou_" + "A" * 43, "\xe9"])
def test_a_wrong_token_is_an_error_and_not_a_visitor(web, header):
    answer = web.client().get("/api/v1/board", headers={"authorization": header.encode("latin-1")})
    assert (answer.status_code, answer.json()["code"]) == (401, "token")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", PATHS)
def test_no_identifier_is_a_path(web, path):
    token = {"authorization": f"Bearer {web.tokens['admin']}"}
    raw = http.client.HTTPConnection(*web.listener.getsockname(), timeout=30)  # sends what it is given
    for address in PLACES:
        raw.request("GET", address.format(path, path).replace("\\", "%5C"), headers=token)
        answer = raw.getresponse()
        text = answer.read()
        assert answer.status in (400, 404, 405, 422), address
        assert b"root:" not in text and b"class_names" not in text and b"Traceback" not in text
    raw.close()


def test_every_answer_has_the_headers(web, waiting):
    client = web.client()
    pages = ("/", "/nothing", "/assets/style.css", "/compare")
    api = ("board", "board.csv", "x", "openapi.json", "submissions/x", "submissions")
    asked = [client.get(path) for path in (*pages, *(f"/api/v1/{name}" for name in api))]
    asked += [client.post("/rules"), client.request("TRACE", "/"), client.post("/submit", content=b"x" * 10)]
    asked += [client.get("/", headers={"host": "evil.example"})]
    asked += [client.post("/api/v1/submissions", content=b"x" * (SMALL_BODY + 1))]
    for answer in asked:
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (answer.url, name)
        assert "server" not in answer.headers
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert client.get("/").headers["cache-control"] == "no-cache"
    assert web.browser("Lab").get("/submit").headers["cache-control"] == "no-store"


def test_a_bug_is_told_without_its_cause(web, monkeypatch):
    monkeypatch.setattr("iamiou_leaderboard.views.board_table", lambda *_, **__: 1 / 0)
    for address in ("/", "/api/v1/board"):
        answer = web.client().get(address)
        assert answer.status_code == 500
        assert "Something went wrong" in answer.text and "ZeroDivision" not in answer.text
        assert answer.headers["content-security-policy"] == HEADERS["content-security-policy"]


def test_large_bodies_are_cut_off(web):
    client = web.client("Lab")
    announced = client.post(
        "/api/v1/submissions", content=b" " * (SMALL_BODY + 1), headers={"content-type": "application/json"}
    )
    assert (announced.status_code, announced.json()["code"]) == (413, "too-large")
    sent = 0

    def endless():
        nonlocal sent
        while sent < 100 * SMALL_BODY:
            sent += 65536
            yield b" " * 65536

    with _Hangup():
        client.post("/api/v1/submissions", content=endless(), headers={"content-type": "application/json"})
    assert sent < 100 * SMALL_BODY
    assert client.get("/rules").status_code == 200


class _Hangup:
    """Allow the server to hang up in the middle of what it will not take."""

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        return kind is not None and issubclass(kind, httpx.HTTPError)


def test_visitors_do_not_get_to_send_an_archive(web):
    client = web.client()
    page = client.get("/sign-in")
    files = {"archive": ("a.zip", packed(predictions(drawn())), "application/zip")}
    answer = client.post("/submit", data={"form_token": form_token(page.text), "method": "x"}, files=files)
    assert answer.status_code == 401


def test_methods_that_an_address_does_not_take(web):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = web.client().request(method, "/rules")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_errors_of_the_api_are_json_and_do_not_repeat_what_was_sent(web):
    answer = web.client("Lab").post("/api/v1/submissions", json={"meta": {}, "size": "<b>", "zzz": 1})
    assert answer.status_code == 422
    assert set(answer.json()) == {"code", "message"}
    assert "<b>" not in answer.text
    near = web.client("Lab").post(
        "/api/v1/submissions", json={"meta": {"method": "a", "supervison": "image"}, "size": 1}
    )
    assert (near.status_code, "did you mean 'supervision'" in near.json()["message"]) == (422, True)
    assert json.loads(near.text)["code"] == "input"
