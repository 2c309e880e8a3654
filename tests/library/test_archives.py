"""Archives: honest ones are read, damaged ones are found out."""

from __future__ import annotations

import gzip
import io
import random
import struct
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from iamiou.archives import open_archive
from iamiou.errors import ImageError, InputError
from tests.packing import make_tar, make_zip

MEMBERS = {"preds/a.png": b"A" * 1000, "preds/b.npy": bytes(range(256)), "preds/empty.png": b""}


def patched(path: Path, old: bytes, new: bytes, count: int = 1) -> Path:
    data = path.read_bytes()
    assert data.count(old) == count
    path.write_bytes(data.replace(old, new))
    return path


@pytest.mark.parametrize("kind", ["deflated.zip", "stored.zip", "a.tar", "a.tar.gz", "a.tgz"])
def test_members_are_read_in_any_order(tmp_path: Path, kind: str) -> None:
    if kind.endswith(".zip"):
        path = make_zip(tmp_path / kind, MEMBERS, zipfile.ZIP_STORED if "stored" in kind else zipfile.ZIP_DEFLATED)
    else:
        path = make_tar(tmp_path / kind, MEMBERS, "w" if kind == "a.tar" else "w:gz")
    archive = open_archive(path)
    assert archive.problems == ()
    for i in (2, 0, 1):
        assert archive.read(i, 10**6) == MEMBERS[archive.names[i]]
    assert sorted(archive.names) == sorted(MEMBERS)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_threads_read_side_by_side(tmp_path: Path, suffix: str) -> None:
    members = {f"{i}.png": bytes([i]) * (1000 + i) for i in range(100)}
    path = tmp_path / f"a{suffix}"
    archive = open_archive(make_zip(path, members) if suffix == ".zip" else make_tar(path, members, f"w:{suffix[5:]}"))
    wrong: list[str] = []

    def work() -> None:
        for _ in range(5):
            wrong.extend(n for i, n in enumerate(archive.names) if archive.read(i, 10**4) != members[n])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_zip_of_folders_and_of_windows(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"preds/": b"", "preds\\a.png": b"1", "./b.png": b"2"})
    archive = open_archive(path)
    assert archive.names == ("preds/a.png", "b.png")
    assert archive.problems == ()


def test_tar_as_made_of_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"1")
    with tarfile.open(tmp_path / "a.tar", "w") as t:
        t.add(tmp_path / "in", arcname=".")
    archive = open_archive(tmp_path / "a.tar")
    assert (archive.names, archive.problems) == (("a.png",), ())


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_over_its_limit_is_cut(tmp_path: Path, method: int) -> None:
    archive = open_archive(make_zip(tmp_path / "a.zip", {"a.png": bytes(10**6)}, method))
    assert archive.read(0, 1000) == bytes(1001)
    archive = open_archive(make_tar(tmp_path / "a.tar", {"a.png": bytes(10**6)}))
    assert archive.read(0, 1000) == bytes(1001)


@pytest.mark.parametrize("claimed", [999, 1001, 10])
def test_a_lying_size_is_found(tmp_path: Path, claimed: int) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.png": bytes(1000)})
    patched(path, struct.pack("<I", 1000), struct.pack("<I", claimed), 2)
    with pytest.raises(ImageError, match=rf"a\.png \(not the {claimed} bytes that its header promises\)"):
        open_archive(path).read(0, 10**6)


def test_damage_inside_is_found(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.png": b"A" * 50}, zipfile.ZIP_STORED)
    patched(path, b"A" * 50, b"A" * 49 + b"B")
    with pytest.raises(ImageError, match=r"member is damaged: a\.png \(its checksum differs\). Pack the label maps"):
        open_archive(path).read(0, 1000)
    path = make_zip(tmp_path / "b.zip", {"a.png": bytes(range(256))})
    data = bytearray(path.read_bytes())
    data[35] = 0xFF  # a block type that deflate does not have
    path.write_bytes(data)
    with pytest.raises(ImageError, match="its compressed data are wrong"):
        open_archive(path).read(0, 1000)


def test_a_header_that_contradicts_the_directory_is_found(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.png": b"1", "b.png": b"2"})
    original = path.read_bytes()

    path.write_bytes(original.replace(b"a.png", b"x.png", 1))
    with pytest.raises(ImageError, match="another name in its own header"):
        open_archive(path).read(0, 1000)

    path.write_bytes(b"PK\3\5" + original[4:])
    with pytest.raises(ImageError, match="no header"):
        open_archive(path).read(0, 1000)

    path.write_bytes(original[:28] + struct.pack("<H", 500) + original[30:])  # a longer extra field
    with pytest.raises(ImageError, match="it runs into the next member"):
        open_archive(path).read(0, 1000)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_cut_short_anywhere_is_an_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.zip":
        make_zip(path, MEMBERS)
    else:
        make_tar(path, MEMBERS, f"w:{name[6:]}")
    whole = path.read_bytes()
    # A tar ends in at least one block of zeros after the last member; more zeros than that are padding.
    last = len(whole) - 1 if name != "a.tar" else len(whole.rstrip(b"\0")) // 512 * 512 + 512
    for end in [*range(0, last, max(1, last // 60)), last]:
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match=rf"'.*{name}' (is not a whole|is damaged or cut short)"):
            open_archive(path)


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(2000))
    with pytest.raises(InputError, match=r"is not a whole \.zip, \.tar or \.tar\.gz archive"):
        open_archive(path)
    with pytest.raises(InputError, match=r"cannot be read: Is a directory|cannot be read: Permission denied"):
        open_archive(tmp_path)


def test_a_broken_header_in_the_middle_does_not_end_a_tar_quietly(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", {f"{i}.png": b"1" for i in range(5)})
    data = bytearray(path.read_bytes())
    data[2 * 1024 + 5] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InputError, match="the mark of its end is missing"):
        open_archive(path)


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_tar(tmp_path / "a.tar.gz", MEMBERS, "w:gz")
    opened: list[io.BytesIO] = []

    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    def full(**_: object) -> Full:
        opened.append(Full())
        return opened[-1]

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(InputError, match=r"No space left on device\. Unpack it and give the folder\."):
        open_archive(path)
    assert opened[0].closed


def test_damaged_gzip_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    data = bytearray(gzip.compress(bytes(10_000)))
    data[-6] ^= 1  # in the checksum
    path.write_bytes(data)
    with pytest.raises(InputError, match="is damaged or cut short"):
        open_archive(path)


def test_an_empty_zip(tmp_path: Path) -> None:
    archive = open_archive(make_zip(tmp_path / "a.zip", {}))
    assert (archive.names, archive.problems) == ((), ())


def changed(data: bytes, rng: random.Random) -> bytes:
    """Damage an archive in up to four places: bytes changed, left out, doubled."""
    new = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        i, j, size = rng.randrange(len(new)), rng.randrange(len(new)), rng.choice([1, 4, 46, 512])
        how = rng.random()
        if how < 0.6:
            new[i] = rng.choice([0, 255, rng.randrange(256), new[i] ^ 1 << rng.randrange(8)])
        elif how < 0.8:
            del new[i : i + size]
        else:
            new[i:i] = new[j : j + size]
    return bytes(new)


@pytest.mark.parametrize("name", ["a.zip", "stored.zip", "a.tar", "a.tar.gz"])
def test_random_damage_gives_sentences_only(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".zip"):
        make_zip(path, MEMBERS, zipfile.ZIP_STORED if name == "stored.zip" else zipfile.ZIP_DEFLATED)
    else:
        make_tar(path, {**MEMBERS, "x" * 150: b"a long name"}, f"w:{name[6:]}")
    whole, rng, survived = path.read_bytes(), random.Random(11), 0
    for _ in range(300):
        path.write_bytes(changed(whole, rng))
        try:
            archive = open_archive(path, max_total=2**24)
            data = [archive.read(i, 10**4) for i in range(len(archive.names))]
        except InputError as e:
            assert str(e).isprintable()
        else:
            survived += 1
            assert all(len(d) <= 10**4 + 1 for d in data)
    assert survived < 300
