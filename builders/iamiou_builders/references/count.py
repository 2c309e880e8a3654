"""Count the sizes of objects in ground truths; writes the json files of this folder.

    python -m iamiou_builders.references.count DATA

DATA holds ``voc/`` with SegmentationClass, SegmentationObject_derived and ImageSets/val_instances.txt, and
``coco/annotations/instances_full.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from iamiou.ground_truth import open_ground_truth

if TYPE_CHECKING:
    from iamiou.ground_truth import GroundTruth

_VOC = (
    "Instance masks derived from VOC's class masks and boxes, where they fit; its own instance masks were not at hand."
)
_COCO = "A sample of images of COCO 2017 train and val with complete annotations of VOC's 20 classes, crowds left out."


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
def count(data: Path) -> None:
    """Count VOC val and the COCO sample in DATA."""
    voc = data / "voc"
    val = open_ground_truth(
        semantic=voc / "SegmentationClass",
        instances=voc / "SegmentationObject_derived",
        list_file=voc / "ImageSets" / "val_instances.txt",
    )
    sample = open_ground_truth(data / "coco" / "annotations" / "instances_full.json")
    for name, title, note, truth in (
        ("voc-val", "VOC 2012 val", _VOC, val),
        ("coco-sample", "COCO sample", _COCO, sample),
    ):
        areas = areas_of(truth)
        document = {"title": title, "note": note, "images": len(truth.ids), "areas": areas}
        path = Path(__file__).with_name(f"{name}.json")
        path.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")
        click.echo(f"{path.name}: {len(truth.ids)} images, {sum(map(len, areas.values()))} instances")


def areas_of(truth: GroundTruth) -> dict[str, list[int]]:
    """Return the visible pixels of the instances of every class, increasing."""
    found: dict[str, list[int]] = {name: [] for name in truth.classes.names[1:]}
    for image in truth.ids:
        semantic, instance = truth.load(image)
        assert instance is not None, "both data sets have instance maps"
        void = 255 if semantic.dtype == np.uint8 else 65535
        mine = (semantic > 0) & (semantic != void)
        pixels = np.bincount(instance[mine].astype(np.int64) * 256 + semantic[mine])
        for code in np.flatnonzero(pixels).tolist():
            found[truth.classes.names[code % 256]].append(int(pixels[code]))
    return {name: sorted(areas) for name, areas in found.items()}


if __name__ == "__main__":
    count()
