"""What is measured of all peers: pairs, sizes, instances, classes and memory in the crew; commands as processes."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from peer_crew import Crew, RefusalError, answers, disagreements, interleave, ratio
from peer_sets import CLASSES, FOLDERS, INSTANCES, SIZES

#: Of slow ones only every n-th pair is timed, and compared with the same pairs of iamiou.
EVERY = {
    "confusion: torchmetrics MeanIoU (one-hot)": 10,
    "whole: OpenCV contours, the paper's way": 10,
    "whole: panoptica": 10,
    "whole: torchmetrics PanopticQuality": 20,
}
RLE_EVERY = 10
SETS = {"voc": ("VOC-like", 21), "city": ("Cityscapes-like", 19), "real": ("real VOC masks", 21)}
#: Who would take minutes for one Cityscapes-like pair, or all memory.
NOT_ON_CITY = {"whole: OpenCV contours, the paper's way", "whole: panoptica", "whole: torchmetrics PanopticQuality"}
OURS = {"whole": "whole: iamiou", "RLE": "RLE: pycocotools", "AP": "AP: pycocotools"}


@dataclass(frozen=True)
class Figure:
    """How many times as long as the first one something takes, with quartiles, or why there is no such number."""

    low: float = 0.0
    value: float = 0.0
    high: float = 0.0
    milliseconds: float = 0.0
    refused: str = ""


Found = dict[str, dict[str, Any]]  # heading -> name -> Figure as a dict


@dataclass(frozen=True)
class Work:
    """Where things are, and how thoroughly to measure."""

    crew: Crew
    maps: Path
    data: Path
    real: Path | None
    quick: bool

    def rounds(self, number: int) -> int:
        return 2 if self.quick else number


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def agree(work: Work, offers: dict[str, str], items: dict[str, Sequence[Any]], classes: int, where: str) -> None:
    """Stop everything unless all that compute the same number find the same."""
    found = answers(work.crew, offers, items, classes)
    if faults := list(disagreements(found)):
        raise SystemExit(f"The tools do not agree on {where}: one of them is wrong.\n" + "\n".join(faults[:10]))
    refused = [f"{what} ({reply})" for what, reply in found.items() if isinstance(reply, str)]
    if refused:
        say(f"not compared on {where}: {', '.join(refused)}")


def figures(work: Work, kind: str, items: dict[str, Sequence[Any]], classes: int, **options: Any) -> dict[str, Any]:
    """Time everybody who does one kind of work; return a Figure by name, in times of iamiou."""
    offers = {what: env for what, env in work.crew.offers(kind).items() if what in items}
    every = {what: n for what, n in {**EVERY, **options.pop("every", {})}.items() if what in offers}
    rounds = options.pop("rounds", work.rounds(7))
    times, refused = interleave(work.crew, offers, items, classes, rounds, every=every, **options)
    first = OURS.get(kind, f"{kind}: iamiou")
    found = {}
    for what in offers:
        name = what.partition(": ")[2]
        if what in refused or first in refused:
            found[name] = asdict(Figure(refused=refused.get(what, "no comparison")))
        else:
            r = ratio(times, what, first, every)
            found[name] = asdict(Figure(r.low, r.value, r.high, 1000 * times.of(what)))
    return found


def on_pairs(work: Work) -> Found:
    """Kernel, components, the whole computation and RLE on the three sets of pairs."""
    found: Found = {}
    for name, (title, classes) in SETS.items():
        folders = sorted(map(str, (work.maps / name).glob("*")))[: 20 if work.quick else None]
        if not folders:
            continue
        for kind in ("confusion", "components", "whole", *(("RLE",) if name != "city" else ())):
            say(f"measuring {kind} on {title} pairs")
            offers = work.crew.offers(kind)
            slow = NOT_ON_CITY & set(offers) if name == "city" else set()
            items = {what: folders for what in offers if what not in slow}
            every = {what: RLE_EVERY for what in items if kind == "RLE"}
            agree(work, {w: offers[w] for w in items}, dict.fromkeys(items, folders[:5]), classes, f"{title} {kind}")
            found[f"{kind} {name}"] = figures(work, kind, items, classes, every=every, rounds=work.rounds(5))
            for what in slow:
                found[f"{kind} {name}"][what.partition(": ")[2]] = asdict(Figure(refused="minutes a pair"))
    return found


def on_files(work: Work) -> Found:
    """PNG decoding from memory, and mIoU of one pair of files."""
    found: Found = {}
    groups = {
        "palette": [work.data / "voc" / part for part in FOLDERS["voc"]],
        "grey 8": [work.data / "city" / part for part in FOLDERS["city"][:2]],
        "grey 16": [work.data / "city" / FOLDERS["city"][2]],
    }
    if work.real:
        groups["real palette"] = [work.real / part for part in FOLDERS["real"]]
    for name, folders in groups.items():
        say(f"measuring PNG decoding, {name}")
        many = 5 if "grey" in name else 30
        files = [str(file) for folder in folders for file in sorted(folder.glob("*.png"))[:many]]
        offers = work.crew.offers("decode")
        items = dict.fromkeys(offers, files)
        agree(work, offers, items, 21, f"PNG files, {name}")
        found[f"decode {name}"] = figures(work, "decode", items, 21)
        for what, reply in answers(work.crew, offers, dict.fromkeys(items, files[:1]), 21).items():
            if not isinstance(reply, str) and "different" in reply[0]:
                found[f"decode {name}"][what.partition(": ")[2]]["note"] = reply[0]["different"]
    for name in ("voc", "city"):
        title, classes = SETS[name]
        say(f"measuring mIoU of pairs of PNG files, {title}")
        copies = {"files: vernier": "voc-grey"} if name == "voc" else {"files: cityscapesScripts": "city-ids"}
        truth, guess = FOLDERS[name][1], FOLDERS[name][0]
        offers = {w: e for w, e in work.crew.offers("files").items() if name == "city" or "cityscapes" not in w}
        names = sorted(file.name for file in (work.data / name / truth).glob("*.png"))[: 100 if name == "voc" else 10]
        items = {}
        for what in offers:
            root = work.maps / copies[what] if what in copies else work.data / name
            items[what] = [[str(root / truth / n), str(root / guess / n)] for n in names]
        agree(work, offers, {w: each[:5] for w, each in items.items()}, classes, f"PNG pairs, {title}")
        found[f"files {name}"] = figures(work, "files", items, classes, rounds=work.rounds(5))
    return found


def precision(work: Work) -> Found:
    """Mask AP of COCO on the same instances, to set beside it."""
    folder = str(work.maps / "coco")
    offers = work.crew.offers("AP")
    items = {what: [folder] for what in offers}
    say("measuring mask AP")
    agree(work, offers, items, 21, "mask AP")
    return {"AP voc": figures(work, "AP", items, 21, rounds=work.rounds(5))}


WAYS = {"size": (SIZES, 19), "instances": (INSTANCES, 21), "classes": (CLASSES, 0)}


def sweep(work: Work, ways: Sequence[str] = tuple(WAYS)) -> Found:
    """Growing images, instances and classes: milliseconds, one image each."""
    found: Found = {}
    for way in ways:
        steps, classes = WAYS[way]
        last: dict[str, float] = {}
        for step in steps[:4] if work.quick else steps:
            say(f"measuring {way} {step}")
            item = str(work.maps / f"{way}-{step}" / "0")
            for kind in ("confusion", "components", "whole"):
                offers = {w: e for w, e in work.crew.offers(kind).items() if last.get(w, 0.0) < 1}
                one = figures(work, kind, {w: [item] for w in offers}, classes or step, rounds=work.rounds(5), limit=10)
                found.setdefault(f"{way} {kind}", {})[str(step)] = one
                last |= {
                    f"{kind}: {n}": 99.0 if f["refused"] else f["milliseconds"] / 1000
                    for n, f in one.items()
                    if n != "iamiou"
                }
            if step == 8192:
                work.crew.forget()  # the large maps
    return found


def memory(work: Work, steps: Sequence[int] = (2048, 8192)) -> Found:
    """Return the most megabytes beside the maps, each in a fresh process that may take 8 GB.

    What is quick gets three processes, of which the quickest counts: memory that a virtual machine has not touched
    before can take a second to come by, and whoever is called first would pay for all.
    """
    found: Found = {}
    for step in steps:
        item = str(work.maps / f"size-{step}" / "0")
        for kind in ("confusion", "components", "whole"):
            say(f"measuring the memory of {kind}, {step} x {step}")
            for what, environment in work.crew.offers(kind).items():
                order = {"what": what, "do": "memory", "items": [item], "classes": 19, "limit": 8 * 10**9}
                try:
                    one: dict[str, Any] = work.crew.alone(environment, 30, **order)
                    for _ in range(2 if one["seconds"] < 5 else 0):
                        one = min(one, work.crew.alone(environment, 30, **order), key=lambda each: each["seconds"])
                except RefusalError as e:
                    one = {"refused": memory_words(str(e))}
                found.setdefault(f"memory {kind} {step}", {})[what.partition(": ")[2]] = one
    return found


def memory_words(text: str) -> str:
    return "> 8 GB" if re.search(r"[Mm]emory|allocate|unable to mmap", text) else text
