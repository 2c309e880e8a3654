"""Builds that were stopped, ran out of space or were damaged end with the bytes of one that was not."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from iamiou_builders import build as module
from iamiou_builders import devkit, disk, pictures
from tests.builders.small_pool import make_pool
from tests.command import files, good, process, refused, run

BUILD = "build-pascal-b"


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return make_pool(tmp_path_factory.mktemp("pool"))


@pytest.fixture(scope="module")
def done(pool, tmp_path_factory):
    """Return a build that nothing stopped."""
    root = tmp_path_factory.mktemp("built") / "set"
    assert process(BUILD, *pool.arguments, "--out", root).returncode == 0
    return root


def stop_at(monkeypatch, place, what, count, error):
    """Let the nth call of a function fail."""
    calls = []
    real = getattr(place, what)

    def stopping(*args, **options):
        calls.append(args)
        if len(calls) == count:
            raise error
        return real(*args, **options)

    monkeypatch.setattr(place, what, stopping)


STOPS = [
    (pictures, "put", 3),
    (devkit, "write_label_map", 4),
    (module, "paint", 2),
    (module, "report", 1),
    (module, "put", 1),
    (module, "put", 5),
    (module, "put", 11),
]


@pytest.mark.parametrize(("place", "what", "count"), STOPS, ids=lambda v: getattr(v, "__name__", str(v)))
def test_what_was_interrupted_goes_on(pool, done, tmp_path, capsys, monkeypatch, place, what, count):
    with monkeypatch.context() as patch:
        stop_at(patch, place, what, count, KeyboardInterrupt())
        result = run(capsys, BUILD, *pool.arguments, "--out", tmp_path / "set")
        assert result.code == 130
    assert (tmp_path / "set" / "build.json.part").exists()
    with monkeypatch.context() as patch:
        patch.setattr("iamiou_builders.plan.select", None)  # the list is frozen: nothing is chosen again
        good(capsys, BUILD, *pool.arguments, "--out", tmp_path / "set")
    assert files(tmp_path / "set") == files(done)


@pytest.mark.parametrize(("place", "what", "count"), [(pictures, "put", 2), (devkit, "write_label_map", 3)])
def test_a_full_disk_is_told_and_the_build_goes_on_later(pool, done, tmp_path, capsys, monkeypatch, place, what, count):
    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        if what == "put":
            stop_at(patch, disk, "replacing", 4, full)
        else:
            stop_at(patch, place, what, count, full)
        result = run(capsys, BUILD, *pool.arguments, "--out", tmp_path / "set")
    assert result.code == 3
    assert "No space left on device. Free some space and run the same command again" in result.err
    good(capsys, BUILD, *pool.arguments, "--out", tmp_path / "set")
    assert files(tmp_path / "set") == files(done)


def test_a_disk_that_is_too_small_is_refused_at_once(pool, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    result = run(capsys, BUILD, *pool.arguments, "--out", tmp_path / "set")
    assert result.code == 2
    assert "MB free, and" in result.err and "choose another place with --out" in result.err
    assert not (tmp_path / "set" / "JPEGImages").exists()


@pytest.mark.parametrize(
    "damage", ["JPEGImages", "SegmentationClass", "SegmentationObject", "stats.json", "report.html"]
)
def test_a_damaged_build_is_mended(pool, done, tmp_path, capsys, damage):
    root = tmp_path / "set"
    good(capsys, BUILD, *pool.arguments, "--out", root)
    victim = root / damage
    victim = sorted(victim.iterdir())[0] if victim.is_dir() else victim
    victim.write_bytes(b"damaged") if damage != "stats.json" else victim.unlink()
    out = good(capsys, BUILD, *pool.arguments, "--out", root)
    assert f"Made again what was missing or damaged: {victim.relative_to(root)}" in out
    assert files(root) == files(done)


def test_what_a_killed_process_leaves_is_taken_away(pool, done, tmp_path, capsys):
    root = tmp_path / "set"
    root.mkdir()
    (root / ".build.json.part.1a2b3c4d.part").write_bytes(b"{")  # killed before anything had a name
    good(capsys, BUILD, *pool.arguments, "--out", root)
    assert files(root) == files(done)
    for half in (".stats.json.abcd_123.part", "SegmentationClass/.000000000001.png.abcdefgh.part"):
        (root / half).write_bytes(b"half")
    (root / "build.json.part").write_bytes((root / "build.json").read_bytes())  # killed before it was taken away
    assert "nothing was changed" in good(capsys, BUILD, *pool.arguments, "--out", root)
    assert files(root) == files(done)


def test_a_process_that_is_killed_leaves_what_the_next_one_ends(pool, done, tmp_path):
    root = tmp_path / "set"
    code = (
        "import os, sys\n"
        "from iamiou_builders import devkit\n"
        "real = devkit.write_label_map\n"
        "calls = []\n"
        "def killed(path, labels):\n"
        "    calls.append(path)\n"
        "    if len(calls) == 3:\n"
        "        os.kill(os.getpid(), 9)\n"
        "    real(path, labels)\n"
        "devkit.write_label_map = killed\n"
        "from iamiou.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", code, BUILD, *map(str, pool.arguments), "--out", str(root)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -9
    assert (root / "build.json.part").exists()
    assert process(BUILD, *pool.arguments, "--out", root).returncode == 0
    assert files(root) == files(done)


def test_a_stranger_in_a_finished_build_is_named_and_left_alone(pool, tmp_path, capsys):
    root = tmp_path / "set"
    good(capsys, BUILD, *pool.arguments, "--out", root)
    (root / "SegmentationClass" / "mine.png").write_bytes(b"mine")
    assert "SegmentationClass/mine.png. Take them out." in refused(capsys, BUILD, *pool.arguments, "--out", root)
    assert (root / "SegmentationClass" / "mine.png").read_bytes() == b"mine"
