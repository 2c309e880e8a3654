"""A folder, an archive or a file of COCO results -> label maps by image id, with guards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from iamiou.addresses import is_address
from iamiou.errors import ImageError, InputError, Problem
from iamiou.listing import FileNames, find_label_maps, is_folder, list_folder, list_paths, shown
from iamiou.predicted_files import InArchive, InFolder, PredictedFiles, size_limit

if TYPE_CHECKING:
    import numpy as np

    from iamiou.coco_categories import Truth
    from iamiou.masks import Decoder


@dataclass(frozen=True)
class Predictions:
    """The label maps of one model, found but not yet read.

    Parameters
    ----------
    ids : tuple of str
        Sorted image ids that `load` answers for.
    load : callable
        ``load(image_id, (height, width))`` gives an integer label map of the ground truth's size, an array or, with a
        window, a `BigMap`; safe in threads. Raises `ImageError`. Labels are not judged here: 255 and labels that are
        no class stay.
    problems : tuple of Problem
        What was met while listing.
    source : str
        What the user gave, to be shown.
    implied : frozenset of str
        Those of `ids` that COCO results are silent about: all background, and never missing.
    """

    ids: tuple[str, ...]
    load: Callable[[str, tuple[int, int]], Any]
    problems: tuple[Problem, ...] = ()
    source: str = ""
    implied: frozenset[str] = frozenset()


def open_predictions(
    path: str | Path,
    truth: Truth,
    *,
    score_threshold: float = 0.0,
    max_pixels: int = 2**30,
    window: int | None = None,
    decoder: Decoder | None = None,
) -> Predictions:
    """Find the predictions under a path.

    Parameters
    ----------
    path : path
        A folder, .zip, .tar or .tar.gz of PNG or .npy label maps named by image id (in a folder TIFF too), or a .json
        file of COCO results. A folder (or archive) that holds nothing but one folder is looked into. Hidden files and
        what operating systems leave behind are passed over; other files are ignored with a warning.
    truth : GroundTruth
        Its class list, image ids and, for COCO results, numbers of images and categories.
    score_threshold : float
        COCO results with a lower score are left out.
    max_pixels : int
        A label map that claims more pixels is refused before it is decoded.
    window : int, optional
        TIFF, and .npy files of more pixels, come as `iamiou.big_maps.BigMap`, to be read by strips of about so many.
        Without it all maps come as arrays.
    decoder : callable, optional
        Decodes PNG in place of the fast reader, see `iamiou.masks.read_label_map`.

    Raises
    ------
    InputError
        If there is nothing to score under `path`.
    """
    if is_address(path):
        if not is_folder(path):
            raise InputError(f"'{path}' is no folder that holds anything; behind an address only folders are read.")
        return _open_folder(str(path).rstrip("/"), max_pixels, window, decoder)
    path = Path(path)
    try:
        if path.is_dir():
            return _open_folder(str(path), max_pixels, window, decoder)
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
    from iamiou.coco_results import PaintedResults, read_results

    results = read_results(path, truth, score_threshold)
    load = PaintedResults(results.by_image, len(truth.classes))
    implied = frozenset(truth.ids) - results.found
    return Predictions(tuple(sorted(implied | results.found)), load, results.problems, str(path), implied)


def _open_folder(path: str, max_pixels: int, window: int | None, decoder: Decoder | None) -> Predictions:
    where, by_id, problems = find_label_maps(
        lambda inside: list_folder(f"{path}/{inside}"), path, tiff=not is_address(path)
    )
    read = InFolder(f"{path}/{where}" if where else path)
    names = FileNames(by_id)
    return Predictions(tuple(sorted(names)), PredictedFiles(read, names, max_pixels, decoder, window), problems, path)


def _open_archive(path: Path, truth: Truth, max_pixels: int, decoder: Decoder | None) -> Predictions:
    from iamiou.archives import open_archive
    from iamiou.byte_source import MAX_TOTAL

    # Twice the images and some more: predictions of a whole data set may be scored on one split of it.
    most = min(MAX_TOTAL, (2 * len(truth.known | set(truth.ids)) + 100) * size_limit(max_pixels))
    archive = open_archive(path, max_total=most)
    if archive.problems:
        return Predictions((), _refuse, archive.problems, str(path))
    where, by_id, problems = find_label_maps(list_paths(archive.names).__getitem__, str(path))
    prefix = f"{where}/" if where else ""
    names = FileNames(by_id, prefix)
    load = PredictedFiles(InArchive(archive, path, most), names, max_pixels, decoder)
    return Predictions(tuple(sorted(names)), load, problems, str(path))


def _refuse(image_id: str, _: tuple[int, int]) -> np.ndarray:
    raise ImageError("refused-archive", "predictions lie in an archive that was refused", image_id)
