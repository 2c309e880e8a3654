"""What is timed inside one process, on one thread, item by item: kernel, components, PNG decoding, odd maps.

Runs in the environment that holds iamiou's wheel and cc3d. Writes one json: what `goals.Measured` holds for
every goal, and the curve of the adversarial maps.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from unittest.mock import patch

import cc3d
import numpy as np
import numpy_peer
from adversarial import MAPS
from goals import Measured
from PIL import Image
from timing import Times, interleave

from iamiou.kernels import count
from iamiou.labels import ClassList
from iamiou.pairs import PairCounter, Rule

Maps = tuple[np.ndarray, np.ndarray, np.ndarray]  # prediction, class map, instance map


def read(path: Path) -> np.ndarray:
    return np.array(Image.open(path))


def voc_like(data: Path, number: int) -> list[Maps]:
    names = [f"{k:06}.png" for k in range(number)]
    parts = "predictions", "truth/SegmentationClass", "truth/SegmentationObject"
    return [tuple(read(data / "voc" / part / name) for part in parts) for name in names]


def city_like(data: Path, number: int) -> list[Maps]:
    names = [f"{k:06}.png" for k in range(number)]
    return [tuple(read(data / "city" / part / n) for part in ("predictions", "semantic", "instances")) for n in names]


def real(data: Path, number: int) -> list[Maps]:
    """Return DINOv3's predictions on VOC 2012 with the real masks."""
    names = (data / "voc/ImageSets/pred_dinov3_instances.txt").read_text().split()[:number]
    parts = "predictions/voc_dinov3_pspnet", "voc/SegmentationClass", "voc/SegmentationObject_derived"
    return [tuple(read(data / part / f"{name}.png") for part in parts) for name in names]


def flat(labels: np.ndarray) -> np.ndarray:
    return labels.reshape(-1).view(np.uint8)


class Ours:
    """iamiou's count of one pair, from three arrays to integers, as every evaluation calls it."""

    def __init__(self, classes: int, components: str = "nested", metrics: str = "all") -> None:
        self.classes = ClassList("benchmark", tuple(f"class {k}" for k in range(classes)))
        self.rule = Rule(components=components, metrics=metrics)
        self.counter = PairCounter(self.classes, self.rule)

    def __call__(self, maps: Maps) -> None:
        self.counter.add("image", *maps)

    def prepare(self, maps: Maps) -> Callable[[], object]:
        """Return the call of the kernel alone that counting this pair makes."""
        calls = []

        def note(*arguments: object) -> object:
            calls.append(arguments)
            return count(*arguments)

        with patch("iamiou.kernels.count", note):
            self(maps)
        return partial(count, *calls[0])

    def once(self, maps: Maps) -> numpy_peer.Pair:
        counter = PairCounter(self.classes, self.rule)
        counter.add("image", *maps)
        counts = counter.counts()
        return numpy_peer.Pair(counts.confusion, counts.instances[:, 1:], counts.phantoms[:, 1:])


def read_once(maps: Maps) -> int:
    """Add up the bytes of the three maps, eight at a time: nothing that looks at every pixel is faster."""
    return sum(int(np.add.reduce(flat(m)[: m.nbytes & ~7].view(np.uint64))) for m in maps)


def assert_same(pairs: list[Maps], classes: int) -> None:
    plain = Ours(classes, "plain")
    for maps in pairs:
        ours, peer = plain.once(maps), numpy_peer.count(*maps, classes)
        if not all(np.array_equal(*both) for both in zip(ours, peer, strict=True)):
            raise SystemExit("iamiou and NumPy + cc3d give different counts: one of them is wrong.")


def kernel(name: str, pairs: list[Maps], classes: int, rounds: int) -> dict[str, Measured]:
    """Time the fused kernel against NumPy + cc3d and against one read, and what components cost inside it.

    Maps of VOC's size lie in the cache when they have just been decoded, so they are read once ahead of every call.
    """
    assert_same(pairs, classes)
    kinds = {"ours": Ours(classes), "plain": Ours(classes, "plain"), "confusion": Ours(classes, "plain", "miou")}
    items = [(maps, {kind: ours.prepare(maps) for kind, ours in kinds.items()}) for maps in pairs]
    small = pairs[0][0].size < 1_000_000
    times = interleave(
        {
            "read": lambda item: read_once(item[0]),
            "numpy": lambda item: numpy_peer.count(*item[0], classes),
            "cc3d": lambda item: cc3d.connected_components(item[0][0], connectivity=8),
            "ours": lambda item: item[1]["ours"](),
            "plain": lambda item: item[1]["plain"](),
            "confusion": lambda item: item[1]["confusion"](),
        },
        items,
        rounds,
        before=(lambda item: read_once(item[0])) if small else None,
    )
    inside = Times({"inside": less(times, "plain", "confusion"), "cc3d": times.seconds["cc3d"]})
    shown = ", ".join(f"{key} {1000 * times.of(key):.3f}" for key in ("ours", "plain", "confusion", "numpy", "read"))
    return {
        f"kernel {name}": Measured.of(times.ratio("numpy", "ours"), f"ms a pair: {shown}"),
        f"reads {name}": Measured.of(
            times.ratio("ours", "read"), f"plain components: {times.ratio('plain', 'read').value:.1f}"
        ),
        f"runs {name}": Measured.of(
            inside.ratio("inside", "cc3d"), f"ms: {1000 * inside.of('inside'):.3f}, cc3d {1000 * times.of('cc3d'):.3f}"
        ),
    }


def less(times: Times, name: str, other: str) -> list[list[float]]:
    """Return the seconds that `name` takes more than `other`."""
    rounds = zip(times.seconds[name], times.seconds[other], strict=True)
    return [[a - b for a, b in zip(*both, strict=True)] for both in rounds]


def components(name: str, pairs: list[Maps], rounds: int) -> dict[str, Measured]:
    """Time the labelling of the prediction alone."""
    from iamiou.components import label_map

    def ours(maps: Maps) -> np.ndarray:
        out = np.empty(maps[0].shape, np.int32)
        label_map(flat(maps[0]), maps[0].itemsize, *maps[0].shape, 1, out)
        return out

    def peer(maps: Maps) -> np.ndarray:
        return cc3d.connected_components(maps[0], connectivity=8)

    for maps in pairs[:20]:
        a, b = ours(maps), peer(maps)
        if len(np.unique(a.astype(np.int64) << 32 | b)) != len(np.unique(a)) or a.max() != b.max():
            raise SystemExit("iamiou and cc3d find different components: one of them is wrong.")
    times = interleave({"ours": ours, "cc3d": peer}, pairs, rounds, before=read_once)
    note = f"ms a map: ours {1000 * times.of('ours'):.3f}, cc3d {1000 * times.of('cc3d'):.3f}"
    return {f"components {name}": Measured.of(times.ratio("ours", "cc3d"), note)}


def decode(name: str, files: list[Path], rounds: int) -> dict[str, Measured]:
    """Time the reader of PNG files, from bytes in memory to a label map."""
    from iamiou.masks import read_label_map

    contents = [path.read_bytes() for path in files]
    for content in contents:
        if not np.array_equal(read_label_map(content, name), np.array(Image.open(io.BytesIO(content)))):
            raise SystemExit("iamiou and Pillow read different labels: one of them is wrong.")
    times = interleave(
        {
            "ours": lambda content: read_label_map(content, name),
            "pillow": lambda content: np.array(Image.open(io.BytesIO(content))),
        },
        contents,
        rounds,
    )
    note = f"ms a file: ours {1000 * times.of('ours'):.3f}, Pillow {1000 * times.of('pillow'):.3f}"
    return {f"decode {name}": Measured.of(times.ratio("pillow", "ours"), note)}


def curve(sizes: list[int], rounds: int) -> dict[str, list[float]]:
    """Return nanoseconds a pixel of every adversarial map at growing sizes."""
    ours = Ours(21)
    found = {}
    for name, make in MAPS.items():
        pairs = [make(size) for size in sizes]
        times = [interleave({name: ours}, [maps], rounds).of(name) for maps in pairs]
        found[name] = [1e9 * seconds / size**2 for seconds, size in zip(times, sizes, strict=True)]
    return found


def png_files(folder: Path, number: int) -> list[Path]:
    return sorted(folder.glob("*.png"))[:number]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="kernel,components,decode,linear")
    options = parser.parse_args()
    data, quick, only = options.data, options.quick, options.only.split(",")
    rounds = 3 if quick else 9
    voc, city = (60, 3) if quick else (200, 10)
    found: dict[str, Measured] = {}
    sets = {"VOC-like": (voc_like(data, voc), 21), "City-like": (city_like(data, city), 19)}
    if options.real:
        sets["real"] = (real(options.real, voc), 21)
    for name, (pairs, classes) in sets.items():
        if "kernel" in only:
            found |= kernel(name, pairs, classes, rounds)
        if "components" in only and name != "real":
            found |= components(name, pairs, rounds)
    if "decode" in only:
        truth = data / "voc" / "truth"
        palette = [f for part in ("SegmentationClass", "SegmentationObject") for f in png_files(truth / part, voc // 3)]
        found |= decode("palette", palette + png_files(data / "voc/predictions", voc // 3), rounds)
        grey = [f for part in ("semantic", "predictions") for f in png_files(data / "city" / part, city)]
        found |= decode("grey 8", grey, rounds)
        found |= decode("grey 16", png_files(data / "city" / "instances", city), rounds)
        if options.real:
            found |= decode("real", png_files(options.real / "voc/SegmentationClass", voc), rounds)
    sizes = [256, 512, 1024] if quick else [256, 512, 1024, 2048]
    linear = curve(sizes, 3) if "linear" in only else {}
    rows = {key: asdict(value) for key, value in found.items()}
    json.dump({"measured": rows, "linear": linear, "sizes": sizes}, sys.stdout)


if __name__ == "__main__":
    main()
