"""croissant.json: the data set described for machines, after MLCommons' Croissant 1.0 with its RAI part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from iamiou import __version__
from iamiou_builders.devkit import INSTANCE, PICTURES, SEMANTIC
from iamiou_builders.facts import Facts
from iamiou_builders.licences import licence

_ENCODINGS = {
    "csv": "text/csv", "json": "application/json", "jsonl": "application/jsonlines", "md": "text/markdown",
    "txt": "text/plain", "html": "text/html",
}  # fmt: skip
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_FIELDS = {
    "image": ("sc:Text", "Image id: the stem of the file names."),
    "id": ("sc:Integer", "COCO's number of the image."),
    "file": ("sc:Text", "Path of the picture."),
    "height": ("sc:Integer", "Pixels."),
    "width": ("sc:Integer", "Pixels."),
    "split": ("sc:Text", "Part of COCO 2017 the image belongs to."),
    "url": ("sc:URL", "Address of the picture at COCO."),
    "sha256": ("sc:Text", "Checksum of the picture's file."),
    "semantic": ("sc:Text", "Digest of the class map: sha256 over 'height width' and the decoded labels."),
    "instance": ("sc:Text", "Digest of the instance map, likewise."),
}
CITATION = (
    "Mun et al., Small Objects Matters in Weakly-supervised Semantic Segmentation, WACV 2024, arXiv 2309.14117; "
    "Lin et al., Microsoft COCO, ECCV 2014; Gupta et al., LVIS, CVPR 2019"
)


def croissant(facts: Facts, files: Mapping[str, bytes]) -> bytes:
    """Return croissant.json, in which every file of ``files`` stands with its sha256."""
    pictures = [image.resolved.picture for image in facts.images]
    terms = sorted({licence(p.license).url for p in pictures} - {""})
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": facts.recipe.name,
        "description": _description(facts),
        "url": "https://github.com/iamiou/iamiou",
        "version": _version(facts),
        "license": ["https://creativecommons.org/licenses/by/4.0/", *terms],
        "citeAs": CITATION,
        "creator": {"@type": "sc:Organization", "name": f"iamiou {__version__}"},
        "keywords": ["semantic segmentation", "small objects", "evaluation"],
        "isLiveDataset": False,
        **_responsible(facts),
        "distribution": [*(_file(name, data) for name, data in sorted(files.items())), *_sets(facts)],
        "recordSet": [_records()],
    }
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _version(facts: Facts) -> str:
    """Return major.minor.patch, which Croissant wants, of the recipe's version."""
    parts = [p for p in facts.recipe.version.split(".") if p.isdecimal()][:3]
    return ".".join([*parts, "0", "0", "0"][:3]) if parts else "1.0.0"


def _description(facts: Facts) -> str:
    sizes = " : ".join(f"{n:,} {size}" for size, n in zip(facts.recipe.bin_names, facts.counts().sum(0), strict=True))
    return (
        f"{facts.recipe.title}: {len(facts.images):,} images for evaluating semantic segmentation, chosen so that "
        f"every class has instances of all sizes in equal numbers where there are enough ({sizes}). Drawn from "
        f"COCO and LVIS annotations. Digest of the label maps: {facts.digest}"
    )


def _responsible(facts: Facts) -> dict[str, str]:
    rules = facts.recipe.rules
    return {
        "rai:dataCollection": (
            "Photographs of COCO 2017, which come from Flickr. Chosen by an integer programme over the annotations; "
            "no picture was looked at by a person for this."
        ),
        "rai:dataAnnotationProtocol": (
            "COCO says which objects are there, LVIS gives the finer mask where it has the object; what neither "
            f"settles is void (255). Objects of under {rules.min_area} visible pixels are void. Every decision stands "
            "in manifest.jsonl."
        ),
        "rai:dataBiases": (
            "Sizes are balanced on purpose and do not follow their natural frequency. Pictures show what users of "
            "Flickr took photographs of before 2014. Crowded images are more frequent than in COCO."
        ),
        "rai:dataUseCases": "Evaluating semantic segmentation by object size. Not for training.",
        "rai:personalSensitiveInformation": "Photographs show people who did not give consent to this use.",
    }


def _file(name: str, data: bytes) -> dict[str, str]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{len(data)} B",
        "encodingFormat": _ENCODINGS[name.rpartition(".")[2]],
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _sets(facts: Facts) -> list[dict[str, Any]]:
    """Describe the folders of pictures and label maps."""
    folders = {PICTURES: ("image/jpeg", "*.jpg", "The pictures, unchanged.")}
    if "voc" in facts.export:
        folders[SEMANTIC] = ("image/png", "*.png", "Class maps: 0 background, 1 and up classes, 255 void.")
        folders[INSTANCE] = ("image/png", "*.png", "Instance maps: 0 background, 1 and up instances, 255 void.")
    return [
        {
            "@type": "cr:FileSet",
            "@id": name,
            "name": name,
            "description": text,
            "encodingFormat": kind,
            "includes": f"{name}/{pattern}",
        }
        for name, (kind, pattern, text) in folders.items()
    ]


def _records() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "images",
        "name": "images",
        "description": "One record an image, out of manifest.jsonl.",
        "key": {"@id": "images/image"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"images/{name}",
                "name": name,
                "description": text,
                "dataType": kind,
                "source": {"fileObject": {"@id": "manifest.jsonl"}, **_extract(name)},
            }
            for name, (kind, text) in _FIELDS.items()
        ],
    }


def _extract(name: str) -> dict[str, Any]:
    """Tell where a field stands. An id of digits alone would be read as a number, so it is taken out of the path."""
    if name != "image":
        return {"extract": {"column": name}}
    return {"extract": {"column": "file"}, "transform": {"regex": rf"^{PICTURES}/(.+)\.[^.]+$"}}
