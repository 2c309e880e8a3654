"""SFC: its stage killed, repeated, used by others, measured and reported."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.cams.maps import load_maps  # noqa: E402
from iamiou_benchmarks.running.class_report import class_lines  # noqa: E402
from iamiou_benchmarks.running.pipeline import execute, run_stage  # noqa: E402
from iamiou_benchmarks.running.runfile import load_run  # noqa: E402
from iamiou_benchmarks.sfc.distribution import (  # noqa: E402
    image_counts,
)
from iamiou_benchmarks.sfc.image_bank import bank_bytes  # noqa: E402
from iamiou_benchmarks.sfc.shared_gradients import make_shared_gradients  # noqa: E402
from iamiou_benchmarks.stage import artefacts  # noqa: E402
from tests.benchmarks.small_runs import kill_run, little  # noqa: E402

#: Changes that make the stage little, beside those of LITTLE.
FEW = (
    "sfc.inputs=[]",
    "sfc.frozen_norm=false",
    "sfc.iterations=6",
    "sfc.batch=4",
    "sfc.crop=32",
    "sfc.keep=2",
    "sfc.scales=[1.0]",
    "sfc.sides=[4, 4]",
    "sfc.gradients=true",
)


def small(cache, *changes, name="shapes-tiny-sfc-ce", seed=0):
    """Plan a little run of SFC."""
    return little(cache, *FEW, *changes, name=name, seed=seed)


# The stage


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a finished little run: its folder, its cache and its result."""
    root = tmp_path_factory.mktemp("sfc")
    return root / "out", root / "cache", execute(small(root / "cache"), root / "out")


def record(result, name="sfc"):
    return next(s for s in result["stages"] if s["name"] == name)


def test_the_stage_is_scored_as_classifier_and_cam_are(finished):
    out, cache, result = finished
    scores = record(result)["scores"]
    assert set(scores) == {"dev", "test", "train", "train oracle"}
    assert 0 < scores["dev"]["mAP"] <= 1 and 0 <= scores["test"]["mAP"] <= 1
    assert scores["train oracle"]["mIoU"] >= scores["train"]["mIoU"] and "IA_S" in scores["train"]
    assert scores["train"]["bank_bytes"] == bank_bytes(4, 1, 32)
    assert record(result, "predict")["scores"]["test"]["mIoU"] is not None
    assert any("sfc: the threshold" in note and "dev" in note for note in result["claims_used"])
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    (last,) = [line for line in lines if line["stage"] == "sfc" and "L_P" in line]
    assert last["bank_bytes"] == bank_bytes(4, 1, 32) and last["bank_age"] >= 0
    assert {"L_cls", "L_W", "push_many", "push_few", "up_many", "up_few"} <= set(last)
    assert last["loss"] == pytest.approx(last["L_cls"] + last["L_P"] + last["L_W"], rel=1e-5)
    folder = small(cache).folder(small(cache).run.stage("sfc"))
    kept = artefacts.load(folder / "distribution.npz", "distribution")
    assert kept["images"].tolist() == image_counts(small(cache).data).tolist()
    assert kept["weights"].mean() == pytest.approx(1)


def test_a_run_that_is_killed_goes_on_to_the_same_bytes(finished, tmp_path):
    for at in (5, 7):  # in training, then among the maps
        kill_run(tmp_path, "sfc", at, *FEW, name="shapes-tiny-sfc-ce")
    part = next((tmp_path / "cache").glob(".sfc-*.part"))
    assert (part / "weights.npz").exists() and (part / "maps").is_dir()
    result = execute(small(tmp_path / "cache"), tmp_path / "out", resume=True)
    assert record(result)["digest"] == record(finished[2])["digest"]
    assert (tmp_path / "out" / "metrics.jsonl").read_text() == (finished[0] / "metrics.jsonl").read_text()


def test_two_runs_with_one_seed_give_the_same_bytes_and_another_seed_others(finished, tmp_path):
    plans = [small(tmp_path, seed=seed) for seed in (0, 1)]
    found = [artefacts.folder_digest(run_stage(p, p.run.stage("sfc"))) for p in plans]
    assert found[0] == record(finished[2])["digest"] != found[1]


def test_with_everything_left_out_it_learns_what_the_classifier_learns(finished):
    off = ["draws=0", "weight_p=0.0", "weight_w=0.0", "small=0.0", "gradients=false", "lr=0.003", "warmup=20"]
    plan = small(finished[1], *(f"sfc.{change}" for change in off))
    options = vars(plan.run.stage("sfc").options), vars(plan.run.stage("classifier").options)
    assert all(options[0][k] == v for k, v in options[1].items())
    folder = run_stage(plan, plan.run.stage("sfc"))
    expected = plan.folder(plan.run.stage("classifier"))
    assert (folder / "weights.npz").read_bytes() == (expected / "weights.npz").read_bytes()


def test_it_may_begin_with_a_classifier_and_leave_the_statistics_of_batch_norm_alone(finished):
    changes = ["sfc.inputs=['classifier']", "sfc.frozen_norm=true", "sfc.iterations=2"]
    plan = small(finished[1], *changes)
    weights = artefacts.load(run_stage(plan, plan.run.stage("sfc")) / "weights.npz", "classifier")
    begun = artefacts.load(plan.folder(plan.run.stage("classifier")) / "weights.npz", "classifier")
    means = [name for name in begun if "running" in name]
    assert means and all((weights[name] == begun[name]).all() for name in means)
    assert 0 < abs(weights["classifier.weight"] - begun["classifier.weight"]).max() < 0.02
    with pytest.raises(InputError, match="are of another network"):
        plan = small(finished[1], *changes, "sfc.network=small-vit", "sfc.sides=[4]")
        run_stage(plan, plan.run.stage("sfc"))


def test_memory_in_slots_lives_in_the_checkpoint(tmp_path):
    plan = small(tmp_path, "sfc.slots=2", "sfc.accumulate=2", "sfc.bank=device")
    folder = run_stage(plan, plan.run.stage("sfc"))
    assert json.loads((folder / "stage.json").read_text())["scores"]["train"]["bank_bytes"] == bank_bytes(4, 2, 32)


def test_it_feeds_whatever_cam_and_classifier_feed(finished, tmp_path):
    cache = finished[1]
    irn = ["irn.iterations=2", "irn.batch=4", "irn.crop=32", "irn.exponent=2"]
    changes = {
        "shapes-tiny-walk-ce": ["walk.inputs=['sfc']"],
        "shapes-tiny-irn-sb": ["irn.inputs=['sfc', 'classifier']", *irn],
    }
    for name, more in changes.items():
        path = tmp_path / f"{name}.toml"
        table = "\n".join(change.removeprefix("sfc.") for change in FEW)
        path.write_text(
            f'like = "{name}"\n[stages.sfc]\n{table}\n'
            '[stages.also]\nmethod = "cam"\ninputs = ["sfc"]\nscales = [1.0]\n',
            encoding="utf-8",
        )
        plan = little(cache, *more, "segment.inputs=['pseudo', 'sfc']", name=str(path))
        result = execute(plan, tmp_path / name)
        assert record(result, "predict")["scores"]["test"]["mIoU"] is not None
        assert set(record(result, "also")["scores"]) == {"train", "train oracle"}


def test_other_mixes_need_no_other_training(finished, tmp_path):
    cache = finished[1]
    maps = {}
    for mix in ("[1.0, 1.0]", "[0.0, 1.0]"):
        path = tmp_path / "mix.toml"
        stage = f'[stages.other]\nmethod = "sfc-cam"\nscales = [1.0]\nmap_stride = 2\ncorrelations = 1\nmix = {mix}\n'
        path.write_text(f'like = "shapes-tiny-sfc-ce"\n{stage}', encoding="utf-8")
        plan = small(cache, name=str(path))
        folder = run_stage(plan, plan.run.stage("other"))
        maps[mix] = load_maps(folder / "maps" / "train_00000.npz").full
    own = load_maps(plan.folder(plan.run.stage("sfc")) / "maps" / "train_00000.npz").full
    assert (maps["[1.0, 1.0]"] == own).all() and (maps["[0.0, 1.0]"] != own).any()


# What is measured and reported


def test_pushes_on_shared_features_are_the_example_worked_out_by_hand():
    shared = make_shared_gradients(("Many", "Medium", "Few"), 3, "cpu")
    shared.watch(torch.tensor([[2.0, 0.0, 4.0], [1.0, 3.0, -1.0]]), torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    assert shared.shares().tolist() == [1, 0, 0]  # the only channel that is active in both
    gradient = torch.tensor([[-0.5, 9.0, 9.0], [7.0, 7.0, 7.0], [0.25, -9.0, -9.0]])
    found = shared.measure(gradient)
    assert found == {"push_many": 0.5, "push_few": -0.25, "up_many": 1, "up_few": 0}
    assert shared.measure(-gradient) == {"push_many": 0, "push_few": 0, "up_many": 0.5, "up_few": 0.5}
    shared.watch(torch.tensor([[4.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]]))
    assert shared.active[0].tolist() == pytest.approx([2.2, 0, 3.6])


def test_classes_are_reported_by_how_many_images_show_them(finished, tmp_path, capsys):
    from iamiou.report import load
    from tests.command import good, refused

    out, cache, result = finished
    classes = result["classes"]
    assert classes["images"] == dict(
        zip(("disk", "eye", "box", "crate"), image_counts(small(cache).data).tolist(), strict=True)
    )
    plan = small(cache)
    found = load(plan.folder(plan.run.stage("sfc")) / "scores-train.npz").class_scores.iou
    assert list(classes["IoU"]["sfc"]["train"].values()) == pytest.approx(
        [None if np.isnan(v) else round(float(v), 6) for v in found]
    )
    for group in ("Many", "Medium", "Few"):
        members = [classes["IoU"]["sfc"]["train"][c] for c, g in classes["group"].items() if g == group]
        known = [v for v in members if v is not None]
        expected = np.mean(known) if known else None
        assert classes["means"]["sfc"]["train"][f"IoU_{group}"] == pytest.approx(expected, abs=1e-6)
    drawn = result["replicates"]["sfc"]["train"]
    assert set(drawn) == {"mIoU", "precision", "recall", "IoU_Many", "IoU_Medium", "IoU_Few"}
    text = good(capsys, "bench", "classes", out)
    assert "| disk |" in text and "sfc, train" in text and "| mean |" in text
    assert len(class_lines([result, result])) == 1 + 5 + 3
    (tmp_path / "old.json").write_text(
        json.dumps({k: v for k, v in result.items() if k != "classes"}), encoding="utf-8"
    )
    assert "hold no scores by class" in refused(capsys, "bench", "classes", tmp_path / "old.json")
    assert "cannot be read as a result" in refused(capsys, "bench", "classes", tmp_path / "none.json")


def test_verdicts_can_be_about_rare_classes(finished):
    from iamiou_benchmarks.tables.verdicts import Claim, verdicts_of

    results = [{**finished[2], "run": "x-sfc-ce"}]
    claim = Claim("rare classes gain", "sfc-ce", "sfc-ce", "IoU_Medium", ("sfc", "cam"), "train")
    (verdict,) = verdicts_of(results, "x", [claim])
    means = finished[2]["classes"]["means"]
    expected = means["sfc"]["train"]["IoU_Medium"] - means["cam"]["train"]["IoU_Medium"]
    assert verdict.seeds == (0,) and verdict.difference == pytest.approx(expected)


def test_runs_of_one_table_share_the_stage_and_differ_by_what_their_names_say():
    main = load_run("shapes-small-sfc-ce").stage("sfc").options
    for name in ("sw", "sb", "maps"):
        assert load_run(f"shapes-small-sfc-{name}").stage("sfc").options == main
    classifier = load_run("shapes-small-cam-ce").stage("classifier")
    assert load_run("shapes-small-sfc-maps").stage("classifier") == classifier
    scratch = vars(load_run("shapes-small-sfc-scratch").stage("sfc").options)
    assert all(scratch[k] == v for k, v in vars(classifier.options).items())
    changed = {
        "nolp": {"weight_p"},
        "nolw": {"weight_w"},
        "nodc": {"weighted"},
        "nobank": {"draws"},
        "onlybank": {"weight_p", "weight_w", "small", "correlations"},  # nothing would train the correlation
        "plain": {"weight_p", "weight_w", "small", "correlations", "draws"},
    }
    for name, names in changed.items():
        options = vars(load_run(f"shapes-small-sfc-{name}").stage("sfc").options)
        assert {k for k, v in vars(main).items() if options[k] != v} == names
