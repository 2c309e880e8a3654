"""The pages in a real browser: they fit, sort, filter, upload and can be read; the export needs no network."""

from __future__ import annotations

import shutil

import pytest

from tests.leaderboard.boards import drawn, packed, predictions
from tests.leaderboard.web import Web

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (390, 820, 1400)
# Text whose contrast with what lies below it is less than WCAG's AA asks for.
CONTRAST = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgba = (text) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    const p = canvas.getImageData(0, 0, 1, 1).data; return [p[0], p[1], p[2], p[3] / 255];
  };
  const over = (a, b) => [0, 1, 2].map((k) => a[k] * a[3] + b[k] * (1 - a[3])).concat(1);
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (c) => [0, 1, 2].map((k) => linear(c[k] / 255))
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const under = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) layers.unshift(rgba(getComputedStyle(e).backgroundColor));
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const weak = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
    if (!walker.currentNode.textContent.trim() || box.width < 2 || style.visibility === "hidden") continue;
    if (e.closest(".sr, .skip, noscript, :disabled, option")) continue;
    let opacity = 1;
    for (let p = e; p; p = p.parentElement) opacity *= Number(getComputedStyle(p).opacity);
    const svg = e instanceof SVGElement, ground = under(svg ? e.closest("figure") ?? e.parentElement : e);
    const ink = rgba(svg ? style.fill : style.color); ink[3] *= opacity;
    const [a, b] = [light(over(ink, ground)), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05), large = parseFloat(style.fontSize) >= 24;
    seen += 1;
    if (ratio < (large ? 3 : 4.5)) weak.push(`${walker.currentNode.textContent.trim()} ${ratio.toFixed(2)}`);
  }
  return {seen, weak};
}"""


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("install chromium to try the pages in a browser")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def look(chromium, web: Web):
    """Return a function that opens a page; what the browser complains about fails the test."""
    contexts, troubles, expected = [], [], []

    def opened(address, width=1400, who="", **options):
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        if who:
            cookie = web.server.config.app.app.state.sessions.cookie
            context.add_cookies([{"name": cookie, "value": web.tokens[who], "url": web.url}])
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: troubles.append(str(e)))
        page.goto(address if "://" in address else f"{web.url}{address}")
        return page

    opened.expected = expected
    yield opened
    for context in contexts:
        context.close()
    assert [t for t in troubles if not any(e in t for e in expected)] == []


def addresses(web):
    pair = f"a={web.ids[1]}&b={web.ids[0]}"
    return [
        *("/", "/?split=public&classes=1", f"/submissions/{web.ids[0]}", "/rules", "/submit", "/sign-in", "/nothing"),
        *(f"/compare?{pair}", f"/compare?{pair}&split=public"),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_can_be_read(look, web, scheme):
    page = look("/rules", who="Lab", color_scheme=scheme)
    seen = 0
    for address in addresses(web):
        if address == "/nothing":
            continue
        page.goto(web.url + address)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            needs = page.evaluate("document.documentElement.scrollWidth")
            assert needs <= width, (address, width, needs)
        found = page.evaluate(CONTRAST)
        assert found["weak"] == [], (address, scheme)
        seen += found["seen"]
    assert seen > 1000


def column(page, k):
    return page.eval_on_selector_all("table.board tbody tr", f"rows => rows.map(r => r.cells[{k}].dataset.v)")


def test_a_heading_sorts_by_mouse_and_by_keyboard(look):
    page = look("/")
    names = page.eval_on_selector_all("table.board thead th", "heads => heads.map(h => h.innerText)")
    at = next(k for k, n in enumerate(names) if n.startswith("mIoU"))
    before = column(page, at)
    page.locator("table.board thead button").nth(at).click()
    down = [float(v) for v in column(page, at)]
    assert down == sorted(map(float, before), reverse=True)
    page.locator("table.board thead button").nth(at).focus()
    page.keyboard.press("Enter")
    assert [float(v) for v in column(page, at)] == down[::-1]
    assert page.locator("table.board thead th[aria-sort]").count() == 1


def test_without_a_script_all_is_there(look, web):
    page = look("/", java_script_enabled=False)
    assert page.locator("table.board tbody tr").count() == 4
    assert page.get_by_role("button", name="Filter").is_visible()
    page.select_option("select[name=backbone]", "R1")
    page.get_by_role("button", name="Filter").click()
    assert "backbone=R1" in page.url
    assert page.locator("table.board tbody tr").count() == 1


def test_a_filter_applies_at_once(look):
    page = look("/")
    page.select_option("select[name=backbone]", "R2")
    page.wait_for_url("**backbone=R2*")
    assert page.locator("table.board tbody tr").count() == 1


def test_upload_in_the_browser_and_the_live_state(look, web, tmp_path):
    archive = tmp_path / "labels.zip"
    archive.write_bytes(packed(predictions(drawn())))
    page = look("/submit", who="Other")
    page.fill("#f-method", "From the browser")
    page.select_option("#f-supervision", "image")
    page.set_input_files("#f-archive", archive)
    page.get_by_role("button", name="Submit", exact=True).click()
    page.wait_for_url("**/submissions/*")
    submission_id = page.url.rpartition("/")[2]
    entry = web.opened.store.submission(submission_id)
    assert (entry.state, entry.team, entry.archive_size) == ("received", "Other", archive.stat().st_size)
    assert page.locator("[data-watch]").is_visible()
    web.opened.store.cancel(submission_id, "Other")
    page.get_by_text("Cancelled by its team.").wait_for()  # nobody loaded the page again


def test_what_the_server_refuses_is_said_on_the_form(look, web, tmp_path):
    archive = tmp_path / "labels.zip"
    archive.write_bytes(packed(predictions(drawn())))
    look.expected.append("status of 422")  # Chromium logs every answer that is an error
    page = look("/submit", who="Other")
    page.fill("#f-method", "x")
    page.set_input_files("#f-archive", archive)
    page.locator("details summary").click()
    page.fill("#f-seed", "many")
    page.get_by_role("button", name="Submit", exact=True).click()
    page.get_by_text("'seed' in submission.json").wait_for()
    assert page.get_by_role("button", name="Submit", exact=True).is_enabled()


def test_the_export_works_from_a_folder_with_the_network_off(look, exported):
    page = look((exported / "index.html").as_uri(), offline=True)
    assert page.locator("table.board tbody tr").count() == 4
    assert page.evaluate("getComputedStyle(document.querySelector('.card')).borderRadius") == "12px"
    page.select_option("select[name=backbone]", "R1")
    assert page.locator("table.board tbody tr:visible").count() == 1
    assert page.url.endswith("?backbone=R1")
    page.reload()
    assert page.locator("table.board tbody tr:visible").count() == 1
    page.select_option("select[name=backbone]", "")
    page.locator("table.board thead button").nth(1).click()
    page.locator("table.board tbody th a").first.click()
    assert "/submissions/" in page.url
    page.locator("a[href*='compare/']").first.click()
    assert page.locator("h1").inner_text()
    page.get_by_role("link", name="Rules and data").click()
    assert page.locator("h1").inner_text() == "drawn"
