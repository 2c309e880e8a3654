"""Masks in colours, label maps and .npy arrays -> label maps as 8-bit palette PNG, all of them or none."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from iamiou.errors import ImageError, InputError, Problem, ProblemsFound, group, name_some
from iamiou.labels import VOID_8BIT, VOID_16BIT
from iamiou.listing import find_label_maps, list_folder, shown
from iamiou.output import appearing, check_target
from iamiou.palettes import Lookup, Palette, encode, look_up, voc_colours

# Masks have few colours; who meets more is looking at photographs, and need not read them all.
_MOST_COLOURS = 2**16


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Parameters
    ----------
    files : Counter of str
        Label maps written, by what they were: ``"colours"``, ``"label maps"`` or ``"arrays"``.
    pixels, changed : int
        Pixels of colour masks, and those of them that had no colour of the palette but took the nearest.
    nearest : bool
        Whether the nearest colour was asked for.
    ignored : tuple of str
        Names of files that are neither PNG nor .npy.
    """

    files: Counter[str]
    pixels: int
    changed: int
    nearest: bool
    ignored: tuple[str, ...]

    def sentence(self, target: str | Path) -> str:
        """Say in one line what was done.

        >>> Conversion(Counter({"colours": 2, "label maps": 1}), 400, 7, True, ("a.txt",)).sentence("out")
        "Wrote 3 label maps to 'out', 2 from colours, 1 from label maps. The nearest colour was taken for
        1.75 % of the pixels in colours. Ignored: a.txt."
        """
        total = self.files.total()
        parts = [f"Wrote {total} label map{'' if total == 1 else 's'} to '{target}'"]
        parts += [f", {count} from {kind}" for kind, count in sorted(self.files.items())] + ["."]
        if self.nearest:
            share = 100 * self.changed / max(self.pixels, 1)
            parts.append(f" The nearest colour was taken for {share:.3g} % of the pixels in colours.")
        if self.ignored:
            parts.append(f" Ignored: {name_some(self.ignored)}.")
        return "".join(parts)


class Job(NamedTuple):
    """A file to convert: its path, its name to be shown, and the stem of the name it will have."""

    source: str
    name: str
    stem: str


@dataclass
class _Tally:
    """What is learnt on the way."""

    files: Counter[str] = field(default_factory=Counter)
    pixels: int = 0
    errors: list[ImageError] = field(default_factory=list)
    # By code of an unknown colour: pixels, files, first file.
    unknown: dict[int, tuple[int, int, str]] = field(default_factory=dict)

    def add(self, found: Lookup, name: str) -> None:
        self.pixels += found.labels.size
        for code, pixels in found.unknown.items():
            before = self.unknown.get(code, (0, 0, name))
            self.unknown[code] = (before[0] + pixels, before[1] + 1, before[2])


def convert(
    source: str | Path,
    target: str | Path,
    *,
    palette: Palette | None = None,
    nearest: bool = False,
    by_colour: bool = False,
    overwrite: bool = False,
    max_pixels: int = 2**30,
    progress: Callable[[Sequence[Job]], Iterable[Job]] = iter,
) -> Conversion:
    """Convert a file, or the files of a folder, to label maps that can be scored.

    RGB and RGBA masks are looked up in a palette; label maps (grey, palette, .npy) keep their labels. Either
    everything is written or nothing is: `target` appears when all is done.

    Parameters
    ----------
    source : path
        A PNG or .npy file, or a folder of them.
    target : path
        For a file a .png file, for a folder a folder.
    palette : Palette, optional
        VOC's by default.
    nearest : bool
        Give a colour that is not in the palette the label of the nearest one, instead of refusing it.
    by_colour : bool
        Read palette PNGs by their colours, not by their numbers.
    overwrite : bool
        Replace a `target` that is there already.
    max_pixels : int
        An image that claims more pixels is refused before it is decoded.
    progress : callable
        Wraps the list of files while they are worked through.

    Raises
    ------
    ProblemsFound
        With every file that cannot be converted and every colour that is not in the palette.
    InputError
        If `source` holds nothing to convert, or `target` is in the way.
    """
    source, target = Path(source), Path(target)
    jobs, ignored = _jobs(source)
    check_target(source, target, overwrite)
    palette = palette or voc_colours()
    tally = _Tally()

    from iamiou.masks import write_label_map

    with appearing(target.resolve(), folder=source.is_dir()) as stage:
        for job in progress(jobs):
            try:
                labels = _label_map(job, tally, palette, nearest, by_colour, max_pixels)
            except ImageError as e:
                tally.errors.append(e)
                continue
            if len(tally.unknown) > _MOST_COLOURS and not nearest:
                break
            if not tally.errors:
                write_label_map(stage / f"{job.stem}.png" if source.is_dir() else stage, labels)
        if problems := _problems(tally, palette, nearest):
            raise ProblemsFound(problems)
    changed = sum(pixels for pixels, _, _ in tally.unknown.values())
    return Conversion(tally.files, tally.pixels, changed, nearest, ignored)


def _jobs(source: Path) -> tuple[list[Job], tuple[str, ...]]:
    """List what is to be converted, and the names that are not."""
    try:
        if source.is_file():
            if not source.name.lower().endswith((".png", ".npy")):
                raise InputError(f"'{source}' is neither a PNG nor a .npy file; JPEG changes colours, so none is read.")
            return [Job(str(source), shown([source.name])[0], source.stem)], ()
        if not source.is_dir():
            raise InputError(f"'{source}' does not exist; give a folder of masks or one file.")
        where, by_id, problems = find_label_maps(lambda inside: list_folder(source / inside), str(source))
    except OSError as e:
        raise InputError(f"'{source}' cannot be read: {e.strerror or e}.") from e
    if fatal := [p for p in problems if p.fatal]:
        raise ProblemsFound(fatal)
    jobs = [Job(f"{source / where}/{files[0]}", shown(files)[0], i) for i, files in sorted(by_id.items())]
    return jobs, tuple(name for p in problems for name in p.names)


# ---- one file


def _label_map(
    job: Job, tally: _Tally, palette: Palette, nearest: bool, by_colour: bool, max_pixels: int
) -> np.ndarray:
    from iamiou.masks import read_label_map
    from iamiou.png import check_size, png_size

    try:
        data = Path(job.source).read_bytes()
    except OSError as e:
        raise ImageError("unreadable-file", "files cannot be read", job.name, e.strerror or str(e)) from e
    if job.source.lower().endswith(".npy"):
        labels = _array(data, job.name, max_pixels)
        tally.files["arrays"] += 1
        return labels
    height, width = png_size(data, job.name)
    colour_type = data[25]
    if colour_type in (0, 3):
        labels = read_label_map(data, job.name, max_pixels=max_pixels)
        codes = _palette_codes(data, labels, palette, by_colour, job.name) if colour_type == 3 else None
        if codes is None:
            tally.files["label maps"] += 1
            return labels
    elif colour_type == 4:
        what = "PNG files hold grey with alpha, which is neither labels nor colours"
        raise ImageError("grey-alpha-png", what, job.name, "", "Save them as grey or as RGB.")
    else:
        check_size(height, width, job.name, None, max_pixels)
        codes = _colours(data, job.name)
    found = look_up(codes, palette, nearest=nearest)
    tally.add(found, job.name)
    tally.files["colours"] += 1
    return found.labels


def _array(data: bytes, name: str, max_pixels: int) -> np.ndarray:
    from iamiou.masks import read_npy

    labels = read_npy(data, name, max_pixels=max_pixels)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > VOID_16BIT:
        what = f".npy files hold labels outside 0 to {VOID_16BIT}"
        raise ImageError("label-range", what, name, f"from {low} to {high}", "Save void as 255.")
    return labels.astype(np.uint8 if high <= VOID_8BIT else np.uint16)


def _palette_codes(data: bytes, labels: np.ndarray, palette: Palette, by_colour: bool, name: str) -> np.ndarray | None:
    """Return the colours of a palette PNG if they are what counts, None if its numbers are the labels.

    A program that shrinks PNGs turns a mask in colours into a palette PNG with numbers of its own choice.
    """
    used = np.flatnonzero(np.bincount(labels.reshape(-1), minlength=256))
    entries = _chunk(data, b"PLTE")
    colours = encode(np.frombuffer(entries, dtype=np.uint8, count=len(entries) // 3 * 3).reshape(-1, 3))
    if used[-1] >= len(colours):
        return None
    found = look_up(colours[used], palette)
    if by_colour:
        codes: np.ndarray = colours[labels]
        return codes
    if found.unknown or np.array_equal(found.labels, used):
        return None
    i = int(np.flatnonzero(found.labels != used)[0])
    raise ImageError(
        "numbers-or-colours",
        "palette PNGs say one label by number and another by colour",
        name,
        f"number {used[i]} has the colour of label {found.labels[i]}",
        "Add `--by-colour` to go by the colours; to go by the numbers, score the files as they are.",
    )


def _chunk(data: bytes, kind: bytes) -> bytes:
    """Return the first chunk of a kind out of a PNG that a reader has found whole."""
    at = 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == kind:
            return data[at + 8 : at + 8 + size]
        at += size + 12
    return b""


def _colours(data: bytes, name: str) -> np.ndarray:
    """Decode a colour PNG to the codes of its colours."""
    from PIL.PngImagePlugin import PngImageFile

    from iamiou.png import broken

    try:
        # Not Image.open: it would judge the size again, by a limit of its own.
        with PngImageFile(io.BytesIO(data)) as image:
            pixels = np.asarray(image)
    except Exception as e:  # Pillow lets errors of many kinds through
        raise broken(name, f"Pillow cannot decode it: {e}") from e
    if pixels.shape[2] == 4 and int(pixels[..., 3].min()) < 255:
        what, hint = "masks have transparent pixels, which have no label", "Write masks without transparency."
        raise ImageError("transparent-png", what, name, "", hint)
    return encode(pixels)


def _problems(tally: _Tally, palette: Palette, nearest: bool) -> list[Problem]:
    problems = group(tally.errors)
    if tally.unknown and not nearest:
        names = [
            f"({code >> 16}, {code >> 8 & 255}, {code & 255}) in {pixels} pixels, first in {first}"
            for code, (pixels, _, first) in sorted(tally.unknown.items(), key=lambda item: (-item[1][0], item[0]))
        ]
        what = f"{'colour is' if len(names) == 1 else 'colours are'} not in {palette.name}"
        hint = "Give the right one with `--palette`, or add `--nearest` to take the nearest colour."
        if len(names) > _MOST_COLOURS:
            hint = "These look like photographs, not masks."
        problems.append(Problem("unknown-colour", what, tuple(names), hint))
    return problems
