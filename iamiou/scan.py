"""The Numba loop over the pixels: label maps in, tables of runs, components and overlaps out; no checks, no files.

Names: ``pred``, ``sem`` and ``inst`` are P, S and I of the metric's definition, V are the valid pixels. A run
of P is one stretch of equal predicted class in a row; a joint run is a stretch of equal (P, S, I).
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from iamiou.jit import jit
from iamiou.runs import (
    AREA,
    BLOCK,
    BYTES,
    CLASS,
    HIGH,
    HOLES,
    IDS,
    INT,
    LABEL,
    LABELS,
    LAST,
    LOW,
    LOWER,
    MARKS,
    NEED,
    O_BOTH,
    O_INST,
    O_LABEL,
    O_SAME,
    OBJECT_DIFFERS,
    OVERLAPS,
    ROW,
    RUNS,
    SAME,
    SHIFT,
    SPAN,
    TABLE,
    TOP,
    TOP_PRED,
    TOP_SEM,
    VALID,
    VOID_INST,
    VOID_SEM,
    collect,
    gather,
    link,
    mark,
)

_Bytes = NDArray[np.uint8]
_Ints = NDArray[np.int64]
_Table = NDArray[np.uint32]

_LUT = types.Array(types.uint16, 1, "C", readonly=True)


@jit(
    [
        types.void(
            *(BYTES, INT, BYTES, INT, BYTES, INT, INT, INT, _LUT, _LUT, INT, INT),
            *(types.int64[:, ::1], types.int64[:, ::1], types.int64[::1], MARKS, TABLE),
            *(TABLE, TABLE, TABLE, TABLE, types.uint32[::1], TABLE),
        )
    ]
)
def scan(
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
    confusion: _Ints,
    per_class: _Ints,
    state: _Ints,
    marks: NDArray[np.uint64],
    scratch: _Table,
    run: _Table,
    comp: _Table,
    overlap: _Table,
    insts: _Table,
    row_start: _Table,
    classes: _Table,
) -> None:
    """Go once over the three maps of an image, block by block, until a table has no room for the next block.

    ``state[ROW]`` tells how far it came; with more room, the next call goes on from there.

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
    confusion : int64 array, (C + 2, C + 2)
        Truth by prediction over the valid pixels; this image is added.
    per_class : int64 array, (3, C + 2)
        Valid pixels of truth, of prediction, of both; this image is added.
    state : int64 array, (STATES,)
        Where the image stands; the names of its places stand in runs.py.
    marks : uint64 array, (max(BLOCK, width) // 64 + 1,)
        Zeros, and left so.
    scratch : uint32 array, (8, max(BLOCK, width) + 8)
        Room to work in.
    run, comp, overlap, insts : uint32 arrays, (3, any), (5, any), (4, any), (3, any)
        The tables that are written, as runs.py describes them.
    row_start : uint32 array, (height + 1 or more,)
        The first run of every row.
    classes : uint32 array, (CLASS_ROWS, C + 2)
        Marks the classes that have a component with a hole.
    """
    num_classes = confusion.shape[0] - 2
    rows_a_block = max(1, BLOCK // width)
    pos, p_of, s_of, i_of = scratch[0], scratch[1], scratch[2], scratch[3]
    run_pixels, e_run, e_inst, e_pixels = scratch[4], scratch[5], scratch[6], scratch[7]
    holes, need = classes[HOLES], state[NEED : NEED + 4]
    maps = 3 if inst_size else 2
    y0, runs, labels, overlaps, ids = state[ROW], state[RUNS], state[LABELS], state[OVERLAPS], state[IDS]
    nothing = np.uint32(0)
    # The cast keeps Numba from compiling what is called here once more for a literal.
    above = np.int64(1)
    if y0 == 0:
        row_start[0] = 1
    else:
        above = np.int64(row_start[y0 - 1])
    top_s, top_p, void_s, void_i, object_differs = 0, 0, 0, 0, 0

    while y0 < height:
        y1 = min(y0 + rows_a_block, height)
        start, area = y0 * width, (y1 - y0) * width
        # One place that calls for all three maps: LLVM inlines the loops wherever they are called.
        for which in range(maps):
            data, size = pred, pred_size
            if which == 1:
                data, size = sem, sem_size
            elif which == 2:
                data, size = inst, inst_size
            mark(marks, data, size, start, area)
        joint = collect(marks, start, area, width, pos)
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
        most = max(ids, np.int64(1))
        if inst_size == 1:
            most = np.int64(256)
        else:
            for k in range(joint):
                if i_of[k] != inst_void:
                    most = max(most, np.int64(i_of[k]) + 1)
        if reach >= 0:
            need[0], need[1], need[2], need[3] = runs + joint, labels + joint, overlaps + joint, most
            if need[0] > run.shape[1] or need[1] > comp.shape[1] or need[2] > overlap.shape[1] or most > insts.shape[1]:
                break
            for i in range(ids, most):
                insts[AREA, i], insts[HIGH, i], insts[LOW, i] = nothing, nothing, nothing
            ids = most

        run0, r, emitted, y = runs - 1, runs - 1, 0, y0
        before, pixels, left = nothing, nothing, nothing
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
                insts[AREA, i] += v
                insts[HIGH, i] = max(insts[HIGH, i], s if ok else nothing)
                insts[LOW, i] = max(insts[LOW, i], np.uint32(TOP - s) if ok else nothing)
                # A run of P goes to the next free place, background to place 0; without branches, which nobody
                # could foretell.
                fresh = p != before
                before = p
                r += fresh & (p != 0)
                place = np.uint32(r) if p != 0 else nothing
                local = np.uint32(r - run0) if p != 0 else nothing
                left = np.uint32(at - row_begin) if fresh else left
                both = np.uint32(v | vs << SHIFT)
                pixels = np.uint32(both + (nothing if fresh else pixels))
                run[SPAN, place], run[CLASS, place] = left | (to - row_begin) << SHIFT, p
                run_pixels[local] = pixels
                e = np.uint32(emitted)
                e_run[e], e_inst[e], e_pixels[e] = place, i, both
                emitted += (p != 0) & ok & (i != 0)
        row_start[y1] = r + 1
        runs = r + 1
        if reach < 0:
            y0 = y1
            continue

        old = labels
        for y in range(y0, y1):
            begin, stop = np.int64(row_start[y]), np.int64(row_start[y + 1])
            labels = link(run, above, begin, stop, reach, comp, labels, holes)
            above = begin
        for k in range(old, labels):
            comp[VALID, k], comp[SAME, k], comp[LAST, k] = nothing, nothing, nothing
        for q in range(1, runs - run0):
            label = run[LABEL, np.uint32(run0 + q)]
            comp[VALID, label] += run_pixels[q] & LOWER
            comp[SAME, label] += run_pixels[q] >> SHIFT
        for q in range(emitted):
            label = run[LABEL, e_run[q]]
            at = comp[LAST, label]
            if at == 0 or overlap[O_INST, at] != e_inst[q]:
                at = np.uint32(overlaps)
                overlaps += 1
                comp[LAST, label] = at
                overlap[O_LABEL, at], overlap[O_INST, at] = label, e_inst[q]
                overlap[O_BOTH, at], overlap[O_SAME, at] = 0, 0
            overlap[O_BOTH, at] += e_pixels[q] & LOWER
            overlap[O_SAME, at] += e_pixels[q] >> SHIFT
        y0 = y1

    state[ROW], state[RUNS], state[LABELS], state[OVERLAPS], state[IDS] = y0, runs, labels, overlaps, ids
    state[TOP_SEM], state[TOP_PRED] = max(state[TOP_SEM], top_s), max(state[TOP_PRED], top_p)
    state[VOID_SEM] += void_s
    state[VOID_INST] += void_i
    state[OBJECT_DIFFERS] += object_differs
