"""Run the stages of a run file: each under a key of all that it depends on, shared, resumable, and scored."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from iamiou import __version__
from iamiou.errors import IncompleteError, InputError
from iamiou.masks import write_bytes
from iamiou_benchmarks.datasets.data import DataSet, open_data
from iamiou_benchmarks.running.runfile import Run, Stage
from iamiou_benchmarks.stage import artefacts
from iamiou_benchmarks.stage.options import counted_options, keep_options
from iamiou_benchmarks.stage.work import Log, Show, Work
from iamiou_benchmarks.training import distributed
from iamiou_benchmarks.training.memory import peak_memory, reset_peak

SCHEMA = 1


@dataclass(frozen=True)
class Plan:
    """A run about to be executed: the run file, the open data, and where things go.

    Parameters
    ----------
    run : Run
    data : DataSet
    seed : int
    cache : Path
        Where stages lie, for all runs.
    device : str
    """

    run: Run
    data: DataSet
    seed: int
    cache: Path
    device: str

    def key(self, stage: Stage) -> str:
        """Return the stage's key: sha256 over its method, options, seed, data and the keys of its inputs."""
        content = {
            "format": artefacts.VERSION,
            "method": stage.method,
            "version": stage.module.VERSION,
            "options": counted_options(stage.options),
            "seed": self.seed,
            "data": self.data.digest,
            "inputs": [self.key(self.run.stage(name)) for name in stage.inputs],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def folder(self, stage: Stage) -> Path:
        """Return where the stage's artefacts lie when it is finished."""
        return self.cache / f"{stage.name}-{self.key(stage)}"

    def finished(self, stage: Stage) -> bool:
        """Tell whether the stage need not run."""
        return (self.folder(stage) / "stage.json").is_file()


def make_plan(run: Run, seed: int, cache: Path, device: str = "auto") -> Plan:
    """Open the data of a run and choose the device.

    Raises
    ------
    InputError
        If the data is not there, or the device is none of this machine.
    """
    device = chosen_device(device)
    cache.mkdir(parents=True, exist_ok=True)
    return Plan(run, open_data(run.data, cache), seed, cache, device)


def chosen_device(device: str) -> str:
    """Return ``"cpu"`` or ``"cuda"``, which ``"auto"`` takes where there is one.

    Raises
    ------
    InputError
        If there is no CUDA device.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("PyTorch finds no CUDA device here; use --device cpu.")
    return device


def run_stage(plan: Plan, stage: Stage, *, resume: bool = True, show: Show | None = None) -> Path:
    """Run one stage whose inputs are there, unless it is finished already; return its folder.

    What an interrupted run of the same stage has left is continued with `resume` and thrown away without.

    Raises
    ------
    IncompleteError
        If a stage that it takes has not run.
    InputError
        As the method says; when the memory runs out, with what to lower.
    """
    done = plan.folder(stage)
    if plan.finished(stage):
        return done
    inputs = {name: plan.folder(plan.run.stage(name)) for name in stage.inputs}
    for name in stage.inputs:
        if not plan.finished(plan.run.stage(name)):
            raise IncompleteError(f"The stage {stage.name} takes {name}, which has not run; run it first.")
    part = done.with_name(f".{done.name}.part")
    if distributed.size() > 1 and not getattr(stage.module, "PARALLEL", False):
        raise InputError(f"The stage {stage.name} runs in one process; start it without torchrun.")
    if distributed.rank() > 0:
        _assist(plan, stage, inputs, part)
        return done
    if not resume:
        shutil.rmtree(part, ignore_errors=True)
    resumed = part.is_dir() and any(part.iterdir())
    part.mkdir(parents=True, exist_ok=True)
    distributed.wait()
    work = Work(plan.data, inputs, part, plan.seed, plan.device, Log(part / "metrics.jsonl", stage.name, show))
    keep_options(part, stage.options)
    reset_peak(plan.device)
    start = time.perf_counter()
    _run_method(stage, work)
    seconds = time.perf_counter() - start
    record = {
        "name": stage.name,
        "method": stage.method,
        "key": plan.key(stage),
        "seconds": round(seconds, 2),
        "resumed": resumed,  # then time and throughput are those of the last session
        "images_per_second": round(work.images / seconds, 2),
        "peak_memory_bytes": peak_memory(plan.device),
        "scores": work.scores,
        "notes": work.notes,
        "digest": artefacts.folder_digest(part),
    }
    write_bytes(part / "stage.json", _json(record))
    if not plan.finished(stage):  # another process may have been faster; its artefacts are the same
        part.replace(done)
    return done


def _assist(plan: Plan, stage: Stage, inputs: dict[str, Path], part: Path) -> None:
    """Work on a stage beside the process of rank 0, from the same checkpoint; only that one writes."""
    with tempfile.TemporaryDirectory() as room:
        distributed.wait()
        for checkpoint in part.glob("checkpoint.npz"):
            shutil.copy(checkpoint, room)
        log = Log(Path(room) / "metrics.jsonl", stage.name)
        _run_method(stage, Work(plan.data, inputs, Path(room), plan.seed, plan.device, log))


def _run_method(stage: Stage, work: Work) -> None:
    import torch

    sizes = [n for n in asdict(stage.options) if n in ("batch", "crop", "size", "scales")]
    lower = f"lower {' or '.join(f'{stage.name}.{n}' for n in sizes)} with --set" if sizes else "use smaller images"
    try:
        stage.module.run(work, stage.options)
    except (torch.OutOfMemoryError, MemoryError) as e:
        raise InputError(f"The memory ran out in the stage {stage.name}; {lower}, then go on with --resume.") from e
    except RuntimeError as e:
        if "not enough memory" not in str(e):  # how PyTorch puts it on a CPU
            raise
        raise InputError(f"The memory ran out in the stage {stage.name}; {lower}, then go on with --resume.") from e


def execute(plan: Plan, out: Path, *, resume: bool = False, show: Show | None = None) -> dict[str, Any]:
    """Run all stages and leave result.json, metrics.jsonl, predictions/ and pictures in a folder.

    Returns
    -------
    dict
        What result.json holds.

    Raises
    ------
    InputError
        If the folder holds a run already and `resume` is not asked for, or holds another run; if a stage asks for a
        CRF and the extra for it is not installed.
    """
    from iamiou_benchmarks.cams import crf
    from iamiou_benchmarks.running.class_report import class_record

    if any(getattr(stage.options, "crf", False) and not plan.finished(stage) for stage in plan.run.stages):
        crf.require()

    config = described(plan.run)
    identity = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
    _claim(out, f"{plan.run.name} {plan.seed} {identity}\n", resume)
    folders = [run_stage(plan, stage, resume=resume, show=show) for stage in plan.run.stages]
    by_name = {s.name: folder for s, folder in zip(plan.run.stages, folders, strict=True)}
    classes = class_record(plan.data, by_name)
    groups = tuple(classes["group"].values())
    records = [json.loads((folder / "stage.json").read_text(encoding="utf-8")) for folder in folders]
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "run": plan.run.name,
        "seed": plan.seed,
        "config": config,
        "config_sha256": identity,
        "data": {"name": plan.data.name, "digests": dict(plan.data.digests), "bins": list(plan.data.bins)},
        "stages": records,
        "hardware": hardware(plan.device),
        "versions": versions(),
        "claims_used": [note for record in records for note in record["notes"]],
        "replicates": {name: _replicates(folder, groups) for name, folder in by_name.items()},
        "classes": classes,
    }
    lines = [p.read_text(encoding="utf-8") for f in folders if (p := f / "metrics.jsonl").exists()]
    write_bytes(out / "metrics.jsonl", "".join(lines).encode())
    if (folders[-1] / "predictions").is_dir():
        shutil.rmtree(out / "predictions", ignore_errors=True)
        shutil.copytree(folders[-1] / "predictions", out / "predictions")
    from iamiou_benchmarks.running.pictures import draw_curves, draw_sheet

    draw_curves(out / "metrics.jsonl", out / "curves.png")
    draw_sheet(plan.data, {s.name: f for s, f in zip(plan.run.stages, folders, strict=True)}, out / "sheet.png")
    text = _json(result)
    write_bytes(out / "result.json", text)
    written: dict[str, Any] = json.loads(text)
    return written


def _claim(out: Path, identity: str, resume: bool) -> None:
    """Make the folder of a run, or see that the one that is there is of this run and may be continued."""
    mark = out / "run.txt"
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not mark.is_file())):
        raise InputError(f"'{out}' holds something else; give the run a folder of its own with --out.")
    if mark.is_file():
        if mark.read_text(encoding="utf-8") != identity:
            raise InputError(f"'{out}' holds another run or other options; give this one another folder with --out.")
        if not resume:
            raise InputError(f"'{out}' holds this run already; go on with --resume, or give another folder with --out.")
    out.mkdir(parents=True, exist_ok=True)
    write_bytes(mark, identity.encode())


def _replicates(folder: Path, groups: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return what verdicts need of a stage: all scores of test; of train those that masks are judged by."""
    from iamiou_benchmarks.running.replicates import replicates_of

    splits = [s for s in ("test", "train") if (folder / f"scores-{s}.npz").exists()]
    found = {s: replicates_of(folder / f"scores-{s}.npz", groups) for s in splits}
    kept = {"mIoU", "precision", "recall", *(f"IoU_{g}" for g in groups)}
    return {s: {k: v for k, v in all_.items() if s == "test" or k in kept} for s, all_ in found.items()}


def described(run: Run) -> dict[str, Any]:
    """Return all options of a run, also those that its file leaves at their defaults; see `counted_options`."""
    stages = {
        s.name: {"method": s.method, "inputs": list(s.inputs), "options": counted_options(s.options)}
        for s in run.stages
    }
    return {"data": asdict(run.data), "stages": stages}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def hardware(device: str) -> dict[str, Any]:
    """Describe the machine."""
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else _processor()
    return {"device": device, "name": name, "threads": torch.get_num_threads(), "system": platform.system()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def versions() -> dict[str, str]:
    """Return the versions of what computed."""
    found = {"iamiou": __version__, "python": sys.version.split()[0]}
    for name in ("torch", "numpy", "pillow", "numba"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
