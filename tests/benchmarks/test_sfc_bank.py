"""SFC: the distribution coefficient by the published table, and the image bank."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.sfc.distribution import (  # noqa: E402
    class_groups,
    distribution_coefficient,
    extra_samples,
)
from iamiou_benchmarks.sfc.image_bank import bank_bytes, banked, make_bank  # noqa: E402

#: Images of VOC's train_aug that show each class, and what the published program makes of them (E = 396; E = 132).
VOC = {
    "aeroplane": (590, 7536, 0.8065, 0.7976),
    "bicycle": (504, 7698, 0.9025, 0.9249),
    "bird": (705, 8062, 0.7726, 0.7361),
    "boat": (468, 8032, 0.9809, 1.0230),
    "bottle": (714, 8134, 0.7732, 0.7347),
    "bus": (393, 9036, 1.2084, 1.3152),
    "car": (1150, 12784, 0.8725, 0.7620),
    "cat": (1005, 11044, 0.8318, 0.7423),
    "chair": (1228, 13956, 0.9068, 0.7842),
    "cow": (267, 11118, 1.7694, 2.1293),
    "diningtable": (613, 7582, 0.7929, 0.7777),
    "dog": (1188, 13316, 0.8870, 0.7709),
    "horse": (445, 8308, 1.0424, 1.1003),
    "motorbike": (492, 7792, 0.9259, 0.9542),
    "person": (4155, 66642, 1.5451, 1.1879),
    "pottedplant": (522, 7626, 0.8765, 0.8911),
    "sheep": (300, 10524, 1.5955, 1.8616),
    "sofa": (649, 7726, 0.7801, 0.7560),
    "train": (503, 7704, 0.9042, 0.9271),
    "tvmonitor": (567, 7536, 0.8257, 0.8239),
}


# The distribution coefficient


def test_coefficient_of_voc_is_the_published_one_from_its_counts():
    counts, gaps, published, once = (np.array(column) for column in zip(*VOC.values(), strict=True))
    assert [sum(abs(n - m) for m in counts) for n in counts] == gaps.tolist()
    found = distribution_coefficient(counts, 396)
    assert np.round(found, 4).tolist() == published.tolist()
    assert np.round(distribution_coefficient(counts, 132), 4).tolist() == once.tolist()
    assert found.mean() == pytest.approx(1, abs=1e-12)
    assert extra_samples(10582, 16, 4, 20, 3) == pytest.approx(396, abs=1)


def test_coefficient_of_balanced_classes_is_1_and_of_unseen_ones_0():
    assert distribution_coefficient([7, 7, 7], 0).tolist() == [1, 1, 1]
    found = distribution_coefficient([30, 0, 10], 0)
    assert found[1] == 0 and found[[0, 2]].mean() == pytest.approx(1)


@pytest.mark.parametrize("classes", [3, 4, 5, 6, 20, 80])
def test_groups_are_as_equal_as_can_be_and_in_the_order_of_counts(classes):
    counts = np.random.default_rng(classes).permutation(classes * 10)[:classes]
    groups = np.array(class_groups(counts))
    sizes = [(groups == name).sum() for name in ("Many", "Medium", "Few")]
    assert sum(sizes) == classes and max(sizes) - min(sizes) <= 1
    assert counts[groups == "Many"].min() > counts[groups == "Medium"].max() > counts[groups == "Few"].max()


# The image bank


def batch_of(classes, at, crop=4):
    """Images that are full of their number, from `at` on."""
    numbers = torch.arange(at, at + len(classes), dtype=torch.float32)
    return {
        "image": numbers[:, None, None, None].expand(-1, 3, crop, crop).clone(),
        "label": numbers.to(torch.uint8)[:, None, None].expand(-1, crop, crop).clone(),
        "classes": torch.tensor(classes, dtype=torch.float32),
    }


def test_bank_holds_the_latest_images_of_every_class_and_no_more_memory():
    bank = make_bank(3, 2, 4, "cpu", 1.0)
    assert bank.nbytes == bank_bytes(3, 2, 4) == sum(t.nbytes for t in bank.state.values())
    bank.add(batch_of([[1, 0, 0], [1, 1, 0]], 1), 0)
    bank.add(batch_of([[1, 0, 0]], 3), 1)
    assert bank.image[:, :, 0, 0, 0].tolist() == [[3, 2], [2, 0], [0, 0]]
    assert bank.when.tolist() == [[1, 0], [0, -1], [-1, -1]]
    assert bank.classes[1, 0].tolist() == [1, 1, 0]
    assert bank.age(4) == pytest.approx((3 + 4 + 4) / 3)
    assert bank.nbytes == bank_bytes(3, 2, 4)
    with pytest.raises(InputError, match=r"takes 0.25 GiB, more than bank_limit = 0.1; lower slots or crop"):
        make_bank(80, 1, 512, "cpu", 0.1)


def test_drawn_images_show_the_class_they_are_drawn_for_equally_often():
    """661 steps of 4 draws from 20 classes show each class 132.2 times."""
    classes, steps, draws = 20, 661, 4
    bank = make_bank(classes, 1, 1, "cpu", 1.0)
    bank.add(batch_of(np.eye(classes).tolist(), 0, crop=1), 0)  # one pass over images of one class each
    assert all(bank.classes[c, 0, c] == 1 for c in range(classes))
    total = np.zeros(classes)
    for step in range(steps):
        drawn = bank.draw(np.random.default_rng([0, 3, step]), draws)
        assert torch.equal(drawn["classes"].argmax(1).float(), drawn["image"][:, 0, 0, 0])
        total += drawn["classes"].sum(0).numpy()
    assert total.mean() == pytest.approx(132.2)
    spread = np.sqrt(steps * draws / classes * (1 - 1 / classes))
    assert abs(total - 132.2).max() < 4 * spread


@pytest.mark.parametrize("parts", [1, 2])
def test_batches_get_their_draws_from_seed_and_iteration_alone(parts):
    def sample(iteration):
        first = 8 * iteration
        one = batch_of([[1, 0], [0, 1], [1, 1], [0, 1]], first)
        return [{k: v[p::parts] for k, v in one.items()} for p in range(parts)]

    def drawn(seed):
        get = banked(sample, make_bank(2, 1, 4, "cpu", 1.0), 4, seed)
        return [[b["image"][:, 0, 0, 0] for b in get(k)] for k in range(5)]

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert [len(b) for b in first[0]] == [8 // parts] * parts
    assert all(torch.equal(a, b) for x, y in zip(first, again, strict=True) for a, b in zip(x, y, strict=True))
    assert any(not torch.equal(a, b) for x, y in zip(first, other, strict=True) for a, b in zip(x, y, strict=True))
    # The bank holds the last images of the whole batch, whichever micro-batch they came in.
    assert set(torch.cat([b[4 // parts :] for b in first[3]]).tolist()) <= {24 + 2, 24 + 3}
