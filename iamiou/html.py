"""The report as one self-contained HTML page: no script from elsewhere, no font, no address."""

from __future__ import annotations

import base64
import hashlib
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iamiou import charts, crops, curves, wording
from iamiou.counts import AREA, IMAGE, PHANTOM_AREA
from iamiou.files import replacing
from iamiou.scores import bin_names, size_edges
from iamiou.wording import number, plural, thin_note

if TYPE_CHECKING:
    from iamiou.ground_truth import GroundTruth
    from iamiou.predictions import Predictions
    from iamiou.report import Report

Map = NDArray[Any]

#: Width and height of the chart for wide, middling and narrow windows.
CHART_SIZES = {"wide": (1000, 520), "mid": (660, 500), "narrow": (340, 440)}
WORST, BEST = 4, 2
#: Rows of the phantom table.
PHANTOM_ROWS = 25


def write_report(
    report: Report,
    path: str | Path,
    *,
    truth: GroundTruth | None,
    predictions: Predictions | None,
    images: str | Path | None = None,
    title: str | None = None,
) -> None:
    """Write the report page; the file appears whole or not at all.

    Parameters
    ----------
    report : Report
        What was computed.
    path : path
        The file to write.
    truth, predictions : GroundTruth, Predictions or None
        Where the few maps for the pictures of single instances are read again; without them the page
        lists the instances without pictures.
    images : path or None
        Folder of photographs named by image id, to lie below the outlines.
    title : str or None
        Heading; by default the name of the predictions.
    """
    page = render(report, truth=truth, predictions=predictions, images=images, title=title)
    with replacing(Path(path)) as file:
        file.write(page.encode(errors="backslashreplace"))  # a file's name may be any bytes


def render(
    report: Report,
    *,
    truth: GroundTruth | None,
    predictions: Predictions | None,
    images: str | Path | None = None,
    title: str | None = None,
) -> str:
    """Return the page's text; the parameters are those of `write_report`."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("iamiou", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(number=number, plural=plural, label_name=partial(_label_name, report))

    def raw(name: str) -> str:
        return environment.get_template(name).render().strip()

    script = raw("report.js")
    scores = report.to_dict()
    if title is None:
        title = Path(predictions.source).name if predictions is not None else "Segmentation scores"
    examples = _examples(report, truth, predictions, images)
    shown = [item["crop"] for e in examples for group in e["groups"] for item in group["items"]]
    return environment.get_template("report.html.jinja").render(
        title=title,
        style=Markup(raw("report.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        report=report,
        scores=scores,
        download=base64.b64encode(report.to_json().encode()).decode(),
        sizes=_sizes(report),
        tiles=_tiles(report),
        gap=wording.gap(report) if report.has_instances else None,
        chart=_chart(report),
        classes=_classes(report, scores["classes"]),
        examples=examples,
        pictured=[c for c in shown if c],
        photos=any(c.is_photo for c in shown if c),
        phantoms=_phantoms(report, scores["classes"]),
    )


def _label_name(report: Report, label: int) -> str:
    """Return the name of a predicted label, which may be void."""
    names = report.class_list.names
    return names[label] if label < len(names) else "void"


def _sizes(report: Report) -> list[dict[str, str]]:
    names = bin_names(report.bins)
    ranges, words = wording.size_ranges(report.bins), wording.size_words(names)
    return [{"name": n, "word": w, "range": r} for n, w, r in zip(names, words, ranges, strict=True)]


def _tiles(report: Report) -> list[dict[str, Any]]:
    """Headline figures: what each is called, its interval and what stands behind it."""
    tiles = [
        _tile(report, "IA-mIoU", "every instance of a class counts alike"),
        _tile(report, "mIoU", "every pixel of a class counts alike"),
    ]
    for i, size in enumerate(_sizes(report)):
        tiles.append(_tile(report, f"IA_{size['name']}", f"{size['word']} objects, {size['range']}", i))
    if not report.has_instances:
        return [tiles[1], *(_tile(report, key, "mean over classes") for key in ("precision", "recall"))]
    return tiles


def _tile(report: Report, key: str, what: str, size_bin: int | None = None) -> dict[str, Any]:
    """Describe one headline figure; undefined numbers are None."""
    low, high = report.intervals.get(key, (math.nan, math.nan))
    value = report.scores.get(key, math.nan)
    name, _, sub = key.partition("_")
    return {
        "key": key,
        "name": name,
        "sub": sub,
        "what": what,
        "value": None if math.isnan(value) else value,
        "interval": None if math.isnan(low) or math.isnan(value) else (low, high),
        "support": _support(report, key) if key in report.support else [],
        "note": "" if math.isnan(value) or not report.has_instances else thin_note(report, size_bin),
    }


def _support(report: Report, key: str) -> list[tuple[str, str]]:
    """Return what stands behind a tile, as (word, count); mIoU knows no instances."""
    rows = [(word, f"{report.support[key][word]:,}") for word in ("images", "classes")]
    if not key.startswith("IA"):
        return rows
    # IA-mIoU counts the background of every image as one instance more; "found" is about true instances only.
    found = "found@50" if key == "IA-mIoU" else key.replace("IA", "found@50")
    instances = report.support[found]["instances"]
    return [("instances", f"{instances:,}"), *rows, ("found@50", number(report.scores[found]))]


def _chart(report: Report) -> dict[str, Any] | None:
    """Curve and histogram at three widths, with the numbers as a table; None without instances."""
    rows, iou = report.counts.instances, report.counts.iou()
    if len(rows) == 0:
        return None
    area = rows[:, AREA]
    curve = curves.iou_against_area(area, iou, rows[:, IMAGE])
    histogram = curves.size_histogram(area, iou, size_edges(report.bins))
    names = bin_names(report.bins)
    drawings = {
        kind: charts.area_chart(width, height, curve, histogram, area, iou, report.bins, names)
        for kind, (width, height) in CHART_SIZES.items()
    }
    defined = np.flatnonzero(~np.isnan(curve.iou))[::8]
    table = [
        (f"{curve.area[i]:,.0f}", *(number(float(a[i])) for a in (curve.iou, curve.low, curve.high))) for i in defined
    ]
    return {"drawings": drawings, "table": table, "histogram": histogram, "instances": len(rows)}


def _classes(report: Report, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Class table: rows with anything to show, and the names of the others."""
    present = (report.counts.truth.sum(0) + report.counts.prediction.sum(0)) > 0
    return {
        "rows": [r for r in rows if present[r["id"]]],
        "absent": [r["name"] for r in rows if not present[r["id"]]],
    }


def _examples(
    report: Report, truth: GroundTruth | None, predictions: Predictions | None, images: str | Path | None
) -> list[dict[str, Any]]:
    """Worst and best instances of each size bin, largest need first: the smallest bin leads."""
    chosen = [
        (crops.pick(report, i, WORST, best=False), crops.pick(report, i, BEST, best=True))
        for i in range(len(report.bins) + 1)
    ]
    pictures: dict[crops.Pick, crops.Crop | None] = {}
    if truth is not None and predictions is not None:
        wanted = [p for groups in chosen for group in groups for p in group]
        maps = partial(_maps, truth, predictions, int(report.options.get("connectivity", 8)))
        pictures = dict(zip(wanted, crops.crops(wanted, maps, images), strict=True))
    return [
        {
            "size": size,
            "groups": [
                {"name": name, "items": [{"pick": p, "crop": pictures.get(p)} for p in group]}
                for name, group in zip(("Worst", "Best"), groups, strict=True)
                if group
            ],
        }
        for size, groups in zip(_sizes(report), chosen, strict=True)
        if any(groups)
    ]


def _maps(truth: GroundTruth, predictions: Predictions, connectivity: int, image: str) -> tuple[Map, Map, Map]:
    """Read the semantic map, the instance map and the prediction of one image, which must not be too large."""
    from iamiou.big_maps import in_memory
    from iamiou.pairs import ground_truth_components

    semantic, instance = truth.load(image)
    semantic, instance = in_memory(semantic, image), None if instance is None else in_memory(instance, image)
    if instance is None:
        instance = ground_truth_components(semantic, connectivity)
    if image not in predictions.ids:  # scored as background
        return semantic, instance, np.zeros_like(semantic)
    height, width = semantic.shape
    return semantic, instance, in_memory(predictions.load(image, (height, width)), image)


def _phantoms(report: Report, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Predicted regions without an object, by class and size; most pixels first."""
    some = sorted((r for r in rows if r["phantoms"]["count"]), key=lambda r: -r["phantoms"]["pixels"])
    count, pixels = len(report.counts.phantoms), int(report.counts.phantoms[:, PHANTOM_AREA].sum())
    predicted = int(report.counts.prediction[:, 1:].sum())
    return {
        "rows": some[:PHANTOM_ROWS],
        "left_out": len(some) - PHANTOM_ROWS,
        "count": count,
        "pixels": pixels,
        "share": pixels / predicted if predicted else 0.0,
        "largest": max((r["phantoms"]["pixels"] for r in some), default=0),
    }
