"""Connected components of a label map, for ground truth that has no instances."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from iamiou.jit import jit
from iamiou.runs import (
    BLOCK,
    BYTES,
    CLASS,
    INT,
    LABEL,
    LOWER,
    PARENT,
    SHIFT,
    SPAN,
    collect,
    gather,
    grown,
    link,
    mark,
    room,
    table,
)


@jit([INT(BYTES, INT, INT, INT, INT, types.int32[:, ::1])])
def label_map(data: NDArray[np.uint8], size: int, height: int, width: int, reach: int, out: NDArray[np.int32]) -> int:
    """Label the components of equal labels other than 0; write 1..n to ``out`` in raster order and return n."""
    rows_a_block = max(1, BLOCK // width)
    block = rows_a_block * width
    marks, buffer = np.zeros((block + 63) >> 6, np.uint64), room(np.int64(2), block + 8)
    pos, value = buffer[0], buffer[1]
    run, comp = room(np.int64(3), np.int64(4096)), table(np.int64(2), np.int64(1024))
    row_start, holes = table(np.int64(1), height + 1)[0], table(np.int64(1), np.int64(65536))[0]
    runs, labels, above = np.int64(1), np.int64(0), np.int64(1)
    row_start[0] = 1
    for y0 in range(0, height, rows_a_block):
        y1 = min(y0 + rows_a_block, height)
        start, pixels = y0 * width, (y1 - y0) * width
        mark(marks, data, size, start, pixels)
        found = collect(marks, start, pixels, width, pos)
        gather(data, size, pos, found, value)
        if runs + found > run.shape[1]:
            run = grown(run, (runs + found) * 3 // 2)
        if labels + found > comp.shape[1]:
            comp = grown(comp, (labels + found) * 3 // 2)
        y = y0
        row_begin, row_stop = np.uint32(start), np.uint32(start + width)
        for k in range(found):
            if pos[k] == row_stop:
                y += 1
                row_start[y] = runs
                row_begin, row_stop = row_stop, np.uint32(row_stop + width)
            place = np.uint32(runs)
            run[SPAN, place] = pos[k] - row_begin | (pos[k + 1] - row_begin) << SHIFT
            run[CLASS, place] = value[k]
            runs += value[k] != 0
        row_start[y1] = runs
        for y in range(y0, y1):
            begin, stop = np.int64(row_start[y]), np.int64(row_start[y + 1])
            labels = link(run, above, begin, stop, reach, comp, labels, holes)
            above = begin
    n = np.int32(0)
    number = table(np.int64(1), labels + 1)[0]
    for k in range(labels):
        root = comp[PARENT, comp[PARENT, k]]
        comp[PARENT, k] = root
        if root == k:
            n += 1
            number[k] = n
    nothing = np.int32(0)
    for y in range(height):
        row = out[y]
        x = np.uint32(0)
        for k in range(row_start[y], row_start[y + 1]):
            place = np.uint32(k)
            mine = np.int32(number[comp[PARENT, run[LABEL, place]]])
            a, b = run[SPAN, place] & LOWER, run[SPAN, place] >> SHIFT
            while x < a:
                row[x] = nothing
                x += np.uint32(1)
            while x < b:
                row[x] = mine
                x += np.uint32(1)
        while x < width:
            row[x] = nothing
            x += np.uint32(1)
    return n
