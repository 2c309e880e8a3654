"""Check an uploaded archive with the library's validator, without any ground truth, and keep its label maps.

The maps are held against empty ones of the right size, so that nothing that a submitter is told, and no time
that it takes, depends on a hidden label.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from iamiou.errors import ImageError, InputError, Problem, ProblemsFound
from iamiou.ground_truth import GroundTruth
from iamiou.labels import ClassList
from iamiou.predictions import Predictions, open_predictions
from iamiou.report import dataset_digest, map_digest
from iamiou.settings import Settings
from iamiou.workers import Progress, count_all
from iamiou_leaderboard.types import ImageInfo

#: Names that one kind of problem lists in the report; all are counted.
MOST_NAMES = 100
#: What a score passes over or may pass over, and a board does not.
_STRICT = {
    "outside-split": "Leave them out.",
    "unknown-prediction": "Leave them out.",
    "missing-prediction": "Predict every image of the board.",
}
_NESTED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")


@dataclass(frozen=True)
class Validated:
    """The report for the submitter, and the identity of the label maps, None when they are rejected."""

    report: dict[str, Any]
    identity: str | None


def blind_truth(classes: ClassList, images: Sequence[ImageInfo]) -> GroundTruth:
    """Return a ground truth of the right images and sizes that shows nothing but background.

    Examples
    --------
    >>> from iamiou.labels import VOC
    >>> truth = blind_truth(VOC, [ImageInfo("a", 2, 3, "hidden")])
    >>> truth.load("a")[0].tolist()
    [[0, 0, 0], [0, 0, 0]]
    """
    sizes = {image.id: (image.height, image.width) for image in images}

    def load(image_id: str) -> tuple[np.ndarray, None]:
        return np.zeros(sizes[image_id], np.uint8), None

    return GroundTruth(classes, tuple(sorted(sizes)), "components", load, known=frozenset(sizes))


def check(archive: Path, classes: ClassList, images: Sequence[ImageInfo], keep: Path | None = None) -> Validated:
    """Read every label map of an archive, and report every problem of every one.

    Parameters
    ----------
    archive : path
        A zip; its name stands in the report.
    classes : ClassList
    images : sequence of ImageInfo
        What has to be predicted, no more and no less.
    keep : path, optional
        Where the decoded label maps go, as a zip of PNG written by us.

    Returns
    -------
    Validated
    """
    truth, identity = blind_truth(classes, images), None
    try:
        found = _open(archive, truth, max(i.height * i.width for i in images))
        problems, identity = examine(found, truth, keep)
    except ProblemsFound as e:
        problems = list(e.problems)
    except ImageError as e:
        problems = [Problem(e.kind, e.what, (e.name,), e.hint)]
    except InputError as e:
        problems = [Problem("refused-archive", "archive is refused", (archive.name,), str(e))]
    return Validated(report_of(problems, len(images)), identity)


def examine(
    found: Predictions, truth: GroundTruth, keep: Path | None = None, progress: Progress | None = None
) -> tuple[list[Problem], str | None]:
    """Read every label map of predictions that were opened; the server and ``iamiou submit`` both do.

    Parameters
    ----------
    found : Predictions
    truth : GroundTruth
        Of `blind_truth`.
    keep : path, optional
        Where the decoded label maps go, as a zip of PNG written by us: the same maps make the same bytes.
    progress : callable, optional

    Returns
    -------
    problems : list of Problem
        A board is stricter than a score: an image that it does not ask for is an error.
    identity : str or None
        Of the label maps; None when a problem is fatal.
    """
    digests: list[tuple[str, str, str]] = []
    settings = Settings(metrics="miou", bootstrap=0)
    try:
        with zipfile.ZipFile(io.BytesIO() if keep is None else keep, "w") as pack:
            seen = replace(found, load=lambda i, shape: _kept(found, i, shape, digests, pack if keep else None))
            _, _, problems = count_all(seen, truth, settings, threads=1, digest=False, progress=progress)
    except ProblemsFound as e:
        problems = list(e.problems)
    problems = [replace(p, fatal=True, hint=_STRICT[p.kind]) if p.kind in _STRICT else p for p in problems]
    fatal = any(p.fatal for p in problems)
    return problems, None if fatal else dataset_digest(truth.classes, digests)


def report_of(problems: Sequence[Problem], expected: int) -> dict[str, Any]:
    """Return a validation report, as ``iamiou validate --format json`` prints it, with the first names only."""
    listed = [
        {"kind": p.kind, "fatal": p.fatal, "count": len(p.names), "what": p.what, "hint": p.hint}
        | {"names": list(p.names[:MOST_NAMES])}
        for p in problems
    ]
    return {"valid": not any(p.fatal for p in problems), "images": expected, "problems": listed}


def _open(archive: Path, truth: GroundTruth, max_pixels: int) -> Predictions:
    """Open the archive, after what concerns it as a whole was judged."""
    from iamiou.archives import open_archive
    from iamiou.masks import decode_with_pillow

    with open(archive, "rb") as file:
        if file.read(2) != b"PK":
            raise InputError(f"'{archive.name}' is no zip archive; pack the label maps as .zip.")
    names = open_archive(archive).names
    most = 2 * len(truth.ids) + 100
    if len(names) > most:
        text = f"'{archive.name}' holds {len(names)} files for {len(truth.ids)} images; pack only the label maps."
        raise InputError(text)
    odd = {
        "nested-archive": ("archive members are archives themselves", _NESTED, "Pack the label maps alone."),
        "npy-member": ("archive members are .npy files", (".npy",), "Write PNG: `iamiou convert IN OUT`."),
    }
    problems = []
    for kind, (what, endings, hint) in odd.items():
        if bad := sorted(name for name in names if name.lower().endswith(endings)):
            problems.append(Problem(kind, what, tuple(ascii(name)[1:-1] for name in bad), hint))
    if problems:
        raise ProblemsFound(problems)
    return open_predictions(archive, truth, max_pixels=max_pixels, decoder=decode_with_pillow)


def _kept(
    found: Predictions,
    image_id: str,
    shape: tuple[int, int],
    digests: list[tuple[str, str, str]],
    pack: zipfile.ZipFile | None,
) -> np.ndarray:
    """Load one label map, and keep it and its identity."""
    from PIL import Image

    labels: np.ndarray = found.load(image_id, shape)
    if labels.dtype != np.uint8 and labels.max(initial=0) <= 255:
        labels = labels.astype(np.uint8)
    digests.append((image_id, map_digest(labels), map_digest(None)))
    if pack is not None:
        out = io.BytesIO()
        Image.fromarray(labels).save(out, "PNG", compress_level=3)
        pack.writestr(zipfile.ZipInfo(f"{image_id}.png"), out.getvalue())
    return labels
