"""The compiled loops against the oracle, on every kind of map, and the laws that any right answer obeys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import iamiou
from iamiou.pairs import ground_truth_components
from tests import oracles
from tests.counting import CLASSES, agree, count_case, counted, expected, random_case
from tests.strategies import NUM_CLASSES, Case, cases, label_maps, nested, shapes

every_connectivity = pytest.mark.parametrize("connectivity", oracles.CONNECTIVITIES)


@every_connectivity
@given(case=cases())
def test_eight_bit_maps_agree_with_the_oracle(connectivity, case):
    agree(count_case(case, connectivity), expected(case, connectivity))


@every_connectivity
@given(case=cases(void=65535))
def test_sixteen_bit_maps_agree_with_the_oracle(connectivity, case):
    agree(count_case(case, connectivity), expected(case, connectivity))


@every_connectivity
@given(case=cases(most=32))
def test_larger_maps_agree_with_the_oracle(connectivity, case):
    agree(count_case(case, connectivity), expected(case, connectivity))


@given(st.data())
def test_nested_rings_agree_with_the_oracle(data):
    """Rings are rare in the other maps, and the nested rule is about nothing else."""
    shape = data.draw(st.tuples(st.integers(7, 20), st.integers(7, 20)))
    case = Case(*(data.draw(nested(shape, labels)) for labels in (NUM_CLASSES, NUM_CLASSES, 5)))
    agree(count_case(case), expected(case))


WALLS = {
    "a diamond around a dot": """
        ...#...
        ..#.#..
        .#...#.
        #..#..#
        .#...#.
        ..#.#..
        ...#...
    """,
    "two diamonds, so that a gap outside lies between gaps inside": """
        ...#.....#...
        ..#.#...#.#..
        .#...#.#...#.
        #..#..#..#..#
        .#...#.#...#.
        ..#.#...#.#..
        ...#.....#...
    """,
    "an octagon with rounded corners": """
        ..####..
        .#....#.
        #......#
        #..##..#
        #......#
        .#....#.
        ..####..
    """,
    "chambers with a common wall": """
        .#######.
        #.......#
        #..#....#
        #......#.
        #####.#..
        .....#...
        .#.#..###
        #...#...#
        #.#..#..#
        .#.....#.
        ..#####..
    """,
    "two halves of a ring, an empty row between them": """
        .#####.....
        #.....#..#.
        #..#..#.#.#
        #.....#..#.
        ...........
        #.....#....
        #.....#....
        .#####.....
    """,
    "a labyrinth that is open at one corner": """
        #########
        #.......#
        #.#####.#
        #.#...#.#
        #.#.#.#.#
        #.#...#.#
        #.####..#
        #......#.
        ########.
    """,
}


@pytest.mark.parametrize("turn", [np.asarray, np.transpose], ids=["upright", "on its side"])
@pytest.mark.parametrize("picture", WALLS.values(), ids=WALLS.keys())
def test_one_pixel_opens_or_closes_a_wall(picture, turn):
    """Walls that hold by a corner: with every single pixel turned over, and every two in a row of the map."""
    wall = turn(np.array([[s == "#" for s in line] for line in picture.split()]))
    background = np.zeros(wall.shape, np.uint8)
    for pixel in range(wall.size):
        for also in (pixel, pixel + 1):
            turned = wall.copy()
            turned.flat[pixel : also + 1] ^= True
            case = Case(turned.astype(np.uint8), background, background)
            agree(count_case(case), expected(case))


@given(shapes(20).flatmap(label_maps), st.sampled_from([("plain8", 8), ("plain4", 4)]))
def test_components_stand_in_for_instances(semantic, how):
    name, connectivity = how
    numbered = ground_truth_components(semantic, connectivity)
    assert ((numbered == 0) == (semantic == 0)).all()
    for c in range(1, NUM_CLASSES):
        parts = oracles.components(oracles.pixels(semantic == c), semantic.shape, name)
        ids = np.unique(numbered[semantic == c])
        assert set(parts) == {oracles.pixels(numbered == k) for k in ids}


@given(case=cases())
def test_without_instances_the_components_of_the_truth_are_scored(case):
    stand_in = ground_truth_components(case.semantic)
    oracle = oracles.one_image(case.pred, case.semantic, stand_in, NUM_CLASSES, inst_void=-1)
    agree(counted(case.pred, case.semantic, None), oracle)


@given(case=cases(), order=st.permutations(range(1, NUM_CLASSES)))
def test_relabelling_the_classes_permutes_the_results(case, order):
    table = np.arange(256, dtype=np.uint8)
    table[1:NUM_CLASSES] = order
    inverse = np.argsort(table[:NUM_CLASSES])
    agreeing = np.where(expected(case).mixed, 0, 1).all()  # a mixed instance takes the largest label: not symmetric
    old = count_case(case)
    new = counted(table[case.pred], table[case.semantic], case.instance)
    assert (new.confusion == old.confusion[inverse][:, inverse]).all()
    if agreeing:
        back = new.instances.copy()
        back[:, 2] = inverse[back[:, 2]]
        assert back.tolist() == old.instances.tolist()
        assert sorted([int(inverse[c]), a] for _, c, a in new.phantoms.tolist()) == old.phantoms[:, 1:].tolist()


@given(case=cases(), data=st.data())
def test_relabelling_the_instances_changes_their_ids_alone(case, data):
    ids = sorted(set(np.unique(case.instance).tolist()) - {0, 255})
    fresh = data.draw(st.lists(st.integers(1, 254), min_size=len(ids), max_size=len(ids), unique=True))
    table = np.arange(256, dtype=np.uint8)
    table[ids] = fresh
    old, new = count_case(case), counted(case.pred, case.semantic, table[case.instance])
    rename = dict(zip(ids, fresh, strict=True))
    renamed = sorted([0, rename[row[1]], *row[2:]] for row in old.instances.tolist())
    assert renamed == new.instances.tolist()
    assert (old.phantoms == new.phantoms).all()
    assert (old.confusion == new.confusion).all()


TURNS = {
    "left to right": np.fliplr,
    "upside down": np.flipud,
    "by 90 degrees": np.rot90,
    "by 180 degrees": lambda labels: np.rot90(labels, 2),
    "along the diagonal": np.transpose,
}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS.keys())
@every_connectivity
def test_turning_and_mirroring_change_nothing(turn, connectivity):
    @given(case=cases())
    def holds(case):
        assert count_case(case.map(turn), connectivity) == count_case(case, connectivity)

    holds()


@given(case=cases(), other=st.randoms(use_true_random=False))
def test_more_void_only_removes_pixels(case, other):
    rng = np.random.default_rng(other.getrandbits(32))
    more = np.where(rng.random(case.pred.shape) < 0.3, np.uint8(255), case.semantic)
    old, new = count_case(case), counted(case.pred, more, case.instance)
    assert (new.confusion <= old.confusion).all()
    assert sum(new.phantoms[:, 2]) <= new.prediction[0, 1:].sum()
    before = {row[1]: row for row in old.instances.tolist()}
    for row in new.instances.tolist():
        if row[1] in before and before[row[1]][2] == row[2]:  # else a mixed instance lost its largest class
            assert row[3] <= before[row[1]][3]
            assert row[4] <= before[row[1]][4]
            assert row[6] <= before[row[1]][6]


@every_connectivity
@given(case=cases(), under_void=st.integers(0, NUM_CLASSES - 1))
def test_predicting_the_truth_gives_one_everywhere(connectivity, case, under_void):
    """Also where instances share a component: it has no false positive to share."""
    pred = np.where(case.semantic == 255, np.uint8(under_void), case.semantic)
    counts = counted(pred, case.semantic, case.instance, connectivity)
    assert (counts.confusion == np.diag(counts.hit[0])).all()
    mixed = expected(case).mixed
    for _, k, _, area, tp, fp, components in counts.instances.tolist():
        if k not in mixed:  # such an instance has pixels of another class, which its own class cannot hit
            assert (tp, fp) == (area, 0)
            assert components >= 1
    if not mixed:
        report = iamiou.score(pred, case.semantic, case.instance, classes=CLASSES)
        scores = [v for k, v in report.scores.items() if k != "gap_SL"]
        assert all(v == 1 or np.isnan(v) for v in scores)


@every_connectivity
@given(case=cases())
def test_the_pixels_of_the_components_add_up(connectivity, case):
    counts = count_case(case, connectivity)
    rows = counts.instances
    iou = counts.iou()
    assert ((iou >= 0) & (iou <= 1)).all()
    assert (rows[:, 4] <= rows[:, 3]).all()
    assert (rows[:, 5] >= 0).all()
    assert ((rows[:, 6] > 0) == (rows[:, 4] > 0)).all()
    assert counts.confusion.sum() == counts.truth.sum() == counts.prediction.sum()
    assert (counts.confusion.diagonal() == counts.hit[0]).all()
    if expected(case).mixed:
        return
    for c in range(1, NUM_CLASSES):
        mine, ghosts = rows[rows[:, 2] == c], counts.phantoms[counts.phantoms[:, 1] == c]
        assert mine[:, 3].sum() <= counts.truth[0, c]
        assert mine[:, 4].sum() <= counts.hit[0, c]
        # Shares are rounded down: what the instances bear and the phantoms are never exceeds what was predicted.
        assert mine[:, 4:6].sum() + ghosts[:, 2].sum() <= counts.prediction[0, c]


@pytest.mark.parametrize("void", [255, 65535])
@pytest.mark.parametrize(
    "shape", [(1, 32768), (32768, 1), (2, 16384), (3, 16383), (3, 16385), (40, 1000), (190, 173), (5461, 3)], ids=str
)
def test_maps_of_many_blocks_agree_with_the_oracle(shape, void):
    """The loops read some 16,000 pixels at a time: components, instances and tables reach over the seams."""
    case = random_case(shape[0], shape, void, ids=200 if void == 255 else 60000)
    agree(count_case(case), expected(case))


def test_many_instances_in_a_sixteen_bit_map():
    instance = np.arange(1, 60001, dtype=np.uint16).reshape(200, 300)
    semantic = np.ones((200, 300), np.uint16)
    counts = counted(np.ones((200, 300), np.uint8), semantic, instance)
    assert counts.instances[:, 1].tolist() == list(range(1, 60001))
    assert (counts.instances[:, 3:] == [1, 1, 0, 1]).all()
