"""Teams and their tokens: shown once, kept as a hash, compared in constant time, revoked at once."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from iamiou.errors import InputError
from iamiou_leaderboard.database import Database
from iamiou_leaderboard.names import check_name
from iamiou_leaderboard.tables import team as teams
from iamiou_leaderboard.tables import token as tokens
from iamiou_leaderboard.types import Token, Viewer

SCOPES = ("submit", "admin")
PREFIX = "iamiou_"


class Accounts(Database):
    """Who may submit."""

    def create_token(self, team: str, scope: str = "submit", expires: int | None = None) -> str:
        """Make a token for a team, which is made with its first one.

        Parameters
        ----------
        team : str
            1 to 64 characters.
        scope : {"submit", "admin"}
            An admin may see and withdraw what belongs to any team.
        expires : int, optional
            Seconds since 1970.

        Returns
        -------
        str
            The token, which nothing can show again.
        """
        if scope not in SCOPES:
            raise InputError(f"'{scope}' is no scope of a token; take {' or '.join(SCOPES)}.")
        name, now = check_name(team, "team"), int(time.time())
        secret = PREFIX + secrets.token_urlsafe(32)
        with self.write() as connection:
            row = {"team_id": team_id(connection, name), "sha256": _hash(secret), "scope": scope}
            connection.execute(tokens.insert().values(**row, created=now, expires=expires))
            self.audit("admin", "token-created", detail=f"{name}, {scope}", on=connection)
        return secret

    def revoke_token(self, number: int) -> None:
        """Make a token worthless from now on."""
        where = (tokens.c.id == number) & tokens.c.revoked.is_(None)
        with self.write() as connection:
            if not connection.execute(tokens.update().where(where).values(revoked=int(time.time()))).rowcount:
                raise InputError(
                    f"There is no token {number} that could be revoked; see `iamiou leaderboard token list`."
                )
            self.audit("admin", "token-revoked", detail=str(number), on=connection)

    def tokens(self) -> list[Token]:
        """Return all tokens, oldest first."""
        wanted = (tokens.c.id, teams.c.name, tokens.c.scope, tokens.c.created, tokens.c.expires, tokens.c.revoked)
        with self.read() as connection:
            return [Token(*row) for row in connection.execute(sa.select(*wanted).join(teams).order_by(tokens.c.id))]

    def viewer_of(self, secret: str, now: float | None = None) -> Viewer | None:
        """Return who holds a token; None when it is unknown, has run out or was revoked."""
        now, digest = time.time() if now is None else now, _hash(secret)
        wanted = (tokens.c.sha256, tokens.c.scope, tokens.c.expires, tokens.c.revoked, teams.c.name)
        # The look-up is by hash: how long it takes tells nothing of the secret.
        query = sa.select(*wanted).join(teams).where(tokens.c.sha256 == digest)
        with self.read() as connection:
            row = connection.execute(query).first()
        if row is None or not hmac.compare_digest(row.sha256, digest):
            return None
        if row.revoked is not None or (row.expires is not None and row.expires <= now):
            return None
        return Viewer("admin" if row.scope == "admin" else "team", row.name)


def team_id(connection: Connection, name: str) -> int:
    """Return the number of a team, which is added when it is new."""
    known = sa.select(teams.c.id).where(teams.c.name == name)
    found = connection.execute(known).scalar()
    if found is None:
        with contextlib.suppress(IntegrityError), connection.begin_nested():  # another request may add it now
            connection.execute(teams.insert().values(name=name, created=int(time.time())))
        found = connection.execute(known).scalar_one()
    return int(found)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
