"""What stages cost, the two forms of the walk, and the linear probe that a classifier has to beat."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks import costs  # noqa: E402
from iamiou_benchmarks.cams.affinity import walk  # noqa: E402
from iamiou_benchmarks.datasets.data import open_data  # noqa: E402
from iamiou_benchmarks.methods import probe  # noqa: E402
from iamiou_benchmarks.running.runfile import load_run  # noqa: E402
from iamiou_benchmarks.stage.work import Log, Work  # noqa: E402


def result(run, seed, *stages):
    """One made-up result: stages as (name, key, seconds, resumed)."""
    records = [
        {"name": n, "key": k, "seconds": s, "resumed": r, "images_per_second": 100 / s, "peak_memory_bytes": 10**8}
        for n, k, s, r in stages
    ]
    config = {"stages": {n: {"options": {"loss": "CE"} if n == "segment" else {}} for n, *_ in stages}}
    hardware = {"device": "cpu", "name": "A processor", "threads": 1}
    head = {"run": run, "seed": seed, "config_sha256": run, "data": {}, "config": config, "hardware": hardware}
    return head | {"stages": records}


def test_every_finished_stage_counts_once_and_interrupted_ones_do_not():
    shared = ("cam", "a", 10.0, False)
    results = [
        result("x-cam-ce", 0, shared, ("segment", "b", 20.0, False)),
        result("x-irn-ce", 0, shared, ("segment", "c", 40.0, False)),
        result("x-irn-ce", 1, ("cam", "d", 1.0, True), ("segment", "e", 60.0, False)),
        result("y-irn-ce", 0, ("segment", "f", 600.0, False)),
    ]
    cam, segment = costs.cost_lines(results, "x-")[2:]
    assert cam == "| `cam` | 10.0 | 10 | 100 MB | 1 | A processor, 1 thread |"
    assert segment.startswith("| `segment` CE | 40.0 | 2 | 100 MB | 3 |")
    with pytest.raises(InputError, match="z-"):
        costs.cost_lines(results, "z-")


@pytest.mark.parametrize(("height", "width"), [(9, 13), (12, 12), (2, 7)])
def test_the_dense_form_that_is_timed_gives_what_the_walk_gives(height, width):
    random = torch.Generator().manual_seed(width)
    maps, boundary = torch.rand(2, height, width, generator=random), torch.rand(height, width, generator=random)
    assert torch.allclose(costs._dense(maps, boundary), walk(maps, boundary).double(), rtol=0, atol=1e-6)


def test_walks_are_measured_in_processes_of_their_own(capsys):
    costs._measure("sparse", 8)
    sparse = json.loads(capsys.readouterr().out)
    costs._measure("dense", 8)
    dense = json.loads(capsys.readouterr().out)
    assert np.allclose(sparse["out"], dense["out"], rtol=0, atol=1e-6)
    one = {"side": 8, "difference": 1e-9, "sparse": sparse, "dense": dense}
    lines = costs.walk_lines({"walks": [one], "hardware": {"name": "A processor", "threads": 1}})
    assert lines[2].startswith("| 8 × 8 | ") and lines[-1].startswith("A processor, 1 thread")


def test_a_probe_finds_what_is_linear_and_is_scored_on_dev_and_test(tmp_path):
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32))
    y = (x[:, :2] + 0.1 * x[:, 2:4] > 0).float()
    weight = probe.fitted(x, y, 0.001)
    assert ((probe.scored(weight, x) > 0) == y.numpy().astype(bool)).mean() > 0.95
    assert float(weight[1:].square().sum()) > float(probe.fitted(x, y, 1.0)[1:].square().sum())
    changes = ["data.knobs={train = 12, dev = 6, test = 6, side = 32}"]
    data = open_data(load_run("shapes-tiny-cam-ce", changes).data, tmp_path)
    work = Work(data, {}, tmp_path, 0, "cpu", Log(tmp_path / "metrics.jsonl", "probe"))
    probe.run(work, probe.Options(network="small-cnn", weights="", decays=(0.01, 0.1)))
    assert set(work.scores) == {"dev", "test"} and 0 < work.scores["dev"]["mAP"] <= 1
    assert work.images == 24
