"""One line of json an image: where it comes from, what became of its annotations, and its checksums."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from iamiou_builders.devkit import PICTURES
from iamiou_builders.facts import Facts, Image
from iamiou_builders.model import Piece, Resolved
from iamiou_builders.recipe import Recipe


def manifest(facts: Facts) -> bytes:
    """Return manifest.jsonl: the images of the data set, sorted by id."""
    return _lines(_chosen(facts.recipe, image) for image in facts.images)


def rest_of_pool(recipe: Recipe, rest: Iterable[Resolved], reasons: Mapping[int, tuple[str, ...]]) -> bytes:
    """Return pool.jsonl: every image that was not taken, why, and the decisions on it all the same."""
    return _lines(
        {
            "image": r.picture.name,
            "id": r.picture.id,
            "why": list(reasons.get(r.picture.id, ("not needed for the balance",))),
            "counts": _counts(recipe, r),
            "ignored": round(r.ignored, 6),
            "decisions": _decisions(r),
        }
        for r in rest
    )


def _lines(entries: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries).encode()


def _chosen(recipe: Recipe, image: Image) -> dict[str, Any]:
    p = image.resolved.picture
    return {
        "image": p.name,
        "id": p.id,
        "file": f"{PICTURES}/{p.file_name}",
        "height": p.height,
        "width": p.width,
        "split": p.split,
        "license": p.license,
        "url": p.url,
        "page": p.page,
        "bytes": image.size,
        "sha256": image.sha256,
        "semantic": image.semantic,
        "instance": image.instance,
        "void_pixels": image.void_area,
        "ignored": round(image.resolved.ignored, 6),
        "counts": _counts(recipe, image.resolved),
        "instances": [_instance(recipe, k, piece) for k, piece in enumerate(image.resolved.instances, 1)],
        "void": [_void(piece) for piece in image.resolved.pieces if piece.label == 0],
        "decisions": _decisions(image.resolved),
    }


def _instance(recipe: Recipe, number: int, piece: Piece) -> dict[str, Any]:
    return {
        "id": number,
        "class": recipe.classes.names[piece.label],
        "size": _size(recipe, piece),
        "visible": piece.visible,
        "area": piece.area,
        "source": piece.origin,
        "annotation": piece.annotation,
        "flags": list(piece.flags),
    }


def _void(piece: Piece) -> dict[str, Any]:
    found = {"source": piece.origin, "annotation": piece.annotation}
    return {"area": piece.area, "visible": piece.visible, **found, "flags": list(piece.flags)}


def _counts(recipe: Recipe, resolved: Resolved) -> dict[str, dict[str, int]]:
    """Count the instances of an image by class and size, in the order of the classes."""
    table: dict[str, dict[str, int]] = {}
    for piece in sorted(resolved.instances, key=lambda p: (p.label, p.visible)):
        row = table.setdefault(recipe.classes.names[piece.label], {})
        row[_size(recipe, piece)] = row.get(_size(recipe, piece), 0) + 1
    return table


def _size(recipe: Recipe, piece: Piece) -> str:
    return recipe.bin_names[recipe.bin_of(piece.visible)]


def _decisions(resolved: Resolved) -> list[dict[str, Any]]:
    return [
        {"rule": d.rule, "text": d.text, "annotations": [list(a) for a in d.annotations]} for d in resolved.decisions
    ]
