"""What a dry run says of runs that nobody has measured: counts held against known ones and against counts by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from click.testing import CliRunner  # noqa: E402

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.cli import bench  # noqa: E402
from iamiou_benchmarks.networks.build import Classifier, make_backbone  # noqa: E402
from iamiou_benchmarks.networks.fcn import make_fcn  # noqa: E402
from iamiou_benchmarks.running.dry_run import run_lines, seconds_of  # noqa: E402
from iamiou_benchmarks.running.full_size import Load, _count, _forward, _step, loads  # noqa: E402
from iamiou_benchmarks.running.runfile import load_run  # noqa: E402
from iamiou_benchmarks.training.trainer import Schedule  # noqa: E402

#: A small network in every place: counting goes through the same code and is quick.
SMALL = [
    "classifier.network=small-cnn",
    "classifier.weights=",
    "classifier.frozen=[]",
    "irn.network=small-cnn",
    "irn.weights=",
    "irn.radius=3",
    "segment.network=small-cnn",
    "segment.weights=",
]


def test_resnet50_has_its_known_operations():
    """4.09 thousand million multiplications with additions at 224 pixels, the classifier's 2 million aside."""
    with torch.device("meta"):
        network = make_backbone("resnet50", "", 32)
    assert _forward(network, 1, (224, 224)) == pytest.approx(2 * 4.09e9, rel=0.005)


def test_a_step_is_counted_as_by_hand():
    """One 3 x 3 convolution, 4 to 8 channels, on 10 x 10: forward, and backward to its weights alone, are alike."""
    with torch.device("meta"):
        model = torch.nn.Conv2d(4, 8, 3, padding=1, bias=False)
        images = torch.empty(2, 4, 10, 10)
    operations, memory = _step(model, Schedule(momentum=0.9), lambda: model(images).sum())
    assert operations == 2 * (2 * 2 * 10 * 10 * 8 * 4 * 9)
    weights, kept = 4 * 8 * 4 * 9, 4 * 2 * 4 * 10 * 10  # the input is what backward needs
    assert memory == 3 * weights + kept  # weights, gradients, momentum
    assert _step(model, Schedule(optimiser="adamw"), lambda: model(images).sum())[1] == 4 * weights + kept
    model.weight.requires_grad_(False)
    model.bias = torch.nn.Parameter(torch.empty(8, device="meta"))
    # A frozen weight has no gradient; a bias has one, and without momentum nothing else.
    assert _step(model, Schedule(momentum=0.0), lambda: model(images).sum())[1] == weights + 2 * 8 * 4 + kept


def test_every_stage_of_the_published_recipes_is_counted():
    plain, balanced = (loads(load_run(f"voc-irn-{loss}", SMALL)) for loss in ("ce", "sb"))
    by_name = {load.stage: load for load in plain}
    assert [n for n, load in by_name.items() if not load.operations] == ["pseudo"]
    assert by_name["cam"].images == 10582 * 4 and by_name["segment"].images == 30000 * 10
    assert by_name["irn"].launches == 10582 * 256 * 2 * 34
    assert by_name["segment"].batch == 10
    assert {load.stage: load for load in balanced}["segment"].memory > by_name["segment"].memory
    phased = [*SMALL, "segment.phases=[[0.5, 0.5], [1.0, 0.5]]"]
    smaller = {load.stage: load for load in loads(load_run("voc-irn-ce", phased))}["segment"]
    assert 0.5 < smaller.operations / by_name["segment"].operations < 0.75
    assert smaller.memory == by_name["segment"].memory


def test_the_slower_of_reading_and_computing_counts_and_several_gpus_share_both():
    load = Load("segment", 1e15, images=1000, launches=1e5, batch=10)
    assert seconds_of(load, 10, 0.01) == pytest.approx(100 + 1)
    assert seconds_of(load, 10, 0.2) == pytest.approx(200 + 1)
    assert seconds_of(load, 10, 0.2, 5) == pytest.approx(40 + 1)


def test_a_dry_run_needs_no_data(tmp_path):
    changes = [part for change in SMALL for part in ("--set", change)]
    found = CliRunner().invoke(bench, ["run", "coco-irn-ce", *changes, "--dry-run", "--cache", str(tmp_path / "none")])
    assert found.exit_code == 0, found.output
    assert "The data cannot be opened" in found.output and "segment under torchrun" in found.output
    assert "20 TFLOP/s" in found.output and "in all on one GPU, counted and not measured" in found.output


def test_a_dry_run_of_data_of_unknown_size_still_needs_it(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        run_lines(load_run("voc-irn-ce", ["data.name=folder"]), 0, tmp_path, "cpu", 20)
    lines = run_lines(
        load_run("shapes-tiny-cam-ce", ["data.knobs={train = 2, dev = 1, test = 1}"]), 0, tmp_path, "cpu", 20
    )
    assert sum("never measured" in line for line in lines) == 6


def counted(name, stages, *changes):
    """Count some stages of a run file, with small networks."""
    run = load_run(name)
    small = [c for c in SMALL if c.split(".")[0] in {stage.name for stage in run.stages}]
    run = load_run(name, [*small, *changes])
    found = loads(replace(run, stages=tuple(stage for stage in run.stages if stage.name in stages)))
    assert [load.stage for load in found] == list(stages)
    return found


def test_sfcs_training_counts_drawn_crops_two_scales_and_correlations():
    changes = ["sfc.network=small-cnn", "sfc.weights=", "sfc.frozen=[]", "sfc.sides=[4, 4]", "sfc.correlations=0"]

    def load(*more):
        return counted("voc-sfc-ce", ["sfc"], *changes, *more)[0]

    published, looked, bare = load(), load("sfc.iterations=0"), load("sfc.draws=0")
    assert published.images == 3966 * 16 + 1464 + 1449 + 10582 * 4  # crops; dev and test; four scales of train
    trained = published.operations - looked.operations
    assert trained == pytest.approx(20 / 16 * (bare.operations - looked.operations))
    assert published.memory > bare.memory and load("sfc.correlations=2").operations > 1.1 * published.operations
    with torch.device("meta"):
        network = Classifier(make_backbone("small-cnn", "", 0), 20, "mean")
    forward = _forward(network, 20, (512, 512)) * (1 + 0.5**2)
    assert trained / (3966 * forward) == pytest.approx(3, rel=0.02)  # backward is twice forward; the heads are small
    assert looked.operations > 10582 * 2 * (1 + 0.5**2 + 1.5**2 + 2**2) * _forward(network, 1, (375, 500))


def test_orandnets_own_stages_are_counted():
    changes = ["vit.network=small-vit", "vit.weights=", "vit.frozen=[]", "orand.network=small-fcn", "orand.weights="]

    def load(*more):
        return counted("voc-orand-ce", ["vit", "vitcam", "orand"], *changes, *more)

    vit, attribution, orand = load()
    assert vit.images == 26455 * 4 + 1464 + 1449 and attribution.images == 10582
    assert load("vitcam.flip=true")[1].operations == 2 * attribution.operations
    with torch.device("meta"):
        network, refining = Classifier(make_backbone("small-vit", "", 0), 20, "token"), make_fcn("small-fcn")
    # A look and, for each of 1.6 classes, a way back.
    assert attribution.operations == pytest.approx(10582 * (1 + 2 * 1.6) * _forward(network, 1, (512, 512)))
    each = _count(lambda: refining(torch.empty(1, 1, 375, 500, device="meta")))
    learnt = orand.operations - 10582 * 1.6 * each
    assert learnt / (5000 * 2 * each) == pytest.approx(3, rel=0.02)  # two maps a step
    assert orand.memory > 2 * 4 * 375 * 500
