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

from iamiou.jit import inner

BYTES = types.Array(types.uint8, 1, "C", readonly=True)
I4 = types.int32[::1]
TABLE = types.int32[:, ::1]
INT = types.int64
_MARKS = types.uint8[::1]

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


@inner
def mark(marks, data, size, start, count):
    """Make ``marks[x]`` odd or even but not 0 where the label of pixel ``start + x`` differs from the one before it."""
    if size == 1:
        a = data[start : start + count]
        for x in range(1, count):
            marks[x] |= a[x] ^ a[x - 1]
    elif size == 2:
        b = data[2 * start : 2 * (start + count)].view(np.uint16)
        for x in range(1, count):
            change = b[x] ^ b[x - 1]
            marks[x] |= np.uint8(change | change >> 8)
    else:
        c = data[4 * start : 4 * (start + count)].view(np.uint32)
        for x in range(1, count):
            marks[x] |= c[x] != c[x - 1]


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
    for x in range(count, min(count + 64, marks.shape[0])):
        marks[x] = 0
    words = marks.view(np.uint64)
    low, squeeze = np.uint64(0x0101010101010101), np.uint64(0x0102040810204080)
    k = 0
    for w in range(0, (count + 7) >> 3, 8):
        bits = np.uint64(0)
        for part in range(8):
            word = words[w + part]
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
        b = data.view(np.uint16)
        for k in range(count):
            out[k] = b[pos[k]]
    else:
        c = data.view(np.int32)
        for k in range(count):
            out[k] = c[pos[k]]


@inner
def grown(table, columns):
    """Copy into a table with more columns; what is new is 0."""
    out = np.zeros((table.shape[0], columns), np.int32)
    for row in range(table.shape[0]):
        for k in range(table.shape[1]):
            out[row, k] = table[row, k]
    return out


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
def _close_gaps(gap, left, right, u0, u1, v0, v1):
    """Join the gaps between the runs u0:u1 of a row to those of the runs v0:v1 of the next, and to the outside."""
    for q in range(u0, u1 - 1):
        if right[q] < left[v0] or left[q + 1] > right[v1 - 1]:
            union(gap, np.int32(0), np.int32(q + 1))
    for q in range(v0, v1 - 1):
        if right[q] < left[u0] or left[q + 1] > right[u1 - 1]:
            union(gap, np.int32(0), np.int32(q + 1))
    u, v = u0, v0
    while u < u1 - 1 and v < v1 - 1:
        if max(right[u], right[v]) < min(left[u + 1], left[v + 1]):
            union(gap, np.int32(u + 1), np.int32(v + 1))
        if left[u + 1] < left[v + 1]:
            u += 1
        else:
            v += 1


@inner
def nest(run, row_start, parent, wanted):
    """Join every component that lies in a hole of a component of its own class to that component.

    Between two runs of one class in a row lies a gap. Gaps that touch (4 neighbours) and do not reach the
    outside form a hole, and a hole has exactly one component of the class around it (8-connected classes and
    4-connected gaps are dual). So all runs beside the gaps of one hole belong together. Only the classes
    marked in ``wanted`` are looked at.
    """
    end, cls, lab, num_classes = run[END], run[CLASS], run[LABEL], wanted.shape[0]
    height = row_start.shape[0] - 1
    first = np.zeros(num_classes + 1, np.int64)
    for k in range(row_start[height]):
        if wanted[cls[k]]:
            first[cls[k] + 1] += 1
    for c in range(num_classes):
        first[c + 1] += first[c]
    total = first[num_classes]
    table = np.empty((5, total + 1), np.int32)
    row, label, left, right, gap, fill = table[0], table[1], table[2], table[3], table[4], first.copy()
    for y in range(height):
        start = np.int32(0)
        for k in range(row_start[y], row_start[y + 1]):
            if wanted[cls[k]]:
                q = fill[cls[k]]
                fill[cls[k]] += 1
                row[q], left[q], right[q], label[q] = y, start, end[k], lab[k]
            start = end[k]
    for q in range(total + 1):
        gap[q] = q  # union-find; 0 is the outside, q + 1 the gap after run q
    for c in range(num_classes):
        u0, u1, v0 = first[c], first[c], first[c]  # u: the runs of the row above
        while v0 < first[c + 1]:
            v1 = v0 + 1
            while v1 < first[c + 1] and row[v1] == row[v0]:
                v1 += 1
            if u1 > u0 and row[u0] + 1 == row[v0]:
                _close_gaps(gap, left, right, u0, u1, v0, v1)
            else:  # nothing of the class next to this row: its gaps are open
                for q in range(u0, u1 - 1):
                    union(gap, np.int32(0), np.int32(q + 1))
                for q in range(v0, v1 - 1):
                    union(gap, np.int32(0), np.int32(q + 1))
            u0, u1, v0 = v0, v1, v1
        for q in range(u0, u1 - 1):
            union(gap, np.int32(0), np.int32(q + 1))
        for q in range(first[c], first[c + 1] - 1):
            if row[q] == row[q + 1] and find(gap, np.int32(q + 1)) != 0:
                union(parent, label[q], label[q + 1])


@inner
def settle(run, row_start, comp, labels, holes, nested):
    """Apply the nested rule to the classes that it can concern and point every label at its root."""
    parent, cls = comp[PARENT], comp[CLASS]
    if nested:
        roots = np.zeros(holes.shape[0], np.int32)
        for k in range(labels):
            roots[cls[k]] += parent[k] == k
        some = False
        for c in range(holes.shape[0]):
            if roots[c] < 2:
                holes[c] = 0
            some |= holes[c] != 0
        if some:
            nest(run, row_start, parent, holes)
    for k in range(labels):
        parent[k] = parent[parent[k]]
