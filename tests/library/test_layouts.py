"""Label maps as people have them: other integers, other strides, other files, other sizes; and what is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import iamiou
from tests import oracles
from tests.counting import CLASSES, agree, count_case, counted, random_case
from tests.strategies import NUM_CLASSES, cases


@given(case=cases(void=65535), dtype=st.sampled_from(["<i2", ">i2", "<i4", ">u4", "<i8", ">i8", "u8", "bool"]))
def test_the_dtype_of_a_prediction_does_not_matter(case, dtype):
    pred = case.pred if dtype != "bool" else case.pred > 0
    want = counted(pred.astype(np.uint8), case.semantic, case.instance)
    assert counted(pred.astype(dtype), case.semantic, case.instance) == want


@given(case=cases(), dtype=st.sampled_from(["<i2", ">i4", "<i8", "u4", ">u8"]))
def test_eight_bit_truth_may_come_in_wider_integers(case, dtype):
    assert count_case(case.map(lambda labels: labels.astype(dtype))) == count_case(case)


@given(case=cases(void=65535))
def test_sixteen_bit_truth_may_come_in_either_byte_order(case):
    assert count_case(case.map(lambda labels: labels.astype(labels.dtype.newbyteorder(">")))) == count_case(case)


@given(case=cases(), dtype=st.sampled_from(["<i2", ">i2", "<i4", ">u4", "<i8"]))
def test_the_digest_of_a_data_set_knows_pixels_not_dtypes(case, dtype):
    def digest(case):
        return iamiou.score(case.pred, case.semantic, case.instance, classes=CLASSES).digest

    wide = case.map(lambda labels: labels.astype(dtype))
    assert digest(wide) == digest(case) == digest(case.map(np.asfortranarray))
    if (case.semantic != 255).any():
        other = np.where(case.semantic == 255, case.semantic, (case.semantic + 1) % NUM_CLASSES).astype(np.uint8)
        assert iamiou.score(case.pred, other, case.instance, classes=CLASSES).digest != digest(case)


@given(case=cases(void=65535))
def test_the_digest_of_sixteen_bit_truth_does_not_depend_on_the_byte_order(case):
    digests = [
        iamiou.score(c.pred, c.semantic, c.instance, classes=CLASSES).digest
        for c in (case, case.map(lambda labels: labels.astype(labels.dtype.newbyteorder(">"))))
    ]
    assert digests[0] == digests[1]


def test_lists_are_arrays_too():
    maps = [[[0, 1, 1], [0, 2, 255]]] * 2
    assert (
        iamiou.score([[0, 1, 1], [0, 2, 2]], *maps).counts
        == iamiou.score(np.array([[0, 1, 1], [0, 2, 2]]), *np.array(maps)).counts
    )


def test_an_id_of_255_is_an_instance_in_sixteen_bits_of_either_byte_order():
    semantic = np.array([[1, 1, 2]], np.uint8)
    for dtype in ("<u2", ">u2"):
        instance = np.array([[255, 255, 7]], dtype)
        assert counted(semantic, semantic, instance).instances[:, 1].tolist() == [7, 255]


def read_only(labels: np.ndarray) -> np.ndarray:
    """Return a copy that cannot be written."""
    out = labels.copy()
    out.flags.writeable = False
    return out


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "every second pixel of a larger map": lambda a: np.kron(a, np.ones((2, 3), a.dtype))[::2, ::3],
    "backwards": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "a channel of an RGB picture": lambda a: np.stack([a, a * 0, a * 0 + 7], axis=-1)[..., 0],
    "a column repeated by stride 0": lambda a: np.broadcast_to(a[:, :1], a.shape),
    "read-only": read_only,
    "unaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("void", [255, 65535])
def test_the_layout_in_memory_does_not_matter(layout, void):
    @given(case=cases(void=void))
    def holds(case):
        laid_out = case.map(layout)
        plain = case.map(lambda labels: np.array(layout(labels), order="C"))
        assert count_case(laid_out) == count_case(plain)

    holds()


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_memory_mapped_maps_are_read_in_place(tmp_path, dtype):
    case = random_case(1, (50, 70)).map(lambda labels: labels.astype(dtype))
    for k, labels in enumerate((case.pred, case.semantic, case.instance)):
        np.save(tmp_path / f"{k}.npy", labels)
    mapped = [np.load(tmp_path / f"{k}.npy", mmap_mode="r") for k in range(3)]
    assert all(isinstance(labels, np.memmap) for labels in mapped)
    assert counted(*mapped) == count_case(case)


@pytest.mark.parametrize("top", [2**20, 2**31 - 1])
def test_instance_ids_may_have_31_bits(top):
    @given(case=cases(), seed=st.integers(0, 1000))
    def holds(case, seed):
        """Beyond 16 bits no id means void."""
        no_void = np.where(case.instance == 255, 0, case.instance)
        ids = np.random.default_rng(seed).integers(65536, top, 255)
        ids[0] = 0
        wide = ids[no_void]
        old = counted(case.pred, case.semantic, no_void).instances
        new = counted(case.pred, case.semantic, wide).instances
        assert sorted([int(ids[row[1]]), *row[2:]] for row in old.tolist()) == [row[1:] for row in new.tolist()]

    holds()


def test_an_eight_bit_map_with_gaps_may_use_its_last_id_beside_void():
    """Ids have gaps: 254 says nothing of how many instances there are."""
    agree(
        counted(np.array([[1, 1, 2]]), np.array([[1, 1, 2]]), np.array([[255, 254, 254]], np.uint8)),
        oracles.one_image(np.array([[1, 1, 2]]), np.array([[1, 1, 2]]), np.array([[255, 254, 254]]), NUM_CLASSES),
    )


def test_an_eight_bit_map_whose_ids_ran_out_is_refused():
    """The 255th instance of a map of 8 bits looks like void; counting on would lose it without a word."""
    instance = np.arange(1, 256, dtype=np.uint8).reshape(15, 17)
    semantic = np.ones_like(instance)
    with pytest.raises(iamiou.InputError, match="16 bits"):
        counted(semantic, semantic, instance)
    assert len(counted(semantic, semantic, instance.astype(np.uint16)).instances) == 255


@pytest.mark.parametrize("size", [255, 256, 300, 1204])
def test_more_classes_than_eight_bits_hold(size):
    """Where the truth has 16 bits, 255 is a class like any other and 65535 is void."""
    classes = iamiou.ClassList("many", ("background", *(f"class {k}" for k in range(1, size))))
    truth = np.array([[0, 253, size - 1, 254, 65535, 1]], np.uint16)
    pred = np.array([[0, 253, size - 1, size - 1, 1, 2]], np.uint16 if size > 256 else np.uint8)
    oracle = oracles.one_image(pred, truth, truth, size, sem_void=65535, inst_void=65535)
    agree(counted(pred, truth, truth, classes=classes), oracle)


@pytest.mark.parametrize("where", range(3))
@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (5,), (5, 5, 3), ()], ids=str)
def test_what_is_no_map_is_refused_with_a_sentence(shape, where):
    maps = [np.zeros((5, 5), np.uint8) for _ in range(3)]
    maps[where] = np.zeros(shape, np.uint8)
    with pytest.raises(iamiou.InputError, match=r"(is no label map|differs in size)") as caught:
        iamiou.score(*maps)
    assert "x".join(map(str, shape)) in str(caught.value).replace(" ", "") or not shape
