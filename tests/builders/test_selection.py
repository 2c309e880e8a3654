"""Selections: quotas, costs against brute force, order, seeds, the cap and what happens when something is missing."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from iamiou.errors import InputError
from iamiou_builders import programme
from iamiou_builders.greedy import cover
from iamiou_builders.model import Candidates
from iamiou_builders.selection import counts_of, select
from iamiou_builders.task import WEIGHTS, Task, Weights, make_task, price
from tests.builders.pools import make_pool

OBJECTIVES = ("balance", "min-images")


def small_pool(seed: int, images: int = 9, classes: int = 2, bins: int = 2, most: int = 3) -> Candidates:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, most + 1, (images, classes, bins)) * (rng.random((images, classes, bins)) < 0.6)
    names = tuple("abcdefgh"[:classes])
    return Candidates(np.sort(rng.choice(1000, images, replace=False)), counts, names, ("S", "L", "X")[:bins])


def all_choices(task: Task) -> np.ndarray:
    """Return every choice that meets the quotas."""
    grid = np.array(list(itertools.product(*(range(n + 1) for n in task.number))))
    return grid[(grid @ task.counts >= task.quota).all(axis=1)]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("kinds", [800, 1])
def test_costs_lie_between_bound_and_brute_force(objective, kinds, monkeypatch):
    """With one kind beside those of the relaxation, the choice may be worse, but the bound must stay true."""
    monkeypatch.setattr(programme, "KINDS", kinds)
    missed = 0
    for seed in range(25):
        pool = small_pool(seed)
        task = make_task(pool, 4, seed, cap=8)
        best = min(price(task, picked, WEIGHTS[objective]) for picked in all_choices(task))
        found = select(pool, per_cell=4, seed=seed, objective=objective)
        assert found.bound <= best + 1e-6
        assert best - 1e-6 <= found.objective
        missed += found.objective > best * (1 + programme.GAP) + 1e-6
    assert missed <= (0 if kinds == 800 else 5)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_programme_and_price_agree_on_every_choice(objective):
    """What the programme pays for a choice is what `price` says, as two pieces of code."""
    for seed in range(4):
        task = make_task(small_pool(seed, images=6), 3, seed, cap=8)
        model = programme.make_model(task, WEIGHTS[objective], np.arange(task.number.size))
        for picked in all_choices(task)[::7]:
            top = model.top.copy()
            top[: model.kinds] = picked
            low = np.zeros_like(top)
            low[: model.kinds] = picked
            fixed = programme.milp(
                model.cost,
                constraints=programme.LinearConstraint(model.matrix, model.low, model.high),
                bounds=programme.Bounds(low, top),
            )
            assert fixed.fun == pytest.approx(price(task, picked, WEIGHTS[objective]))


def test_price_by_hand():
    counts = np.array([[5, 1], [0, 3]])
    task = Task(counts, np.array([2, 1]), np.array([1, 2, 3]), 4, np.array([4, 4]), 2, low=2, high=2, readmitted=0)
    # Both of the first kind and the one of the second: 10 and 5 against 4; the limit is 5, and 1.25 x 5 = 6.25 < 10.
    assert price(task, np.array([2, 1]), Weights(image=1, over=10, excess=100, uneven=1000, off=10_000)) == (
        3 + 10 * (1 + 1) + 100 * 5 + 1000 * 3.75 + 10_000
    )


@pytest.mark.parametrize(("objective", "seed"), [("balance", 0), ("min-images", 1)])
def test_large_pool(objective, seed):
    pool = make_pool(6000, seed)
    found = select(pool, per_cell=15, seed=seed, objective=objective)
    assert (np.diff(found.ids) > 0).all() and np.isin(found.ids, pool.ids).all()
    have = counts_of(pool, found.ids)
    assert (have >= np.minimum(15, pool.available))[pool.available >= 15].all()
    assert found.method == "milp"
    assert found.bound <= found.objective < found.details["greedy_cost"]
    gap = (found.objective - found.bound) / found.objective if found.objective else 0
    assert found.gap == pytest.approx(gap)
    cost_of_greedy = select(pool, per_cell=15, seed=seed, objective=objective, solver="greedy").objective
    assert cost_of_greedy == found.details["greedy_cost"]


def test_order_of_candidates_does_not_matter_and_the_seed_does():
    pool = make_pool(800)
    order = np.random.default_rng(1).permutation(800)
    shuffled = Candidates(pool.ids[order], pool.counts[order], pool.class_names, pool.bin_names)
    for objective in OBJECTIVES:
        first = select(pool, per_cell=5, objective=objective)
        again = select(shuffled, per_cell=5, objective=objective)
        assert first.ids.tolist() == again.ids.tolist()
        assert (first.objective, first.bound, first.details) == (again.objective, again.bound, again.details)
    assert select(pool, per_cell=5, seed=1).ids.tolist() != select(pool, per_cell=5, seed=2).ids.tolist()


def test_other_processes_choose_the_same():
    code = (
        "import hashlib; from tests.builders.pools import make_pool; from iamiou_builders.selection import select;"
        "print(hashlib.sha256(select(make_pool(800), per_cell=5).ids.tobytes()).hexdigest())"
    )
    here = hashlib.sha256(select(make_pool(800), per_cell=5).ids.tobytes()).hexdigest()
    for hash_seed, threads in (("0", "1"), ("77", "4")):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = os.environ | {"PYTHONHASHSEED": hash_seed} | dict.fromkeys(names, threads)
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == here


def test_greedy_meets_quotas_and_leaves_nothing_to_drop():
    for seed in range(20):
        task = make_task(small_pool(seed, images=40), 6, seed, cap=8)
        picked = cover(task)
        assert (picked >= 0).all() and (picked <= task.number).all()
        spare = picked @ task.counts - task.quota
        assert (spare >= 0).all()
        assert not any((task.counts[kind] <= spare).all() for kind in np.flatnonzero(picked))


def test_images_above_the_cap_only_where_a_quota_needs_them():
    counts = np.zeros((7, 2, 1), np.int64)
    counts[:, 0, 0] = [9, 9, 1, 1, 1, 0, 30]
    counts[:, 1, 0] = [0, 3, 1, 1, 1, 2, 0]
    pool = Candidates(np.arange(1, 8), counts, ("bird", "cat"), ("S",))
    assert not set(select(pool, per_cell=3, cap=8).ids.tolist()) & {1, 2, 7}
    # Nine birds can be had, but not within the cap: one of the two least crowded images comes in, never the flock.
    nine = select(pool, per_cell=9, cap=8)
    assert len(set(nine.ids.tolist()) & {1, 2}) == 1 and 7 not in nine.ids
    assert nine.details["readmitted"] == 1
    # There are 51 birds in all, so 60 cannot be reached whatever is let in: the cap holds.
    assert not set(select(pool, per_cell=60, cap=8).ids.tolist()) & {1, 2, 7}


def test_equal_images_are_one_kind():
    counts = np.tile(np.array([[[1, 0]], [[0, 1]]]), (50, 1, 1))
    pool = Candidates(np.arange(100), counts, ("cat",), ("S", "L"))
    task = make_task(pool, 10, 0, 8)
    assert task.number.tolist() == [50, 50]
    assert sorted(task.members.tolist()) == list(range(100))
    found = select(pool, per_cell=10)
    assert counts_of(pool, found.ids).tolist() == [[10, 10]]
    assert set(found.ids.tolist()) != set(select(pool, per_cell=10, seed=1).ids.tolist())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"per_cell": 0}, "--per-cell is 0; a selection needs at least 1."),
        ({"per_cell": 3, "cap": 0}, "The recipe's cap is 0;"),
    ],
)
def test_numbers_that_make_no_sense(options, words):
    with pytest.raises(InputError, match=words):
        select(small_pool(0), **options)


def test_nothing_to_select():
    empty = Candidates(np.arange(3), np.zeros((3, 2, 2), np.int64), ("a", "b"), ("S", "L"))
    with pytest.raises(InputError, match="None of the 3 images of the pool holds an instance"):
        select(empty, per_cell=3)
    none = Candidates(np.zeros(0, np.int64), np.zeros((0, 2, 2), np.int64), ("a", "b"), ("S", "L"))
    with pytest.raises(InputError, match="None of the 0 images"):
        select(none, per_cell=3)


def test_everything_above_the_cap_and_nothing_that_could_fill_a_quota():
    pool = Candidates(np.array([4]), np.array([[[9]]]), ("a",), ("S",))
    with pytest.raises(InputError, match="more than 8 instances of a class"):
        select(pool, per_cell=60)
    assert select(pool, per_cell=9).ids.tolist() == [4]


def test_without_scipy(monkeypatch):
    monkeypatch.setattr("iamiou_builders.selection.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"type: pip install 'iamiou\[builders\]'"):
        select(small_pool(0), per_cell=3)
    assert select(small_pool(0), per_cell=3, solver="greedy").method == "greedy"


def test_a_solver_that_finds_nothing_leaves_the_greedy_choice(monkeypatch):
    pool = make_pool(800)
    greedy = select(pool, per_cell=5, solver="greedy")
    nothing = SimpleNamespace(x=None, mip_dual_bound=None, mip_node_count=None, status=4, message="out of luck ")
    monkeypatch.setattr(programme, "milp", lambda *_, **__: nothing)
    found = select(pool, per_cell=5)
    assert found.ids.tolist() == greedy.ids.tolist()
    assert found.method == "greedy"
    assert found.status == "no solution (out of luck); the greedy choice stands"
    assert 0 < found.bound < found.objective == greedy.objective


def test_no_more_nodes(monkeypatch):
    monkeypatch.setattr(programme, "NODES", 1)
    monkeypatch.setattr(programme, "GAP", 0.0)
    found = select(make_pool(3000), per_cell=10, objective="min-images")
    assert found.status.startswith("stopped after 1 nodes of the search among ")
    assert found.bound < found.objective <= found.details["greedy_cost"]


def test_bounds_on_images_and_ratio_hold_for_every_choice():
    for seed in range(12):
        pool = small_pool(seed)
        task = make_task(pool, 4, seed, cap=8)
        choices = all_choices(task)
        have = choices @ task.counts
        found = select(pool, per_cell=4, seed=seed, objective="min-images")
        assert found.details["least_images_unbalanced"] <= choices.sum(axis=1).min() + 1e-6
        penalty = Weights(0, 0, 20, 50, 0)
        picked = min(choices, key=lambda c: price(task, c, WEIGHTS["min-images"]))
        as_good = [c.sum() for c in choices if price(task, c, penalty) <= price(task, picked, penalty)]
        assert programme.least_images(task, WEIGHTS["min-images"], picked)[0] <= min(as_good) + 1e-6
        for cells in task.groups:
            ratio = have[:, cells].max(axis=1) / have[:, cells].min(axis=1)
            assert 1 <= programme.least_ratio(task, cells) <= ratio.min() + 1e-3


def test_progress_is_told():
    told: list[str] = []
    select(small_pool(0), per_cell=3, progress=told.append)
    assert [text.split()[0] for text in told] == ["posing", "choosing", "improving"]
