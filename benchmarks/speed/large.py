"""One 8192 x 8192 pair in a fresh process: seconds, and the most memory held beside the maps. Linux only."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np


def kilobytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise SystemExit(f"/proc/self/status has no {field}")


def main() -> None:
    folder, which = Path(sys.argv[1]), sys.argv[2]
    maps = tuple(np.load(folder / f"{name}.npy") for name in ("predictions", "semantic", "instances"))
    if which == "ours":
        from in_process import Ours

        call = Ours(19)
    else:
        import numpy_peer

        def call(maps: tuple[np.ndarray, ...]) -> object:
            return numpy_peer.count(*maps, 19)

    call(tuple(np.ascontiguousarray(m[:64, :64]) for m in maps))  # load what is loaded once
    before = kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    start = time.thread_time()
    call(maps)
    seconds = time.thread_time() - start
    json.dump({"seconds": seconds, "extra_mb": (kilobytes("VmHWM") - before) / 1000}, sys.stdout)


if __name__ == "__main__":
    main()
