"""Damaged archives and images at random: always a report, never an exception, a hang or a flood of memory."""

from __future__ import annotations

import io
import random
import resource
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iamiou.labels import VOC
from iamiou_leaderboard.types import ImageInfo
from iamiou_leaderboard.validation import check
from tests import png_files
from tests.leaderboard.attacks import REFUSED, TAKEN
from tests.leaderboard.boards import packed

SHAPE = (20, 30)
IDS = ("a", "b", "c")
IMAGES = [ImageInfo(i, *SHAPE, "hidden") for i in IDS]
LONGEST, MOST_MEMORY = 20.0, 500 * 2**20
#: They grow to megabytes, which slows down the search and is attacked elsewhere.
_LARGE = {"bomb by ratio", "bomb by count", "swollen data", "bomb in a comment", "gigapixel", "ten thousand tiny files"}
ATTACKS = [build for name, (build, _) in REFUSED.items() if name not in _LARGE]
ATTACKS += [build for name, build in TAKEN.items() if name not in _LARGE]


def honest(rng: random.Random) -> dict[str, bytes]:
    """Return label maps in all forms that PNG has."""
    forms = [(0, 8), (3, 8), (0, 4), (3, 2), (0, 1), (0, 16)]
    files = {}
    for i in IDS:
        colour, depth = rng.choice(forms)
        labels = np.random.default_rng(rng.randrange(2**32)).integers(0, min(21, 2**depth), SHAPE)
        files[f"{i}.png"] = png_files.encode(
            labels.astype(np.uint16 if depth == 16 else np.uint8), depth, colour, [rng.randrange(5)],
            interlaced=rng.random() < 0.2,
        )  # fmt: skip
    return files


def injured(data: bytes, rng: random.Random) -> bytes:
    """Injure an archive: bits, a piece lost, doubled or filled, a field that says something extreme, a cut."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(out)) if out else 0
        match rng.randrange(6):
            case 0 if out:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                del out[at : at + rng.randrange(1, 40)]
            case 2:
                out[at:at] = out[at : at + rng.randrange(1, 80)]
            case 3:
                out[at : at + 4] = rng.choice([b"\xff" * 4, bytes(4), b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6"])
            case 4 if (mark := out.find(rng.choice([b"PK\1\2", b"PK\3\4", b"PK\5\6"]), at)) >= 0:
                field = mark + rng.randrange(4, 46)
                out[field : field + 2] = rng.choice([b"\xff\xff", b"\0\0", b"\1\0", rng.randbytes(2)])
            case _:
                if rng.random() < 0.2:
                    del out[at:]
    return bytes(out)


def candidate(rng: random.Random) -> bytes:
    files = honest(rng)
    kind = rng.randrange(4)
    if kind == 0:  # an image is damaged, the archive is whole
        name = rng.choice(list(files))
        return packed(files | {name: png_files.mutate(files[name], rng)}, rng.choice([0, 8]))
    if kind == 1:
        return injured(packed(files, rng.choice([0, 8])), rng)
    attack = rng.choice(ATTACKS)(files)
    return attack if kind == 2 else injured(attack, rng)


def fuzz(seconds: float, seed: int, folder: Path) -> Counter[str]:
    """Try archives for some time; return how often which kind of problem was found."""
    rng, found, path, kept = random.Random(seed), Counter[str](), folder / "archive.zip", folder / "kept.zip"
    memory, end = _peak(), time.monotonic() + seconds
    while time.monotonic() < end:
        data = candidate(rng)
        path.write_bytes(data)
        started = time.monotonic()
        try:
            result = check(path, VOC, IMAGES, kept)
        except BaseException:
            (folder / "crash.zip").write_bytes(data)
            raise
        assert time.monotonic() - started < LONGEST, data[:100]
        assert _peak() - memory < MOST_MEMORY, data[:100]
        found["tried"] += 1
        if result.identity:
            found["taken"] += 1
            _prove(kept)
        else:
            kinds = {p["kind"] for p in result.report["problems"] if p["fatal"]}
            assert kinds
            found.update(kinds)
    return found


def _prove(kept: Path) -> None:
    """Hold what was taken against what a board may keep."""
    with zipfile.ZipFile(kept) as z:
        assert sorted(z.namelist()) == [f"{i}.png" for i in IDS]
        for name in z.namelist():
            labels = np.array(Image.open(io.BytesIO(z.read(name)), formats=("PNG",)))
            assert labels.shape == SHAPE and labels.max() < len(VOC)


def _peak() -> int:
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


@pytest.mark.parametrize(
    ("seconds", "seed"), [(20, 0), pytest.param(600, None, marks=pytest.mark.soak)], ids=["20s", "10min"]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile's remark on an attack of ours
def test_fuzzing_finds_nothing(seconds, seed, tmp_path, capsys):
    seed = random.randrange(2**32) if seed is None else seed
    found = fuzz(seconds, seed, tmp_path)
    tried, taken = found["tried"], found["taken"]
    assert 0 < taken < tried
    assert len(found) > 8, found
    with capsys.disabled():
        kinds = ", ".join(f"{kind} {count}" for kind, count in found.most_common() if kind not in ("tried", "taken"))
        sys.stdout.write(f"\nfuzzing: seed {seed}, {seconds} s, {tried} archives, {taken} taken, refused for {kinds}\n")
