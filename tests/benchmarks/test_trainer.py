"""The training loop: parted batches and several processes give what one gives."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.running.pipeline import run_stage  # noqa: E402
from iamiou_benchmarks.stage import artefacts  # noqa: E402
from iamiou_benchmarks.training.batches import Cut, cut, sampler  # noqa: E402
from iamiou_benchmarks.training.trainer import Schedule  # noqa: E402
from tests.benchmarks.small_runs import little  # noqa: E402

#: Dropout draws for one process what it draws for no other; v2 has none.
EQUAL = ("segment.head=v2", "segment.loss=L_sb", "segment.network=small-cnn")


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """Return a cache in which all stages before `segment` lie, and the weights of one process."""
    cache = tmp_path_factory.mktemp("cache")
    plan = little(cache, *EQUAL)
    for name in ("classifier", "cam", "pseudo", "segment"):
        folder = run_stage(plan, plan.run.stage(name))
    return cache, artefacts.load(folder / "weights.npz", "segmentation")


def equal_to(found, expected, rel):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert np.abs(found[name] - value).max() <= rel * max(np.abs(value).max(), 1e-3), name


@pytest.mark.parametrize("parts", [2, 4])
def test_micro_batches_give_the_gradient_of_the_batch(ready, parts):
    plan = little(ready[0], *EQUAL, f"segment.accumulate={parts}")
    folder = run_stage(plan, plan.run.stage("segment"))
    equal_to(artefacts.load(folder / "weights.npz", "segmentation"), ready[1], 1e-5)


WORKER = """
import sys
from pathlib import Path
from iamiou_benchmarks.running.pipeline import run_stage
from tests.benchmarks.small_runs import little
plan = little(Path(sys.argv[1]), *sys.argv[2:])
run_stage(plan, plan.run.stage("segment"))
"""


def test_two_processes_give_the_weights_of_one(ready, tmp_path):
    import shutil

    cache = tmp_path / "cache"
    shutil.copytree(ready[0], cache)
    done = little(cache, *EQUAL)
    shutil.rmtree(done.folder(done.run.stage("segment")))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(cache), *EQUAL],
            cwd=Path(__file__).parents[2],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0], errors
    found = artefacts.load(done.folder(done.run.stage("segment")) / "weights.npz", "segmentation")
    equal_to(found, ready[1], 1e-5)
    assert not list(cache.glob(".segment*"))


def test_rates_fall_to_the_power_and_rise_at_first():
    schedule = Schedule(iterations=10, power=0.9, warmup=4)
    assert [schedule.rate(k) for k in (0, 3)] == pytest.approx([0.25, 0.7**0.9])
    assert Schedule(iterations=10, power=1.0).rate(5) == 0.5


def test_a_batch_is_a_function_of_seed_and_iteration(ready):
    data = little(ready[0]).data
    ids = data.splits["train"]
    first, second = (sampler(data, ids, Cut(24, 0.5, 1.5), 3, 4) for _ in range(2))
    wanted = first(7)[0]
    assert all(torch.equal(second(k)[0]["image"], first(k)[0]["image"]) for k in range(3))
    assert torch.equal(second(7)[0]["image"], wanted["image"])
    assert not torch.equal(first(8)[0]["image"], wanted["image"])


def test_an_epoch_shows_every_image_once(ready):
    data = little(ready[0]).data
    ids = data.splits["train"]
    sample = sampler(data, ids, Cut(32, flip=False), 0, 5)
    shown = torch.cat([sample(k)[0]["image"] for k in range(2)])
    assert len({t.numpy().tobytes() for t in shown}) == len(ids) == 10


def test_batches_that_cannot_be_parted_are_refused(ready):
    data = little(ready[0]).data
    with pytest.raises(InputError, match="batch of 4 cannot be parted into 3"):
        sampler(data, data.splits["train"], Cut(8), 0, 4, 3)


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (40, 13), (1, 1)])
def test_crops_of_any_image_keep_label_and_image_together(shape):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 5, shape).astype(np.uint8)
    image = np.repeat(label[..., None] * 50, 3, 2)
    out, out_label = cut(image, label, rng, Cut(16))
    assert out.shape == (3, 16, 16) and out_label.shape == (16, 16)
    inside = out_label != 255
    grey = np.round((out[0] * 0.229 + 0.485) * 255)
    assert (grey[inside] == out_label[inside] * 50.0).all() and (out[:, ~inside] == 0).all()
    assert inside.sum() == min(shape[0], 16) * min(shape[1], 16)
