"""Choose the images: as many instances in every cell as asked for, and as few more as can be."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal

import numpy as np

from iamiou.errors import InputError
from iamiou_builders.greedy import cover
from iamiou_builders.model import Candidates, Selection
from iamiou_builders.task import WEIGHTS, Ints, Objective, Task, make_task, price


def select(
    candidates: Candidates,
    *,
    per_cell: int = 60,
    seed: int = 0,
    objective: Objective = "balance",
    cap: int = 8,
    solver: Literal["milp", "greedy"] = "milp",
    progress: Callable[[str], None] | None = None,
) -> Selection:
    """Select images so that every class has the same number of instances in every size bin.

    Every cell gets ``per_cell`` instances or all there are. Among the choices that do so, ``balance`` takes the one
    with least instances beyond, weighing most what makes the bins of a class unequal, and about as many images as the
    pool's own density of instances gives. ``min-images`` takes the fewest images that keep every cell below 1.25 times
    the quota. Where that cannot be, it comes as near as it can.

    Parameters
    ----------
    candidates : Candidates
        In any order: only the seed decides between equal images.
    per_cell, seed : int
    objective : {'balance', 'min-images'}
    cap : int
        Images with more instances of one class are taken only if a quota cannot be met without them.
    solver : {'milp', 'greedy'}
        ``greedy`` skips the integer programme.
    progress : callable, optional
        ``progress(text)`` is told what is going on.

    Returns
    -------
    Selection
        ``objective`` is the cost as `iamiou_builders.task.Weights` has it and ``bound`` the least that any selection
        from these candidates can cost.

    Raises
    ------
    InputError
        If the numbers make no sense, nothing can be selected, or SciPy is missing.

    Examples
    --------
    Small and large cats in four images; two of each are wanted:

    >>> counts = np.array([[[1, 0]], [[0, 1]], [[1, 3]], [[0, 1]]])
    >>> pool = Candidates(np.array([7, 8, 9, 12]), counts, ("cat",), ("S", "L"))
    >>> select(pool, per_cell=2).ids.tolist(), select(pool, per_cell=1).ids.size
    ([7, 9], 2)
    """
    tell = progress or (lambda _: None)
    tell("posing the selection")
    task, weights = make_task(candidates, per_cell, seed, cap), WEIGHTS[objective]
    tell(f"choosing greedily from {task.members.size} images of {task.number.size} kinds")
    greedy = cover(task)
    cost = price(task, greedy, weights)
    details = {"greedy_cost": cost, "greedy_images": int(greedy.sum())} | _facts(task)
    if solver == "greedy":
        return Selection(task.ids(greedy), "greedy", "greedy with pruning", cost, np.nan, np.nan, details)
    need_solver()
    from iamiou_builders.programme import least_images, solve

    tell("improving the choice with an integer programme")
    found = solve(task, weights, greedy)
    details |= found.details
    if objective == "min-images":
        balanced, quotas_only = least_images(task, weights, found.picked)
        details |= {"least_images": balanced, "least_images_unbalanced": quotas_only}
    gap = (found.cost - found.bound) / found.cost if found.cost else 0.0
    return Selection(task.ids(found.picked), found.method, found.status, found.cost, found.bound, gap, details)


def need_solver() -> None:
    """Refuse to begin without SciPy, whose HiGHS solves the programmes."""
    if find_spec("scipy") is None:
        raise InputError("Choosing images needs SciPy; type: pip install 'iamiou[builders]'")


def counts_of(candidates: Candidates, ids: Ints) -> Ints:
    """Return the instances in every cell of some of the images, (classes, bins)."""
    total: Ints = candidates.counts[np.isin(candidates.ids, ids)].sum(axis=0)
    return total


def _facts(task: Task) -> dict[str, float | int]:
    return {
        "candidates": int(task.members.size),
        "distinct": int(task.number.size),
        "readmitted": task.readmitted,
        "images_low": task.low,
        "images_high": task.high,
    }
