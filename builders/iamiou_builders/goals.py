"""What a selection promises, and whether it keeps it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import counted, name_some
from iamiou_builders.model import Candidates, Selection
from iamiou_builders.selection import counts_of
from iamiou_builders.task import Ints, Task, make_task

#: The class that stands in most pictures, so that images chosen for others bring too many of it.
CROWD = "person"
#: Largest size bin of a class over its smallest: at most, and at most in the mean of the classes.
CLASS_RATIO, CLASS_RATIO_MEAN = 1.25, 1.10
#: Largest cell over smallest, without and with persons.
ALL_RATIO, ALL_RATIO_CROWD = 1.5, 2.0
#: Images over the linear programme's bound, when the fewest are asked for.
IMAGES = 1.05


@dataclass(frozen=True)
class Goal:
    """One promise about a selection.

    Parameters
    ----------
    name : str
        ``shortfall``, ``class-ratio``, ``class-ratio-mean``, ``all-ratio-without-person``, ``all-ratio``, ``images``
        or ``leaked``.
    figure : float
        What came out; NaN where the pool gives nothing to measure, which counts as met.
    bound : float
        The figure may be at most this.
    text : str
        What the figure is, and where it comes from.
    """

    name: str
    figure: float
    bound: float
    text: str

    @property
    def verdict(self) -> str:
        """Return yes or no, and a dash where there is nothing to measure."""
        return "–" if self.figure != self.figure else "yes" if self.met else "no"

    @property
    def met(self) -> bool:
        """Tell whether the figure keeps the bound."""
        return not self.figure > self.bound


def check(
    candidates: Candidates,
    selection: Selection,
    *,
    per_cell: int,
    cap: int = 8,
    leaked: Collection[int] = (),
) -> tuple[Goal, ...]:
    """Hold a selection against the goals.

    Ratios are taken over cells with at least ``per_cell`` instances available. Where one misses its goal, its text
    says how low any selection that meets the quotas could come.

    Parameters
    ----------
    candidates : Candidates
    selection : Selection
    per_cell, cap
        As given to `select`.
    leaked : collection of int
        Numbers of the images that methods may have been trained on.

    Returns
    -------
    tuple of Goal
        ``images`` is there only when the fewest images were asked for and the solver gave a bound.
    """
    have = counts_of(candidates, selection.ids)
    full = candidates.available >= per_cell
    goals = [_shortfall(candidates, have, full, per_cell, why_less(selection.method, cap))]
    goals += _class_ratios(candidates, have, full)
    if CROWD in candidates.class_names:
        but = np.array([name != CROWD for name in candidates.class_names])
        goals.append(_all_ratio(f"all-ratio-without-{CROWD}", candidates, have, full & but[:, None], ALL_RATIO))
        goals.append(_all_ratio("all-ratio", candidates, have, full, ALL_RATIO_CROWD))
    else:
        goals.append(_all_ratio("all-ratio", candidates, have, full, ALL_RATIO))
    if "least_images" in selection.details:
        goals.append(_images(selection))
    overlap = len(set(selection.ids.tolist()) & set(leaked))
    goals.append(Goal("leaked", overlap, 0, f"of {counted(selection.ids.size, 'image')} on a list of leaked images"))
    if all(g.met for g in goals):
        return tuple(goals)  # posing the task again, and its programmes, take seconds
    task = make_task(candidates, per_cell, seed=0, cap=cap)
    return tuple(g if g.met else _explain(g, candidates, task) for g in goals)


def why_less(method: str, cap: int) -> str:
    """Say why a cell that lacks instances does not hold all there are, to follow "fewer than there are:".

    >>> why_less("milp", 8)
    'the others stand only in images with more than 8 instances of a class, which the cap leaves out'
    """
    if method == "list":
        return "the list holds no more"
    crowd = f"more than {counted(cap, 'instance')} of a class"
    return f"the others stand only in images with {crowd}, which the cap leaves out"


def _shortfall(candidates: Candidates, have: Ints, full: NDArray[np.bool_], per_cell: int, why: str) -> Goal:
    missing = int(np.maximum(per_cell - have, 0)[full].sum())
    text = f"instances missing in the {counted(int(full.sum()), 'cell')} for which {per_cell} are available"
    if not full.all():
        less = np.argwhere(~full & (have < candidates.available)).tolist()
        hold = "holds" if len(less) == 1 else "hold"
        text += f"; of {counted(int((~full).sum()), 'other cell')}, {len(less) or 'none'} {hold} fewer than there are"
        if less:
            found = [f"{_cell(candidates, (c, b))} {have[c, b]} of {candidates.available[c, b]}" for c, b in less]
            text += f" ({name_some(found)}): {why}"
    return Goal("shortfall", missing, 0, text)


def _class_ratios(candidates: Candidates, have: Ints, full: NDArray[np.bool_]) -> Iterator[Goal]:
    ratio = np.array([_ratio(row[ok]) if ok.sum() > 1 else np.nan for row, ok in zip(have, full, strict=True)])
    defined = np.flatnonzero(~np.isnan(ratio))
    of = counted(defined.size, "class").replace("classs", "classes")
    if not defined.size:
        yield Goal("class-ratio", np.nan, CLASS_RATIO, "no class has two cells with enough available")
        yield Goal("class-ratio-mean", np.nan, CLASS_RATIO_MEAN, "no class has two cells with enough available")
        return
    worst = int(defined[ratio[defined].argmax()])
    at = " / ".join(map(str, have[worst].tolist()))
    name = candidates.class_names[worst]
    yield Goal(
        "class-ratio", float(ratio[worst]), CLASS_RATIO, f"largest size bin over smallest, worst of {of}: {name}, {at}"
    )
    yield Goal("class-ratio-mean", float(ratio[defined].mean()), CLASS_RATIO_MEAN, f"the same, mean of {of}")


def _all_ratio(name: str, candidates: Candidates, have: Ints, cells: NDArray[np.bool_], bound: float) -> Goal:
    if cells.sum() < 2:
        return Goal(name, np.nan, bound, "fewer than two cells have enough available")
    ratio = _ratio(have[cells])
    if ratio == 1:
        return Goal(name, ratio, bound, f"every cell holds {have[cells][0]}")
    most = np.where(cells, have, -1).argmax()
    least = np.where(cells, have, np.iinfo(np.int64).max).argmin()
    ends = (np.unravel_index(int(end), have.shape) for end in (most, least))
    text = ", ".join(f"{_cell(candidates, at)} {have[at]}" for at in ends)
    return Goal(name, ratio, bound, f"largest cell over smallest: {text}")


def _images(selection: Selection) -> Goal:
    bound, cover = (float(str(selection.details[k])) for k in ("least_images", "least_images_unbalanced"))
    text = (
        f"{counted(selection.ids.size, 'image')} over the linear programme's bound of {bound:.1f} for this balance "
        f"({cover:.1f} if only quotas counted)"
    )
    return Goal("images", selection.ids.size / bound, IMAGES, text)


def _explain(goal: Goal, candidates: Candidates, task: Task) -> Goal:
    """Add to a ratio that misses its goal what is the lowest that this pool allows."""
    from iamiou_builders.programme import least_ratio

    names, bins = candidates.class_names, len(candidates.bin_names)
    cells = np.flatnonzero(candidates.available.ravel() >= task.per_cell)
    if goal.name == "class-ratio":
        lowest = max(least_ratio(task, group) for group in task.groups)
    elif goal.name == f"all-ratio-without-{CROWD}":
        lowest = least_ratio(task, cells[cells // bins != names.index(CROWD)])
    elif goal.name == "all-ratio":
        lowest = least_ratio(task, cells)
    else:
        return goal
    why = f"no selection within the cap that meets the quotas comes below {lowest:.2f}"
    return Goal(goal.name, goal.figure, goal.bound, f"{goal.text}; {why}")


def _ratio(counts: Ints) -> float:
    return float(counts.max() / counts.min()) if counts.min() > 0 else float("inf")


def _cell(candidates: Candidates, at: tuple[Any, ...]) -> str:
    return f"{candidates.class_names[at[0]]} {candidates.bin_names[at[1]]}"
