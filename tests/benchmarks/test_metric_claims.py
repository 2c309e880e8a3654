"""Claims about the metric itself: annotation noise, components for objects, compactness. Records, verdicts, blocks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from iamiou.errors import InputError
from iamiou.labels import ClassList
from iamiou.pairs import PairCounter, Rule
from iamiou.scores import headline
from iamiou_benchmarks.claims import _statistics, claim_module, components, irregular, known_claims, noise, ragged
from iamiou_benchmarks.claims._disturb import VOID, classes_of
from iamiou_benchmarks.claims._record import Asked
from iamiou_benchmarks.claims._scored_sets import Pair, ScoredSet, count, open_real
from iamiou_benchmarks.cli import bench
from iamiou_benchmarks.datasets.shapes import PRESETS, scene
from iamiou_benchmarks.tables.results import RESULTS

KNOBS = replace(PRESETS["small"], side=32)
CLAIMS = {"noise": noise, "components": components, "irregular": irregular, "ragged": ragged}


def scored(images=8, seeds=2):
    """Scenes with the truth, moved a little, as prediction."""
    pairs = []
    for k in range(images):
        made = scene(KNOBS, 0, "test", k)
        semantic, instance = (m.astype(np.uint16) for m in (made.semantic, made.instance))
        guesses = tuple(np.roll(made.semantic, 1 + s, s % 2) for s in range(seeds))
        pairs.append(Pair(f"{k:02}", semantic, instance, classes_of(semantic, instance), guesses))
    return ScoredSet("shapes", "scenes", ClassList("shapes", KNOBS.names), KNOBS.bins, 1, tuple(pairs))


@pytest.fixture
def quick(monkeypatch):
    """Fewer draws and strengths."""
    for module in (noise, _statistics, irregular):
        monkeypatch.setattr(module, "DRAWS", 50)
    monkeypatch.setattr(noise, "SEEDS", 2)
    monkeypatch.setattr(noise, "STRENGTHS", {"px": (1, 2), "share": (0.5, 1.0)})
    monkeypatch.setattr(components, "RESAMPLES", 50)


def test_noise_twice_gives_the_same_bytes_and_tells_kinds_apart(quick):
    first, again = (noise.measure([scored()]) for _ in range(2))
    assert json.dumps(first) == json.dumps(again)
    for row in first["sets"][0]["rows"]:
        if row["kind"] in ("neighbours merged", "split in two"):  # mIoU does not see instances
            assert row["change"]["mIoU"] == 0
            assert row["more"] == pytest.approx(abs(row["change"]["IA-mIoU"]), abs=1e-6)
        elif row["kind"] != "small ones missing":
            assert row["change"]["mIoU"] != 0
        if row["more"] is not None:
            change = row["change"]
            assert row["more"] == pytest.approx(abs(change["IA-mIoU"]) - abs(change["mIoU"]), abs=2e-6)
    missing = [r for r in first["sets"][0]["rows"] if r["kind"] == "small ones missing"][-1]
    assert missing["change"]["IA_S"] is None  # all of them are gone
    assert len(noise.lines(first)) > 15


def test_noise_changes_are_those_of_the_metric(quick):
    """The record's change is the mean over seeds of the difference of two scorings."""
    one = scored()
    row = next(r for r in noise.measure([one])["sets"][0]["rows"] if r["kind"] == "split in two")
    wanted = []
    for seed in range(2):
        clean = headline(count(one, ((p.semantic, p.instance) for p in one.pairs), seed), one.bins)
        noisy = headline(noise.noisy(one, "split in two", row["strength"], seed), one.bins)
        wanted.append(noisy["IA_S"] - clean["IA_S"])
    assert row["change"]["IA_S"] == pytest.approx(np.mean(wanted), abs=1e-6)


def test_one_verdict_a_kind():
    assert noise.overall({"voc": "confirmed", "coco": "confirmed", "shapes": "not shown"}) == "confirmed on 2 of 3 sets"
    assert noise.overall({"voc": "reversed", "shapes": "reversed"}) == "reversed"
    assert noise.overall({"voc": "reversed", "coco": "confirmed", "shapes": "reversed"}).startswith("not shown")
    assert noise.overall({"voc": "not shown", "shapes": "reversed"}) == "reversed, on shapes only"
    assert noise.overall({"voc": "not shown", "shapes": "not shown"}) == "not shown"


def test_components_are_those_of_the_metric():
    one = scored(12, 1)
    without = PairCounter(one.classes, Rule())
    for p in one.pairs:
        without.add(p.image_id, p.predictions[0], p.semantic, None)
    ours = count(one, ((p.semantic, components.components(p.semantic)) for p in one.pairs), 0)
    assert ours == without.counts()


def test_overlaps_count_parted_and_joined_objects():
    instance = np.array([[1, 1, 0, 1, 2, 2, 0, 3, VOID]], np.uint16)
    semantic = np.array([[1, 1, 0, 1, 1, 1, 0, 2, VOID]], np.uint16)
    found = components.overlaps(instance, components.components(semantic))
    assert found == (3, 3, 1, 3, 1, 1)  # 1 is parted; its second part and 2 are one component


def test_components_and_compactness_have_records_and_lines(quick):
    one = scored(12, 2)
    record = components.measure([one], [])
    assert record["sets"][0]["ways"]["annotated"]["objects"]
    assert json.dumps(record) == json.dumps(components.measure([one], []))
    real = irregular.measure_real([scored(40, 1)])
    assert irregular.lines({"real": real, "photographs": [], "shapes": []})[2].count("|") == 13


@pytest.mark.parametrize("name", CLAIMS)
def test_committed_records_say_something_and_are_drawn(name):
    record = json.loads((RESULTS / "claims" / f"{name}.json").read_text(encoding="utf-8"))
    lines = CLAIMS[name].lines(record)
    for table in "\n".join(lines).split("\n\n"):
        assert len({line.count("|") for line in table.splitlines()}) == 1  # whole tables
    assert "nan" not in "\n".join(lines).lower()
    assert CLAIMS[name].draw(record).axes


def test_blocks_of_claims_are_made_from_the_records(tmp_path):
    pytest.importorskip("torch")
    from iamiou_benchmarks.document import renewed

    text = "Before.\n<!-- claim components -->\nold\n<!-- end -->\nAfter."
    made = renewed(text)
    record = json.loads((RESULTS / "claims" / "components.json").read_text(encoding="utf-8"))
    assert made == text.replace("\nold\n", "\n\n" + "\n".join(components.lines(record)) + "\n\n")
    with pytest.raises(InputError, match=r"no claim 'nothing'. It can be .*components"):
        renewed("<!-- claim nothing -->\n<!-- end -->")
    with pytest.raises(InputError, match=r"iamiou bench claim noise --out"):
        renewed("<!-- claim noise -->\n<!-- end -->", tmp_path)


def test_the_record_starts_from_the_scores_of_the_runs():
    record = json.loads((RESULTS / "claims" / "noise.json").read_text(encoding="utf-8"))
    shapes = next(s for s in record["sets"] if s["name"] == "shapes")
    runs = [json.loads((RESULTS / f"{noise.RUN}-{s}.json").read_text(encoding="utf-8")) for s in range(5)]
    scores = [next(s for s in r["stages"] if s["name"] == "predict")["scores"]["test"] for r in runs]
    for name, value in shapes["scores"].items():
        assert value == pytest.approx(np.mean([s[name] for s in scores]), abs=2e-6)


def test_real_records_start_from_the_real_scores(real_data: Path):
    record = json.loads((RESULTS / "claims" / "noise.json").read_text(encoding="utf-8"))
    one = open_real("voc-maskrcnn", real_data)
    found = headline(count(one, ((p.semantic, p.instance) for p in one.pairs), 0), one.bins)
    kept = next(s for s in record["sets"] if s["name"] == "voc-maskrcnn")
    assert kept["scores"] == {name: round(found[name], 6) for name in noise.SCORES}


@pytest.mark.parametrize("name", ["noise", "components", "irregular"])
def test_a_missing_folder_is_named_in_one_sentence(name, tmp_path):
    found = CliRunner().invoke(bench, ["claim", name, "--real", str(tmp_path / "none")])
    assert isinstance(found.exception, InputError)
    assert "IAMIOU_REAL_DATA" in str(found.exception)


def test_every_claim_can_be_asked_for():
    pytest.importorskip("torch")
    for name in known_claims():
        module = claim_module(name)
        assert set(module.TAKES) <= set(Asked.__dataclass_fields__)
        assert all(callable(getattr(module, part)) for part in ("record_of", "lines", "draw"))


def test_the_command_prints_and_keeps_what_the_record_says(tmp_path, monkeypatch):
    record = json.loads((RESULTS / "claims" / "components.json").read_text(encoding="utf-8"))
    monkeypatch.setattr(components, "record_of", lambda asked: record)
    out, figure = tmp_path / "a.json", tmp_path / "a.png"
    given = ["--out", str(out), "--figure", str(figure), "--cache", "nowhere"]
    found = CliRunner(env={"IAMIOU_REAL_DATA": "nowhere"}).invoke(bench, ["claim", "components", *given])
    assert found.exit_code == 0, found.output
    assert found.output == "\n".join(components.lines(record)) + "\n"
    assert json.loads(out.read_text(encoding="utf-8")) == record
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_an_option_that_a_claim_has_no_use_for_is_refused_and_one_of_the_environment_is_not():
    found = CliRunner().invoke(bench, ["claim", "components", "--train", "2"])
    assert found.exit_code == 2
    assert "has no use for --train" in found.output
    found = CliRunner(env={"IAMIOU_REAL_DATA": "nowhere"}).invoke(bench, ["claim", "precision"])
    assert found.exit_code == 0, found.output
    found = CliRunner().invoke(bench, ["claim", "nois"])
    assert "Did you mean 'noise'?" in str(found.exception)


@pytest.mark.parametrize("package", ["scipy", "torch"])
def test_without_the_extra_a_claim_says_what_to_install(package, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else object())
    found = CliRunner().invoke(bench, ["claim", "precision"])
    assert isinstance(found.exception, InputError)
    assert 'pip install "iamiou[baselines]"' in str(found.exception)
