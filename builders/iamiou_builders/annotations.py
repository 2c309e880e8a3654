"""The input of a build: COCO and LVIS files, read, checked and brought together image by image."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from iamiou.coco_truth import check_references
from iamiou.errors import ImageError, InputError, Problem, ProblemsFound, counted, group
from iamiou.listing import shown
from iamiou_builders.categories import Known, coco_categories, lvis_categories
from iamiou_builders.documents import Document, category_ids, picture_of, read_document
from iamiou_builders.mapping import Mapping as ClassMapping
from iamiou_builders.masks import read_masks
from iamiou_builders.merging import Half, merge_files, merge_kinds
from iamiou_builders.model import Picture
from iamiou_builders.recipe import Recipe
from iamiou_builders.sources import Annotated, Progress, SourceFile, Sources, settled_classes

_PLAIN_NAME = re.compile(r"\w[\w .()+-]*")


def read_sources(
    coco: Sequence[Path],
    lvis: Sequence[Path],
    recipe: Recipe,
    mapping: ClassMapping,
    *,
    progress: Progress | None = None,
) -> Sources:
    """Read all files of annotations.

    The pool is the images of the COCO files; without one, those of the LVIS files. The order of the files, and of
    what stands in them, does not matter.

    Parameters
    ----------
    coco, lvis : sequence of path
        One of the two may be empty.
    recipe : Recipe
    mapping : Mapping
    progress : callable, optional
        ``progress(what, done, all)``.

    Raises
    ------
    InputError
        If there is no file, the mapping does not fit the recipe, or a file is not what it is given for.
    ProblemsFound
        With everything that is wrong with the annotations of all files, by kind.
    """
    if not coco and not lvis:
        raise InputError("There is nothing to build from: give COCO json with --coco, LVIS json with --lvis, or both.")
    _check_classes(recipe, mapping)
    problems: list[Problem] = []
    files: list[SourceFile] = []

    def read(paths: Sequence[Path], kind: Literal["coco", "lvis"], pool: Collection[int] | None) -> Half:
        parts: list[tuple[str, Half]] = []
        for path in sorted(set(paths)):
            source, half, found = _read_file(path, kind, recipe, mapping, pool, progress)
            files.append(source)
            parts.append((source.sha256, half))
            problems.extend(found)
        half, found = merge_files([h for _, h in sorted(parts, key=lambda p: p[0])])
        problems.extend(found)
        return half

    of_coco = read(coco, "coco", None)
    of_lvis = read(lvis, "lvis", of_coco.pictures if coco else None)
    pictures, found = merge_kinds(of_coco, of_lvis, has_coco=bool(coco))
    problems += found
    problems = _joined(problems)
    if any(p.fatal for p in problems):
        raise ProblemsFound(problems)
    problems += _costs(pictures, of_coco, of_lvis, recipe)
    kept = {number: a for number, a in of_lvis.annotated.items() if number in pictures}
    files.sort(key=lambda f: (f.kind, f.sha256))
    return Sources(pictures, of_coco.annotated, kept, tuple(files), recipe, mapping, tuple(problems))


def _check_classes(recipe: Recipe, mapping: ClassMapping) -> None:
    named = {c for line in mapping.lines for c in line.classes}
    strange = sorted(named - set(recipe.class_names))
    missing = [c for c in recipe.class_names if c not in mapping.classes]
    if strange or missing:
        parts = [f"has classes that the recipe lacks ({', '.join(strange)})"] if strange else []
        parts += [f"gives no objects to {', '.join(missing)}"] if missing else []
        raise InputError(
            f"The mapping does not fit the recipe '{recipe.name}': it {' and '.join(parts)}; change one of the two."
        )


def _read_file(
    path: Path,
    kind: Literal["coco", "lvis"],
    recipe: Recipe,
    mapping: ClassMapping,
    pool: Collection[int] | None,
    progress: Progress | None,
) -> tuple[SourceFile, Half, list[Problem]]:
    """Read one file; `pool` are the images whose masks are wanted, None for all."""
    document = read_document(path, kind)
    file = document.file
    known = (coco_categories if kind == "coco" else lvis_categories)(file, recipe, mapping)
    listed = {e["id"]: picture_of(e, recipe.image_url) for e in document.images}
    pictures = {n: p for n, p in listed.items() if pool is None or n in pool}
    wanted = frozenset(file.images[n][0] for n in pictures)
    entries, problems = check_references(file, wanted)
    partial, absent, of_images = _federation(document, pictures, known)
    errors = [*_bad_names(pictures.values()), *of_images]
    entries.sort(key=lambda e: e["id"])
    step = f"masks of {path.name}"
    masks, broken, warnings = read_masks(entries, pictures, known, partial, recipe.rules.area_tolerance, step, progress)
    problems += group([*errors, *broken])
    problems += warnings
    annotated = {
        n: Annotated(tuple(masks.get(n, ())), known.complete, absent.get(n, frozenset())) for n in sorted(pictures)
    }
    left_out = frozenset(listed) - frozenset(pictures)
    source = SourceFile(str(path), kind, known.version, document.sha256, len(listed), len(file.annotations))
    return source, Half({n: pictures[n] for n in sorted(pictures)}, annotated, left_out, path.name), problems


def _bad_names(pictures: Iterable[Picture]) -> list[ImageError]:
    what, hint = "images have a name that can be no plain file", "Use letters, digits, '_', '-' and '.' only."
    bad = [p.file_name for p in pictures if not _PLAIN_NAME.fullmatch(p.file_name) or not p.name]
    return [ImageError("bad-name", what, shown([name])[0], "", hint) for name in bad]


def _federation(
    document: Document, pictures: Collection[int], known: Known
) -> tuple[dict[int, frozenset[int]], dict[int, frozenset[int]], list[ImageError]]:
    """Read which categories are annotated in part, and which classes are absent, in every image of LVIS."""
    partial: dict[int, frozenset[int]] = {}
    absent: dict[int, frozenset[int]] = {}
    errors = []
    for entry in document.images:
        number = entry["id"]
        if number not in pictures or not document.file.federated:
            continue
        some, none = (category_ids(entry, k) for k in ("not_exhaustive_category_ids", "neg_category_ids"))
        if some is None or none is None or not known.ids.issuperset((*some, *none)):
            what = "images have categories, as negative or not exhaustive, that the file lacks"
            errors.append(ImageError("unknown-category", what, f"image {number}", "", "Copy the file again."))
            continue
        partial[number] = frozenset(some)
        absent[number] = frozenset(known.main[i] for i in none if i in known.main)
    return partial, absent, errors


def _costs(pictures: Mapping[int, Picture], coco: Half, lvis: Half, recipe: Recipe) -> list[Problem]:
    """Say what the input lacks, and what that costs."""
    problems = []
    if lvis.left_out:
        what, names = "LVIS images lie in no COCO file", tuple(map(str, sorted(lvis.left_out)))
        problems.append(Problem("not-in-pool", what, names, "Left out.", fatal=False))
    classes = len(recipe.class_names)
    open_ = {n: classes - len(settled_classes(coco.annotated.get(n), lvis.annotated.get(n))) for n in pictures}
    unsettled, pairs = sum(open_.values()), len(pictures) * classes
    if unsettled:
        what = "images have classes of which nothing says that all objects are annotated"
        names = tuple(pictures[n].name for n, k in open_.items() if k)
        share = f"{unsettled} of {counted(pairs, 'pair')} of image and class ({100 * unsettled / pairs:.1f} %)"
        cost = "such images are left out" if coco.pictures else "what nobody annotated counts as background"
        hint = f"Open are {share}: {cost}; COCO json of all its categories settles them."
        problems.append(Problem("unsettled", what, shown(names), hint, fatal=False))
    if without := tuple(p.name for n, p in pictures.items() if n not in lvis.annotated):
        what = "images have no LVIS annotation"
        problems.append(Problem("no-lvis", what, shown(without), "COCO's coarser outlines stand there.", fatal=False))
    return problems


def _joined(problems: Iterable[Problem]) -> list[Problem]:
    """Put the same trouble of several files into one sentence, errors before warnings."""
    by_kind: dict[tuple[str, str, str, bool], list[str]] = {}
    for p in problems:
        by_kind.setdefault((p.kind, p.what, p.hint, p.fatal), []).extend(p.names)
    joined = [Problem(k, w, tuple(sorted(set(names))), h, fatal) for (k, w, h, fatal), names in by_kind.items()]
    return sorted(joined, key=lambda p: not p.fatal)
