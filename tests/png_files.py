"""A small PNG writer for tests: any filter, bit depth, interlacing and order of chunks; and a mutator of its files."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
Chunk = tuple[bytes, bytes]


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def header(
    height: int, width: int, depth: int = 8, colour: int = 0, interlace: int = 0, *, method: int = 0, filters: int = 0
) -> Chunk:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, method, filters, interlace)


def join(chunks: Sequence[Chunk]) -> bytes:
    return SIGNATURE + b"".join(chunk(*c) for c in chunks)


def split(data: bytes) -> list[Chunk]:
    """Take a valid file apart."""
    chunks, at = [], 8
    while not chunks or chunks[-1][0] != b"IEND":
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def packed_rows(samples: np.ndarray, depth: int) -> np.ndarray:
    """Return the bytes of each row as PNG packs samples of 1, 2, 4, 8 or 16 bits."""
    if depth >= 8:
        return np.ascontiguousarray(samples, ">u2" if depth == 16 else "u1").view(np.uint8).reshape(len(samples), -1)
    bits = samples[..., None] >> np.arange(depth)[::-1] & 1
    return np.packbits(bits.reshape(len(samples), -1).astype(np.uint8), axis=1)


def filter_row(kind: int, row: np.ndarray, above: np.ndarray, size: int) -> np.ndarray:
    """Apply a PNG filter to a row of bytes, `size` bytes a pixel."""
    x, b = row.astype(int), above.astype(int)
    a = np.concatenate([np.zeros(size, int), x[:-size]])[: len(x)]
    c = np.concatenate([np.zeros(size, int), b[:-size]])[: len(x)]
    p = a + b - c
    nearest = np.where(
        (abs(p - a) <= abs(p - b)) & (abs(p - a) <= abs(p - c)), a, np.where(abs(p - b) <= abs(p - c), b, c)
    )
    return ((x - (0, a, b, (a + b) // 2, nearest)[kind]) & 255).astype(np.uint8)


def filtered(samples: np.ndarray, depth: int, kinds: Sequence[int]) -> bytes:
    """Return the rows of an image, each with its filter in front; `kinds` are repeated over the rows."""
    rows = packed_rows(samples, depth)
    above = np.zeros_like(rows[0]) if len(rows) else None
    out = bytearray()
    for y, row in enumerate(rows):
        kind = kinds[y % len(kinds)]
        out += bytes([kind]) + filter_row(kind, row, above, max(1, depth // 8)).tobytes()
        above = row
    return bytes(out)


def image_data(samples: np.ndarray, depth: int, kinds: Sequence[int] = (0,), *, interlaced: bool = False) -> bytes:
    """Return what an image is before it is compressed."""
    if not interlaced:
        return filtered(samples, depth, kinds)
    passes = (samples[y::down, x::across] for y, x, down, across in ADAM7)
    return b"".join(filtered(p, depth, kinds) for p in passes if p.size)


def encode(
    samples: np.ndarray,
    depth: int = 8,
    colour: int = 0,
    kinds: Sequence[int] = (0,),
    *,
    interlaced: bool = False,
    pieces: int = 1,
    extra: Sequence[Chunk] = (),
) -> bytes:
    """Write samples as PNG; `pieces` is the number of IDAT chunks, `extra` are chunks before the first."""
    packed = zlib.compress(image_data(samples, depth, kinds, interlaced=interlaced))
    cuts = [len(packed) * k // pieces for k in range(pieces + 1)]
    chunks = [header(*samples.shape, depth, colour, int(interlaced))]
    chunks += [(b"PLTE", bytes(range(256)) * 3)] if colour == 3 else []
    chunks += [*extra, *((b"IDAT", packed[i:j]) for i, j in pairwise(cuts)), (b"IEND", b"")]
    return join(chunks)


def samples(rng: np.random.Generator, shape: tuple[int, int], depth: int) -> np.ndarray:
    """Draw samples that a filter loop may stumble over: runs, noise, one value, extremes."""
    top = 2**depth
    dtype = np.uint16 if depth == 16 else np.uint8
    style = rng.integers(0, 5)
    if style == 0:
        return rng.integers(0, top, shape).astype(dtype)
    if style == 1:
        return np.full(shape, rng.integers(0, top), dtype)
    if style == 2:
        return rng.choice([0, 1, top - 1], shape).astype(dtype)
    labels = np.full(shape, rng.integers(0, top), dtype)
    for _ in range(rng.integers(1, 12)):  # boxes: what label maps are made of
        y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        labels[y : y + rng.integers(1, 12), x : x + rng.integers(1, 40)] = rng.integers(0, top)
    return labels


def by_pillow(data: bytes, depth: int | None = None, colour: int | None = None) -> np.ndarray:
    """Decode with Pillow; grey values under 8 bits are brought back to what was stored."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        labels = np.array(image)
    if depth is None:
        depth, colour = data[24], data[25]
    if colour == 0 and depth < 8:
        labels = (labels.astype(np.uint8) // {1: 1, 2: 85, 4: 17}[depth]).astype(np.uint8)
    return labels


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Damage a valid file in one of many ways; half of them repair the checksums, to get further in."""
    chunks = split(data)
    at = rng.randrange(len(chunks))
    kind, content = chunks[at]
    match rng.randrange(10):
        case 0:  # flip bytes anywhere
            return _flipped(data, rng)
        case 1:
            return data[: rng.randrange(len(data))]
        case 2:  # lose or double a piece
            i, n = rng.randrange(len(data)), rng.randrange(1, 9)
            return data[:i] + (data[i + n :] if rng.random() < 0.5 else data[i : i + n] + data[i:])
        case 3:  # any field of the header
            fields = bytearray(chunks[0][1])
            fields[rng.randrange(13)] = rng.choice([0, 1, 2, 3, 4, 8, 16, 128, 255, rng.randrange(256)])
            chunks[0] = (b"IHDR", bytes(fields))
        case 4:  # a size that is a little wrong
            fields = bytearray(chunks[0][1])
            i = rng.choice([3, 7])
            fields[i] = (fields[i] + rng.choice([-1, 1])) % 256
            chunks[0] = (b"IHDR", bytes(fields))
        case 5:  # a chunk lost, doubled or moved
            where = rng.randrange(len(chunks))
            chunks.insert(where, chunks[at] if rng.random() < 0.5 else chunks.pop(at))
        case 6:  # contents or type of a chunk
            if rng.random() < 0.3:
                chunks[at] = (_flipped(kind, rng), content)
            else:
                chunks[at] = (kind, _flipped(content, rng))
        case 7:  # a chunk that claims another length
            whole = chunk(kind, content)
            length = rng.choice([0, len(content) + rng.choice([-1, 1, 4, 12]), 2**31, 2**32 - 1])
            return data.replace(whole, struct.pack(">I", max(0, length)) + whole[4:], 1)
        case 8:  # inflated data: filters, pixels, length
            return _reworked(chunks, rng)
        case _:  # another stream of compressed data: stored, cut, with something behind
            return _recompressed(chunks, rng)
    return join(chunks)


def _flipped(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        if out:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _inflated(chunks: Sequence[Chunk]) -> bytearray:
    return bytearray(zlib.decompress(b"".join(c for k, c in chunks if k == b"IDAT")))


def _with_data(chunks: Sequence[Chunk], packed: bytes) -> bytes:
    before = [c for c in chunks if c[0] not in (b"IDAT", b"IEND")]
    return join([*before, (b"IDAT", packed), (b"IEND", b"")])


def _reworked(chunks: Sequence[Chunk], rng: random.Random) -> bytes:
    raw = _inflated(chunks)
    width, height = struct.unpack_from(">II", chunks[0][1])
    stride = len(raw) // height
    match rng.randrange(4):
        case 0:  # other filters, some unknown
            for row in range(0, len(raw), max(1, stride)):
                raw[row] = rng.choice([0, 1, 2, 3, 4, 4, 4, rng.randrange(256)]) if rng.random() < 0.2 else raw[row] % 5
        case 1:
            for _ in range(rng.randrange(1, 20)):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
        case 2:
            raw = raw[: rng.randrange(len(raw))]
        case _:
            raw += bytes(rng.choice([1, stride, width]))
    return _with_data(chunks, zlib.compress(bytes(raw)))


def _recompressed(chunks: Sequence[Chunk], rng: random.Random) -> bytes:
    packed = zlib.compress(bytes(_inflated(chunks)), rng.randrange(10))
    match rng.randrange(4):
        case 0:
            packed = packed[: rng.randrange(len(packed))]
        case 1:
            packed += bytes(rng.randrange(1, 9))
        case 2:
            packed = _flipped(packed, rng)
        case _:
            pass
    return _with_data(chunks, packed)
