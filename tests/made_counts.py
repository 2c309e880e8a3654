"""Counts without pixels: random ones for tests of what comes after the counting, and repeats of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from iamiou.counts import Counts
from iamiou.labels import VOC, ClassList
from iamiou.report import Report
from iamiou.scores import headline, support


def random_counts(images: int = 30, *, classes: int = 5, seed: int = 0, model: int = 0, rare: int = 1) -> Counts:
    """Draw counts of 0 to 4 instances an image; equal seeds give equal ground truth, whatever the model.

    The last ``rare`` classes show in one image each; image 1 has no instance.
    """
    truth_rng, rng = np.random.default_rng(seed), np.random.default_rng([seed, model])
    rows = []
    for image in range(images):
        for k in range(0 if image == 1 else truth_rng.integers(1, 5)):
            common = truth_rng.integers(1, classes - rare)
            label = classes - 1 - image if image < rare and k == 0 else common
            area = int(np.exp(truth_rng.uniform(3, 11)))
            tp = int(area * rng.beta(2, 1)) * int(rng.random() < 0.8)
            rows.append((image, k + 1, label, area, tp, int(area * rng.uniform(0, 0.4)), int(tp > 0)))
    table = np.array(rows, np.int64).reshape(-1, 7)
    truth, prediction, hit = np.zeros((3, images, classes), np.int64)
    np.add.at(truth, (table[:, 0], table[:, 2]), table[:, 3])
    np.add.at(hit, (table[:, 0], table[:, 2]), table[:, 4])
    np.add.at(prediction, (table[:, 0], table[:, 2]), table[:, 4] + table[:, 5])
    truth[:, 0] = 40_000
    hit[:, 0] = rng.integers(20_000, 40_000, images)
    prediction[:, 0] = hit[:, 0] + (truth - hit)[:, 1:].sum(axis=1)
    names = tuple(f"image{k:03}" for k in range(images))
    phantoms = np.zeros((0, 3), np.int64)
    return Counts(classes, names, np.diag(hit.sum(axis=0)), truth, prediction, hit, table, phantoms)


def repeated(counts: Counts, times: Sequence[int]) -> Counts:
    """Return the counts of a data set that holds image k ``times[k]`` times."""
    source = np.repeat(np.arange(len(times)), times)
    blocks = []
    for new, old in enumerate(source):
        block = counts.instances[counts.instances[:, 0] == old].copy()
        block[:, 0] = new
        blocks.append(block)
    hit = counts.hit[source]
    return replace(
        counts,
        images=tuple(f"{k:05}" for k in range(source.size)),
        confusion=np.diag(hit.sum(axis=0)),
        truth=counts.truth[source],
        prediction=counts.prediction[source],
        hit=hit,
        instances=np.concatenate([np.zeros((0, 7), np.int64), *blocks]),
    )


def shuffled(counts: Counts, seed: int = 0) -> Counts:
    """Return the same counts with the images in another order."""
    order = np.random.default_rng(seed).permutation(len(counts.images))
    instances = counts.instances.copy()
    instances[:, 0] = np.argsort(order)[instances[:, 0]]
    return replace(
        counts,
        images=tuple(counts.images[k] for k in order),
        truth=counts.truth[order],
        prediction=counts.prediction[order],
        hit=counts.hit[order],
        instances=instances[np.lexsort(instances.T[::-1])],
    )


def report_of(counts: Counts, *, bins: tuple[int, ...] = (32, 96), digest: str = "", **options: object) -> Report:
    """Wrap counts as a report over the first classes of VOC."""
    classes = ClassList("some", VOC.names[: counts.num_classes])
    scores, rests = headline(counts, bins), support(counts, bins)
    return Report(counts, classes, bins, dict(options), digest, "annotation", scores, {}, rests)
