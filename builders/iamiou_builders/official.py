"""Annotations from their official addresses, when no local files are given."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iamiou.errors import IncompleteError, InputError
from iamiou.files import replacing
from iamiou_builders.disk import cannot_write, put
from iamiou_builders.fetch import Failure, Patience, Progress, Wanted, fetch
from iamiou_builders.recipe import Download, Recipe

#: Folder of the annotations in the folder of the build; it may be thrown away afterwards.
FOLDER = "sources"
#: Bytes and checksums of what the addresses gave.
RECORD = "downloads.json"


def wanted_files(recipe: Recipe, source: str) -> tuple[Download, ...]:
    """Return the annotation files of a recipe; those of COCO train only where it may be used.

    Raises
    ------
    InputError
        If it names none.
    """
    found = tuple(d for d in recipe.downloads if d.split == "val" or source == "any")
    if not found:
        raise InputError(f"The recipe '{recipe.name}' names no annotations to fetch; give --coco or --lvis.")
    return found


def not_here(files: Sequence[Download], root: Path) -> list[Download]:
    """Return the files that the folder of the build does not have yet."""
    return [d for d in files if not (root / FOLDER / d.name).is_file()]


def places_of(files: Sequence[Download], root: Path) -> tuple[list[Path], list[Path]]:
    """Return where the files of COCO and those of LVIS lie."""
    coco, lvis = ([root / FOLDER / d.name for d in files if d.kind == kind] for kind in ("coco", "lvis"))
    return coco, lvis


def get_annotations(
    files: Sequence[Download], root: Path, *, patience: Patience | None = None, progress: Progress | None = None
) -> tuple[list[Path], list[Path]]:
    """Download what is not there yet, and unpack it.

    Parameters
    ----------
    files : sequence of Download
    root : Path
        The folder of the build.
    patience : Patience, optional
    progress : callable, optional
        As in `iamiou_builders.fetch.fetch`.

    Returns
    -------
    coco, lvis : list of Path
        The json files.

    Raises
    ------
    IncompleteError
        If something could not be had; the same call goes on from there.
    """
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    missing = not_here(files, root)
    archives = {d.url: folder / d.url.rpartition("/")[2] for d in missing}
    wanted = [Wanted(d.url, archives[d.url], d.bytes, d.sha256 or "") for d in _once(missing)]
    done, failed = fetch(wanted, threads=2, patience=patience, progress=progress)
    got = {f.want.url: {"bytes": f.size, "sha256": f.sha256} for f in done}
    put(folder / RECORD, (json.dumps(record_of(root) | got, indent=1) + "\n").encode())
    if failed:
        raise incomplete(root, failed)
    for file in missing:
        _unpack(file, archives[file.url], folder / file.name)
    for path in archives.values():
        path.unlink(missing_ok=True)
    return places_of(files, root)


def record_of(root: Path) -> dict[str, Any]:
    """Return bytes and sha256 of what the addresses gave, by address; empty before the first download."""
    path = root / FOLDER / RECORD
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def incomplete(root: Path, failed: Sequence[Failure]) -> IncompleteError:
    """Write down what failed in failed.tsv and return the sentence about it."""
    lines = "".join(f"{f.want.url}\t{f.want.path.name}\t{f.reason}\n" for f in failed)
    put(root / "failed.tsv", lines.encode())
    first = failed[0]
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    what = "1 file" if len(failed) == 1 else f"{len(failed)} files"
    return IncompleteError(
        f"{what} could not be fetched: {first.want.url} ({first.reason}){more}; all are listed in "
        f"'{root / 'failed.tsv'}'. Run the same command again to go on; what is there already is kept."
    )


def _once(files: Sequence[Download]) -> list[Download]:
    """Keep one of the files that share an archive."""
    by_url: Mapping[str, Download] = {d.url: d for d in reversed(files)}
    return [d for d in files if by_url[d.url] is d]


def _unpack(file: Download, archive: Path, target: Path) -> None:
    """Take the member out of its archive; a damaged archive is thrown away, so that the next run fetches it anew."""
    if not file.member:
        if archive != target:
            archive.replace(target)
        return
    try:
        with zipfile.ZipFile(archive) as packed, packed.open(file.member) as member, replacing(target) as out:
            while block := member.read(2**20):
                out.write(block)
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError) as e:
        archive.unlink(missing_ok=True)
        text = e.args[0] if e.args else type(e).__name__
        raise IncompleteError(
            f"{file.url} did not give an archive with '{file.member}' ({text}). Run the command again to fetch it "
            "anew, or give local files with --coco and --lvis."
        ) from e
    except OSError as e:
        raise cannot_write(target, e) from e
