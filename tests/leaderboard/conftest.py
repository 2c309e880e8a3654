"""What several tests of the board share: one with four scored submissions, made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from iamiou_leaderboard.web.export import export
from tests.leaderboard.boards import scored_board
from tests.leaderboard.web import Web


@pytest.fixture(scope="session")
def scored_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    """A board with four scored submissions, and their ids; nobody changes it."""
    return scored_board(tmp_path_factory.mktemp("scored") / "board")


@pytest.fixture(scope="session")
def web(scored_folder: tuple[Path, tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A board that only new submissions change; a test takes back what others could see."""
    place, ids = scored_folder
    copy = tmp_path_factory.mktemp("web") / "board"
    shutil.copytree(place, copy)
    made = Web(copy, ids)
    yield made
    made.close()


@pytest.fixture(scope="session")
def exported(web: Web, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same board as files; a test that changes something works on a copy."""
    folder = tmp_path_factory.mktemp("export") / "site"
    export(web.opened, folder)
    return folder
