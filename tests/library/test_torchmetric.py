"""The metric for training loops gives what ``iamiou score`` gives, whatever is done to its state."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

from torchmetrics import MetricCollection, MetricTracker  # noqa: E402
from torchmetrics.classification import MulticlassJaccardIndex  # noqa: E402

import iamiou  # noqa: E402
from iamiou.errors import InputError  # noqa: E402
from iamiou.pairs import PairCounter, Rule  # noqa: E402
from iamiou.scores import PIXEL_SCORES, headline  # noqa: E402
from iamiou.torchmetric import InstanceAwareIoU  # noqa: E402
from tests import fakes, metric_process  # noqa: E402
from tests.command import good  # noqa: E402
from tests.counting import CLASSES, random_case  # noqa: E402
from tests.metric_process import batch, exact  # noqa: E402

SCENES = fakes.scenes(6, seed=5, shape=(70, 110), labels=(1, 2, 15))
VOC = iamiou.load_classes("voc")


def counted(scenes, classes=VOC, rule=None):
    """Count without the metric."""
    counter = PairCounter(classes, rule or Rule())
    for s in scenes:
        counter.add(s.id, s.prediction, s.semantic, s.instance)
    return counter.counts()


def expected(scenes, **options):
    """Return the scores without the metric."""
    return {name: float(value).hex() for name, value in headline(counted(scenes, **options)).items()}


def fed(scenes=SCENES, size=4, **options):
    """Return a metric that was given scenes in batches."""
    metric = InstanceAwareIoU("voc", **options)
    for k in range(0, len(scenes), size):
        metric.update(**batch(scenes[k : k + size]))
    return metric


def logits(labels, number=21, dtype=torch.float32):
    """Return scores (B, C, H, W) of which the largest is at the label."""
    noise = torch.rand((len(labels), number, *labels.shape[1:]), generator=torch.Generator().manual_seed(0))
    return noise.scatter(1, labels.unsqueeze(1), 2.0).to(dtype)


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory):
    """Return the arguments of ``iamiou score`` for the scenes."""
    root = tmp_path_factory.mktemp("voc")
    truth = fakes.voc_devkit(root / "truth", SCENES)
    return fakes.prediction_folder(root / "predictions", SCENES), truth, "--split", "val"


# What it computes


@pytest.mark.parametrize("options", [{}, {"components": "plain", "connectivity": 4}, {"bins": (16, 24)}])
def test_report_is_that_of_the_command_to_the_last_letter(capsys, on_disk, options):
    flags = [text for k, v in options.items() for text in (f"--{k}", str(v).strip("()").replace(" ", ""))]
    theirs = good(capsys, "score", *on_disk, "--format", "json", "--bootstrap", 50, *flags)
    metric = fed(**options)
    assert metric.report(bootstrap=50).to_json() == theirs
    scores = {name: value.item() for name, value in metric.compute().items()}
    assert {k: None if np.isnan(v) else v for k, v in scores.items()} == json.loads(theirs)["scores"]


def test_real_predictions_score_as_they_do_from_files(real_data, capsys):
    from PIL import Image

    listed, voc = real_data / "voc" / "ImageSets" / "pred_dinov3_instances.txt", real_data / "voc"
    folders = [real_data / "predictions" / "voc_dinov3_pspnet"]
    folders += [voc / part for part in ("SegmentationClass", "SegmentationObject_derived")]
    where = ("--semantic", folders[1], "--instances", folders[2], "--list", listed)
    theirs = json.loads(good(capsys, "score", folders[0], *where, "--format", "json", "--bootstrap", 0))
    names, metric = listed.read_text().split(), InstanceAwareIoU("voc")
    for k in range(0, len(names), 16):
        part = names[k : k + 16]
        maps = [[torch.from_numpy(np.array(Image.open(f / f"{n}.png"))).long() for n in part] for f in folders]
        metric.update(*maps, part)
    assert len(names) > 200
    ours = json.loads(metric.report(bootstrap=0).to_json())
    assert ours == theirs | {"warnings": []}  # the folder's: predictions outside the list


def test_scores_are_scalars_in_double_precision():
    scores = fed().compute()
    assert {(v.dtype, v.shape, v.device.type) for v in scores.values()} == {(torch.float64, (), "cpu")}


@pytest.mark.parametrize("void", [255, 65535])
@pytest.mark.parametrize("seed", range(4))
def test_rows_keep_every_integer_of_the_counts(seed, void):
    cases = [random_case(10 * seed + k, (31 + k, 47), void, ids=300 if void == 65535 else 200) for k in range(3)]
    counter, metric = PairCounter(CLASSES, Rule()), InstanceAwareIoU(CLASSES)
    for k, case in enumerate(cases):
        counter.add(f"{k}", case.pred, case.semantic, case.instance)
    for k in (2, 0, 1):
        maps = (torch.from_numpy(m)[None] for m in (cases[k].pred, cases[k].semantic, cases[k].instance))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such noise is odd in many ways
            metric.update(*maps, [k])
    assert metric.report(bootstrap=0).counts == counter.counts()


def test_torchmetrics_own_index_agrees_in_one_collection():
    """It takes preds and target alone, and its mean leaves out classes absent from both, as mIoU_union does."""
    metrics = MetricCollection(
        {
            "ours": InstanceAwareIoU("voc", score="mIoU_union"),
            "theirs": MulticlassJaccardIndex(21, ignore_index=255, average="none"),
        }
    )
    for k in range(0, 6, 2):
        metrics.update(**batch(SCENES[k : k + 2]))
    scores, counts = metrics.compute(), counted(SCENES)
    shown = torch.from_numpy((counts.truth + counts.prediction).sum(0) > 0)
    assert scores["ours"].item() == pytest.approx(scores["theirs"][shown].mean().item(), abs=1e-6)


def test_only_pixels_are_counted_where_that_was_asked_for():
    metric = fed(metrics="miou")
    assert tuple(metric.compute()) == PIXEL_SCORES
    assert metric.compute()["mIoU"].item() == headline(counted(SCENES))["mIoU"]


def test_one_score_alone_is_a_scalar():
    assert fed(score="IA_S").compute().item() == headline(counted(SCENES))["IA_S"]
    with pytest.raises(InputError, match=r"no score 'IA_XL'; the scores are mIoU, IA-mIoU, .*IA_S, IA_M, IA_L"):
        InstanceAwareIoU("voc", score="IA_XL")
    with pytest.raises(InputError, match="no score 'IA_S'"):
        InstanceAwareIoU("voc", score="IA_S", metrics="miou")


def test_before_the_first_image_all_is_nan_and_said_so():
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        scores = InstanceAwareIoU("voc").compute()
    assert set(scores) == set(headline(counted(SCENES)))
    assert all(v.isnan() for v in scores.values())


# What it takes


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_logits_give_what_their_labels_give(dtype):
    maps = batch(SCENES)
    metric = InstanceAwareIoU("voc")
    scores = logits(maps["preds"], dtype=dtype).requires_grad_()
    metric.update(**maps | {"preds": scores.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)})
    assert exact(metric.compute()) == expected(SCENES)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_of_equal_scores_the_first_class_wins(dtype):
    scores = torch.randint(0, 3, (2, 21, 20, 30), generator=torch.Generator().manual_seed(1)).to(dtype)
    truth = torch.from_numpy(scores.float().numpy().argmax(1))
    metric = InstanceAwareIoU("voc", metrics="miou")
    metric.update(scores, truth)
    assert metric.compute()["mIoU"].item() == 1


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64, torch.uint16])
def test_any_integer_dtype_does(dtype):
    maps = {k: v.to(dtype) if k != "image_ids" else v for k, v in batch(SCENES).items()}
    metric = InstanceAwareIoU("voc", ignore_index=255 if dtype == torch.uint16 else None)
    metric.update(**maps)
    assert exact(metric.compute()) == expected(SCENES)


def test_images_of_several_sizes_come_in_lists():
    scenes = [fakes.scene(f"{k}", 2, shape=(20 + 7 * k, 50 - 9 * k)) for k in range(4)]
    parts = [batch([s]) for s in scenes]
    maps = {name: [p[name][0] for p in parts] for name in ("preds", "target", "instances")}
    ids = [s.id for s in scenes]
    metric, other = InstanceAwareIoU("voc"), InstanceAwareIoU("voc")
    metric.update(**maps, image_ids=ids)
    other.update(**maps | {"preds": [logits(p["preds"])[0] for p in parts]}, image_ids=ids)
    assert exact(metric.compute()) == exact(other.compute()) == expected(scenes)


@pytest.mark.parametrize("ignore", [255, -100, -1, 99])
def test_void_may_have_any_label(ignore):
    maps = batch(SCENES)
    for name in ("target", "instances"):
        maps[name][maps[name] == 255] = ignore
    metric = InstanceAwareIoU("voc", ignore_index=ignore)
    metric.update(**maps)
    assert exact(metric.compute()) == expected(SCENES)
    assert metric.report(bootstrap=0).digest == fed().report(bootstrap=0).digest


def test_void_and_too_large_instance_ids_have_no_room_together():
    maps = batch(SCENES[:1])
    large = maps["instances"].where(maps["instances"] == 255, maps["instances"] * 70_000)
    with pytest.raises(InputError, match=r"above 65535: 2007_000001\. Number the instances from 1 on"):
        InstanceAwareIoU("voc", ignore_index=255).update(**maps | {"instances": large})
    large[large == 255] = 0
    metric = InstanceAwareIoU("voc", ignore_index=255)
    with pytest.warns(UserWarning, match="void region that differs"):
        metric.update(**maps | {"instances": large})
    assert exact(metric.compute()) == expected(SCENES[:1])


def test_with_many_classes_255_is_a_class_like_others():
    """Also in an image whose labels would fit 8 bits, of a dtype that does not tell."""
    classes = iamiou.ClassList("many", tuple(f"{k}" for k in range(300)))
    pred, truth = torch.zeros(2, 1, 9, 9, dtype=torch.int64)
    truth[:, :3], pred[:, :2] = 255, 255
    metric = InstanceAwareIoU(classes)
    metric.update(pred, truth, truth)
    assert metric.report(bootstrap=0).instances[["class", "id", "area", "tp"]].values.tolist() == [["255", 255, 27, 18]]
    metric.update(logits(pred, 300), truth, truth)
    assert len(metric.report(bootstrap=0).instances) == 2


def test_a_number_of_classes_is_enough():
    metric = InstanceAwareIoU(21)
    metric.update(**batch(SCENES))
    assert exact(metric.compute()) == expected(SCENES)
    assert metric.class_list.names[:3] == ("background", "1", "2")


def test_without_instances_components_of_the_truth_stand_in():
    metric = InstanceAwareIoU("voc")
    maps = batch(SCENES)
    del maps["instances"]
    metric.update(**maps)
    report = metric.report(bootstrap=0)
    assert report.instances_from == "components"
    assert report.warnings[0].startswith("Instances are connected components")
    assert exact(metric.compute()) == expected([replace(s, instance=None) for s in SCENES])
    metric.update(**batch([replace(SCENES[0], id="other")]))
    with pytest.raises(InputError, match="1 of 7 images came with an instance map and the others without"):
        metric.compute()


def test_an_empty_batch_changes_nothing():
    metric = fed()
    metric.update(torch.zeros(0, 4, 4, dtype=torch.int64), torch.zeros(0, 4, 4, dtype=torch.int64))
    metric.update([], [], [], [])
    assert exact(metric.compute()) == expected(SCENES)


MAP = torch.zeros(2, 6, 8, dtype=torch.int64)
WRONG = {
    "preds is ndarray; give a tensor": (MAP.numpy(), MAP),
    "preds is str": ("maps", MAP),
    "target is list; give": (MAP, [m.tolist() for m in MAP]),
    r"preds has shape \(6, 8\)": (MAP[0], MAP),
    r"target has shape \(2, 1, 6, 8\); give a tensor \(B, H, W\)": (MAP, MAP[:, None]),
    r"preds is torch.int64 of shape \(2, 21, 6, 8\); scores are floating": (MAP[:, None].expand(2, 21, 6, 8), MAP),
    r"shape \(2, 20, 6, 8\); scores are floating point and of 21 classes": (torch.rand(2, 20, 6, 8), MAP),
    r"preds is torch.float32 of shape \(2, 6, 8\); give integers": (MAP.float(), MAP),
    "target is torch.bfloat16": (MAP, MAP.bfloat16()),
    "NaN among the scores of 3 pixels": (
        torch.rand(2, 21, 6, 8).index_put((torch.tensor(1), torch.tensor(4), torch.tensor(2)), torch.tensor(np.nan)),
        MAP,
    ),
    "preds is of 1 images and target of 2": (MAP[:1], MAP),
    "instances is of 1 images and target of 2": (MAP, MAP, MAP[:1]),
    "image_ids is of 3 images and target of 2": (MAP, MAP, MAP, ["a", "b", "c"]),
    "image_ids is no list of names": (MAP, MAP, MAP, "ab"),
    "image_ids is no list of names; give": (MAP, MAP, MAP, torch.rand(2)),
    r"2 predictions differ in size from the ground truth: number 0 of the batch \(6 x 7": (MAP[:, :, 1:], MAP),
    r"2 instance maps differ in size .*: a \(6 x 7, .*, b \(6": (MAP, MAP, MAP[:, :, 1:], ["a", "b"]),
    r"1 prediction has labels that are no class: b \(label 21 in 1 pixel\)": (
        MAP.index_put((torch.tensor(1), torch.tensor(0), torch.tensor(0)), torch.tensor(21)),
        MAP,
        MAP,
        ["a", "b"],
    ),
    "predictions contain the void label 255": (MAP + 255, MAP),
    "ground truths have values outside 0 to 65535": (MAP, MAP - 1),
    "ground truths have labels that are no class": (MAP, MAP + 21),
    "no label map": (MAP[:, :0], MAP[:, :0]),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_does_not_fit_is_named_and_leaves_the_state_as_it_was(message):
    metric = fed()
    if "NaN" in message:
        WRONG[message][0][1, 4, 2, :3] = np.nan
        WRONG[message][0][1, 4, 2, 3:] = 0
    with pytest.raises(InputError, match=message):
        metric.update(*WRONG[message])
    assert exact(metric.compute()) == expected(SCENES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": "nestd"}, "components is 'nestd'; it can be 'nested' or 'plain'"),
        ({"connectivity": 4}, "nested rule is defined for 8 neighbours"),
        ({"pred_void": "ignore"}, "pred_void is 'ignore'"),
        ({"classes": 1}, "has 1 names; it needs background and one more"),
        ({"classes": "nowhere.txt"}, "'nowhere.txt' cannot be read"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        InstanceAwareIoU(**{"classes": "voc"} | options)


def test_an_option_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="Unexpected keyword arguments: `bin`"):
        InstanceAwareIoU("voc", bin=(32, 96))


def test_what_is_odd_is_said_once():
    maps = batch(SCENES)
    maps["instances"][:, :2] = 255
    metric = InstanceAwareIoU("voc")
    with pytest.warns(UserWarning, match="6 images have a void region that differs"):
        metric.update(**maps)
    metric.update(**maps)


# An image that comes again


def test_a_repeated_image_counts_once():
    metric = fed([*SCENES, SCENES[0], SCENES[0]], size=7)
    metric.update(**batch(SCENES[:2]))
    assert exact(metric.compute()) == expected(SCENES)


def test_integer_ids_do_and_stand_for_their_digits():
    metric, maps = InstanceAwareIoU("voc"), batch(SCENES)
    metric.update(**maps | {"image_ids": torch.arange(6)})
    metric.update(**maps | {"image_ids": ["0", "1", "2", "3", "4", "5"]})
    assert metric.report(bootstrap=0).counts.images == tuple("012345")


def test_without_ids_every_image_is_a_new_one():
    metric = fed([replace(SCENES[0], id="image 000001")])
    for _ in range(2):
        metric.update(**batch(SCENES[:2], names=False))
    counts = metric.report(bootstrap=0).counts
    assert counts.images == tuple(f"image {k:06d}" for k in range(5))
    assert counts.confusion.sum() == 2 * counted(SCENES[:2]).confusion.sum() + counted(SCENES[:1]).confusion.sum()


def test_names_of_any_length_and_script_stay_apart():
    names = ["", "a", "a\0", "1234567", "12345678", "123456789", "\u00fc\u4e2d"]
    metric = fed([replace(SCENES[k % 6], id=name) for k, name in enumerate(names)])
    assert metric.report(bootstrap=0).counts.images == tuple(sorted(names))


def test_of_different_predictions_one_counts_whatever_the_order():
    other = replace(SCENES[0], prediction=np.zeros_like(SCENES[0].prediction))
    pairs = [(SCENES[0], other, SCENES[1]), (SCENES[1], other, SCENES[0])]
    found = []
    for scenes in pairs:
        with pytest.warns(UserWarning, match="1 image came more than once .*: 2007_000001. Was reset"):
            found.append(exact(fed(scenes, size=1).compute()))
    assert found[0] == found[1]
    assert found[0] in [expected([scene, SCENES[1]]) for scene in (SCENES[0], other)]


def test_one_id_for_two_images_is_an_error():
    metric = fed([SCENES[0], replace(SCENES[1], id=SCENES[0].id)])
    with pytest.raises(InputError, match="1 image id came with more than one ground truth: 2007_000001"):
        metric.compute()


# What is done to the state


def test_reset_forgets_everything():
    metric = fed()
    metric.compute()
    metric.reset()
    metric.update(**batch(SCENES[:2]))
    assert exact(metric.compute()) == expected(SCENES[:2])


def test_forward_gives_the_batch_and_keeps_the_whole():
    metric = InstanceAwareIoU("voc")
    for k in range(0, 6, 2):
        assert exact(metric(**batch(SCENES[k : k + 2]))) == expected(SCENES[k : k + 2])
    assert exact(metric.compute()) == expected(SCENES)


@pytest.mark.parametrize("copied", ["clone", "pickle", "torch.save"])
def test_a_copy_lives_on_its_own(copied):
    metric = fed(SCENES[:4])
    if copied == "clone":
        other = metric.clone()
    elif copied == "pickle":
        other = pickle.loads(pickle.dumps(metric))
    else:
        torch.save(metric, buffer := io.BytesIO())
        buffer.seek(0)
        other = torch.load(buffer, weights_only=False)
    metric.reset()
    other.update(**batch(SCENES[4:]))
    assert exact(other.compute()) == expected(SCENES)


def test_state_dict_carries_the_state_where_it_is_persistent():
    metric = fed(SCENES[:4])
    assert metric.state_dict() == {}
    metric.persistent(True)
    torch.save(metric.state_dict(), buffer := io.BytesIO())
    for _ in range(2):  # what is loaded must survive the metric that it was loaded into
        buffer.seek(0)
        saved = torch.load(buffer, weights_only=True)
        other = fed(SCENES[:1])
        other.compute()
        for _ in range(2):
            other.load_state_dict(saved)
            assert exact(other.compute()) == expected(SCENES[:4])
            other.update(**batch(SCENES[4:]))
            assert exact(other.compute()) == expected(SCENES)
            other.reset()


def test_state_of_other_options_or_damaged_is_refused():
    metric = fed()
    metric.persistent(True)
    other = InstanceAwareIoU("voc", components="plain")
    other.load_state_dict(metric.state_dict())
    with pytest.raises(InputError, match="counted with another class list or other options"):
        other.compute()
    rows = metric.records[0]
    for broken in (rows[:-1], rows[:3], rows * 0, -rows):
        metric.load_state_dict({"records": [broken]})
        with pytest.raises(InputError, match="state is damaged"):
            metric.compute()


def test_bins_may_change_over_a_saved_state():
    metric = fed()
    metric.persistent(True)
    other = InstanceAwareIoU("voc", bins=(16, 24))
    other.load_state_dict(metric.state_dict())
    assert exact(other.compute()) == exact(fed(bins=(16, 24)).compute())


@pytest.mark.parametrize("as_dict", [True, False])
def test_merged_states_are_the_state_of_all(as_dict):
    first, second = fed(SCENES[:3]), fed(SCENES[2:])
    first.compute()
    first.merge_state(second.metric_state if as_dict else second)
    assert exact(first.compute()) == expected(SCENES)
    fresh = InstanceAwareIoU("voc")
    fresh.merge_state(first)
    assert exact(fresh.compute()) == expected(SCENES)
    second.reset()
    fresh.update(**batch(SCENES))
    assert exact(fresh.compute()) == expected(SCENES)


CASTS = {
    "half": lambda m: m.half(),
    "bfloat16": lambda m: m.bfloat16(),
    "to": lambda m: m.to(torch.float16),
    "set_dtype": lambda m: m.set_dtype(torch.float16),
    "type": lambda m: m.type(torch.float16),
    "inside a model": lambda m: torch.nn.Sequential(torch.nn.Linear(2, 2), m).half()[1],
    "model.to": lambda m: torch.nn.Sequential(torch.nn.Linear(2, 2), m).to("cpu", torch.bfloat16)[1],
}


@pytest.mark.parametrize("cast", CASTS)
def test_no_cast_of_a_model_touches_counts_or_results(cast):
    metric = fed(SCENES[:4])
    metric.compute()
    metric = CASTS[cast](metric)
    assert exact(metric.compute()) == expected(SCENES[:4])
    metric.update(**batch(SCENES[4:]))
    assert {rows.dtype for rows in metric.records} == {torch.int64}
    assert exact(metric.compute()) == expected(SCENES)
    metric.reset()
    metric.update(**batch(SCENES))
    assert exact(metric.compute()) == expected(SCENES)


def test_state_may_be_kept_on_the_cpu():
    assert exact(fed(compute_on_cpu=True).compute()) == expected(SCENES)


def test_metrics_of_a_collection_share_a_state_only_where_they_count_alike():
    metrics = MetricCollection(
        {
            "all": InstanceAwareIoU("voc"),
            "fine": InstanceAwareIoU("voc", score="IA_L", bins=(16, 24)),
            "plain": InstanceAwareIoU("voc", score="IA-mIoU", components="plain"),
        },
        prefix="val/",
    )
    metrics.update([], [])  # so far nothing tells them apart
    for k in range(0, 6, 2):
        metrics.update(**batch(SCENES[k : k + 2]))
    assert sorted(sorted(group) for group in metrics.compute_groups.values()) == [["all", "fine"], ["plain"]]
    scores = metrics.compute()
    plain = headline(counted(SCENES, rule=Rule(components="plain")))["IA-mIoU"]
    assert scores["val/plain"].item() == plain
    assert scores["val/fine"].item() == headline(counted(SCENES), (16, 24))["IA_L"]
    assert scores["val/IA_S"].item() == headline(counted(SCENES))["IA_S"]
    metrics.reset()
    batchwise = metrics(**batch(SCENES[:2]))
    assert batchwise["val/IA_S"].item() == headline(counted(SCENES[:2]))["IA_S"]
    assert metrics.clone(prefix="test/").compute()["test/IA_S"].item() == headline(counted(SCENES[:2]))["IA_S"]


def test_a_tracker_finds_the_best_epoch():
    tracker = MetricTracker(InstanceAwareIoU("voc", score="IA-mIoU"), maximize=True)
    for scenes in (SCENES[:2], SCENES[2:4], SCENES[4:]):
        tracker.increment()
        tracker.update(**batch(scenes))
    values = [headline(counted(scenes))["IA-mIoU"] for scenes in (SCENES[:2], SCENES[2:4], SCENES[4:])]
    assert tracker.compute_all().tolist() == values
    assert tracker.best_metric(return_step=True) == (pytest.approx(max(values)), int(np.argmax(values)))


def test_autocast_changes_no_bit():
    maps = batch(SCENES)
    metric = InstanceAwareIoU("voc")
    with torch.autocast("cpu", torch.bfloat16):
        metric.update(**maps | {"preds": logits(maps["preds"])})
        assert exact(metric.compute()) == expected(SCENES)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # which Dynamo causes and silences
def test_it_may_be_called_in_a_compiled_step():
    maps = batch(SCENES)
    given, scale = logits(maps.pop("preds")), torch.nn.Parameter(torch.ones(1))
    metric, stepped = InstanceAwareIoU("voc"), InstanceAwareIoU("voc")

    @torch.compile(backend="eager")
    def step(x):
        y = x * scale
        metric.update(y, **maps)
        stepped(y, **maps)
        return y.sum()

    step(given)
    step(given)
    assert exact(metric.compute()) == exact(stepped.compute()) == expected(SCENES)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_a_gpu_all_is_as_on_the_cpu():
    maps = batch(SCENES)
    there = {k: v if k == "image_ids" else v.cuda() for k, v in maps.items()}
    for metric in (InstanceAwareIoU("voc"), InstanceAwareIoU("voc").cuda()):
        metric.update(**there)
        metric.update(**maps)  # wherever the batch is
        assert exact(metric.compute()) == expected(SCENES)
        assert metric.compute()["mIoU"].device == metric.records[0].device == metric.device
    metric.update(**there | {"preds": logits(maps["preds"], dtype=torch.float16).cuda()})
    assert exact(metric.cpu().compute()) == expected(SCENES)


# Several processes


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """Return what every scenario gave in two processes that talk over gloo."""
    folder = tmp_path_factory.mktemp("gloo")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    crew = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.metric_process", str(rank), str(folder)],
            cwd=Path(__file__).parents[2],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        errors = [process.communicate(timeout=240)[1] for process in crew]
    finally:
        for process in crew:
            process.kill()
    assert [process.returncode for process in crew] == [0, 0], "\n".join(errors)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


ALL = metric_process.SCENES


@pytest.mark.parametrize(
    "scenario",
    ["padded", "second_saw_nothing", "first_saw_nothing", "forward_of_every_batch", "through_a_checkpoint"],
)
def test_two_processes_give_the_scores_of_one(two_processes, scenario):
    assert [found[scenario] for found in two_processes] == 2 * [expected(ALL)]


def test_without_ids_a_padded_duplicate_counts_twice(two_processes):
    assert [found["padded_without_ids"] for found in two_processes] == [6, 6]


def test_two_processes_without_images_give_nan(two_processes):
    assert [set(found["nobody_saw_anything"].values()) for found in two_processes] == [{"nan"}, {"nan"}]


def test_after_a_computation_every_process_has_its_own_images(two_processes):
    assert [found["computed_in_between"] for found in two_processes] == 2 * [[expected(ALL), 3]]
    assert [found["saved_after_compute"] for found in two_processes] == [3, 3]


def test_every_process_may_compute_for_itself(two_processes):
    parts = [[ALL[0], ALL[2], ALL[4]], [ALL[1], ALL[3], ALL[0]]]
    assert [found["every_process_for_itself"] for found in two_processes] == [expected(part) for part in parts]


def test_a_step_may_be_that_of_all_processes(two_processes):
    steps = [expected(ALL[:4]), expected([ALL[4], ALL[0]])]
    assert [found["forward_in_step"] for found in two_processes] == 2 * [[steps, expected(ALL)]]


def test_a_collection_merges_too(two_processes):
    scores = {name: expected(ALL)[name] for name in ("IA_S", "mIoU")}
    assert [found["one_state_for_two_metrics"] for found in two_processes] == 2 * [[scores, 1]]


def test_the_report_of_two_processes_is_that_of_the_command(two_processes, tmp_path, capsys):
    truth = fakes.voc_devkit(tmp_path / "truth", ALL)
    predictions = fakes.prediction_folder(tmp_path / "predictions", ALL)
    theirs = good(capsys, "score", predictions, truth, "--split", "val", "--format", "json", "--bootstrap", 50)
    assert [found["whole_report"] for found in two_processes] == [theirs, theirs]


def test_all_processes_learn_of_one_id_for_two_images(two_processes):
    said = [found["one_id_for_two_images"] for found in two_processes]
    sentence = "1 image id came with more than one ground truth: twin. Give every image an id of its own."
    assert said == 2 * [[sentence, sentence, 1]]


def test_all_processes_keep_the_same_of_two_predictions(two_processes):
    (first, said), (second, said_too) = (found["predictions_differ"] for found in two_processes)
    assert first == second
    assert said == said_too
    assert [text.partition(",")[0] for text in said] == ["1 image came more than once with different predictions"]


# What it needs


def test_without_torchmetrics_one_sentence_says_what_to_install():
    code = "import sys; sys.modules['torch'] = None\nimport iamiou.torchmetric"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: The metric for training loops needs torchmetrics; type: pip install 'iamiou[torch]'"
    )
