"""Forked workers: the same result as threads, every error brought home, and no process left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from iamiou.errors import ImageError, ProblemsFound
from iamiou.evaluation import evaluate_opened
from iamiou.forks import FEW_IMAGES, Shared, can_fork, work_apart
from iamiou.ground_truth import open_ground_truth
from iamiou.predictions import open_predictions
from iamiou.settings import Settings
from tests import fakes
from tests.command import process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere commands work in threads")

NUMBER = FEW_IMAGES + 7


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("many")
    images = fakes.scenes(NUMBER, seed=4, shape=(40, 50), labels=(1, 2, 15))
    voc, folder = fakes.voc_devkit(root / "voc", images), fakes.prediction_folder(root / "p", images)
    packed = [fakes.archive(root / name, folder) for name in ("p.zip", "p.tar", "p.tar.gz")]
    return voc, [folder, *packed]


@pytest.fixture
def alone(monkeypatch):
    """Let other tests' servers count as none: the children only count, and touch no lock of theirs."""
    monkeypatch.setattr("iamiou.forks.threading.active_count", lambda: 1)


def scored(voc, predictions, **options):
    truth = open_ground_truth(voc)
    return evaluate_opened(open_predictions(predictions, truth), truth, Settings(bootstrap=20), **options)


@pytest.mark.parametrize("packing", range(4))
def test_processes_and_threads_give_the_same_bytes(data, packing, tmp_path, alone):
    voc, packings = data
    assert can_fork(NUMBER)
    told = []
    apart = scored(voc, packings[packing], threads=3, processes=True, progress=lambda *numbers: told.append(numbers))
    together = scored(voc, packings[packing], threads=1)
    assert apart.to_json() == together.to_json()
    for name, report in (("a", apart), ("b", together)):
        report.save(tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert told[-1] == (NUMBER, NUMBER)
    assert multiprocessing.active_children() == []


def test_problems_of_all_processes_are_named(data, tmp_path, alone):
    voc, packings = data
    folder = tmp_path / "p"
    folder.mkdir()
    for k, path in enumerate(sorted(packings[0].iterdir())):
        (folder / path.name).write_bytes(path.read_bytes()[: 40 if k % 5 == 0 else None])
    found = []
    for processes in (True, False):
        with pytest.raises(ProblemsFound) as stop:
            scored(voc, folder, threads=2, processes=processes)
        found.append(stop.value.problems)
    assert found[0] == found[1]
    assert len(found[0][0].names) == (NUMBER + 4) // 5


def test_few_images_and_busy_programs_stay_in_one_process():
    assert not can_fork(FEW_IMAGES - 1)
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    try:
        assert not can_fork(NUMBER)
    finally:
        stop.set()
        other.join()


def test_every_item_goes_to_one_process():
    items = [str(k) for k in range(500)]
    shares = work_apart([list] * 3, Shared(items, None))
    assert sorted(map(int, (item for share in shares for item in share))) == list(range(500))


def fail(images):
    next(images)
    raise ImageError("broken", "images are broken", "x", "why", "Mend it.")


def die(images):
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_error_in_a_child_is_raised_here():
    with pytest.raises(ImageError, match=r"1 image is broken: x \(why\)\. Mend it\.") as stop:
        work_apart([len_of, fail], Shared(["a", "b"], None))
    assert (stop.value.kind, stop.value.name) == ("broken", "x")


def len_of(images):
    return 0


def test_a_child_that_is_killed_counts_as_lack_of_memory():
    with pytest.raises(MemoryError):
        work_apart([len_of, die], Shared(["a"], None))
    assert multiprocessing.active_children() == []


def test_children_end_with_their_parent():
    def forever(images):
        time.sleep(60)

    def interrupted(images):
        raise KeyboardInterrupt

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        work_apart([interrupted, forever, forever], Shared(["a"], None))
    assert time.monotonic() - begin < 30
    assert multiprocessing.active_children() == []


def test_the_command_gives_the_same_on_any_number_of_threads(data):
    voc, packings = data
    shown = {
        process("score", packings[1], voc, "--bootstrap", 0, "--format", "json", "--threads", n).stdout for n in "123"
    }
    assert len(shown) == 1 and '"IA-mIoU"' in shown.pop()


FORKED_WHILE_INTERRUPTED = """
import os, signal
from iamiou.forks import Shared, work_apart
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))
try:
    work_apart([list, list], Shared(range(5), None))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are forked on Linux alone")
def test_ctrl_c_during_a_fork_is_not_lost():
    done = subprocess.run([sys.executable, "-c", FORKED_WHILE_INTERRUPTED], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
