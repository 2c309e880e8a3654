"""One of two processes that share a metric: what each scenario gave goes to a file, for test_torchmetric.py to judge.

Run as ``python -m tests.metric_process RANK FOLDER``.
"""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import distributed
from torch.utils.data import DistributedSampler
from torchmetrics import MetricCollection

from iamiou.errors import InputError
from iamiou.torchmetric import InstanceAwareIoU
from tests import fakes

SCENES = fakes.scenes(5, seed=3, shape=(90, 120), labels=(1, 2, 15))


def batch(scenes, names=True):
    """Return what `update` takes."""
    maps = (
        torch.from_numpy(np.stack([getattr(s, part) for s in scenes]).astype(np.int64))
        for part in ("prediction", "semantic", "instance")
    )
    return dict(zip(("preds", "target", "instances"), maps, strict=True)) | (
        {"image_ids": [s.id for s in scenes]} if names else {}
    )


def mine(rank):
    """Return this process's scenes as a DistributedSampler deals them, two at a time; the last is there twice."""
    dealt = [SCENES[k] for k in DistributedSampler(SCENES, num_replicas=2, rank=rank, shuffle=False)]
    return [dealt[k : k + 2] for k in range(0, len(dealt), 2)]


def exact(scores):
    """Write scores so that no bit is lost, and NaN is equal to NaN."""
    return {name: value.item().hex() for name, value in scores.items()}


def padded(rank):
    metric = InstanceAwareIoU("voc")
    for scenes in mine(rank):
        metric.update(**batch(scenes))
    return exact(metric.compute())


def padded_without_ids(rank):
    metric = InstanceAwareIoU("voc")
    for scenes in mine(rank):
        metric.update(**batch(scenes, names=False))
    return len(metric.report(bootstrap=0).counts.images)


def second_saw_nothing(rank):
    metric = InstanceAwareIoU("voc")
    if rank == 0:
        metric.update(**batch(SCENES))
    return exact(metric.compute())


def first_saw_nothing(rank):
    metric = InstanceAwareIoU("voc")
    if rank == 1:
        metric.update(**batch(SCENES))
    return exact(metric.compute())


def nobody_saw_anything(rank):
    return exact(InstanceAwareIoU("voc").compute())


def computed_in_between(rank):
    """Compute after every batch; the state of the other process must not stay behind."""
    metric = InstanceAwareIoU("voc")
    for scenes in mine(rank):
        metric.update(**batch(scenes))
        scores = metric.compute()
    own = InstanceAwareIoU("voc", sync_on_compute=False)
    own.merge_state(metric)
    return [exact(scores), len(own.report(bootstrap=0).counts.images)]


def every_process_for_itself(rank):
    metric = InstanceAwareIoU("voc", sync_on_compute=False)
    for scenes in mine(rank):
        metric.update(**batch(scenes))
    return exact(metric.compute())


def forward_of_every_batch(rank):
    metric = InstanceAwareIoU("voc")
    for scenes in mine(rank):
        metric(**batch(scenes))
    return exact(metric.compute())


def forward_in_step(rank):
    """Every step gives the scores of both processes' batches."""
    metric = InstanceAwareIoU("voc", dist_sync_on_step=True)
    steps = [exact(metric(**batch(scenes))) for scenes in mine(rank)]
    return [steps, exact(metric.compute())]


def one_state_for_two_metrics(rank):
    names = ("IA_S", "mIoU")
    metrics = MetricCollection({name: InstanceAwareIoU("voc", score=name) for name in names})
    for scenes in mine(rank):
        metrics.update(**batch(scenes))
    return [exact(metrics.compute()), len(metrics.compute_groups)]


def through_a_checkpoint(rank):
    """Save in the middle, and go on with another object."""
    first, second = InstanceAwareIoU("voc"), InstanceAwareIoU("voc")
    first.persistent(True)
    head, tail = mine(rank)
    first.update(**batch(head))
    second.load_state_dict(first.state_dict())
    second.update(**batch(tail))
    return exact(second.compute())


def saved_after_compute(rank):
    """What is saved after a computation is this process's part only, whatever was merged for the computation."""
    metric = InstanceAwareIoU("voc")
    metric.persistent(True)
    for scenes in mine(rank):
        metric.update(**batch(scenes))
    metric.compute()
    other = InstanceAwareIoU("voc", sync_on_compute=False)
    other.load_state_dict(metric.state_dict())
    return len(other.report(bootstrap=0).counts.images)


def whole_report(rank):
    metric = InstanceAwareIoU("voc")
    for scenes in mine(rank):
        metric.update(**batch(scenes))
    return metric.report(bootstrap=50).to_json()


def one_id_for_two_images(rank):
    metric = InstanceAwareIoU("voc")
    metric.update(**batch([replace(SCENES[rank], id="twin")]))
    said = []
    for ask in (metric.compute, metric.report):
        try:
            ask()
        except InputError as e:
            said.append(str(e))
    own = InstanceAwareIoU("voc", sync_on_compute=False)
    own.merge_state(metric)
    return [*said, len(own.report(bootstrap=0).counts.images)]


def predictions_differ(rank):
    """Another rounding on another device: the same image, another prediction."""
    metric = InstanceAwareIoU("voc")
    prediction = SCENES[0].prediction.copy()
    prediction[:10] = rank
    metric.update(**batch([replace(SCENES[0], prediction=prediction), SCENES[1 + rank]]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scores = exact(metric.compute())
    return [scores, [str(w.message) for w in caught]]


SCENARIOS = (
    padded,
    padded_without_ids,
    second_saw_nothing,
    first_saw_nothing,
    nobody_saw_anything,
    computed_in_between,
    every_process_for_itself,
    forward_of_every_batch,
    forward_in_step,
    one_state_for_two_metrics,
    through_a_checkpoint,
    saved_after_compute,
    whole_report,
    one_id_for_two_images,
    predictions_differ,
)


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=2)
    found = {scenario.__name__: scenario(rank) for scenario in SCENARIOS}
    (folder / f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
