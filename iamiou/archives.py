"""Archives of strangers, read member by member: nothing is extracted, nothing is believed.

A member's path never becomes a path on this machine, sizes are counted and not trusted, and whatever has no
place in a set of label maps (links, devices, encryption, two members over the same bytes) is refused by name.
"""

from __future__ import annotations

import re
import stat
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from iamiou.byte_source import MAX_TOTAL, PACK_AGAIN, ByteSource, gunzip, too_much
from iamiou.errors import ImageError, InputError, Problem
from iamiou.listing import shown

if TYPE_CHECKING:
    import tarfile
    import zipfile

#: Suffixes that `open_archive` reads.
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
# tarfile reads headers only here; the longest honest one (a pax header with extended attributes) is a few kB.
_MAX_TAR_HEADER = 2**16
# A .tar.gz of empty members shrinks to 5 bytes each: without an end to them they would fill the memory.
_MAX_MEMBERS = 2**18
_MAX_DEPTH = 32


@dataclass(frozen=True)
class Archive:
    """The files in an archive, listed but not yet read.

    Parameters
    ----------
    names : tuple of str
        Path of each file inside the archive, with ``/`` and without ``./``; a path may occur twice.
    read : callable
        ``read(i, limit)`` gives the bytes of file ``i``, of a longer one the first ``limit + 1``; safe in
        threads. Raises `ImageError` when the member is damaged.
    problems : tuple of Problem
        Why the archive must not be read any further.
    """

    names: tuple[str, ...]
    read: Callable[[int, int], bytes]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class _Entry:
    """One member as its header describes it."""

    raw_name: str
    special: bool
    offset: int
    size: int
    packed: int
    end: int
    info: zipfile.ZipInfo | None = None


def open_archive(path: str | Path, *, max_total: int = MAX_TOTAL) -> Archive:
    """List a .zip, .tar or .tar.gz file.

    A .tar.gz has no random access: it is unpacked once, as a plain .tar, into an unnamed temporary file that
    the system removes when the archive is no longer in use.

    Parameters
    ----------
    path : path
        The archive; what it is is told by its first bytes, not by its name.
    max_total : int
        Bytes that all members together may unpack to.

    Raises
    ------
    InputError
        If the file is no such archive, is damaged, or unpacks to more than `max_total` bytes.

    Examples
    --------
    >>> import tempfile, zipfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with zipfile.ZipFile(f"{folder}/a.zip", "w") as z:
    ...         z.writestr("preds/x.png", b"12345")
    ...     archive = open_archive(f"{folder}/a.zip")
    ...     print(archive.names, archive.read(0, 100))
    ('preds/x.png',) b'12345'
    """
    where = str(path)
    try:
        file: IO[bytes] = open(path, "rb")  # noqa: SIM115 - closed by ByteSource
        magic = file.read(2)
    except OSError as e:
        raise InputError(f"'{where}' cannot be read: {e.strerror or e}.") from e
    if magic == b"\x1f\x8b":
        file = gunzip(file, where, max_total)
    source = ByteSource(file)
    entries = _list_zip(source, where) if magic == b"PK" else _list_tar(source, where)
    if magic == b"PK" and sum(e.size for e in entries) > max_total:
        raise too_much(where, max_total)
    return _archive(source, entries)


def clean_member_path(raw: str) -> str | None:
    r"""Return a member's path with ``/`` between its parts, or None if no honest program would write it.

    >>> clean_member_path("./preds\\a.png"), clean_member_path("../a.png"), clean_member_path("C:/a.png")
    ('preds/a.png', None, None)
    """
    path = raw.replace("\\", "/")  # some Windows programs write backslashes
    if path.startswith("/") or re.match("[A-Za-z]:", path) or any(c < " " or c == "\x7f" for c in path):
        return None
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return None if ".." in parts or not 0 < len(parts) <= _MAX_DEPTH else "/".join(parts)


class _TarHeaders:
    """The file that `tarfile` sees: short reads only, so that a header cannot ask for gigabytes."""

    def __init__(self, source: ByteSource) -> None:
        self._source, self._at = source, 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._source.size)[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_TAR_HEADER:
            raise ValueError(f"a header of {size} bytes")
        data = self._source.at(self._at, size)
        self._at += len(data)
        return data


def _list_zip(source: ByteSource, where: str) -> list[_Entry]:
    import zipfile

    try:
        with zipfile.ZipFile(source.file) as z:
            infos, end = sorted(z.infolist(), key=lambda i: i.header_offset), z.start_dir
        if any(not 0 <= i.header_offset < source.size for i in infos):
            raise ValueError("a member lies outside the file")
    except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, EOFError, OSError) as e:
        raise InputError(f"'{where}' is not a whole zip archive ({e}). {PACK_AGAIN}") from e
    ends = [*(i.header_offset for i in infos[1:]), end][: len(infos)]
    return [
        _Entry(
            info.orig_filename,
            # Bits 12 to 15 of a Unix mode tell what the member is; programs on Windows leave them 0.
            stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR),
            info.header_offset,
            info.file_size,
            info.compress_size,
            end,
            info,
        )
        for info, end in zip(infos, ends, strict=True)
    ]


def _list_tar(source: ByteSource, where: str) -> list[_Entry]:
    import tarfile

    entries: list[_Entry] = []
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", _TarHeaders(source)), mode="r:") as tar:
            for info in tar:
                end = info.offset_data + info.size
                # Python before 3.11.14 walks backwards for ever over a negative size.
                if info.size < 0 or end > source.size or (entries and info.offset_data < entries[-1].end):
                    raise ValueError(f"{info.name!r} reaches over the end")
                entries.append(_tar_entry(info))
                if len(entries) > _MAX_MEMBERS:
                    raise ValueError(f"more than {_MAX_MEMBERS} members")
            # tarfile stops silently at a header that it cannot read: only zeros are an honest end.
            if source.at(tar.offset, 512) != bytes(512):
                raise ValueError("the mark of its end is missing")
    except (tarfile.TarError, ValueError, EOFError, OSError, RecursionError) as e:
        raise InputError(
            f"'{where}' is not a whole .zip, .tar or .tar.gz archive ({str(e) or type(e).__name__}). {PACK_AGAIN}"
        ) from e
    return entries


def _tar_entry(info: tarfile.TarInfo) -> _Entry:
    # A sparse member's bytes do not lie in one piece; nobody packs label maps so.
    special = not (info.isreg() or info.isdir()) or info.issparse()
    name = f"{info.name}/" if info.isdir() else info.name
    return _Entry(name, special, info.offset_data, info.size, info.size, info.offset_data + info.size)


def _archive(source: ByteSource, entries: list[_Entry]) -> Archive:
    paths = [clean_member_path(e.raw_name) for e in entries]
    files = [
        (path, entry) for path, entry in zip(paths, entries, strict=True) if path and entry.raw_name[-1] not in "/\\"
    ]

    def read(index: int, limit: int) -> bytes:
        path, entry = files[index]
        name = shown([path])[0]
        try:
            if entry.info is None:
                return source.at(entry.offset, min(entry.size, limit + 1))
            return _read_zipped(source, entry, entry.info, name, limit)
        except OSError as e:
            raise ImageError("unreadable-file", "files cannot be read", name, e.strerror or str(e)) from e

    return Archive(tuple(path for path, _ in files), read, tuple(_judge(entries, paths)))


def _judge(entries: Sequence[_Entry], paths: Sequence[str | None]) -> list[Problem]:
    """Say what makes the archive as a whole unfit."""
    unsafe = [
        e.raw_name for e, path in zip(entries, paths, strict=True) if path is None and e.raw_name not in ("./", ".")
    ]
    special = [e.raw_name for e in entries if e.special]
    zipped = [(e.raw_name, e, e.info) for e in entries if e.info is not None]
    # Bits 0, 6 and 13 are three kinds of encryption.
    secret = [name for name, _, i in zipped if i.flag_bits & 0x2041]
    method = [f"{name} (method {i.compress_type})" for name, _, i in zipped if i.compress_type not in (0, 8)]
    overlap = [name for name, e, i in zipped if e.offset + 30 + len(_name_bytes(i)) + e.packed > e.end]
    found = (
        ("unsafe-path", "have a path that is not safe to follow", unsafe, "Pack plain names."),
        ("special-member", "are a link or a device", special, "Pack plain files."),
        ("encrypted-member", "are encrypted", secret, "Pack them without a password."),
        ("unknown-compression", "are compressed in an unusual way", method, "Use zip's deflate."),
        ("overlapping-members", "share their bytes with another one", overlap, PACK_AGAIN),
    )
    return [
        Problem(kind, f"archive members {what}", shown(sorted(names)), hint)
        for kind, what, names, hint in found
        if names
    ]


def _name_bytes(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")


def _read_zipped(source: ByteSource, entry: _Entry, info: zipfile.ZipInfo, name: str, limit: int) -> bytes:
    def broken(detail: str) -> ImageError:
        return ImageError("broken-member", "archive members are damaged", name, detail, PACK_AGAIN)

    head = source.at(entry.offset, 30)
    if len(head) < 30 or head[:4] != b"PK\3\4":
        raise broken("no header")
    name_size, extra_size = struct.unpack_from("<HH", head, 26)
    start = entry.offset + 30 + name_size + extra_size
    if start + entry.packed > entry.end:
        raise broken("it runs into the next member")
    if source.at(entry.offset + 30, name_size) != _name_bytes(info):
        raise broken("another name in its own header")
    if info.compress_type == 8:
        inflater = zlib.decompressobj(-15)
        try:
            # One byte more than promised shows a lie at no cost.
            data = inflater.decompress(source.at(start, entry.packed), min(entry.size, limit) + 1)
        except zlib.error as e:
            raise broken("its compressed data are wrong") from e
        whole = inflater.eof
    else:
        data, whole = source.at(start, min(entry.packed, limit + 1)), True
    if len(data) > limit:
        return data
    if len(data) != entry.size or not whole:
        raise broken(f"not the {entry.size} bytes that its header promises")
    if zlib.crc32(data) != info.CRC:
        raise broken("its checksum differs")
    return data
