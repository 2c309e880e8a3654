"""Replicates, verdicts, tables and the tables in the docs: what the committed results say, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from iamiou.errors import InputError
from iamiou.replicates import student_factor
from iamiou_benchmarks.campaign import missing
from iamiou_benchmarks.document import renewed
from iamiou_benchmarks.replicates import image_weights, pack, replicates_of
from iamiou_benchmarks.runfile import list_runs, load_run
from iamiou_benchmarks.tables import make_table, read_results, rows_of
from iamiou_benchmarks.verdicts import CLAIMS, Claim, interval, verdicts_of

DOC = Path(__file__).parents[2] / "docs" / "baselines.md"
CLAIM = Claim("b is better", "b-ce", "a-ce", "mIoU")


def result(run, seed, value, drawn, key="k"):
    """One made-up result with one stage."""
    stage = {"name": "predict", "method": "predict", "key": f"{key}{run}{seed}", "seconds": 1.0}
    return {
        "schema": 1,
        "run": f"x-{run}",
        "seed": seed,
        "config_sha256": run,
        "data": {},
        "stages": [stage | {"scores": {"test": {"mIoU": value}}}],
        "replicates": {"predict": {"test": {"mIoU": pack(np.asarray(drawn))}}},
    }


def judged(differences, noise=0.001):
    """The verdict on runs that differ so in the seeds, each with the same noise over images."""
    draws = np.random.default_rng(1).normal(0, noise, 200)
    results = [result("a-ce", s, 0.5, np.full(200, 0.5)) for s in range(len(differences))]
    results += [result("b-ce", s, 0.5 + d, 0.5 + d + draws) for s, d in enumerate(differences)]
    return verdicts_of(results, "x", [CLAIM])[0]


def test_verdicts_need_an_interval_without_zero():
    assert judged([0.03, 0.032, 0.028, 0.031, 0.03]).word == "confirmed"
    assert judged([-0.03, -0.032, -0.028]).word == "reversed"
    assert judged([0.03, -0.02, 0.01]).word == "not shown"
    assert judged([0.03, 0.032, 0.028, 0.031, 0.03], noise=0.03).word == "not shown"
    assert judged([0.03]).word == "not shown"  # one seed has no spread
    assert judged([]).word == "no runs yet"


def test_results_without_replicates_are_left_out():
    results = [result("a-ce", 0, 0.5, [0.5]), result("b-ce", 0, 0.6, [0.6])]
    del results[1]["replicates"]
    assert verdicts_of(results, "x", [CLAIM])[0].word == "no runs yet"


def test_pairs_are_of_one_seed():
    results = [result("a-ce", 0, 0.5, [0.5]), result("b-ce", 1, 0.9, [0.9])]
    assert verdicts_of(results, "x", [CLAIM])[0].seeds == ()


def test_interval_of_seeds_alone_is_students():
    """With no noise over images it is close to mean +- t s / sqrt(n), whose coverage is known."""
    rng = np.random.default_rng(3)
    for n in (3, 5, 8):
        value = rng.normal(0.01, 0.004, n)
        low, high = interval(value, np.repeat(value[:, None], 4, 1))
        half = student_factor(n - 1) * 1.96 * value.std(ddof=1) / np.sqrt(n)
        assert low < value.mean() < high
        assert (high - low) / 2 == pytest.approx(half, rel=0.2)


def test_interval_of_images_alone_holds_their_spread():
    drawn = np.tile(np.random.default_rng(4).normal(0.02, 0.005, 2000), (5, 1))
    low, high = interval(np.full(5, 0.02), drawn)
    assert (high - low) / 2 == pytest.approx(student_factor(4) * 1.96 * 0.005, rel=0.08)


def test_intervals_cover_the_true_difference():
    """Seeds and images drawn anew many times: the interval holds the truth about as often as it says."""
    rng, held = np.random.default_rng(5), 0
    for _ in range(200):
        image = rng.normal(0, 0.01)  # how this test set favours one run, in all seeds alike
        value = 0.02 + image + rng.normal(0, 0.01, 5)
        low, high = interval(value, value[:, None] + rng.normal(0, 0.01, 100))
        held += low <= 0.02 <= high
    assert held >= 180


def test_replicates_pair_and_scatter_around_the_score(tmp_path):
    from iamiou import evaluate
    from iamiou.masks import write_label_map

    rng = np.random.default_rng(0)
    for folder in ("truth", "instances", "run"):
        (tmp_path / folder).mkdir()
    for k in range(30):
        truth = np.zeros((12, 12), np.uint8)
        truth[2:8, 2 : 4 + k % 6] = 1 + k % 2
        write_label_map(tmp_path / "truth" / f"{k}.png", truth)
        write_label_map(tmp_path / "instances" / f"{k}.png", (truth > 0).astype(np.uint8))
        write_label_map(tmp_path / "run" / f"{k}.png", np.where(rng.random((12, 12)) < 0.2, 0, truth))
    names = tmp_path / "names.txt"
    names.write_text("background\none\ntwo\n", encoding="utf-8")
    report = evaluate(
        tmp_path / "run",
        semantic=tmp_path / "truth",
        instances=tmp_path / "instances",
        classes=names,
        bins=(4, 8),
        bootstrap=0,
        threads=1,
    )
    report.save(tmp_path / "counts.npz")
    found = replicates_of(tmp_path / "counts.npz")
    values = np.array([int(v) for v in found["mIoU"].split()]) / 1e5
    assert len(values) == 200 and 0 < values.std() < 0.05
    assert values.mean() == pytest.approx(report.scores["mIoU"], abs=0.01)
    assert found == replicates_of(tmp_path / "counts.npz")


def test_weights_depend_on_the_images_alone_and_have_mean_one():
    one, same, other = (image_weights(ids) for ids in (("a", "b"), ("a", "b"), ("a", "c")))
    assert (one == same).all() and (one != other).any()
    assert image_weights(tuple(map(str, range(500)))).mean() == pytest.approx(1, abs=0.02)


def test_missing_runs_come_seed_by_seed_and_known_ones_are_left_out(tmp_path):
    (tmp_path / "shapes-tiny-cam-ce-0.json").write_text("{}", encoding="utf-8")
    todo = missing(["shapes-tiny-cam-ce", "shapes-tiny-cam-sw"], 2, tmp_path)
    assert todo == [("shapes-tiny-cam-sw", 0), ("shapes-tiny-cam-ce", 1), ("shapes-tiny-cam-sw", 1)]
    assert {name for name, _ in missing(["shapes-tiny-"], 1, tmp_path / "none")} == {
        n for n in list_runs() if n.startswith("shapes-tiny-")
    }
    with pytest.raises(InputError, match="no run 'shapes-tiny'"):
        missing(["shapes-tiny"], 1, tmp_path)


def test_claims_are_about_runs_that_there_are():
    for claim in CLAIMS:
        for run, stage in zip((claim.better, claim.than), claim.stages, strict=True):
            assert stage in [s.name for s in load_run(f"shapes-small-{run}").stages]


def test_runs_of_one_table_differ_in_nothing_but_their_name_says():
    """CE, L_sw and L_sb share pseudo-masks, network, iterations and rates."""
    for method in ("cam", "walk", "irn", "irnvit", "truth"):
        runs = [load_run(f"shapes-small-{method}-{loss}") for loss in ("ce", "sw", "sb")]
        assert len({r.data.preset for r in runs}) == 1
        for name in ("classifier", "pseudo"):
            assert len({r.stage(name) for r in runs}) == 1
        options = [vars(r.stage("segment").options).copy() for r in runs]
        assert [o.pop("loss") for o in options] == ["CE", "L_sw", "L_sb"]
        strengths = [o.pop("lambda_") for o in options]
        assert strengths[0] == strengths[1]  # neither looks at it
        assert options[0] == options[1] == options[2]


def test_shared_stages_stand_once_in_a_table_and_ends_are_marked():
    results = [result("a-ce", 0, 0.5, [0.5]), result("b-ce", 0, 0.6, [0.6]), result("b-ce", 1, 0.7, [0.7])]
    results[0]["stages"][0]["key"] = results[1]["stages"][0]["key"]
    results[2]["stages"].append(results[2]["stages"][0] | {"method": "truth", "name": "t", "scores": {}})
    results[1]["stages"].append(results[1]["stages"][0] | {"method": "truth", "name": "t", "scores": {}})
    (row,) = rows_of(results, "x")
    assert (row.run, row.seeds, row.values["mIoU"]) == ("x-b-ce (ceiling)", (0, 1), (0.6, 0.7))


def test_tables_of_the_committed_results_come_in_all_styles():
    assert make_table("shapes-small", None, "latex").count(r"\\") > 3
    lines = make_table("shapes-small", None, "csv").splitlines()
    assert lines[0].startswith("run,stage,split,seed,mIoU") and all(line.count(",") == 10 for line in lines)
    with pytest.raises(InputError, match="no result of a run 'shapes-smal-"):
        make_table("shapes-smal-", None, "csv")


def test_committed_results_belong_to_the_committed_run_files_and_data():
    from iamiou_benchmarks.pipeline import described
    from iamiou_benchmarks.shapes_devkit import DIGESTS

    for found in read_results():
        assert found["config"] == json.loads(json.dumps(described(load_run(found["run"])))), found["run"]
        assert found["data"]["digests"] == DIGESTS[found["config"]["data"]["preset"]]


def test_the_tables_in_the_docs_are_those_of_the_committed_results():
    text = DOC.read_text(encoding="utf-8")
    assert "<!-- table shapes-small -->" in text
    assert renewed(text) == text, "make them anew: python -m iamiou_benchmarks.document docs/baselines.md"


def test_a_table_without_its_end_is_named():
    with pytest.raises(InputError, match="shapes-small"):
        renewed("<!-- table shapes-small -->\n")
