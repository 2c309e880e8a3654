"""What an outsider can read, all of it: nothing of the hidden ground truth beyond rounded aggregates."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from iamiou.counts import AREA
from iamiou.report import METRIC_VERSION, load
from iamiou_leaderboard.board import FEW_IMAGES, FEW_INSTANCES
from tests.leaderboard.boards import HIDDEN, PUBLIC, drawn
from tests.leaderboard.web import Web, crawl

#: A score with more digits than the hidden split shows.
LONG = re.compile(r"(?<![\d.])0\.\d{4,}")
HEX = re.compile(r"[0-9a-f]{64}")


@pytest.fixture(scope="module")
def outside(web: Web, exported):
    """Everything that can be had without a token, from the server and from the export, as text by address."""
    pairs = [f"a={web.ids[0]}&b={other}" for other in web.ids[1:]]
    starts = ["/", "/?classes=1", "/api/v1/history", "/api/v1/submissions", *(f"/submissions/{i}" for i in web.ids)]
    starts += [f"/api/v1/submissions/{i}" for i in web.ids]
    for split in ("public", "hidden"):
        starts += [f"/?split={split}&classes=1", f"/api/v1/history?split={split}", f"/api/v1/board.csv?split={split}"]
        starts += [f"{path}?{pair}&split={split}" for pair in pairs for path in ("/compare", "/api/v1/compare")]
    seen = {address: answer.text for address, answer in crawl(web.client(), *starts).items()}
    return seen | {f"file:{p.relative_to(exported)}": p.read_text() for p in exported.rglob("*") if p.is_file()}


def hidden_part(address: str, text: str):
    """Return the part of an answer that speaks of the hidden split."""
    if not text.startswith(("{", "[")):
        if "/submissions/" in address or "submissions/" in address:  # two sections: the hidden one comes first
            return text.partition('id="hidden-title"')[2].partition('id="public-title"')[0]
        return "" if "public" in address else text
    content = json.loads(text)
    if isinstance(content, dict) and "splits" in content and "state" in content:
        return json.dumps(content["splits"]["hidden"])
    if isinstance(content, dict) and "verdict" in content:
        shown = {k: v for k, v in content.items() if k not in ("a", "b")}
        return "" if content["split"] == "public" else json.dumps(shown)
    return "" if "public" in address else text


def test_much_was_read(outside, web):
    kinds = {a.partition("?")[0].rpartition("/")[0] for a in outside}
    assert len(outside) > 60
    assert {"", "/submissions", "/api/v1", "/api/v1/submissions", "/assets"} <= kinds
    assert sum(bool(hidden_part(a, t)) for a, t in outside.items()) > 30


def test_the_hidden_split_shows_three_digits_at_most(outside):
    checked = 0
    for address, text in outside.items():
        if "openapi" in address or "assets" in address or "/rules" in address or "file:rules" in address:
            continue
        part = HEX.sub("", hidden_part(address, text))
        part = re.sub(r'\b(d|x|y|x1|cx|cy|points|width|height)="[^"]*"', "", part)  # coordinates of drawings
        found = LONG.findall(part)
        assert not found, (address, found[:3])
        checked += bool(part)
    assert checked > 30
    assert LONG.search(outside["/api/v1/board?split=public"])  # the search itself finds such numbers


def test_drawings_of_the_hidden_split_come_from_rounded_numbers(outside, web):
    """A drawing is made from what the table shows: no coordinate tells more than the numbers beside it."""
    from iamiou_leaderboard import views
    from iamiou_leaderboard.web.drawings import size_against_miou

    for row in views.board_table(web.opened, split="hidden").rows:
        for cell in (*row.cells.values(), *row.classes.values()):
            for value in (cell.value, cell.low, cell.high):
                assert value is None or value == round(value, 3)
    assert size_against_miou(views.board_table(web.opened, split="hidden").rows, 500, 400) is not None


def test_no_hidden_image_is_named_but_in_the_list_of_what_to_predict(outside):
    hidden = {image.id for image in drawn()[PUBLIC:]}
    assert len(hidden) == HIDDEN
    for address, text in outside.items():
        named = {i for i in hidden if i in text}
        if address in ("/api/v1/rules", "file:rules.json"):
            assert named == hidden
        else:
            assert not named, address
    public = {image.id for image in drawn()[:PUBLIC]}
    assert any(i in outside[f"/submissions/{s}"] for i in public for s in [next(iter(outside_ids(outside)))])


def outside_ids(outside):
    return [a.rpartition("/")[2] for a in outside if re.fullmatch(r"/submissions/[0-9A-Z]{26}", a)]


def test_no_size_of_a_hidden_instance_is_told(outside, web):
    report = load(web.opened.counts_file(web.ids[0], METRIC_VERSION, "hidden"))
    areas = {int(a) for a in report.counts.instances[:, AREA] if a > 999}
    assert len(areas) > 10
    for address, text in outside.items():
        part = HEX.sub("", hidden_part(address, text))
        part = re.sub(r"(?s)<path[^>]*>|\"(date|created|finished|max_archive)\": ?\d+", "", part)
        numbers = {int(n.replace(",", "")) for n in re.findall(r"\b\d{1,3}(?:,\d{3})+\b|\b\d{4,9}\b", part)}
        assert not numbers & areas, address


def test_cells_that_rest_on_too_little_are_held_back_everywhere(outside):
    content = json.loads(outside["/api/v1/board"])
    for row in content["rows"]:
        for cell in (*row["cells"].values(), *row["classes"].values()):
            if cell["value"] is not None and cell["instances"] is not None:
                assert cell["instances"] >= FEW_INSTANCES and cell["images"] >= FEW_IMAGES
            if cell["suppressed"]:
                assert {cell[k] for k in ("value", "low", "high", "instances", "images")} == {None}
    csv = outside["/api/v1/board.csv"].splitlines()
    assert len(csv) == len(content["rows"]) + 1


def test_no_pixel_of_the_hidden_truth_is_served(outside, web):
    pictures = [p for t in outside.values() for p in re.findall(r"data:image/png;base64,[A-Za-z0-9+/=]+", t)]
    assert pictures  # of the public split
    for address, text in outside.items():
        if "data:image/png" in hidden_part(address, text):
            raise AssertionError(address)
    truth = sorted((web.directory / "truth" / "hidden" / "semantic").iterdir())
    assert len(truth) == HIDDEN
    assert np.all([p.stat().st_mode & 0o077 == 0 for p in truth])


def test_nobody_else_sees_states_and_reports_on_the_way(outside, web):
    assert json.loads(outside["/api/v1/submissions"])["code"] == "token"
    for submission_id in web.ids:
        view = json.loads(outside[f"/api/v1/submissions/{submission_id}"])
        assert view["problems"] == [] and view["mine"] is False and view["position"] is None
        assert "host" not in view["splits"]["hidden"]["provenance"]
