"""Recipes: the one that comes along, a user's own, and everything that can be wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from iamiou.errors import InputError
from iamiou_builders.annotations import read_sources
from iamiou_builders.availability import candidates_of
from iamiou_builders.mapping import load_mapping
from iamiou_builders.recipe import RECIPES, load_recipe
from iamiou_builders.resolve import resolve_pool
from tests.builders.fake_sources import annotation, area, image, write_coco

OWN = """
name = "pets"
version = "3"
classes = ["cat", "dog"]
mapping = "pets.tsv"
[bins]
names = ["tiny", "rest"]
edges = [400]
[selection]
per_cell = 5
[rules]
min_area = 4
min_visible = 0
[[annotations]]
name = "pets.json"
kind = "coco"
split = "val"
url = "https://example.org/pets.json"
bytes = 12
"""
PETS = "# version: 3\ncat\tcoco\t17 cat\tobject\tours\ndog\tcoco\t18 dog\tobject\tours\n"


def write(folder: Path, text: str) -> Path:
    (folder / "pets.tsv").write_text(PETS)
    (folder / "pets.toml").write_text(text)
    return folder / "pets.toml"


def test_pascal_b_is_as_the_paper_has_it():
    recipe = load_recipe("pascal-b")
    assert len(recipe.class_names) == 20
    assert recipe.class_names[14] == "person"
    assert (recipe.per_cell, recipe.cap, recipe.objective, recipe.source) == (60, 8, "balance", "val-only")
    assert [d.kind for d in recipe.downloads] == ["coco", "coco", "lvis", "lvis"]
    assert all(d.sha256 is None or len(d.sha256) == 64 for d in recipe.downloads)


def test_all_files_of_recipes_are_beside_them():
    for path in RECIPES.glob("*.toml"):
        assert load_recipe(path).mapping.is_file()


def test_other_classes_and_bins_need_no_code(tmp_path):
    recipe = load_recipe(write(tmp_path, OWN))
    assert recipe.downloads[0].bytes == 12
    coco = write_coco(tmp_path / "coco.json", [image()], [annotation(1, 1, 18, area(399))])
    resolved = resolve_pool(read_sources([coco], [], recipe, load_mapping(recipe.mapping)))
    found, _ = candidates_of(resolved, recipe)
    assert (found.class_names, found.bin_names) == (("cat", "dog"), ("tiny", "rest"))
    assert found.counts.tolist() == [[[0, 0], [1, 0]]]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("version", "verison", "unknown key 'verison', do you mean 'version'?; 'version' is missing"),
        ("min_area", "min_aera", "unknown key 'min_aera' in [rules], do you mean 'min_area'?"),
        ("per_cell", "percell", "unknown key 'percell' in [selection], do you mean 'per_cell'?"),
        ("edges", "edgse", "unknown key 'edgse' in [bins], do you mean 'edges'?"),
        ("kind", "knid", "unknown key 'knid' in [[annotations]] number 1, do you mean 'kind'?"),
        ("min_area", "xyz", "unknown key 'xyz' in [rules]; it may have min_area,"),
        ("per_cell = 5", 'per_cell = "5"', "'per_cell' in [selection] is '5', not a whole number"),
        ("per_cell = 5", "per_cell = true", "'per_cell' in [selection] is True, not a whole number"),
        ("per_cell = 5", "per_cell = 0", "'per_cell' in [selection] must be 1 or more"),
        ('kind = "coco"', 'kind = "voc"', "'kind' in [[annotations]] number 1 is 'voc', not coco or lvis"),
        ("edges = [400]", "edges = [400, 300]", "'edges' in [bins] must be whole numbers above 0, increasing"),
        ("edges = [400]", "edges = []", "'names' in [bins] must be 1 different texts"),
        ('["cat", "dog"]', '["cat", "cat"]', "'classes' must be different names"),
        ('["cat", "dog"]', '["background"]', "'classes' must be different names, without the background"),
        ("min_visible = 0", "min_visible = 1.5", "'min_visible' in [rules] is 1.5; it must lie between 0 and 1"),
        ("min_visible = 0", "min_visible = nan", "'min_visible' in [rules] is nan; it must lie between 0 and 1"),
        ("min_area = 4", "min_area = -1", "'min_area' in [rules] is -1; it must be 0 or more"),
        ('"pets"', '"../pets"', "'name' is '../pets', but names files"),
        ('["cat", "dog"]', '["cat", "#dog"]', "'classes' must be different names"),
        ('["cat", "dog"]', '["cat", "do\\ng"]', "'classes' must be different names"),
        ('"pets.json"', '"../pets.json"', "needs a plain file name and an http address"),
        ("https:", "file:", "needs a plain file name and an http address"),
        ("[bins]", "[bins", "is not valid TOML"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_said(tmp_path, old, new, sentence):
    with pytest.raises(InputError) as e:
        load_recipe(write(tmp_path, OWN.replace(old, new, 1)))
    assert sentence in str(e.value)
    assert "pets.toml" in str(e.value)


def test_all_faults_are_said_at_once(tmp_path):
    with pytest.raises(InputError, match=r"(?s)min_aera.*percell|percell.*min_aera"):
        load_recipe(write(tmp_path, OWN.replace("min_area", "min_aera").replace("per_cell", "percell")))


@pytest.mark.parametrize(("name", "hint"), [("pascal_b", "do you mean 'pascal-b'"), ("nowhere.toml", "give a .toml")])
def test_an_unknown_recipe_names_the_known_ones(name, hint):
    with pytest.raises(InputError, match=hint):
        load_recipe(name)


def test_a_mapping_must_fit_its_recipe(tmp_path):
    path = write(tmp_path, OWN.replace('["cat", "dog"]', '["cat", "cow"]'))
    recipe = load_recipe(path)
    with pytest.raises(InputError, match=r"classes that the recipe lacks \(dog\) and gives no objects to cow"):
        read_sources([tmp_path / "coco.json"], [], recipe, load_mapping(recipe.mapping))
