"""Whole processes: from folders to mIoU with one thread and with two, and what starting up costs."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from peer_measure import SETS, Figure, Found, Work, say
from peer_sets import FOLDERS
from timing import Run, compare, interleave_processes, run

HERE = Path(__file__).resolve().parent
THREADED = ("torchmetrics", "vernier")
#: Which tools' scripts need the grey copies of VOC's palettes, and what the environments' scripts are called.
GREY = ("opencv", "vernier")
SCRIPTS = {"cc3d": "numpy", "opencv": "opencv", "torchmetrics": "torchmetrics", "vernier": "vernier"}
Commands = dict[str, list[Any]]


def commands(work: Work) -> Found:
    """Time whole processes, one thread and two in turn, and what they hold in memory."""
    found: Found = {}
    scores: dict[str, float] = {}
    lists = work.maps / "lists"
    lists.mkdir(parents=True, exist_ok=True)
    for name, classes in (("voc", 21), ("city", 19)):
        say(f"measuring whole commands, {SETS[name][0]}")
        images = sorted(file.stem for file in (work.data / name / FOLDERS[name][1]).glob("*.png"))
        (lists / f"{name}.txt").write_text("".join(f"{image}\n" for image in images))
        (lists / f"{classes}.txt").write_text("".join(f"class {k}\n" for k in range(classes)))
        made: Commands = {}
        for threads in (1, 2):
            ours = of_iamiou(work, name, classes, threads, lists)
            theirs = of_scripts(work, name, classes, threads) | of_hotcoco(work, name, classes)
            single = {f"{key}_NUM_THREADS={threads}" for key in ("RAYON", "OMP", "OPENBLAS")}
            both = {**ours, **theirs}
            made |= {f"{what}, {threads}": ["env", *sorted(single), *command] for what, command in both.items()}
        known = run([*made["iamiou score --metrics miou, 1"], "--format", "json"]).output
        scores[name] = json.loads(known)["scores"]["mIoU"]
        runs = interleave_processes(made, work.rounds(4))
        check_scores(runs, scores[name], name)
        found[f"command {name}"] = with_threads(runs)
    return found | {"mIoU": scores}


def of_iamiou(work: Work, name: str, classes: int, threads: int, lists: Path) -> Commands:
    guess, truth, instances = (work.data / name / part for part in FOLDERS[name])
    program = work.crew.peers.program("iamiou", "iamiou")
    command = [program, "score", guess, "--semantic", truth, "--list", lists / f"{name}.txt", "--bootstrap", "0"]
    command += ["--classes", lists / f"{classes}.txt", "--threads", str(threads)]
    return {
        "iamiou score": [*command, "--instances", instances],
        "iamiou score --metrics miou": [*command, "--metrics", "miou"],
    }


def of_scripts(work: Work, name: str, classes: int, threads: int) -> Commands:
    guess, truth, _ = FOLDERS[name]
    found: Commands = {}
    for environment, tool in (SCRIPTS | ({"cityscapesscripts": "cityscapesscripts"} if name == "city" else {})).items():
        python = work.crew.peers.pythons.get(environment)
        if python and (threads == 1 or tool in THREADED):
            base = work.data / name
            if tool == "cityscapesscripts":
                base = work.maps / "city-ids"
            elif tool in GREY and name == "voc":
                base = work.maps / "voc-grey"
            arguments = [base / truth, base / guess, str(classes), str(threads)]
            found[f"script: {tool}"] = [python, HERE / "peer_script.py", tool, *arguments]
    return found


def of_hotcoco(work: Work, name: str, classes: int) -> Commands:
    if "hotcoco" not in work.crew.peers.pythons:
        return {}
    guess, truth, _ = (work.data / name / part for part in FOLDERS[name])
    options = ["--gt", truth, "--pred", guess, "--classes", str(classes), "--json"]
    return {"hotcoco (coco semantic eval)": [work.crew.peers.program("hotcoco", "coco"), "semantic", "eval", *options]}


def check_scores(runs: dict[str, list[Run]], score: float, name: str) -> None:
    """Stop unless all commands print the same mIoU."""
    for what, several in runs.items():
        if what.startswith("iamiou"):
            continue  # prints three digits
        found = re.search(r'mIoU"?:? ([0-9.]+)', several[0].output)
        if found is None or abs(float(found.group(1)) - score) > 1e-9:
            said = found.group(1) if found else several[0].output[:200]
            raise SystemExit(f"{what} finds mIoU {said} on the {SETS[name][0]} set, iamiou {score}.")


def with_threads(runs: dict[str, list[Run]]) -> dict[str, Any]:
    """Compare one thread with iamiou's one thread, and with the tool's own two."""
    single = {what[:-3]: several for what, several in runs.items() if what.endswith(", 1")}
    found = of_runs(single, "iamiou score")
    for what, one in found.items():
        if f"{what}, 2" in runs:
            r = compare(runs, f"{what}, 1", f"{what}, 2")
            one["faster"] = asdict(Figure(r.low, r.value, r.high))
    return found


def of_runs(runs: dict[str, list[Run]], first: str) -> dict[str, Any]:
    found = {}
    for what, several in runs.items():
        r, cpu = compare(runs, what, first), compare(runs, what, first, cpu=True)
        one = asdict(Figure(r.low, r.value, r.high, 1000 * sorted(one.wall for one in several)[len(several) // 2]))
        found[what] = one | {"cpu": asdict(Figure(cpu.low, cpu.value, cpu.high)), "megabytes": 0.0}
        found[what]["megabytes"] = max(one.peak for one in several) / 1e6
    return found


def start_up(work: Work) -> Found:
    """Time from nothing to the help text, or to the package being imported."""
    peers = work.crew.peers
    made: dict[str, list[Any]] = {"iamiou --help": [peers.program("iamiou", "iamiou"), "--help"]}
    made["python -c pass"] = [peers.pythons["iamiou"], "-c", "pass"]
    programs = {"hotcoco": "coco", "panoptica": "panopticacli"}
    modules = {
        **{"cc3d": "cc3d", "scikit-image": "skimage.measure", "opencv": "cv2", "imageio": "imageio.v3"},
        **{"torchmetrics": "torchmetrics", "panoptica": "panoptica", "pycocotools": "pycocotools.cocoeval"},
        **{"faster-coco-eval": "faster_coco_eval", "hotcoco": "hotcoco", "vernier": "vernier"},
        "cityscapesscripts": "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling",
    }
    for environment in peers.pythons:
        if environment in programs and peers.program(environment, programs[environment]).exists():
            made[f"{programs[environment]} --help"] = [peers.program(environment, programs[environment]), "--help"]
        if module := modules.get(environment):
            made[f"import {module}"] = [peers.pythons[environment], "-c", f"import {module}"]
    made["import iamiou; iamiou.evaluate"] = [peers.pythons["iamiou"], "-c", "import iamiou; iamiou.evaluate"]
    say("measuring start-up")
    for what, command in list(made.items()):
        try:
            run(command)
        except RuntimeError as e:
            say(f"{what} fails: {e}")
            del made[what]
    return {"start": of_runs(interleave_processes(made, work.rounds(9)), "iamiou --help")}
