"""Rows in Parquet in place of memory: the same report, byte by byte, and files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import iamiou
from iamiou.errors import InputError, ProblemsFound
from tests import fakes
from tests.command import files, good, process, refused

NUMBER = 57
OPTIONS = {"bootstrap": 30}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("rows")
    images = fakes.scenes(NUMBER, seed=9, shape=(90, 110), labels=(1, 2, 15))
    voc, folder = fakes.voc_devkit(root / "voc", images), fakes.prediction_folder(root / "p", images)
    return SimpleNamespace(root=root, voc=voc, folder=folder, report=iamiou.evaluate(folder, voc, **OPTIONS))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr("iamiou.rows.PART", 10)


@pytest.mark.parametrize(
    "options", [{}, {"bins": (16,)}, {"bins": (8, 16, 32)}, {"metrics": "miou"}, {"bootstrap": 0}, {"threads": 1}]
)
def test_the_report_is_the_same_without_rows(data, tmp_path, options):
    options = OPTIONS | options
    kept = iamiou.evaluate(data.folder, data.voc, **options)
    rows = iamiou.evaluate(data.folder, data.voc, rows=tmp_path / "rows", **options)
    assert rows.to_json() == kept.to_json()
    assert "instances" not in vars(rows.counts)  # and that took no row back into memory
    assert rows.counts == kept.counts


def test_what_needs_rows_reads_them_back(data, tmp_path):
    report = iamiou.evaluate(data.folder, data.voc, rows=tmp_path / "rows", **OPTIONS)
    for name in ("kept", "rows"):
        (report if name == "rows" else data.report).save(tmp_path / f"{name}.npz")
    assert (tmp_path / "rows.npz").read_bytes() == (tmp_path / "kept.npz").read_bytes()
    pd.testing.assert_frame_equal(report.instances, data.report.instances)
    pd.testing.assert_frame_equal(report.phantoms, data.report.phantoms)


def test_other_programs_read_the_files(data, tmp_path):
    iamiou.evaluate(data.folder, data.voc, rows=tmp_path, **OPTIONS)
    for table in ("instances", "phantoms"):
        found, expected = pd.read_parquet(tmp_path / table), getattr(data.report, table)
        assert len([*(tmp_path / table).iterdir()]) == 6
        for column in expected:
            assert found[column].tolist() == expected[column].tolist(), column
    about = json.loads((tmp_path / "rows.json").read_text())
    assert about["format"] == "iamiou-rows-1" and about["bins"] == [32, 96]


def test_threads_and_processes_write_the_same_files(data, tmp_path, capsys):
    for name, threads in (("one", 1), ("two", 2)):
        told = process(
            "score", data.folder, data.voc, "--threads", threads, "--rows", tmp_path / name, "--format", "json", *BOOT
        )
        assert told.stdout == data.report.to_json(), told.stderr
    iamiou.evaluate(data.folder, data.voc, threads=3, rows=tmp_path / "parts", **OPTIONS)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len(files(tmp_path / "parts")) == 13


BOOT = ("--bootstrap", 30)


def test_page_figures_and_counts_are_those_with_rows(data, tmp_path, capsys):
    made = []
    for options in ((), ("--rows", tmp_path / "rows")):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out").mkdir()
        out = [f"--{kind}={tmp_path / 'out' / name}" for kind, name in (("report", "a.html"), ("save", "a.npz"))]
        printed = good(capsys, "score", data.folder, data.voc, *BOOT, *out, *options)
        made.append((printed.partition("Wrote rows")[0], files(tmp_path / "out")))
    assert made[0] == made[1]
    assert printed.endswith(f"Wrote rows: {tmp_path / 'rows'}\n")


@pytest.mark.parametrize("style", ["table", "csv", "markdown", "latex"])
def test_tables_need_no_rows(data, tmp_path, capsys, monkeypatch, style):
    expected = good(capsys, "score", data.folder, data.voc, "--format", style, *BOOT)
    monkeypatch.setattr("iamiou.rows.StoredCounts._read", lambda *_: pytest.fail("read the rows back"))
    found = good(capsys, "score", data.folder, data.voc, "--format", style, "--rows", tmp_path / "rows", *BOOT)
    assert found.partition("Wrote rows")[0] == expected


def test_a_run_that_fails_leaves_the_earlier_rows(data, tmp_path):
    rows = tmp_path / "rows"
    iamiou.evaluate(data.folder, data.voc, rows=rows, **OPTIONS)
    before, broken = files(rows), tmp_path / "p"
    shutil.copytree(data.folder, broken)
    names = sorted(path.name for path in broken.iterdir())
    (broken / names[50]).write_bytes(b"no png")
    with pytest.raises(ProblemsFound, match=re.escape(names[50])):
        iamiou.evaluate(broken, data.voc, rows=rows)
    assert files(rows) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p", "rows"]
    (broken / names[50]).write_bytes((broken / names[49]).read_bytes())
    iamiou.evaluate(broken, data.voc, rows=rows)
    assert files(rows) != before and sorted(p.name for p in tmp_path.iterdir()) == ["p", "rows"]


def test_a_folder_of_somebody_elses_is_refused(data, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    told = refused(capsys, "score", data.folder, data.voc, "--rows", tmp_path)
    assert told.startswith(f"'{tmp_path}' is not empty and holds no rows of iamiou; choose another folder")
    told = refused(capsys, "score", data.folder, data.voc, "--rows", tmp_path / "notes.txt")
    assert "it is a file" in told


def test_rows_that_were_removed_are_missed_in_a_sentence(data, tmp_path):
    report = iamiou.evaluate(data.folder, data.voc, rows=tmp_path / "rows", **OPTIONS)
    (tmp_path / "rows" / "instances" / "part-00002.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=r"cannot be read .* score again with --rows"):
        _ = report.instances


KILLED = """
import os, signal, sys
import iamiou, iamiou.rows
iamiou.rows.PART = 10

def progress(done, total):
    if done >= 25:
        os.kill(os.getpid(), signal.SIGKILL)

iamiou.evaluate(sys.argv[1], sys.argv[2], rows=sys.argv[3], threads=1, progress=progress)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
def test_what_a_killed_run_left_is_removed_by_the_next(data, tmp_path, monkeypatch):
    rows = tmp_path / "rows"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    # Slow enough for the progress function, which is called ten times a second.
    slow = KILLED.replace(
        "iamiou.evaluate(",
        "import iamiou.workers, time\nadd = iamiou.workers.ShareCounter.add\n"
        "iamiou.workers.ShareCounter.add = lambda self, name: (time.sleep(0.05), add(self, name))\niamiou.evaluate(",
    )
    died = subprocess.run([sys.executable, "-c", slow, data.folder, data.voc, rows], check=False, env=environment)
    assert died.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".rows.") and len(files(left)) >= 3
    report = iamiou.evaluate(data.folder, data.voc, rows=rows, **OPTIONS)
    assert [p.name for p in tmp_path.iterdir()] == ["rows"]
    assert report.to_json() == data.report.to_json()


def test_a_run_that_goes_on_is_left_alone(tmp_path):
    from iamiou.rows import making_rows

    with making_rows(tmp_path / "rows", {}) as first:
        with making_rows(tmp_path / "rows", {"which": "second"}):
            assert first.is_dir()
        assert json.loads((tmp_path / "rows" / "rows.json").read_text())["which"] == "second"
    assert [p.name for p in tmp_path.iterdir()] == ["rows"]


def test_memory_of_an_image_is_bounded(data):
    """What is kept of an image without its rows: some hundred bytes, whatever stands in it."""
    from iamiou.tally import tally_of

    entries = tally_of(data.report.counts, (32, 96)).entries
    held = sum(getattr(entries, name).nbytes for name in ("starts", "column", "value"))
    assert held / NUMBER < 400
    assert np.array_equal(entries.dense(0, NUMBER)["hit"], data.report.counts.hit)
