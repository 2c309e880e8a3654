"""Images beyond 512 pixels, in both directions: nothing is cut off on the way to class maps, walks and predictions."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from iamiou_benchmarks.cams.maps import ClassMaps  # noqa: E402
from iamiou_benchmarks.methods import irn, predict  # noqa: E402
from iamiou_benchmarks.methods.cam import activation  # noqa: E402

SIZES = [(480, 640), (640, 480), (520, 640), (513, 1030)]


def pooled(images, stride):
    """How red the images are at a stride; rows and columns that do not fill a cell count too."""
    return functional.avg_pool2d(images[:, :1], stride, ceil_mode=True)


def corner(height, width):
    """Make a black photograph with a red square in its last 24 rows and columns."""
    image = np.zeros((height, width, 3), np.uint8)
    image[-24:, -24:, 0] = 255
    return image


def check_corner(found, height, width):
    """Nothing but the last corner is above half of the maximum, and its last pixel is."""
    assert found.shape == (height, width)
    rows, columns = np.nonzero(found > found.max() / 2)
    assert (rows.max(), columns.max()) == (height - 1, width - 1)
    assert rows.min() > height - 64 and columns.min() > width - 64


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_activation_reaches_the_last_corner(height, width):
    seen = []

    def raw(images):
        seen.append(tuple(images.shape[2:]))
        return pooled(images, 16)

    strided, full = activation(raw, corner(height, width), np.array([0]), [1.0, 0.5, 1.5], 4)
    assert seen == [(round(s * height), round(s * width)) for s in (1.0, 0.5, 1.5)]  # the network sees all of it
    check_corner(full[0], height, width)
    check_corner(strided[0], (height - 1) // 4 + 1, (width - 1) // 4 + 1)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_walk_covers_all_of_the_image_and_boundaries_hold_beyond_512(height, width):
    seen = []

    def raw(images):
        seen.append(tuple(images.shape[2:]))
        return 20 * pooled(images, 4)[:, 0] - 10

    wall = np.zeros((height, width, 3), np.uint8)
    wall[-40:-32] = 255  # a line to the right border, 32 pixels above the lower one
    boundary = irn.boundary_of(raw, wall)
    small = (height - 1) // 4 + 1, (width - 1) // 4 + 1
    assert seen == [(height, width)] and boundary.shape == small
    strided = np.zeros((1, *small), np.float32)
    strided[0, -2:, -2:] = 1
    maps = ClassMaps(np.array([0]), strided, np.zeros((1, height, width), np.float32), 0.25)
    found = irn.refined(maps, boundary, (height, width), irn.Options(exponent=4))
    assert found.strided.shape == (1, *small) and found.full.shape == (1, height, width)
    assert found.full.max() == pytest.approx(1) and found.full[0, -1, -1] > 0.5
    assert found.strided[0, -7:, -8].min() > 0  # below the line the class walks
    assert not found.strided[0, :-10].any()  # and not over it


def test_predictions_have_the_size_of_the_image():
    image = corner(520, 640)

    def model(x):
        red = pooled(x, 8)
        return torch.cat([-red, red], 1)

    found = predict.probabilities(model, image, predict.Options(scales=(0.5, 1.0), flip=True), "cpu")
    assert found.shape == (2, 520, 640)
    check_corner((found.argmax(0) == 1).astype(np.float32), 520, 640)
