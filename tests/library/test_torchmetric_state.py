"""The metric for training loops: images that come again, and all that is done to its state."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

from torchmetrics import MetricCollection, MetricTracker  # noqa: E402

from iamiou.errors import InputError  # noqa: E402
from iamiou.pairs import Rule  # noqa: E402
from iamiou.scores import headline  # noqa: E402
from iamiou.torchmetric import InstanceAwareIoU  # noqa: E402
from tests.metric_process import batch, exact  # noqa: E402
from tests.metric_scenes import SCENES, counted, expected, fed, logits  # noqa: E402

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
