"""Affinities and the random walk of IRN: geometry, limits, and the dense form as oracle."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from iamiou_benchmarks.cams.affinity import affinities, offsets, partners, path, walk  # noqa: E402


def test_counts_of_offsets_and_path_pixels():
    assert [len(offsets(r)) for r in (5, 10)] == [34, 152]
    assert [sum(len(path(o)) for o in offsets(r)) for r in (5, 10)] == [242, 2134]
    for radius, longest in ((5, 11), (10, 22)):
        lengths = {len(path(o)) for o in offsets(radius)}
        assert (min(lengths), max(lengths)) == (2, longest)


@pytest.mark.parametrize("offset", offsets(10))
def test_paths_have_both_ends_and_mirror(offset):
    y, x = offset
    assert {(0, 0), offset} <= set(path(offset))
    assert {(b, -a) for b, a in path(offset)} == set(path((y, -x)))
    assert all(y * y + x * x < 100 for y, x in path(offset))


def slow_affinity(boundary, y, x, offset):
    """One affinity by the definition; None when the partner is outside."""
    height, width = boundary.shape
    if not (0 <= y + offset[0] < height and 0 <= x + offset[1] < width):
        return None
    return 1 - max(float(boundary[y + a, x + b]) for a, b in path(offset))


def test_affinities_are_those_of_the_definition():
    boundary = torch.rand(7, 9, generator=torch.Generator().manual_seed(1))
    found = affinities(boundary[None], 4)[0]
    for k, offset in enumerate(offsets(4)):
        for y in range(7):
            for x in range(9):
                expected = slow_affinity(boundary, y, x, offset)
                assert float(found[k, y, x]) == pytest.approx(0 if expected is None else expected, abs=1e-7)


def test_no_boundary_is_full_affinity_and_a_line_cuts():
    assert (affinities(torch.zeros(1, 8, 8), 3)[0, offsets(3).index((1, 0)), :-1] == 1).all()
    boundary = torch.zeros(1, 12, 12)
    boundary[0, :, 6] = 1
    other = partners(torch.arange(12.0).expand(1, 12, 12), 4, -1)[0]
    mine = torch.arange(12.0).expand(12, 12)
    crossing = (other >= 0) & (torch.minimum(mine, other) < 6) & (torch.maximum(mine, other) > 6)
    assert crossing.any()
    assert (affinities(boundary, 4)[0][crossing] == 0).all()


def dense_walk(maps, boundary, radius, beta, exponent):
    """The published form: the dense matrix, squared again and again."""
    height, width = boundary.shape
    n = height * width
    matrix = torch.eye(n, dtype=torch.float64)
    for offset in offsets(radius):
        for y in range(height):
            for x in range(width):
                a = slow_affinity(boundary, y, x, offset)
                if a is not None:
                    i, j = y * width + x, (y + offset[0]) * width + x + offset[1]
                    matrix[i, j] = matrix[j, i] = a**beta
    matrix = matrix / matrix.sum(0)
    assert torch.allclose(matrix.sum(0), torch.ones(n, dtype=torch.float64))
    for _ in range(exponent):
        matrix = matrix @ matrix
    return ((maps * (1 - boundary)).reshape(len(maps), -1).double() @ matrix).view(maps.shape)


@pytest.mark.parametrize(("height", "width"), [(9, 13), (14, 7), (1, 6)])
def test_walk_equals_dense_squarings(height, width):
    random = torch.Generator().manual_seed(height)
    maps, boundary = torch.rand(2, height, width, generator=random), torch.rand(height, width, generator=random)
    found = walk(maps, boundary, radius=5, beta=10, steps=2**8)
    assert torch.allclose(found.double(), dense_walk(maps, boundary, 5, 10, 8), rtol=0, atol=1e-6)


def test_walk_keeps_to_its_side_of_a_line():
    boundary = torch.zeros(10, 21)
    boundary[:, 10] = 1
    maps = torch.zeros(1, 10, 21)
    maps[0, 5, 2] = 1
    found = walk(maps, boundary, radius=5, steps=64)[0]
    assert float(found[:, :10].min()) > 0
    assert float(found[:, 11:].abs().max()) == 0
