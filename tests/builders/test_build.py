"""A build from the command line: the same bytes each time, whatever stopped it in between."""

from __future__ import annotations

import json
import os

import pytest

from tests.builders.small_pool import COUNT, OPTIONS, lines, make_pool, name, picture
from tests.command import files, good, process, refused, run

BUILD = "build-pascal-b"


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return make_pool(tmp_path_factory.mktemp("pool"))


@pytest.fixture(scope="module")
def done(pool, tmp_path_factory):
    """Return a finished build, which no test may change."""
    root = tmp_path_factory.mktemp("built") / "set"
    result = process(BUILD, *pool.arguments, "--out", root)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return root


def test_a_build_is_a_devkit_that_can_be_scored(done, capsys):
    assert sorted(p.name for p in done.iterdir()) == sorted(
        "JPEGImages SegmentationClass SegmentationObject ImageSets annotations classes.txt manifest.jsonl pool.jsonl "
        "build.json stats.json ATTRIBUTION.csv DATASHEET.md croissant.json report.html".split()
    )
    arguments = (done / "SegmentationClass", "--pred-void", "background", "--bootstrap", "0", "--format", "json")
    by_devkit = json.loads(good(capsys, "score", arguments[0], done, *arguments[1:]))
    assert by_devkit["digest"] == json.loads((done / "build.json").read_text())["digest"]
    assert {v for v in by_devkit["scores"].values() if v is not None} <= {0.0, 1.0}  # gap_SL is the 0
    assert by_devkit["scores"]["IA_S"] == by_devkit["scores"]["mIoU"] == 1.0
    coco = done / "annotations" / "instances_pascal_b.json"
    by_json = json.loads(good(capsys, "score", arguments[0], coco, *arguments[1:]))
    assert by_json["scores"] == by_devkit["scores"]
    assert by_json["support"] == by_devkit["support"]


def test_a_second_run_changes_no_byte(pool, done, capsys):
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in done.rglob("*")}
    assert "is finished and right; nothing was changed" in good(capsys, BUILD, *pool.arguments, "--out", done)
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in done.rglob("*")} == before


@pytest.mark.parametrize("seed", [1, 2])
def test_shuffled_files_another_hash_seed_and_other_threads_give_the_same_bytes(done, tmp_path, seed):
    shuffled = make_pool(tmp_path / "pool", shuffled=seed)
    environment = os.environ | {"PYTHONHASHSEED": str(seed), "OMP_NUM_THREADS": str(seed), "NUMBA_NUM_THREADS": "1"}
    result = process(BUILD, *shuffled.arguments, "--out", tmp_path / "set", env=environment)
    assert result.returncode == 0, result.stderr
    mine, other = files(tmp_path / "set"), files(done)
    assert set(mine) == set(other)
    # The input files hold the same in another order, so their checksums, and what quotes them, differ.
    quoting = {"build.json", "DATASHEET.md", "report.html", "croissant.json"}
    assert [n for n in mine if mine[n] != other[n]] == sorted(quoting & set(mine))
    records = [json.loads(f["build.json"]) for f in (mine, other)]
    assert records[0]["list_sha256"] == records[1]["list_sha256"]
    assert records[0]["digest"] == records[1]["digest"]


def test_a_folder_that_holds_something_else_is_refused(pool, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("work of years")
    message = refused(capsys, BUILD, *pool.arguments, "--out", tmp_path)
    assert message == f"'{tmp_path}' holds something else; give a new or an empty folder with --out."
    assert files(tmp_path) == {"thesis.tex": b"work of years"}


def test_a_folder_that_holds_another_build_is_refused(pool, done, capsys):
    before = files(done)
    message = refused(capsys, BUILD, *pool.arguments, "--seed", "3", "--out", done)
    assert message.startswith(f"'{done}' holds another build, finished with seed 0, not 3. Give another --out")
    assert files(done) == before


def test_a_file_in_place_of_the_folder_is_refused(pool, tmp_path, capsys):
    (tmp_path / "set").touch()
    assert "it is a file; give the name of a folder" in refused(
        capsys, BUILD, *pool.arguments, "--out", tmp_path / "set"
    )


def test_wrong_input_leaves_nothing_behind(pool, tmp_path, capsys):
    refused(capsys, BUILD, "--coco", pool.lvis, "--images", pool.images, "--out", tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_tells_and_writes_nothing(pool, tmp_path, capsys):
    out = good(capsys, BUILD, *pool.arguments, "--out", tmp_path / "set", "--dry-run")
    assert list(tmp_path.iterdir()) == []
    for part in (
        "Chosen, of those there are; 2 wanted",
        "person",
        "shortfall",
        "class-ratio",
        "To be copied",
        f"Nothing was written; '{tmp_path / 'set'}' is free.",
    ):
        assert part in out, out
    arguments = [a for a in pool.arguments if a not in ("--images", pool.images)]
    out = good(capsys, BUILD, *arguments, "--out", tmp_path / "set", "--dry-run")
    chosen = int(out.rpartition("To be fetched: ")[2].split(" ")[0])
    assert f"To be fetched: {chosen} pictures, about 0 MB (estimated from their pixels)." in out
    assert f"{chosen} of {COUNT - 1} images chosen by" in out


def test_a_dry_run_before_annotations_are_here_names_their_addresses(tmp_path, capsys):
    out = good(capsys, BUILD, "--out", tmp_path / "set", "--dry-run")
    assert "annotations_trainval2017.zip  annotations/instances_val2017.json" in out
    assert "lvis_v1_val.json" in out and "train2017.json" not in out
    assert "instances_train2017.json" in good(capsys, BUILD, "--out", tmp_path / "set", "--dry-run", "--source", "any")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("which", ["ImageSets/Segmentation/pascal_b.txt", "manifest.jsonl"])
def test_the_list_rebuilds_the_data_set(pool, done, tmp_path, capsys, which):
    good(capsys, BUILD, *pool.arguments, "--list", done / which, "--out", tmp_path / "set")
    mine, other = files(tmp_path / "set"), files(done)
    same = {n for n in other if mine[n] == other[n]}
    assert set(other) - same == {"build.json", "DATASHEET.md", "report.html", "croissant.json"}
    record = json.loads(mine["build.json"])
    assert record["solver"]["method"] == "list"
    assert record["digest"] == json.loads(other["build.json"])["digest"]


def test_a_list_that_does_not_fit_is_refused(pool, tmp_path, capsys):
    chosen = tmp_path / "list.txt"
    chosen.write_text(f"{name(1)}\n{name(COUNT - 1)}\n000000000999\n")
    message = refused_after_warnings(capsys, BUILD, *pool.arguments, "--list", chosen, "--out", tmp_path / "set")
    assert f"1 listed image is not in the annotations: 000000000999. Give the annotation files that '{chosen}'" in (
        message
    )
    assert f"{name(COUNT - 1)} (it is in COCO train2017; --source any takes it)" in message
    chosen.with_suffix(".jsonl").write_text("no json\n")
    assert "Line 1 of" in refused(
        capsys, BUILD, *pool.arguments, "--list", chosen.with_suffix(".jsonl"), "--out", tmp_path / "set"
    )


def refused_after_warnings(capsys, *arguments):
    result = run(capsys, *arguments)
    assert result.code == 2
    return result.err


def names_of(root):
    return {e["image"] for e in lines(root / "manifest.jsonl")}


def why(root):
    return {e["image"]: e["why"] for e in lines(root / "pool.jsonl")}


def test_leak_lists_licences_and_train_keep_images_out(pool, done, tmp_path, capsys):
    leaks = tmp_path / "leaks.txt"
    leaked = sorted(names_of(done))[0]
    leaks.write_text(f"COCO_val2014_{leaked}.jpg\n3\n")
    good(capsys, BUILD, *pool.arguments, "--leak-list", leaks, "--license-filter", "1,2,4,6", "--out", tmp_path / "set")
    names, reasons = names_of(tmp_path / "set"), why(tmp_path / "set")
    assert leaked not in names and name(3) not in names
    assert reasons[leaked] == ["leaked: it is in a leak list"]
    assert reasons[name(COUNT - 1)] == ["train: it is in COCO train2017; --source any takes it"]
    assert any(r[0].startswith("license:") for r in reasons.values())
    terms = {e["license"] for e in lines(tmp_path / "set" / "manifest.jsonl")}
    assert terms <= {1, 2, 4, 6}
    assert len(names) + len(reasons) == COUNT
    goals = {g["name"]: g for g in json.loads((tmp_path / "set" / "stats.json").read_text())["goals"]}
    assert goals["leaked"]["figure"] == 0


def test_a_leak_list_of_something_else_is_refused(pool, tmp_path, capsys):
    (tmp_path / "voc.txt").write_text("2007_000033\n")
    message = refused(capsys, BUILD, *pool.arguments, "--leak-list", tmp_path / "voc.txt", "--out", tmp_path / "set")
    assert "names what is no number of a COCO image, 1 times: 2007_000033." in message


def test_the_share_of_train_is_reported(pool, tmp_path, capsys):
    every = [a if a != "2" else "50" for a in pool.arguments]
    good(capsys, BUILD, *every, "--source", "any", "--out", tmp_path / "set")
    stats = json.loads((tmp_path / "set" / "stats.json").read_text())
    assert stats["coco_splits"] == {"train": 1, "val": COUNT - 1}
    text = (tmp_path / "set" / "DATASHEET.md").read_text()
    assert "Methods whose weights saw COCO's train images have seen 1 of these images" in text


@pytest.mark.parametrize("export", ["voc", "coco"])
def test_only_what_is_asked_for_is_exported(pool, done, tmp_path, capsys, export):
    root = tmp_path / "set"
    good(capsys, BUILD, *pool.arguments, "--export", export, "--out", root)
    assert (root / "SegmentationClass").exists() == (export == "voc")
    assert (root / "annotations").exists() == (export == "coco")
    good(capsys, BUILD, "--verify", root)
    good(capsys, BUILD, *pool.arguments, "--export", export, "--out", root)
    records = [json.loads((r / "build.json").read_text()) for r in (root, done)]
    assert records[0]["digest"] == records[1]["digest"]


def test_missing_damaged_and_resized_pictures_are_named(pool, done, tmp_path, capsys):
    from PIL import Image

    place = tmp_path / "pictures"
    place.mkdir()
    first, second, third, *others = sorted(names_of(done))
    for n in others:
        (place / f"{n}.jpg").write_bytes(picture(int(n)))
    arguments = [a if a != pool.images else place for a in pool.arguments]
    message = refused_after_warnings(capsys, BUILD, *arguments, "--out", tmp_path / "set")
    assert f"3 chosen pictures are not in '{place}': {first}.jpg, {second}.jpg, {third}.jpg." in message
    assert not (tmp_path / "set").exists()
    (place / f"{first}.jpg").write_bytes(picture(int(first))[:-3000])
    (place / f"{second}.jpg").write_bytes(b"<html>404</html>")
    Image.new("RGB", (24, 20)).save(place / f"{third}.jpg")
    message = refused_after_warnings(capsys, BUILD, *arguments, "--out", tmp_path / "set")
    assert "2 pictures cannot be decoded: " in message
    assert f"{second}.jpg (no picture format is known for it)" in message
    assert f"{third}.jpg (20 x 24, annotated 200 x 240)" in message


def test_the_general_command_takes_a_recipe_of_ones_own(pool, tmp_path, capsys):
    (tmp_path / "pets.mapping.tsv").write_text(
        "# version: 1\ncat\tcoco\t17 cat\tobject\tthe same\ndog\tcoco\t18 dog\tobject\tthe same\n"
    )
    (tmp_path / "pets.toml").write_text(
        'name = "pets"\nversion = "2.1"\nclasses = ["cat", "dog"]\nmapping = "pets.mapping.tsv"\n'
        '[bins]\nnames = ["tiny", "big"]\nedges = [900]\n[selection]\nper_cell = 2\n'
    )
    root = tmp_path / "set"
    good(capsys, "build", tmp_path / "pets.toml", "--coco", pool.coco, "--images", pool.images, "--out", root)
    good(capsys, "build", "--verify", root)
    assert (root / "classes.txt").read_text() == "cat\ndog\n"
    stats = json.loads((root / "stats.json").read_text())
    assert [c["name"] for c in stats["classes"]] == ["cat", "dog"]
    assert stats["sizes"].keys() == {"tiny", "big"} and min(stats["sizes"].values()) >= 4
    arguments = (root / "SegmentationClass", root, "--classes", root / "classes.txt", "--pred-void", "background")
    assert json.loads(good(capsys, "score", *arguments, "--format", "json"))["scores"]["mIoU"] == 1.0
    page = (root / "report.html").read_text()
    assert "<h1>pets</h1>" in page and "reconstruction" not in page


def test_the_same_recipe_by_both_commands(pool, done, capsys):
    assert "nothing was changed" in good(capsys, "build", "pascal-b", *pool.arguments, "--out", done)


def test_several_files_follow_one_option(pool, tmp_path, capsys):
    arguments = ("--per-cell", "2", "--images", pool.images, "--lvis", pool.lvis)
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    document = json.loads(pool.coco.read_text())
    for path, part in ((one, range(1, 8)), (two, range(8, COUNT + 1))):
        half = document | {
            "images": [i for i in document["images"] if i["id"] in part],
            "annotations": [a for a in document["annotations"] if a["image_id"] in part],
        }
        path.write_text(json.dumps(half))
    good(capsys, BUILD, "--coco", one, two, *arguments, "--out", tmp_path / "a")
    good(capsys, BUILD, "--coco", two, "--coco", one, *arguments, "--out", tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_bad_options(pool, tmp_path, capsys):
    assert "Missing argument 'RECIPE'" in run(capsys, "build", *OPTIONS).err
    assert "is no list of COCO's licence ids" in run(capsys, BUILD, "--license-filter", "by").err
    assert "is not voc, coco or voc,coco" in run(capsys, BUILD, "--export", "hf").err
    assert "do you mean 'pascal-b'" in refused(capsys, "build", "pascal-c", "--dry-run")
    assert "cannot be read" in refused(capsys, BUILD, "--coco", "nowhere.json", "--out", tmp_path / "set")
    assert (
        "There is no folder"
        in run(capsys, BUILD, "--coco", pool.coco, "--images", "nowhere", *OPTIONS, "--out", tmp_path / "set").err
    )
