"""The report page: right numbers, one file, nothing from outside trusted, whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from iamiou import html
from iamiou.counts import Counts
from iamiou.errors import ImageError, InputError
from iamiou.evaluation import evaluate_opened, make_report
from iamiou.ground_truth import open_ground_truth
from iamiou.labels import VOC, ClassList
from iamiou.predictions import open_predictions
from iamiou.settings import Settings
from tests import fakes


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Return report, truth and predictions of a small data set on disk."""
    root = tmp_path_factory.mktemp("data")
    images = fakes.scenes(12, seed=4, shape=(220, 260), labels=(1, 2, 3, 15))
    truth = open_ground_truth(fakes.voc_devkit(root / "voc", images), split="val")
    predictions = open_predictions(fakes.prediction_folder(root / "model_a", images), truth)
    report = evaluate_opened(predictions, truth, Settings(bootstrap=50))
    return SimpleNamespace(report=report, truth=truth, predictions=predictions, root=root)


def report_of(classes: ClassList, rows, names=("a",), **settings):
    """Return the report of instances given as rows of `Counts.instances`."""
    c, n = len(classes), len(names)
    truth = np.zeros((n, c), np.int64)
    truth[:, 0] = 1000
    for row in rows:
        truth[row[0], row[2]] += row[3]
    hit = truth // 2
    prediction = hit.copy()
    instances = np.array(rows, np.int64).reshape(-1, 7)
    counts = Counts(c, tuple(names), np.diag(hit.sum(0)), truth, prediction, hit, instances, np.zeros((0, 3), np.int64))
    return make_report(counts, classes, Settings(bootstrap=0, **settings), "", "annotation")


class Page(HTMLParser):
    """What a browser would see: elements with attributes, and the text of each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.inside: list[str] = []
        self.scripts: list[str] = []
        self.cells: list[list[str]] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.inside.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th") and self.cells:
            self.cells[-1].append("")

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        where = self.inside[-1] if self.inside else ""
        (self.scripts if where == "script" else self.text).append(data)
        if {"td", "th"} & set(self.inside):
            self.cells[-1][-1] += data + " "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [a for name, a in self.elements if name == tag]

    def says(self, words: str) -> bool:
        return words in re.sub(r"\s+", " ", "".join(self.text))


def render(opened, **options):
    options = {"truth": opened.truth, "predictions": opened.predictions} | options
    return html.render(opened.report, **options)


@pytest.fixture(scope="module")
def text(opened):
    return render(opened)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_nothing_is_fetched_from_outside(text, page):
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text.replace("/* ", ""))
    links = [v for _, a in page.elements for k, v in a.items() if k in ("src", "href", "srcset", "action")]
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)


def test_the_policy_allows_this_one_script_and_no_other(page):
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    (script,) = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_the_tiles_show_scores_intervals_and_what_is_behind_them(opened, page):
    scores, support = opened.report.scores, opened.report.support
    names = ("mIoU", "IA-mIoU", "IA_S", "IA_M", "IA_L")
    assert len(set(names) & set(opened.report.intervals)) >= 4
    for name in names:
        assert page.says(f"{scores[name]:.3f}")
        if name in opened.report.intervals:
            low, high = opened.report.intervals[name]
            assert page.says(f"{low:.3f} to {high:.3f}")
    assert page.says(f"instances {support['IA_S']['instances']}".replace(" ", ""))
    assert page.says("classes in fewer than 5 images")


def test_the_class_table_holds_the_numbers_of_the_score_json(opened, page):
    start = next(k for k, row in enumerate(page.cells) if row[0].strip() == "background")
    rows = {row[0].strip(): [c.split() for c in row[1:]] for row in page.cells[start : start + 5]}
    for entry in opened.report.class_rows()[1:]:
        if not entry["instances"]:
            continue
        cells = rows[entry["name"]]
        assert cells[0] == [f"{entry['IoU']:.3f}"]
        assert cells[1] == [f"{entry['IA-IoU']:.3f}", str(entry["instances"])]
        for cell, size in zip(cells[2:5], "SML", strict=True):
            n = entry[size]["instances"]
            assert cell == ([f"{entry[size]['IA-IoU']:.3f}", str(n)] if n else ["–"])
        assert cells[7] == [str(entry["phantoms"]["count"])]
    assert page.says("Without ground truth and predictions")


def test_all_numbers_can_be_taken_along(opened, page):
    (link,) = [a for a in page.all("a") if "download" in a]
    data = base64.b64decode(link["href"].removeprefix("data:application/json;base64,"))
    assert json.loads(data) == json.loads(opened.report.to_json())


def test_crops_and_their_outlines_are_inside(opened, page):
    images = page.all("image")
    assert 6 <= len(images) <= 18
    assert {a["class"].split()[0] for a in images} == {"masks"}
    outlines = [a for a in page.all("path") if a.get("class") == "truth"]
    assert len(outlines) == len(images)
    assert all(a["d"].startswith("M") for a in outlines)
    labels = [a["aria-label"] for a in page.all("svg") if "aria-label" in a]
    assert any(re.fullmatch(r"Around a \w+ of [\d,]+ pixels? in image 2007_\d+: .*", label) for label in labels)


def test_photographs_lie_below_where_there_are_some(opened, tmp_path):
    for image in opened.truth.ids:
        Image.new("RGB", (26, 22), (40, 90, 60)).save(tmp_path / f"{image}.jpg")
    page = Page(render(opened, images=tmp_path))
    assert {a["class"].split()[0] for a in page.all("image")} == {"photo"}


def test_without_the_maps_the_instances_are_listed(opened):
    page = Page(html.render(opened.report, truth=None, predictions=None))
    assert page.all("image") == []
    worst = opened.report.instances.query("bin == 'L'").sort_values("iou").iloc[0]
    assert any(worst["image"] in " ".join(row) and f"{worst['iou']:.3f}" in row[-1] for row in page.cells)


def test_maps_that_vanished_leave_the_rest_of_the_page(opened):
    def gone(*_):
        raise ImageError("broken-png", "files are damaged", "x")

    truth = SimpleNamespace(load=gone)
    page = Page(render(opened, truth=truth))
    assert page.all("image") == []
    assert page.says("Worst and best instances")


def test_the_same_report_gives_the_same_page(opened, text):
    assert render(opened) == text


def test_hostile_names_stay_text(opened):
    evil = "<script>alert(1)</script>\"'&<b onclick=x>"
    rows = [(k % 2, k, 1 + k % 2, 100 * k**3 + 5, k, 0, 1) for k in range(1, 9)]
    report = report_of(ClassList(evil, ("background", evil, evil + "2")), rows, names=(evil, evil + "z"))
    report.options[evil] = evil
    report = type(report)(**{**vars(report), "warnings": (evil,), "digest": evil, "instances_from": evil})
    maps = np.zeros((2, 30, 30), np.uint8)
    maps[:, 5:9, 5:9] = 1
    truth = SimpleNamespace(load=lambda _: maps)
    predictions = SimpleNamespace(load=lambda *_: maps[0], ids=report.counts.images, source=evil)
    page = Page(html.render(report, truth=truth, predictions=predictions, title=evil))
    assert len(page.scripts) == 1
    assert page.all("b") == []
    assert not [a for _, a in page.elements if any(k.startswith("on") for k in a)]
    assert page.says(evil)


def test_components_in_place_of_instances_are_announced(opened):
    semantic = opened.root / "voc" / "SegmentationClass"
    names = fakes.image_list(opened.root / "all.txt", [SimpleNamespace(id=i) for i in opened.truth.ids])
    truth = open_ground_truth(semantic, list_file=names)
    report = evaluate_opened(opened.predictions, truth, Settings(bootstrap=0))
    assert report.instances_from == "components"
    page = Page(html.render(report, truth=truth, predictions=opened.predictions))
    assert page.says("No instance annotation: connected components of the ground truth stand in")
    assert len([a for a in page.all("path") if a.get("class") == "truth"]) >= 6


def test_an_image_without_prediction_is_shown_as_background(opened):
    images = fakes.scenes(12, seed=4, shape=(220, 260), labels=(1, 2, 3, 15))
    few = open_predictions(fakes.prediction_folder(opened.root / "few", images[:2]), opened.truth)
    report = evaluate_opened(few, opened.truth, Settings(bootstrap=0, missing="background"))
    page = Page(html.render(report, truth=opened.truth, predictions=few))
    assert page.says("missed")


def test_only_miou(opened):
    report = evaluate_opened(opened.predictions, opened.truth, Settings(bootstrap=20, metrics="miou"))
    page = Page(html.render(report, truth=opened.truth, predictions=opened.predictions))
    assert page.says(f"{report.scores['mIoU']:.3f}")
    assert page.says("Only mIoU was asked for")
    assert not page.says("IA-mIoU is the mean")
    assert page.all("image") == []


@pytest.mark.parametrize("bins", [(64,), (32, 96), (8, 16, 32, 64)])
def test_any_size_bins_have_their_tiles(opened, bins):
    report = evaluate_opened(opened.predictions, opened.truth, Settings(bootstrap=0, bins=bins))
    page = Page(html.render(report, truth=None, predictions=None))
    assert len([a for a in page.all("article") if "tile" in a["class"]]) == 2 + len(bins) + 1


def test_a_data_set_without_instances_has_a_page():
    page = Page(html.render(report_of(VOC, []), truth=None, predictions=None))
    assert page.says("holds no instance")
    assert page.says("Sizes cannot be compared here.")


def test_the_page_appears_whole_or_not_at_all(opened, tmp_path):
    path = tmp_path / "out.html"
    html.write_report(opened.report, path, truth=None, predictions=None)
    before = path.read_bytes()

    def crash(_):
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError, match="on fire"):
        html.write_report(opened.report, path, truth=SimpleNamespace(load=crash), predictions=opened.predictions)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["out.html"]
    with pytest.raises(InputError, match="cannot be written"):
        html.write_report(opened.report, tmp_path / "no" / "out.html", truth=None, predictions=None)


def test_a_page_of_real_data_stays_small(real_data, tmp_path):
    voc = real_data / "voc"
    truth = open_ground_truth(
        None,
        semantic=voc / "SegmentationClass",
        instances=voc / "SegmentationObject_derived",
        list_file=voc / "ImageSets" / "pred_dinov3_instances.txt",
    )
    predictions = open_predictions(real_data / "predictions" / "voc_dinov3_pspnet", truth)
    report = evaluate_opened(predictions, truth, Settings(bootstrap=0))
    path = tmp_path / "out.html"
    html.write_report(report, path, truth=truth, predictions=predictions, images=voc / "images_274")
    page = Page(path.read_text(encoding="utf-8"))
    assert path.stat().st_size < 3_000_000
    assert [a["class"].split()[0] for a in page.all("image")] == ["photo"] * 18
    assert page.says("0.287")
