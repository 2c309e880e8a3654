"""Evaluate: pairs of ground truth and prediction -> Counts -> Report, on all cores, with every problem named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iamiou.big_maps import WINDOW, from_array
from iamiou.counts import Counts
from iamiou.errors import Problem
from iamiou.labels import VOC, ClassList, load_classes
from iamiou.pairs import Map, PairCounter, warnings_of
from iamiou.report import Report, dataset_digest, map_digest
from iamiou.rows import StoredCounts, check_rows_folder, making_rows
from iamiou.scores import classes_with_gap, headline_of, of_pixels, support_of
from iamiou.settings import Settings, settings_of
from iamiou.tally import Tally, tally_of
from iamiou.workers import Progress, share_all

if TYPE_CHECKING:
    from iamiou.ground_truth import GroundTruth
    from iamiou.predictions import Predictions

_STAND_IN = (
    "Instances are connected components of the ground truth, for want of instance annotation: touching objects "
    "count as one and parted objects as several."
)


def score(
    pred: Map,
    semantic: Map,
    instance: Map | None = None,
    *,
    classes: str | Path | ClassList = VOC,
    window: int = WINDOW,
    **settings: Any,
) -> Report:
    """Score one prediction, all maps being arrays.

    Parameters
    ----------
    pred : integer array, (H, W)
        Predicted class ids, 0 = background.
    semantic : integer array, (H, W)
        Ground-truth class ids; void is 255, in uint16 arrays 65535.
    instance : integer array, (H, W), optional
        Ground-truth instance ids, 0 = background, void as in ``semantic``. Without it, connected components of
        ``semantic`` stand in. An array wider than 16 bits counts as 8-bit when no label is above 255.
    classes : {"voc", "coco"}, path or ClassList
        Names of the classes.
    window : int
        With a memory-mapped array (`numpy.memmap`) of more pixels among the maps, the image is counted by strips of
        full rows, of about so many pixels each: the same result, with memory for a strip.
    **settings
        Fields of `Settings`; there is no bootstrap over one image.

    Returns
    -------
    Report
        A class that is absent from the ground truth is NaN.

    Raises
    ------
    InputError
        If shapes differ, a label is no class, or an option is unknown.

    Examples
    --------
    Two instances of one class share the false positives of the component that covers both:

    >>> import numpy as np, iamiou
    >>> truth, pred = np.zeros((2, 40, 40), np.uint8)
    >>> truth[5:15, 5:15] = 1
    >>> truth[5:15, 20:25] = 2
    >>> pred[5:15, 5:25] = 1
    >>> report = iamiou.score(pred, (truth > 0).astype(np.uint8), truth)
    >>> report.instances[["id", "area", "tp", "fp"]].values.tolist()
    [[1, 100, 100, 33], [2, 50, 50, 16]]
    >>> round(report.scores["IA_S"], 6)
    0.754728
    """
    chosen = settings_of({"bootstrap": 0, **settings})
    counter = PairCounter(load_classes(classes), chosen.rule)
    maps = [_mapped(m, window) for m in (pred, semantic, instance)]
    counter.add("image", *maps)
    digest = dataset_digest(counter.classes, [("image", map_digest(maps[1]), map_digest(maps[2]))])
    source = "components" if instance is None else "annotation"
    return make_report(counter.counts(), counter.classes, chosen, digest, source, warnings_of(counter.oddities))


def _mapped(labels: Any, window: int) -> Any:
    """Let a memory-mapped array be read by strips."""
    strips = isinstance(labels, np.memmap) and labels.ndim == 2 and labels.size > window
    return from_array(labels, window) if strips else labels


def evaluate(
    predictions: str | Path,
    ground_truth: str | Path | None = None,
    *,
    semantic: str | Path | None = None,
    instances: str | Path | None = None,
    classes: str | Path | ClassList = VOC,
    split: str | None = None,
    list_file: str | Path | None = None,
    score_threshold: float = 0.0,
    max_pixels: int = 2**30,
    window: int = WINDOW,
    threads: int | None = None,
    progress: Progress | None = None,
    rows: str | Path | None = None,
    client: Any = None,
    **settings: Any,
) -> Report:
    """Score a folder, an archive or a COCO result file against a data set.

    Parameters
    ----------
    predictions : path or address
        Label maps named by image id, or COCO results. Folders may lie behind an address that fsspec knows
        (``s3://...``, ``http://...``, ``memory://...``), here and below.
    ground_truth : path or address, optional
        A VOC devkit, a folder of label maps, or COCO or LVIS json.
    semantic, instances : path or address, optional
        Two folders of label maps in place of ``ground_truth``.
    classes : {"voc", "coco"}, path or ClassList
        Names of the classes.
    split, list_file : optional
        Which images: a list of the devkit, or any file with one id a line.
    score_threshold : float
        COCO results below it are not painted.
    max_pixels : int
        Larger images are refused before they are decoded.
    window : int
        Larger .npy maps, and TIFF, are read by strips of full rows, of about so many pixels each.
    threads : int, optional
        Default: the cores at hand, at most 8.
    progress : callable, optional
        ``progress(done, all)``.
    rows : path, optional
        A folder, written anew as a whole: the rows of instances and phantoms go there as Parquet and are not kept in
        memory. The report is the same, byte by byte; what needs rows (``instances``, ``save`` ...) reads them back.
    client : distributed.Client, optional
        Count on a Dask cluster, which must be trusted. Its workers must see the same paths; ``threads`` is not used.
    **settings
        Fields of `Settings`: ``bins``, ``missing``, ``pred_void``, ``components``, ``metrics``, ``bootstrap`` ...

    Returns
    -------
    Report
        Scores, intervals, classes, instances.

    Raises
    ------
    InputError
        With every problem of every image, one sentence a kind.

    Examples
    --------
    >>> import iamiou
    >>> iamiou.evaluate("nowhere", "neither")
    Traceback (most recent call last):
    ...
    iamiou.errors.InputError: ...
    """
    from iamiou.ground_truth import open_ground_truth
    from iamiou.predictions import open_predictions

    chosen = settings_of(settings)
    truth = open_ground_truth(
        ground_truth,
        semantic=semantic,
        instances=instances,
        classes=load_classes(classes),
        split=split,
        list_file=list_file,
        max_pixels=max_pixels,
        window=window,
    )
    found = open_predictions(predictions, truth, score_threshold=score_threshold, max_pixels=max_pixels, window=window)
    return evaluate_opened(found, truth, chosen, threads=threads, progress=progress, rows=rows, client=client)


def evaluate_opened(
    predictions: Predictions,
    truth: GroundTruth,
    settings: Settings,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    digest: bool = True,
    processes: bool = False,
    rows: str | Path | None = None,
    client: Any = None,
) -> Report:
    """Score predictions and ground truth that were opened already; see `evaluate`.

    Parameters
    ----------
    digest : bool
        Compute the data set's identity, which reads every pixel once more.
    processes : bool
        Work in forked processes where that can be done (Linux): faster than threads, and only for a program that
        owns its process.
    rows, client
        As in `evaluate`.
    """
    count = partial(
        share_all,
        predictions,
        truth,
        settings,
        threads=threads,
        progress=progress,
        digest=digest,
        processes=processes,
        client=client,
    )
    if rows is None:
        share, warnings = count()
    else:
        check_rows_folder(rows)
        with making_rows(rows, {"classes": truth.classes.names, "bins": settings.bins}) as stage:
            share, warnings = count(rows=stage)
    identity = dataset_digest(truth.classes, share.digests(), in_order=True) if digest else ""
    kept = StoredCounts(share.kept, rows or "") if isinstance(share.kept, Tally) else share.kept
    return make_report(kept, truth.classes, settings, identity, truth.instances_from, warnings)


def make_report(
    counts: Counts,
    classes: ClassList,
    settings: Settings,
    digest: str,
    instances_from: str,
    warnings: Sequence[Problem] = (),
) -> Report:
    """Turn counts into a report: scores, intervals, support."""
    tally = counts.tally if isinstance(counts, StoredCounts) else tally_of(counts, settings.bins)
    both = classes_with_gap(tally.totals)
    scores = headline_of(tally.totals, settings.bins)
    rests = support_of(tally.totals, tally.entries.images_with(both), settings.bins)
    intervals: dict[str, tuple[float, float]] = {}
    if settings.bootstrap and len(counts.images) > 1:
        from iamiou.resample import summary_intervals

        intervals = summary_intervals(tally.summary(), resamples=settings.bootstrap, seed=settings.seed)
    if settings.metrics == "miou":
        scores, rests, intervals = of_pixels(scores), of_pixels(rests), of_pixels(intervals)
    texts = [str(p) for p in warnings]
    if instances_from == "components" and settings.metrics != "miou":
        texts.insert(0, _STAND_IN)
    options = asdict(settings) | {"bins": list(settings.bins)}
    return Report(
        counts,
        classes,
        settings.bins,
        options,
        digest,
        instances_from,
        scores,
        intervals,
        rests,
        tuple(texts),
        tally if isinstance(counts, StoredCounts) else None,
    )
