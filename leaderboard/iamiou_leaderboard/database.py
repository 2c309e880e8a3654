"""One database, SQLite in WAL mode or PostgreSQL by its URL: connections, write transactions, migrations."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from iamiou.errors import InputError
from iamiou_leaderboard import tables

#: File systems on which SQLite's write-ahead log loses data: other hosts do not see its shared memory.
_NETWORK = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "lustre", "glusterfs", "fuse.sshfs", "fuse.s3fs")
_WAIT_MS = 60_000


class Database:
    """Transactions on the tables of a board; safe in threads and processes.

    Parameters
    ----------
    url : str
        ``sqlite:///FILE`` or ``postgresql+psycopg://...``.
    """

    def __init__(self, url: str) -> None:
        try:
            self.url = sa.make_url(url)
            self.sqlite = self.url.get_backend_name() == "sqlite"
            self.engine = _sqlite_engine(self.url) if self.sqlite else sa.create_engine(self.url, pool_pre_ping=True)
        except (SQLAlchemyError, ModuleNotFoundError) as e:
            raise InputError(f"The database cannot be used: {e}. Give postgresql+psycopg://USER@HOST/NAME.") from e
        if self.sqlite and (kind := network_mount(Path(str(self.url.database)))):
            raise InputError(
                f"The board's folder lies on a network file system ({kind}), where SQLite's log is not safe; "
                "move it to a local disk, or give a PostgreSQL database with --database."
            )

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write; no other one writes meanwhile on SQLite."""
        with self.engine.connect().execution_options(write=True) as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    def migrate(self) -> None:
        """Bring the tables to their newest form; two processes may try at once."""
        from alembic import command
        from alembic.config import Config
        from alembic.util.exc import CommandError

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        try:
            with self.write() as connection:
                if not self.sqlite:
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(4711)"))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except (OperationalError, CommandError) as e:
            place = self.url.render_as_string(hide_password=True)
            raise InputError(f"The database '{place}' cannot be used: {str(e).splitlines()[0]}") from e

    def audit(
        self, actor: str, action: str, submission: str | None = None, detail: str = "", *, on: Connection | None = None
    ) -> None:
        """Add a line to the log that only grows; ``on`` puts it into a transaction that is under way."""
        line = {"at": int(time.time()), "actor": actor, "action": action, "submission_id": submission, "detail": detail}
        if on is not None:
            on.execute(tables.audit.insert().values(line))
        else:
            with self.write() as connection:
                connection.execute(tables.audit.insert().values(line))

    def audit_log(self) -> list[dict[str, Any]]:
        """Return all lines of the log, oldest first."""
        with self.read() as connection:
            return [dict(row) for row in connection.execute(sa.select(tables.audit).order_by("id")).mappings()]


def _sqlite_engine(url: sa.URL) -> Engine:
    engine = sa.create_engine(url, connect_args={"timeout": _WAIT_MS / 1000, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin below, not where sqlite3 thinks fit
        for pragma in (f"busy_timeout={_WAIT_MS}", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and then writes can fail in spite of the timeout: writers ask at once.
        write = connection.get_execution_options().get("write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def network_mount(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """Return the kind of the network file system that a path lies on, "" on local ones or where nobody can tell."""
    try:
        lines = [line.split(" ") for line in mounts.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return ""
    place = str(path.resolve())
    inside = [(at, kind) for _, at, kind, *_ in lines if place == at or place.startswith(at if at == "/" else f"{at}/")]
    kind = max(inside, key=lambda entry: len(entry[0]), default=("", ""))[1]
    return kind if kind.startswith(_NETWORK) else ""
