"""One environment's side of the benchmark: waits for orders, one json a line, and answers each with one.

{"set": name, "do": "answer" | "time" | "memory", "what": "kind: name", "items": [...], "classes": C}

Everything that the packages print goes to stderr; the answers have stdout to themselves.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import peer_calls
import peer_calls_tools
from peer_calls import Alternative, Calls, Maps


@cache
def calls(environment: str, classes: int) -> Calls:
    module = peer_calls if hasattr(peer_calls, environment) else peer_calls_tools
    return getattr(module, environment)(classes)


_loaded: dict[str, Any] = {}


def load(kind: str, item: Any) -> Any:
    """Return what the call takes; maps are read once and kept, and lie writable, for some libraries want that."""
    if kind in ("files", "AP"):
        return item
    if item not in _loaded:
        if kind == "decode":
            _loaded[item] = Path(item).read_bytes()
        else:
            parts = (np.load(Path(item) / f"{part}.npy", mmap_mode="c") for part in Maps._fields)
            _loaded[item] = Maps(*(part.view(np.ndarray) for part in parts))
    return _loaded[item]


def touch(content: Any) -> None:
    """Read the maps once, so that they are in the cache as if they had just been decoded."""
    if isinstance(content, Maps):
        for labels in content[:3]:
            np.add.reduce(labels.reshape(-1).view(np.uint8)[: labels.nbytes & ~7].view(np.uint64))


def seconds(alternative: Alternative, content: Any) -> float:
    if isinstance(content, Maps):
        alternative.prepare(content)
    touch(content)
    start = time.process_time()  # of all threads, should a library start some after all
    alternative.call(content)
    return time.process_time() - start


def kilobytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {field}")


def memory(alternative: Alternative, content: Any) -> dict[str, float]:
    """Return the most megabytes held beside the maps, and the CPU seconds of that one call."""
    if isinstance(content, Maps):
        alternative.call(Maps(*(np.ascontiguousarray(labels[:64, :64]) for labels in content)))  # load what loads once
        touch(content)
    before = kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    taken = seconds(alternative, content)
    return {"megabytes": (kilobytes("VmHWM") - before) / 1000, "seconds": taken}


def serve(environment: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            what = order["what"]
            kind = what.partition(":")[0]
            if what == "list":
                reply: Any = sorted(calls(environment, order["classes"]))
            else:
                alternative = calls(environment, order["classes"])[what]
                contents = [load(kind, item) for item in order["items"]]
                if order["do"] == "answer":
                    reply = [alternative.answer(content) for content in contents]
                elif order["do"] == "memory":
                    resource.setrlimit(resource.RLIMIT_DATA, (order["limit"], order["limit"]))
                    reply = memory(alternative, contents[0])
                else:
                    reply = [seconds(alternative, content) for content in contents]
            if not order.get("keep", True):
                _loaded.clear()
            text = json.dumps({"reply": reply})
        except Exception as e:  # a library may raise anything; the driver says what
            text = json.dumps({"error": f"{type(e).__name__}: {str(e).strip().splitlines()[0] if str(e) else ''}"})
        print(text, file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1].replace("-", "_"))
