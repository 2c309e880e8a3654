"""Archives as an attacker builds them: each trick is refused by name."""

from __future__ import annotations

import struct
import tarfile
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from iamiou.archives import Archive, clean_member_path, open_archive
from iamiou.errors import InputError
from tests.packing import make_tar, make_zip


def only_problem(archive: Archive) -> str:
    assert len(archive.problems) == 1, archive.problems
    assert archive.problems[0].fatal
    return str(archive.problems[0])


def patched(path: Path, old: bytes, new: bytes, count: int = 1) -> Path:
    data = path.read_bytes()
    assert data.count(old) == count
    path.write_bytes(data.replace(old, new))
    return path


UNSAFE = [
    "../evil.png",
    "/etc/evil.png",
    "a/../../evil.png",
    "..\\evil.png",
    "C:\\evil.png",
    "a\nb.png",
    "x/" * 40 + "y",
]


@pytest.mark.parametrize("name", UNSAFE)
def test_paths_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    assert clean_member_path(name) is None
    sentence = only_problem(open_archive(make_zip(tmp_path / "a.zip", {"ok.png": b"", name: b""})))
    assert sentence.startswith("1 archive member has a path that is not safe to follow: ")
    assert "\n" not in sentence
    make_tar(tmp_path / "a.tar", {"ok.png": b"", name: b""})
    assert only_problem(open_archive(tmp_path / "a.tar")) == sentence


def test_a_name_that_ends_at_a_zero_byte_is_refused(tmp_path: Path) -> None:
    path = patched(make_zip(tmp_path / "a.zip", {"a.png_b.txt": b""}), b"a.png_b", b"a.png\0b", 2)
    assert "not safe to follow: 'a.png\\x00b.txt'" in only_problem(open_archive(path))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as t:
        info = tarfile.TarInfo("a.png")
        info.type, info.linkname = kind, "/etc/passwd"
        t.addfile(info)
    sentence = only_problem(open_archive(tmp_path / "a.tar"))
    assert sentence == "1 archive member is a link or a device: a.png. Pack plain files."


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("a.png")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as z:
        z.writestr(info, "/etc/passwd")
    assert "is a link or a device: a.png" in only_problem(open_archive(tmp_path / "a.zip"))


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.png": b"1"})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    sentence = only_problem(open_archive(path))
    assert sentence == "1 archive member is encrypted: a.png. Pack them without a password."


def test_unusual_compression_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.png": b"1"}, zipfile.ZIP_LZMA)
    assert "compressed in an unusual way: a.png (method 14). Use zip's deflate." in only_problem(open_archive(path))


def overlapping(entries: int, size: int) -> bytes:
    """Let many directory entries point at one compressed stream, as zip bombs do."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(size)) + packer.flush()
    sizes = struct.pack("<III", zlib.crc32(bytes(size)), len(packed), size)
    local = b"PK\3\4" + struct.pack("<HHHHH", 20, 0, 8, 0, 33) + sizes + struct.pack("<HH", 7, 0) + b"000.png" + packed
    directory = b"".join(
        b"PK\1\2" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 33) + sizes
        + struct.pack("<HHHHHII", 7, 0, 0, 0, 0, 0, 0) + b"%03d.png" % i
        for i in range(entries)
    )  # fmt: skip
    end = struct.pack("<HHHHIIH", 0, 0, entries, entries, len(directory), len(local), 0)
    return local + directory + b"PK\5\6" + end


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    path.write_bytes(overlapping(200, 5_000_000))
    assert path.stat().st_size < 20_000  # and would unpack to a gigabyte
    sentence = only_problem(open_archive(path))
    assert sentence.startswith("199 archive members share their bytes with another one: 0")


def test_a_bomb_is_refused_by_its_total(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {f"{i}.png": bytes(10**6) for i in range(10)})
    with pytest.raises(InputError, match=r"a\.zip' unpacks to more than 0\.005 GB"):
        open_archive(path, max_total=5 * 10**6)
    path = make_tar(tmp_path / "a.tar.gz", {f"{i}.png": bytes(10**6) for i in range(10)}, "w:gz")
    with pytest.raises(InputError, match=r"a\.tar\.gz' unpacks to more than .* Unpack it yourself and give the folder"):
        open_archive(path, max_total=5 * 10**6)


def raw_header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    head = bytearray(512)
    head[:100] = name.ljust(100, b"\0")
    head[100:108], head[124:136], head[156:157], head[148:156] = b"0000644\0", size, kind, b" " * 8
    head[257:265] = b"ustar\00000"
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def test_a_negative_size_does_not_loop(tmp_path: Path) -> None:
    size = b"\xff" + (-1024).to_bytes(11, "big", signed=True)
    (tmp_path / "a.tar").write_bytes(raw_header(b"a.png", b"%011o\0" % 0) + raw_header(b"b.png", size) + bytes(1024))
    started = time.monotonic()
    with pytest.raises(InputError, match="is not a whole"):
        open_archive(tmp_path / "a.tar")
    assert time.monotonic() - started < 5


def test_a_member_longer_than_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(raw_header(b"a.png", b"77777777777\0") + bytes(2048))
    with pytest.raises(InputError, match=r"'a\.png' reaches over the end"):
        open_archive(tmp_path / "a.tar")


@pytest.mark.parametrize("kind", [b"x", b"L", b"g"])
def test_a_header_cannot_ask_for_memory(tmp_path: Path, kind: bytes) -> None:
    data = raw_header(b"a.png", b"%011o\0" % (2**20), kind) + bytes(2**20 + 1024)
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(InputError, match="a header of 1048576 bytes"):
        open_archive(tmp_path / "a.tar")


def test_headers_upon_headers_are_refused(tmp_path: Path) -> None:
    long_name = raw_header(b"././@LongLink", b"%011o\0" % 6, b"L") + b"a.png\0".ljust(512, b"\0")
    (tmp_path / "a.tar").write_bytes(long_name * 5000 + raw_header(b"a.png", b"%011o\0" % 0) + bytes(1024))
    with pytest.raises(InputError, match="is not a whole"):
        open_archive(tmp_path / "a.tar")


def test_a_bomb_of_empty_members_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iamiou.archives._MAX_MEMBERS", 100)
    assert len(open_archive(make_tar(tmp_path / "a.tar.gz", {str(i): b"" for i in range(100)}, "w:gz")).names) == 100
    with pytest.raises(InputError, match="more than 100 members"):
        open_archive(make_tar(tmp_path / "b.tar.gz", {str(i): b"" for i in range(101)}, "w:gz"))


def test_a_sparse_member_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(raw_header(b"a.png", b"%011o\0" % 0, b"S") + bytes(1024))
    assert "is a link or a device: a.png" in only_problem(open_archive(tmp_path / "a.tar"))


def test_members_outside_the_file_are_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.png": b"1"})
    data = path.read_bytes()
    # The end of the directory claims a place beyond its own: the first member would lie before the file.
    path.write_bytes(data[:-6] + struct.pack("<I", len(data)) + data[-2:])
    with pytest.raises(InputError, match="is not a whole zip archive"):
        open_archive(path)
