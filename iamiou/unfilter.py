"""Undo the row filters of PNG, in place and eight bytes at a time where a label map's runs allow it."""
# An intrinsic has to name arguments that it does not use; Numba and mypy see other types in it and in the loops:
# ruff: noqa: ARG001
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, call-arg, var-annotated"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from iamiou.jit import inner, jit

# Rows start at odd offsets. Words are therefore read and written unaligned, which NumPy views cannot do, but LLVM
# can, on every processor. The build with bounds checks (see jit.py) checks these words and moves as it checks indices.


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, length: Any) -> Any:
    """Point at the byte at `index`; prove, if bounds are to be checked, that `length` bytes from there are inside."""
    array = context.make_array(array_type)(context, builder, array)
    if context.enable_boundscheck:
        size = builder.extract_value(array.shape, 0)
        last = builder.sub(builder.add(index, length), length.type(1))
        cgutils.do_boundscheck(context, builder, index, size, 0)
        cgutils.do_boundscheck(context, builder, last, size, 0)
    return builder.gep(array.data, [index])


@intrinsic
def _load(typingctx: Any, array: Any, index: Any) -> Any:
    """Read 8 bytes as one word, whatever the alignment."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = context.get_value_type(types.uint64)
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1], args[1].type(8))
        loaded = builder.load(builder.bitcast(pointer, word.as_pointer()))
        loaded.align = 1
        return loaded

    return types.uint64(array, types.int64), codegen


@intrinsic
def _store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write one word over 8 bytes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = context.get_value_type(types.uint64)
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1], args[1].type(8))
        stored = builder.store(args[2], builder.bitcast(pointer, word.as_pointer()))
        stored.align = 1
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), codegen


@intrinsic
def _move(typingctx: Any, array: Any, to: Any, start: Any, length: Any) -> Any:
    """Move `length` bytes from `start` to `to`, which may overlap (a loop could not be vectorised for that)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = _pointer(context, builder, signature.args[0], args[0], args[1], args[3])
        source = _pointer(context, builder, signature.args[0], args[0], args[2], args[3])
        cgutils.raw_memmove(builder, target, source, args[3], itemsize=1)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, types.int64), codegen


_INT = types.int64
_0, _8, _56, _FF, _ALL = (np.uint64(n) for n in (0, 8, 56, 0xFF, 2**64 - 1))
_LOW_BITS, _HIGH_BIT = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x8080808080808080)
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
_EVERY_BYTE, _EVERY_PAIR = np.uint64(0x0101010101010101), np.uint64(0x0001000100010001)


@inner
def _bytewise(filtered, above, left, corner, kind, size):
    """Undo the filter `kind` (2 Up, 3 Average, else Paeth) for eight bytes.

    `above` is the word above, `left` and `corner` repeat the pixels of `size` bytes to the left of both.
    """
    corners = above << np.uint64(8 * size) | corner >> np.uint64(64 - 8 * size)
    near, far = left & _FF, left >> _8 & _FF  # the next byte to the left and, in 16-bit maps, the one after it
    word = _0
    for _ in range(8):
        a, b, c = np.int64(near), np.int64(above & _FF), np.int64(corners & _FF)
        guess = b
        if kind == 3:
            guess = (a + b) >> 1
        elif kind != 2:
            to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - c - c)
            guess = b if to_b <= to_c else c
            guess = a if to_a <= to_b and to_a <= to_c else guess
        new = (np.uint64(guess) + filtered) & _FF
        word = word >> _8 | new << _56
        near, far = (new, new) if size == 1 else (far, new)
        above, corners, filtered = above >> _8, corners >> _8, filtered >> _8
    return word


@jit([_INT(types.Array(types.uint8, 1, "C"), _INT, _INT, _INT)])
def unfilter(buffer, rows, width, size):
    """Turn inflated PNG rows into pixels without gaps, from the start of the same buffer on.

    Where the filtered bytes are 0 and the pixels to the left and above follow a pattern, a whole word is known:
    Paeth repeats the word above if left and upper left are equal, and the left pixel if all above is the upper
    left; Sub is Paeth below zeros. Writing never overtakes reading, as every row has its filter byte in front.

    Parameters
    ----------
    buffer : (rows * (width + 1),) uint8 array
        Every row with its filter byte in front. The caller proves this size.
    rows : int
        Number of rows.
    width : int
        Bytes of a row without its filter; at least 8.
    size : {1, 2}
        Bytes of a pixel; two bytes are swapped to little-endian order.

    Returns
    -------
    int
        -1, or the first row with an unknown filter; the buffer is then as it was.
    """
    for row in range(rows):
        if buffer[row * (width + 1)] > 4:
            return row
    top = np.uint64(64 - 8 * size)
    every = _EVERY_BYTE if size == 1 else _EVERY_PAIR
    for row in range(rows):
        out = row * width
        raw = out + row + 1
        kind = buffer[raw - 1]
        if kind == 0:
            _move(buffer, out, raw, width)
            continue
        up, keep = out - width, _ALL
        if row == 0 or kind == 1:  # zeros stand above
            up, keep = raw, _0
        left = corner = _0  # the last pixel of this row and of the row above, repeated over a word
        i = 0
        while i < width:
            start = i
            if kind == 2:
                while i <= width - 8:  # eight sums, without carry from byte to byte
                    f, b = _load(buffer, raw + i), _load(buffer, up + i) & keep
                    _store(buffer, out + i, ((f & _LOW_BITS) + (b & _LOW_BITS)) ^ ((f ^ b) & _HIGH_BIT))
                    i += 8
            elif left == corner and kind != 3:
                while i <= width - 8 and _load(buffer, raw + i) == _0:
                    _store(buffer, out + i, _load(buffer, up + i))
                    i += 8
            else:
                same = left if kind == 3 else corner
                while i <= width - 8 and _load(buffer, raw + i) == _0 and _load(buffer, up + i) == same:
                    _store(buffer, out + i, left)
                    i += 8
            if i == width:
                break
            if i > start:
                left = (_load(buffer, out + i - 8) >> top) * every
                corner = ((_load(buffer, up + i - 8) & keep) >> top) * every
            at = min(i, width - 8)  # the last word of a row overlaps the one before
            known = np.uint64(8 * (i - at))
            above = (_load(buffer, up + at) & keep) >> known
            word = _bytewise(_load(buffer, raw + at) >> known, above, left, corner, kind, size)
            left, corner = (word >> top) * every, (above >> top) * every
            if known:
                word = word << known | (_load(buffer, out + at) & ~(_ALL << known))
            _store(buffer, out + at, word)
            i += 8
    if size == 2:
        whole = rows * width // 8 * 8
        for i in range(0, whole, 8):
            word = _load(buffer, i)
            _store(buffer, i, (word >> _8 & _EVEN_BYTES) | (word & _EVEN_BYTES) << _8)
        for i in range(whole, rows * width, 2):
            buffer[i], buffer[i + 1] = buffer[i + 1], buffer[i]
    return -1
