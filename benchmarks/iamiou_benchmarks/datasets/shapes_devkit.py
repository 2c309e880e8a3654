"""`shapes` on disk: generated once as a VOC devkit, and proved to be the data set that was committed."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from iamiou.errors import InputError, near_miss
from iamiou.labels import ClassList
from iamiou.masks import write_bytes, write_label_map
from iamiou_benchmarks.datasets.data import SPLITS, DataOptions, DataSet, read_photograph
from iamiou_benchmarks.datasets.devkit import labels_of_xml, open_truth, read_split
from iamiou_benchmarks.datasets.shapes import PRESETS, Knobs, Scene, scene

#: sha256 of the presets at seed 0, split by split; made by ``python -m iamiou_benchmarks.datasets.shapes_devkit``.
DIGESTS: dict[str, dict[str, str]] = {
    "tiny": {
        "train": "237e4b38541cad3d45e2c2e2f64ffe1a976b03affc99239613454655bd11b448",
        "dev": "ce340582b53dd1d19276bdff92a1f0f8b0ffc920c97b77ec90b4ea1889d9e88f",
        "test": "399b0b7aa35479a10309fe8c4f1087b9e850dba4f3f4757e4d40be2194a8643b",
    },
    "small": {
        "train": "9590bc49fa443e08319654526949c18bdbcc42aabec837543640ecd22dfca2cc",
        "dev": "3963ac28e2fca037866cc838d520aac47c8021477bdacb1a3fa357fdd4bf906b",
        "test": "b49db9dc5d4494514f4924970f2c6cec34a81f926339bc33db12f7d2e4f38518",
    },
    "large": {
        "train": "d5c7a042400fe8421d60356d240155c0124fd969dc7ecda29f3a1f51d1885105",
        "dev": "d7524262de92b247c99cd634a5cbaa282b8bfa382013599042c0535bbbc61b88",
        "test": "365fbf2fe900d04559d6962e5523fd33aef318bdfb4bc4f5ac1a91c39da2ba69",
    },
}


def knobs_of(options: DataOptions) -> Knobs:
    """Return the preset's knobs with the changes of the run file.

    Raises
    ------
    InputError
        If there is no such preset or knob, or a value is of another type.

    Examples
    --------
    >>> knobs_of(DataOptions(preset="tiny", knobs={"ragged": 0.2})).ragged
    0.2
    """
    if options.preset not in PRESETS:
        raise InputError(f"There is no preset '{options.preset}' of shapes; there are {', '.join(PRESETS)}.")
    knobs = PRESETS[options.preset]
    for name, value in options.knobs.items():
        if name not in Knobs.__dataclass_fields__:
            raise InputError(f"There is no knob '{name}' of shapes. {near_miss(name, Knobs.__dataclass_fields__)}")
        if isinstance(getattr(knobs, name), int) and not isinstance(value, int):
            raise InputError(f"The knob '{name}' of shapes is {value}; it is a whole number.")
    changes: dict[str, Any] = dict(options.knobs)
    return replace(knobs, **changes)


def scenes_digest(knobs: Knobs, seed: int, split: str, numbers: range) -> str:
    """Return sha256 over the pixels and maps of scenes; file formats do not enter."""
    digest = hashlib.sha256()
    for number in numbers:
        _update(digest, scene(knobs, seed, split, number))
    return digest.hexdigest()


def folder_of(options: DataOptions, cache: Path) -> Path:
    """Return where the data set lies, or will lie, as a VOC devkit."""
    knobs = knobs_of(options)
    identity = hashlib.sha256(repr((knobs, options.seed)).encode()).hexdigest()[:12]
    return cache / f"{_name(options, knobs)}-{identity}"


def _name(options: DataOptions, knobs: Knobs) -> str:
    return f"shapes-{options.preset}" + ("" if knobs == PRESETS[options.preset] else "-changed")


def open_shapes(options: DataOptions, cache: Path) -> DataSet:
    """Open the data set, which is generated first when it is not in `cache`.

    Raises
    ------
    InputError
        If this machine generates other pixels for a preset than those committed.
    """
    knobs = knobs_of(options)
    name, root = _name(options, knobs), folder_of(options, cache)
    if not root.is_dir():
        committed = DIGESTS.get(options.preset) if name == f"shapes-{options.preset}" and options.seed == 0 else None
        write_devkit(knobs, options.seed, root, committed)
    classes = ClassList("shapes", knobs.names)
    splits = {split: read_split(root, split) for split in SPLITS}
    labels = labels_of_xml(root / "Annotations", [i for ids in splits.values() for i in ids], classes)
    lines = (root / "digests.txt").read_text(encoding="utf-8").splitlines()
    digests = dict(line.split() for line in lines)
    truth = open_truth(root, classes)

    def read(image_id: str) -> np.ndarray:
        return read_photograph(root / "JPEGImages" / f"{image_id}.png")

    return DataSet(name, classes, splits, labels, read, truth, digests, knobs.bins)


def write_devkit(knobs: Knobs, seed: int, root: Path, committed: dict[str, str] | None = None) -> None:
    """Generate a data set as a VOC devkit; the folder appears when it is whole, whoever else generates it meanwhile."""
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{root.name}.", dir=root.parent) as room:
        part = Path(room) / root.name
        _write_scenes(part, knobs, seed, committed)
        try:
            part.replace(root)
        except OSError:
            if not root.is_dir():  # another process was quicker, with the same scenes
                raise


def _write_scenes(part: Path, knobs: Knobs, seed: int, committed: dict[str, str] | None) -> None:
    lists = part / "ImageSets" / "Segmentation"
    for folder in ("JPEGImages", "Annotations", "SegmentationClass", "SegmentationObject", "ImageSets/Segmentation"):
        (part / folder).mkdir(parents=True)
    digests = {}
    for split in SPLITS:
        digest, ids = hashlib.sha256(), []
        for number in range(getattr(knobs, split)):
            made, image_id = scene(knobs, seed, split, number), f"{split}_{number:05}"
            _update(digest, made)
            _write_scene(part, image_id, made, knobs)
            ids.append(image_id)
        (lists / f"{split}.txt").write_text("".join(f"{i}\n" for i in ids), encoding="utf-8")
        digests[split] = digest.hexdigest()
    if committed and digests != committed:
        differ = ", ".join(split for split in SPLITS if digests[split] != committed[split])
        raise InputError(
            f"This machine generates other scenes than those committed ({differ} of {part.name}); results would not "
            "be comparable. Please report it with the versions of NumPy and Python."
        )
    (part / "classes.txt").write_text("".join(f"{n}\n" for n in knobs.names), encoding="utf-8")
    (part / "digests.txt").write_text("".join(f"{k} {v}\n" for k, v in digests.items()), encoding="utf-8")


def _write_scene(root: Path, image_id: str, made: Scene, knobs: Knobs) -> None:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(made.image).save(file, "PNG", compress_level=1)  # lossless: JPEG differs between its libraries
    write_bytes(root / "JPEGImages" / f"{image_id}.png", file.getvalue())
    write_label_map(root / "SegmentationClass" / f"{image_id}.png", made.semantic)
    write_label_map(root / "SegmentationObject" / f"{image_id}.png", made.instance)
    numbers = [int(np.flatnonzero(made.instance.ravel() == k)[0]) for k in range(1, int(made.instance.max()) + 1)]
    names = [knobs.names[made.semantic.ravel()[at]] for at in numbers]
    objects = "".join(f"  <object><name>{name}</name></object>\n" for name in names)
    text = f"<annotation>\n  <filename>{image_id}.png</filename>\n{objects}</annotation>\n"
    (root / "Annotations" / f"{image_id}.xml").write_text(text, encoding="utf-8")


def _update(digest: hashlib._Hash, made: Scene) -> None:
    for array in (made.image, made.semantic, made.instance):
        digest.update(array.tobytes())


if __name__ == "__main__":
    import sys

    for preset, knobs in PRESETS.items():
        found = {split: scenes_digest(knobs, 0, split, range(getattr(knobs, split))) for split in SPLITS}
        sys.stdout.write(f'    "{preset}": {found},\n')
