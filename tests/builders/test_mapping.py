"""The mapping: complete for both versions of LVIS, a reason on each line, and what a wrong one is told."""

from __future__ import annotations

import pytest

from iamiou.coco_categories import COCO_IDS
from iamiou.errors import InputError
from iamiou.labels import COCO, VOC, VOC_NAME_OF_COCO
from iamiou_builders.mapping import load_mapping, lvis_synsets, lvis_version
from iamiou_builders.recipe import load_recipe

MAPPING = load_mapping(load_recipe("pascal-b").mapping)
V05, V1 = lvis_synsets()["v0.5"], lvis_synsets()["v1"]


def test_every_class_has_its_category_of_coco():
    names = dict(zip(COCO_IDS, COCO.names[1:], strict=True))
    for number, line in MAPPING.coco.items():
        assert line.key == f"{number} {names[number]}"
        assert line.classes == (VOC_NAME_OF_COCO.get(names[number], names[number]),)
    assert {line.classes[0] for line in MAPPING.coco.values()} == set(VOC.names[1:])


def test_every_line_names_a_synset_of_lvis_and_gives_a_reason():
    assert set(MAPPING.lvis) <= V05 | V1
    assert all(len(line.reason) > 5 for line in MAPPING.lines)


def test_every_class_finds_its_objects_in_both_versions():
    for version in (V05, V1):
        found = {line.classes[0] for key, line in MAPPING.lvis.items() if key in version and "object" in line.role}
        assert found == set(VOC.names[1:]) - {"pottedplant"}  # for which there is only evidence


@pytest.mark.parametrize(
    ("synset", "name", "role"),
    [
        ("chihuahua.n.03", "dog", "object"),
        ("dachshund.n.01", "dog", "object"),
        ("motorboat.n.01", "boat", "object"),
        ("fishing_boat.n.01", "boat", "object"),
        ("wing_chair.n.01", "chair", "object"),
        ("turkey.n.01", "bird", "object"),
        ("police_van.n.01", "car", "ignore"),
    ],
)
def test_synsets_that_only_v05_has_are_there(synset, name, role):
    assert synset in V05 - V1
    assert (MAPPING.lvis[synset].classes, MAPPING.lvis[synset].role) == ((name,), role)


@pytest.mark.parametrize(
    ("synset", "role"),
    [
        ("beef.n.01", "object"),  # cow; beef.n.02 is the food
        ("pot.n.04", "evidence"),
        ("dining_table.n.01", "object-coco"),
        ("car.n.02", "part"),
        ("helicopter.n.01", "background"),
        ("laptop.n.01", "background"),
        ("wheelchair.n.01", "background"),
        ("table.n.02", "ignore"),
    ],
)
def test_the_traps_have_their_roles(synset, role):
    assert MAPPING.lvis[synset].role == role


def test_beef_that_is_eaten_is_no_cow():
    assert "beef.n.02" not in MAPPING.lvis


def test_versions_are_told_by_their_synsets():
    assert (len(V05), len(V1), len(V05 & V1)) == (1230, 1203, 1151)
    assert lvis_version(V05) == "v0.5"
    assert lvis_version(V1) == "v1"


@pytest.mark.parametrize(
    ("synsets", "sentence"),
    [
        (V1 - {"cat.n.01"}, "has categories of 1202 synsets, neither the 1230 of v0.5 nor the 1203 of v1; give"),
        (V1 | {"cat.n.99"}, "unknown to both: cat.n.99"),
        (frozenset({"None"}), "1 synsets"),
    ],
)
def test_other_vocabularies_are_refused(synsets, sentence):
    with pytest.raises(InputError) as e:
        lvis_version(frozenset(synsets))
    assert sentence in str(e.value)


GOOD = "cat\tcoco\t17 cat\tobject\tthe class itself"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no line of class"),
        (GOOD, "does not say its version"),
        (f"# version: 1\n{GOOD}\n{GOOD}", "Line 3 .* gives '17 cat' a second time"),
        ("# version: 1\ncat\tcoco\t17 cat\tobject", "Line 2 .* has 4 cells"),
        ("# version: 1\ncat\tcoco\t17 cat\tobject\t ", "or an empty one"),
        ("# version: 1\ncat\tcoco\t17 cat\tobjekt\twhy", "unknown role 'objekt' .do you mean 'object'"),
        ("# version: 1\ncat\tvoc\t17 cat\tobject\twhy", "unknown source 'voc'"),
        ("# version: 1\ncat\tcoco\tcat\tobject\twhy", "key 'cat'; for coco give number and name"),
        ("# version: 1\ncat\tcoco\t17 cat\tpart\twhy", "role 'part', which only categories of LVIS have"),
        ("# version: 1\ncat\tlvis\tcta.n.01\tobject\twhy", "synset 'cta.n.01', which no known .* mean 'cat.n.01'"),
        ("# version: 1\ncat,dog\tlvis\tpet.n.01\tobject\twhy", "for several classes; only ignore and background may"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, sentence):
    path = tmp_path / "m.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        load_mapping(path)


def test_a_mapping_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_mapping(tmp_path / "none.tsv")
