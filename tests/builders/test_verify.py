"""Whatever is changed in a finished build, --verify names it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from iamiou.masks import read_label_map, write_label_map
from iamiou_builders.build import build
from iamiou_builders.plan import Options
from iamiou_builders.verify import verify
from tests.builders.small_pool import lines, make_pool
from tests.command import good, refused


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify")
    pool = make_pool(folder / "pool")
    build(Options("pascal-b", coco=(pool.coco,), images=pool.images, per_cell=2), folder / "set")
    return folder / "set"


@pytest.fixture
def root(built, tmp_path):
    shutil.copytree(built, tmp_path / "set")
    return tmp_path / "set"


def kinds(root):
    return {p.kind for p in verify(root)}


def first(root):
    return lines(root / "manifest.jsonl")[0]["image"]


def test_an_untouched_build_is_right(root, capsys):
    record = json.loads((root / "build.json").read_text())
    out = good(capsys, "build-pascal-b", "--verify", root)
    assert f"{root}: all right. {record['images']} images, {record['instances']} instances" in out
    assert record["digest"] in out


@pytest.mark.parametrize("name", ["stats.json", "ATTRIBUTION.csv", "DATASHEET.md", "croissant.json", "report.html"])
def test_a_changed_file(root, name, capsys):
    (root / name).write_bytes((root / name).read_bytes() + b" ")
    message = refused(capsys, "build-pascal-b", "--verify", root)
    assert message == f"1 file has another sha256 than in build.json: {name}. Run the build again to make them anew."


def test_a_missing_file(root):
    (root / "stats.json").unlink()
    assert kinds(root) == {"missing-file"}


def test_one_bit_of_a_picture(root):
    path = root / "JPEGImages" / f"{first(root)}.jpg"
    data = path.read_bytes()
    path.write_bytes(data[:500] + bytes([data[500] ^ 1]) + data[501:])
    assert kinds(root) == {"changed-picture"}


def flip_a_pixel(root):
    for folder in ("SegmentationClass", "SegmentationObject"):
        path = root / folder / f"{first(root)}.png"
        labels = read_label_map(path.read_bytes(), "map")
        labels[0, 0] += 1
        write_label_map(path, labels)


def test_one_pixel_of_a_map(root):
    flip_a_pixel(root)
    assert kinds(root) == {"changed-map"}


def test_a_map_that_is_packed_anew_is_still_right(root):
    path = root / "SegmentationClass" / f"{first(root)}.png"
    labels, before = read_label_map(path.read_bytes(), "map"), path.read_bytes()
    write_label_map(path, labels, palette=False)
    assert path.read_bytes() != before
    assert verify(root) == []


def test_missing_and_broken_maps_and_pictures(root):
    names = [e["image"] for e in lines(root / "manifest.jsonl")]
    (root / "SegmentationClass" / f"{names[0]}.png").unlink()
    (root / "SegmentationObject" / f"{names[1]}.png").write_bytes(b"no png")
    (root / "JPEGImages" / f"{names[2]}.jpg").unlink()
    assert kinds(root) == {"missing-map", "broken-map", "missing-picture"}


def test_a_stranger_among_the_files(root):
    shutil.copy(root / "SegmentationClass" / f"{first(root)}.png", root / "SegmentationClass" / "extra.png")
    (problem,) = verify(root)
    assert str(problem) == "1 file lies outside the data set: SegmentationClass/extra.png. Take them out."


@pytest.mark.parametrize("folder", ["JPEGImages", "SegmentationClass", "SegmentationObject", "ImageSets"])
def test_a_whole_folder_is_missing(root, folder, capsys):
    shutil.rmtree(root / folder)
    assert refused(capsys, "build-pascal-b", "--verify", root)
    assert kinds(root) <= {"missing-file", "missing-map", "missing-picture"}


def test_a_changed_file_hides_no_changed_pixel(root):
    (root / "report.html").unlink()
    flip_a_pixel(root)
    assert kinds(root) == {"missing-file", "changed-map"}


def test_an_edited_manifest_is_told_and_nothing_is_made_of_it(root):
    (root / "manifest.jsonl").write_text('{"image": "../../etc/passwd"}\n')
    assert kinds(root) == {"changed-file"}


@pytest.mark.parametrize("key", ["files", "digest", "images", "list_sha256"])
def test_a_record_that_lacks_something(root, key, capsys):
    record = json.loads((root / "build.json").read_text())
    del record[key]
    (root / "build.json").write_text(json.dumps(record))
    assert "was changed: it lacks what every build writes" in refused(capsys, "build-pascal-b", "--verify", root)


@pytest.mark.parametrize("key", ["digest", "list_sha256"])
def test_another_digest_in_the_record(root, key):
    record = json.loads((root / "build.json").read_text())
    (root / "build.json").write_text(json.dumps(record | {key: "0" * 64}))
    assert kinds(root) == {"other-ids"}


def forge(root, change):
    """Change the maps of the first image and let manifest and record agree with them."""
    import hashlib

    from iamiou.report import map_digest

    entries = lines(root / "manifest.jsonl")
    maps = []
    for folder in ("SegmentationClass", "SegmentationObject"):
        path = root / folder / f"{entries[0]['image']}.png"
        maps.append(read_label_map(path.read_bytes(), "map"))
    change(*maps)
    for folder, key, labels in zip(
        ("SegmentationClass", "SegmentationObject"), ("semantic", "instance"), maps, strict=True
    ):
        write_label_map(root / folder / f"{entries[0]['image']}.png", labels)
        entries[0][key] = map_digest(labels)
    text = "".join(json.dumps(e) + "\n" for e in entries)
    (root / "manifest.jsonl").write_text(text)
    record = json.loads((root / "build.json").read_text())
    record["files"]["manifest.jsonl"] = hashlib.sha256(text.encode()).hexdigest()
    (root / "build.json").write_text(json.dumps(record))


def test_a_label_out_of_range(root):
    def change(semantic, instance):
        semantic[semantic == semantic.max(initial=0, where=semantic < 255)] = 21

    forge(root, change)
    found = {p.kind: p for p in verify(root)}
    assert "a class above 20" in str(found["wrong-labels"])


def test_void_in_one_map_only(root):
    def change(semantic, instance):
        semantic[100:102] = 255

    forge(root, change)
    assert "void is not at the same pixels in both maps" in str({p.kind: p for p in verify(root)}["wrong-labels"])


def test_an_instance_without_a_class(root):
    def change(semantic, instance):
        semantic[instance == 1] = 0

    forge(root, change)
    assert "a class and no instance" in str({p.kind: p for p in verify(root)}["wrong-labels"])


def test_an_instance_of_other_pixels(root):
    def change(semantic, instance):
        rows, columns = np.nonzero(instance == 1)
        semantic[rows[0], columns[0]] = instance[rows[0], columns[0]] = 0

    forge(root, change)
    assert "instances other than the manifest lists" in str({p.kind: p for p in verify(root)}["wrong-labels"])


def test_what_is_no_build(tmp_path, root, capsys):
    assert "holds no build: there is no build.json of iamiou in it" in refused(
        capsys, "build-pascal-b", "--verify", tmp_path
    )
    (root / "build.json").rename(root / "build.json.part")
    assert "a build that is not finished" in refused(capsys, "build", "--verify", root)
