"""The same instances as COCO json, with their visible pixels only, so that no two overlap."""

from __future__ import annotations

import json
from typing import Any

from iamiou import __version__
from iamiou_builders.facts import Facts, Image
from iamiou_builders.licences import LICENCES


def coco_json(facts: Facts) -> bytes:
    """Return the data set as COCO json.

    An annotation's ``instance`` is its id in the instance map, ``source`` and ``source_id`` say whose it was. Void
    pixels stand as a crowd of every class, since COCO's evaluation ignores what lies in a crowd class by class.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image in facts.images:
        images.append(_image(image))
        annotations += _annotations(image, len(facts.recipe.class_names), len(annotations))
    text = f"{facts.recipe.title}, drawn by iamiou {__version__}; digest {facts.digest}"
    return dump(
        {
            "info": {"description": text, "version": facts.recipe.version},
            "licenses": [{"id": k, "name": v.name, "url": v.url} for k, v in LICENCES.items()],
            "categories": [{"id": k, "name": name} for k, name in enumerate(facts.recipe.class_names, 1)],
            "images": images,
            "annotations": annotations,
        }
    )


def dump(document: dict[str, Any]) -> bytes:
    """Write json with one entry of every list a line: small, and yet to be read and compared by people."""
    parts = []
    for key, value in document.items():
        if isinstance(value, list):
            lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in value)
            parts.append(f'"{key}": [\n{lines}\n]')
        else:
            parts.append(f'"{key}": {json.dumps(value, ensure_ascii=False)}')
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def _image(image: Image) -> dict[str, Any]:
    p = image.resolved.picture
    entry: dict[str, Any] = {"id": p.id, "file_name": p.file_name, "height": p.height, "width": p.width}
    return entry | {"license": p.license, "coco_url": p.url, "flickr_url": p.page}


def _annotations(image: Image, classes: int, before: int) -> list[dict[str, Any]]:
    """Return the annotations of an image: its instances, then its void pixels."""
    from pycocotools import mask

    p = image.resolved.picture

    def entry(category: int, counts: bytes, area: int, crowd: int) -> dict[str, Any]:
        rle = {"size": [p.height, p.width], "counts": counts}
        return {
            "id": before + len(out) + 1,
            "image_id": p.id,
            "category_id": category,
            "iscrowd": crowd,
            "area": area,
            "bbox": mask.toBbox(rle).tolist(),
            "segmentation": rle | {"counts": counts.decode("ascii")},
        }

    out: list[dict[str, Any]] = []
    for k, (piece, counts) in enumerate(zip(image.resolved.instances, image.masks, strict=True), 1):
        origin = {"instance": k, "source": piece.origin, "source_id": piece.annotation}
        out.append(entry(piece.label, counts, piece.visible, 0) | origin)
    for label in range(1, classes + 1) if image.void else ():
        out.append(entry(label, image.void, image.void_area, 1))
    return out
