"""What a board is made of: its configuration, submissions, jobs and scores, none of it to be shown as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from iamiou.errors import InputError
from iamiou.labels import ClassList

PUBLIC, HIDDEN = "public", "hidden"
SPLITS = (PUBLIC, HIDDEN)
KINDS = ("submission", "baseline", "paper")


class State(StrEnum):
    """Where a submission stands."""

    RECEIVED = "received"
    VALIDATING = "validating"
    QUEUED = "queued"
    SCORING = "scoring"
    SCORED = "scored"
    REJECTED = "rejected"
    ERROR = "error"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"

    @property
    def final(self) -> bool:
        """True when nothing happens any more by itself."""
        return self in (State.SCORED, State.REJECTED, State.ERROR, State.CANCELLED, State.WITHDRAWN)


class BoardError(InputError):
    """A request that the board refuses.

    Parameters
    ----------
    message : str
        One sentence for the person who asked.
    code : str
        For machines: not-found, forbidden, conflict, quota, too-large, offset, checksum, disk-full, closed.
    status : int
        The status of HTTP that says the same.
    """

    def __init__(self, message: str, code: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def not_found(submission_id: str) -> BoardError:
    """Say that there is no such submission, or none that this viewer may know of: the same words for both."""
    known = submission_id if len(submission_id) == 26 and submission_id.isalnum() else "of that name"
    return BoardError(f"There is no submission {known} on this board; check its id.", "not-found", 404)


@dataclass(frozen=True)
class Quota:
    """What one team may do; 0 means no limit.

    Parameters
    ----------
    scored : int
        Submissions that may be scored in ``days`` days; only scored ones and those on their way count.
    days : int
        Length of the window that moves along.
    attempts : int
        Uploads of any fate in 24 hours.
    """

    scored: int = 10
    days: int = 7
    attempts: int = 50


@dataclass(frozen=True)
class Board:
    """The fixed configuration of a board, as board.json keeps it.

    Parameters
    ----------
    name, description : str
        For people.
    dataset : str
        Name of the data set; published rows of the same name join the table ("voc2012-val", "coco2014-val").
    class_names : tuple of str
        Background first; ``classes`` is their name: voc, coco or another.
    bins : tuple of int
        Sides that part the size bins.
    primary : str
        The score that ranks, higher is better.
    digests : mapping
        `iamiou.report.dataset_digest` of every split that the board has.
    images, instances : mapping
        Number of images and of ground-truth instances by split.
    instances_from : str
        "annotation" or "components".
    quota : Quota
    max_archive : int
        Bytes that an upload may have.
    database : str
        URL; "" for the board's own SQLite file.
    created : int
        Seconds since 1970.
    """

    name: str
    dataset: str
    classes: str
    class_names: tuple[str, ...]
    bins: tuple[int, ...]
    digests: Mapping[str, str]
    images: Mapping[str, int]
    instances: Mapping[str, int]
    instances_from: str
    primary: str = "IA-mIoU"
    description: str = ""
    quota: Quota = field(default_factory=Quota)
    max_archive: int = 2**31
    database: str = ""
    created: int = 0

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the board has; the one that ranks by default comes first: hidden, else public."""
        return tuple(split for split in (HIDDEN, PUBLIC) if split in self.digests)

    @property
    def class_list(self) -> ClassList:
        """The classes as the library knows them."""
        return ClassList(self.classes, self.class_names)

    def to_dict(self) -> dict[str, Any]:
        """Return everything for board.json."""
        return asdict(self)


@dataclass(frozen=True)
class ImageInfo:
    """An image that a submission has to predict: nothing of it is secret."""

    id: str
    height: int
    width: int
    split: str


@dataclass(frozen=True)
class Viewer:
    """Who looks: ``role`` anonymous, team or admin; ``team`` is the slug of the team, "" for others."""

    role: Literal["anonymous", "team", "admin"] = "anonymous"
    team: str = ""

    def owns(self, team: str) -> bool:
        """Tell whether this viewer may see and change what is private to a team."""
        return self.role == "admin" or (self.role == "team" and self.team == team)


@dataclass(frozen=True)
class Token:
    """An access token as the list shows it; the secret itself is not kept."""

    id: int
    team: str
    scope: str
    created: int
    expires: int | None
    revoked: int | None


@dataclass(frozen=True)
class Submission:
    """One row of the table of submissions; for the inside, pages show a `SubmissionView`.

    Parameters
    ----------
    id : str
        26 characters, sortable by time.
    team : str
    method, kind : str
        Out of the meta data; ``kind`` is submission or baseline.
    meta : mapping
        submission.json as it was checked.
    state : State
    reason : str
        One sentence on why it was rejected, failed, cancelled or withdrawn.
    report : mapping or None
        The validation report: {"valid", "images", "problems": [{"kind", "fatal", "count", "what", "names", "hint"}]}.
    archive_size : int
        Bytes that the client announced.
    archive_sha256 : str or None
    content_sha256 : str or None
        Identity of the decoded label maps.
    duplicate_of : str or None
        The submission of the same team with the same label maps.
    created, uploaded, finished, scored : int or None
        Whole seconds since 1970; ``scored`` stays when a submission is withdrawn.
    """

    id: str
    team: str
    method: str
    kind: str
    meta: Mapping[str, Any]
    state: State
    reason: str
    report: Mapping[str, Any] | None
    archive_size: int
    archive_sha256: str | None
    content_sha256: str | None
    duplicate_of: str | None
    created: int
    uploaded: int | None
    finished: int | None
    scored: int | None


@dataclass(frozen=True)
class Job:
    """Work on a submission; ``kind`` is validate, score or rescore, ``state`` queued, running, done or failed."""

    id: int
    submission: str
    kind: str
    state: str
    owner: str | None
    lease_until: float | None
    attempts: int
    error: str


@dataclass(frozen=True)
class ScoreRow:
    """One score of a submission on one split, with everything that it depends on; never shown as it is.

    Parameters
    ----------
    submission, split, metric, dataset_digest, code : str
        ``metric`` is the version of the metric, ``code`` the version of iamiou.
    primary : float
        0 to 1, always defined.
    report : mapping
        The score json (schema 1) with full digits.
    environment : mapping
        Versions of Python and libraries, host.
    started, finished : int
        Whole seconds since 1970.
    """

    submission: str
    split: str
    metric: str
    dataset_digest: str
    code: str
    primary: float
    report: Mapping[str, Any]
    environment: Mapping[str, str]
    started: int
    finished: int
