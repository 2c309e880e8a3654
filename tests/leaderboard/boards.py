"""Boards made of drawn scenes, archives of their predictions, and a short way to submit one."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iamiou.ground_truth import open_ground_truth
from iamiou_leaderboard import scorer, scorer_main
from iamiou_leaderboard.board import Opened, create_board, open_board
from iamiou_leaderboard.jobs import Outcome
from iamiou_leaderboard.types import Job, Quota, State, Submission
from iamiou_leaderboard.worker import work
from tests.fakes import Scene, image_list, png, scenes, voc_devkit

#: Enough instances of all sizes for the hidden split to show something.
PUBLIC = 4
HIDDEN = 16


def drawn(count: int = PUBLIC + HIDDEN, seed: int = 0) -> tuple[Scene, ...]:
    """Draw the images of a board; three classes, so that some cells rest on enough."""
    return scenes(count, seed, shape=(150, 160), labels=(5, 9, 15), objects=7)


def make_board(folder: Path, images: Sequence[Scene] | None = None, **options: Any) -> Path:
    """Make a board of which the first four images are public; ``options`` as in `create_board`."""
    images = drawn() if images is None else images
    truth = voc_devkit(folder.with_name(f"{folder.name}-devkit"), images)
    lists = {"public": images[:PUBLIC], "hidden": images[PUBLIC:]}
    truths = {
        split: open_ground_truth(truth, list_file=image_list(truth / f"{split}.txt", chosen))
        for split, chosen in lists.items()
        if chosen
    }
    options = {"quota": Quota(0, 7, 0), "name": "Drawn", "dataset": "drawn"} | options
    create_board(folder, truths, **options)
    return folder


def predictions(images: Sequence[Scene], change: Callable[[np.ndarray], np.ndarray] | None = None) -> dict[str, bytes]:
    """Return the predictions as PNG by file name, each one changed."""
    return {f"{i.id}.png": png(change(i.prediction) if change else i.prediction) for i in images}


def packed(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in files.items():
            z.writestr(name, data)
    return out.getvalue()


def truth_as_prediction(images: Sequence[Scene]) -> dict[str, bytes]:
    """Return the best predictions that there can be."""
    return {f"{i.id}.png": png(np.where(i.semantic == i.void, 0, i.semantic).astype(np.uint8)) for i in images}


def submit(opened: Opened, archive: bytes, team: str = "Lab", method: str = "ours", **meta: Any) -> Submission:
    """Upload an archive in one piece; it waits for a worker afterwards."""
    entry = opened.store.create_submission(
        team, {"method": method, **meta}, archive_size=len(archive), quota=opened.board.quota
    )
    opened.store.append(entry.id, 0, [archive])
    return opened.store.finish_upload(entry.id)


def work_here(place: Path) -> None:
    """Do what waits, all of it in this process: a process for each job takes longer to start than to score."""
    before = os.umask(0o077)  # as the scorer's own process has it
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("iamiou_leaderboard.worker.score_in_subprocess", _score_here)
            work(place, once=True)
    finally:
        os.umask(before)


def _score_here(opened: Opened, job: Job, *_: object) -> Outcome:
    folder = opened.store.folder(job.submission).resolve()
    place = folder / "work-here"
    place.mkdir()
    with contextlib.chdir(folder):
        do = scorer_main._validate if job.kind == "validate" else scorer_main._score
        result = do(opened.directory.resolve(), place)
    (place / "result.json").write_text(json.dumps(result), encoding="utf-8")
    outcome = scorer._take_in(opened, job, folder, place)
    shutil.rmtree(place)
    return outcome


def scored_board(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """Make a board with four submissions: as drawn, the same moved, without a class, and all background."""
    images = drawn()
    place = make_board(folder, images)
    opened = open_board(place)
    changes: list[tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = [
        ("Lab", "as drawn", lambda a: a),
        ("Other", "moved", lambda a: np.roll(a, 1, axis=1)),
        ("Lab", "no class 15", lambda a: np.where(a == 15, 0, a).astype(np.uint8)),
        ("Third", "nothing", np.zeros_like),
    ]
    ids = tuple(
        submit(opened, packed(predictions(images, change)), team, method, supervision="image", backbone=f"R{k}").id
        for k, (team, method, change) in enumerate(changes)
    )
    work_here(place)
    assert [opened.store.submission(i).state for i in ids] == [State.SCORED] * 4
    opened.close()
    return place, ids
