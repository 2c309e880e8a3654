"""The metric for training loops gives what ``iamiou score`` gives, and says what it cannot take."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

from torchmetrics import MetricCollection  # noqa: E402
from torchmetrics.classification import MulticlassJaccardIndex  # noqa: E402

import iamiou  # noqa: E402
from iamiou.errors import InputError  # noqa: E402
from iamiou.pairs import PairCounter, Rule  # noqa: E402
from iamiou.scores import PIXEL_SCORES, headline  # noqa: E402
from iamiou.torchmetric import InstanceAwareIoU  # noqa: E402
from tests import fakes  # noqa: E402
from tests.command import good  # noqa: E402
from tests.counting import CLASSES, random_case  # noqa: E402
from tests.metric_process import batch, exact  # noqa: E402
from tests.metric_scenes import SCENES, counted, expected, fed, logits  # noqa: E402


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


# What it needs


def test_without_torchmetrics_one_sentence_says_what_to_install():
    code = "import sys; sys.modules['torch'] = None\nimport iamiou.torchmetric"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: The metric for training loops needs torchmetrics; type: pip install 'iamiou[torch]'"
    )
