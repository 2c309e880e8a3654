"""SFC's image bank: its memory and time, the age of its crops, and the spread of rare classes' scores over seeds.

``iamiou bench claim bank`` measures memory here, and reads ages from the logs of
finished stages `sfc` and scores from the committed results. With ``--times`` it also times steps, which wants a quiet
machine: steps with and without the bank in turns, so that only their ratio counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iamiou_benchmarks.claims._record import Asked, shorts
from iamiou_benchmarks.claims._statistics import of_spreads
from iamiou_benchmarks.datasets.shapes import PRESETS
from iamiou_benchmarks.sfc.image_bank import bank_bytes, make_bank
from iamiou_benchmarks.tables.results import read_results

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

DATA = "shapes-small"
#: Banks by what they are for: classes, slots, side of the crops.
BANKS = {
    "shapes small": (6, 1, 64),
    "VOC, crops of 321": (20, 1, 321),
    "VOC, as published": (20, 1, 512),
    "VOC, 4 slots": (20, 4, 512),
    "COCO": (80, 1, 512),
}
#: Steps that are measured: images a step, side of the crops; the published bank adds four images.
STEPS = ((8, 64), (16, 64), (32, 64), (16, 128))
DRAWS = 4
#: A class that one image in so many shows, and how old its crop is then, at batch 16.
RARITIES = (5, 27, 100, 500)
#: Runs with and without the bank, and what of the stage `sfc` is compared.
COMPARED = (("sfc-ce", "sfc-nobank", "SFC with and without the bank"), ("sfc-onlybank", "sfc-plain", "the bank alone"))
SCORES = ("IoU_Few", "IoU_Many")


TAKES = ("results", "cache", "times")


def record_of(asked: Asked) -> dict[str, Any]:
    """Measure memory and time, read ages and scores."""
    return measure(read_results(asked.results), asked.cache, times=asked.times)


def measure(results: Sequence[dict[str, Any]], cache: Path, *, times: bool = False) -> dict[str, Any]:
    """Return the record."""
    rises = [[in_process(rise_of, *step, draws) for draws in (0, DRAWS)] for step in STEPS]
    found = {
        "schema": 1,
        "data": DATA,
        "banks": banks(),
        "steps": [{"of": list(s), "rise": r} for s, r in zip(STEPS, rises, strict=True)],
        "ages": ages(results, cache),
        "spreads": list(spreads(results)),
    }
    if times:
        found["times"] = [in_process(time_ratio, *step) for step in STEPS]
    return found


def banks() -> dict[str, dict[str, Any]]:
    """Return the bytes of every bank of `BANKS`, by the formula and as allocated."""
    return {
        name: {"of": list(of), "formula": bank_bytes(*of), "measured": make_bank(*of, "cpu", 64.0).nbytes}
        for name, of in BANKS.items()
    }


def in_process(function: Callable[..., Any], *given: Any) -> Any:
    """Call a function in a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *given).result()


def rise_of(batch: int, crop: int, draws: int) -> int:
    """Return how far the memory of this process rises in two steps of SFC, the bank included, in bytes."""
    from iamiou_benchmarks.training.memory import peak_memory, reset_peak

    one_step(2, 32, 0)(0)  # what PyTorch takes once
    reset_peak("cpu")
    before = peak_memory("cpu")
    step = one_step(batch, crop, draws)
    for k in (0, 1):
        step(k)
    return peak_memory("cpu") - before


def time_ratio(batch: int, crop: int) -> list[float]:
    """Return how many times as long a step with the bank takes: the median of pairs of steps, and their quartiles."""
    bare, banked = one_step(batch, crop, 0), one_step(batch, crop, DRAWS)
    ratios = []
    for k in range(14):
        took = []
        for step in (bare, banked):
            begun = time.perf_counter()
            step(k)
            took.append(time.perf_counter() - begun)
        ratios.append(took[1] / took[0])
    return [round(float(v), 3) for v in np.quantile(ratios[2:], (0.5, 0.25, 0.75))]


def one_step(batch: int, crop: int, draws: int) -> Callable[[int], None]:
    """Return a step of SFC on random images, with the network of `shapes small` and its options."""
    import torch
    from torch import Tensor

    from iamiou_benchmarks.methods.sfc import Options, objective
    from iamiou_benchmarks.networks.build import Classifier, make_backbone
    from iamiou_benchmarks.networks.calibrated import Calibrated
    from iamiou_benchmarks.running.runfile import load_run
    from iamiou_benchmarks.sfc.image_bank import banked

    torch.manual_seed(0)
    torch.set_num_threads(1)
    classes = BANKS["shapes small"][0]
    options: Options = load_run(f"{DATA}-sfc-ce").stage("sfc").options
    network = Classifier(make_backbone(options.network, "", options.stride), classes, options.pool)
    model = Calibrated(network, options.sides, options.width, frozen_norm=options.frozen_norm)
    goal = objective(model, options, torch.ones(classes))

    def sample(iteration: int) -> list[dict[str, Tensor]]:
        shown = torch.zeros(batch, classes)
        shown[torch.arange(batch), (torch.arange(batch) + iteration) % classes] = 1
        label = torch.zeros(batch, crop, crop, dtype=torch.uint8)
        return [{"image": torch.randn(batch, 3, crop, crop), "label": label, "classes": shown}]

    get = banked(sample, make_bank(classes, 1, crop, "cpu", 4.0), draws, 0) if draws else sample

    def step(iteration: int) -> None:
        ready, number = goal.prepare(get(iteration)[0], iteration)
        goal.loss(ready, number)["loss"].backward()  # type: ignore[no-untyped-call]  # torch has no types there
        model.zero_grad(set_to_none=True)

    return step


def ages(results: Iterable[dict[str, Any]], cache: Path) -> dict[str, Any]:
    """Return the mean age of the bank's crops in the second half of every seed's training, and what is expected."""
    found, expected = [], 0.0
    for result in results:
        stage = next((s for s in result["stages"] if s["name"] == "sfc"), None)
        if result["run"] != f"{DATA}-sfc-ce" or not stage:
            continue
        log = cache / f"sfc-{stage['key']}" / "metrics.jsonl"
        if log.is_file():
            lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
            logged = [line["bank_age"] for line in lines if "bank_age" in line]
            found.append(round(float(np.mean(logged[len(logged) // 2 :])), 3))
            batch = result["config"]["stages"]["sfc"]["options"]["batch"]
            images = result["classes"]["images"].values()
            expected = float(np.mean([expected_age(PRESETS["small"].train / n, batch) for n in images]))
    return {"seeds": found, "expected": round(expected, 3)}


def expected_age(rarity: float, batch: int) -> float:
    """Return the mean number of steps since a class was last seen, where one image in so many shows it.

    A step sees it with p = 1 - (1 - 1 / rarity)^batch, and the mean of the geometric distribution is (1 - p) / p.

    >>> expected_age(2, 1), round(expected_age(27, 16), 1)
    (1.0, 1.2)
    """
    missed = (1 - 1 / rarity) ** batch
    return float(missed / (1 - missed))


def spreads(results: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Compare standard deviations over seeds with and without the bank, of the seeds' IoU of rare classes."""
    known = {(r["run"].removeprefix(f"{DATA}-"), r["seed"]): r for r in results if r["run"].startswith(f"{DATA}-")}
    for banked, bare, text in COMPARED:
        seeds = sorted(s for name, s in known if name == banked and (bare, s) in known)
        for score in SCORES:
            with_, without = (
                [known[name, s]["classes"]["means"]["sfc"]["train"][score] for s in seeds] for name in (banked, bare)
            )
            kept = {"with": [round(v, 5) for v in with_], "without": [round(v, 5) for v in without]}
            ratio = shorts(of_spreads(with_, without), 4)
            yield {"text": text, "score": score, "seeds": seeds, **kept, "ratio": ratio}


def smallest(seeds: int) -> float:
    """Return the smallest ratio of two standard deviations that so many seeds each can tell from 1.

    >>> round(smallest(5), 1)  # the root of F(4, 4)
    3.1
    """
    values = np.arange(seeds, dtype=float)
    return 1 / of_spreads(values, values)[1]


def lines(record: dict[str, Any]) -> list[str]:
    """Return what the record says, as lines of Markdown."""
    found = ["| bank | classes x slots, side | by the formula | allocated |", "|" + " --- |" * 4]
    for name, row in record["banks"].items():
        classes, slots, side = row["of"]
        sizes = " | ".join(f"{row[k]:,}" for k in ("formula", "measured"))
        found.append(f"| {name} | {classes} x {slots}, {side} | {sizes} |")
    found += ["", *_step_lines(record), "", *_age_lines(record), "", *_spread_lines(record)]
    return found


def _step_lines(record: dict[str, Any]) -> list[str]:
    timed = record.get("times")
    head = ["images a step, side", "a step takes without the bank, MB", "with it, MB", "ratio", f"images + {DRAWS}"]
    found = [f"| {' | '.join([*head, *(['time, ratio'] if timed else [])])} |"]
    found.append("|" + " --- |" * (5 + bool(timed)))
    for k, row in enumerate(record["steps"]):
        batch, side = row["of"]
        bare, banked = row["rise"]
        cells = [f"{batch}, {side}", f"{bare / 1e6:.0f}", f"{banked / 1e6:.0f}", f"{banked / bare:.2f}"]
        cells.append(f"{(batch + DRAWS) / batch:.2f}")
        if timed:
            cells.append("{:.2f} ({:.2f} to {:.2f})".format(*timed[k]))
        found.append(f"| {' | '.join(cells)} |")
    return found if timed else [*found, "", "Steps were not timed: that wants a quiet machine (`--times`)."]


def _age_lines(record: dict[str, Any]) -> list[str]:
    ages_ = record["ages"]
    rare = "; ".join(f"one in {r}: {expected_age(r, 16):.1f}" for r in RARITIES)
    logged = ", ".join(f"{v:.2f}" for v in ages_["seeds"]) or "no seed yet"
    text = f"Mean age of the crops in steps, logged by seed: {logged}; expected from the counts of the classes: "
    text += f"{ages_['expected']:.2f}. Expected at batch 16 of the crop of a class that one image in so many shows"
    return [f"{text}: {rare}."]


def _spread_lines(record: dict[str, Any]) -> list[str]:
    head = ("compared", "score of the seeds", "seeds", "deviations", "ratio", "95 % interval", "wider with the bank")
    found = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for row in record["spreads"]:
        ratio, low, high = row["ratio"]
        cells = [row["text"], row["score"], str(len(row["seeds"]))]
        if ratio is None:
            none = "not shown: too few seeds" if row["seeds"] else "no runs yet"
            found.append(f"| {' | '.join([*cells, '–', '–', '–', none])} |")
            continue
        apart = ", ".join(f"{100 * np.std(row[k], ddof=1):.2f}" for k in ("with", "without"))
        told = "confirmed" if low > 1 else "reversed" if high < 1 else "not shown"
        told = told if told == "not shown" else f"{told}, on shapes only"
        found.append(f"| {' | '.join([*cells, apart, f'{ratio:.2f}', f'{low:.2f} to {high:.2f}', told])} |")
    few = max((len(row["seeds"]) for row in record["spreads"]), default=0)
    if few > 1:
        found += [
            "",
            f"With {few} seeds only a ratio above {smallest(few):.1f}, or below its inverse, can be told from 1.",
        ]
    return found


def draw(record: dict[str, Any]) -> Figure:
    """Draw memory, and the scores of frequent and rare classes of every seed with and without the bank."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes = figure.add_subplot(1, 2, 1)
    for k, label in ((0, "without the bank"), (1, f"with {DRAWS} crops from it")):
        axes.plot([row["rise"][k] / 1e6 for row in record["steps"]], "o-", label=label)
    axes.set_xticks(range(len(record["steps"])), ["{}, {}".format(*row["of"]) for row in record["steps"]])
    axes.set_xlabel("images a step, side of the crops")
    axes.set_ylabel("memory of a step, MB")
    axes.set_ylim(0)
    axes.legend(fontsize=8)
    axes = figure.add_subplot(1, 2, 2)
    labels = []
    for k, row in enumerate(record["spreads"]):
        for at, (name, mark) in enumerate((("with", "o"), ("without", "x"))):
            values = [100 * v for v in row[name]]
            axes.plot([2 * k + at] * len(values), values, mark, color=f"C{k}")
            labels.append(f"{row['score'].removeprefix('IoU_')}\n{name}")
    axes.set_xticks(range(len(labels)), labels, fontsize=7)
    axes.set_title("; ".join(dict.fromkeys(row["text"] for row in record["spreads"])), fontsize=8)
    axes.set_ylabel("IoU of the maps on train, %; a mark a seed")
    return figure
