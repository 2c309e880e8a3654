"""Keys of stages: what was finished stays finished when a method gets a new option."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from iamiou_benchmarks.data import DataSet
from iamiou_benchmarks.pipeline import Plan
from iamiou_benchmarks.runfile import load_run
from iamiou_benchmarks.tables import read_results

#: Run files as they were before methods got options beside their first ones.
OLD = (
    "coco-irn-ce coco-irn-sb shapes-small-cam-ce shapes-small-cam-sb shapes-small-cam-sw shapes-small-centre-ce "
    "shapes-small-irn-ce shapes-small-irn-sb shapes-small-irn-sw shapes-small-irn-swtrue shapes-small-irnvit-ce "
    "shapes-small-irnvit-sb shapes-small-irnvit-sw shapes-small-truth-ce shapes-small-truth-sb shapes-small-truth-sw "
    "shapes-small-walk-ce shapes-small-walk-sb shapes-small-walk-sw shapes-tiny-cam-ce shapes-tiny-cam-sb "
    "shapes-tiny-cam-sw shapes-tiny-irn-sb shapes-tiny-walk-ce voc-irn-ce voc-irn-sb voc-irn-sw voc-mini-cam-ce "
    "voc-mini-cam-sb voc-mini-cam-sw voc-mini-centre-ce voc-mini-irn-ce voc-mini-irn-sb voc-mini-irn-sw "
    "voc-mini-truth-ce voc-mini-truth-sb voc-mini-truth-sw voc-mini-walk-ce voc-mini-walk-sb voc-mini-walk-sw"
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
    assert digest == "5b587aa5cbacae1fc7dd779ce23005ea04cc9eacbb753e483c8d1885e1a10701"


def test_a_new_option_counts_once_it_is_used(tmp_path):
    def keys(*changes):
        plan = plan_of("shapes-tiny-cam-ce", 0, "none", tmp_path, changes)
        return [plan.key(stage) for stage in plan.run.stages]

    assert keys() == keys("segment.phases=[]", "classifier.draw=0", "classifier.pool=mean")
    assert [a == b for a, b in zip(keys(), keys("segment.phases=[[1.0, 1.0]]"), strict=True)] == [1, 1, 1, 0, 0]
    assert not set(keys()) & set(keys("classifier.draw=1"))
