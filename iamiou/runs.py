"""Numba loops over the runs of equal labels in a map: find them, link them to components, apply the nested rule.

All loops work on runs along a row, never on single pixels: a label map of a photograph has some 20 runs a row.
Maps arrive as bytes with an item size of 1, 2 or 4, so that one compiled function serves every dtype. Signatures
are explicit: lazy specialisation is not safe when several processes fill Numba's cache.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from iamiou.jit import inner, once

BYTES = types.Array(types.uint8, 1, "C", readonly=True)
I4 = types.int32[::1]
TABLE = types.int32[:, ::1]
INT = types.int64
MARKS = types.uint8[::1]

# Rows of the tables: of a run its end (column), class and label; of a label its parent and class.
END, CLASS, LABEL = 0, 1, 2
PARENT = 0

#: Rows are scanned in blocks of about this many pixels, so that the scratch arrays stay in the cache.
BLOCK = 16384


@intrinsic
def _lowest_bit(typing_context, word):  # noqa: ARG001
    """Index of the lowest set bit of a uint64 that is not 0."""

    def codegen(context, builder, signature, arguments):  # noqa: ARG001
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen


def _reader(kind):
    """Make a function that reads element ``index`` of an array of bytes as if it held ``kind``.

    ``array.view`` does the same, and costs a fifth of a second of compile time for each type.
    """

    @intrinsic
    def read(typing_context, data, index):  # noqa: ARG001
        def codegen(context, builder, signature, arguments):
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            wide = builder.bitcast(array.data, ir.IntType(kind.bitwidth).as_pointer())
            return builder.load(builder.gep(wide, [arguments[1]]), align=1)

        return kind(data, types.int64), codegen

    return read


_read2, _read4, _read8 = _reader(types.uint16), _reader(types.uint32), _reader(types.uint64)


@inner
def mark(marks, data, size, start, count):
    """Make ``marks[x]`` differ from 0 where the label of pixel ``start + x`` differs from the one before it."""
    if size == 1:
        a = data[start : start + count]
        for x in range(1, count):
            marks[x] |= a[x] ^ a[x - 1]
    elif size == 2:
        for x in range(start + 1, start + count):
            change = _read2(data, x) ^ _read2(data, x - 1)
            marks[x - start] |= change | change >> 8
    else:
        for x in range(start + 1, start + count):
            marks[x - start] |= _read4(data, x) != _read4(data, x - 1)


@inner
def mark_two(marks, data, other, start, count):
    """Set the marks of two maps of one byte a label at once; what was marked before is lost."""
    a, b = data[start : start + count], other[start : start + count]
    for x in range(1, count):
        marks[x] = (a[x] ^ a[x - 1]) | (b[x] ^ b[x - 1])


@inner
def collect(marks, start, count, width, pos):
    """Write the pixels where a run starts (marks and row starts) to ``pos``, then the end.

    Eight bytes of marks at a time are squeezed to eight bits, and eight of those to one word: most words are
    not empty, so that the loop over their bits ends where the processor expects it more often.
    """
    for x in range(0, count, width):
        marks[x] = 1
    for x in range(count, count + 64):
        marks[x] = 0
    low, squeeze = np.uint64(0x0101010101010101), np.uint64(0x0102040810204080)
    k = 0
    for w in range(0, (count + 7) >> 3, 8):
        bits = np.uint64(0)
        for part in range(8):
            word = _read8(marks, w + part)
            word |= word >> np.uint64(4)
            word |= word >> np.uint64(2)
            word |= word >> np.uint64(1)
            bits |= (((word & low) * squeeze) >> np.uint64(56)) << np.uint64(8 * part)
        first = start + (w << 3)
        while bits != 0:
            pos[k] = first + _lowest_bit(bits)
            k += 1
            bits &= bits - np.uint64(1)
    pos[k] = start + count
    return k


@inner
def gather(data, size, pos, count, out):
    """Read the labels of the pixels ``pos[:count]``."""
    if size == 1:
        for k in range(count):
            out[k] = data[pos[k]]
    elif size == 2:
        for k in range(count):
            out[k] = _read2(data, np.int64(pos[k]))
    else:
        for k in range(count):
            out[k] = _read4(data, np.int64(pos[k]))


@inner
def table(rows, columns):
    """Return zeros, int32. All room comes from here: every other use of np.empty or np.zeros is compiled anew."""
    out = np.empty((rows, columns), np.int32)
    for row in range(rows):
        for k in range(columns):
            out[row, k] = 0
    return out


@inner
def grown(old, columns):
    """Copy into a table with more columns; what is new is 0."""
    new = table(old.shape[0], columns)
    for row in range(old.shape[0]):
        for k in range(old.shape[1]):
            new[row, k] = old[row, k]
    return new


@inner
def find(parent, x):
    """Root of x, halving the path."""
    while parent[x] != x:
        parent[x] = parent[parent[x]]
        x = parent[x]
    return x


@inner
def union(parent, x, y):
    """Join two sets under the smaller root; False when they were one already."""
    x, y = find(parent, x), find(parent, y)
    if x == y:
        return False
    if x < y:
        parent[y] = x
    else:
        parent[x] = y
    return True


@inner
def link(run, a0, b0, b1, reach, comp, labels, holes):
    """Give labels to the runs b0:b1 of a row from the runs a0:b0 of the row above; class 0 gets none.

    ``run`` holds end, class and label of every run, ``comp`` parent and class of every label. ``reach`` is 1
    for 8 neighbours and 0 for 4. A link between two runs that were connected already closes a cycle around
    something: the class has a hole.
    """
    end, cls, lab, parent = run[END], run[CLASS], run[LABEL], comp[PARENT]
    a = a0
    start = 0
    for b in range(b0, b1):
        c, stop = cls[b], end[b]
        if c != 0:
            found = np.int32(-1)
            while a < b0 and end[a] + reach <= start:
                a += 1
            j = a
            while j < b0:
                if cls[j] == c:
                    if found < 0:
                        found = find(parent, lab[j])
                    elif not union(parent, found, lab[j]):
                        holes[c] = 1
                if end[j] >= stop + reach:
                    break
                j += 1
            if found < 0:
                found = np.int32(labels)
                parent[labels] = found
                comp[CLASS, labels] = c
                labels += 1
            lab[b] = found
        start = stop
    return labels


@inner
def _join_nested(run, order, row_of, row_start, last, parent):
    """Join the components around and inside of holes; ``order`` are the runs by class, ``last`` where each ends."""
    room = 4 * order.shape[0] + 4
    gaps, comp, spare = table(np.int64(3), room), table(np.int64(2), room), table(np.int64(1), np.int64(2))[0]
    around, width, q = comp[PARENT], run[END, row_start[1] - 1], np.int64(0)
    for c in range(last.shape[0] - 1):
        stop = np.int64(last[c])
        m, above, begin, labels = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        row = np.int32(-1)
        while q < stop or row >= 0:
            # One row of gaps: all of it outside where the class has no run, else a gap before and after every
            # run. A column on either side of the map belongs to the outside, which gets label 0.
            if m > 0 and q < stop and (row < 0 or row_of[q] == row + 1):
                row = row_of[q]
                while q < stop and row_of[q] == row:
                    k = order[q]
                    gaps[END, m] = 1 if k == row_start[row] else run[END, k - 1] + 1
                    gaps[CLASS, m] = 1
                    gaps[END, m + 1] = run[END, k] + 1
                    gaps[CLASS, m + 1] = 0
                    gaps[LABEL, m + 1] = run[LABEL, k]
                    m += 2
                    q += 1
            else:
                row = np.int32(-1)
            gaps[END, m] = width + 2
            gaps[CLASS, m] = 1
            m += 1
            labels = link(gaps, above, begin, m, np.int64(0), comp, labels, spare)
            above, begin = begin, m
        for t in range(1, m - 1):
            if gaps[CLASS, t] == 1 and gaps[CLASS, t - 1] == 0 and gaps[CLASS, t + 1] == 0:
                if find(around, gaps[LABEL, t]) != 0:
                    union(parent, gaps[LABEL, t - 1], gaps[LABEL, t + 1])


@once
def settle(run, row_start, comp, labels, holes, nested):
    """Apply the nested rule and point every label at its root.

    The nested rule: a component that lies in a hole of a component of its own class belongs to that component.
    Between two runs of one class in a row lies a gap. Gaps that touch (4 neighbours) and do not reach the outside
    form a hole, and a hole has exactly one component of the class around it (8-connected classes and 4-connected
    gaps are dual). So all runs beside the gaps of one hole belong together. Only a class with a hole and with two
    components needs the work.
    """
    parent, height, num_classes = comp[PARENT], row_start.shape[0] - 1, holes.shape[0]
    first = table(np.int64(2), num_classes + 1)
    last, roots = first[0], first[1]
    for k in range(labels):
        roots[comp[CLASS, k]] += parent[k] == k
    total = np.int64(0)
    if nested:
        for k in range(row_start[height]):
            c = run[CLASS, k]
            if holes[c] != 0 and roots[c] > 1:
                last[c + 1] += 1
                total += 1
    if total > 0:
        for c in range(num_classes):
            last[c + 1] += last[c]
        by_class = table(np.int64(2), total)
        order, row_of = by_class[0], by_class[1]
        for y in range(height):
            for k in range(row_start[y], row_start[y + 1]):
                c = run[CLASS, k]
                if holes[c] != 0 and roots[c] > 1:
                    order[last[c]] = k
                    row_of[last[c]] = y
                    last[c] += 1  # afterwards last[c] is where class c ends
        _join_nested(run, order, row_of, row_start, last, parent)
    for k in range(labels):
        parent[k] = parent[parent[k]]
