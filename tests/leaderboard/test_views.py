"""What is shown: ranks, ties, badges; and what is not: anything of hidden images but rounded aggregates."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamiou.compare import compare
from iamiou.report import METRIC_VERSION, load
from iamiou_leaderboard import ranking, views
from iamiou_leaderboard.board import FEW_IMAGES, FEW_INSTANCES, open_board
from iamiou_leaderboard.disclosure import headline, is_few, shown, suppressed
from iamiou_leaderboard.jobs import Checked, PairRow, Scored
from iamiou_leaderboard.ranking import compare_pair, missing_pair, standings
from iamiou_leaderboard.types import BoardError, Cell, ScoreRow, State, Viewer
from iamiou_leaderboard.views import as_json, board_table, comparison_view, history, picture, rules, submission_view
from tests.leaderboard.boards import PUBLIC, drawn, make_board

ADMIN, LAB, OTHER = Viewer("admin"), Viewer("team", "Lab"), Viewer("team", "Other")
GOOD = {"valid": True, "images": 20, "problems": []}


@pytest.fixture(scope="module")
def scored(scored_folder):
    place, ids = scored_folder
    opened = open_board(place)
    yield opened, ids
    opened.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return make_board(tmp_path_factory.mktemp("boards") / "template")


@pytest.fixture
def opened(template, tmp_path):
    """Return a board without submissions."""
    import shutil

    shutil.copytree(template, tmp_path / "board")
    board = open_board(tmp_path / "board")
    yield board
    board.close()


def enter(opened, primary: float, method: str = "ours", team: str = "Lab", now: float = 1e9, miou: float = 0.5, **more):
    """Put a score into the database as a worker would."""
    store = opened.store
    metric = more.pop("metric", METRIC_VERSION)
    entry = store.create_submission(team, {"method": method, **more}, archive_size=1, now=now)
    store.append(entry.id, 0, [b"x"])
    store.finish_upload(entry.id)
    store.finish_job(store.claim("w"), Checked(GOOD, entry.id))
    report = {
        "scores": {"IA-mIoU": primary, "mIoU": miou},
        "support": {k: {"images": 16, "instances": 99, "classes": 3} for k in ("IA-mIoU", "mIoU")},
        "intervals": {},
        "images": 16,
        "classes": [
            {"name": n, "IoU": None, "IA-IoU": None, "precision": None, "recall": None}
            | {s: {"IA-IoU": None} for s in "SML"}
            | {"phantoms": {"count": 0}}
            for n in opened.board.class_names
        ],
    }
    rows = [
        ScoreRow(entry.id, split, metric, opened.board.digests[split], "0.1", primary, report, {}, 1, 2)
        for split in opened.board.splits
    ]
    store.finish_job(store.claim("w"), Scored(tuple(rows)))
    return entry.id


def test_ties_are_shown_as_ties(opened):
    for k, value in enumerate([0.5, 0.70004, 0.69996, 0.9, 0.6994]):
        enter(opened, value, f"m{k}", now=1e9 + k)
    table = board_table(opened)
    assert [(r.rank, r.tied, r.method) for r in table.rows] == [
        (1, False, "m3"),
        (2, True, "m1"),
        (2, True, "m2"),
        (4, False, "m4"),
        (5, False, "m0"),
    ]
    assert "share a rank" in table.sort_rule


def test_mean_iou_and_then_the_date_order_rows_within_a_tie(opened):
    enter(opened, 0.5, "late", now=1e9 + 5)
    enter(opened, 0.5, "early", now=1e9 + 1)
    enter(opened, 0.5, "better elsewhere", now=1e9 + 9, miou=0.6)
    enter(opened, 0.5, "no more digits than are shown", now=1e9, miou=0.6004)
    methods = [r.method for r in board_table(opened).rows]
    assert methods == ["no more digits than are shown", "better elsewhere", "early", "late"]
    assert {r.rank for r in board_table(opened).rows} == {1}


def test_only_scored_submissions_of_this_version_rank(opened):
    good, gone = enter(opened, 0.5), enter(opened, 0.9)
    enter(opened, 0.95, metric="0.9")
    opened.store.withdraw(gone, "Lab")
    opened.store.create_submission("Lab", {"method": "waits"}, archive_size=1)
    table = board_table(opened)
    assert [r.id for r in table.rows] == [good] and table.stale == 1
    old = next(s for s in opened.store.submissions(state=State.SCORED) if s.id != good)
    shown_old = submission_view(opened, old.id).splits["hidden"]
    assert shown_old.rank is None and [o["metric"] for o in shown_old.older] == ["0.9"]
    with pytest.raises(BoardError, match="has to be rescored"):
        comparison_view(opened, good, old.id)


def test_filters_rank_among_themselves_and_keep_to_known_keys(opened):
    enter(opened, 0.9, "a", backbone="R50", supervision="full")
    enter(opened, 0.5, "b", backbone="R50", supervision="image")
    enter(opened, 0.7, "c", backbone="ViT", supervision="image", kind="baseline", extra_data="COCO")
    table = board_table(opened, filters={"supervision": "image", "secret": "x", "backbone": ""})
    assert [(r.rank, r.method) for r in table.rows] == [(1, "c"), (2, "b")]
    assert table.filters == {"supervision": "image"}
    assert table.choices["backbone"] == ("R50", "ViT") and table.choices["kind"] == ("baseline", "submission")
    assert [r.method for r in board_table(opened, filters={"kind": "baseline"}).rows] == ["c"]


def test_history_holds_the_best_of_its_time(opened):
    for k, value in enumerate([0.5, 0.4, 0.5001, 0.6]):
        enter(opened, value, f"m{k}", now=1e9 + k)
    assert [(p.method, p.value) for p in history(opened)] == [("m0", 0.5), ("m3", 0.6)]
    assert [p.method for p in history(opened, split="public")] == ["m0", "m2", "m3"]


def test_badges_say_what_a_comparison_says(opened):
    ids = [enter(opened, v) for v in (0.9, 0.8, 0.7)]
    numbers = {row.submission: n for n, row in opened.store.score_rows(split="hidden").items()}
    assert [r.badge for r in board_table(opened).rows] == ["", "unknown", "unknown"]
    opened.store.add_pair(numbers[ids[0]], numbers[ids[1]], PairRow(0.1, -0.01, 0.2, 0.09))
    opened.store.add_pair(numbers[ids[1]], numbers[ids[2]], PairRow(0.1, 0.05, 0.2, 0.001))
    rows = board_table(opened).rows
    assert [r.badge for r in rows] == ["", "same", ""]
    assert "0.100 apart (95 % interval -0.010 to 0.200), p = 0.09" in rows[1].badge_text
    opened.store.withdraw(ids[1], "Lab")
    assert [r.badge for r in board_table(opened).rows] == ["", "unknown"], "other neighbours, another question"


def test_workers_compare_all_neighbours(scored):
    opened, ids = scored
    for split in opened.board.splits:
        assert missing_pair(opened, split) is None
        rows, _ = standings(opened, split)
        found = compare_pair(opened, split, rows[0], rows[-1])
        files = [opened.counts_file(s.submission.id, METRIC_VERSION, split) for s in (rows[-1], rows[0])]
        expected = compare(*files)
        primary = next(d for d in expected.scores if d.name == "IA-mIoU")
        assert (found.difference, found.low, found.high, found.p) == (
            primary.difference,
            primary.low,
            primary.high,
            primary.p,
        )
    assert board_table(opened).rows[-1].method == "nothing" and len(ids) == 4
    assert {r.badge for r in board_table(opened).rows} <= {"", "same"}


def test_paper_rows_stand_last_and_only_beside_all_images_of_their_data_set(opened):
    enter(opened, 0.1)
    assert all(r.kind != "paper" for r in board_table(opened).rows)
    part = replace(opened, board=replace(opened.board, dataset="voc2012-val"))
    assert all(r.kind != "paper" for r in board_table(part).rows), "a part of VOC val is another data set"
    whole = replace(part, board=replace(part.board, images={"hidden": 1449, "public": 4}))
    rows = board_table(whole).rows
    papers = [r for r in rows if r.kind == "paper"]
    assert papers and rows[0].rank == 1 and rows[1:] == tuple(papers)
    for row in papers:
        assert row.rank is None and row.note.startswith("Source: ") and row.cells["IA-mIoU"] == Cell()
        assert 0 < row.cells["mIoU"].value < 1 and set(row.cells) == set(board_table(whole).columns)
    assert board_table(whole, filters={"kind": "paper"}).rows == tuple(papers)


def digits(text: str) -> int:
    """Return how many digits follow the point of a number in json."""
    return len(text.partition(".")[2]) if "." in text and "e" not in text else 0


def numbers(view) -> list[float]:
    """Return every number of a view."""
    if isinstance(view, dict):
        return [n for v in view.values() for n in numbers(v)]
    if isinstance(view, list):
        return [n for v in view for n in numbers(v)]
    return [view] if isinstance(view, float) else []


def test_hidden_numbers_are_rounded_everywhere(scored):
    opened, ids = scored
    pages = [board_table(opened, split="hidden", viewer=viewer) for viewer in (None, LAB, ADMIN)] + [
        comparison_view(opened, ids[0], ids[1], split="hidden", viewer=ADMIN)
    ]
    views_of = [submission_view(opened, i, v).splits["hidden"] for i in ids for v in (None, LAB, ADMIN)]
    for page in [*pages[:3], *views_of, replace(pages[3], a=None, b=None), *history(opened, split="hidden")]:
        for number in numbers(as_json(page)):
            assert number == round(number, 3), number


def test_nothing_of_single_hidden_images_is_shown(scored):
    opened, ids = scored
    hidden = {i.id for i in opened.images if i.split == "hidden"}
    pages = [board_table(opened, split=s) for s in opened.board.splits] + [history(opened)]
    pages += [submission_view(opened, i, v) for i in ids for v in (None, LAB, OTHER, ADMIN)]
    pages += [
        comparison_view(opened, ids[0], ids[k], split=s, viewer=ADMIN) for k in (1, 2) for s in opened.board.splits
    ]
    text = json.dumps(as_json(pages))
    assert not [name for name in hidden if name in text]
    for page in pages[-4:]:
        assert (page.images is None) == (page.gained is None) == (page.lost is None) == (page.split == "hidden")
    for view in pages[3:-4]:
        assert view.splits["hidden"].worst is None and view.splits["hidden"].curve is None
        assert view.splits["public"].worst and view.splits["public"].curve
        assert {w["image"] for w in view.splits["public"].worst} <= {i.id for i in opened.images if i.split == "public"}


def test_pictures_are_of_the_public_split_only(scored):
    opened, ids = scored
    images = {i.id: i for i in drawn()}
    public = [i.id for i in opened.images if i.split == "public"]
    semantic, instance, prediction = picture(opened, ids[0], public[0])
    scene = images[public[0]]
    assert len(public) == PUBLIC
    assert np.array_equal(semantic, scene.semantic) and np.array_equal(prediction, scene.prediction)
    assert np.array_equal(instance, scene.instance)
    answers = set()
    for name in [i.id for i in opened.images if i.split == "hidden"] + ["nothing", "../board.json", ""]:
        with pytest.raises(BoardError) as e:
            picture(opened, ids[0], name, ADMIN)
        answers.add((str(e.value), e.value.status))
    assert len(answers) == 1, "hidden images and no images are told in the same words"


def test_suppressed_cells_show_nothing_at_all(scored):
    opened, ids = scored
    support = views.split_support(opened, "hidden")
    view = submission_view(opened, ids[0], ADMIN).splits["hidden"]
    hidden = suppressed(support)
    assert hidden, "the test needs some"
    sizes = view.sizes
    for c, row in enumerate(view.classes):
        for k, names in [*((k, [s]) for k, s in enumerate(sizes)), (3, ["IoU", "IA-IoU", "precision", "recall"])]:
            for name in names:
                if (c, k) in hidden:
                    assert row[name] == Cell(suppressed=True)
                elif row[name].value is not None:
                    assert not is_few(row[name].instances, row[name].images)
        assert row["phantoms"] is None
    for delta_row in comparison_view(opened, ids[0], ids[1], split="hidden").classes:
        c = opened.board.class_names.index(delta_row["name"])
        for k, size in enumerate(sizes):
            assert delta_row[size].suppressed == ((c, k) in hidden)
            assert not delta_row[size].suppressed or delta_row[size].difference is None


def test_suppressed_headline_scores_have_no_interval_and_no_delta(scored):
    opened, ids = scored
    row = next(r for r in opened.store.score_rows(split="hidden", submission_id=ids[0]).values())
    report = dict(row.report)
    few = {"images": 4, "instances": 12, "classes": 1}
    report["support"] = report["support"] | {"IA_S": few, "found@50_S": few}
    cells = headline(report, "hidden")
    for name in ("IA_S", "found@50_S", "gap_SL"):
        assert cells[name] == Cell(suppressed=True)
    assert any(cells[f"found@50_{s}"].suppressed for s in "ML"), "or it follows from found@50"
    assert cells["IA-mIoU"].value is not None and cells["IA_M"].value is not None
    assert headline(report, "public")["IA_S"].value == report["scores"]["IA_S"]


cells = st.tuples(st.integers(0, 40), st.integers(1, 30)).map(lambda c: (c[0], min(c)))


@given(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=2, max_size=6))
def test_no_suppressed_cell_follows_from_what_is_shown(rows):
    support = tuple((*row, (sum(n for n, _ in row), max(m for _, m in row))) for row in rows)
    hidden = suppressed(support)
    full = {(c, k): cell for c, row in enumerate(support) for k, cell in enumerate(row) if cell[0]}
    for place, (instances, images) in full.items():
        assert place in hidden or (instances >= FEW_INSTANCES and images >= FEW_IMAGES)
    for c in range(len(support)):
        gone = [k for k in range(3) if (c, k) in hidden]
        there = [k for k in range(3) if (c, k) in full]
        if (c, 3) in full and (c, 3) not in hidden:
            assert len(gone) != 1, "total and the other sizes give it away"
        assert set(gone) <= set(there)
    for k in range(4):
        gone = [c for c in range(len(support)) if (c, k) in hidden]
        shown_beside = [c for c in range(len(support)) if (c, k) in full and (c, k) not in hidden]
        assert len(gone) != 1 or not shown_beside, "the mean over classes gives it away"


def test_rounding():
    assert shown(0.12345, "hidden") == 0.123 and shown(0.12345, "public") == 0.12345
    assert shown(float("inf"), "public") is None and shown(None, "hidden") is None


def test_teams_see_their_own_and_nobody_elses(opened):
    store = opened.store
    mine = store.create_submission("Lab", {"method": "m"}, archive_size=1)
    store.append(mine.id, 0, [b"x"])
    assert submission_view(opened, mine.id, LAB).offset == 1
    store.finish_upload(mine.id)
    view = submission_view(opened, mine.id, LAB)
    assert view.mine and view.position == 0 and view.offset is None and view.state is State.RECEIVED
    answers = set()
    for name in (mine.id, "0" * 26):
        for viewer in (None, OTHER):
            with pytest.raises(BoardError) as e:
                submission_view(opened, name, viewer)
            answers.add((str(e.value).replace(name, "ID"), e.value.status, e.value.code))
    assert len(answers) == 1, "there is no telling whether it exists"
    problem = {"kind": "k", "fatal": True, "count": 1, "what": "w", "names": ["secret"], "hint": ""}
    store.finish_job(store.claim("w"), Checked({"valid": False, "images": 1, "problems": [problem]}, None))
    assert submission_view(opened, mine.id, LAB).problems == (problem,)
    assert submission_view(opened, mine.id, ADMIN).mine
    with pytest.raises(BoardError):
        submission_view(opened, mine.id, OTHER)


def test_problems_and_warnings_of_scored_ones_are_private_too(scored, opened):
    seen = submission_view(scored[0], scored[1][0], OTHER)
    assert seen.problems == () and not seen.mine and seen.position is None and seen.splits
    name = enter(opened, 0.5)
    opened.store.withdraw(name, "Lab")
    view = submission_view(opened, name)
    assert view.state is State.WITHDRAWN and view.splits == {}


def test_comparisons_say_what_the_library_says(scored):
    opened, ids = scored
    view = comparison_view(opened, ids[0], ids[2], split="public")
    files = [opened.counts_file(i, METRIC_VERSION, "public") for i in (ids[0], ids[2])]
    expected = compare(*files, names=("as drawn", "no class 15"))
    assert view.verdict == expected.verdict
    for delta, difference in zip(view.scores, expected.scores, strict=True):
        assert delta.name == difference.name
        assert (delta.difference is None) == bool(np.isnan(difference.difference))
        if delta.difference is not None:
            assert delta.difference == pytest.approx(difference.difference)
    assert [dict(c) for c in view.gained] == expected.to_dict()["gained"]
    report = load(files[0])
    for row in view.images:
        mine = report.instances[report.instances["image"] == row["image"]]
        assert row["a"] == pytest.approx(mine["iou"].mean())
    for bad in ("nowhere", "train"):
        with pytest.raises(BoardError, match="no such split"):
            comparison_view(opened, ids[0], ids[1], split=bad)
    with pytest.raises(BoardError, match="with itself"):
        comparison_view(opened, ids[0], ids[0])


def test_the_verdict_on_hidden_images_uses_shown_numbers_only(scored, monkeypatch):
    opened, ids = scored
    view = comparison_view(opened, ids[0], ids[2], split="hidden")
    difference = next(d for d in view.scores if d.name == "IA-mIoU").difference
    assert f"{difference:+.3f}".replace("-", "−") in view.verdict
    assert all(d.p is None or d.p == round(d.p, 2) for d in view.scores)


def test_provenance_says_everything_but_the_host(scored):
    opened, ids = scored
    found = submission_view(opened, ids[0]).splits["hidden"].provenance
    assert set(found) == {
        "metric",
        "iamiou",
        "data set",
        "digest",
        "python",
        "system",
        "numpy",
        "numba",
        "pillow",
        "started",
        "finished",
    }
    assert (found["data set"], found["digest"]) == ("drawn", opened.board.digests["hidden"])
    assert len(found["started"]) == len("2026-11-21T09:30:00Z"), "whole seconds"
    assert "host" in submission_view(opened, ids[0], ADMIN).splits["hidden"].provenance


def test_rules_hold_what_a_client_needs(scored):
    opened, _ = scored
    found = json.loads(json.dumps(rules(opened)))
    assert found["splits"]["hidden"]["images"] == 16 and len(found["images"]) == 20
    assert found["images"][0] == ["2007_000001", 150, 160, "public"]
    assert "10 instances or 5 images" in found["rounding"]["hidden"]


def test_every_view_is_json(scored):
    opened, ids = scored
    for view in (
        board_table(opened),
        submission_view(opened, ids[0], LAB),
        comparison_view(opened, *ids[:2]),
        history(opened),
    ):
        json.dumps(as_json(view), allow_nan=False)
    assert ranking.ALPHA == 0.05
