"""Try what might bring `iamiou score` nearer to the floor, each beside what is done now, and write down what it gave.

python benchmarks/speed/ideas.py [--quick] [--real DIR] [--work DIR] [--out FILE.md]
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from docs_section import parse, replace
from environments import prepare
from peer_environments import fill
from stages import FEW, folders
from timing import Ratio, Run, Times, compare, run

HERE = Path(__file__).resolve().parent
INFLATERS = ["deflate==0.9.0", "isal==1.9.1", "zlib-ng==1.1.0", "numpy==2.2.6"]
SETS = {"few": f"{FEW} VOC-like pairs", "voc": "1,449", "city": "50 Cityscapes-like"}
Row = tuple[str, str, str]  # what was tried, what it gave, the verdict
SCORE = "import sys; from iamiou.cli import main; main()"
#: What the command did before it loaded Numba without the garbage collector.
COLLECT = "import iamiou.jit; iamiou.jit.load_for_good = lambda modules: None; "


def in_turn(
    commands: Mapping[str, list[str]], rounds: int, environments: Mapping[str, dict[str, str]] | None = None
) -> dict[str, list[Run]]:
    """Run commands in turn, each in an environment of its own variables, once unseen."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for k in range(rounds + 1):
        for name, command in commands.items():
            once = run(command, (environments or {}).get(name))
            if k:
                runs[name].append(once)
    return runs


def percent(ratio: Ratio) -> str:
    return f"{100 * ratio.value:.0f} % ({100 * ratio.low:.0f} to {100 * ratio.high:.0f})"


def left(ratios: list[Ratio]) -> str:
    """Judge an idea that is not in the program by what it gave: a gain has to show in the quartiles."""
    if all(r.high < 0.98 for r in ratios):
        return "**not taken yet: it gives something**"
    return "left: makes it slower" if any(r.low > 1.02 for r in ratios) else "left: within the noise"


@dataclass(frozen=True)
class Scoring:
    """`iamiou score` on sets of pairs, as it is and with an idea, in turn."""

    python: Path
    arguments: dict[str, list[str]]
    rounds: int

    def against_now(self, names: Sequence[str], code: str, environment: dict[str, str]) -> tuple[str, list[Ratio]]:
        """Return the CPU time with the idea in times of that without, as text and as numbers."""
        cells, ratios = [], []
        for name in names:
            commands = {"now": [str(self.python), "-c", SCORE], "idea": [str(self.python), "-c", code + SCORE]}
            commands = {key: [*command, *self.arguments[name]] for key, command in commands.items()}
            runs = in_turn(commands, self.rounds, {"idea": environment})
            ratios.append(compare(runs, "idea", "now", cpu=True))
            cells.append(f"{SETS[name]}: {percent(ratios[-1])}")
        return "; ".join(cells), ratios


def scoring(python: Path, work: Path, sets: dict[str, list[str]], rounds: int) -> Scoring:
    """Write the lists and folders that the commands need."""
    few, lists = work / "stage-few", work / "idea-lists"
    shutil.rmtree(few, ignore_errors=True)
    few.mkdir()
    for file in sorted(Path(sets["voc"][0]).glob("*.png"))[:FEW]:
        shutil.copyfile(file, few / file.name)
    lists.mkdir(exist_ok=True)
    arguments = {}
    for name, guess in (("few", str(few)), ("voc", sets["voc"][0]), ("city", sets["city"][0])):
        _, semantic, instances, classes = sets["city" if name == "city" else "voc"]
        listed, named = lists / f"{name}.txt", lists / f"{classes}-classes.txt"
        listed.write_text("".join(f"{p.stem}\n" for p in sorted(Path(guess).glob("*.png"))))
        named.write_text("".join(f"class {k}\n" for k in range(int(classes))))
        sides = ["--semantic", semantic, "--instances", instances, "--list", str(listed), "--classes", str(named)]
        arguments[name] = ["score", guess, *sides, "--bootstrap", "0", "--threads", "1"]
    return Scoring(python, arguments, rounds)


def whole_commands(score: Scoring, work: Path) -> list[Row]:
    """Try what changes the process as a whole."""
    gave, _ = score.against_now(("few", "voc"), COLLECT, {})
    kept = {"MALLOC_TRIM_THRESHOLD_": str(1 << 28), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}
    memory, with_memory = score.against_now(("voc", "city"), "", kept)
    vector = {"NUMBA_SLP_VECTORIZE": "1", "NUMBA_CACHE_DIR": str(work / "idea-slp")}
    slp, with_slp = score.against_now(("voc", "city"), "", vector)
    return [
        (
            "Import Numba without the garbage collector, then `gc.freeze()`: it never looks at Numba's objects again",
            f"CPU of the command as it was before, in times of now: {gave}",
            "**kept** (`iamiou.jit.load_for_good`)",
        ),
        (
            "Keep freed memory in the process (glibc's thresholds), so that buffers of decoded maps fault no pages",
            f"CPU in times of now: {memory}",
            left(with_memory),
        ),
        (
            "Let LLVM vectorise straight-line code of the kernels (`NUMBA_SLP_VECTORIZE=1`)",
            f"CPU in times of now: {slp}",
            left(with_slp),
        ),
    ]


def without_numba(python: Path, rounds: int) -> Row:
    imports = {"now": "import numba", "idea": "import numpy, llvmlite.binding"}
    runs = in_turn({key: [str(python), "-c", code] for key, code in imports.items()}, rounds)
    saved = [1000 * (a.cpu - b.cpu) for a, b in zip(runs["now"], runs["idea"], strict=True)]
    return (
        "Load the compiled kernels with llvmlite alone, without importing Numba",
        f"would save at most {median(saved):.0f} ms of CPU a command (`import numba` less NumPy and llvmlite)",
        "not done: a loader of Numba's cache files of our own, whose form changes with its versions",
    )


def inflate(work: Path, sets: dict[str, list[str]], rounds: int) -> Row:
    """Compare inflate libraries on the packed pixels, one thread, in an environment of their own."""
    folder = work / "peers" / "inflate"
    stamp = folder / "installed.txt"
    if not stamp.exists() or stamp.read_text() != "\n".join(INFLATERS):
        if fault := fill(folder, INFLATERS):
            return ("Other inflate libraries (ISA-L, zlib-ng)", f"not installed: {fault}", "")
        stamp.write_text("\n".join(INFLATERS))
    cells = []
    for name, parts in sets.items():
        output = run([folder / "bin" / "python", HERE / "idea_inflate.py", str(rounds), *parts[:3]]).output
        seconds: dict[str, Any] = json.loads(output)
        times = Times({key: [[s] for s in each] for key, each in seconds.items()})
        title = {"voc": "VOC-like", "city": "Cityscapes-like", "real": "real VOC masks"}[name]
        each = ", ".join(f"{key} {times.ratio(key, 'libdeflate').value:.2f}" for key in seconds if key != "libdeflate")
        cells.append(f"{title}: {each}")
    what = "Other inflate libraries in place of libdeflate"
    return (
        what,
        f"time in times of libdeflate: {'; '.join(cells)}",
        "left: libdeflate is fastest but where this says less than 1",
    )


def main() -> None:
    options = parse(__doc__)
    work = options.work.resolve()
    programs = prepare(work)
    run([programs["arrays"] / "python", HERE / "generate.py", work / "data"])
    sets = folders(work / "data", options.real.resolve() if options.real else None)
    rounds = 3 if options.quick else 5
    python = programs["iamiou"] / "python"
    found = whole_commands(scoring(python, work, sets, rounds), work)
    found += [without_numba(python, rounds), inflate(work, sets, rounds)]
    lines = [
        "## What was tried",
        "",
        "```console",
        "$ python benchmarks/speed/ideas.py" + " --quick" * options.quick,
        "```",
        "",
    ]
    lines += ["| idea | what it gives: median (quartiles) of runs in turn | |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in found]
    replace(options.out, "ideas", "\n".join(lines) + "\n")
    print(f"the table is in {options.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
