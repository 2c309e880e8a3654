"""Archives and images as attackers build them, made out of an honest submission."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from tests import png_files
from tests.leaderboard.boards import packed
from tests.library.test_archive_attacks import overlapping

Files = dict[str, bytes]
Attack = Callable[[Files], bytes]


def first(files: Files) -> str:
    return next(iter(files))


def replaced(change: Callable[[bytes], bytes]) -> Attack:
    """Change the first image."""
    return lambda files: packed(files | {first(files): change(files[first(files)])})


def added(name: str, data: bytes = b"") -> Attack:
    """Add a member."""
    return lambda files: packed(files | {name: data})


def member(mode: int = 0, **attributes: int) -> Attack:
    """Replace the first image by a member of a special kind."""

    def build(files: Files) -> bytes:
        info = zipfile.ZipInfo(first(files))
        info.external_attr = mode << 16
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as z:
            for name, data in files.items():
                z.writestr(info if name == info.filename else name, data)
        whole = bytearray(out.getvalue())
        at = whole.index(b"PK\1\2")
        for key, value in attributes.items():
            place, form = {"flags": (8, "<H"), "method": (10, "<H"), "crc": (16, "<I"), "size": (24, "<I")}[key]
            struct.pack_into(form, whole, at + place, value)
        return bytes(whole)

    return build


def same_name(files: Files) -> bytes:
    """Give two members one name, which no honest program does."""
    name = first(files).encode()
    stand_in = b"x" * len(name)
    return packed(files | {stand_in.decode(): files[first(files)]}).replace(stand_in, name)


def other_name_inside(files: Files) -> bytes:
    """Let directory and member disagree on the name."""
    name = first(files).encode()
    whole = packed(files)
    return whole.replace(name, b"z" * len(name), 1)


def overlap(files: Files) -> bytes:
    return overlapping(100, 100_000)


def quoted_bomb(files: Files) -> bytes:
    """Unpack to 200 MB, all of it in members with names of images."""
    return packed({name: bytes(200_000_000 // len(files)) for name in files})


def many(count: int) -> Attack:
    """Add members until only their number hurts."""

    def build(files: Files) -> bytes:
        head = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 33, 0, 0, 0, 8, 0)
        names = [b"%08x" % k for k in range(count)]
        local = b"".join(b"PK\3\4" + head + name for name in names)
        entry = struct.pack("<HHHHHHIIIHHHHHI", 20, 20, 0, 0, 0, 33, 0, 0, 0, 8, 0, 0, 0, 0, 0)
        directory = b"".join(b"PK\1\2" + entry + struct.pack("<I", 38 * k) + name for k, name in enumerate(names))
        zip64 = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, len(directory), len(local))
        locator = b"PK\6\7" + struct.pack("<IQI", 0, len(local) + len(directory), 1)
        end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
        return local + directory + zip64 + locator + end

    return build


def tiny(files: Files) -> bytes:
    return packed(files | {f"{k}.png": b"" for k in range(10_000)}, zipfile.ZIP_STORED)


def gigapixel(data: bytes) -> bytes:
    rows = zlib.compress(bytes(32_769) * 1000, 9)
    return png_files.join([png_files.header(32_768, 32_768), (b"IDAT", rows), (b"IEND", b"")])


def swollen(data: bytes) -> bytes:
    """Claim the right size and inflate to 100 MB."""
    head = png_files.split(data)[0]
    return png_files.join(
        [head, (b"PLTE", bytes(768)), (b"IDAT", zlib.compress(bytes(100_000_000), 1)), (b"IEND", b"")]
    )


def text_bomb(data: bytes) -> bytes:
    """Hide 100 MB in a comment, which nobody has to read."""
    chunks = png_files.split(data)
    return png_files.join([chunks[0], (b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000), 1)), *chunks[1:]])


def animated(data: bytes) -> bytes:
    """Be an animation, whose other frames nobody has to read."""
    chunks = png_files.split(data)
    return png_files.join([chunks[0], (b"acTL", struct.pack(">II", 2**30, 0)), *chunks[1:]])


def in_format(kind: str) -> Callable[[bytes], bytes]:
    def convert(data: bytes) -> bytes:
        out = io.BytesIO()
        Image.open(io.BytesIO(data)).convert("L").save(out, kind)
        return out.getvalue()

    return convert


def recoloured(mode: str) -> Callable[[bytes], bytes]:
    def convert(data: bytes) -> bytes:
        out = io.BytesIO()
        Image.open(io.BytesIO(data)).convert(mode).save(out, "PNG")
        return out.getvalue()

    return convert


def relabelled(value: int) -> Callable[[bytes], bytes]:
    def convert(data: bytes) -> bytes:
        labels = np.array(Image.open(io.BytesIO(data)))
        labels[0, 0] = value
        out = io.BytesIO()
        Image.fromarray(labels).save(out, "PNG")
        return out.getvalue()

    return convert


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


class Evil:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return exec, ("raise SystemExit('unpickled')",)


PICKLE = pickle.dumps(Evil())


def pickled_npy(files: Files) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([{"cam": 1}], dtype=object), allow_pickle=True)
    return packed(files | {"cam.npy": out.getvalue()})


def as_tar(mode: str) -> Attack:
    def build(files: Files) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode) as t:  # type: ignore[call-overload]
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
        return out.getvalue()

    return build


#: Name -> how it is built, and the kinds of problem that it may be refused for.
REFUSED: dict[str, tuple[Attack, str]] = {
    "zip slip": (added("../../evil.png"), "unsafe-path"),
    "absolute path": (added("/tmp/evil.png"), "unsafe-path"),
    "Windows drive": (added("C:\\evil.png"), "unsafe-path"),
    "Windows slip": (added("..\\evil.png"), "unsafe-path"),
    "Windows share": (added("\\\\server\\evil.png"), "unsafe-path"),
    "line break in a name": (added("a\nb.png"), "unsafe-path"),
    "a thousand folders": (added("a/" * 1000 + "b.png"), "unsafe-path"),
    "right-to-left name": (added("a\u202egnp.exe.png", b"1"), "unknown-prediction"),
    "markup in a name": (added("<script>alert(1)<.png"), "unknown-prediction"),
    "formula in a name": (added("=HYPERLINK(1).png"), "unknown-prediction"),
    "long name": (added("a" * 60_000 + ".png"), "unknown-prediction"),
    "symlink": (member(0o120777), "special-member"),
    "character device": (member(0o020666), "special-member"),
    "pipe": (member(0o010666), "special-member"),
    "one name twice": (same_name, "duplicate-prediction"),
    "overlapping members": (overlap, "overlapping-members"),
    "another name inside": (other_name_inside, "broken-member"),
    "bomb by ratio": (quoted_bomb, "refused-archive"),
    "bomb by count": (many(100_000), "refused-archive"),
    "ten thousand tiny files": (tiny, "refused-archive"),
    "size said too small": (member(size=10), "broken-member"),
    "size said too large": (member(size=2**20), "broken-member"),
    "size said enormous": (member(size=2**32 - 2), "refused-archive"),
    "encrypted": (member(flags=1), "encrypted-member"),
    "unusual compression": (member(method=12), "unknown-compression"),
    "wrong checksum": (member(crc=1), "broken-member"),
    "nested archive": (added("more.zip", packed({"a": b"1"})), "nested-archive"),
    "cut off": (lambda files: packed(files)[:-100], "refused-archive"),
    "no archive": (lambda files: b"PK" + bytes(5000), "refused-archive"),
    "nothing inside": (lambda files: packed({}), "refused-archive"),
    "tar": (as_tar("w"), "refused-archive"),
    "tar.gz": (as_tar("w:gz"), "refused-archive"),
    "pickle": (lambda files: PICKLE, "refused-archive"),
    "pickle behind .png": (replaced(lambda _: PICKLE), "not-a-png"),
    "pickle in .npy": (pickled_npy, "npy-member"),
    "TIFF behind .png": (replaced(in_format("TIFF")), "not-a-png"),
    "GIF behind .png": (replaced(in_format("GIF")), "not-a-png"),
    "BMP behind .png": (replaced(in_format("BMP")), "not-a-png"),
    "empty file": (replaced(lambda _: b""), "broken-png"),
    "gigapixel": (replaced(gigapixel), "size-differs"),
    "swollen data": (replaced(swollen), "broken-png"),
    "damaged chunk": (replaced(flipped(60)), "broken-png"),
    "cut image": (replaced(lambda data: data[: len(data) // 2]), "broken-png"),
    "image in colours": (replaced(recoloured("RGB")), "rgb-png"),
    "image with alpha": (replaced(recoloured("LA")), "rgb-png"),
    "label that is no class": (replaced(relabelled(21)), "prediction-label"),
    "void": (replaced(relabelled(255)), "void-in-prediction"),
    "an image is missing": (lambda files: packed(dict(list(files.items())[1:])), "missing-prediction"),
    "an image too many": (added("2020_000001.png", b"1"), "unknown-prediction"),
}

#: What looks odd and is honest, or hides what nobody has to read.
TAKEN: dict[str, Attack] = {
    "plain": packed,
    "stored": lambda files: packed(files, zipfile.ZIP_STORED),
    "in a folder": lambda files: packed({f"results/{name}": data for name, data in files.items()}),
    "packed on a Mac": lambda files: packed(files | {f"__MACOSX/._{n}": b"1" for n in files} | {".DS_Store": b"1"}),
    "with its description": lambda files: packed(files | {"submission.json": b"{}"}),
    "grey": lambda files: packed({name: recoloured_grey(data) for name, data in files.items()}),
    "bomb in a comment": replaced(text_bomb),
    "animation": replaced(animated),
}


def recoloured_grey(data: bytes) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.array(Image.open(io.BytesIO(data)))).save(out, "PNG")
    return out.getvalue()
