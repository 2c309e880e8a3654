"""The report page in a real browser: it sorts, fits a telephone, asks for nothing and complains about nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess

import pytest

from iamiou import html
from tests.library.test_html import opened  # noqa: F401  (a fixture)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
)
# Headless windows are at least 500 pixels wide, so a frame plays the telephone.
FRAME = """<!doctype html><script>
addEventListener("message", (e) => { document.documentElement.dataset.seen = e.data; });
</script><iframe src="page.html" style="border: 0; width: {}px; height: 900px"></iframe>"""
# Runs before the page's own script and looks again when all has been loaded.
PROBE = """
const troubles = [];
addEventListener("error", (e) => troubles.push(e.message || "error"));
addEventListener("securitypolicyviolation", (e) => troubles.push(e.violatedDirective + " " + e.blockedURI));
addEventListener("load", () => {
  const table = document.querySelector("table.classes");
  const heads = [...table.tHead.rows[0].cells];
  const column = (k) => [...table.tBodies[0].rows].map((row) => row.cells[k].dataset.v);
  const press = (k) => { heads[k].querySelector("button").click(); return column(k); };
  const seen = {names: column(0), up: press(1), sorted: heads[1].getAttribute("aria-sort"), down: press(1)};
  seen.turned = heads[1].getAttribute("aria-sort");
  seen.undefined = press(3);
  seen.others = heads.filter((h) => h.hasAttribute("aria-sort")).length;
  seen.again = press(0);
  const chart = [...document.querySelectorAll("svg.area-chart")].filter((s) => s.getBoundingClientRect().width);
  seen.charts = chart.length;
  const box = chart[0].getBoundingClientRect();
  chart[0].dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + box.width / 2, clientY: box.top + 50}));
  seen.readout = document.getElementById("readout").textContent;
  seen.width = innerWidth;
  seen.needs = document.documentElement.scrollWidth;
  seen.fetched = performance.getEntriesByType("resource").map((e) => e.name).filter((n) => !n.startsWith("data:"));
  seen.troubles = troubles;
  parent.postMessage(JSON.stringify(seen), "*");
});
"""


@pytest.fixture(scope="module")
def browse(opened, tmp_path_factory):  # noqa: F811
    """Return a function that opens the page at a width and tells what the probe saw."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("install chromium to try the report in a browser")
    root = tmp_path_factory.mktemp("browser")
    digest = base64.b64encode(hashlib.sha256(PROBE.encode()).digest()).decode()
    page = html.render(opened.report, truth=opened.truth, predictions=opened.predictions)
    page = page.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    (root / "page.html").write_text(page.replace("<title>", f"<script>{PROBE}</script><title>", 1), encoding="utf-8")

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


@pytest.fixture(scope="module")
def seen(browse):
    return browse(1280)


def test_the_page_asks_for_nothing_and_complains_about_nothing(seen):
    assert seen["fetched"] == []
    assert seen["troubles"] == []


def test_a_click_on_a_heading_sorts_and_a_second_turns_it_round(seen):
    numbers = [float(v) for v in seen["up"]]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 2
    assert [float(v) for v in seen["down"]] == numbers[::-1]
    assert (seen["sorted"], seen["turned"], seen["others"]) == ("ascending", "descending", 1)
    assert seen["again"] == sorted(seen["names"])


def test_undefined_scores_come_last(seen):
    defined = [v for v in seen["undefined"] if v]
    assert "" in seen["undefined"]
    assert seen["undefined"][: len(defined)] == defined
    assert [float(v) for v in defined] == sorted(map(float, defined))


def test_the_pointer_reads_the_curve_out(seen):
    assert seen["charts"] == 1
    assert re.fullmatch(r"Around [\d,]+ px: IA-IoU 0\.\d\d \(.*\), about \d+ instances", seen["readout"])


@pytest.mark.parametrize("width", [360, 390, 820, 1600])
def test_no_part_of_the_page_sticks_out(browse, width):
    at = browse(width)
    assert at["width"] == width
    assert at["needs"] <= width
    assert at["charts"] == 1
