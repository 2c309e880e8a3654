"""What several tests of SFC are made of: random numbers and a network with little heads."""

from __future__ import annotations

import torch

from iamiou_benchmarks.networks.build import Classifier, make_backbone, seeded
from iamiou_benchmarks.networks.calibrated import Calibrated


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def network(name="small-cnn", sides=(4, 6)):
    seeded(0)
    return Calibrated(Classifier(make_backbone(name), 3), sides)
