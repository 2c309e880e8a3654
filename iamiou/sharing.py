"""The Numba loops over runs and components: the nested rule, and every component's false positives shared out."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from iamiou.jit import inner, jit, once
from iamiou.runs import (
    AREA,
    CLASS,
    FIRST_RUN,
    HIGH,
    HOLES,
    IDS,
    INSTANCES,
    LABEL,
    LABELS,
    LAST_RUN,
    LOW,
    LOWER,
    NO_CLASS,
    NONE,
    O_BOTH,
    O_INST,
    O_LABEL,
    O_SAME,
    OVERLAPS,
    PARENT,
    PHANTOMS,
    ROOTS,
    ROW,
    SAME,
    SEEN,
    SHIFT,
    SPAN,
    TABLE,
    TOP,
    TWO_CLASSES,
    VALID,
    find,
    union,
)

_Ints = NDArray[np.int64]
_Table = NDArray[np.uint32]
_I8 = types.int64[::1]
_I8_2D = types.int64[:, ::1]


@inner
def _join_gaps(run, follows, gap, u, v):
    """Join the gaps of two rows that touch; ``u`` and ``v`` are the rows' first runs of one class.

    The gap after the last run and the one before the first are the outside, gap 0.
    """
    span, ring = run[SPAN], np.uint32(follows.shape[0] - 1)
    nothing = np.uint32(0)
    u_gap, v_gap, u_from, v_from = nothing, nothing, nothing, nothing
    u_to, v_to = span[u] & LOWER, span[v] & LOWER
    while True:
        if max(u_from, v_from) < min(u_to, v_to) and u_gap != v_gap:
            union(gap, u_gap, v_gap)
        if u_to == NONE and v_to == NONE:
            break
        if u_to < v_to:
            u_from, u_gap, u = span[u] >> SHIFT, u, follows[u & ring]
            u_to = span[u] & LOWER
            if u == 0:
                u_to, u_gap = NONE, nothing
        else:
            v_from, v_gap, v = span[v] >> SHIFT, v, follows[v & ring]
            v_to = span[v] & LOWER
            if v == 0:
                v_to, v_gap = NONE, nothing


@inner
def open_gaps(follows, gap, run):
    """Join the gaps after `run` in its row to the outside."""
    ring = np.uint32(follows.shape[0] - 1)
    while follows[run & ring] != 0:
        union(gap, np.uint32(0), run)
        run = follows[run & ring]


@once
def _nest(run, row_start, height, parent, classes, follows, gap):
    """Join every component that lies in a hole of a component of its own class to that component.

    Between two runs of one class in a row lies a gap. Gaps that touch (4 neighbours) and do not reach the
    outside form a hole, and a hole has exactly one component of the class around it (8-connected classes and
    4-connected gaps are dual). So all runs beside the gaps of one hole belong together. Only the classes
    marked in ``classes[HOLES]`` are looked at. ``follows``, a ring as long as two rows, takes the next run of the
    class in the row (0: none), ``gap`` the gaps as a union-find, named after the run before them.
    """
    cls, lab, wanted, last = run[CLASS], run[LABEL], classes[HOLES], classes[LAST_RUN]
    ring, nothing = np.uint32(follows.shape[0] - 1), np.uint32(0)
    gap[0] = 0
    number, before = 0, 0  # of the classes seen in this row and in the one above
    for y in range(height + 1):
        here, above = classes[FIRST_RUN + (y & 1)], classes[FIRST_RUN + 1 - (y & 1)]  # 0 where there is none
        seen, seen_above = classes[SEEN + (y & 1)], classes[SEEN + 1 - (y & 1)]
        before, number = number, 0
        if y < height:
            for k in range(row_start[y], row_start[y + 1]):
                b = np.uint32(k)
                c = cls[b]
                if wanted[c]:
                    gap[b], follows[b & ring] = b, nothing
                    if here[c] == 0:
                        here[c] = b
                        seen[number] = c
                        number += 1
                    else:
                        follows[last[c] & ring] = b
                    last[c] = b
            for k in range(number):
                c = seen[k]
                if above[c] != 0:
                    _join_gaps(run, follows, gap, above[c], here[c])
                    above[c] = 0
                else:
                    open_gaps(follows, gap, here[c])
        for k in range(before):
            c = seen_above[k]
            if above[c] != 0:
                open_gaps(follows, gap, above[c])
                above[c] = 0
    for y in range(height):
        for k in range(row_start[y], row_start[y + 1]):
            b = np.uint32(k)
            c = cls[b]
            if wanted[c]:
                a = last[c]
                if a >= row_start[y] and a < b and find(gap, a) != 0:
                    union(parent, lab[a], lab[b])
                last[c] = b


@once
def _settle(run, row_start, height, comp, labels, classes, follows, gap):
    """Apply the nested rule to the classes that it can concern."""
    parent, cls, holes, roots = comp[PARENT], comp[CLASS], classes[HOLES], classes[ROOTS]
    for k in range(labels):
        roots[cls[k]] += parent[k] == k
    some = False
    for c in range(holes.shape[0]):
        if roots[c] < 2:
            holes[c] = 0
        some |= holes[c] != 0
    if some:
        _nest(run, row_start, height, parent, classes, follows, gap)


@once
def _sort(overlap, overlaps, insts, ids, first, order, state):
    """Sort the overlaps by instance: ``order[first[i - 1] : first[i]]`` are those of instance i. Note odd instances."""
    for i in range(ids + 1):
        first[i] = 0
    for k in range(1, overlaps):
        first[overlap[O_INST, k] + 1] += 1
    for i in range(ids):
        first[i + 1] += first[i]
        if i > 0 and insts[AREA, i] > 0:
            state[NO_CLASS] += insts[HIGH, i] == 0
            state[TWO_CLASSES] += insts[HIGH, i] + insts[LOW, i] != TOP
    for k in range(1, overlaps):
        i = overlap[O_INST, k]
        order[first[i]] = k
        first[i] += 1  # afterwards first[i] is where instance i ends


@jit(
    [
        types.void(
            *(TABLE, TABLE, TABLE, TABLE, types.uint32[::1], TABLE, types.boolean),
            *(types.uint32[::1], types.uint32[::1], TABLE, _I8, _I8_2D, _I8),
        )
    ]
)
def share(
    run: _Table,
    comp: _Table,
    overlap: _Table,
    insts: _Table,
    row_start: NDArray[np.uint32],
    classes: _Table,
    nested: bool,
    follows: NDArray[np.uint32],
    gap: NDArray[np.uint32],
    work: _Table,
    state: _Ints,
    instances: _Ints,
    phantoms: _Ints,
) -> None:
    """Share every component's false positives among the instances that it touches; list the phantoms.

    The overlaps of an instance are summed by component, in a table that remembers for which instance it holds a sum.

    Parameters
    ----------
    run, comp, overlap, insts, row_start, classes, state
        As `iamiou.scan.scan` left them.
    nested : bool
        Apply the paper's nested rule.
    follows, gap : uint32 array, (power of 2, two rows or more), (runs or more,)
    work : uint32 array, (6, n)
        Room to work in; n is at least the number of labels and of overlaps, and above that of ids. ``work`` and
        ``gap`` may be the same memory.
    instances : int64 array, (ids or more, 6)
        Written, ``state[INSTANCES]`` rows: id, class, area, TP, FP share, components; by id.
    phantoms : int64 array, (labels or more,)
        Written, ``state[PHANTOMS]`` of them: class, above the 32 bits of the area over the valid pixels.
    """
    labels, overlaps, ids = state[LABELS], state[OVERLAPS], state[IDS]
    parent, cls, valid, same = comp[PARENT], comp[CLASS], comp[VALID], comp[SAME]
    area, high = insts[AREA], insts[HIGH]
    first, order, owner, touched, both, both_same = work[0], work[1], work[2], work[3], work[4], work[5]
    if nested:
        _settle(run, row_start, state[ROW], comp, labels, classes, follows, gap)
    for k in range(labels):
        root = parent[parent[k]]
        parent[k] = root
        owner[k] = 0
        touched[k] = 0
        if root != k:
            valid[root] += valid[k]
            same[root] += same[k]
    _sort(overlap, overlaps, insts, ids, first, order, state)
    n = 0
    for i in range(1, ids):
        if area[i] == 0 or high[i] == 0:
            continue
        tp, fp, components = np.int64(0), np.int64(0), 0
        for q in range(first[i - 1], first[i]):
            k = order[q]
            root = parent[overlap[O_LABEL, k]]
            if cls[root] == high[i]:
                if owner[root] != i:
                    owner[root] = i
                    both[root], both_same[root] = 0, 0
                    components += 1
                both[root] += overlap[O_BOTH, k]
                both_same[root] += overlap[O_SAME, k]
        for q in range(first[i - 1], first[i]):
            root = parent[overlap[O_LABEL, order[q]]]
            if owner[root] == i and both[root] > 0:
                t = np.int64(both[root])
                o = np.int64(same[root]) - np.int64(both_same[root])
                f = np.int64(valid[root]) - t - o
                tp += t
                fp += f if o == 0 else f * t // (t + o)
                both[root] = 0  # counted
                touched[root] = 1
        instances[n, 0], instances[n, 1], instances[n, 2] = i, high[i], area[i]
        instances[n, 3], instances[n, 4], instances[n, 5] = tp, fp, components
        n += 1
    state[INSTANCES] = n
    n = 0
    for k in range(labels):
        if parent[k] == k and valid[k] > 0 and touched[k] == 0:
            phantoms[n] = np.int64(cls[k]) << 32 | np.int64(valid[k])
            n += 1
    state[PHANTOMS] = n
