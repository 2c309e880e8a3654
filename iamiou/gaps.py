"""The nested rule for images that are counted strip by strip: which components lie in a hole of their class.

`iamiou.sharing` looks at all runs of the image when it is over; here the runs of a row are gone with their strip. What
is kept of a gap that may yet become a hole, or join the outside, is a list of notes: the component under which it
begins, and every component that begins in it. These are all that the hole would join: what surrounds it has a run
above its first pixel, and what lies in it has a first run.
"""

from __future__ import annotations

import numpy as np

from iamiou.jit import inner, once
from iamiou.runs import CLASS, FIRST_RUN, LABEL, LAST_RUN, LOWER, NONE, SEEN, SHIFT, SPAN, find, union
from iamiou.sharing import open_gaps


@inner
def _sweep(run, follows, gap, notes, n, u, v):
    """Join the gaps of two rows that touch; ``u`` and ``v`` are the rows' first runs of one class.

    A gap lies between two runs of a class in a row and has the name of the run before it; what lies before the
    first run and after the last is the outside, gap 0. Two things are noted, as pairs of gap and label: a gap that
    touches none above begins under one component, and a run that touches none above begins a component in the gap
    that covers it.
    """
    span, lab, ring = run[SPAN], run[LABEL], np.uint32(follows.shape[0] - 1)
    nothing = np.uint32(0)
    u_gap, v_gap, u_from, v_from = nothing, nothing, nothing, nothing
    u_to, v_to = span[u] & LOWER, span[v] & LOWER
    touched = True
    while True:
        if max(u_from, v_from) < min(u_to, v_to):
            touched = True
            if u_gap != v_gap:
                union(gap, u_gap, v_gap)
        if u_to == NONE and v_to == NONE:
            break
        if u_to < v_to:
            u_from, u_gap, u = span[u] >> SHIFT, u, follows[u & ring]
            u_to = span[u] & LOWER
            if u == 0:
                u_to, u_gap = NONE, nothing
        else:
            end = span[v] >> SHIFT
            if not touched:
                notes[0, n], notes[1, n] = v_gap, lab[v_gap]
                n += 1
            if u_from < v_to and u_to > end and find(gap, u_gap) != 0:
                notes[0, n], notes[1, n] = u_gap, lab[v]
                n += 1
            touched = False
            v_from, v_gap, v = end, v, follows[v & ring]
            v_to = span[v] & LOWER
            if v == 0:
                v_to, v_gap = NONE, nothing
    return n


@once
def follow_gaps(run, row_start, rows, classes, follows, gap, notes, mark, final):
    """Join the gaps of all classes from row to row; mark those that reach the last row, which may go on."""
    cls, last, ring, nothing = run[CLASS], classes[LAST_RUN], np.uint32(follows.shape[0] - 1), np.uint32(0)
    n, number, before = np.int64(notes[0, 0]), 0, 0
    gap[0] = 0
    for y in range(rows):
        here, above = classes[FIRST_RUN + (y & 1)], classes[FIRST_RUN + 1 - (y & 1)]  # 0 where there is none
        seen, seen_above = classes[SEEN + (y & 1)], classes[SEEN + 1 - (y & 1)]
        before, number = number, 0
        for k in range(row_start[y], row_start[y + 1]):
            b = np.uint32(k)
            c = cls[b]
            follows[b & ring], mark[b] = nothing, nothing
            if y > 0:
                gap[b] = b
            if here[c] == 0:
                here[c] = b
                seen[number] = c
                number += 1
            else:
                follows[last[c] & ring] = b
            last[c] = b
        if y > 0:  # row 0 is the last one of the strip before
            for k in range(number):
                c = seen[k]
                if above[c] != 0:
                    n = _sweep(run, follows, gap, notes, n, above[c], here[c])
                    above[c] = 0
                else:
                    open_gaps(follows, gap, here[c])
        for k in range(before):
            c = seen_above[k]
            if above[c] != 0:
                open_gaps(follows, gap, above[c])
                above[c] = 0
    here, seen = classes[FIRST_RUN + (rows - 1 & 1)], classes[SEEN + (rows - 1 & 1)]
    for k in range(number):
        c = seen[k]
        b = here[c]
        here[c] = 0
        if final:
            open_gaps(follows, gap, b)
        else:
            while follows[b & ring] != 0:
                if find(gap, b) != 0:
                    mark[find(gap, b)] = NONE
                b = follows[b & ring]
    notes[0, 0] = n


@once
def fill_holes(parent, gap, notes, mark):
    """Join the components around and in every gap that has become a hole; keep the notes on those that may."""
    kept = 1
    for k in range(1, notes[0, 0]):
        g, label = find(gap, notes[0, k]), find(parent, notes[1, k])
        if g != 0:
            if mark[g] == NONE:
                notes[0, kept], notes[1, kept] = g, label
                kept += 1
            elif mark[g] == 0:
                mark[g] = label + 1
            else:
                union(parent, np.uint32(mark[g] - 1), label)
    notes[0, 0] = kept
