"""Report: the frozen result of an evaluation, as Python objects, as json and as a file of counts."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iamiou import __version__
from iamiou.counts import Counts, from_arrays
from iamiou.digests import dataset_digest, map_digest
from iamiou.errors import InputError
from iamiou.files import replacing
from iamiou.labels import ClassList
from iamiou.scores import ClassScores, bin_names, bin_of, ratio, scores_of_classes
from iamiou.sums import Summary, summarise
from iamiou.totals import Totals, totals_of

if TYPE_CHECKING:
    import pandas as pd

    from iamiou.tally import Tally

__all__ = ["METRIC_VERSION", "SCHEMA", "Report", "dataset_digest", "load", "map_digest"]

#: Version of the metric's definition; scores of different versions must not stand in one table.
METRIC_VERSION = "1.0"
SCHEMA = 1
_FORMAT = "iamiou-counts-1"


@dataclass(frozen=True, eq=False)
class Report:
    """Scores of one set of predictions on one data set.

    Parameters
    ----------
    counts : Counts
        What everything else was computed from.
    class_list : ClassList
        Names of the classes.
    bins : tuple of int
        Sides in pixels that part the size bins.
    options : dict
        What the evaluation was asked to do.
    digest : str
        sha256 of the ground truth's decoded maps, or "" where it was not asked for; see `dataset_digest`.
    instances_from : {"annotation", "components"}
        Where the ground truth's instances come from.
    scores : dict
        As `iamiou.scores.headline`; NaN where undefined.
    intervals : dict
        95 % intervals of the scores; empty without bootstrap.
    support : dict
        Images, instances and classes behind every score.
    warnings : tuple of str
        What a reader has to know.
    tally : Tally or None
        What scores and intervals came from when the rows of the instances went to a folder; ``counts`` reads them
        back when they are asked for, as ``instances``, `save` and pages do.
    """

    counts: Counts
    class_list: ClassList
    bins: tuple[int, ...]
    options: dict[str, Any]
    digest: str
    instances_from: str
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    support: dict[str, dict[str, int]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    tally: Tally | None = None

    @property
    def has_instances(self) -> bool:
        """False when only mIoU was asked for."""
        return self.options.get("metrics") != "miou"

    @cached_property
    def class_scores(self) -> ClassScores:
        """Scores of every class as arrays."""
        return scores_of_classes(self.totals)

    @cached_property
    def totals(self) -> Totals:
        """Sums over all images."""
        return self.tally.totals if self.tally else totals_of(self.counts, self.bins)

    def summary(self) -> Summary:
        """Return the sums over each image, for resampling."""
        return self.tally.summary() if self.tally else summarise(self.counts, self.bins)

    @cached_property
    def instances(self) -> pd.DataFrame:
        """One row an instance: image, class, id, area, bin, tp, fp, fn, iou, components."""
        import pandas as pd

        image, ids, label, area, tp, fp, components = self.counts.instances.T
        return pd.DataFrame(
            {
                "image": np.array(self.counts.images, object)[image],
                "class": np.array(self.class_list.names, object)[label],
                "id": ids,
                "area": area,
                "bin": np.array(bin_names(self.bins), object)[bin_of(area, self.bins)],
                "tp": tp,
                "fp": fp,
                "fn": area - tp,
                "iou": tp / (area + fp),
                "components": components,
            }
        )

    @cached_property
    def phantoms(self) -> pd.DataFrame:
        """One row a predicted component that touches no instance of its class: image, class, area, bin."""
        import pandas as pd

        image, label, area = self.counts.phantoms.T
        return pd.DataFrame(
            {
                "image": np.array(self.counts.images, object)[image],
                "class": np.array(self.class_list.names, object)[label],
                "area": area,
                "bin": np.array(bin_names(self.bins), object)[bin_of(area, self.bins)],
            }
        )

    @cached_property
    def classes(self) -> pd.DataFrame:
        """One row a class: the columns of the score json, bins as ``IA_S``, ``n_S`` ..."""
        import pandas as pd

        rows = []
        for entry in self.class_rows():
            row = {k: v for k, v in entry.items() if not isinstance(v, dict)}
            for name in bin_names(self.bins):
                row |= {f"IA_{name}": entry[name]["IA-IoU"], f"n_{name}": entry[name]["instances"]}
            row |= {f"phantom_{k}": entry["phantoms"][k] for k in ("count", "pixels")}
            rows.append({k: math.nan if v is None else v for k, v in row.items()})
        return pd.DataFrame(rows)

    def class_rows(self) -> list[dict[str, Any]]:
        """Return the rows of ``classes`` in the score json; None where undefined."""
        per, names = self.class_scores, bin_names(self.bins)
        found = ratio(per.found_by_bin, per.instances_by_bin)
        number, pixels = self.totals.phantoms, self.totals.phantom_pixels
        rows = []
        for c, name in enumerate(self.class_list.names):
            row: dict[str, Any] = {"id": c, "name": name, "IoU": _json(per.iou[c]), "IA-IoU": _json(per.ia_iou[c])}
            row |= {"precision": _json(per.precision[c]), "recall": _json(per.recall[c]), "iIoU": _json(per.iiou[c])}
            row["instances"] = int(per.instances[c])
            for k, size in enumerate(names):
                row[size] = {"IA-IoU": _json(per.ia_iou_by_bin[c, k]), "instances": int(per.instances_by_bin[c, k])}
                row[size]["found@50"] = _json(found[c, k])
            row["phantoms"] = {"count": int(number[c].sum()), "pixels": int(pixels[c].sum())}
            for k, size in enumerate(names):
                row["phantoms"][size] = {"count": int(number[c, k]), "pixels": int(pixels[c, k])}
            rows.append(row if self.has_instances else _without_instances(row))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return the score json (schema version 1) as a dict; scores from 0 to 1, or None."""
        return {
            "schema": SCHEMA,
            "tool": __version__,
            "metric": METRIC_VERSION,
            "digest": self.digest,
            "options": self.options,
            "images": len(self.counts.images),
            "instances_from": self.instances_from,
            "scores": {k: _json(v) for k, v in self.scores.items()},
            "intervals": {k: list(v) for k, v in self.intervals.items()},
            "support": self.support,
            "classes": self.class_rows(),
            "warnings": list(self.warnings),
        }

    def to_json(self) -> str:
        """Return the score json as text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def save(self, path: str | Path) -> None:
        """Write counts, options, digest and class list to an .npz file without pickle; appears by rename."""
        header = {
            "format": _FORMAT,
            "tool": __version__,
            "metric": METRIC_VERSION,
            "digest": self.digest,
            "options": self.options,
            "instances_from": self.instances_from,
            "class_list": [self.class_list.name, *self.class_list.names],
            "bins": self.bins,
            "images": self.counts.images,
            "warnings": self.warnings,
        }
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        with replacing(Path(path)) as file:
            np.savez_compressed(file, header=text, allow_pickle=False, **self.counts.arrays())


def load(path: str | Path) -> Report:
    """Read what `Report.save` wrote; scores are computed anew, intervals are not.

    Raises
    ------
    InputError
        If the file is no such file, is damaged, or comes from another version of the metric.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; what fails from there on is damage
    except OSError as e:
        raise InputError(f"'{path}' cannot be read ({e.strerror or e}); give a file of iamiou score ... --save") from e
    try:
        with file, np.load(file, allow_pickle=False) as archive:
            return _load(archive, path)
    except InputError:
        raise
    except Exception as e:  # numpy, zipfile, zlib and json each have errors of their own
        wrong = f"'{path}' is damaged or holds no counts of iamiou; write it again: iamiou score ... --save {path}"
        raise InputError(wrong) from e


def _load(archive: Any, path: str | Path) -> Report:
    from iamiou.scores import headline, of_pixels, support

    header = json.loads(archive["header"].tobytes())
    if header["format"] != _FORMAT:
        raise ValueError("another format")
    if header["metric"] != METRIC_VERSION:
        found = header["metric"]
        raise InputError(f"'{path}' was made with version {found} of the metric, not {METRIC_VERSION}; score again.")
    name, *names = header["class_list"]
    classes = ClassList(name, tuple(names))
    arrays = {k: archive[k] for k in Counts.zero(1).arrays()}
    counts = from_arrays(len(classes), [str(name) for name in header["images"]], arrays)
    bins = tuple(int(side) for side in header["bins"])
    scores, rests, options = headline(counts, bins), support(counts, bins), dict(header["options"])
    if options.get("metrics") == "miou":  # what needs instances was not counted
        scores, rests = of_pixels(scores), of_pixels(rests)
    source, warnings = str(header["instances_from"]), tuple(str(w) for w in header["warnings"])
    return Report(counts, classes, bins, options, str(header["digest"]), source, scores, {}, rests, warnings)


def _json(value: float) -> float | None:
    """Return a number that json can hold: None for NaN."""
    return None if math.isnan(value) else float(value)


def _without_instances(row: dict[str, Any]) -> dict[str, Any]:
    """Put None for what was not counted into the row of a class, however deep."""
    kept = ("id", "name", "IoU", "precision", "recall")
    return {k: v if k in kept else _without_instances(v) if isinstance(v, dict) else None for k, v in row.items()}
