"""Numba loops over the runs of equal labels in a map: find them and link them to components.

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
TABLE = types.uint32[:, ::1]
INT = types.int64
MARKS = types.uint64[::1]

# Rows of the tables: of a run its span (the column of its start, and above 16 bits that of its end), class and label;
# of a label its parent and class, then its pixels that are valid and those of its class, and its last overlap; of an
# overlap (a piece of what a label and an instance have in common) both and the pixels; of an instance its area and the
# classes over it. All is unsigned: for every signed index Numba asks first whether it counts from the end.
SPAN, CLASS, LABEL = 0, 1, 2
PARENT = 0
VALID, SAME, LAST = 2, 3, 4
O_LABEL, O_INST, O_BOTH, O_SAME = 0, 1, 2, 3
AREA, HIGH, LOW = 0, 1, 2
TOP = 1 << 16  # above every class; LOW holds TOP - class, so that 0 means none yet

# Places of the state of an image: what is next (the row) or first free (run, label, overlap) and the number of
# instance ids; the same as room for the next block of rows needs them;
ROW, RUNS, LABELS, OVERLAPS, IDS, NEED = 0, 1, 2, 3, 4, 5
# the largest class met in the truth and in the prediction;
TOP_SEM, TOP_PRED = 9, 10
# pixels void in the semantic map only, in the instance map only; valid pixels that are object in one map only;
VOID_SEM, VOID_INST, OBJECT_DIFFERS = 11, 12, 13
# instances that lie on background only, and those over two classes;
NO_CLASS, TWO_CLASSES = 14, 15
# rows written of instances and of phantoms.
INSTANCES, PHANTOMS, STATES = 16, 17, 18

# Rows of the table of classes: whether a component of the class may have a hole; room for the nested rule.
HOLES, ROOTS, LAST_RUN, FIRST_RUN, SEEN, CLASS_ROWS = 0, 1, 2, 3, 5, 7
NONE = np.uint32(0xFFFFFFFF)

#: What lies below and above the 16 bits of two packed numbers; no map is wider than 2**15.
SHIFT, LOWER = np.uint32(16), np.uint32(0xFFFF)

#: Rows are scanned in blocks of about this many pixels, so that the scratch arrays stay in the cache.
BLOCK = 16384


@intrinsic
def _lowest_bit(typing_context, word):  # noqa: ARG001
    """Index of the lowest set bit of a uint64; 64 when there is none."""

    def codegen(context, builder, signature, arguments):  # noqa: ARG001
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), codegen


@intrinsic
def _bits(typing_context, word):  # noqa: ARG001
    """Count the set bits of a uint64."""

    def codegen(context, builder, signature, arguments):  # noqa: ARG001
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), codegen


def _stepper(kind):
    """Make a function that compares 64 labels of ``kind`` with their left neighbours at once.

    Bit k of the result is set where label ``index + k`` differs from the one before it. LLVM makes of it what the
    processor has: with AVX2 some six instructions for 64 labels of a byte.
    """

    @intrinsic
    def steps(typing_context, data, index):  # noqa: ARG001
        def codegen(context, builder, signature, arguments):
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            wide = builder.bitcast(array.data, ir.IntType(kind.bitwidth).as_pointer())
            lanes = ir.VectorType(ir.IntType(kind.bitwidth), 64).as_pointer()
            before = builder.sub(arguments[1], ir.Constant(ir.IntType(64), 1))
            pair = [
                builder.load(builder.bitcast(builder.gep(wide, [at]), lanes), align=1) for at in (before, arguments[1])
            ]
            return builder.bitcast(builder.icmp_unsigned("!=", *pair), ir.IntType(64))

        return types.uint64(data, types.int64), codegen

    return steps


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


_read2, _read4 = _reader(types.uint16), _reader(types.uint32)
_steps1, _steps2, _steps4 = _stepper(types.uint8), _stepper(types.uint16), _stepper(types.uint32)


@inner
def _differs(data, size, x):
    """Tell whether label x differs from the one before it."""
    if size == 1:
        return data[x] != data[x - 1]
    if size == 2:
        return _read2(data, x) != _read2(data, x - 1)
    return _read4(data, x) != _read4(data, x - 1)


@inner
def mark(words, data, size, start, count):
    """Set bit x of ``words`` where the label of pixel ``start + x`` differs from the one before it.

    The loop is written out for every size: a call or a test for each word would take longer than the work.
    """
    if data.shape[0] <= 64 * size:
        for x in range(max(1 - start, 0), count):
            words[x >> 6] |= np.uint64(_differs(data, size, start + x)) << np.uint64(x & 63)
        return
    whole, rest = count >> 6, np.uint64(64 - (count & 63))
    at = start + count - 64  # where the last 64 pixels begin; they overlap with whole words
    _ = data[size * (max(start, 1) - 1)], data[size * (start + count) - 1]  # for the build with bounds checks
    if size == 1:
        for w in range(start == 0, whole):
            words[w] |= _steps1(data, start + (w << 6))
        if start == 0:
            words[0] |= _steps1(data, 1) << np.uint64(1)
        if rest < 64:
            words[whole] |= _steps1(data, at) >> rest
    elif size == 2:
        for w in range(start == 0, whole):
            words[w] |= _steps2(data, start + (w << 6))
        if start == 0:
            words[0] |= _steps2(data, 1) << np.uint64(1)
        if rest < 64:
            words[whole] |= _steps2(data, at) >> rest
    else:
        for w in range(start == 0, whole):
            words[w] |= _steps4(data, start + (w << 6))
        if start == 0:
            words[0] |= _steps4(data, 1) << np.uint64(1)
        if rest < 64:
            words[whole] |= _steps4(data, at) >> rest


@inner
def collect(words, start, count, width, pos):
    """Write the pixels where a run starts (marks and row starts) to ``pos``, then the end; reset the marks.

    Four places of ``pos`` are written for every word, however few bits it has: a loop over as many bits as there
    are would end where no processor foresees it, and that costs more. So ``pos`` needs room for four more.
    """
    one = np.uint64(1)
    for x in range(0, count, width):
        words[x >> 6] |= one << np.uint64(x & 63)
    k = np.uint64(0)
    for w in range((count + 63) >> 6):
        word = words[w]
        words[w] = 0
        first = np.uint64(start + (w << 6))
        after = k + _bits(word)
        for _ in range(4):
            pos[k] = first + _lowest_bit(word)
            word &= word - one
            k += one
        while word != 0:
            pos[k] = first + _lowest_bit(word)
            word &= word - one
            k += one
        k = after
    pos[k] = start + count
    return np.int64(k)


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
def room(rows, columns):
    """Return a table of uint32; the one place that makes them, for every use of np.empty compiles it anew."""
    return np.empty((rows, columns), np.uint32)


@inner
def table(rows, columns):
    """Return a table of zeros."""
    new = room(rows, columns)
    for row in range(rows):
        for k in range(columns):
            new[row, k] = 0
    return new


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
    """Give labels to the runs b0:b1 of a row from the runs a0:b0 of the row above.

    ``run`` holds span, class and label of every run of a class other than 0, ``comp`` parent and class of
    every label. ``reach`` is 1 for 8 neighbours and 0 for 4. A link between two runs that were connected already
    closes a cycle around something: the class has a hole.
    """
    span, cls, lab, parent = run[SPAN], run[CLASS], run[LABEL], comp[PARENT]
    a, stop = np.uint32(a0), np.uint32(b0)
    for k in range(b0, b1):
        b = np.uint32(k)
        c, left, right = cls[b], span[b] & LOWER, (span[b] >> SHIFT) + reach
        while a < stop and (span[a] >> SHIFT) + reach <= left:
            a += np.uint32(1)
        found = NONE
        j = a
        while j < stop and span[j] & LOWER < right:
            if cls[j] == c:
                if found == NONE:
                    found = find(parent, lab[j])
                elif not union(parent, found, lab[j]):
                    holes[c] = 1
            j += np.uint32(1)
        if found == NONE:
            found = np.uint32(labels)
            parent[found] = found
            comp[CLASS, found] = c
            labels += 1
        lab[b] = found
    return labels
