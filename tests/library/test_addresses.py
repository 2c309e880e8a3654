"""Folders behind fsspec addresses: memory:// and http:// on loopback, with and without a cluster."""

from __future__ import annotations

import functools
import http.server
import threading
from types import SimpleNamespace

import pytest

import iamiou
from iamiou.errors import ProblemsFound
from tests import fakes
from tests.command import good, refused

fsspec = pytest.importorskip("fsspec", reason="needs the extra dask")
pytest.importorskip("aiohttp", reason="needs the extra dask")

NUMBER = 12
OPTIONS = {"bootstrap": 30}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("addresses")
    images = fakes.scenes(NUMBER, seed=3, shape=(40, 50), labels=(1, 2, 15))
    voc, folder = fakes.voc_devkit(root / "voc", images), fakes.prediction_folder(root / "p", images)
    fakes.image_list(voc / "ImageSets" / "Segmentation" / "few.txt", images[:5])
    semantic, instances, listed = fakes.flat_folders(root / "flat", images)
    return SimpleNamespace(root=root, voc=voc, folder=folder, semantic=semantic, instances=instances, listed=listed)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web(data):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(data.root)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def fill_memory(root: str) -> int:
    """Copy a folder into fsspec's memory, which each process has its own of."""
    from pathlib import Path

    import fsspec

    memory = fsspec.filesystem("memory")
    paths = [p for p in Path(root).rglob("*") if p.is_file()]
    for path in paths:
        memory.pipe_file(f"/data/{path.relative_to(root).as_posix()}", path.read_bytes())
    return len(paths)


@pytest.fixture
def memory(data):
    fill_memory(str(data.root))
    yield "memory://data"
    fsspec.filesystem("memory").rm("/data", recursive=True)


@pytest.fixture(params=["memory", "web"])
def base(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("split", [None, "few"])
def test_a_devkit_behind_an_address(data, base, split):
    expected = iamiou.evaluate(data.folder, data.voc, split=split, **OPTIONS)
    found = iamiou.evaluate(f"{base}/p", f"{base}/voc", split=split, **OPTIONS)
    assert found.to_json() == expected.to_json()
    assert iamiou.evaluate(f"{base}/p/", data.voc, split=split, **OPTIONS).to_json() == expected.to_json()


def test_folders_and_a_list_behind_addresses(data, base, capsys, tmp_path):
    here = good(
        capsys, "score", data.folder, "--semantic", data.semantic, "--instances", data.instances, "--format", "json"
    )
    flat = [f"{base}/{path.relative_to(data.root).as_posix()}" for path in (data.semantic, data.instances, data.listed)]
    options = ["--semantic", flat[0], "--instances", flat[1], "--list", flat[2], "--format", "json"]
    there = good(capsys, "score", f"{base}/p", *options, "--rows", tmp_path / "rows")
    assert there == here


def test_bad_files_are_named_as_on_disk(data, base, tmp_path):
    name = sorted(p.name for p in data.folder.iterdir())[4]
    original = (data.folder / name).read_bytes()
    sentences = []
    for bad in (original[:50], b"\x89PNG" + bytes(2**20 + 8 * 50 * 40)):
        (data.folder / name).write_bytes(bad)
        fill_memory(str(data.root))
        try:
            for predictions in (data.folder, f"{base}/p"):
                with pytest.raises(ProblemsFound) as stop:
                    iamiou.evaluate(predictions, data.voc)
                sentences.append(str(stop.value))
        finally:
            (data.folder / name).write_bytes(original)
    assert sentences[0] == sentences[1] and sentences[2] == sentences[3]
    assert name in sentences[0] and name in sentences[2]


def test_a_file_that_is_gone_when_it_is_read(data, memory):
    from iamiou.ground_truth import open_ground_truth
    from iamiou.predictions import open_predictions
    from iamiou.settings import Settings
    from iamiou.workers import count_all

    truth = open_ground_truth(data.voc)
    found = open_predictions(f"{memory}/p", truth)
    fsspec.filesystem("memory").rm(f"/data/p/{truth.ids[3]}.png")
    with pytest.raises(ProblemsFound, match=rf"1 file cannot be read: {truth.ids[3]}\.png \(No such file or directory"):
        count_all(found, truth, Settings())


@pytest.mark.parametrize(
    "address, sentence",
    [
        ("memory://nothing/here", "is no folder that holds anything; behind an address only folders are read."),
        ("{web}/voc/ImageSets/Segmentation/val.txt", "is no folder that holds anything"),
        ("{web}/nowhere", "is no folder that holds anything"),
        ("http://127.0.0.1:9/p", "cannot be listed"),
        ("what://is/this", "cannot be read: Protocol not known: what"),
    ],
)
def test_addresses_that_lead_nowhere(data, web, capsys, address, sentence):
    address = address.format(web=web)
    for arguments in ((address, data.voc), (data.folder, address)):
        told = refused(capsys, "score", *arguments)
        assert sentence in told and address in told and "\n" not in told


def test_workers_read_addresses(data, memory, web):
    pytest.importorskip("distributed", reason="needs the extra dask")
    from tests.library.clusters import local_cluster

    expected = iamiou.evaluate(data.folder, data.voc, **OPTIONS)
    with local_cluster(workers=2) as cluster:
        assert set(cluster.client.run(fill_memory, str(data.root)).values()) == {fill_memory(str(data.root))}
        for base in (memory, web):
            found = iamiou.evaluate(f"{base}/p", f"{base}/voc", client=cluster.client, **OPTIONS)
            assert found.to_json() == expected.to_json()


def test_without_fsspec_the_extra_is_named(data, capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setattr("iamiou.addresses._opened", iamiou.addresses._opened.__wrapped__)
    told = refused(capsys, "score", "s3://bucket/p", data.voc)
    assert told == ("Reading 's3://bucket/p' needs packages that are not installed; type: pip install \"iamiou[dask]\"")
