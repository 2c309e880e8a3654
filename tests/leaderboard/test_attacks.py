"""Every attack goes through the real intake: uploaded, then read by the scorer's code under its tight limits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from iamiou_leaderboard.board import Opened, open_board
from iamiou_leaderboard.client import Remote
from iamiou_leaderboard.jobs import Checked
from iamiou_leaderboard.scorer import Limits, score_in_subprocess
from iamiou_leaderboard.worker import work
from tests.leaderboard.attacks import REFUSED, TAKEN, many
from tests.leaderboard.boards import drawn, make_board, predictions, submit
from tests.leaderboard.live import send
from tests.leaderboard.web import Web

#: A server allows six times the memory.
LIMITS = Limits(memory=2**30, cpu=60, seconds=60, file=2**26)
IMAGES = drawn(12)
#: Those that would cost most go the whole way: over HTTP, to a worker, each into a process of its own.
WORST = (
    "zip slip", "symlink", "overlapping members", "bomb by ratio", "bomb by count", "swollen data", "gigapixel",
    "pickle behind .png", "TIFF behind .png", "nested archive", "markup in a name", "size said enormous",
)  # fmt: skip

# What a scorer's process does, for one archive after another; it prints what came of each, and how long it took.
READ_ALL = """
import json, os, sys, time
from pathlib import Path
from iamiou_leaderboard import scorer_main
scorer_main._limit(json.loads(sys.argv[2]))
for folder in json.load(sys.stdin):
    os.chdir(folder)
    Path("work").mkdir()
    started = time.monotonic()
    result = scorer_main._validate(Path(sys.argv[1]), Path("work"))
    print(json.dumps([result, time.monotonic() - started]), flush=True)
"""


@dataclass(frozen=True)
class Intake:
    """What became of one archive."""

    report: dict[str, Any]
    identity: str | None
    seconds: float
    left: frozenset[str]

    @property
    def kinds(self) -> set[str]:
        return {p["kind"] for p in self.report["problems"] if p["fatal"]}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    opened = open_board(make_board(tmp_path_factory.mktemp("attacked") / "board", IMAGES))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def results(board: Opened) -> dict[str, Intake]:
    """Let one process with a scorer's limits read all attacks."""
    builders = {name: build for name, (build, _) in REFUSED.items()} | TAKEN
    folders = []
    for name, build in builders.items():
        entry = submit(board, build(predictions(IMAGES)), team=name)
        board.store.cancel(entry.id, "test")
        folders.append(str(board.store.folder(entry.id).resolve()))
    command = [sys.executable, "-c", READ_ALL, str(board.directory.resolve()), json.dumps(asdict(LIMITS))]
    done = subprocess.run(command, input=json.dumps(folders).encode(), capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    found = {}
    for name, folder, line in zip(builders, folders, done.stdout.splitlines(), strict=True):
        result, seconds = json.loads(line)
        left = frozenset(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file())
        found[name] = Intake(result["report"], result["identity"], seconds, left)
    return found


@pytest.mark.parametrize("name", REFUSED)
def test_an_attack_is_refused_by_name_within_bounds(results: dict[str, Intake], name: str) -> None:
    intake = results[name]
    assert intake.kinds == {REFUSED[name][1]}
    assert intake.identity is None and not intake.report["valid"]
    assert intake.seconds < 20
    assert intake.left <= {"archive.zip", "work/labels.zip"}, "nothing else may be written"
    text = json.dumps(intake.report, ensure_ascii=False)
    assert len(text) < 100_000
    assert all(c.isprintable() for c in text), "a stranger's name reaches a page or a terminal as it is"


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_honest_is_taken(results: dict[str, Intake], name: str) -> None:
    intake = results[name]
    assert intake.kinds == set()
    assert intake.report["valid"] and intake.identity
    assert intake.seconds < 20
    assert intake.left == {"archive.zip", "work/labels.zip"}


def test_zipped_otherwise_it_is_the_same_submission(results: dict[str, Intake]) -> None:
    assert len({results[name].identity for name in TAKEN}) == 1


def test_nothing_was_written_beside_the_submissions(board: Opened, results: dict[str, Intake]) -> None:
    places = [*board.directory.parent.iterdir(), *board.directory.iterdir(), *Path("/tmp").glob("evil*")]
    assert not [p for p in places if "evil" in p.name]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Web, dict[str, str]]]:
    """A server to which the worst archives were uploaded, an honest one last, and whose worker has read them."""
    folder = tmp_path_factory.mktemp("served")
    web, ids = Web(make_board(folder / "board", IMAGES), ()), {}
    builders = {name: REFUSED[name][0] for name in WORST} | {"plain": TAKEN["plain"]}
    for name, build in builders.items():
        path = folder / "archive.zip"
        path.write_bytes(build(predictions(IMAGES)))
        ids[name] = send(Remote(web.url, web.tokens["Lab"]), path, {"method": name.strip(".")}, lambda *_: None)
    work(web.directory, once=True, limits=LIMITS)
    yield web, ids
    web.close()


@pytest.mark.parametrize("name", WORST)
def test_the_worst_over_http_are_rejected_with_the_reason(attacked: tuple[Web, dict[str, str]], name: str) -> None:
    web, ids = attacked
    view = web.client("Lab").get(f"/api/v1/submissions/{ids[name]}").json()
    assert view["state"] == "rejected" and view["reason"]
    assert {p["kind"] for p in view["problems"] if p["fatal"]} == {REFUSED[name][1]}
    page = web.browser("Lab").get(f"/submissions/{ids[name]}").text
    assert "Rejected" in page and "<script>alert" not in page
    assert list(web.opened.store.folder(ids[name]).iterdir()) == [], "the archive goes, the reason stays"
    assert web.client("Other").get(f"/api/v1/submissions/{ids[name]}").status_code == 404


def test_after_the_worst_the_server_serves_and_the_worker_scores(attacked: tuple[Web, dict[str, str]]) -> None:
    web, ids = attacked
    (row,) = web.client().get("/api/v1/board").json()["rows"]
    assert (row["id"], row["rank"]) == (ids["plain"], 1)
    places = [*web.directory.rglob("*"), *web.directory.parent.iterdir(), *Path("/tmp").glob("evil*")]
    assert not [p for p in places if "evil" in p.name]


def test_an_archive_that_takes_too_long_is_refused_as_such(board: Opened) -> None:
    """The limit on work ends the scorer's process, not the worker, and the archive is not tried again."""
    entry = submit(board, many(400_000)(predictions(IMAGES)), team="too long")
    job = board.store.claim("test")
    assert job and job.submission == entry.id
    outcome = score_in_subprocess(board, job, Limits(memory=LIMITS.memory, cpu=2, seconds=60, file=LIMITS.file))
    assert isinstance(outcome, Checked), outcome
    (problem,) = outcome.report["problems"]
    assert problem["kind"] == "too-much-work" and "more than 2 seconds of work" in problem["hint"]
    board.store.finish_job(job, outcome)
