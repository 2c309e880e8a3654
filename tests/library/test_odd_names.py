"""File names that are no text: Linux allows any bytes, and every output must take them."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from iamiou.cli import cli

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")


@pytest.fixture
def folders(tmp_path):
    labels = np.zeros((20, 20), np.uint8)
    labels[3:9, 3:9] = 1
    for folder in ("predictions", "truth"):
        (tmp_path / folder).mkdir()
        for name in (b"a\xff.png", b"b.png"):
            with open(os.fsencode(tmp_path / folder) + b"/" + name, "wb") as file:
                Image.fromarray(labels).save(file, "PNG")
    return tmp_path


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown", "latex"])
def test_every_output_takes_a_name_that_is_no_text(folders, form):
    outputs = [f"--{name}={folders / file}" for name, file in (("report", "r.html"), ("save", "s.npz"))]
    command = ["score", str(folders / "predictions"), str(folders / "truth"), "--bootstrap", "10", "--format", form]
    done = CliRunner().invoke(cli, [*command, *outputs], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    if form == "json":
        assert len(json.loads(done.stdout)["digest"]) == 64
    assert r"a\udcff" in (folders / "r.html").read_text(encoding="utf-8")
    same = CliRunner().invoke(cli, ["compare", str(folders / "s.npz"), str(folders / "s.npz")], catch_exceptions=False)
    assert same.exit_code == 0, same.output
