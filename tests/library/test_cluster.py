"""Scoring on a Dask cluster of processes: one process's bytes, whatever befalls workers, files and the client."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

import iamiou
from iamiou.errors import InputError, ProblemsFound
from tests import fakes
from tests.command import files, good, refused

pytest.importorskip("distributed", reason="needs the extra dask")
from tests.library.clusters import local_cluster

NUMBER = 60
OPTIONS = {"bootstrap": 30}


@pytest.fixture(scope="module")
def cluster():
    with local_cluster(workers=2) as found:
        yield found


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Write a devkit with predictions, and what one process makes of them."""
    root = tmp_path_factory.mktemp("cluster")
    images = fakes.scenes(NUMBER, seed=5, shape=(40, 50), labels=(1, 2, 15))
    voc, folder = fakes.voc_devkit(root / "voc", images), fakes.prediction_folder(root / "p", images)
    alone = iamiou.evaluate(folder, voc, threads=1, **OPTIONS)
    alone.save(root / "alone.npz")
    return SimpleNamespace(root=root, images=images, voc=voc, folder=folder, alone=alone)


@pytest.fixture
def small_parts(monkeypatch):
    """Cut even small data sets into many partitions, and put shares together in a deep tree."""

    def cut(size: int, branches: int = 2) -> None:
        for name in ("iamiou.cluster.PART", "iamiou.rows.PART", "iamiou.cluster._FEWEST"):
            monkeypatch.setattr(name, size)
        monkeypatch.setattr("iamiou.cluster._PIECES", NUMBER)
        monkeypatch.setattr("iamiou.cluster._BRANCHES", branches)

    return cut


def same(report, data, tmp_path):
    """Hold json, counts and the saved file against those of one process."""
    assert report.to_json() == data.alone.to_json()
    assert report.counts == data.alone.counts
    report.save(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_bytes() == (data.root / "alone.npz").read_bytes()


@pytest.mark.parametrize("size, branches", [(1, 2), (7, 3), (1000, 8)])
def test_any_partitions_give_the_same_bytes(cluster, data, small_parts, tmp_path, size, branches):
    small_parts(size, branches)
    told = []
    report = iamiou.evaluate(
        data.folder, data.voc, client=cluster.client, progress=lambda *n: told.append(n), **OPTIONS
    )
    same(report, data, tmp_path)
    assert told[-1] == (NUMBER, NUMBER) and told == sorted(told)


def test_rows_are_those_of_one_process(cluster, data, small_parts, tmp_path):
    small_parts(9)
    one = iamiou.evaluate(data.folder, data.voc, threads=1, rows=tmp_path / "one", **OPTIONS)
    far = iamiou.evaluate(data.folder, data.voc, client=cluster.client, rows=tmp_path / "far", **OPTIONS)
    assert files(tmp_path / "one") == files(tmp_path / "far")
    assert len(files(tmp_path / "far")) == 2 * 7 + 1
    assert "instances" not in vars(far.counts)  # nobody has asked for them
    same(one, data, tmp_path)
    same(far, data, tmp_path)


def test_any_order_of_the_partitions_gives_the_same_bytes(cluster, data, small_parts, monkeypatch, tmp_path):
    """Let the client take what is done in random order, and put it together in random groups."""
    from distributed import as_completed

    small_parts(2, 3)
    monkeypatch.setattr("iamiou.cluster._AHEAD", NUMBER)

    def shuffled(futures, loop):
        futures = [*as_completed(futures, loop=loop)]
        random.Random(3).shuffle(futures)
        return futures

    monkeypatch.setattr("distributed.as_completed", shuffled)
    same(iamiou.evaluate(data.folder, data.voc, client=cluster.client, **OPTIONS), data, tmp_path)


def killer(client):
    """Return a progress function that kills workers, one at a third of the work and all at two thirds."""
    done = []

    def progress(count: int, total: int) -> None:
        if len(done) == 0 and count >= total / 3:
            done.append(count)
            os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)
        elif len(done) == 1 and count >= total * 2 / 3:
            done.append(count)
            for pid in client.run(os.getpid, on_error="ignore").values():
                os.kill(pid, signal.SIGKILL)

    progress.done = done
    return progress


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
def test_killed_workers_change_nothing(data, small_parts, tmp_path):
    small_parts(3)
    with local_cluster(workers=2) as cluster:
        progress, rows = killer(cluster.client), tmp_path / "rows"
        report = iamiou.evaluate(data.folder, data.voc, client=cluster.client, progress=progress, rows=rows, **OPTIONS)
    assert len(progress.done) == 2
    same(report, data, tmp_path)


def test_bad_files_are_named_as_without_a_cluster(cluster, data, small_parts, tmp_path):
    small_parts(4)
    folder = tmp_path / "p"
    folder.mkdir()
    for k, path in enumerate(sorted(data.folder.iterdir())):
        if k != 33:
            (folder / path.name).write_bytes(path.read_bytes()[: 40 if k % 7 == 0 else None])
    found = []
    for options in ({"threads": 1}, {"client": cluster.client}, {"client": cluster.client, "rows": tmp_path / "rows"}):
        with pytest.raises(ProblemsFound) as stop:
            iamiou.evaluate(folder, data.voc, **options)
        found.append(stop.value.problems)
    assert found[0] == found[1] == found[2]
    assert [len(p.names) for p in found[0]] == [1, 9]
    assert not (tmp_path / "rows").exists() and sorted(p.name for p in tmp_path.iterdir()) == ["p"]


@pytest.mark.parametrize("kind", ["p.zip", "p.tar.gz", "coco"])
def test_archives_and_coco_files_are_opened_by_the_workers(cluster, data, small_parts, tmp_path, kind):
    small_parts(11)
    truth, options = data.voc, OPTIONS
    if kind == "coco":
        names = iamiou.load_classes("coco").names
        images = fakes.scenes(NUMBER, seed=6, shape=(40, 50), labels=(1, 2, 15))
        truth = fakes.coco_truth(tmp_path / "truth.json", images, names)
        predictions, options = fakes.coco_results(tmp_path / "results.json", images), OPTIONS | {"classes": "coco"}
    else:
        predictions = fakes.archive(tmp_path / kind, data.folder)
    expected = iamiou.evaluate(predictions, truth, threads=1, **options)
    assert iamiou.evaluate(predictions, truth, client=cluster.client, **options).to_json() == expected.to_json()


def test_relative_paths_mean_the_client(cluster, data, monkeypatch):
    monkeypatch.chdir(data.root)
    report = iamiou.evaluate("p", "voc", client=cluster.client, **OPTIONS)
    assert report.to_json() == data.alone.to_json()


def set_version(version: str, where: str) -> str:
    """Pretend, in a worker, that another version is installed."""
    import importlib

    module = importlib.import_module(where)
    before, module.__version__ = module.__version__, version
    return before


@pytest.mark.parametrize(
    "where, sentence",
    [
        ("iamiou", r"1 worker has another version of iamiou than this process, which has \S+: tcp://\S+ \(0\.0\.7\)\."),
        ("iamiou.cluster", r"1 worker has another version of iamiou .*: one that came later \(0\.0\.7\)\."),
    ],
)
def test_workers_of_another_version_are_refused(cluster, data, where, sentence):
    workers = [*cluster.client.nthreads()][: 1 if where == "iamiou" else None]
    cluster.client.run(set_version, "0.0.7", where, workers=workers)
    try:
        with pytest.raises(InputError, match=sentence) as stop:
            iamiou.evaluate(data.folder, data.voc, client=cluster.client)
        assert "\n" not in str(stop.value)
    finally:
        cluster.client.run(set_version, iamiou.__version__, where)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{}", "127.0.0.1:{}", "nonsense", "what://127.0.0.1:{}"])
def test_nobody_answers(data, capsys, monkeypatch, address):
    monkeypatch.setattr("iamiou.cluster.PATIENCE", 0.7)
    address = address.format(free_port())
    told = refused(capsys, "score", data.folder, data.voc, "--scheduler", address)
    assert told.startswith(f"No Dask scheduler answers at '{address}' within 0.7 seconds; start one")
    assert "\n" not in told


def test_something_else_answers(data, capsys, monkeypatch):
    """A server that takes the connection and never says a word."""
    monkeypatch.setattr("iamiou.cluster.PATIENCE", 0.7)
    with socket.create_server(("127.0.0.1", 0)) as server:
        told = refused(
            capsys, "score", data.folder, data.voc, "--scheduler", f"tcp://127.0.0.1:{server.getsockname()[1]}"
        )
    assert told.startswith("No Dask scheduler answers")


def test_a_scheduler_without_workers(data, capsys, monkeypatch):
    monkeypatch.setattr("iamiou.cluster.PATIENCE", 0.7)
    with local_cluster(workers=0) as cluster:
        told = refused(capsys, "score", data.folder, data.voc, "--scheduler", cluster.address)
    assert told == (
        f"The Dask scheduler at '{cluster.address}' has no workers; start some: dask worker {cluster.address}"
    )


def test_a_scheduler_that_is_lost(data, small_parts):
    small_parts(1)
    lost = []
    script = "from distributed.cli.dask_scheduler import main; main()"
    port = free_port()
    scheduler = subprocess.Popen(
        [sys.executable, "-c", script, "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"],
        stderr=subprocess.DEVNULL,
    )
    script = "from distributed.cli.dask_worker import main; main()"
    worker = subprocess.Popen(
        [sys.executable, "-c", script, f"tcp://127.0.0.1:{port}", "--no-nanny", "--no-dashboard", "--nthreads", "1"],
        stderr=subprocess.DEVNULL,
    )

    def progress(done: int, total: int) -> None:
        if not lost:
            lost.append(done)
            scheduler.kill()
            scheduler.wait()

    from iamiou.cluster import connected

    try:
        with connected(f"tcp://127.0.0.1:{port}") as client, pytest.raises(InputError, match="scheduler was lost"):
            iamiou.evaluate(data.folder, data.voc, client=client, progress=progress)
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()


def test_the_command_prints_the_same_bytes(cluster, data, capsys, tmp_path):
    options = ("--format", "json", "--bootstrap", 30)
    here = good(capsys, "score", data.folder, data.voc, *options)
    there = good(
        capsys, "score", data.folder, data.voc, *options, "--scheduler", cluster.address, "--rows", tmp_path / "rows"
    )
    assert here == there == data.alone.to_json()
    told = refused(capsys, "score", data.folder, data.voc, "--scheduler", cluster.address, "--threads", 2)
    assert told.startswith("--threads is about this machine")


def test_an_asynchronous_client_is_refused(data):
    with pytest.raises(InputError, match="asynchronous"):
        iamiou.evaluate(data.folder, data.voc, client=SimpleNamespace(asynchronous=True))


DYING = """
import os, signal, sys
import iamiou, iamiou.cluster, iamiou.rows
from iamiou.cluster import connected
iamiou.cluster.PART = iamiou.rows.PART = 3

def progress(done, total):
    if done >= total / 2:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    predictions, truth, address, rows = sys.argv[1:]
    with connected(address) as client:
        iamiou.evaluate(predictions, truth, client=client, rows=rows, progress=progress)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
def test_a_client_that_dies_leaves_nothing_half_written(cluster, data, small_parts, tmp_path):
    script, rows = tmp_path / "dying.py", tmp_path / "out" / "rows"
    script.write_text(DYING)
    rows.parent.mkdir()
    died = subprocess.run(
        [sys.executable, script, data.folder, data.voc, cluster.address, rows],
        check=False,
        timeout=100,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert died.returncode == -signal.SIGKILL
    left = [path.name for path in rows.parent.iterdir()]
    assert len(left) == 1 and left[0].startswith(".rows.") and left[0].endswith(".part")
    small_parts(3)
    report = iamiou.evaluate(data.folder, data.voc, client=cluster.client, rows=rows, **OPTIONS)
    same(report, data, tmp_path)
    assert [path.name for path in rows.parent.iterdir()] == ["rows"]
    assert json.loads((rows / "rows.json").read_text())["format"] == "iamiou-rows-1"
    assert threading.active_count() < 50
