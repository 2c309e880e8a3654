"""A build from its arguments to a finished folder; stops and goes on anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from iamiou import __version__
from iamiou.errors import InputError, ProblemsFound, name_some
from iamiou.report import dataset_digest
from iamiou_builders import devkit, folder, official, pictures
from iamiou_builders.attribution import attribution
from iamiou_builders.coco_json import coco_json
from iamiou_builders.croissant import croissant
from iamiou_builders.datasheet import datasheet
from iamiou_builders.disk import put
from iamiou_builders.facts import Facts, Image
from iamiou_builders.fetch import Patience
from iamiou_builders.lists import checksums, list_digest
from iamiou_builders.manifest import manifest, rest_of_pool
from iamiou_builders.model import Picture
from iamiou_builders.painting import paint
from iamiou_builders.plan import Options, Plan, Tell, make_plan, order_of, recipe_of
from iamiou_builders.report import report
from iamiou_builders.selection import need_solver
from iamiou_builders.stats import stats_json
from iamiou_builders.verify import verify

#: Room for label maps and reports, on top of the pictures: about 15 kB an image.
_BESIDE = 15_000
_LIBRARIES = ("numpy", "scipy", "pillow", "pycocotools")


@dataclass(frozen=True)
class Outcome:
    """What a call of `build` did.

    Parameters
    ----------
    state : {'built', 'unchanged'}
        ``unchanged``: the folder was finished and right.
    record : dict
        What stands in build.json.
    plan : Plan or None
        None when nothing had to be planned.
    transferred : int
        Bytes of pictures that came over the line.
    mended : tuple of str
        Files of a finished build that were missing or damaged and were made again.
    """

    state: Literal["built", "unchanged"]
    record: dict[str, Any]
    plan: Plan | None
    transferred: int = 0
    mended: tuple[str, ...] = ()


def prepare(
    options: Options, root: Path, *, patience: Patience | None = None, tell: Tell | None = None
) -> tuple[Plan | None, dict[str, Any], tuple[str, ...]]:
    """Look at the folder, get the annotations and choose the images.

    Returns
    -------
    plan : Plan or None
        None for a build that is finished and right.
    record : dict
        What stands in the folder about it.
    damaged : tuple of str
        What is not right in a build that was finished.

    Raises
    ------
    InputError
        If the folder holds something else, or the input cannot be used.
    IncompleteError
        If annotations could not be fetched.
    """
    need_solver()  # said before files are fetched and read
    recipe = recipe_of(options)
    order = order_of(options, recipe)
    state, record = folder.state_of(root, order)
    folder.sweep(root)
    problems = verify(root, tell=tell) if state == "finished" else []
    if strangers := [p for p in problems if p.kind == "stranger"]:
        raise ProblemsFound(strangers)
    damaged = tuple(name for p in problems for name in p.names)
    if state == "finished" and not damaged:
        return None, record, ()
    files: tuple[Sequence[Path], Sequence[Path]] = (options.coco, options.lvis)
    if not any(files):
        wanted = official.wanted_files(recipe, recipe.source)
        if state == "new":
            folder.begin(root, order)
        files = official.get_annotations(wanted, root, patience=patience, progress=_of(tell, "Fetching annotations"))
    plan = make_plan(options, recipe, order, files, frozen=folder.selection_of(record), tell=tell)
    names = [r.picture.name for r in plan.chosen]
    if state == "finished" and list_digest(names) != record["list_sha256"]:
        raise InputError(
            f"'{root}' is damaged ({name_some(damaged)}), and was made by iamiou {record['tool']}, which chose other "
            "images than this version. Take the list out of it, and build it elsewhere with --list."
        )
    return plan, record, damaged


def build(
    options: Options,
    root: Path,
    *,
    patience: Patience | None = None,
    tell: Tell | None = None,
    show: Callable[[Plan], None] | None = None,
) -> Outcome:
    """Build a data set in a folder, or go on with what an interrupted call left there.

    Parameters
    ----------
    options : Options
    root : Path
        A new or empty folder, or one that a call with the same options began or finished.
    patience : Patience, optional
        With servers.
    tell : callable, optional
        Told what is going on.
    show : callable, optional
        Shown the plan before pictures are touched.

    Raises
    ------
    IncompleteError
        If something could not be fetched or the disk is full; call again to go on.
    InputError
        If the input, the options or the folder cannot be used.
    """
    tell = tell or (lambda *_: None)
    plan, record, damaged = prepare(options, root, patience=patience, tell=tell)
    if plan is None:
        return Outcome("unchanged", record, None)
    if show is not None:
        show(plan)
    pictures.check_places([r.picture for r in plan.chosen], options.images)
    if not damaged:
        folder.begin(root, plan.order, plan.selection)
    transferred = _get_pictures(plan, options, root, patience, tell)
    images = _write_maps(plan, root, tell)
    maps = [(image.name, image.semantic, image.instance) for image in images]
    digest = dataset_digest(plan.recipe.classes, maps)
    inputs = tuple(_input(f) for f in plan.files)
    warnings = tuple(str(w) for w in plan.warnings)
    facts = Facts(plan.recipe, plan.order, inputs, plan.pool(), plan.selection, plan.goals, images, digest, warnings)
    written = _write_files(facts, plan, root, tell)
    record = _record(facts, written, root)
    put(root / folder.FINISHED, folder.as_json(record))
    folder.sweep(root)
    return Outcome("built", record, plan, transferred, damaged)


def _get_pictures(plan: Plan, options: Options, root: Path, patience: Patience | None, tell: Tell) -> int:
    """Bring the pictures into the folder; return the bytes that came over the line."""
    wanted = [r.picture for r in plan.chosen]
    _check_space(root, pictures.missing(wanted, root))
    if options.images is not None:
        pictures.take(wanted, options.images, root, progress=_of(tell, "Copying pictures"))
        return 0
    came, failed = pictures.download(
        wanted, root, checksums(options.list_file), patience=patience, progress=_of(tell, "Fetching pictures")
    )
    if failed:
        raise official.incomplete(root, failed)
    return came


def _check_space(root: Path, wanted: Sequence[Picture]) -> None:
    """Refuse to begin what surely cannot end; what nearly fits is tried."""
    import shutil

    free, needed = shutil.disk_usage(root).free, pictures.expected_bytes(wanted) + _BESIDE * len(wanted)
    if free < needed // 2:
        raise InputError(
            f"'{root}' has {free / 1e6:,.0f} MB free, and {len(wanted)} pictures with their label maps need about "
            f"{needed / 1e6:,.0f} MB; free some space, or choose another place with --out."
        )


def _write_maps(plan: Plan, root: Path, tell: Tell) -> tuple[Image, ...]:
    """Paint the chosen images."""
    out, chosen = [], plan.chosen
    for done, resolved in enumerate(chosen, 1):
        semantic, instance = paint(resolved)
        if "voc" in plan.order["export"]:
            devkit.write_maps(root, resolved.picture.name, semantic, instance)
        size, sha256 = pictures.checksum(root, resolved.picture)
        out.append(devkit.describe(resolved, semantic, instance, size, sha256))
        tell("Painting", done, len(chosen))
    return tuple(out)


def _write_files(facts: Facts, plan: Plan, root: Path, tell: Tell) -> dict[str, str]:
    """Write all that stands beside the maps; return sha256 by name."""
    rest = [r for r in plan.resolved if r.picture.id not in frozenset(plan.selection.ids.tolist())]
    files: dict[str, bytes] = {
        f"{devkit.LISTS}/{facts.split}.txt": devkit.listed([i.name for i in facts.images]),
        "classes.txt": "".join(f"{name}\n" for name in facts.recipe.class_names).encode(),
        "manifest.jsonl": manifest(facts),
        "pool.jsonl": rest_of_pool(plan.recipe, rest, plan.reasons()),
        "stats.json": stats_json(facts),
        "ATTRIBUTION.csv": attribution(facts),
        "DATASHEET.md": datasheet(facts),
    }
    if "coco" in plan.order["export"]:
        files[f"annotations/instances_{facts.split}.json"] = coco_json(facts)
    tell("Writing the report", 0, 0)
    files["report.html"] = report(facts, root)
    files["croissant.json"] = croissant(facts, files)
    for name, data in files.items():
        put(root / name, data)
    return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}


def _record(facts: Facts, files: dict[str, str], root: Path) -> dict[str, Any]:
    """Return build.json. It holds no time and no path, so that the same build gives the same bytes."""
    return {
        "schema": 1,
        "tool": __version__,
        "name": facts.recipe.name,
        "title": facts.recipe.title,
        "order": facts.arguments,
        "inputs": facts.inputs,
        "downloads": official.record_of(root),
        "versions": {name: version(name) for name in _LIBRARIES},
        "solver": folder.solver_record(facts.selection),
        "goals": [
            {"name": g.name, "figure": g.figure, "bound": g.bound, "met": g.met, "text": g.text} for g in facts.goals
        ],
        "images": len(facts.images),
        "instances": int(facts.counts().sum()),
        "list_sha256": list_digest([image.name for image in facts.images]),
        "digest": facts.digest,
        "files": files,
    }


def _input(file: Any) -> dict[str, Any]:
    return {
        "name": Path(file.path).name,
        "kind": file.kind,
        "version": file.version,
        "sha256": file.sha256,
        "images": file.images,
        "annotations": file.annotations,
    }


def _of(tell: Tell | None, what: str) -> Callable[[int, int, int], None] | None:
    """Turn a listener into the one that downloads want."""
    return None if tell is None else lambda done, total, size: tell(f"{what}, {size / 1e6:,.1f} MB", done, total)
