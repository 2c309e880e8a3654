"""The figures of all peers as Markdown."""

from __future__ import annotations

from typing import Any

TITLES = {"voc": "VOC-like", "city": "Cityscapes-like", "real": "real VOC masks"}
NOTES = {
    "torchmetrics MeanIoU (one-hot)": "another number: mean over images, no void",
    "torchmetrics PanopticQuality": "another number: panoptic quality; components given",
    "panoptica": "another number: every component matched to one instance",
    "OpenCV contours, the paper's way": "the same number as `iamiou`",
    "iamiou --components plain": "without the rule of nested components",
    "NumPy + cc3d": "the same integers as `--components plain`",
    "NumPy + scikit-image": "the same integers as `--components plain`",
    "iamiou": "",
}


def number(value: float) -> str:
    if value >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 3 else f"{value:.1f}" if value < 30 else f"{value:.0f}"


def times(figure: dict[str, Any] | None) -> str:
    """Write the ratio with its quartiles; or what stood in the way."""
    if not figure:
        return "–"
    if figure.get("refused"):
        return figure["refused"]
    if figure["low"] == figure["high"]:
        return "1" if figure["value"] == 1 else number(figure["value"])
    return f"{number(figure['value'])} ({number(figure['low'])} to {number(figure['high'])})"


def table(found: dict[str, Any], headings: dict[str, str], first: str, last: str = "") -> str:
    """One row a tool, one column a heading; in the last the milliseconds of the first heading that has them."""
    present = {key: title for key, title in headings.items() if key in found}
    tools = list(dict.fromkeys(tool for key in present for tool in found[key]))
    lines = [f"| {first} | {' | '.join(present.values())} | {last or ' '} |", "|---" * (len(present) + 2) + "|"]
    for tool in tools:
        cells = [times(found[key].get(tool)) for key in present]
        all_ = [found[key][tool] for key in present if tool in found[key]]
        took = [one["milliseconds"] for one in all_ if not one["refused"]]
        note = next((one["note"] for one in all_ if "note" in one), "")
        said = "; ".join(filter(None, [NOTES.get(tool, note), f"{took[0]:,.3g} ms" if took else ""]))
        lines.append(f"| {tool} | {' | '.join(cells)} | {said} |")
    return "\n".join(lines)


def sweep(found: dict[str, Any], way: str, kind: str, title: str) -> str:
    steps = found[f"{way} {kind}"]
    tools = list(dict.fromkeys(tool for step in steps.values() for tool in step))
    lines = [f"| {title} | {' | '.join(f'{int(step):,}' for step in steps)} |", "|---" * (len(steps) + 1) + "|"]
    for tool in tools:
        cells = []
        for step in steps.values():
            one = step.get(tool)
            if one is None or one["refused"]:
                cells.append("–" if one is None else short(one["refused"]))
            else:
                ratio = "" if tool == "iamiou" else f" ({number(one['value'])} ×)"
                cells.append(f"{number(one['milliseconds'])}{ratio}")
        lines.append(f"| {tool} | {' | '.join(cells)} |")
    return "\n".join(lines)


def short(reason: str) -> str:
    return reason if len(reason) < 60 else reason[:57] + "..."


def memory(found: dict[str, Any], steps: list[str]) -> str:
    lines = [f"| | {' | '.join(f'{step} × {step}' for step in steps)} |", "|---" * (len(steps) + 1) + "|"]
    for kind in ("confusion", "components", "whole"):
        tools = found.get(f"memory {kind} {steps[0]}", {})
        for tool in tools:
            cells = []
            for step in steps:
                one = found[f"memory {kind} {step}"].get(tool, {})
                took = "" if "refused" in one else f"{one['megabytes']:,.0f} MB, {one['seconds']:.3g} s"
                cells.append(short(one["refused"]) if "refused" in one else took)
            lines.append(f"| {kind}: {tool} | {' | '.join(cells)} |")
    return "\n".join(lines)


def commands(found: dict[str, Any], name: str) -> str:
    lines = [
        "| whole process | wall, times `iamiou score` (one thread) | CPU | s | two threads: times faster | peak MB |",
        "|---|---|---|---|---|---|",
    ]
    for tool, one in found[f"command {name}"].items():
        faster = times(one.get("faster"))
        cells = times(one), times(one["cpu"]), f"{one['milliseconds'] / 1000:.2f}", faster, f"{one['megabytes']:,.0f}"
        lines.append(f"| {tool} | {' | '.join(cells)} |")
    return "\n".join(lines)


def start(found: dict[str, Any]) -> str:
    lines = ["| start-up | wall, times `iamiou --help` | CPU | ms | peak MB |", "|---|---|---|---|---|"]
    for tool, one in found["start"].items():
        cells = times(one), times(one["cpu"]), f"{one['milliseconds']:.0f}", f"{one['megabytes']:.0f}"
        lines.append(f"| {tool} | {' | '.join(cells)} |")
    return "\n".join(lines)


def text(everything: dict[str, Any]) -> str:
    """Write the whole section."""
    found = everything["found"]
    sets = {name: title for name, title in TITLES.items() if f"confusion {name}" in found}
    parts = [
        "## Beside every peer",
        f"""Every tool in an environment of its own
({everything["versions"]}),
all called in turn on the same pairs in one run on {everything["cores"]} cores, one thread each unless said otherwise,
timed by the CPU time of their process (whole processes by the wall); made by

```console
$ python benchmarks/speed/peers.py
```

A cell is how many times as long as `iamiou` a tool takes: median and quartiles of the rounds' own ratios. Before
anything was timed, all that compute the same number gave the same: equal confusion matrices, component counts, integers
and IoUs an instance, RLE overlaps, AP, and decoded pixels; the command stops where they do not. README's figure is
[images/speed.png](images/speed.png). How the tools' answers differ: [differences.md](differences.md).""",
        *busy(everything),
        *[f"Not installed: {name} ({reason})." for name, reason in everything["missing"].items()],
    ]
    if sets:
        for kind, title in (
            ("confusion", "confusion matrix of one pair, from arrays"),
            ("components", "connected components of one prediction"),
            ("whole", "whole instance-aware computation of one pair, from arrays"),
        ):
            parts.append(table(found, {f"{kind} {name}": t for name, t in sets.items()}, title, "VOC-like"))
        rle = {f"RLE {name}": f"all overlaps, {t}" for name, t in sets.items()} | {"AP voc": "mask AP of 100 images"}
        parts.append(
            "COCO's tools want scored instances, so they have no number to compare with ours; among themselves, "
            "in times of pycocotools, given the components:"
        )
        parts.append(table(found, rle, "run-length masks"))
    if "decode palette" in found:
        kinds = ("palette", "real palette", "grey 8", "grey 16")
        parts.append(table(found, {f"decode {kind}": kind for kind in kinds}, "PNG decoding, from bytes", "palette"))
        parts.append(
            "OpenCV, imageio and scikit-image return no labels from a palette PNG, only its colours: for PASCAL VOC's "
            "own files their answer is wrong, and their times in these columns are those of decoding to colours."
        )
        files = {f"files {name}": TITLES[name] for name in ("voc", "city")}
        parts.append(table(found, files, "mIoU of one pair of PNG files", "VOC-like"))
        parts.append(
            "vernier refuses palettes and got grey copies of VOC-like files; cityscapesScripts got its own ids."
        )
    for name in ("voc", "city"):
        if f"command {name}" in found:
            count = {"voc": "1,449 VOC-like", "city": "50 Cityscapes-like"}[name]
            parts.append(
                f"From folders to mIoU, {count} pairs; `iamiou score` finds IA-mIoU besides, from three files:"
            )
            parts.append(commands(found, name))
    if "command voc" in found:
        parts.append("`script:` rows are `peer_script.py`; opencv and vernier read grey copies of VOC's palettes.")
    if "start" in found:
        parts.append(start(found))
    parts += sweeps(found)
    return "\n\n".join(parts) + "\n"


def busy(everything: dict[str, Any]) -> list[str]:
    """Say what else the machine did, where it was much: quartiles are wide then, and walls mean little."""
    load = max(everything.get("load") or [0.0])
    if load < everything["cores"] + 1:  # its own threads load them all
        return []
    return [f"Other programs were running (load average up to {load:.0f}): believe CPU ratios before walls."]


def sweeps(found: dict[str, Any]) -> list[str]:
    parts = []
    ways = {
        "size": "image side in pixels, 19 classes",
        "instances": "instances in 1024 × 1024, 20 classes",
        "classes": "classes in 512 × 512",
    }
    for way, title in ways.items():
        if f"{way} confusion" in found:
            parts.append(f"Milliseconds, and times `iamiou`, by {title}:")
            for kind in ("confusion", "components", "whole"):
                parts.append(sweep(found, way, kind, f"{kind}: {title.split(' in ')[0]}"))
    if "memory confusion 2048" in found:
        parts.append(
            "Most memory beside the maps of one pair, and CPU seconds of one call in a fresh process (the quickest of "
            "three, where it takes less than 5 s); limits 8 GB and 30 s:"
        )
        parts.append(memory(found, ["2048", "8192"]))
    return parts
