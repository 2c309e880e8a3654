"""Replicates, verdicts, tables and the tables in the docs: what the committed results say, and nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from iamiou.errors import InputError
from iamiou.replicates import student_factor
from iamiou_benchmarks.datasets.data import DataOptions
from iamiou_benchmarks.datasets.shapes import _draw_classes
from iamiou_benchmarks.datasets.shapes_devkit import knobs_of
from iamiou_benchmarks.document import renewed
from iamiou_benchmarks.running.campaign import missing
from iamiou_benchmarks.running.replicates import SCORES, image_weights, pack, replicates_of, unpack
from iamiou_benchmarks.running.runfile import list_runs, load_run
from iamiou_benchmarks.sfc.distribution import GROUPS
from iamiou_benchmarks.tables.claims_of_papers import CLAIMS, ORAND, SFC, Claim
from iamiou_benchmarks.tables.named_tables import TABLES
from iamiou_benchmarks.tables.results import RESULTS, draw_verdicts, make_table, read_results, rows_of
from iamiou_benchmarks.tables.verdicts import interval, verdict_matrix, verdicts_of

DOCS = [Path(__file__).parents[2] / "docs" / name for name in ("baselines.md", "claims.md")]
CLAIM = Claim("b is better", "b-ce", "a-ce", "mIoU")
#: sha256 of `shapes small` with tail = 0, fixed before any method ran on it.
EVEN = {
    "train": "7036b2ce92ac1a9113792f28a619e62ac4d37e4020dbf643db8b694525bb9bd7",
    "dev": "9ff510ea16af2c90ef1c990ebccf7d6cea9dd3c6cac7870bced4efbe14ee3d09",
    "test": "78748ba6d167156452095ff9e651501be9ad84194b566724362f11d35cbadf02",
}
#: sha256 of the photographs and image labels of `voc-mini`.
VOC_MINI = {
    "train": "9029e3ff0974c50d749725047c3e89d4b55b3a5f0ace700a269e6b030a9f00cb",
    "dev": "dae5e17138395769af1867d99110069be03f29e91a3b089e9ae5051a5fcf445b",
    "test": "15da4b9ecbb969342bf7701a06fe72a79e2b1ce9528a2fdaddd8b90efeec844c",
}


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


def test_a_gain_can_be_held_against_another_gain():
    """Two runs gain 3 points over two others, which gain 1: 2 points, and their images' noise goes with them."""
    image = np.random.default_rng(2).normal(0, 0.004, 200)
    values = {"b-ce": 0.53, "a-ce": 0.50, "d-ce": 0.61, "c-ce": 0.60}
    results = [result(run, s, v, v + image * (run == "b-ce")) for run, v in values.items() for s in range(5)]
    claim = Claim("b gains more than d", "b-ce", "a-ce", "mIoU", beyond=("d-ce", "c-ce"))
    found = verdicts_of(results, "x", [claim])[0]
    assert found.difference == pytest.approx(0.02) and found.word == "confirmed" and found.seeds == (0, 1, 2, 3, 4)
    assert (found.high - found.low) / 2 == pytest.approx(student_factor(4) * 1.96 * 0.004, rel=0.2)
    without = [r for r in results if (r["run"], r["seed"]) != ("x-c-ce", 3)]
    assert verdicts_of(without, "x", [claim])[0].seeds == (0, 1, 2, 4)


def test_a_matrix_has_a_column_a_score_and_names_what_never_ran():
    results = [result(run, s, v, np.full(200, v)) for run, v in (("a-ce", 0.5), ("b-ce", 0.52)) for s in range(5)]
    claims = [CLAIM, Claim("b is better", "b-ce", "a-ce", "IA_S"), Claim("c is better", "c-ce", "a-ce", "mIoU")]
    head, _, row, _, last = verdict_matrix(verdicts_of(results, "x", claims), "x")
    assert head == "| claim | compared | seeds | mIoU | IA_S |"
    assert row == "| b is better | b-ce – a-ce | 5 | +2.0 (+2.0 to +2.0) confirmed | – |"
    assert last == "Comparisons that no seed has yet: c-ce – a-ce."
    for one in results[:3]:  # three seeds have a score more
        one["stages"][0]["scores"]["test"]["IA_S"] = 0.3
        one["replicates"]["predict"]["test"]["IA_S"] = pack(np.full(200, 0.3))
    for one in results[5:8]:
        one["stages"][0]["scores"]["test"]["IA_S"] = 0.2
        one["replicates"]["predict"]["test"]["IA_S"] = pack(np.full(200, 0.2))
    assert "| -10.0 (-10.0 to -10.0) reversed, 3 seeds |" in verdict_matrix(verdicts_of(results, "x", claims), "x")[2]


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
    for name in ("precision", "recall"):
        assert unpack(found[name]).mean() == pytest.approx(report.scores[name], abs=0.01)
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
    assert ("shapes-tiny-cam-ce", 0) in missing(["shapes-tiny-cam-ce"], 1, tmp_path, again=True)
    halves = [missing(["main"], None, tmp_path, only=seeds) for seeds in ((0, 2, 4), (1, 3))]
    assert sorted(halves[0] + halves[1]) == sorted(missing(["main"], None, tmp_path))
    with pytest.raises(InputError, match="no seed 5 among those to fill"):
        missing(["main"], None, tmp_path, only=[5])
    with pytest.raises(InputError, match="no run 'shapes-tiny'"):
        missing(["shapes-tiny"], 1, tmp_path)


def test_a_table_is_run_by_its_name_with_the_seeds_of_its_data(tmp_path):
    todo = missing(["main"], None, tmp_path)
    assert {s for name, s in todo if name.startswith("shapes-small")} == set(range(5))
    assert {s for name, s in todo if name.startswith("voc-mini")} == set(range(3))
    assert {name for name, _ in todo} == set(TABLES["main"].runs)


def test_claims_are_about_runs_that_there_are_and_scores_that_have_replicates():
    known = {name: [s.name for s in load_run(name).stages] for name in list_runs() if name.startswith("shapes-small-")}
    grouped = tuple(f"IoU_{name}" for name in GROUPS)
    for claim in CLAIMS:
        for run, stage in zip((claim.better, claim.than, *claim.beyond), claim.stages * 2, strict=False):
            assert stage in known[f"shapes-small-{run}"]
        kept = ("mIoU", "precision", "recall", *grouped) if claim.split == "train" else (*SCORES, *grouped)
        assert claim.score in kept
    assert len(set(CLAIMS)) == len(CLAIMS)


def test_the_papers_claims_differ_in_one_thing_each():
    """A stage is compared with one that lacks what the claim is about, and with nothing else changed."""
    stages = {r: load_run(f"shapes-small-{r}") for r in {c.better for c in SFC} | {c.than for c in SFC}}
    for run, options in {
        "sfc-nolp": {"weight_p": 0.0},
        "sfc-nolw": {"weight_w": 0.0},
        "sfc-nodc": {"weighted": False},
        "sfc-nobank": {"draws": 0},
    }.items():
        mine, full = (asdict(stages[r].stage("sfc").options) for r in (run, "sfc-ce"))
        assert mine == full | options
    even, tail = (load_run(f"shapes-small-{r}") for r in ("sfc-even", "sfc-ce"))
    assert even.stage("sfc") == tail.stage("sfc") and even.stage("classifier") == tail.stage("classifier")
    assert replace(even.data, knobs={}) == tail.data and even.data.knobs == {"tail": 0}
    phased = load_run("shapes-small-orand-cephased").stage("segment").options
    assert replace(phased, phases=()) == load_run("shapes-small-orand-ce").stage("segment").options
    assert {c.score for c in ORAND} == {"precision", "recall", "mIoU", "IA_S"}


def test_without_a_tail_all_classes_are_drawn_alike():
    drawn = {}
    for tail in (0, 1.5):
        knobs, rng = knobs_of(DataOptions(preset="small", knobs={"tail": tail})), np.random.default_rng(0)
        labels = [label for _ in range(2000) for label in set(_draw_classes(rng, knobs))]
        drawn[tail] = np.bincount(labels)[1:]
    assert drawn[0].max() < 1.15 * drawn[0].min() and drawn[1.5].max() > 1.8 * drawn[1.5].min()


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
    from iamiou_benchmarks.datasets.shapes_devkit import DIGESTS
    from iamiou_benchmarks.running.pipeline import described

    for found in read_results():
        assert found["config"] == json.loads(json.dumps(described(load_run(found["run"])))), found["run"]
        data = found["config"]["data"]
        if data["name"] == "shapes":
            assert found["data"]["digests"] == (EVEN if data["knobs"] else DIGESTS[data["preset"]])
        else:
            assert found["data"]["digests"] == VOC_MINI


def test_every_table_and_every_claim_is_in_the_docs():
    text = "".join(page.read_text(encoding="utf-8") for page in DOCS)
    assert all(f"<!-- table {name} -->" in text for name in TABLES)
    records = [path.stem for path in (RESULTS / "claims").glob("*.json")]
    assert records and all(f"<!-- claim {name} -->" in text for name in records)


@pytest.mark.parametrize("page", DOCS, ids=lambda p: p.name)
def test_the_tables_in_the_docs_are_those_of_the_committed_results(page):
    text = page.read_text(encoding="utf-8")
    assert renewed(text) == text, f"make them anew: python -m iamiou_benchmarks.document docs/{page.name}"


def test_a_table_without_its_end_is_named():
    with pytest.raises(InputError, match="shapes-small"):
        renewed("<!-- table shapes-small -->\n")


def test_verdicts_can_be_drawn_and_only_where_there_are_some(tmp_path):
    assert len(draw_verdicts("sfc", None).axes) == 2  # IoU_Few and mIoU
    with pytest.raises(InputError, match="'main' has no verdicts to draw; losses"):
        draw_verdicts("main", None)
    with pytest.raises(InputError, match="iamiou bench fill orand"):
        draw_verdicts("orand", tmp_path)
