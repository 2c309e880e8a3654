"""Try values of one option on dev: how thresholds, rates, tau and lambda are chosen, and where they fail."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import InputError
from iamiou_benchmarks.cams.maps import best_class, load_maps
from iamiou_benchmarks.running.pictures import write_figure
from iamiou_benchmarks.running.pipeline import Plan, chosen_device, hardware, make_plan, run_stage, versions
from iamiou_benchmarks.running.runfile import Stage, load_run
from iamiou_benchmarks.stage.scoring import best_threshold, score_maps
from iamiou_benchmarks.stage.work import Log, Show, Work

#: What is shown of a trial, where it has it.
COLUMNS = ("mAP", "threshold", "mIoU", "IA-mIoU", "IA_S", "IA_M", "IA_L")
Scores = dict[str, float | None]


def trials(
    name: str, option: str, values: Iterable[str], seed: int, cache: Path, device: str, show: Show | None = None
) -> Iterator[tuple[str, Scores]]:
    """Run a run file's stages up to the one whose option is tried, once a value, and score it on dev.

    Finished stages are shared with runs of the table. Test is not looked at.

    Parameters
    ----------
    option : str
        As ``"segment.tau"``.

    Yields
    ------
    value : str
    scores : dict
        Of a classifier, mAP; of class maps, the best threshold and its mIoU; of a segmentation network, all scores.
    """
    for value in values:
        plan = make_plan(load_run(name, [f"{option}={value}"]), seed, cache, device)
        stage = plan.run.stage(option.partition(".")[0])
        for one in needed(plan, stage):
            run_stage(plan, one, resume=True, show=show)
        yield value, dev_scores(plan, stage)


def needed(plan: Plan, stage: Stage) -> list[Stage]:
    """Return the stages that one takes, directly or not, and itself, in the order in which they run."""
    names = {stage.name}
    for s in reversed(plan.run.stages):
        if s.name in names:
            names.update(s.inputs)
    return [s for s in plan.run.stages if s.name in names]


def dev_scores(plan: Plan, stage: Stage) -> Scores:
    """Score a finished stage on dev.

    Raises
    ------
    InputError
        If the stage leaves nothing for the images of dev.
    """
    folder = plan.folder(stage)
    if stage.method == "classifier":
        record = json.loads((folder / "stage.json").read_text(encoding="utf-8"))
        return {"mAP": record["scores"]["dev"]["mAP"]}
    if (folder / "maps").is_dir():

        def best(image_id: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
            return best_class(load_maps(folder / "maps" / f"{image_id}.npz"))

        threshold, curve = best_threshold(plan.data, "dev", best)
        return {"threshold": threshold, "mIoU": max(curve.values())}
    if stage.method == "segment":
        from iamiou_benchmarks.methods import predict

        with tempfile.TemporaryDirectory() as room:
            log = Log(Path(room) / "metrics.jsonl", "predict")
            work = Work(plan.data, {stage.name: folder}, Path(room), plan.seed, plan.device, log)
            predict.write_predictions(work, predict.Options(), "dev", Path(room) / "dev")
            return score_maps(plan.data, "dev", Path(room) / "dev")
    raise InputError(
        f"The stage {stage.name} leaves nothing that could be scored on dev; try an option of another one."
    )


def record_of(name: str, option: str, seed: int, device: str, found: list[tuple[str, Scores]]) -> dict[str, Any]:
    """Return trials as what is kept of them."""
    shown = [{"value": v, "scores": {c: s[c] for c in COLUMNS if c in s}} for v, s in found]
    head = {"schema": 1, "run": name, "option": option, "seed": seed, "split": "dev"}
    return head | {"trials": shown, "hardware": hardware(chosen_device(device)), "versions": versions()}


def lines_of(record: dict[str, Any]) -> list[list[str]]:
    """Return the cells of a table of trials, in per cent but for the threshold, with its head."""
    columns = [c for c in COLUMNS if c in record["trials"][0]["scores"]]
    lines = [[record["option"], *columns]]
    for trial in record["trials"]:
        scores = trial["scores"]
        cells = [_shown(scores[c], 2 if c == "threshold" else 1) for c in columns]
        lines.append([str(trial["value"]), *cells])
    return lines


def _shown(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.2f}" if digits == 2 else f"{100 * value:.1f}"


def draw(record: dict[str, Any], path: Path) -> None:
    """Draw the scores by value; numbers on a logarithmic axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.add_subplot()
    numbers = [t["value"] for t in record["trials"]]
    positions = [float(v) if _is_number(v) else k for k, v in enumerate(numbers)]
    for column in (c for c in COLUMNS if c in record["trials"][0]["scores"] and c != "threshold"):
        values = [100 * (t["scores"][column] or 0) for t in record["trials"]]
        axes.plot(positions, values, marker="o", markersize=3, linewidth=1, label=column)
    if all(map(_is_number, numbers)) and min(positions) > 0:
        axes.set_xscale("log")
    axes.set_xticks(positions, numbers)
    axes.minorticks_off()
    axes.set_xlabel(record["option"])
    axes.set_ylabel("per cent, on dev")
    axes.set_title(f"{record['run']}, seed {record['seed']}", fontsize=9)
    axes.legend(fontsize=7)
    write_figure(figure, path, 120)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
