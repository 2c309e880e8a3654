"""The first form of the database, with logs and submissions that nothing can delete."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATES = "'received', 'validating', 'queued', 'scoring', 'scored', 'rejected', 'error', 'cancelled', 'withdrawn'"
_ALIVE = "state IN ('queued', 'scoring', 'scored')"
_NO = (("audit", "UPDATE"), ("audit", "DELETE"), ("submission", "DELETE"), ("score", "DELETE"), ("score", "UPDATE"))


def upgrade() -> None:
    """Create everything."""
    for name, columns in _tables().items():
        op.create_table(name, *columns, sqlite_strict=True)
    where = sa.text(_ALIVE)
    once: dict[str, Any] = {"unique": True, "sqlite_where": where, "postgresql_where": where}
    op.create_index("one_of_each", "submission", ["team_id", "content_sha256"], **once)
    op.create_index("submission_state", "submission", ["state"])
    op.create_index("job_waiting", "job", ["state", "priority", "id"])
    op.create_index("job_submission", "job", ["submission_id"])
    postgres = op.get_bind().dialect.name == "postgresql"
    if postgres:
        op.execute(
            "CREATE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'this table only grows'; END $$"
        )
    for name, what in _NO:
        body = "EXECUTE FUNCTION kept()" if postgres else "BEGIN SELECT RAISE(ABORT, 'this table only grows'); END"
        each = " FOR EACH ROW" if postgres else ""
        op.execute(f"CREATE TRIGGER {name}_{what.lower()} BEFORE {what} ON {name}{each} {body}")


def _tables() -> dict[str, list[Any]]:
    """Return the columns of every table; a later form of `iamiou_leaderboard.tables` does not change this one."""
    key, text, check = sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Text, sa.CheckConstraint
    real: Any = sa.Double().with_variant(sa.REAL, "sqlite")

    def column(name: str, kind: Any, *rest: Any, null: bool = False, **more: Any) -> sa.Column[Any]:
        return sa.Column(name, kind, *rest, nullable=null, **more)

    def one(name: str, table: str, kind: Any = key, **more: Any) -> sa.Column[Any]:
        return column(name, kind, sa.ForeignKey(f"{table}.id"), **more)

    def number() -> sa.Column[Any]:
        return sa.Column("id", key, primary_key=True)

    return {
        "team": [number(), column("name", text, unique=True), column("created", key)],
        "token": [
            number(),
            one("team_id", "team"),
            column("sha256", text, unique=True),
            column("scope", text, check("scope IN ('submit', 'admin')")),
            column("created", key),
            column("expires", key, null=True),
            column("revoked", key, null=True),
        ],
        "submission": [
            sa.Column("id", text, primary_key=True),
            one("team_id", "team"),
            column("method", text),
            column("kind", text, check("kind IN ('submission', 'baseline')")),
            column("meta", text),
            column("state", text, check(f"state IN ({_STATES})")),
            column("reason", text),
            column("report", text, null=True),
            column("archive_size", key, check("archive_size > 0")),
            column("archive_sha256", text, null=True),
            column("content_sha256", text, null=True),
            one("duplicate_of", "submission", text, null=True),
            column("created", key),
            column("uploaded", key, null=True),
            column("finished", key, null=True),
            column("scored", key, null=True),
        ],
        "job": [
            number(),
            one("submission_id", "submission", text),
            column("kind", text, check("kind IN ('validate', 'score', 'rescore')")),
            column("state", text, check("state IN ('queued', 'running', 'done', 'failed')")),
            column("priority", key),
            column("owner", text, null=True),
            column("lease_until", real, null=True),
            column("attempts", key),
            column("error", text),
        ],
        "score": [
            number(),
            one("submission_id", "submission", text),
            column("split", text, check("split IN ('public', 'hidden')")),
            *(column(name, text) for name in ("metric", "dataset_digest", "code")),
            column("primary_value", real, check("primary_value BETWEEN 0 AND 1")),
            column("report", text),
            column("environment", text),
            column("started", key),
            column("finished", key),
            sa.UniqueConstraint("submission_id", "split", "metric", "dataset_digest"),
        ],
        "pair": [
            one("better", "score", primary_key=True, autoincrement=False),
            one("worse", "score", primary_key=True, autoincrement=False),
            column("difference", real),
            column("low", real, null=True),
            column("high", real, null=True),
            column("p", real),
        ],
        "audit": [
            number(),
            column("at", key),
            column("actor", text),
            column("action", text),
            column("submission_id", text, null=True),
            column("detail", text),
        ],
    }
