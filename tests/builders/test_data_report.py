"""The page of a data set: what it shows, what it must not show, and how it stands in a browser."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess

import pytest

from iamiou_builders.build import build
from iamiou_builders.licences import may_be_cut
from iamiou_builders.plan import Options
from iamiou_builders.references import load_references
from iamiou_builders.size_chart import size_chart
from iamiou_builders.stats import EDGES
from tests.builders.small_pool import lines, make_pool
from tests.library.test_html_browser import BROWSERS, FRAME, QUIET

LOOK = """
addEventListener("load", () => {
  const seen = {width: innerWidth, needs: document.documentElement.scrollWidth};
  seen.fetched = performance.getEntriesByType("resource").map((e) => e.name).filter((n) => !n.startsWith("data:"));
  seen.charts = [...document.querySelectorAll("svg.area-chart")].filter((s) => s.getBoundingClientRect().width).length;
  const table = document.querySelector("table.balance");
  table.tHead.rows[0].cells[1].querySelector("button").click();
  seen.sorted = [...table.tBodies[0].rows].map((row) => Number(row.cells[1].dataset.v));
  seen.troubles = troubles;
  parent.postMessage(JSON.stringify(seen), "*");
});
"""
PROBE = """
const troubles = [];
addEventListener("error", (e) => troubles.push(e.message || "error"));
addEventListener("securitypolicyviolation", (e) => troubles.push(e.violatedDirective + " " + e.blockedURI));
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    pool = make_pool(folder / "pool")
    options = Options("pascal-b", coco=(pool.coco,), lvis=(pool.lvis,), images=pool.images, per_cell=50)
    build(options, folder / "set")
    return folder / "set"


@pytest.fixture(scope="module")
def page(root):
    return (root / "report.html").read_text(encoding="utf-8")


def figures(page):
    """Return (image id, whether a photograph is shown, its bytes) of every sample."""
    found = re.findall(r'<figure class="crop">(.*?)</figure>', page, re.DOTALL)
    for figure in found:
        image = re.search(r"in image (\d+)", figure)[1]
        data = base64.b64decode(re.search(r'href="data:image/\w+;base64,([^"]+)"', figure)[1])
        yield image, 'class="photo' in figure, data


def test_no_picture_whose_licence_forbids_it_is_cut(root, page):
    from PIL import Image

    terms = {e["image"]: e["license"] for e in lines(root / "manifest.jsonl")}
    samples = list(figures(page))
    assert len(samples) == 8  # four classes in two sizes each
    assert any(photo for _, photo, _ in samples)
    for image, photo, data in samples:
        assert photo == may_be_cut(terms[image])
        if not photo:  # one grey in three strengths, and nothing of the photograph
            assert len(Image.open(io.BytesIO(data)).convert("RGB").getcolors()) == 1


def test_where_only_such_pictures_are_there_the_masks_stand_alone(tmp_path):
    pool = make_pool(tmp_path / "pool")
    options = Options("pascal-b", coco=(pool.coco,), images=pool.images, per_cell=50, licenses=(3, 6))
    build(options, tmp_path / "set")
    samples = list(figures((tmp_path / "set" / "report.html").read_text(encoding="utf-8")))
    assert samples and not any(photo for _, photo, _ in samples)


def test_the_page_says_what_it_is_and_what_stands_in_it(root, page):
    record = json.loads((root / "build.json").read_text())
    stats = json.loads((root / "stats.json").read_text())
    for part in ("A reconstruction.", record["digest"], "CC BY-NC-ND 2.0", "VOC 2012 val", "COCO sample", "no crops"):
        assert part in page
    assert f'<p class="value">{stats["images"]}</p>' in page
    person = re.search(r'<tr><th scope="row" data-v="person">.*?</tr>', page, re.DOTALL)[0]
    row = next(c for c in stats["classes"] if c["name"] == "person")
    assert f'data-v="{row["S"]["instances"]}" title="{row["S"]["available"]} could be chosen"' in person
    assert page.count('<tr><th scope="row">') >= len(record["goals"])


def test_names_are_escaped(tmp_path):
    pool = make_pool(tmp_path / "pool")
    document = json.loads(pool.coco.read_text())
    for image in document["images"]:
        image["flickr_url"] = 'javascript:alert("1")//"><script>alert(2)</script>'
    pool.coco.write_text(json.dumps(document))
    build(Options("pascal-b", coco=(pool.coco,), images=pool.images, per_cell=2), tmp_path / "set")
    page = (tmp_path / "set" / "report.html").read_text(encoding="utf-8")
    assert "<script>alert(2)" not in page
    assert 'href="javascript:' not in page


def test_the_references_are_what_the_counting_command_counts(real_data):
    from iamiou.ground_truth import open_ground_truth
    from iamiou_builders.references.count import areas_of

    voc = real_data / "voc"
    truth = open_ground_truth(
        semantic=voc / "SegmentationClass",
        instances=voc / "SegmentationObject_derived",
        list_file=voc / "ImageSets" / "val_instances.txt",
    )
    reference = load_references()[0]
    assert {k: v.tolist() for k, v in reference.areas.items()} == areas_of(truth)
    assert reference.images == len(truth.ids)


def test_the_chart_is_a_share_of_each_series():
    counts = [0] * (len(EDGES) - 1)
    counts[3], counts[4] = 3, 1
    chart = size_chart(1000, 380, [("a", "here", counts)], (1024, 9216), ("S", "M", "L"), [4, 0, 0])
    heights = [chart.bottom - float(y) for y in re.findall(r"V([\d.]+)H", chart.curves[0].line)]
    assert max(heights) == pytest.approx(3 * sorted(set(heights))[1], rel=0.01)
    assert [text for _, text in chart.edges] == ["32²", "96²"]
    assert [text for _, text in chart.y_ticks][-1] in ("75 %", "80 %", "100 %")


@pytest.fixture(scope="module")
def browse(page, tmp_path_factory):
    """Return a function that opens the page at a width and tells what a probe saw."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("install chromium to try the report in a browser")
    root = tmp_path_factory.mktemp("browser")
    probed = re.sub(r"script-src 'sha256-[^']*'", "script-src 'unsafe-inline'", page, count=1)
    probed = probed.replace("<title>", f"<script>{PROBE}</script><title>", 1)
    (root / "page.html").write_text(probed.replace("</body>", f"<script>{LOOK}</script></body>"), encoding="utf-8")

    def look(width):
        (root / "frame.html").write_text(FRAME.replace("{}", str(width)), encoding="utf-8")
        done = subprocess.run(
            [browser, *QUIET, f"--user-data-dir={root / 'profile'}", "--window-size=1700,1000",
             "--virtual-time-budget=3000", "--dump-dom", (root / "frame.html").as_uri()],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        (found,) = re.findall(r'data-seen="([^"]*)"', done.stdout)
        return json.loads(found.replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))

    return look


@pytest.mark.parametrize("width", [390, 820, 1400])
def test_the_page_fits_asks_for_nothing_and_sorts(browse, width):
    seen = browse(width)
    assert seen["width"] == width >= seen["needs"]
    assert (seen["fetched"], seen["troubles"], seen["charts"]) == ([], [], 1)
    assert seen["sorted"] == sorted(seen["sorted"]) and len(set(seen["sorted"])) > 2


def test_the_script_of_the_page_is_the_one_its_policy_allows(page):
    import hashlib

    script = re.search(r"<script>(.*?)</script>\n</body>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
