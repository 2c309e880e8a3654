"""Keys of stages: what was finished stays finished when a method gets a new option."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from iamiou.errors import InputError
from iamiou_benchmarks.datasets.data import DataSet
from iamiou_benchmarks.methods import classifier
from iamiou_benchmarks.running.pipeline import Plan
from iamiou_benchmarks.running.runfile import load_run
from iamiou_benchmarks.stage.options import keep_options, stage_options
from iamiou_benchmarks.tables.results import read_results

#: Run files as they were before methods got options beside their first ones.
OLD = (
    "shapes-small-cam-ce shapes-small-cam-sb shapes-small-cam-sw shapes-small-centre-ce "
    "shapes-small-irn-ce shapes-small-irn-sb shapes-small-irn-sw shapes-small-irn-swtrue shapes-small-irnvit-ce "
    "shapes-small-irnvit-sb shapes-small-irnvit-sw shapes-small-truth-ce shapes-small-truth-sb shapes-small-truth-sw "
    "shapes-small-walk-ce shapes-small-walk-sb shapes-small-walk-sw shapes-tiny-cam-ce shapes-tiny-cam-sb "
    "shapes-tiny-cam-sw shapes-tiny-irn-sb shapes-tiny-walk-ce"
).split()


def plan_of(name, seed, digest, tmp_path, changes=()):
    return Plan(load_run(name, changes), SimpleNamespace(digest=digest), seed, tmp_path, "cpu")


def test_keys_of_committed_results_are_what_they_were(tmp_path):
    for result in read_results():
        digest = DataSet.digest.fget(SimpleNamespace(digests=result["data"]["digests"]))
        plan = plan_of(result["run"], result["seed"], digest, tmp_path)
        found = {stage.name: plan.key(stage) for stage in plan.run.stages}
        assert found == {record["name"]: record["key"] for record in result["stages"]}, result["run"]


def test_keys_of_older_run_files_are_what_they_were(tmp_path):
    plans = {name: plan_of(name, 0, "none", tmp_path) for name in OLD}
    keys = {name: [plan.key(stage) for stage in plan.run.stages] for name, plan in plans.items()}
    digest = hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()
    assert digest == "5dfc5f8016c4a18bb9c678ad73a72d9ed0469985de0782cc715d1d95e7cd886e"


def test_a_new_option_counts_once_it_is_used(tmp_path):
    def keys(*changes):
        plan = plan_of("shapes-tiny-cam-ce", 0, "none", tmp_path, changes)
        return [plan.key(stage) for stage in plan.run.stages]

    assert keys() == keys("segment.phases=[]", "classifier.draw=0", "classifier.pool=mean", "classifier.scale=1.0")
    assert [a == b for a, b in zip(keys(), keys("segment.phases=[[1.0, 1.0]]"), strict=True)] == [1, 1, 1, 0, 0]
    assert not set(keys()) & set(keys("classifier.draw=1"))


def test_a_finished_stage_that_can_do_more_stands_in_without_options_that_came_later(tmp_path):
    finished = classifier.Options(network="small-cnn", draw=3)
    keep_options(tmp_path, finished)
    path = tmp_path / "options.json"
    values = json.loads(path.read_text())
    del values["scale"]  # as it was before there was such an option
    path.write_text(json.dumps(values | {"bank": "cpu"}))  # and one of a method that can do more
    assert stage_options(tmp_path, classifier.Options) == finished
    del values["network"]
    path.write_text(json.dumps(values | {"bank": "cpu"}))
    with pytest.raises(InputError, match="a stage of another method"):
        stage_options(tmp_path, classifier.Options)
