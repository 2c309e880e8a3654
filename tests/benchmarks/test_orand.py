"""ORANDNet from end to end: scored, killed, after it, with four classifiers."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")


from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.cams.maps import ClassMaps, load_maps  # noqa: E402
from iamiou_benchmarks.running.pipeline import execute, run_stage  # noqa: E402
from tests.benchmarks.small_runs import kill_run, little  # noqa: E402

#: Makes any run with ORANDNet little.
CHANGES = (
    "data.preset=tiny",
    *(f"{stage}.{change}" for stage in ("vit", "orand") for change in ("iterations=6", "batch=4", "keep=2")),
    "vit.crop=32",
)
torch.set_num_threads(1)  # little work, which several threads only slow down
IRN = ("irn.iterations=4", "irn.batch=4", "irn.crop=32", "irn.exponent=2")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a finished little run: its cache, its result."""
    root = tmp_path_factory.mktemp("orand")
    plan = little(root / "cache", *CHANGES, name="shapes-tiny-orand-ce")
    return root / "cache", execute(plan, root / "out")


def test_every_stage_is_scored_and_leaves_maps_that_the_others_take(finished):
    cache, result = finished
    scores = {s["name"]: s["scores"] for s in result["stages"]}
    for name in ("cam", "vitcam", "or", "and", "orand"):
        assert set(scores[name]) == {"train", "train oracle"}
        assert scores[name]["train oracle"]["mIoU"] >= scores[name]["train"]["mIoU"]
    assert scores["predict"]["test"]["mIoU"] is not None
    folders = {s["name"]: cache / f"{s['name']}-{s['key']}" / "maps" for s in result["stages"]}
    for name in ("or", "and", "orand"):
        assert len(list(folders[name].iterdir())) == 14
    for path in list(folders["or"].iterdir())[:4]:
        a, b, either, both = (load_maps(folders[k] / path.name).full for k in ("cam", "vitcam", "or", "and"))
        made = a + b - a * b
        assert either == pytest.approx(made / made.max((1, 2), keepdims=True), abs=2e-3)
        assert both == pytest.approx(a * b / np.maximum((a * b).max((1, 2), keepdims=True), 1e-5), abs=5e-3)


def test_a_run_that_is_killed_goes_on_to_the_same_bytes(finished, tmp_path):
    for stage, at in (("vitcam", 7), ("orand", 5)):
        kill_run(tmp_path, stage, at, *CHANGES, name="shapes-tiny-orand-ce")
    assert next((tmp_path / "cache").glob(".orand-*.part/checkpoint.npz")).is_file()
    plan = little(tmp_path / "cache", *CHANGES, name="shapes-tiny-orand-ce")
    result = execute(plan, tmp_path / "out", resume=True)
    assert [s["digest"] for s in result["stages"]] == [s["digest"] for s in finished[1]["stages"]]


def test_irn_and_phases_after_it(finished, tmp_path):
    plan = little(finished[0], *CHANGES, *IRN, name="shapes-small-orand-cephased")
    result = execute(plan, tmp_path / "out")
    assert result["stages"][-1]["scores"]["test"]["mIoU"] is not None
    assert result["config"]["stages"]["irn"]["inputs"] == ["orand", "classifier"]
    assert len(result["config"]["stages"]["segment"]["options"]["phases"]) == 4


def test_four_classifiers(finished):
    more = [f"{s}.{c}" for s in ("classifier2", "vit2") for c in ("iterations=3", "batch=4", "crop=32")]
    plan = little(finished[0], *CHANGES, *more, "cam2.scales=[1.0]", name="shapes-small-orand4-ce")
    wanted = ("classifier", "cam", "vit", "vitcam", "classifier2", "cam2", "vit2", "vitcam2", "or", "and", "orand")
    for stage in plan.run.stages:
        if stage.name in wanted:
            run_stage(plan, stage)
    first = plan.data.splits["train"][0]
    four = [plan.folder(plan.run.stage(k)) / "maps" / f"{first}.npz" for k in ("cam", "vitcam", "cam2", "vitcam2")]
    maps = [load_maps(path).full for path in four]
    assert all((a != b).any() for k, a in enumerate(maps) for b in maps[:k])
    either = load_maps(plan.folder(plan.run.stage("or")) / "maps" / f"{first}.npz").full
    made = 1 - (1 - maps[0]) * (1 - maps[1]) * (1 - maps[2]) * (1 - maps[3])
    assert either == pytest.approx(made / made.max((1, 2), keepdims=True), abs=2e-3)


def test_a_convolutional_network_has_no_attention(finished):
    plan = little(finished[0], *CHANGES, "vitcam.inputs=['classifier']", name="shapes-tiny-orand-ce")
    with pytest.raises(InputError, match="vitcam needs a transformer, and its classifier is small-cnn"):
        run_stage(plan, plan.run.stage("vitcam"))


def test_proxies_and_noise_are_told(finished):
    changes = ["or.note=proxy: two of a kind", "or.noise=0.1"]
    plan = little(finished[0], *CHANGES, *changes, name="shapes-tiny-orand-ce")
    notes = json.loads((run_stage(plan, plan.run.stage("or")) / "stage.json").read_text())["notes"]
    assert "or: proxy: two of a kind" in notes and any("noise of deviation 0.1" in note for note in notes)


def test_unpretrained_networks_on_photographs_are_told(finished):
    import dataclasses

    plan = little(finished[0], "classifier.iterations=1")
    photographs = dataclasses.replace(plan, data=dataclasses.replace(plan.data, name="VOC2012"))
    record = json.loads((run_stage(photographs, plan.run.stage("classifier")) / "stage.json").read_text())
    assert record["notes"] == ["classifier: small-cnn had random weights at first, no pretrained ones"]


def test_confident_labels_by_multiples_of_the_threshold_that_maps_carry(tmp_path):
    from iamiou_benchmarks.methods import irn
    from iamiou_benchmarks.methods.segment import read_labels
    from iamiou_benchmarks.stage.work import Log, Work

    full = np.array([[[0.1, 0.2, 0.3, 0.5]]], np.float32)
    (tmp_path / "maps").mkdir()
    ClassMaps(np.array([4]), full, full, 0.25).save(tmp_path / "maps" / "x.npz")
    for relative, expected in ((False, [255, 255, 255, 5]), (True, [0, 255, 255, 5])):
        data = type("Data", (), {"splits": {"train": ("x",)}})
        out = tmp_path / f"out{relative}"
        out.mkdir()
        work = Work(data, {"cam": tmp_path}, out, 0, "cpu", Log(out / "log", "irn"))
        shares = {"foreground": 1.25, "background": 0.7} if relative else {"foreground": 0.4, "background": 0.05}
        irn.write_confident(work, irn.Options(relative=relative, **shares))
        assert read_labels(out / "confident" / "x.png").tolist() == [expected]


def test_a_loss_that_is_always_0_can_be_drawn(tmp_path):
    """The program's loss is, where all images show one class."""
    from iamiou_benchmarks.running.pictures import draw_curves

    lines = [{"stage": "orand", "iteration": k, "loss": 0.0} for k in (10, 20)]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    draw_curves(tmp_path / "m.jsonl", tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 1000
