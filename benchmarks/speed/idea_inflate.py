"""Seconds that inflate libraries take for the packed pixels of PNG files, round by round, as json.

python idea_inflate.py ROUNDS FOLDER...
"""

from __future__ import annotations

import json
import struct
import sys
import time
import zlib
from pathlib import Path

from deflate import zlib_decompress
from isal import isal_zlib
from zlib_ng import zlib_ng

FILES = 60  # of every folder
WAYS = {
    "libdeflate": zlib_decompress,
    "ISA-L": lambda data, size: isal_zlib.decompress(data, 15, size),
    "zlib-ng": lambda data, size: zlib_ng.decompress(data, 15, size),
    "zlib": lambda data, size: zlib.decompress(data, 15, size),
}


def packed(data: bytes) -> tuple[bytes, int]:
    """Return the packed pixels and how many bytes they become."""
    at, parts, size = 8, [], 0
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IHDR":
            width, height, depth = struct.unpack_from(">IIB", data, at + 8)
            size = (width * depth // 8 + 1) * height
        elif kind == b"IDAT":
            parts.append(data[at + 8 : at + 8 + length])
        elif kind == b"IEND":
            return b"".join(parts), size
        at += 12 + length


def main() -> None:
    files = [file for folder in sys.argv[2:] for file in sorted(Path(folder).glob("*.png"))[:FILES]]
    items = [packed(file.read_bytes()) for file in files]
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for counted in [False] + [True] * int(sys.argv[1]):
        sums = dict.fromkeys(WAYS, 0.0)
        for data, size in items:
            for name, way in WAYS.items():
                start = time.thread_time()
                way(data, size)
                sums[name] += time.thread_time() - start
        if counted:
            for name, total in sums.items():
                seconds[name].append(total)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
