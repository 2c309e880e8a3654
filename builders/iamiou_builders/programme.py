"""The selection as a mixed-integer programme, and what can be proved about it.

The linear relaxation over all kinds of images is solved first. Its reduced costs say which kinds cannot matter much:
the integers are sought among the others, and among those that the greedy choice uses. What the relaxation says about
the kinds left out keeps the bound true for the whole pool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from iamiou_builders.task import SPREAD, Floats, Ints, Task, Weights, price

#: Kinds of images that the integer programme chooses from, beside those that the relaxation and the greedy use.
KINDS = 400
#: Relative gap and number of nodes at which the search ends; never a time, which would make results differ.
GAP = 0.005
NODES = 100
_DIGITS = 7  # of reduced costs, so that noise of the last bits decides nothing


@dataclass(frozen=True)
class Model:
    """A programme ``low <= matrix @ x <= high``, ``0 <= x <= top``; the kinds are the first columns of x."""

    matrix: sparse.csc_matrix
    low: Floats
    high: Floats
    top: Floats
    cost: Floats
    kinds: int


@dataclass(frozen=True)
class Solution:
    """Images to take of every kind, what they cost, and the least that any choice can cost."""

    picked: Ints
    cost: float
    bound: float
    method: str
    status: str
    details: dict[str, float | int]


def make_model(task: Task, weights: Weights, kinds: Ints) -> Model:
    """Write the task as a programme over some of its kinds.

    Columns after the kinds: instances over the quota and in excess of the limit, a cell each; the largest cell of each
    class and how far the others stay below it; images below and above the range.
    """
    counts = sparse.csr_matrix(task.counts[kinds].T.astype(np.float64))
    cells, n = counts.shape
    groups = task.groups
    member = np.concatenate(groups) if groups else np.zeros(0, np.int64)
    of = np.repeat(np.arange(len(groups)), [g.size for g in groups])
    largest = sparse.csr_matrix((np.ones(member.size), (np.arange(member.size), of)), (member.size, len(groups)))
    one, each = sparse.identity(cells), sparse.identity(member.size)
    images = np.ones((1, n))
    matrix = sparse.bmat(
        [
            [counts, None, None, None, None, None],
            [counts, -one, -one, None, None, None],
            [counts[member], None, None, -largest, None, None],
            [SPREAD * counts[member], None, None, -largest, each, None],
            [images, None, None, None, None, np.array([[1.0, 0.0]])],
            [images, None, None, None, None, np.array([[0.0, -1.0]])],
        ],
        format="csc",
    )
    m, free = member.size, np.inf
    low: list[Any] = [task.quota, np.full(cells + m, -free), np.zeros(m), [task.low, -free]]
    high: list[Any] = [np.full(cells, free), task.quota, np.zeros(m), np.full(m + 1, free), [task.high]]
    room = np.maximum(task.limit - task.quota, 0)
    top: list[Any] = [task.number[kinds], room, np.full(cells + len(groups) + m + 2, free)]
    cost: list[Any] = [np.full(n, weights.image), np.full(cells, weights.over), np.full(cells, weights.excess)]
    cost += [np.zeros(len(groups)), np.full(m, weights.uneven), np.full(2, weights.off)]
    return Model(matrix, _joined(low), _joined(high), _joined(top), _joined(cost), n)


def solve(task: Task, weights: Weights, greedy: Ints) -> Solution:
    """Find the cheapest choice that meets every quota, as far as the gap and the limit on nodes allow.

    Parameters
    ----------
    task : Task
    weights : Weights
        What is paid for.
    greedy : int64 array, (kinds,)
        A choice that meets the quotas; its kinds are among those that the solver chooses from.
    """
    everything = np.arange(task.number.size)
    relaxed, value, reduced = relax(make_model(task, weights, everything))
    matters = (relaxed > 1e-7) | (greedy > 0)
    matters[np.argsort(reduced, kind="stable")[:KINDS]] = True
    kinds = np.flatnonzero(matters)
    model = make_model(task, weights, kinds)
    found = milp(
        model.cost,
        constraints=LinearConstraint(model.matrix, model.low, model.high),
        bounds=Bounds(0, model.top),
        integrality=np.arange(model.cost.size) < model.kinds,
        options={"mip_rel_gap": GAP, "node_limit": NODES},
    )
    picked = greedy
    if found.x is not None:
        picked = np.zeros_like(task.number)
        picked[kinds] = np.rint(found.x[: model.kinds]).astype(np.int64)
    within = value if found.mip_dual_bound is None else float(found.mip_dual_bound)
    outside = value + float(reduced[~matters].min(initial=np.inf))  # as soon as one image of the others is taken
    cost, of_greedy = price(task, picked, weights), price(task, greedy, weights)
    method = "greedy" if picked is greedy or cost > of_greedy else "milp"
    picked, cost = (greedy, of_greedy) if method == "greedy" else (picked, cost)
    bound = min(max(value, min(within, outside)), cost)
    details = {"relaxation": value, "kinds": int(kinds.size), "nodes": int(found.mip_node_count or 0)}
    return Solution(
        picked, cost, bound, method, _words(found.x is not None, found.status, found.message, kinds.size), details
    )


def relax(model: Model) -> tuple[Floats, float, Floats]:
    """Solve without the demand for whole numbers.

    Returns
    -------
    Float array, float, float array
        Images of every kind, the least cost, and by how much that rises for the first image of a kind not used.
    """
    above, below = np.isfinite(model.high), np.isfinite(model.low)
    matrix = sparse.vstack([model.matrix[above], -model.matrix[below]], format="csc")
    side = np.concatenate([model.high[above], -model.low[below]])
    ends = np.stack([np.zeros_like(model.top), model.top], axis=1)
    found = linprog(model.cost, A_ub=matrix, b_ub=side, bounds=ends, method="highs-ds")
    if found.x is None:  # cannot be: taking every image meets every constraint
        raise RuntimeError(f"the linear programme has no solution: {found.message}")
    reduced = model.cost - matrix.T @ found.ineqlin.marginals
    n = model.kinds
    return found.x[:n], float(found.fun), np.maximum(np.round(reduced[:n], _DIGITS), 0)


def least_images(task: Task, weights: Weights, picked: Ints) -> tuple[float, float]:
    """Return the linear programme's bounds on the number of images.

    Returns
    -------
    float, float
        For selections that are balanced as well as this one, and for ones that only meet the quotas.
    """
    model = make_model(task, weights, np.arange(task.number.size))
    n = model.kinds
    images = np.where(np.arange(model.cost.size) < n, 1.0, 0.0)
    unbalance = np.where(images > 0, 0.0, model.cost)
    unbalance[-2:] = 0
    paid = price(task, picked, Weights(0, weights.over, weights.excess, weights.uneven, 0))
    bounded = Model(
        sparse.vstack([model.matrix, unbalance[None]], format="csc"),
        np.append(model.low, -np.inf),
        np.append(model.high, paid + 1e-6),
        model.top,
        images,
        n,
    )
    return relax(bounded)[1], relax(Model(model.matrix, model.low, model.high, model.top, images, n))[1]


def _joined(parts: list[Any]) -> Floats:
    return np.concatenate(parts).astype(np.float64)


def _words(found: bool, status: int, message: str, kinds: int) -> str:
    """Say how the search ended."""
    if not found:
        return f"no solution ({message.strip()}); the greedy choice stands"
    if status == 0:
        return f"within {GAP:.1%} of the best choice among {kinds} kinds of images"
    return f"stopped after {NODES} nodes of the search among {kinds} kinds of images"


def least_ratio(task: Task, cells: Ints, *, steps: int = 14) -> float:
    """Return a lower bound on largest over smallest of some cells, for any choice that meets the quotas."""
    low, high = 1.0, float((task.number @ task.counts)[cells].max() / max(task.quota[cells].min(), 1))
    for _ in range(steps):
        ratio = (low + high) / 2
        low, high = (low, ratio) if can_keep(task, cells, ratio) else (ratio, high)
    return low


def can_keep(task: Task, cells: Ints, ratio: float) -> bool:
    """Tell whether fractions of images could meet all quotas and keep the largest of some cells near the smallest."""
    counts = sparse.csr_matrix(task.counts.T.astype(np.float64))
    some, n = counts[cells], task.number.size
    smallest = sparse.csr_matrix(np.ones((cells.size, 1)))  # one more column, no larger than any of the cells
    rows = [
        sparse.hstack([-some, smallest]),
        sparse.hstack([some, -ratio * smallest]),
        sparse.hstack([-counts, sparse.csr_matrix((task.quota.size, 1))]),
    ]
    side = np.concatenate([np.zeros(2 * cells.size), -task.quota])
    ends = np.stack([np.zeros(n + 1), np.append(task.number, np.inf)], axis=1)
    found = linprog(np.zeros(n + 1), A_ub=sparse.vstack(rows, format="csc"), b_ub=side, bounds=ends, method="highs-ds")
    return bool(found.status == 0)
