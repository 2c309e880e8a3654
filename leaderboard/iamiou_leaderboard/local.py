"""A board's own folder as the place to submit to: no server, no token, and no hidden ground truth."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from iamiou_leaderboard.board import Opened, open_board
from iamiou_leaderboard.client import PIECE, Facts, Progress, facts_of
from iamiou_leaderboard.types import Viewer
from iamiou_leaderboard.views import as_json, rules, submission_view
from iamiou_leaderboard.worker import work


@dataclass(frozen=True)
class Local:
    """A board's own folder, for one person on one machine.

    Parameters
    ----------
    directory : path
    team : str
        On whose behalf.
    """

    directory: Path
    team: str

    def facts(self) -> Facts:
        """Return what predictions are checked against."""
        with self._opened() as opened:
            return facts_of(rules(opened))

    def create(self, meta: Mapping[str, Any], size: int, sha256: str) -> str:
        """Announce an archive."""
        with self._opened() as opened:
            found = opened.store.create_submission(self.team, meta, archive_size=size, archive_sha256=sha256)
            return str(found.id)

    def upload(self, submission_id: str, archive: Path, progress: Progress) -> None:
        """Copy the archive in, and finish."""
        size = archive.stat().st_size
        with self._opened() as opened, open(archive, "rb") as file:
            at = opened.store.upload_offset(submission_id)
            file.seek(at)
            opened.store.append(submission_id, at, _pieces(file, at, size, progress))
            opened.store.finish_upload(submission_id)

    def view(self, submission_id: str) -> Mapping[str, Any]:
        """Do what waits in the queue, and return what may be seen of the submission."""
        work(self.directory, once=True)
        with self._opened() as opened:
            found: Mapping[str, Any] = as_json(submission_view(opened, submission_id, Viewer("team", self.team)))
            return found

    def page(self, submission_id: str) -> str:
        """Return the command that shows the submission."""
        return f"iamiou leaderboard show {self.directory} {submission_id}"

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Opened]:
        opened = open_board(self.directory)
        try:
            yield opened
        finally:
            opened.close()


def _pieces(file: IO[bytes], at: int, size: int, progress: Progress) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece
        at += len(piece)
        progress(at, size)
