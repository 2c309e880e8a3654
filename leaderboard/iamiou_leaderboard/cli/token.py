"""``iamiou leaderboard token``: who may submit."""

from __future__ import annotations

import time

import click

_DAY = 86_400


@click.group()
def token() -> None:
    """Make, list and revoke the tokens with which teams submit."""


@token.command()
@click.argument("directory", metavar="DIR", type=click.Path())
@click.option("--team", metavar="NAME", required=True, help="Whose token it is; a new team is added.")
@click.option("--admin", is_flag=True, help="May see and withdraw what belongs to any team.")
@click.option("--days", metavar="N", type=click.IntRange(1), help="Until it runs out; never without this.")
def create(directory: str, team: str, admin: bool, days: int | None) -> None:
    """Make a token and print it, once: only its hash is kept."""
    from iamiou_leaderboard.board import open_board

    opened = open_board(directory)
    expires = None if days is None else int(time.time()) + days * _DAY
    click.echo(opened.store.create_token(team, "admin" if admin else "submit", expires))
    opened.close()


@token.command(name="list")
@click.argument("directory", metavar="DIR", type=click.Path())
def list_(directory: str) -> None:
    """List the tokens, not what they are."""
    from iamiou_leaderboard.board import open_board
    from iamiou_leaderboard.cli.printing import day, table

    opened = open_board(directory)
    rows = [
        [
            str(t.id),
            t.team,
            t.scope,
            day(t.created),
            day(t.expires),
            f"revoked {day(t.revoked)}" if t.revoked else "valid",
        ]
        for t in opened.store.tokens()
    ]
    click.echo(table(["id", "team", "scope", "made", "runs out", "state"], rows))
    opened.close()


@token.command()
@click.argument("directory", metavar="DIR", type=click.Path())
@click.argument("number", metavar="ID", type=int)
def revoke(directory: str, number: int) -> None:
    """Make a token worthless from now on."""
    from iamiou_leaderboard.board import open_board

    opened = open_board(directory)
    opened.store.revoke_token(number)
    click.echo(f"Token {number} is revoked.")
    opened.close()
