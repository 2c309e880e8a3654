"""A board's folder: made once from a ground truth, which is copied in and kept from all other users."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iamiou.errors import InputError, name_some
from iamiou.files import replacing
from iamiou_leaderboard.types import HIDDEN, SPLITS, Board, ImageInfo, Quota

if TYPE_CHECKING:
    from iamiou.ground_truth import GroundTruth
    from iamiou.labels import ClassList
    from iamiou.report import Report
    from iamiou_leaderboard.store import Store

FORMAT = 1
#: A cell of the hidden split that rests on less is not shown.
FEW_INSTANCES, FEW_IMAGES = 10, 5


@dataclass(frozen=True)
class Opened:
    """A board that is in use.

    Parameters
    ----------
    board : Board
    store : Store
    directory : Path
    images : tuple of ImageInfo
        Sorted by id.
    """

    board: Board
    store: Store
    directory: Path
    images: tuple[ImageInfo, ...]

    def counts_file(self, submission_id: str, metric: str, split: str) -> Path:
        """Return where the saved counts of a score lie."""
        self.store.folder(submission_id)  # refuses what is no id
        return self.directory / "counts" / submission_id / f"{metric}-{split}.npz"

    def rows_file(self, submission_id: str, metric: str, split: str) -> Path:
        """Return where the per-instance rows of a score lie."""
        self.store.folder(submission_id)
        return self.directory / "rows" / submission_id / f"{metric}-{split}.parquet"

    def close(self) -> None:
        """Close the database."""
        self.store.close()


def create_board(
    directory: str | Path,
    truths: Mapping[str, GroundTruth],
    *,
    bins: tuple[int, ...] = (32, 96),
    name: str = "",
    dataset: str = "",
    description: str = "",
    primary: str = "IA-mIoU",
    quota: Quota | None = None,
    database: str = "",
    max_archive: int = 2**31,
) -> Board:
    """Make a board; the folder appears when all is well.

    Parameters
    ----------
    directory : path
        Must not exist yet, or be empty.
    truths : mapping of "public" and "hidden" to GroundTruth
        One of them or both, without a common image.
    bins, name, dataset, description, primary, quota, database, max_archive
        As in `Board`.

    Raises
    ------
    InputError
        If the folder is in use, the splits share images, or too little is in the hidden one to be shown.
    """
    place = Path(directory)
    if place.is_dir() and any(place.iterdir()):
        raise InputError(f"'{directory}' is not empty; give the name of a new folder for the board.")
    if place.exists() and not place.is_dir():
        raise InputError(f"'{directory}' is a file; give the name of a new folder for the board.")
    _check_splits(truths)
    place.parent.mkdir(parents=True, exist_ok=True)
    making = place.with_name(f".{place.name}.making-{os.getpid()}")
    making.mkdir(mode=0o700)
    try:
        first = next(iter(truths.values()))
        reports: dict[str, Report] = {}
        images: list[ImageInfo] = []
        for split, truth in truths.items():
            images += _copy_truth(truth, making / "truth" / split, split)
            copy = open_truth(making, split, truth.classes, truth.instances_from)
            reports[split] = _report_of(copy, bins)
        _check_support(reports, primary)
        board = Board(
            name=name or place.resolve().name,
            dataset=dataset,
            classes=first.classes.name,
            class_names=first.classes.names,
            bins=bins,
            digests={split: report.digest for split, report in reports.items()},
            images={split: len(report.counts.images) for split, report in reports.items()},
            instances={split: len(report.counts.instances) for split, report in reports.items()},
            instances_from=first.instances_from,
            primary=primary,
            description=description,
            quota=quota or Quota(),
            max_archive=max_archive,
            database=database,
            created=int(time.time()),
        )
        _write_json(making / "images.json", [[i.id, i.height, i.width, i.split] for i in sorted(images, key=_by_id)])
        for split, report in reports.items():
            _write_json(making / "truth" / f"{split}.json", cell_support(report))
        for folder in ("submissions", "rows", "counts", "logs"):
            (making / folder).mkdir(mode=0o700)
        _write_json(making / "board.json", {"format": FORMAT, **board.to_dict()})
        if place.exists():
            place.rmdir()
        making.rename(place)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    opened = open_board(place)
    opened.store.audit("admin", "board-created", detail=json.dumps(dict(board.digests)))
    opened.close()
    return board


def open_board(directory: str | Path) -> Opened:
    """Open a board, bringing its database up to date.

    Raises
    ------
    InputError
        If the folder is no board, or one of another version.

    Examples
    --------
    >>> open_board("nowhere")
    Traceback (most recent call last):
    ...
    iamiou.errors.InputError: 'nowhere' is no board; make one with `iamiou leaderboard init nowhere GT`.
    """
    from iamiou_leaderboard.store import Store

    place = Path(directory)
    board, images = read_configuration(place)
    url = board.database or f"sqlite:///{place.resolve() / 'board.sqlite3'}"
    return Opened(board, Store(url, place), place, images)


def read_configuration(directory: Path) -> tuple[Board, tuple[ImageInfo, ...]]:
    """Read what was fixed when the board was made, without its database."""
    try:
        found = json.loads((directory / "board.json").read_text(encoding="utf-8"))
        listed = json.loads((directory / "images.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        text = f"'{directory}' is no board; make one with `iamiou leaderboard init {directory} GT`."
        raise InputError(text) from None
    except (OSError, ValueError) as e:
        raise InputError(f"The board '{directory}' cannot be read ({e}); only the server's user may open it.") from e
    if found.pop("format", None) != FORMAT:
        raise InputError(f"The board '{directory}' was made by another version of iamiou; use that one.")
    quota = Quota(**found.pop("quota"))
    names, bins = tuple(found.pop("class_names")), tuple(found.pop("bins"))
    return Board(**found, class_names=names, bins=bins, quota=quota), tuple(ImageInfo(*row) for row in listed)


def open_truth(directory: Path, split: str, classes: ClassList, instances_from: str) -> GroundTruth:
    """Open the board's copy of the ground truth of a split."""
    from iamiou.ground_truth import open_ground_truth

    base = directory / "truth" / split
    instances = base / "instances" if instances_from == "annotation" else None
    return open_ground_truth(semantic=base / "semantic", instances=instances, classes=classes)


def cell_support(report: Report) -> list[list[list[int]]]:
    """Count the instances and images behind every class and size bin: [class][bin] -> [instances, images].

    The last entry of a class stands for all its sizes, in the background for the images that show it.
    """
    from iamiou.counts import AREA, CLASS, IMAGE
    from iamiou.scores import bin_of

    rows, shown = report.counts.instances, report.counts.truth > 0
    where = bin_of(rows[:, AREA], report.bins)
    out = []
    for c in range(report.counts.num_classes):
        mine = rows[:, CLASS] == c
        cells = [mine & (where == k) for k in range(len(report.bins) + 1)]
        line = [[int(cell.sum()), len(np.unique(rows[cell, IMAGE]))] for cell in [*cells, mine]]
        if c == 0 or not report.has_instances:
            line[-1] = [int(shown[:, c].sum())] * 2
        out.append(line)
    return out


def _check_splits(truths: Mapping[str, GroundTruth]) -> None:
    if not truths or not set(truths) <= set(SPLITS):
        raise InputError("A board needs a public split, a hidden split, or both.")
    if len({(t.classes.names, t.instances_from) for t in truths.values()}) > 1:
        raise InputError("The public and the hidden split differ in classes or in where their instances come from.")
    if len(truths) == 2:
        both = sorted(set(truths["public"].ids) & set(truths[HIDDEN].ids))
        if both:
            raise InputError(
                f"{len(both)} images are in the public and in the hidden split: {name_some(both)}. The public one "
                "shows their ground truth; put each image into one of them."
            )


def _check_support(reports: Mapping[str, Report], primary: str) -> None:
    for split, report in reports.items():
        if primary not in report.scores or math.isnan(report.scores[primary]):
            known = ", ".join(name for name, value in report.scores.items() if not math.isnan(value))
            raise InputError(f"'{primary}' cannot rank: it is not defined on the {split} split. There are {known}.")
        rests = report.support[primary]
        if split == HIDDEN and (rests["images"] < FEW_IMAGES or rests["instances"] < FEW_INSTANCES):
            raise InputError(
                f"The hidden split has {rests['images']} images and {rests['instances']} instances; with fewer than "
                f"{FEW_IMAGES} and {FEW_INSTANCES} every score would tell of single ones. Take a larger split."
            )


def _copy_truth(truth: GroundTruth, place: Path, split: str) -> Iterable[ImageInfo]:
    """Write the label maps anew, as PNG that only this user can read."""
    from iamiou.masks import write_label_map

    kinds = ("semantic", "instances") if truth.instances_from == "annotation" else ("semantic",)
    for kind in kinds:
        (place / kind).mkdir(mode=0o700, parents=True)
    for folder in (place.parent, place):
        folder.chmod(0o700)
    out = []
    for image_id in truth.ids:
        semantic, instance = truth.load(image_id)
        for kind, labels in zip(kinds, (semantic, instance), strict=False):
            path = place / kind / f"{image_id}.png"
            write_label_map(path, _narrow(np.asarray(labels), image_id))
            path.chmod(0o600)
        height, width = semantic.shape
        out.append(ImageInfo(image_id, height, width, split))
    return out


def _narrow(labels: np.ndarray, image_id: str) -> np.ndarray:
    """Bring ids of 32 bits, which have no void, to the narrowest width that leaves void's value free."""
    if labels.dtype in (np.uint8, np.uint16):
        return labels
    high = int(labels.max(initial=0))
    if high > 65534 or int(labels.min(initial=0)) < 0:
        raise InputError(f"The instance map of {image_id} has ids up to {high}; number them from 1 to 65534.")
    return labels.astype(np.uint8 if high <= 254 else np.uint16)


def _report_of(truth: GroundTruth, bins: tuple[int, ...]) -> Report:
    """Score an empty prediction: what it rests on is what all scores rest on."""
    from iamiou.evaluation import evaluate_opened
    from iamiou.predictions import Predictions
    from iamiou.settings import Settings

    nothing = Predictions(truth.ids, lambda _, shape: np.zeros(shape, np.uint8))
    return evaluate_opened(nothing, truth, Settings(bins=bins, bootstrap=0))


def _by_id(image: ImageInfo) -> str:
    return image.id


def _write_json(path: Path, content: Any) -> None:
    with replacing(path) as file:
        file.write(json.dumps(content, ensure_ascii=False, indent=1).encode())
    path.chmod(0o600)
