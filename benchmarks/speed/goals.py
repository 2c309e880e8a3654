"""What is measured, what was promised, and the table that says how it went."""

from __future__ import annotations

from dataclasses import dataclass

from timing import Ratio


@dataclass(frozen=True)
class Goal:
    """One row of the table; `accept` and `stretch` are bounds on the measured ratio (or size)."""

    what: str
    accept: float
    stretch: float | None
    faster: bool = False  # the ratio says how many times faster: large is good
    unit: str = "×"

    def bound(self, value: float | None) -> str:
        return "" if value is None else f"{'≥' if self.faster else '≤'} {value:g} {self.unit}"

    def verdict(self, value: float) -> str:
        def met(bound: float | None) -> bool:
            return bound is not None and (value >= bound if self.faster else value <= bound)

        return "stretch" if met(self.stretch) else "accept" if met(self.accept) else "**missed**"


_KERNEL = "fused kernel, one thread, nested rule: times faster than NumPy + cc3d (plain components)"
_READS = "the same, in times of one read of its three maps"
_COMPONENTS = "connected components alone, in times of cc3d"
_RUNS = "all that components add to the kernel (labels, overlaps, sharing), in times of cc3d's labels alone"
_DECODE = "PNG decoding: times faster than Pillow"
_MIOU = "mIoU alone from folders, CPU a pair, in times of hotcoco"
_THREADS = "two threads: times faster than one"

GOALS = {
    "kernel VOC-like": Goal(f"{_KERNEL}; VOC-like", 6, 10, True),
    "kernel City-like": Goal(f"{_KERNEL}; Cityscapes-like", 6, 10, True),
    "kernel real": Goal(f"{_KERNEL}; real VOC masks", 6, 10, True),
    "reads VOC-like": Goal(f"{_READS}; VOC-like", 14, 6),
    "reads City-like": Goal(f"{_READS}; Cityscapes-like", 14, 6),
    "reads real": Goal(f"{_READS}; real VOC masks", 14, 6),
    "components VOC-like": Goal(f"{_COMPONENTS}, label image written; VOC-like", 1, 0.6),
    "components City-like": Goal(f"{_COMPONENTS}, label image written; Cityscapes-like", 1, 0.6),
    "runs VOC-like": Goal(f"{_RUNS}; VOC-like", 1, 0.6),
    "runs City-like": Goal(f"{_RUNS}; Cityscapes-like", 1, 0.6),
    "runs real": Goal(f"{_RUNS}; real VOC masks", 1, 0.6),
    "decode palette": Goal(f"{_DECODE}; palette, VOC-like", 4, 8, True),
    "decode real": Goal(f"{_DECODE}; palette, real VOC masks", 4, 8, True),
    "decode grey 8": Goal(f"{_DECODE}; grey 8, Cityscapes-like", 3.5, 5, True),
    "decode grey 16": Goal(f"{_DECODE}; grey 16, Cityscapes-like", 3.5, 4, True),
    "miou VOC-like": Goal(f"{_MIOU}; VOC-like", 1, 0.5),
    "miou City-like": Goal(f"{_MIOU}; Cityscapes-like", 1, 0.5),
    "score": Goal(
        "`iamiou score --bootstrap 0 --threads 2`, 1,449 triples, warm, in times of hotcoco's mIoU alone",
        *(2.2, 1.3),
    ),
    "threads VOC-like": Goal(f"{_THREADS}; VOC-like", 1.7, 1.9, True),
    "threads City-like": Goal(f"{_THREADS}; Cityscapes-like", 1.7, 1.9, True),
    "large time": Goal("8192 × 8192 pair: times faster than NumPy + cc3d", 7, None, True),
    "large memory": Goal("8192 × 8192 pair: memory beside the 256 MiB of maps", 100, 60, unit="MB"),
    "help": Goal('`iamiou --help`, in times of `python -c "import click"`', 2, None),
    "few": Goal('20 pairs, warm, whole process, in times of `python -c "import numba"`', 2, 1),
    "first": Goal("the first run ever (compiles), in times of the same", 20, 10),
    "bootstrap": Goal("1,000 bootstrap resamples of 1,449 images, in times of scoring them", 0.1, None),
}


@dataclass(frozen=True)
class Measured:
    """What was found for one goal."""

    value: float
    low: float
    high: float
    note: str = ""
    void: bool = False  # the machine was too busy for a verdict

    @classmethod
    def of(cls, ratio: Ratio, note: str = "", void: bool = False) -> Measured:
        return cls(ratio.value, ratio.low, ratio.high, note, void)


def table(measured: dict[str, Measured]) -> str:
    """Markdown: one line a goal that was measured."""
    lines = ["| what | accept | stretch | measured (quartiles) | verdict | |", "|---|---|---|---|---|---|"]
    for key, goal in GOALS.items():
        if key in measured:
            m = measured[key]
            verdict = "not judged" if m.void else goal.verdict(m.value)
            shown = f"{number(m.value)} ({number(m.low)} to {number(m.high)}) {goal.unit}"
            cells = goal.what, goal.bound(goal.accept), goal.bound(goal.stretch), shown, verdict, m.note
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def number(value: float) -> str:
    """Round to what the measurement can bear."""
    return f"{value:.2f}" if value < 3 else f"{value:.1f}" if value < 30 else f"{value:.0f}"
