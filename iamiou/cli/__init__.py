"""The command line. Every command is an entry point of the group ``iamiou.commands``, so parts can add theirs."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

_GROUP = "iamiou.commands"
_ISSUES = "https://github.com/iamiou/iamiou/issues"


def find_commands() -> dict[str, str]:
    """Return ``name -> module:attribute`` of every installed command.

    importlib.metadata would do, but importing it takes as long as all the rest of ``iamiou --help``; so the
    ``entry_points.txt`` files are read here, and importlib.metadata only where no such file is found.
    """
    found: dict[str, str] = {}
    for folder in dict.fromkeys(sys.path):
        try:
            entries = [e.path for e in os.scandir(folder or ".") if e.name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        for entry in entries:
            try:
                with open(f"{entry}/entry_points.txt", encoding="utf-8") as file:
                    text = file.read()
            except OSError:
                continue
            if f"[{_GROUP}]" in text:
                section = text.partition(f"[{_GROUP}]")[2].partition("\n[")[0]
                pairs = (line.partition("=") for line in section.splitlines() if "=" in line)
                found = {name.strip(): target.strip() for name, _, target in pairs} | found
    if not found:
        from importlib.metadata import entry_points

        found = {e.name: e.value for e in entry_points(group=_GROUP)}
    return found


class Commands(click.Group):
    """A click group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands."""
        return sorted(find_commands())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        target = find_commands().get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="iamiou", message="iamiou %(version)s")
def cli() -> None:
    """See how well a segmentation model finds small objects, not only large ones.

    Exit codes: 0 done; 1 a bug in iamiou; 2 usage or input; 3 incomplete, can be resumed; 130 interrupted.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; every error a user can make becomes one sentence and an exit code."""
    from iamiou.errors import IamiouError

    try:
        code = cli.main(args=arguments, prog_name="iamiou", standalone_mode=False)
    except click.exceptions.Exit as e:
        sys.exit(e.exit_code)
    except click.ClickException as e:
        e.show()
        sys.exit(e.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nInterrupted; nothing was written.", err=True)
        sys.exit(130)
    except IamiouError as e:
        click.echo(f"Error: {e}", err=True)
        sys.exit(e.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except MemoryError:
        click.echo("Error: The memory ran out; score fewer or smaller images at a time, or with --threads 1.", err=True)
        sys.exit(2)
    except Exception:
        import traceback

        traceback.print_exc()
        click.echo(f"\nThis is a bug in iamiou. Please report it with the lines above: {_ISSUES}", err=True)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
