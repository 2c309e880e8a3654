"""Counts add: any split of the images, in any order, gives the same bytes, and no image counts twice."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import iamiou
from iamiou.counts import Counts, from_arrays, merge
from iamiou.pairs import PairCounter, Rule
from iamiou.report import load
from iamiou.scores import headline
from tests import fakes

IMAGES = fakes.scenes(9, seed=4, shape=(40, 50))
CLASSES = iamiou.load_classes("voc")


def count(images) -> Counts:
    """Count scenes one after the other."""
    counter = PairCounter(CLASSES, Rule())
    for image in images:
        counter.add(image.id, image.prediction, image.semantic, image.instance)
    return counter.counts()


ALL = count(IMAGES)


def as_bytes(counts: Counts) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Return everything that makes two counts the same to the last bit."""
    return {k: (a.dtype.str, a.shape, a.tobytes()) for k, a in counts.arrays().items()}


def test_the_fake_images_have_something_to_count():
    assert len(ALL.images) == 9
    assert len(ALL.instances) > 20
    assert len(ALL.phantoms) > 5
    assert (ALL.instances[:, 5] > 0).any()


@given(order=st.permutations(range(len(IMAGES))), cuts=st.lists(st.integers(0, len(IMAGES)), max_size=4))
def test_any_split_in_any_order_gives_the_same_bytes(order, cuts):
    edges = [0, *sorted(cuts), len(IMAGES)]
    parts = [count(IMAGES[k] for k in order[a:b]) for a, b in itertools.pairwise(edges)]
    added = functools.reduce(operator.add, parts)
    assert added.images == ALL.images
    assert as_bytes(added) == as_bytes(merge(parts)) == as_bytes(ALL)


@given(order=st.permutations(range(len(IMAGES))))
def test_scores_have_the_same_bits_in_any_order(order):
    added = functools.reduce(operator.add, (count([IMAGES[k]]) for k in order))
    assert [v.hex() for v in headline(added).values()] == [v.hex() for v in headline(ALL).values()]


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """Write the truth of the fake images once: (semantic folder, instance folder, list)."""
    return fakes.flat_folders(tmp_path_factory.mktemp("truth"), IMAGES)


def evaluated(predictions, truth, list_file=None, **options) -> iamiou.Report:
    """Score a folder or an archive against the fake truth."""
    semantic, instances, names = truth
    return iamiou.evaluate(
        predictions, semantic=semantic, instances=instances, list_file=list_file or names, bootstrap=0, **options
    )


@settings(max_examples=8)
@given(order=st.permutations(IMAGES), listed=st.permutations(IMAGES), threads=st.integers(1, 4))
def test_the_order_of_the_files_does_not_matter(tmp_path_factory, truth, order, listed, threads):
    folder = tmp_path_factory.mktemp("predictions")
    fakes.prediction_folder(folder / "files", order)  # written, and so often listed, in this order
    names = fakes.image_list(folder / "list.txt", listed)
    report = evaluated(folder / "files", truth, names, threads=threads)
    assert as_bytes(report.counts) == as_bytes(ALL)
    assert report.counts.images == ALL.images
    assert report.to_json() == evaluated(folder / "files", truth).to_json()


@pytest.mark.parametrize("kind", ["png", "grey", "npy", "zip", "tar", "tar.gz"])
def test_the_form_of_the_files_does_not_matter(tmp_path, truth, kind):
    form = kind if kind in ("png", "grey", "npy") else "png"
    path = fakes.prediction_folder(tmp_path / "files", IMAGES, kind=form)
    if form != kind:
        path = fakes.archive(tmp_path / f"predictions.{kind}", path)
    assert evaluated(path, truth).counts == ALL


def test_a_devkit_and_flat_folders_are_the_same_data_set(tmp_path, truth):
    predictions = fakes.prediction_folder(tmp_path / "predictions", IMAGES)
    devkit = fakes.voc_devkit(tmp_path / "voc", IMAGES, "trainval")
    report = iamiou.evaluate(predictions, devkit, split="trainval", bootstrap=0)
    assert report.counts == ALL
    assert report.digest == evaluated(predictions, truth).digest


def test_adding_nothing_changes_nothing():
    zero = Counts.zero(len(CLASSES))
    assert as_bytes(zero + ALL) == as_bytes(ALL + zero) == as_bytes(ALL)
    assert as_bytes(zero + zero) == as_bytes(zero)


def test_adding_leaves_the_parts_alone():
    one, other = count(IMAGES[:4]), count(IMAGES[4:])
    before = as_bytes(one), as_bytes(other)
    _ = other + one
    assert (as_bytes(one), as_bytes(other)) == before


def test_an_image_is_added_once():
    with pytest.raises(iamiou.InputError, match="2007_000003") as caught:
        _ = ALL + count(IMAGES[2:3])
    assert caught.value.exit_code == 2


def test_merging_many_refuses_an_image_that_comes_twice():
    with pytest.raises(iamiou.InputError, match="2007_000002"):
        merge([count(IMAGES[:2]), count(IMAGES[2:4]), count(IMAGES[1:2])])


def test_other_numbers_of_classes_are_refused():
    with pytest.raises(iamiou.InputError, match=r"21 and of 81"):
        _ = ALL + Counts.zero(81)


def test_selecting_gives_the_rows_of_counting_those_images_alone():
    some = [IMAGES[k].id for k in (6, 1, 3)]
    selected, alone = ALL.select(some), count(IMAGES[k] for k in (1, 3, 6))
    assert selected.images == alone.images
    for name in ("truth", "prediction", "hit", "instances", "phantoms"):
        assert np.array_equal(getattr(selected, name), getattr(alone, name)), name
    assert headline(selected) == pytest.approx(headline(alone), abs=0, nan_ok=True)


def test_selecting_an_image_that_is_not_there_is_a_key_error():
    with pytest.raises(KeyError):
        ALL.select(["2007_000001", "elsewhere"])


def test_all_records_are_integers_of_64_bits():
    assert {a.dtype for a in ALL.arrays().values()} == {np.dtype(np.int64)}


def test_rows_are_sorted_and_name_their_image():
    order = [(row[0], row[1]) for row in ALL.instances.tolist()]
    assert order == sorted(set(order))
    assert ALL.phantoms.tolist() == sorted(ALL.phantoms.tolist())
    for k, image in enumerate(IMAGES):
        rows = ALL.instances[ALL.instances[:, 0] == k]
        assert set(rows[:, 1]) == set(np.unique(image.instance)) - {0, 255}


def test_equality_looks_at_every_integer():
    assert count(IMAGES) == ALL
    for name, array in ALL.arrays().items():
        other = array.copy()
        other.flat[0] += 1
        assert dataclasses.replace(ALL, **{name: other}) != ALL
    assert dataclasses.replace(ALL, images=ALL.images[::-1]) != ALL
    assert ALL != "something else"


@settings(max_examples=10)
@given(size=st.integers(1, len(IMAGES)))
def test_saving_and_loading_keeps_every_integer(tmp_path_factory, size):
    path = tmp_path_factory.mktemp("saved") / "counts.npz"
    image = IMAGES[0]
    report = iamiou.score(image.prediction, image.semantic, image.instance)
    dataclasses.replace(report, counts=count(IMAGES[:size])).save(path)
    loaded = load(path)
    assert as_bytes(loaded.counts) == as_bytes(count(IMAGES[:size]))
    assert loaded.counts.images == tuple(image.id for image in IMAGES[:size])
    assert loaded.digest == report.digest
    assert loaded.class_list == report.class_list
    assert [p.name for p in path.parent.iterdir()] == ["counts.npz"]


def test_saved_counts_need_no_pickle(tmp_path):
    image = IMAGES[0]
    iamiou.score(image.prediction, image.semantic, image.instance).save(tmp_path / "counts.npz")
    with np.load(tmp_path / "counts.npz", allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("confusion", lambda a: a[:-1]),
        ("truth", lambda a: a[:, :-1]),
        ("hit", lambda a: a.astype(np.float64)),
        ("prediction", lambda a: a[:-1]),
        ("instances", lambda a: a[:, :-1]),
        ("instances", lambda a: np.add(a, [100, 0, 0, 0, 0, 0, 0])),
        ("instances", lambda a: np.add(a, [0, 0, 100, 0, 0, 0, 0])),
        ("instances", lambda a: np.subtract(a, [0, 0, 0, 0, 10**6, 0, 0])),
        ("phantoms", lambda a: np.add(a, [0, 100, 0])),
        ("phantoms", lambda a: a.ravel()),
    ],
)
def test_saved_counts_of_a_stranger_are_checked(name, change):
    arrays = ALL.arrays()
    assert from_arrays(ALL.num_classes, ALL.images, arrays) == ALL
    with pytest.raises(iamiou.InputError, match=name):
        from_arrays(ALL.num_classes, ALL.images, arrays | {name: change(arrays[name])})


def test_a_file_that_holds_no_counts_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "text.npz").write_text("not a zip file")
    for name in ("other.npz", "text.npz", "missing.npz"):
        with pytest.raises(iamiou.InputError, match=name):
            load(tmp_path / name)
