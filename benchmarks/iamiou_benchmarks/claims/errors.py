"""ORANDNet's gain against how far the errors of its two classifiers correlate.

``iamiou bench claim errors --train 2`` reads the class maps of finished stages; for
seeds below `--train` it trains the refining networks that are missing, under a minute each, and nothing else.

An error is a pixel and a class that the image shows where the map, above or below its threshold, disagrees with the
true mask. The gain is the mIoU on train of the refined maps less that of the better one of the two.

Pairs of two architectures are held against pairs of one. They also differ in how good their maps are, so besides one
CNN's maps are taken twice, each with noise: two classifiers equally good by construction, of whose noise nothing, half
or all is shared. And noise is added before OR alone, while the network still learns towards the AND of clean maps.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iamiou_benchmarks.cams.maps import load_maps
from iamiou_benchmarks.claims import _noisy_maps
from iamiou_benchmarks.claims._record import Asked, ends, shorts
from iamiou_benchmarks.claims._statistics import word
from iamiou_benchmarks.datasets.data import DataSet
from iamiou_benchmarks.running.pipeline import Plan, make_plan, run_stage
from iamiou_benchmarks.running.replicates import Floats, replicates_of, unpack
from iamiou_benchmarks.running.runfile import Run, Stage, load_run
from iamiou_benchmarks.tables.verdicts import interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = "shapes-small"
SEEDS = range(5)
#: Stages that make class maps, and what they take.
_MAPS = ("classifier", "cam", "vit", "vitcam", "classifier2", "cam2", "vit2", "vitcam2")
_NOISE = 0.2
#: Figures of a row, besides the correlation.
SCORES = ("first", "second", "or", "and", "refined")


@dataclass(frozen=True)
class Setting:
    """Two stages with class maps; their noise, how much of it is shared, and noise before OR alone."""

    name: str
    pair: tuple[str, str]
    shared: float = -1.0
    before_or: float = 0.0


TWO, ONE = "CNN and ViT", "CNN and CNN"
PAIRS = (
    Setting(TWO, ("cam", "vitcam")),
    Setting(ONE, ("cam", "cam2")),
    Setting("ViT and ViT", ("vitcam", "vitcam2")),
    Setting("CNN and SFC", ("cam", "sfc")),
)
TWICE = tuple(
    Setting(f"CNN twice, {share:.0%} of the noise shared", ("cam", "cam"), share) for share in (0.0, 0.5, 1.0)
)
BEFORE_OR = tuple(Setting(f"{TWO}, noise {n:g} before OR", ("cam", "vitcam"), before_or=n) for n in (0.2, 0.4))


def run_of(setting: Setting) -> Run:
    """Return the stages of a setting: what makes its maps, and the last five, two with maps, OR, AND and `orand`.

    >>> [stage.name for stage in run_of(TWICE[0]).stages[-5:]]
    ['noisy0', 'noisy1', 'or', 'and', 'orand']
    """
    base = load_run(f"{DATA}-orand4-ce")
    before = [s for s in base.stages if s.name in _MAPS]
    before.append(load_run(f"{DATA}-sfc-ce").stage("sfc"))
    pair = setting.pair
    if setting.shared >= 0:
        options = [_noisy_maps.Options(_NOISE, shared=setting.shared, which=k) for k in (0, 1)]
        last = [Stage(f"noisy{k}", _noisy_maps.__name__, (pair[k],), o) for k, o in enumerate(options)]
        pair = (last[0].name, last[1].name)
    else:
        last = [s for name in pair for s in before if s.name == name]
        before = [s for s in before if s.name not in pair]
    either, both = (replace(base.stage(name), inputs=pair) for name in ("or", "and"))
    if setting.before_or:
        either = replace(either, options=replace(either.options, noise=setting.before_or))
    return Run(setting.name, "", base.data, (*before, *last, either, both, base.stage("orand")))


TAKES = ("cache", "train", "device")


def record_of(asked: Asked) -> dict[str, Any]:
    """Read class maps, and train what may be trained."""
    return measure(asked.cache, asked.train, asked.device)


def measure(cache: Path, train: int, device: str) -> dict[str, Any]:
    """Return the record: a row for every setting and seed whose stages are finished or may be trained."""
    rows, drawn = [], {}
    for setting in (*PAIRS, *TWICE, *BEFORE_OR):
        for seed in SEEDS:
            plan = make_plan(run_of(setting), seed, cache, device)
            if not _ready(plan, may_train=seed < (min(train, 1) if setting.before_or else train)):
                continue
            folders = [plan.folder(stage) for stage in plan.run.stages[-5:]]
            found = {name: _miou(folder) for name, folder in zip(SCORES, folders, strict=True)}
            phi = correlation(error_counts(plan.data, folders[0], folders[1]))
            scores = {name: round(value, 5) for name, (value, _) in found.items()}
            rows.append({"setting": setting.name, "seed": seed, "correlation": round(phi, 4), **scores})
            drawn[setting.name, seed] = gain_of({name: draws for name, (_, draws) in found.items()}, scores)
    return {"schema": 1, "data": DATA, "noise": _NOISE, "rows": rows, "verdicts": list(_verdicts(rows, drawn))}


def _ready(plan: Plan, *, may_train: bool) -> bool:
    """Tell whether the stages of a plan are there, after training the ones that may be trained."""
    made = [s for s in plan.run.stages[-5:] if s.name in ("noisy0", "noisy1", "or", "and", "orand")]
    needed = {name for s in made for name in s.inputs} - {s.name for s in made}
    if not all(plan.finished(plan.run.stage(name)) for name in needed):
        return False
    if may_train:
        for stage in made:
            run_stage(plan, stage)
    return all(plan.finished(s) for s in made)


def _miou(folder: Path) -> tuple[float, Floats]:
    """Return the mIoU on train of a finished stage, and it under weightings of the images."""
    value = json.loads((folder / "stage.json").read_text(encoding="utf-8"))["scores"]["train"]["mIoU"]
    return value, unpack(replicates_of(folder / "scores-train.npz")["mIoU"])


def error_counts(data: DataSet, first: Path, second: Path) -> NDArray[np.int64]:
    """Count pixels and shown classes of train where the maps of two stages err: [[neither, second], [first, both]]."""
    counts, truth = np.zeros(4, np.int64), data.truth_of("train")
    for image_id in truth.ids:
        semantic = truth.load(image_id)[0]
        wrong = []
        for folder in (first, second):
            maps = load_maps(folder / "maps" / f"{image_id}.npz")
            true = semantic[None] == (maps.fg_ids + 1)[:, None, None]
            wrong.append(((maps.full > maps.threshold) != true)[:, semantic != 255])
        counts += np.bincount((2 * wrong[0].astype(np.int64) + wrong[1]).ravel(), minlength=4)
    return counts.reshape(2, 2)


def correlation(counts: NDArray[np.int64]) -> float:
    """Return phi, the correlation of two kinds of errors; NaN where one never or always occurs.

    >>> correlation(np.array([[40, 10], [10, 40]])), correlation(np.array([[25, 25], [25, 25]]))
    (0.6, 0.0)
    """
    n = counts.astype(np.float64)
    below = np.sqrt(np.prod(n.sum(0)) * np.prod(n.sum(1)))
    return float((n[1, 1] * n[0, 0] - n[0, 1] * n[1, 0]) / below) if below > 0 else float("nan")


def gain_of(values: dict[str, Any], by: dict[str, float], of: str = "refined") -> Any:
    """Return the gain over the better one of the two, where `by` tells which is the better one."""
    return values[of] - values["first" if by["first"] >= by["second"] else "second"]


def _verdicts(rows: list[dict[str, Any]], drawn: dict[tuple[str, int], Floats]) -> Iterator[dict[str, Any]]:
    """Compare errors that correlate less with errors that correlate more, in correlation and in gain."""
    row = {(r["setting"], r["seed"]): r for r in rows}
    compared = (
        ("Two architectures gain more than one", TWO, ONE),
        ("Equally good maps with errors of their own gain more than with shared ones", TWICE[0].name, TWICE[-1].name),
    )
    for text, apart, alike in compared:
        seeds = [s for s in SEEDS if (apart, s) in row and (alike, s) in row]
        verdict: dict[str, Any] = {"claim": text, "seeds": seeds}
        if seeds:
            phi = np.array([row[alike, s]["correlation"] - row[apart, s]["correlation"] for s in seeds])
            gain = np.array(
                [gain_of(row[apart, s], row[apart, s]) - gain_of(row[alike, s], row[alike, s]) for s in seeds]
            )
            moved = np.stack([drawn[apart, s] - drawn[alike, s] for s in seeds])
            verdict["correlation"] = shorts([phi.mean(), *interval(phi, phi[:, None])], 5)
            verdict["gain"] = shorts([gain.mean(), *interval(gain, moved)], 5)
        yield verdict


def summary(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every setting's means over its seeds, and each gain."""
    found: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(r["setting"] for r in record["rows"]):
        mine = [r for r in record["rows"] if r["setting"] == name]
        means = {k: float(np.mean([r[k] for r in mine])) for k in ("correlation", *SCORES)}
        gains = {of: [gain_of(r, r, of) for r in mine] for of in ("or", "and", "refined")}
        found[name] = {"seeds": len(mine), **means, "gains": gains}
    return found


def lines(record: dict[str, Any]) -> list[str]:
    """Return what the record says, as lines of Markdown."""
    head = (
        "maps",
        "seeds",
        "correlation of errors",
        "mIoU of each",
        "OR",
        "AND",
        "refined",
        "gain of the refined maps",
    )
    found = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for name, row in summary(record).items():
        each = f"{100 * row['first']:.1f}, {100 * row['second']:.1f}"
        scores = " | ".join(f"{100 * row[k]:.1f}" for k in ("or", "and", "refined"))
        gain = 100 * float(np.mean(row["gains"]["refined"]))
        found.append(f"| {name} | {row['seeds']} | {row['correlation']:.2f} | {each} | {scores} | {gain:+.1f} |")
    found += ["", "| claim | seeds | correlation less by | gain more by | verdict |", "|" + " --- |" * 5]
    for v in record["verdicts"]:
        if not v["seeds"]:
            found.append(f"| {v['claim']} | 0 | – | – | no runs yet |")
            continue
        phi, gain = v["correlation"], v["gain"]
        cells = f"{phi[0]:+.2f} ({ends(phi[1], phi[2])}) | {100 * gain[0]:+.1f} ({ends(gain[1], gain[2], 100, 1)})"
        found.append(f"| {v['claim']} | {len(v['seeds'])} | {cells} | {verdict_word(phi, gain)} |")
    return found


def verdict_word(phi: list[float | None], gain: list[float | None]) -> str:
    """Judge: the errors have to correlate less beyond doubt, and the gain to be larger.

    >>> verdict_word([0.2, 0.1, 0.3], [0.02, 0.01, 0.03]), verdict_word([0.2, None, None], [0.02, None, None])
    ('confirmed, on shapes only', 'not shown: one seed')
    """
    if phi[1] is None or gain[1] is None or gain[2] is None:
        return "not shown: one seed"
    if phi[1] <= 0:
        return "not shown: the errors do not correlate less"
    told = word(gain[1], gain[2])
    return told if told == "not shown" else f"{told}, on shapes only"


def draw(record: dict[str, Any]) -> Figure:
    """Draw the gains of the refined maps and of AND over the correlation of the errors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    for k, (of, title) in enumerate((("refined", "refined maps"), ("and", "AND alone"))):
        axes = figure.add_subplot(1, 2, k + 1)
        for name, row in summary(record).items():
            mine = [r for r in record["rows"] if r["setting"] == name]
            mark = "x" if "before OR" in name else "s" if "twice" in name else "o"
            axes.plot([r["correlation"] for r in mine], [100 * g for g in row["gains"][of]], mark, label=name, ms=5)
        axes.axhline(0, color="0.7", linewidth=0.8)
        axes.set_xlabel("correlation of the two classifiers' errors")
        axes.set_ylabel(f"gain of {title}, points of mIoU")
    if record["rows"]:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize=7)
    return figure
