"""Hold a finished folder against its own records: every hash, every label, every id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from iamiou.errors import ImageError, InputError, Problem, group
from iamiou.labels import ClassList
from iamiou.masks import read_label_map
from iamiou.report import dataset_digest, map_digest
from iamiou_builders.devkit import INSTANCE, LISTS, PICTURES, SEMANTIC
from iamiou_builders.disk import sha256_of
from iamiou_builders.facts import split_name
from iamiou_builders.folder import BEGUN, FINISHED, read_record
from iamiou_builders.lists import list_digest
from iamiou_builders.plan import Tell

_AGAIN = "Run the build again to make them anew."
#: What is needed of build.json, and files without which nothing can be said about images.
_KEYS = frozenset({"files", "images", "instances", "list_sha256", "digest"})
_NEEDED = ("manifest.jsonl", "classes.txt")


def verify(root: Path, *, tell: Tell | None = None) -> list[Problem]:
    """Check a finished build.

    Every file beside the pictures and maps has the sha256 of build.json, every picture that of the manifest; every
    label map has the digest of the manifest, labels of the class list or void, the instances 1 to n of the manifest
    with their classes and areas, and the size of its image; the ids of manifest, list, maps and pictures are the same;
    list and data set have the digests of build.json.

    Parameters
    ----------
    root : Path
    tell : callable, optional
        Told how far it is.

    Returns
    -------
    list of Problem
        Empty when all is right.

    Raises
    ------
    InputError
        If the folder holds no finished build.
    """
    record = read_record(root / FINISHED)
    if record is None:
        begun = (root / BEGUN).is_file()
        raise InputError(
            f"'{root}' holds a build that is not finished; run it again to go on."
            if begun
            else f"'{root}' holds no build: there is no {FINISHED} of iamiou in it."
        )
    if not record.keys() >= _KEYS or not {"recipe", "export"} <= record["order"].keys():
        raise InputError(f"'{root / FINISHED}' was changed: it lacks what every build writes. Build again elsewhere.")
    errors = _check_files(root, record["files"])
    entries, broken = _manifest(root)
    errors += broken
    if not broken and not any(e.name in _NEEDED for e in errors):
        classes = (root / "classes.txt").read_text(encoding="utf-8").splitlines()
        errors += _check_images(root, record, entries, classes, tell)
        errors += _check_identity(root, record, entries, classes)
    return group(errors)


def _check_files(root: Path, files: Mapping[str, str]) -> list[ImageError]:
    errors = []
    for name, digest in files.items():
        path = root / name
        if not path.is_file():
            errors.append(ImageError("missing-file", "files are missing", name, "", _AGAIN))
        elif sha256_of(path) != digest:
            errors.append(ImageError("changed-file", "files have another sha256 than in build.json", name, "", _AGAIN))
    return errors


def _manifest(root: Path) -> tuple[list[dict[str, Any]], list[ImageError]]:
    """Read the manifest; a line that is none is a problem."""
    path = root / "manifest.jsonl"
    entries = []
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            entry = json.loads(line)
            if not isinstance(entry, dict) or not isinstance(entry.get("image"), str):
                raise ValueError(number)
            entries.append(entry)
    except (OSError, ValueError) as e:
        return [], [ImageError("broken-manifest", "manifests cannot be read", path.name, str(e), _AGAIN)]
    return entries, []


def _check_images(
    root: Path, record: Mapping[str, Any], entries: list[dict[str, Any]], classes: list[str], tell: Tell | None
) -> list[ImageError]:
    errors = []
    for done, entry in enumerate(entries, 1):
        errors += _check_picture(root, entry)
        if "voc" in record["order"]["export"]:
            errors += _check_maps(root, entry, classes)
        if tell is not None:
            tell("Verifying", done, len(entries))
    return errors


def _check_picture(root: Path, entry: Mapping[str, Any]) -> list[ImageError]:
    path = root / entry["file"]
    if not path.is_file():
        return [ImageError("missing-picture", "pictures are missing", entry["file"], "", _AGAIN)]
    if sha256_of(path) != entry["sha256"]:
        what = "pictures have another sha256 than the manifest says"
        return [ImageError("changed-picture", what, entry["file"], "", _AGAIN)]
    return []


def _check_maps(root: Path, entry: Mapping[str, Any], classes: list[str]) -> list[ImageError]:
    """Check both label maps of an image, pixel by pixel."""
    maps, errors = [], []
    for folder, key in ((SEMANTIC, "semantic"), (INSTANCE, "instance")):
        name = f"{folder}/{entry['image']}.png"
        try:
            labels = read_label_map((root / name).read_bytes(), name, shape=(entry["height"], entry["width"]))
        except FileNotFoundError:
            errors.append(ImageError("missing-map", "label maps are missing", name, "", _AGAIN))
        except (OSError, ImageError) as e:
            errors.append(ImageError("broken-map", "label maps cannot be read", name, str(e), _AGAIN))
        else:
            maps.append(labels)
            if map_digest(labels) != entry[key]:
                what = "label maps hold other labels than the manifest says"
                errors.append(ImageError("changed-map", what, name, "", _AGAIN))
    if errors:
        return errors
    fault = _fault(maps[0], maps[1], entry, classes)
    hint = "This is a fault of the build, not of the copy; please report it."
    return [ImageError("wrong-labels", "images have wrong labels", entry["image"], fault, hint)] if fault else []


def _fault(semantic: np.ndarray, instance: np.ndarray, entry: Mapping[str, Any], classes: list[str]) -> str:
    """Say what is wrong with two maps that are what the manifest says; empty when nothing is."""
    void = semantic == 255
    if not np.array_equal(void, instance == (255 if instance.dtype == np.uint8 else 65535)):
        return "void is not at the same pixels in both maps"
    if int(semantic.max(initial=0, where=~void)) > len(classes):
        return f"a class above {len(classes)}"
    if not np.array_equal((semantic > 0) & ~void, (instance > 0) & ~void):
        return "pixels with a class and no instance, or the other way round"
    areas = np.bincount(instance[~void].astype(np.int64) * 256 + semantic[~void])
    found = [(k // 256, k % 256, int(areas[k])) for k in np.flatnonzero(areas).tolist() if k >= 256]
    said = [(k["id"], classes.index(k["class"]) + 1, k["visible"]) for k in entry["instances"]]
    return "" if found == said else "instances other than the manifest lists"


def _check_identity(
    root: Path, record: Mapping[str, Any], entries: list[dict[str, Any]], classes: list[str]
) -> list[ImageError]:
    """Compare the ids of list, manifest and folders, and both digests."""
    split = split_name(record["order"]["recipe"])
    names = [entry["image"] for entry in entries]
    errors = []

    def wrong(name: str, detail: str) -> None:
        errors.append(ImageError("other-ids", "files differ from the manifest", name, detail, _AGAIN))

    list_file = root / LISTS / f"{split}.txt"
    if list_file.is_file() and list_file.read_text(encoding="utf-8").split() != names:
        wrong(list_file.name, "lists other images")
    folders = [(PICTURES, {Path(e["file"]).name for e in entries})]
    if "voc" in record["order"]["export"]:
        folders += [(f, {f"{n}.png" for n in names}) for f in (SEMANTIC, INSTANCE)]
    for folder, expected in folders:
        for path in sorted((root / folder).glob("*")):
            if path.name not in expected:
                what, hint = "files lie outside the data set", "Take them out."
                errors.append(ImageError("stranger", what, f"{folder}/{path.name}", "", hint))
    if len(set(names)) != len(names) or list_digest(names) != record["list_sha256"]:
        wrong("manifest.jsonl", "its images have another digest than build.json says")
    maps = [(e["image"], e["semantic"], e["instance"]) for e in entries]
    if dataset_digest(ClassList(split, ("background", *classes)), maps) != record["digest"]:
        wrong("build.json", "its digest is not that of the label maps")
    return errors
