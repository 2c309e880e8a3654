"""Uploads: pieces with offsets that go on where they broke off, straight to the disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from iamiou_leaderboard.ids import is_id
from iamiou_leaderboard.submissions import Submissions, get, set_state
from iamiou_leaderboard.tables import job, submission
from iamiou_leaderboard.types import BoardError, State, Submission, not_found

#: An upload that was not finished after so many seconds is given up.
PATIENCE = 2 * 86_400
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Uploads(Submissions):
    """Archives on their way in; ``directory`` is the board's folder."""

    directory: Path

    def folder(self, submission_id: str) -> Path:
        """Return the folder of a submission; the id is checked before it becomes a path."""
        if not is_id(submission_id):
            raise not_found(submission_id)
        return self.directory / "submissions" / submission_id

    def upload_offset(self, submission_id: str) -> int:
        """Return how many bytes have arrived."""
        known = self._awaited(submission_id)
        if known.uploaded is not None:  # the archive itself may be gone by now
            return known.archive_size
        arrived = _arrived(self.folder(submission_id))
        return arrived.stat().st_size if arrived.exists() else 0

    def append(self, submission_id: str, offset: int, chunks: Iterable[bytes]) -> int:
        """Write bytes that begin at ``offset`` and return where the next ones begin.

        Parameters
        ----------
        submission_id : str
        offset : int
            Must be where the last piece ended, see `upload_offset`.
        chunks : iterable of bytes
            What was written when it breaks off stays and counts.

        Raises
        ------
        BoardError
            "closed", "offset", "too-large" or "disk-full"; the last one rejects the submission.
        """
        announced = self._open_for_upload(submission_id).archive_size
        folder = self.folder(submission_id)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(folder / "archive.part", os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(handle, "wb") as file:
                _lock(file)
                at = file.seek(0, os.SEEK_END)
                if at != offset:
                    text = f"The upload stands at byte {at}, not {offset}; go on from there."
                    raise BoardError(text, "offset", 409)
                for chunk in chunks:
                    at += len(chunk)
                    if at > announced:
                        text = f"The upload is longer than the {announced} bytes that were announced; start anew."
                        raise BoardError(text, "too-large", 413)
                    file.write(chunk)
        except OSError as e:
            if e.errno in _FULL:
                raise self._disk_full(submission_id) from e
            raise
        return at

    def finish_upload(self, submission_id: str, now: float | None = None) -> Submission:
        """Check what arrived and put the submission into the queue; a second call changes nothing.

        Raises
        ------
        BoardError
            "offset" while bytes are missing, "checksum" when others arrived than were announced.
        """
        known = self._awaited(submission_id)
        if known.uploaded is not None:
            return known
        digest = self._put_in_place(known)
        with self.write() as connection:
            if get(connection, submission_id, lock=True).state != State.RECEIVED:
                return get(connection, submission_id)
            if get(connection, submission_id).uploaded is None:
                stamp = int(time.time() if now is None else now)
                set_state(connection, submission_id, State.RECEIVED, uploaded=stamp, archive_sha256=digest)
                connection.execute(job.insert().values(new_job(submission_id, "validate")))
                self.audit(known.team, "uploaded", submission_id, f"sha256 {digest}", on=connection)
            return get(connection, submission_id)

    def _put_in_place(self, known: Submission) -> str:
        """Check the archive, give it its final name and return its sha256; two requests may try at once."""
        folder, size, digest = self.folder(known.id), 0, ""
        arrived = _arrived(folder)
        with contextlib.suppress(FileNotFoundError), open(arrived, "r+b") as file:
            _lock(file)
            size = os.fstat(file.fileno()).st_size
            if size == known.archive_size:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                if known.archive_sha256 not in (None, digest):
                    arrived.unlink(missing_ok=True)
                    text = "The archive changed on its way (its sha256 differs); send it again."
                    raise BoardError(text, "checksum", 409)
                with contextlib.suppress(FileNotFoundError):  # the other one was faster
                    arrived.replace(folder / "archive.zip")
        if not digest:
            text = f"{size} of {known.archive_size} bytes have arrived; send the others."
            raise BoardError(text, "offset", 409)
        _sync(folder / "archive.zip")
        return digest

    def give_up_uploads(self, now: float | None = None) -> None:
        """Cancel what was announced long ago and never came."""
        late = int((time.time() if now is None else now) - PATIENCE)
        where = (submission.c.state == State.RECEIVED, submission.c.uploaded.is_(None), submission.c.created < late)
        with self.read() as connection:
            stale = [row.id for row in connection.execute(sa.select(submission.c.id).where(*where))]
        for submission_id in stale:
            self.cancel(submission_id, "board", "The upload was not finished.")
            (self.folder(submission_id) / "archive.part").unlink(missing_ok=True)

    def _awaited(self, submission_id: str) -> Submission:
        self.folder(submission_id)
        return self.submission(submission_id)

    def _open_for_upload(self, submission_id: str) -> Submission:
        known = self._awaited(submission_id)
        if known.state != State.RECEIVED or known.uploaded is not None:
            raise BoardError(f"The submission {submission_id} takes no more bytes; it is {known.state}.", "closed", 409)
        return known

    def _disk_full(self, submission_id: str) -> BoardError:
        """Reject a submission for which there is no room; what arrived makes room for the database."""
        (self.folder(submission_id) / "archive.part").unlink(missing_ok=True)
        text = "The server's disk is full; tell its operator, and submit again later."
        with self.write() as connection:
            if get(connection, submission_id, lock=True).state == State.RECEIVED:
                set_state(connection, submission_id, State.REJECTED, text, finished=int(time.time()))
                self.audit("board", "rejected", submission_id, "disk full", on=connection)
        return BoardError(text, "disk-full", 507)


def new_job(submission_id: str, kind: str) -> dict[str, object]:
    """Return the columns of a job that waits; what is new comes before what is scored again."""
    first = 9 if kind == "rescore" else 5
    return {
        "submission_id": submission_id,
        "kind": kind,
        "state": "queued",
        "priority": first,
        "attempts": 0,
        "error": "",
    }


def _lock(file: IO[bytes]) -> None:
    """Wait until no other request writes to a file; its end gives the file free."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)


def _arrived(folder: Path) -> Path:
    """Return where the bytes of an upload are; a stop may come between the archive's name and the database."""
    part, whole = folder / "archive.part", folder / "archive.zip"
    return whole if whole.exists() and not part.exists() else part


def _sync(path: Path) -> None:
    """Wait until a file and its name are on the disk."""
    for place, flags in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY)):
        handle = os.open(place, flags)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
