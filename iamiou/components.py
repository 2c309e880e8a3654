"""Connected components of a label map, for ground truth that has no instances."""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from iamiou.jit import jit
from iamiou.runs import BLOCK, BYTES, CLASS, END, INT, LABEL, PARENT, collect, gather, grown, link, mark, settle, table


@jit([INT(BYTES, INT, INT, INT, INT, types.int32[:, ::1])])
def label_map(data: NDArray[np.uint8], size: int, height: int, width: int, reach: int, out: NDArray[np.int32]) -> int:
    """Label the components of equal labels other than 0; write 1..n to ``out`` in raster order and return n."""
    rows_a_block = max(1, BLOCK // width)
    block = rows_a_block * width
    marks, buffer = np.zeros(block + 64, np.uint8), table(np.int64(2), block + 1)
    pos, value = buffer[0], buffer[1]
    run, comp = table(np.int64(3), np.int64(4096)), table(np.int64(2), np.int64(1024))
    row_start, holes = table(np.int64(1), height + 1)[0], table(np.int64(1), np.int64(65536))[0]
    runs, labels, above = np.int64(0), np.int64(0), np.int64(0)
    for y0 in range(0, height, rows_a_block):
        y1 = min(y0 + rows_a_block, height)
        start, pixels = y0 * width, (y1 - y0) * width
        marks[:] = 0
        mark(marks, data, size, start, pixels)
        found = collect(marks, start, pixels, width, pos)
        gather(data, size, pos, found, value)
        if runs + found > run.shape[1]:
            run = grown(run, (runs + found) * 3 // 2)
        if labels + found > comp.shape[1]:
            comp = grown(comp, (labels + found) * 3 // 2)
        k = 0
        for y in range(y0, y1):
            row_stop = (y + 1) * width
            while k < found and pos[k] < row_stop:
                run[CLASS, runs + k] = value[k]
                run[END, runs + k] = pos[k + 1] - row_stop + width
                k += 1
            row_start[y + 1] = runs + k
            begin, stop = np.int64(row_start[y]), np.int64(row_start[y + 1])
            labels = link(run, above, begin, stop, reach, comp, labels, holes)
            above = begin
        runs += found
    settle(run, row_start, comp, labels, holes, False)
    n = np.int32(0)
    number = table(np.int64(1), labels + 1)[0]
    for k in range(labels):
        if comp[PARENT, k] == k:
            n += 1
            number[k] = n
    for y in range(height):
        x = np.int32(0)
        for k in range(row_start[y], row_start[y + 1]):
            mine = np.int32(0)
            if run[CLASS, k] != 0:
                mine = number[comp[PARENT, run[LABEL, k]]]
            for q in range(x, run[END, k]):
                out[y, q] = mine
            x = run[END, k]
    return n
