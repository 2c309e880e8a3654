"""What a build says on the terminal, and on the page: why cells are short, what was seen in training, how to score."""

from __future__ import annotations

import json
import os
import pty
import subprocess

import pytest

from tests.builders.fake_sources import COCO_IDS, annotation, image, rect, write_coco
from tests.builders.small_pool import COUNT, lines, make_pool, picture
from tests.command import COMMAND, good, refused, run

BUILD = "build-pascal-b"
PETS = "# version: 1\ncat\tcoco\t17 cat\tobject\tthe same\ndog\tcoco\t18 dog\tobject\tthe same\n"


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return make_pool(tmp_path_factory.mktemp("pool"))


def pets(folder, edges="[400]", more=""):
    """Write a recipe of two classes and two sizes."""
    (folder / "pets.tsv").write_text(PETS)
    (folder / "pets.toml").write_text(
        'name = "pets"\nversion = "1"\nclasses = ["cat", "dog"]\nmapping = "pets.tsv"\n'
        f'[bins]\nnames = ["tiny", "big"]\nedges = {edges}\n[selection]\nper_cell = 2\n{more}'
    )
    return folder / "pets.toml"


def test_a_cell_that_the_cap_leaves_empty_says_so_everywhere(tmp_path, capsys):
    kittens = [annotation(k, 2, COCO_IDS["cat"], rect(20 * k, 10, 10, 10)) for k in range(9)]
    found = [annotation(100, 1, COCO_IDS["cat"], rect(10, 10, 120, 120)), *kittens]
    coco = write_coco(tmp_path / "coco.json", [image(1), image(2)], found)
    place = tmp_path / "pictures"
    place.mkdir()
    (place / f"{1:012}.jpg").write_bytes(picture(1))
    root = tmp_path / "set"
    out = " ".join(good(capsys, BUILD, "--coco", coco, "--images", place, "--out", root).split())
    why = "the others stand only in images with more than 8 instances of a class, which the cap leaves out"
    assert "cat 0* 9 0 0 1 1" in out
    assert f"* fewer than are wanted and there: {why}." in out
    assert f"of 60 other cells, 1 holds fewer than there are (cat S 0 of 9): {why}" in out
    page = (root / "report.html").read_text()
    assert "<small>of 9*</small>" in page and f"* Fewer than are wanted and there: {why}." in page
    sheet = (root / "DATASHEET.md").read_text()
    assert (
        "| cat | 1 | 0 | 0 | 1 | 9* / 0 / 1 |" in sheet
        and f"\\* Fewer are in the set than are wanted and there: {why}." in sheet
    )


def test_no_mark_where_cells_hold_all_there_is(pool, tmp_path, capsys):
    every = [a if a != "2" else "50" for a in pool.arguments]
    out = good(capsys, BUILD, *every, "--out", tmp_path / "set", "--dry-run")
    assert "other cells, none hold fewer than there are" in " ".join(out.split()) and "*" not in out


def test_the_share_of_train_is_said_at_once(pool, tmp_path, capsys):
    every = [a if a != "2" else "50" for a in pool.arguments]
    out = good(capsys, BUILD, *every, "--source", "any", "--out", tmp_path / "set", "--dry-run")
    assert f"1 of them ({100 / COUNT:.0f} %) are in COCO train, or not known to be in val" in out
    assert "COCO train" not in good(capsys, BUILD, *every, "--out", tmp_path / "set", "--dry-run")


def test_a_licence_that_coco_does_not_have(capsys):
    assert "There are: 1 CC BY-NC-SA 2.0, 2 CC BY-NC 2.0," in run(capsys, BUILD, "--license-filter", "4,9").err


@pytest.mark.parametrize(("edges", "bins"), [("[400]", " --bins 20"), ("[900]", " --bins 30"), ("[1000]", "")])
def test_the_line_that_is_printed_scores_the_set(pool, tmp_path, capsys, edges, bins):
    root = tmp_path / "set"
    out = good(capsys, "build", pets(tmp_path, edges), "--coco", pool.coco, "--images", pool.images, "--out", root)
    said = out.rpartition("iamiou score PREDS ")[2].split()
    assert " ".join(said) == f"{root} --classes {root / 'classes.txt'}{bins}"
    score = good(capsys, "score", root / "SegmentationClass", *said, "--pred-void", "background", "--format", "json")
    assert json.loads(score)["scores"]["mIoU"] == 1.0


def test_without_a_devkit_the_line_names_the_json(pool, tmp_path, capsys):
    root = tmp_path / "set"
    out = good(capsys, BUILD, *pool.arguments, "--export", "coco", "--out", root)
    assert out.rstrip().endswith(f"iamiou score PREDS {root / 'annotations' / 'instances_pascal_b.json'}")


def test_a_recipe_without_addresses_wants_files(tmp_path, capsys):
    for more in ((), ("--dry-run",)):
        message = refused(capsys, "build", pets(tmp_path), "--out", tmp_path / "set", *more)
        assert message == "The recipe 'pets' names no annotations to fetch; give --coco or --lvis."
    assert not (tmp_path / "set").exists()


def test_files_after_an_equals_sign_and_the_recipe_at_the_end(pool, tmp_path, capsys):
    for recipe in (pets(tmp_path), "pascal-b"):
        arguments = ("--images", pool.images, "--per-cell", "1", "--out", tmp_path / "set", f"--coco={pool.coco}")
        assert "Nothing was written" in good(capsys, "build", "--dry-run", *arguments, pool.coco, recipe)


def test_the_plan_goes_into_its_file_though_a_terminal_looks_on(pool, tmp_path):
    """The bar lives on the error stream, and must not draw the output there."""
    theirs, ours = pty.openpty()
    command = [*COMMAND, BUILD, *map(str, pool.arguments), "--out", str(tmp_path / "set"), "--dry-run"]
    with open(tmp_path / "plan.txt", "wb") as file:
        subprocess.run(command, stdout=file, stderr=ours, check=True, env=os.environ | {"TERM": "xterm"})
    os.close(ours)
    os.close(theirs)
    text = (tmp_path / "plan.txt").read_text()
    assert "Chosen, of those there are; 2 wanted" in text and "Nothing was written" in text


def test_the_manifest_of_a_set_stands_for_its_list(pool, tmp_path, capsys):
    good(capsys, BUILD, *pool.arguments, "--out", tmp_path / "one")
    manifest = tmp_path / "one" / "manifest.jsonl"
    short = tmp_path / "short.txt"
    short.write_text(lines(manifest)[0]["image"] + "\n")
    out = good(capsys, BUILD, *pool.arguments, "--list", short, "--out", tmp_path / "two", "--dry-run")
    assert "* fewer than are wanted and there: the list holds no more." in " ".join(out.split())


def test_a_quota_beyond_every_cell_is_told_and_no_goal_counts_as_met(pool, tmp_path, capsys):
    every = [a if a != "2" else "5000" for a in pool.arguments]
    out = " ".join(good(capsys, BUILD, *every, "--out", tmp_path / "set", "--dry-run").split())
    assert "Warning: No cell has 5000 instances to choose from (" in out
    assert "class-ratio – 1.25 – no class has two cells with enough available" in out


def test_a_pool_of_which_nothing_may_be_chosen_says_why(tmp_path, capsys):
    found = [annotation(k, k, COCO_IDS["cat"], rect(10, 10, 40, 40)) for k in (1, 2, 3)]
    pictures = [image(1, "train2017"), image(2, "train2017"), image(3, license=3)]
    coco = write_coco(tmp_path / "coco.json", pictures, found)
    message = refused(capsys, BUILD, "--coco", coco, "--license-filter", "4", "--out", tmp_path / "set")
    assert message == (
        "None of 3 images can be chosen: it is in COCO train2017; --source any takes it (2 times), its licence id is 3 "
        "(1 times). Give other files, or loosen the options."
    )


def test_pictures_without_an_address_are_named_before_anything_is_written(tmp_path, capsys):
    coco = write_coco(tmp_path / "coco.json", [image(1, coco_url="")], [annotation(1, 1, 17, rect(10, 10, 40, 40))])
    result = run(capsys, BUILD, "--coco", coco, "--source", "any", "--out", tmp_path / "set")
    said = "1 chosen picture has no address: 000000000001.jpg. Give them with --images, or image_url in the recipe."
    assert (result.code, said in result.err) == (2, True)
    assert not (tmp_path / "set").exists()
