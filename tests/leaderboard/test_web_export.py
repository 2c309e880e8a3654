"""The board as files: whole, without outside addresses, replaced as one, mixed with nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from iamiou.errors import InputError
from iamiou_leaderboard import views
from iamiou_leaderboard.web.export import MARK, export
from tests import command
from tests.leaderboard.web import Page


def test_every_address_is_a_file_of_the_export(exported):
    pages = list(exported.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        found = Page(page.read_text(encoding="utf-8"))
        assert found.inline == [] and len(found.ids) == len(set(found.ids))
        for address in [*found.addresses, *found.actions]:
            if address.startswith(("data:", "#")):
                continue
            parts = urlsplit(address)
            assert not parts.scheme and not parts.netloc and not address.startswith("/"), (page, address)
            assert (page.parent / parts.path).is_file(), (page, address)


def test_every_page_has_its_json(exported, web):
    for page in exported.rglob("*.html"):
        stem = page.with_name(page.name.replace("-classes", ""))
        assert json.loads(stem.with_suffix(".json").read_text(encoding="utf-8")), page
    table = json.loads((exported / "index.json").read_text(encoding="utf-8"))
    assert table == json.loads(json.dumps(views.as_json(views.board_table(web.opened))))
    assert {p.stem for p in (exported / "submissions").glob("*.html")} == set(web.ids)
    assert (
        len(list((exported / "compare").glob("*.html"))) == 10
    )  # of 4 rows and 2 splits: 3 neighbours, 2 more to the first


def test_what_only_a_server_can_do_is_left_out(exported):
    text = "".join(p.read_text(encoding="utf-8") for p in exported.rglob("*.html"))
    for word in ("/submit", "sign-in", "sign-out", "form_token", "/api/v1", "127.0.0.1", "localhost", "<noscript>"):
        assert word not in text, word


def test_an_earlier_export_is_replaced_by_the_same_and_nothing_else(exported, web, tmp_path):
    place = tmp_path / "site"
    shutil.copytree(exported, place)
    (place / "left.html").write_text("x")
    (place / "index.html").write_text("x")
    export(web.opened, place)
    first, second = (command.files(folder) for folder in (exported, place))
    assert {k for k in first.keys() | second.keys() if k != MARK and first.get(k) != second.get(k)} == set()
    assert [p.name for p in tmp_path.iterdir()] == ["site"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="holds other files"):
        export(web.opened, mine)
    assert (mine / "thesis.tex").exists()


def test_an_export_that_fails_leaves_the_earlier_one(exported, web, tmp_path, monkeypatch):
    shutil.copytree(exported, tmp_path / "site")
    before = command.files(tmp_path)
    monkeypatch.setattr("iamiou_leaderboard.web.pages.rules_page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(web.opened, tmp_path / "site")
    assert command.files(tmp_path) == before


def test_the_command(web, tmp_path, capsys):
    said = command.good(capsys, "leaderboard", "export", web.directory, tmp_path / "site")
    assert said == f"Wrote 16 pages to {tmp_path}/site; open {tmp_path}/site/index.html.\n"
    place = Path(tmp_path / "file")
    place.write_text("x")
    assert "is a file" in command.refused(capsys, "leaderboard", "export", web.directory, place)
    assert "is no board" in command.refused(capsys, "leaderboard", "export", tmp_path, tmp_path / "x")
    gone = command.refused(capsys, "leaderboard", "export", web.directory, tmp_path / "no" / "x")
    assert "cannot be written" in gone
