"""Scenes for the metric of training loops, and what it must give for them, found without it."""

from __future__ import annotations

import torch

import iamiou
from iamiou.pairs import PairCounter, Rule
from iamiou.scores import headline
from iamiou.torchmetric import InstanceAwareIoU
from tests import fakes
from tests.metric_process import batch

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
