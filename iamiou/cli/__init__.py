"""The command line. Every command is an entry point of the group ``iamiou.commands``, so parts can add theirs."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from importlib import import_module
from typing import Any, NoReturn

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

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; when nobody reads its output any more, end as a shell counts it, not as a bug."""
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, SystemExit) as e:  # rich turns the one into the other
            if isinstance(e, BrokenPipeError) or isinstance(e.__context__, BrokenPipeError):
                _silence()
                raise click.exceptions.Exit(141) from e
            raise


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="iamiou", message="iamiou %(version)s")
def cli() -> None:
    """See how well a segmentation model finds small objects, not only large ones.

    Exit codes: 0 done; 1 a bug in iamiou; 2 usage or input; 3 incomplete, can be resumed; 130 interrupted.
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; every error a user can make becomes one sentence and an exit code."""
    from iamiou.errors import IamiouError

    _print_anything()
    try:
        code = cli.main(args=arguments, prog_name="iamiou", standalone_mode=False)
    except click.exceptions.Exit as e:
        code = e.exit_code
    except click.ClickException as e:
        e.show()
        code = e.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = _fail("Interrupted; nothing is left half written.", 130)
    except IamiouError as e:
        code = _fail(f"Error: {e}", e.exit_code)
    except MemoryError:
        code = _fail("Error: The memory ran out; score fewer or smaller images at a time, or with --threads 1.", 2)
    except Exception as e:
        code = _disk_full() if isinstance(e, OSError) and e.errno == errno.ENOSPC else _bug()
    sys.exit(code if isinstance(code, int) else 0)


def _fail(text: str, code: int) -> int:
    click.echo(text, err=True)
    return code


def _bug() -> int:
    import traceback

    traceback.print_exc()
    return _fail(f"\nThis is a bug in iamiou. Please report it with the lines above: {_ISSUES}", 1)


def _disk_full() -> int:
    _silence()
    return _fail("Error: The disk is full; free some space and run the command again.", 2)


def _print_anything() -> None:
    """Let a terminal that does not know a dash or a name of a class show something else in its place."""
    out: Any = sys.stdout
    if "utf" not in (getattr(out, "encoding", None) or "").lower() and hasattr(out, "reconfigure"):
        out.reconfigure(errors="replace")


def _silence() -> None:
    """Drop what still waits to be printed, or Python fails once more at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
