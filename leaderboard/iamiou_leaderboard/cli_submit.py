"""``iamiou submit``: check predictions as the board will, pack them, send them, wait for the score."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from iamiou_leaderboard.client import Facts, Progress, Target

_NOT_HIDDEN = (
    "Note: --to DIR opens the board's own folder, so its ground truth is not hidden from you, nor from anybody who can "
    "open it. On a board for several people submit to the address of its server."
)


@click.command()
@click.argument("predictions", metavar="PREDS", type=click.Path())
@click.option("--to", "to", metavar="URL|DIR", required=True, help="Address of a board, or its folder.")
@click.option("--method", metavar="NAME", help="Name on the board.  [default: the one in submission.json]")
@click.option("--meta", "meta_file", metavar="FILE", type=click.Path(), help="submission.json.  [default: in PREDS]")
@click.option("--token", metavar="TOKEN", envvar="IAMIOU_TOKEN", help="Or in IAMIOU_TOKEN.")
@click.option("--wait", is_flag=True, help="Wait for the score, and print rank and score.")
def submit(predictions: str, to: str, method: str | None, meta_file: str | None, token: str | None, wait: bool) -> int:
    """Submit predictions to a board.

    PREDS is what `iamiou score` takes but COCO results. It is checked as the board will check it, before anything is
    sent. When an upload breaks off, the same command goes on with it.
    """
    from iamiou.errors import InputError

    meta = _meta(predictions, meta_file, method)
    target = _target(to, token or "", str(meta.get("team", "")))
    board = target.facts()
    with tempfile.TemporaryDirectory(prefix="iamiou-") as folder:
        archive = Path(folder) / "archive.zip"
        if not _pack(predictions, board, archive):
            return 2
        size, most = archive.stat().st_size, board.max_archive
        if size > most:
            raise InputError(f"The packed predictions have {size} bytes, and this board takes {most}.")
        submission_id = _send(target, meta, archive)
    click.echo(f"Submitted '{meta['method']}' to '{_clean(board.name)}' as {submission_id}.")
    if not wait:
        click.echo(f"It will be checked and scored; see {target.page(submission_id)}")
        return 0
    return _report(_wait(target, submission_id), target.page(submission_id), board.primary)


def _meta(predictions: str, meta_file: str | None, method: str | None) -> dict[str, Any]:
    """Read submission.json, and put the name of the command line before its own."""
    from iamiou.errors import InputError
    from iamiou_leaderboard.meta import MAX_META, parse_json, parse_meta

    beside = Path(predictions) / "submission.json"
    given: dict[str, Any] = {}
    if meta_file or beside.is_file():
        path = Path(meta_file) if meta_file else beside
        try:
            with open(path, "rb") as file:
                given = dict(parse_json(file.read(MAX_META + 1)))
        except OSError as e:
            raise InputError(f"'{path}' cannot be read ({e.strerror}); correct --meta.") from e
    if not (method or given.get("method")):
        raise InputError("The submission has no name; give it with --method NAME.")
    return parse_meta(given | ({"method": method} if method else {})).to_dict()


def _target(to: str, token: str, team: str) -> Target:
    """Tell an address from a folder."""
    import getpass

    from iamiou.errors import InputError
    from iamiou_leaderboard.client import Remote

    if "://" not in to:
        if not Path(to).is_dir():
            raise InputError(f"'{to}' is neither the folder of a board nor an address with http(s)://; correct --to.")
        _need_extra()
        from iamiou_leaderboard.local import Local

        click.echo(_NOT_HIDDEN, err=True)
        return Local(Path(to), team or getpass.getuser())
    if not token:
        raise InputError(
            "A submission needs an access token: --token or IAMIOU_TOKEN. The board's operator makes one with "
            "`iamiou leaderboard token create`."
        )
    remote = Remote(to, token)
    if remote.unprotected:
        click.echo(f"Warning: your token goes to {to} unencrypted; ask for an https address.", err=True)
    return remote


def _need_extra() -> None:
    """Say what is missing; an upload over HTTP needs none of it."""
    from importlib.util import find_spec

    from iamiou.errors import InputError

    if lacking := [name for name in ("sqlalchemy", "alembic", "pyarrow") if find_spec(name) is None]:
        text = f"`iamiou submit --to DIR` needs the package '{lacking[0]}'; type: pip install 'iamiou[leaderboard]'"
        raise InputError(text)


def _pack(predictions: str, board: Facts, archive: Path) -> bool:
    """Check the predictions and write them as a zip of PNG; print every problem, False if one is fatal."""
    from iamiou.cli.options import ProgressBar, compile_kernels
    from iamiou.cli.validate import print_problems
    from iamiou.errors import InputError
    from iamiou.predictions import open_predictions
    from iamiou_leaderboard.validation import blind_truth, examine

    if predictions.lower().endswith(".json"):
        raise InputError("COCO results cannot be submitted; paint them into label maps, one PNG an image.")
    truth = blind_truth(board.classes, board.images)
    found = open_predictions(predictions, truth, max_pixels=max(i.height * i.width for i in board.images))
    compile_kernels()
    with ProgressBar(len(board.images), "Checking") as progress:
        problems, identity = examine(found, truth, archive, progress)
    if problems:
        print_problems(predictions, len(board.images), problems)
    return identity is not None


def _send(target: Target, meta: Mapping[str, Any], archive: Path) -> str:
    from iamiou_leaderboard.client import digest_of

    size = archive.stat().st_size
    submission_id = target.create(meta, size, digest_of(archive))
    with _upload_bar(size) as progress:
        target.upload(submission_id, archive, progress)
    return submission_id


@contextmanager
def _upload_bar(size: int) -> Iterator[Progress]:
    """Show how much has arrived, where a person looks on."""
    import sys

    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = ("Uploading", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Uploading", total=size)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _wait(target: Target, submission_id: str) -> Mapping[str, Any]:
    """Ask until nothing happens any more by itself."""
    from rich.console import Console

    from iamiou.errors import IncompleteError
    from iamiou_leaderboard.types import State

    pause = 0.5
    console = Console(stderr=True)
    with console.status("received") as status:  # silent where there is no terminal
        while True:
            try:
                view = target.view(submission_id)
            except IncompleteError as e:
                text = f"The server is gone. All of {submission_id} has arrived, and it will be scored; see "
                raise IncompleteError(text + target.page(submission_id)) from e
            state = State(view["state"])
            if state.final:
                return view
            ahead = view.get("position")
            status.update(f"{state.value}{f', {ahead} before it' if ahead else ''}")
            time.sleep(pause)
            pause = min(pause * 1.3, 5.0)


def _report(view: Mapping[str, Any], page: str, primary: str) -> int:
    """Print rank and score, or why there is none."""
    from iamiou.errors import IamiouError
    from iamiou.tables import shown

    if view["state"] == "scored":
        for split, found in view["splits"].items():
            place = f"rank {found['rank']} of {found['of']}" if found["rank"] else "not ranked"
            names = dict.fromkeys(
                [primary, *(n for n in found["scores"] if n.startswith("IA_") and "fg" not in n), "mIoU"]
            )
            cells = {n: found["scores"][n]["value"] for n in names if n in found["scores"]}
            click.echo(f"{split} split: {place}; " + ", ".join(f"{n} {shown(v)}" for n, v in cells.items()))
        click.echo(f"See {page}")
        return 0
    for p in view["problems"]:
        click.echo(f"{'problem' if p['fatal'] else 'warning'} [{_clean(p['kind'])}]: {_problem(p)}")
    if view["state"] == "error":
        raise IamiouError(f"The board could not score it. {_clean(view['reason'])}")
    click.echo(f"{view['state']}: {_clean(view['reason'])}")
    return 2


def _problem(found: Mapping[str, Any]) -> str:
    from iamiou.errors import name_some

    return _clean(f"{found['count']} {found['what']}: {name_some(found['names'])}. {found['hint']}".rstrip())


def _clean(text: object) -> str:
    """Return a server's text as a terminal may receive it."""
    return "".join(c if c.isprintable() else " " for c in str(text))
