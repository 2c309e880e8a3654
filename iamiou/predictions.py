"""A folder, an archive or a file of COCO results -> label maps by image id, with guards."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from iamiou.errors import ImageError, InputError, Problem
from iamiou.listing import find_label_maps, list_folder, list_paths, shown

if TYPE_CHECKING:
    import numpy as np

    from iamiou.coco_categories import Truth
    from iamiou.masks import Decoder

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_CHUNK = 2**16
# What a file may hold beside its pixels: headers, a palette, text chunks.
_SLACK = 2**20


@dataclass(frozen=True)
class Predictions:
    """The label maps of one model, found but not yet read.

    Parameters
    ----------
    ids : tuple of str
        Sorted image ids that `load` answers for.
    load : callable
        ``load(image_id, (height, width))`` gives an integer label map of the ground truth's size; safe in
        threads. Raises `ImageError`. Labels are not judged here: 255 and labels that are no class stay.
    problems : tuple of Problem
        What was met while listing.
    source : str
        What the user gave, to be shown.
    implied : frozenset of str
        Those of `ids` that COCO results are silent about: all background, and never missing.
    """

    ids: tuple[str, ...]
    load: Callable[[str, tuple[int, int]], np.ndarray]
    problems: tuple[Problem, ...] = ()
    source: str = ""
    implied: frozenset[str] = frozenset()


def open_predictions(
    path: str | Path,
    truth: Truth,
    *,
    score_threshold: float = 0.0,
    max_pixels: int = 2**30,
    decoder: Decoder | None = None,
) -> Predictions:
    """Find the predictions under a path.

    Parameters
    ----------
    path : path
        A folder, .zip, .tar or .tar.gz of PNG or .npy label maps named by image id, or a .json file of COCO
        results. A folder (or archive) that holds nothing but one folder is looked into. Hidden files and what
        operating systems leave behind are passed over; other files are ignored with a warning.
    truth : GroundTruth
        Its class list, image ids and, for COCO results, numbers of images and categories.
    score_threshold : float
        COCO results with a lower score are left out.
    max_pixels : int
        A label map that claims more pixels is refused before it is decoded.
    decoder : callable, optional
        Decodes PNG in place of the fast reader, see `iamiou.masks.read_label_map`.

    Raises
    ------
    InputError
        If there is nothing to score under `path`.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _open_folder(path, max_pixels, decoder)
        if not path.exists():
            raise InputError(
                f"The predictions '{path}' do not exist; give a folder, an archive or a COCO results file."
            )
    except OSError as e:
        raise InputError(f"The predictions '{path}' cannot be read: {e.strerror or e}.") from e
    name = path.name.lower()
    if path.is_file() and name.endswith(".json"):
        return _open_results(path, truth, score_threshold)
    if path.is_file() and name.endswith((".zip", ".tar", ".tar.gz", ".tgz")):
        return _open_archive(path, truth, max_pixels, decoder)
    raise InputError(
        f"The predictions '{path}' are neither a folder nor a .zip, .tar, .tar.gz or COCO results "
        ".json file; give one of these."
    )


def compare_ids(predictions: Predictions, truth: Truth, *, missing: Literal["error", "background"]) -> list[Problem]:
    """Hold the names of predictions against those of the images to score.

    Parameters
    ----------
    predictions : Predictions
    truth : GroundTruth
    missing : {"error", "background"}
        Whether an image without a prediction is refused or counts as all background, with a warning.

    Returns
    -------
    list of Problem
        Each names every image that it is about.
    """
    expected, found = set(truth.ids), set(predictions.ids) - predictions.implied
    outside = found - expected
    if not found:  # an archive that was refused: its own problems say why
        return []
    if not found & expected:
        return [_nothing_matches(sorted(found), truth)]
    problems = []
    if absent := sorted(expected - found - predictions.implied):
        what = "image has no prediction" if len(absent) == 1 else "images have no prediction"
        hint = "Predict every image, or add `--missing background` to count them as all background."
        fatal = missing == "error"
        hint = hint if fatal else "Counted as all background."
        problems.append(Problem("missing-prediction", what, shown(absent), hint, fatal))
    if silent := sorted(expected & predictions.implied):
        what = "image has no COCO result" if len(silent) == 1 else "images have no COCO result"
        problems.append(Problem("no-result", what, shown(silent), "Counted as all background.", fatal=False))
    for kind, what, names in (
        ("outside-split", "of an image outside the split", outside & truth.known),
        ("unknown-prediction", "of no image in the ground truth", outside - truth.known),
    ):
        if names:
            are = "prediction is" if len(names) == 1 else "predictions are"
            problems.append(Problem(kind, f"{are} {what}", shown(sorted(names)), "Ignored.", fatal=False))
    return problems


def _nothing_matches(found: list[str], truth: Truth) -> Problem:
    if truth.known.intersection(found):
        hint = "They are in the ground truth, but in another split: check `--split` or `--list`."
    elif not truth.ids:
        hint = "The ground truth has no image to score."
    else:
        mine, yours = shown([found[0], truth.ids[0]])
        hint = f"Predictions are named like '{mine}', images like '{yours}': rename the predictions by image id."
    match = "prediction matches" if len(found) == 1 else "predictions match"
    return Problem("no-prediction-matches", f"{match} none of the images to score", shown(found), hint)


def _open_results(path: Path, truth: Truth, score_threshold: float) -> Predictions:
    from iamiou.coco_results import paint, read_results

    results = read_results(path, truth, score_threshold)

    def load(image_id: str, shape: tuple[int, int]) -> np.ndarray:
        return paint(results.by_image.get(image_id, ()), shape, len(truth.classes), image_id)

    implied = frozenset(truth.ids) - results.found
    return Predictions(tuple(sorted(implied | results.found)), load, results.problems, str(path), implied)


def _open_folder(path: Path, max_pixels: int, decoder: Decoder | None) -> Predictions:
    where, by_id, problems = find_label_maps(lambda inside: list_folder(f"{path}/{inside}"), str(path))
    root = f"{path}/{where}" if where else str(path)
    names = {image_id: files[0] for image_id, files in by_id.items()}
    paths = {image_id: f"{root}/{name}" for image_id, name in names.items()}
    return _predictions(
        str(path), names, lambda image_id, limit: _read_file(paths[image_id], limit), problems, max_pixels, decoder
    )


def _open_archive(path: Path, truth: Truth, max_pixels: int, decoder: Decoder | None) -> Predictions:
    from iamiou.archives import open_archive
    from iamiou.byte_source import MAX_TOTAL

    # Twice the images and some more: predictions of a whole data set may be scored on one split of it.
    most = min(MAX_TOTAL, (2 * len(truth.known | set(truth.ids)) + 100) * _size_limit(max_pixels))
    archive = open_archive(path, max_total=most)
    if archive.problems:
        return Predictions((), _refuse, archive.problems, str(path))
    where, by_id, problems = find_label_maps(list_paths(archive.names).__getitem__, str(path))
    prefix = f"{where}/" if where else ""
    index = {name: i for i, name in enumerate(archive.names)}
    names = {image_id: prefix + files[0] for image_id, files in by_id.items()}

    def read(image_id: str, limit: int) -> bytes:
        return archive.read(index[names[image_id]], limit)

    return _predictions(str(path), names, read, problems, max_pixels, decoder)


def _refuse(image_id: str, _: tuple[int, int]) -> np.ndarray:
    raise ImageError("refused-archive", "predictions lie in an archive that was refused", image_id)


def _predictions(
    source: str,
    names: dict[str, str],
    read: Callable[[str, int], bytes],
    problems: tuple[Problem, ...],
    max_pixels: int,
    decoder: Decoder | None,
) -> Predictions:
    from iamiou.masks import read_label_map, read_npy

    read_png = partial(read_label_map, decoder=decoder)
    decoders = {
        i: partial(read_npy if name.lower().endswith(".npy") else read_png, name=name, max_pixels=max_pixels)
        for i, name in zip(names, shown(list(names.values())), strict=True)
    }

    def load(image_id: str, shape: tuple[int, int]) -> np.ndarray:
        decode = decoders.get(image_id)
        if decode is None:
            raise ImageError("missing-prediction", "images have no prediction", image_id)
        limit = _size_limit(shape[0] * shape[1])
        data = read(image_id, limit)
        if len(data) > limit:
            raise _oversize(decode, data[:limit], shape, names[image_id], limit)
        return decode(data, shape=shape)

    return Predictions(tuple(sorted(names)), load, problems, source)


def _oversize(decode: Callable[..., object], head: bytes, shape: tuple[int, int], name: str, limit: int) -> ImageError:
    """Say why a file is longer than its image allows; its header may tell more than its length."""
    try:
        decode(head, shape=shape)
    except ImageError as e:
        if not e.kind.startswith("broken"):  # which it is only because it was cut here
            return e
    what = "files are larger than any label map of the image"
    return ImageError("oversize-file", what, shown([name])[0], f"more than {limit} bytes", "Write 8-bit PNG.")


def _size_limit(pixels: int) -> int:
    return 8 * pixels + _SLACK  # no label map is wider than a .npy of int64


def _read_file(path: str, limit: int) -> bytes:
    """Read `limit` bytes and one more, with few system calls: each gives up the interpreter's lock."""
    try:
        fd = os.open(path, _FLAGS)
        try:
            data = os.read(fd, _CHUNK)
            if len(data) < _CHUNK:  # nearly always: the label map of a photograph takes 3 to 10 kB
                return data
            parts, size = [data], len(data)
            while data and size <= limit:
                data = os.read(fd, min(limit + 1 - size, 2**30))
                parts.append(data)
                size += len(data)
        finally:
            os.close(fd)
    except OSError as e:
        name = shown([path.rpartition("/")[2]])[0]
        raise ImageError("unreadable-file", "files cannot be read", name, e.strerror or str(e)) from e
    return b"".join(parts)
