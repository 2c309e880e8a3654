"""The plots as files: which, deterministic, whole, and free of the user's own settings."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from iamiou import figures
from iamiou.errors import InputError
from iamiou.labels import ClassList
from tests.library.test_html import opened, report_of  # noqa: F401  (a fixture)

NAMES = ("headline", "iou_against_area", "sizes", "classes")


@pytest.fixture(scope="module")
def written(opened, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("figures") / "new" / "folder"
    return folder, figures.write_figures(opened.report, folder)


def test_every_plot_is_written_as_png_and_svg(written):
    folder, paths = written
    assert [p.name for p in paths] == [f"{n}.{kind}" for n in NAMES for kind in ("png", "svg")]
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in paths)
    for path in paths:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert image.size[0] > 600
                assert "Software" not in image.info
        else:
            text = path.read_text(encoding="utf-8")
            assert "<svg" in text
            assert "dc:date" not in text


def test_the_same_report_gives_the_same_bytes_whatever_the_user_set(opened, written, tmp_path):  # noqa: F811
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "figure.facecolor": "black"}):
        again = figures.write_figures(opened.report, tmp_path)
        assert mpl.rcParams["font.size"] == 30
    for a, b in zip(written[1], again, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name


def test_the_headline_shows_every_score_and_interval(opened):  # noqa: F811
    figure = figures.headline(opened.report)
    (axes,) = figure.axes
    shown = [text.get_text() for text in axes.texts]
    scores = opened.report.scores
    expected = [scores[n] for n in ("mIoU", "IA-mIoU", "IA_S", "IA_M", "IA_L")]
    assert shown == ["–" if np.isnan(v) else f"{v:.3f}" for v in expected]
    assert [b.get_height() for b in axes.patches] == pytest.approx(np.nan_to_num(expected))


def test_the_heat_map_shows_each_class_and_bin_with_its_count(opened):  # noqa: F811
    (axes,) = figures.classes(opened.report).axes
    table = opened.report.instances.groupby(["class", "bin"])["iou"].agg(["mean", "size"])
    assert len(axes.texts) == 2 * len(table)
    assert sorted(t.get_text() for t in axes.texts[::2]) == sorted(f"{v:.3f}" for v in table["mean"])
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        name for name in opened.report.class_list.names if name in set(opened.report.instances["class"])
    ]


def test_the_histogram_holds_every_instance(opened):  # noqa: F811
    (axes,) = figures.sizes(opened.report).axes
    found, every = (sum(bar.get_height() for bar in group) for group in axes.containers)
    assert every == len(opened.report.instances)
    assert found == (opened.report.instances["iou"] >= 0.5).sum()


def test_more_classes_than_fit_are_counted():
    classes = ClassList("many", ("background", *(f"${k}$_{{" for k in range(100))))
    rows = [(0, k, k, 2000, 1000, 0, 1) for k in range(1, 101)]
    report = report_of(classes, rows)
    (axes,) = figures.classes(report).axes
    assert len(axes.get_yticklabels()) == figures.ROWS
    assert axes.get_xlabel() == "the 80 classes with most instances; 20 more are left out"
    axes.figure.savefig(io.BytesIO())  # a dollar sign in a name starts no formula


@pytest.mark.parametrize("rows", [[], [(0, 1, 1, 1, 0, 0, 0)]])
def test_little_is_enough(rows, tmp_path):
    report = report_of(ClassList("two", ("background", "thing")), rows)
    names = {p.stem for p in figures.write_figures(report, tmp_path)}
    assert names == ({"headline"} if not rows else set(NAMES))


def test_a_figure_that_fails_leaves_nothing_behind(opened, tmp_path, monkeypatch):  # noqa: F811
    def broken(report):
        def savefig(file, **options):
            file.write(b"half")
            raise RuntimeError("no more ink")

        return SimpleNamespace(savefig=savefig)

    monkeypatch.setattr(figures, "headline", broken)
    with pytest.raises(RuntimeError, match="no more ink"):
        figures.write_figures(opened.report, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_input_error(opened, tmp_path):  # noqa: F811
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        figures.write_figures(opened.report, tmp_path / "file")


def test_svg_text_is_drawn_not_linked(written):
    for path in written[1]:
        if path.suffix == ".svg":
            links = re.findall(r'(?:href|src)="([^"]*)"', path.read_text(encoding="utf-8"))
            assert all(link.startswith(("#", "data:")) for link in links)
