"""Two boards that differ in nothing but the hidden labels, and what everybody can read of them, byte by byte.

The hidden images of one board are mirrored, their labels that is, and all predictions are symmetric. So every score
agrees, and whatever else differs tells of the hidden labels: states, errors, reports, times, sizes, the order of rows.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from iamiou_leaderboard.board import open_board
from iamiou_leaderboard.web.export import export
from tests.leaderboard.boards import PUBLIC, drawn, make_board, packed, predictions, work_here
from tests.leaderboard.web import Web, crawl

SECOND = 1_700_000_000
#: What differs between any two boards: ids in the order of the submissions, proofs of forms, when, and the digest.
TIMES = re.compile(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?![.,]\d)(Z| UTC)")
STAMPS = re.compile(r'("(?:created|finished|date|written)": ?)\d{10}(?![\d.])')
PROOF = re.compile(r'name="form_token" value="[0-9a-f]{64}"')


def mirrored(scene):
    return replace(scene, semantic=np.fliplr(scene.semantic), instance=np.fliplr(scene.instance))


def symmetric(labels):
    return np.maximum(labels, np.fliplr(labels))


def submissions(images):
    """Every fate that a submission can have: team, name, archive and what is done to it afterwards."""
    good = predictions(images, symmetric)
    shifted = predictions(images, lambda a: np.roll(symmetric(a), 1, axis=0))
    yield "Lab", "symmetric", packed(good), None
    yield "Other", "shifted", packed(shifted), None
    yield "Lab", "symmetric again", packed(good, 0), None
    yield "Lab", "one missing", packed(dict(list(good.items())[1:])), None
    yield "Lab", "no archive", b"PK", None
    yield "Lab", "not wanted", packed(good), "cancel"
    yield "Third", "nothing", packed(predictions(images, np.zeros_like)), "withdraw"


def make(folder, hidden):
    """Make a board, submit everything, let a worker score it, and return all that can be read."""
    images = drawn()
    images = (*images[:PUBLIC], *(hidden(i) for i in images[PUBLIC:]))
    place = make_board(folder / "board", images)
    opened, ids = open_board(place), []
    for k, (team, method, archive, then) in enumerate(submissions(images)):
        entry = opened.store.create_submission(team, {"method": method}, archive_size=len(archive), now=SECOND + k)
        opened.store.append(entry.id, 0, [archive])
        opened.store.finish_upload(entry.id)
        ids.append((entry.id, then))
        if then == "cancel":
            opened.store.cancel(entry.id, team)
    work_here(place)
    for submission_id, then in ids:
        if then == "withdraw":
            opened.store.withdraw(submission_id, "Third")
    opened.close()
    return read(place, [i for i, _ in ids], folder / "site")


def read(place, ids, site):
    """Read everything as a visitor and as every team, and the export; write alike what differs on any two boards."""
    web, found = Web(place, tuple(ids)), {}
    digest = web.opened.board.digests["hidden"]

    def alike(text):
        text = re.sub("|".join(ids), lambda m: f"ID{ids.index(m[0])}", text)
        text = text.replace(digest, "DIGEST").replace(web.url, "URL")
        return PROOF.sub("PROOF", STAMPS.sub(r"\1STAMP", TIMES.sub("TIME", text)))

    starts = ["/", "/?classes=1", "/api/v1/history", "/api/v1/submissions", "/submit", "/nothing"]
    for name in ids:
        starts += [f"/submissions/{name}", f"/api/v1/submissions/{name}", f"/submissions/{name}/2007_000009"]
        starts += [f"/compare?a={ids[0]}&b={name}", f"/api/v1/compare?a={ids[0]}&b={name}&split=hidden"]
    client = web.client()
    answers = {("", a): client.get(a) for a in starts} | {
        ("Lab", a): r for a, r in crawl(web.client("Lab"), *starts).items()
    }
    for (who, address), answer in answers.items():
        kept = {k: v for k, v in answer.headers.items() if k not in ("date", "set-cookie", "content-length")}
        found[who, alike(address)] = (answer.status_code, kept, alike(answer.text))
    export(web.opened, site)
    found |= {("file", alike(str(p.relative_to(site)))): alike(p.read_text()) for p in site.rglob("*") if p.is_file()}
    web.close()
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return tuple(make(tmp_path_factory.mktemp(name), hidden) for name, hidden in (("a", lambda i: i), ("b", mirrored)))


def test_nothing_that_can_be_read_depends_on_the_hidden_labels(both):
    one, other = both
    assert one.keys() == other.keys()
    for address in one:
        assert one[address] == other[address], address


def test_the_comparison_saw_every_fate(both):
    one, _ = both
    assert len(one) > 100
    states = {
        m for (who, address), answer in one.items() if who == "Lab" and "/api/v1/submissions" in address
        for m in re.findall(r'"state":"(\w+)"', answer[2])
    }  # fmt: skip
    assert states == {"scored", "rejected", "cancelled", "withdrawn"}
    board = one["Lab", "/api/v1/board"][2]
    assert re.search(r'"IA-mIoU":\{"value":0\.\d{2,3},', board), "scores were compared too"
    assert {status for status, *_ in (a for (who, _), a in one.items() if who != "file")} >= {200, 401, 404, 409}


def test_without_symmetry_the_boards_do_differ(tmp_path):
    """So that the labels of the two boards really are different ones."""
    from iamiou_leaderboard.board import open_truth, read_configuration

    images = drawn()
    place = make_board(tmp_path / "board", (*images[:PUBLIC], *(mirrored(i) for i in images[PUBLIC:])))
    board, _ = read_configuration(place)
    truth = open_truth(place, "hidden", board.class_list, board.instances_from)
    for image in images[PUBLIC:]:
        assert not np.array_equal(truth.load(image.id)[0], image.semantic)
