"""The Numba loops for images that are counted strip by strip: close what no later row can touch, carry on the rest.

`iamiou.scan` counts the rows of a strip; what stands here follows it after every strip and does what
`iamiou.sharing` does after the last row of an image. A component that has no run in the strip's last row is
closed: its false positives are shared out, and it is forgotten. Only the nested rule can keep it longer, while it
is not known whether what surrounds it is a hole.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from iamiou.gaps import fill_holes, follow_gaps
from iamiou.jit import jit, once
from iamiou.runs import (
    CLASS,
    HIGH,
    IDS,
    LABEL,
    LABELS,
    LAST,
    NONE,
    O_BOTH,
    O_INST,
    O_LABEL,
    O_SAME,
    OVERLAPS,
    PARENT,
    PHANTOMS,
    ROW,
    RUNS,
    SAME,
    SPAN,
    TABLE,
    VALID,
    find,
)

_Ints = NDArray[np.int64]
_Table = NDArray[np.uint32]
_U4 = types.uint32[::1]
_I8 = types.int64[::1]

#: Rows of the room to work in: per instance; per overlap; per label; per run of the last row.
FIRST, ORDER, OWNER, TOUCHED, BOTH, BOTH_SAME, KEEP, NEW, PLACE, ROOT, WORK_ROWS = range(11)


@once
def _sort(overlap, overlaps, ids, first, order):
    """Sort the overlaps by instance: ``order[first[i - 1] : first[i]]`` are those of instance i."""
    for i in range(ids + 1):
        first[i] = 0
    for k in range(1, overlaps):
        first[overlap[O_INST, k] + 1] += 1
    for i in range(ids):
        first[i + 1] += first[i]
    for k in range(1, overlaps):
        i = overlap[O_INST, k]
        order[first[i]] = k
        first[i] += 1


@once
def _share(comp, overlap, ids, high, work, kept, sums, judged):
    """Add what closed components give to their instances; sum up the overlaps of the others in ``kept``."""
    parent, cls, valid, same = comp[PARENT], comp[CLASS], comp[VALID], comp[SAME]
    first, order, owner, touched = work[FIRST], work[ORDER], work[OWNER], work[TOUCHED]
    both, both_same, keep, new, place = work[BOTH], work[BOTH_SAME], work[KEEP], work[NEW], work[PLACE]
    n = np.int64(1)
    for i in range(1, ids):
        for q in range(first[i - 1], first[i]):
            k = order[q]
            root = parent[overlap[O_LABEL, k]]
            if owner[root] != i:
                owner[root] = i
                both[root], both_same[root] = 0, 0
            both[root] += overlap[O_BOTH, k]
            both_same[root] += overlap[O_SAME, k]
        for q in range(first[i - 1], first[i]):
            root = parent[overlap[O_LABEL, order[q]]]
            if both[root] > 0:
                if keep[root]:
                    kept[O_LABEL, n], kept[O_INST, n] = new[root], i
                    kept[O_BOTH, n], kept[O_SAME, n] = both[root], both_same[root]
                    place[root] = n
                    n += 1
                else:
                    if judged[i] == 0:
                        judged[i] = high[i] + 1
                    if cls[root] == high[i]:
                        t = np.int64(both[root])
                        o = np.int64(same[root]) - np.int64(both_same[root])
                        f = np.int64(valid[root]) - t - o
                        sums[0, i] += t
                        sums[1, i] += f if o == 0 else f * t // (t + o)
                        sums[2, i] += 1
                        touched[root] = 1
                both[root] = 0  # counted
    return n


@once
def _carry(run, begin, stop, parent, new, nested, gap, notes, mark, roots):
    """Move the runs of the last row to the front, with their new labels and gaps."""
    for k in range(begin, stop):
        roots[k - begin] = find(gap, np.uint32(k)) if nested else np.uint32(0)
    for k in range(begin, stop):
        j, g = np.uint32(k - begin + 1), roots[k - begin]
        run[SPAN, j], run[CLASS, j] = run[SPAN, np.uint32(k)], run[CLASS, np.uint32(k)]
        run[LABEL, j] = new[parent[run[LABEL, np.uint32(k)]]]
        if nested:
            if g != 0 and (mark[g] == 0 or mark[g] == NONE):
                mark[g] = j
            gap[j] = mark[g] if g != 0 else g
    if nested:
        for k in range(1, notes[0, 0]):
            notes[0, k], notes[1, k] = mark[notes[0, k]], new[parent[notes[1, k]]]


@jit(
    [
        types.void(
            *(TABLE, TABLE, TABLE, TABLE, _U4, TABLE, types.boolean, types.boolean),
            *(_U4, _U4, _U4, TABLE, TABLE, TABLE, _I8, types.int64[:, ::1], _U4, _I8),
        )
    ]
)
def close_strip(
    run: _Table,
    comp: _Table,
    overlap: _Table,
    insts: _Table,
    row_start: NDArray[np.uint32],
    classes: _Table,
    nested: bool,
    final: bool,
    follows: NDArray[np.uint32],
    gap: NDArray[np.uint32],
    mark: NDArray[np.uint32],
    notes: _Table,
    kept: _Table,
    work: _Table,
    state: _Ints,
    sums: _Ints,
    judged: NDArray[np.uint32],
    phantoms: _Ints,
) -> None:
    """Share out the components that end in a strip, and make the tables ready for the next strip.

    Row 0 of the tables is the last row of the strip before (no runs at the top of the image).

    Parameters
    ----------
    run, comp, overlap, insts, row_start, classes, state
        As `iamiou.scan.scan` left them; what is carried on stands at their front afterwards, but the overlaps
        stand in ``kept``.
    nested, final : bool
        Apply the paper's nested rule; this is the last strip.
    follows, gap, mark : uint32 array, (power of 2, two rows or more), (runs,), (runs,)
        ``gap`` keeps the gaps of the carried runs from strip to strip.
    notes : uint32 array, (2, those before and 2 a run)
        Gap and label of what waits for a gap to become a hole; ``notes[0, 0]`` is the first free place.
    kept : uint32 array, (4, overlaps or more)
    work : uint32 array, (WORK_ROWS, n)
        Room; n is at least the labels, the overlaps, the runs of a row, and above that the ids.
    sums : int64 array, (3, ids or more)
        TP, FP share and components of every instance; added to.
    judged : uint32 array, (ids or more,)
        The class, plus 1, that an instance had when a component was first held against it.
    phantoms : int64 array, (labels or more,)
        Written, ``state[PHANTOMS]`` of them: class, above the 32 bits of the area over the valid pixels.
    """
    labels, rows = state[LABELS], state[ROW]
    begin, stop = np.int64(row_start[rows - 1]), np.int64(row_start[rows])
    parent, cls, valid, same = comp[PARENT], comp[CLASS], comp[VALID], comp[SAME]
    owner, touched, both, keep, new, place = work[OWNER], work[TOUCHED], work[BOTH], work[KEEP], work[NEW], work[PLACE]
    if nested:
        follow_gaps(run, row_start, rows, classes, follows, gap, notes, mark, final)
        fill_holes(parent, gap, notes, mark)
    for k in range(labels):
        root = parent[parent[k]]
        parent[k] = root
        owner[k], touched[k], both[k], keep[k], place[k] = 0, 0, 0, 0, 0
        if root != k:
            valid[root] += valid[k]
            same[root] += same[k]
    if not final:
        for k in range(begin, stop):
            keep[parent[run[LABEL, np.uint32(k)]]] = 1
        for k in range(1, notes[0, 0]):
            keep[parent[notes[1, k]]] = 1
    kept_labels = np.int64(0)
    for k in range(labels):
        new[k] = kept_labels
        kept_labels += keep[k]
    _sort(overlap, state[OVERLAPS], state[IDS], work[FIRST], work[ORDER])
    state[OVERLAPS] = _share(comp, overlap, state[IDS], insts[HIGH], work, kept, sums, judged)
    n = 0
    for k in range(labels):
        if parent[k] == k and keep[k] == 0 and valid[k] > 0 and touched[k] == 0:
            phantoms[n] = np.int64(cls[k]) << 32 | np.int64(valid[k])
            n += 1
    state[PHANTOMS] = n
    if final:
        return
    _carry(run, begin, stop, parent, new, nested, gap, notes, mark, work[ROOT])
    for k in range(labels):
        if keep[k]:
            j = new[k]
            comp[CLASS, j], comp[VALID, j], comp[SAME, j], comp[LAST, j] = cls[k], valid[k], same[k], place[k]
            parent[j] = j
    row_start[0], row_start[1] = 1, 1 + stop - begin
    state[ROW], state[RUNS], state[LABELS] = 1, 1 + stop - begin, kept_labels
