"""The tables, as the newest migration leaves them; the same for SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy import text as sql
from sqlalchemy.types import TypeEngine

from iamiou_leaderboard.types import State

metadata = MetaData()

_KEY = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts up by itself there
_REAL: TypeEngine[float] = Double().with_variant(REAL, "sqlite")  # strict tables know no DOUBLE
_STATES = ", ".join(f"'{state}'" for state in State)
_ALIVE = "state IN ('queued', 'scoring', 'scored')"

team = Table(
    "team",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created", _KEY, nullable=False),
    sqlite_strict=True,
)

token = Table(
    "token",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("team_id", _KEY, ForeignKey("team.id"), nullable=False),
    Column("sha256", Text, nullable=False, unique=True),
    Column("scope", Text, CheckConstraint("scope IN ('submit', 'admin')"), nullable=False),
    Column("created", _KEY, nullable=False),
    Column("expires", _KEY),
    Column("revoked", _KEY),
    sqlite_strict=True,
)

submission = Table(
    "submission",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", _KEY, ForeignKey("team.id"), nullable=False),
    Column("method", Text, nullable=False),
    Column("kind", Text, CheckConstraint("kind IN ('submission', 'baseline')"), nullable=False),
    Column("meta", Text, nullable=False),
    Column("state", Text, CheckConstraint(f"state IN ({_STATES})"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("report", Text),
    Column("archive_size", _KEY, CheckConstraint("archive_size > 0"), nullable=False),
    Column("archive_sha256", Text),
    Column("content_sha256", Text),
    Column("duplicate_of", Text, ForeignKey("submission.id")),
    Column("created", _KEY, nullable=False),
    Column("uploaded", _KEY),
    Column("finished", _KEY),
    Column("scored", _KEY),
    # The same label maps of a team stand on the board once, whoever checked them at the same time.
    Index(
        "one_of_each", "team_id", "content_sha256", unique=True, sqlite_where=sql(_ALIVE), postgresql_where=sql(_ALIVE)
    ),
    Index("submission_state", "state"),
    sqlite_strict=True,
)

job = Table(
    "job",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("submission_id", Text, ForeignKey("submission.id"), nullable=False),
    Column("kind", Text, CheckConstraint("kind IN ('validate', 'score', 'rescore')"), nullable=False),
    Column("state", Text, CheckConstraint("state IN ('queued', 'running', 'done', 'failed')"), nullable=False),
    Column("priority", _KEY, nullable=False),
    Column("owner", Text),
    Column("lease_until", _REAL),
    Column("attempts", _KEY, nullable=False),
    Column("error", Text, nullable=False),
    Index("job_waiting", "state", "priority", "id"),
    Index("job_submission", "submission_id"),
    sqlite_strict=True,
)

score = Table(
    "score",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("submission_id", Text, ForeignKey("submission.id"), nullable=False),
    Column("split", Text, CheckConstraint("split IN ('public', 'hidden')"), nullable=False),
    Column("metric", Text, nullable=False),
    Column("dataset_digest", Text, nullable=False),
    Column("code", Text, nullable=False),
    # Nothing undefined can be ranked: neither NULL nor NaN passes.
    Column("primary_value", _REAL, CheckConstraint("primary_value BETWEEN 0 AND 1"), nullable=False),
    Column("report", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("started", _KEY, nullable=False),
    Column("finished", _KEY, nullable=False),
    Unique("submission_id", "split", "metric", "dataset_digest"),
    sqlite_strict=True,
)

# Paired comparisons of two scores, which pages look up and workers compute.
pair = Table(
    "pair",
    metadata,
    Column("better", _KEY, ForeignKey("score.id"), primary_key=True, autoincrement=False),
    Column("worse", _KEY, ForeignKey("score.id"), primary_key=True, autoincrement=False),
    Column("difference", _REAL, nullable=False),
    Column("low", _REAL),
    Column("high", _REAL),
    Column("p", _REAL, nullable=False),
    sqlite_strict=True,
)

audit = Table(
    "audit",
    metadata,
    Column("id", _KEY, primary_key=True),
    Column("at", _KEY, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("submission_id", Text),
    Column("detail", Text, nullable=False),
    sqlite_strict=True,
)
