"""Numba loops of the metric: label maps in, integer records out; no checks, no files.

Names: ``pred``, ``sem`` and ``inst`` are P, S and I of the metric's definition, V are the valid pixels. A run
of P is one stretch of equal predicted class in a row; a joint run is a stretch of equal (P, S, I).
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from iamiou.jit import jit, once
from iamiou.runs import (
    BLOCK,
    BYTES,
    CLASS,
    END,
    INT,
    LABEL,
    MARKS,
    PARENT,
    START,
    TABLE,
    collect,
    count_runs,
    gather,
    grown,
    link,
    mark,
    room,
    settle,
    table,
)

_Bytes = NDArray[np.uint8]
_Ints = NDArray[np.int64]

#: Images with more pixels are looked at twice.
_LARGE = 1 << 20

_LUT = types.Array(types.uint16, 1, "C", readonly=True)
_I8 = types.int64[::1]
_I8_2D = types.int64[:, ::1]


# Rows of the tables beside those of runs.py: of a label, of an overlap, of an instance.
_VALID, _SAME, _LAST = 2, 3, 4
_O_LABEL, _O_INST, _O_BOTH, _O_SAME = 0, 1, 2, 3
_AREA, _HIGH, _LOW = 0, 1, 2
_TOP = 1 << 16  # above every class; _LOW holds _TOP - class, so that 0 means none yet

# Places of ``info``: the largest class met in the truth and in the prediction;
TOP_SEM, TOP_PRED = 0, 1
# pixels void in the semantic map only, in the instance map only; valid pixels that are object in one map only;
VOID_SEM, VOID_INST, OBJECT_DIFFERS = 2, 3, 4
# instances that lie on background only, and those over two classes.
NO_CLASS, TWO_CLASSES = 5, 6


@once
def _records(comp, labels, overlap, overlaps, insts, ids, info):
    """Share every component's false positives among the instances that it touches; list the phantoms.

    An overlap is a piece of the intersection of one component with one instance. Overlaps are sorted by
    instance (counting sort), then summed by component in a table that remembers for which instance it holds
    a sum.
    """
    parent, cls, valid, same = comp[PARENT], comp[CLASS], comp[_VALID], comp[_SAME]
    area, high = insts[_AREA], insts[_HIGH]
    work = table(np.int64(4), ids + labels + overlaps)
    first, order, owner, touched = work[0], work[1], work[2], work[3]
    for k in range(overlaps):
        first[overlap[_O_INST, k] + 1] += 1
    count = 0
    for i in range(ids):
        first[i + 1] += first[i]
        count += i > 0 and area[i] > 0 and high[i] > 0
        info[NO_CLASS] += i > 0 and area[i] > 0 and high[i] == 0
        info[TWO_CLASSES] += i > 0 and area[i] > 0 and high[i] + insts[_LOW, i] != _TOP
    for k in range(overlaps):
        i = overlap[_O_INST, k]
        order[first[i]] = k
        first[i] += 1  # afterwards first[i] is where instance i ends
    rows = np.empty((count, 6), np.int64)
    sums = np.empty((2, labels), np.int64)
    n = 0
    for i in range(1, ids):
        if area[i] == 0 or high[i] == 0:
            continue
        tp, fp, components = 0, 0, 0
        for q in range(first[i - 1], first[i]):
            k = order[q]
            root = parent[overlap[_O_LABEL, k]]
            if cls[root] == high[i]:
                if owner[root] != i:
                    owner[root] = i
                    sums[0, root], sums[1, root] = 0, 0
                    components += 1
                sums[0, root] += overlap[_O_BOTH, k]
                sums[1, root] += overlap[_O_SAME, k]
        for q in range(first[i - 1], first[i]):
            root = parent[overlap[_O_LABEL, order[q]]]
            if owner[root] == i and sums[0, root] > 0:
                t = sums[0, root]
                o = same[root] - sums[1, root]
                f = valid[root] - t - o
                tp += t
                fp += f if o == 0 else f * t // (t + o)
                sums[0, root] = 0  # counted
                touched[root] = 1
        rows[n, 0], rows[n, 1], rows[n, 2] = i, high[i], area[i]
        rows[n, 3], rows[n, 4], rows[n, 5] = tp, fp, components
        n += 1
    n = 0
    for k in range(labels):
        n += parent[k] == k and valid[k] > 0 and touched[k] == 0
    phantoms = np.empty((n, 2), np.int64)
    n = 0
    for k in range(labels):
        if parent[k] == k and valid[k] > 0 and touched[k] == 0:
            phantoms[n, 0], phantoms[n, 1] = cls[k], valid[k]
            n += 1
    return rows, phantoms


@jit(
    [
        types.Tuple((_I8_2D, _I8_2D))(
            *(BYTES, INT, BYTES, INT, BYTES, INT, INT, INT, _LUT, _LUT, INT, INT, types.boolean),
            *(_I8_2D, _I8_2D, _I8, MARKS, TABLE),
        )
    ]
)
def count(
    pred: _Bytes,
    pred_size: int,
    sem: _Bytes,
    sem_size: int,
    inst: _Bytes,
    inst_size: int,
    height: int,
    width: int,
    pred_lut: NDArray[np.uint16],
    sem_lut: NDArray[np.uint16],
    inst_void: int,
    reach: int,
    nested: bool,
    confusion: _Ints,
    per_class: _Ints,
    info: _Ints,
    marks: NDArray[np.uint64],
    scratch: NDArray[np.uint32],
) -> tuple[_Ints, _Ints]:
    """Count one image: confusion, pixels per class, instances and phantoms, in one pass over the three maps.

    Parameters
    ----------
    pred, sem, inst : uint8 array, (height * width * size,)
        The maps' bytes; ``inst_size`` 0 means that there is no instance map.
    pred_lut, sem_lut : uint16 array
        Class of every label: C for void, C + 1 for a label that is no class.
    inst_void : int
        The instance id that means void.
    reach : int
        1 for 8 neighbours, 0 for 4, -1 to leave components and instances out.
    nested : bool
        Apply the paper's nested rule.
    confusion : int64 array, (C + 2, C + 2)
        Truth by prediction over the valid pixels; this image is added.
    per_class : int64 array, (3, C + 2)
        Valid pixels of truth, of prediction, of both; this image is added.
    info : int64 array, (7,)
        Written; the names of its places stand at the top of this module.

    marks : uint64 array, (max(BLOCK, width) // 64 + 1,)
        Zeros, and left so.
    scratch : uint32 array, (10, max(BLOCK, width) + 8)
        Room to work in.

    Returns
    -------
    instances : int64 array, (n, 6)
        id, class, area, TP, FP share, components; by id.
    phantoms : int64 array, (k, 2)
        class, area over the valid pixels; in the order of their first pixels.
    """
    num_classes = confusion.shape[0] - 2
    rows_a_block = max(1, BLOCK // width)
    pos, p_of, s_of, i_of = scratch[0], scratch[1], scratch[2], scratch[3]
    run_valid, run_same = scratch[4], scratch[5]
    e_run, e_inst, e_both, e_same = scratch[6], scratch[7], scratch[8], scratch[9]
    # The table of runs grows with the image; of a large one the runs are counted first, to waste no memory.
    maps = 3 if inst_size else 2
    places = np.int64(4096)
    if reach >= 0 and height * width > _LARGE:
        places = count_runs(pred, pred_size, height, width, marks) + rows_a_block * width
    run, row_start, holes = (
        room(np.int64(4), places),
        table(np.int64(1), height + 1)[0],
        table(np.int64(1), num_classes + 2)[0],
    )
    comp, insts, overlap = (
        table(np.int64(5), np.int64(1024)),
        table(np.int64(3), np.int64(256)),
        table(np.int64(4), np.int64(1024)),
    )
    # The casts keep Numba from compiling what is called here once more for literals.
    runs, labels, above = np.int64(1), np.int64(0), np.int64(1)  # run 0 takes what is background
    row_start[0] = 1
    nothing = np.uint32(0)
    overlaps, ids = np.int64(1), np.int64(1)  # overlap 0 stands for none
    top_s, top_p, void_s, void_i, object_differs = 0, 0, 0, 0, 0

    for y0 in range(0, height, rows_a_block):
        y1 = min(y0 + rows_a_block, height)
        start, pixels = y0 * width, (y1 - y0) * width
        # One place that calls for all three maps: LLVM inlines the loops wherever they are called.
        for which in range(maps):
            data, size = pred, pred_size
            if which == 1:
                data, size = sem, sem_size
            elif which == 2:
                data, size = inst, inst_size
            mark(marks, data, size, start, pixels)
        joint = collect(marks, start, pixels, width, pos)
        for which in range(maps):
            data, size = pred, pred_size
            if which == 1:
                data, size = sem, sem_size
            elif which == 2:
                data, size = inst, inst_size
            gather(data, size, pos, joint, scratch[1 + which])
        if not inst_size:
            for k in range(joint):
                i_of[k] = 0
        if inst_size == 1:
            ids = np.int64(256)
        else:
            for k in range(joint):
                if i_of[k] != inst_void:
                    ids = max(ids, np.int64(i_of[k]) + 1)
        if ids > insts.shape[1]:
            insts = grown(insts, 2 * ids)
        if runs + joint > run.shape[1]:
            run = grown(run, (runs + joint) * 3 // 2)

        run0, r, emitted, y = runs - 1, runs - 1, 0, y0
        before, valid, right, left = nothing, nothing, nothing, nothing
        row_begin, row_stop = np.uint32(start), np.uint32(start + width)
        for k in range(joint):
            at, to = pos[k], pos[k + 1]
            if at == row_stop:
                y += 1
                row_start[y] = r + 1
                row_begin, row_stop = row_stop, np.uint32(row_stop + width)
                before = nothing
            p, s, i = np.uint32(pred_lut[p_of[k]]), np.uint32(sem_lut[s_of[k]]), i_of[k]
            n = np.uint32(to - at)
            inst_ok = i != inst_void
            ok = (s < num_classes) & inst_ok
            v = n if ok else nothing
            vs = v if s == p else nothing
            top_s, top_p = max(top_s, s), max(top_p, p)
            void_s += n if (s == num_classes) & inst_ok else 0
            void_i += n if (s < num_classes) & (not inst_ok) else 0
            object_differs += v if (s > 0) != (i > 0) else 0
            confusion[s, p] += v
            per_class[0, s] += v
            per_class[1, p] += v
            per_class[2, s] += vs
            if reach >= 0:
                i = i if inst_ok else nothing
                insts[_AREA, i] += v
                insts[_HIGH, i] = max(insts[_HIGH, i], s if ok else nothing)
                insts[_LOW, i] = max(insts[_LOW, i], np.uint32(_TOP - s) if ok else nothing)
                # A run of P goes to the next free place, background to place 0; without branches, which nobody
                # could foretell.
                fresh = p != before
                before = p
                r += fresh & (p != 0)
                place = np.uint32(r) if p != 0 else nothing
                local = np.uint32(r - run0) if p != 0 else nothing
                left = np.uint32(at - row_begin) if fresh else left
                valid = np.uint32(v + (nothing if fresh else valid))
                right = np.uint32(vs + (nothing if fresh else right))
                run[START, place], run[END, place], run[CLASS, place] = left, np.uint32(to - row_begin), p
                run_valid[local], run_same[local] = valid, right
                e = np.uint32(emitted)
                e_run[e], e_inst[e], e_both[e], e_same[e] = place, i, v, vs
                emitted += (p != 0) & ok & (i != 0)
        row_start[y1] = r + 1
        runs = r + 1
        if reach < 0:
            continue

        if labels + runs - run0 > comp.shape[1]:
            comp = grown(comp, (labels + runs - run0) * 3 // 2)
        for y in range(y0, y1):
            begin, stop = np.int64(row_start[y]), np.int64(row_start[y + 1])
            labels = link(run, above, begin, stop, reach, comp, labels, holes)
            above = begin
        for q in range(1, runs - run0):
            label = run[LABEL, np.uint32(run0 + q)]
            comp[_VALID, label] += run_valid[q]
            comp[_SAME, label] += run_same[q]
        if overlaps + emitted > overlap.shape[1]:
            overlap = grown(overlap, (overlaps + emitted) * 3 // 2)
        for q in range(emitted):
            label = run[LABEL, e_run[q]]
            at = comp[_LAST, label]
            if at == 0 or overlap[_O_INST, at] != e_inst[q]:
                at = np.uint32(overlaps)
                overlaps += 1
                comp[_LAST, label] = at
                overlap[_O_LABEL, at], overlap[_O_INST, at] = label, e_inst[q]
                overlap[_O_BOTH, at], overlap[_O_SAME, at] = 0, 0
            overlap[_O_BOTH, at] += e_both[q]
            overlap[_O_SAME, at] += e_same[q]

    info[TOP_SEM], info[TOP_PRED] = top_s, top_p
    info[VOID_SEM], info[VOID_INST], info[OBJECT_DIFFERS] = void_s, void_i, object_differs
    info[NO_CLASS], info[TWO_CLASSES] = 0, 0
    if reach < 0:
        return np.empty((0, 6), np.int64), np.empty((0, 2), np.int64)
    settle(run, row_start, comp, labels, holes, nested)
    for k in range(labels):
        root = comp[PARENT, k]
        if root != k:
            comp[_VALID, root] += comp[_VALID, k]
            comp[_SAME, root] += comp[_SAME, k]
    return _records(comp, labels, overlap, overlaps, insts, ids, info)
