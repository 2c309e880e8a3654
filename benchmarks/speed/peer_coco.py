"""Write the pairs in COCO's form for the tools that know only that. Runs in the environment of pycocotools."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from peer_calls import Maps
from peer_calls_tools import write_coco


def main() -> None:
    maps, out = Path(sys.argv[1]), Path(sys.argv[2])
    pairs = [Maps(*(np.load(folder / f"{part}.npy") for part in Maps._fields)) for folder in sorted(maps.iterdir())]
    write_coco(out, pairs, 21)


if __name__ == "__main__":
    main()
