"""The whole way without local files, against a server on loopback that does everything wrong."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from iamiou_builders import fetch
from iamiou_builders.recipe import RECIPES
from tests.builders.loopback import serving
from tests.builders.small_pool import COUNT, lines, make_pool, name, picture
from tests.command import files, good, run


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Serve the pool's archives and pictures; nobody waits between attempts."""
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    monkeypatch.setattr(fetch, "LONGEST_PAUSE", 0.0)
    with serving() as found:
        pool = make_pool(tmp_path / "pool", address=found.address)
        for path, member in ((pool.coco, "annotations/coco.json"), (pool.lvis, "lvis.json")):
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(zipfile.ZipInfo(member), path.read_bytes())
            found.files[f"/{path.stem}.zip"] = packed.getvalue()
        found.files |= {f"/val2017/{name(k)}.jpg": picture(k) for k in range(1, COUNT + 1)}
        yield found


def write_recipe(site, folder, **more):
    """Write pascal-b's recipe with the addresses of the server; `more` are keys of the COCO file."""
    text = (RECIPES / "pascal-b.toml").read_text(encoding="utf-8").partition("[[annotations]]")[0]
    for kind, member in (("coco", "annotations/coco.json"), ("lvis", "lvis.json")):
        text += f'[[annotations]]\nname = "{kind}.json"\nkind = "{kind}"\nsplit = "val"\n'
        text += f'url = "{site.url(f"/{kind}.zip")}"\nmember = "{member}"\n'
        if kind == "coco":
            text += "".join(f"{k} = {json.dumps(v)}\n" for k, v in more.items())
    text = text.replace('mapping = "', f'mapping = "{RECIPES.as_posix()}/')
    text = text.replace("http://images.cocodataset.org", site.address)
    (folder / "pascal-b.toml").write_text(text, encoding="utf-8")
    return folder / "pascal-b.toml"


@pytest.fixture
def build(site, tmp_path, capsys):
    """Return a function that builds from the server with few attempts and tells how it ended."""

    def call(*more, out="set", **keys):
        recipe = write_recipe(site, tmp_path, **keys)
        return run(capsys, "build", recipe, "--per-cell", "2", "--out", tmp_path / out, *more)

    return call


def asked(site):
    return [path for path, _ in site.asked]


def test_annotations_and_then_only_the_chosen_pictures_are_fetched(site, build, tmp_path):
    result = build()
    assert result.code == 0, result.err
    root = tmp_path / "set"
    chosen = {e["image"] for e in lines(root / "manifest.jsonl")}
    expected = ["/coco.zip", "/lvis.zip", *(f"/val2017/{n}.jpg" for n in sorted(chosen))]
    assert sorted(asked(site)) == expected and len(chosen) < COUNT - 1
    size = sum((root / "JPEGImages" / f"{n}.jpg").stat().st_size for n in chosen)
    assert f", {size / 1e6:,.1f} MB of pictures fetched." in result.out
    downloads = json.loads((root / "build.json").read_text())["downloads"]
    assert {k.rpartition("/")[2]: v["bytes"] for k, v in downloads.items()} == {
        f"{n}.zip": len(site.files[f"/{n}.zip"]) for n in ("coco", "lvis")
    }
    assert sorted(p.name for p in (root / "sources").iterdir()) == ["coco.json", "downloads.json", "lvis.json"]
    before = len(site.asked)
    assert "nothing was changed" in build().out
    assert len(site.asked) == before


def test_whatever_the_server_does_the_same_bytes_come_out(site, build, tmp_path):
    assert build(out="calm").code == 0
    chosen = sorted({e["image"] for e in lines(tmp_path / "calm" / "manifest.jsonl")})
    faults = [["drop 900", "503"], ["short 100", "503 after 1"], ["503", "drop 10", "no-range"], ["empty", "429"]]
    for image, fault in zip(chosen, faults, strict=False):
        site.faults[f"/val2017/{image}.jpg"] = list(fault)
    site.faults["/coco.zip"] = ["short 700", "drop 300", "500"]
    assert build(out="rough").code == 0
    assert files(tmp_path / "rough") == files(tmp_path / "calm")


def test_what_fails_is_listed_with_exit_code_3_and_the_rest_is_kept(site, build, tmp_path):
    assert build(out="calm").code == 0
    root = tmp_path / "set"
    first, second, *others = sorted({e["image"] for e in lines(tmp_path / "calm" / "manifest.jsonl")})
    site.faults = {f"/val2017/{first}.jpg": ["404"], f"/val2017/{second}.jpg": ["always", "503"]}
    result = build()
    assert result.code == 3
    assert (
        "2 files could not be fetched: " in result.err
        and "(the server answered 404 Not Found) and 1 more" in result.err
    )
    assert (root / "failed.tsv").read_text().splitlines() == [
        f"{site.url(f'/val2017/{first}.jpg')}\t{first}.jpg\tthe server answered 404 Not Found",
        f"{site.url(f'/val2017/{second}.jpg')}\t{second}.jpg\tthe server answered 503 Service Unavailable (6 attempts)",
    ]
    assert sorted(p.stem for p in (root / "JPEGImages").iterdir()) == others
    site.faults = {}
    site.asked.clear()
    assert build().code == 0
    assert sorted(asked(site)) == [f"/val2017/{n}.jpg" for n in (first, second)]
    assert files(root) == files(tmp_path / "calm")


def test_annotations_that_do_not_come_are_exit_code_3(site, build, tmp_path):
    site.faults["/lvis.zip"] = ["404"]
    result = build()
    assert result.code == 3
    assert f"1 file could not be fetched: {site.url('/lvis.zip')} (the server answered 404 Not Found)" in result.err
    site.asked.clear()
    assert build().code == 0
    assert "/coco.zip" not in asked(site), "what came the first time is not fetched again"


def test_a_wrong_byte_in_annotations_is_found_by_the_checksum_of_the_recipe(site, build):
    import hashlib

    data = site.files["/coco.zip"]
    keys = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    site.faults["/coco.zip"] = ["always", "wrong"]
    result = build(**keys)
    assert result.code == 3 and f"not {keys['sha256']} (6 attempts)" in result.err
    site.faults["/coco.zip"] = ["wrong"]
    assert build(**keys).code == 0


def test_a_wrong_byte_without_a_checksum_is_found_by_the_archive(site, build, tmp_path):
    data = site.files["/coco.zip"]
    site.files["/coco.zip"] = data[:200] + bytes([data[200] ^ 1]) + data[201:]
    result = build()
    assert result.code == 3
    assert "did not give an archive with 'annotations/coco.json'" in result.err
    site.files["/coco.zip"] = data
    assert build().code == 0


def test_a_page_instead_of_an_archive_is_told(site, build):
    site.files["/coco.zip"] = b"<html>please log in</html>"
    result = build()
    assert result.code == 3 and "(File is not a zip file)" in result.err


def test_a_page_instead_of_a_picture_is_a_failure_and_no_file(site, build, tmp_path):
    assert build(out="calm").code == 0
    first = sorted({e["image"] for e in lines(tmp_path / "calm" / "manifest.jsonl")})[0]
    site.faults[f"/val2017/{first}.jpg"] = ["changed <html>please log in</html>"]
    result = build()
    assert result.code == 3
    assert "(what came is no picture: no picture format is known for it)" in result.err
    assert not (tmp_path / "set" / "JPEGImages" / f"{first}.jpg").exists()
    site.files[f"/val2017/{first}.jpg"] = picture(int(first))
    assert build().code == 0
    assert files(tmp_path / "set") == files(tmp_path / "calm")


def test_a_picture_of_another_size_is_refused(site, build, tmp_path):
    assert build(out="calm").code == 0
    first = sorted({e["image"] for e in lines(tmp_path / "calm" / "manifest.jsonl")})[0]
    from PIL import Image

    small = io.BytesIO()
    Image.new("RGB", (12, 10)).save(small, "JPEG")
    site.files[f"/val2017/{first}.jpg"] = small.getvalue()
    result = build()
    assert result.code == 2 and f"{first}.jpg (10 x 12, annotated 200 x 240)" in result.err


def test_with_a_manifest_every_byte_of_a_picture_is_checked(site, build, tmp_path):
    assert build(out="calm").code == 0
    manifest = tmp_path / "calm" / "manifest.jsonl"
    first = sorted({e["image"] for e in lines(manifest)})[0]
    site.faults[f"/val2017/{first}.jpg"] = ["wrong"]
    assert build("--list", manifest).code == 0
    assert (tmp_path / "set" / "JPEGImages" / f"{first}.jpg").read_bytes() == picture(int(first))
    site.faults[f"/val2017/{first}.jpg"] = ["always", "wrong"]
    result = build("--list", manifest, out="again")
    assert result.code == 3 and "its sha256 is " in result.err


def test_after_a_failed_fetch_local_files_may_be_given(site, build, tmp_path, capsys):
    site.faults["/coco.zip"] = ["404"]
    assert build().code == 3
    local = ("--coco", tmp_path / "pool" / "coco.json", "--images", tmp_path / "pool" / "pictures")
    good(capsys, "build-pascal-b", *local, "--per-cell", "2", "--out", tmp_path / "set")
    assert not (tmp_path / "set" / "failed.tsv").exists()


def test_pictures_come_from_the_address_of_the_recipe(site, build, tmp_path):
    pool = tmp_path / "pool" / "coco.json"
    pool.write_text(pool.read_text().replace(site.address, "http://images.cocodataset.org"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("annotations/coco.json", pool.read_bytes())
    site.files["/coco.zip"] = packed.getvalue()
    assert build().code == 0
    assert {e["url"].partition("/val2017")[0] for e in lines(tmp_path / "set" / "manifest.jsonl")} == {site.address}


def test_a_dry_run_chooses_from_annotations_that_were_fetched_before(site, build, tmp_path):
    for image in range(1, COUNT + 1):
        site.faults[f"/val2017/{name(image)}.jpg"] = ["always", "404"]
    assert build().code == 3
    before = files(tmp_path / "set")
    out = build("--dry-run").out
    assert "shortfall" in out and "To be fetched: " in out and "holds this build, begun" in out
    assert files(tmp_path / "set") == before
