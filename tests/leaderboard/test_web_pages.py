"""Pages and what stands next to them: complete without a script, nothing from elsewhere, nothing unescaped."""

from __future__ import annotations

import csv
import io
import json
import socket

import pytest

from iamiou_leaderboard import views
from iamiou_leaderboard.types import BoardRow, Cell
from iamiou_leaderboard.web.csv_table import plain
from iamiou_leaderboard.web.serving import bind
from tests.leaderboard.boards import drawn, packed, predictions, submit
from tests.leaderboard.web import Page, Web, crawl


@pytest.fixture(scope="module")
def seen(web: Web):
    pair = f"a={web.ids[0]}&b={web.ids[1]}"
    return crawl(web.client(), "/", f"/compare?{pair}", f"/compare?{pair}&split=public")


def test_every_address_on_every_page_answers(seen, web):
    statuses = {address: answer.status_code for address, answer in seen.items()}
    assert not {a: s for a, s in statuses.items() if s != 200}
    assert {f"/submissions/{i}" for i in web.ids} < set(statuses)
    assert any(a.startswith("/compare?") for a in statuses)
    assert {"/rules", "/submit", "/sign-in", "/api/v1/rules", "/api/v1/board", "/api/v1/board.csv"} < set(statuses)


def test_no_page_holds_inline_script_or_style_or_an_id_twice(seen):
    pages = {a: Page(r.text) for a, r in seen.items() if r.headers["content-type"].startswith("text/html")}
    assert len(pages) > 10
    for address, page in pages.items():
        assert page.inline == [], address
        assert all(action.startswith("/") for action in page.actions), address
        assert len(page.ids) == len(set(page.ids)), address


def test_the_board_is_whole_without_a_script(web):
    text = web.client().get("/").text
    for row in views.board_table(web.opened).rows:
        assert f'href="/submissions/{row.id}"' in text
        cell = row.cells["IA-mIoU"]
        assert f"{cell.value:.3f}" in text and f"{cell.low:.3f}–{cell.high:.3f}" in text
    assert "Sorted by IA-mIoU" in text and "Rounded to" in text


def test_the_order_of_the_page_is_that_of_the_table(web):
    text = web.client().get("/?split=public").text
    places = [text.index(f'href="/submissions/{row.id}"') for row in views.board_table(web.opened, split="public").rows]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("address", "view"),
    [
        ("/api/v1/board", lambda w: views.board_table(w.opened)),
        ("/api/v1/board?split=public", lambda w: views.board_table(w.opened, split="public")),
        ("/api/v1/board?backbone=R1", lambda w: views.board_table(w.opened, filters={"backbone": "R1"})),
        ("/api/v1/history?split=public", lambda w: views.history(w.opened, split="public")),
        ("/api/v1/rules", lambda w: views.rules(w.opened)),
        ("/api/v1/submissions/{0}", lambda w: views.submission_view(w.opened, w.ids[0])),
        ("/api/v1/compare?a={0}&b={1}", lambda w: views.comparison_view(w.opened, w.ids[0], w.ids[1])),
        (
            "/api/v1/compare?a={0}&b={1}&split=public",
            lambda w: views.comparison_view(w.opened, w.ids[0], w.ids[1], split="public"),
        ),
    ],
)
def test_json_is_what_the_views_say(web, address, view):
    answer = web.client().get(address.format(*web.ids))
    assert answer.status_code == 200
    assert answer.json() == json.loads(json.dumps(views.as_json(view(web)), allow_nan=False))


def test_filters_are_in_the_address(web):
    text = web.client().get("/?backbone=R1").text
    assert f'href="/submissions/{web.ids[1]}"' in text
    assert f'href="/submissions/{web.ids[0]}"' not in text
    assert "<option selected>R1</option>" in text
    assert "No row fits" in web.client().get("/?backbone=R9").text


def test_columns_for_classes_on_demand(web):
    assert ">diningtable<" not in web.client().get("/").text
    assert ">diningtable<" in web.client().get("/?classes=1").text


def test_csv_holds_numbers_as_numbers_and_no_formula(web):
    table = views.board_table(web.opened, split="public")
    rows = list(csv.DictReader(io.StringIO(web.client().get("/api/v1/board.csv?split=public").text)))
    assert [float(r["IA-mIoU"]) for r in rows] == [row.cells["IA-mIoU"].value for row in table.rows]
    assert [plain(t) for t in ("=1+1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "\u00a0=1")] == [
        "'=1+1", "'+1", "'-1", "'@x", "'\t=1", "'\r=1", "' =1", "'\u00a0=1"
    ]  # fmt: skip
    assert plain("ours = best") == "ours = best"


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "=1+1"])
def test_a_name_is_only_a_name(web, name):
    entry = submit(web.opened, packed(predictions(drawn())), "Lab", name)
    try:
        text = web.client("Lab").get(f"/submissions/{entry.id}")
        assert text.status_code == 404  # a page knows cookies only
        browser = web.browser("Lab")
        for address in (f"/submissions/{entry.id}", "/submit"):
            page = browser.get(address).text
            assert "<script>alert" not in page and "<img src=x" not in page and ">49<" not in page
            assert name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&#34;") in page
    finally:
        web.opened.store.cancel(entry.id, "Lab")


def test_a_page_of_what_is_not_there_says_so(web):
    for address in ("/nothing", "/submissions/x", f"/submissions/7{web.ids[0][1:]}", "/?split=secret", "/compare"):
        answer = web.client().get(address)
        assert answer.status_code == 404, address
        assert "Not found" in answer.text and "Traceback" not in answer.text


def test_published_rows_have_no_rank_and_dashes_for_what_papers_do_not_say(web, monkeypatch):
    nobody = {"rank": None, "tied": False, "badge": "", "badge_text": "", "id": None, "team": "", "date": None}
    said = {"method": "=PAPER", "kind": "paper", "year": "2018", "note": "Table 2; <ImageNet>", "classes": {}}
    paper = BoardRow(**nobody, **said, meta={"supervision": "image"}, cells={"IA-mIoU": Cell(), "mIoU": Cell(0.617)})
    monkeypatch.setattr(views, "_papers", lambda *_: [paper])
    text = web.client().get("/").text
    row = text[text.index('<tr class="paper"') :].partition("</tr>")[0]
    assert row.count(">–<") >= 5 and "0.617" in row and "2018" in row and "href" not in row
    assert "Show 1 published row" in text and "Table 2; &lt;ImageNet&gt;" in text
    assert "'=PAPER" in web.client().get("/api/v1/board.csv").text


def test_an_answer_does_not_wait_for_its_second_half():
    """What `bind` accepts sends small pieces at once; else each answer on a kept connection takes 40 ms more."""
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        near, _ = listener.accept()
        with near:
            assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
