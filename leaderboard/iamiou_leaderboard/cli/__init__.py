"""``iamiou leaderboard``: one module a command, imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

_COMMANDS = ("init", "serve", "worker", "export", "token", "list", "show", "withdraw", "rescore", "backup")
_EXTRA = ("alembic", "fastapi", "multipart", "pyarrow", "python_multipart", "sqlalchemy", "starlette", "uvicorn")


class _Commands(click.Group):
    """A group that imports a command when somebody wants it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click passes its context
        """Name the commands, in the order in which a board's life needs them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in _COMMANDS:
            return None
        name = f"{cmd_name}_" if cmd_name == "list" else cmd_name
        command: click.Command = getattr(import_module(f"iamiou_leaderboard.cli.{cmd_name}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; say what to install where a package of the extra is missing."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as e:
            missing = (e.name or "").partition(".")[0]
            if missing not in _EXTRA:
                raise
            from iamiou.errors import InputError

            text = f"`iamiou leaderboard` needs the package '{missing}'; type: pip install 'iamiou[leaderboard]'"
            raise InputError(text) from e


@click.group(cls=_Commands)
def leaderboard() -> None:
    """Run a board: others submit predictions and cannot read its ground truth.

    DIR, the board's folder, comes first in every command; whoever can read it can read the ground truth.
    """
