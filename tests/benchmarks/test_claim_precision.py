"""The claim on pseudo-masks, and the statistics behind the claims: made-up results and oracles."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from iamiou_benchmarks.claims import _statistics, precision  # noqa: E402
from iamiou_benchmarks.claims._statistics import clustered, of_mean, of_spreads, spearman  # noqa: E402
from iamiou_benchmarks.running.replicates import pack  # noqa: E402
from iamiou_benchmarks.running.runfile import load_run  # noqa: E402
from iamiou_benchmarks.tables.results import RESULTS, read_results  # noqa: E402

# Statistics


def test_spearman_is_that_of_pandas():
    import pandas as pd

    rng = np.random.default_rng(0)
    for size in (5, 22):
        a, b = rng.integers(0, 6, size), rng.normal(size=size)  # the first with ties
        assert spearman(a, b) == pytest.approx(pd.DataFrame({"a": a, "b": b}).corr("spearman").iloc[0, 1])


def test_intervals_over_groups_take_no_comfort_from_copies():
    values = np.random.default_rng(1).normal(0, 1, 12)
    for copies in (1, 4):
        groups = np.repeat(np.arange(12), copies)
        many = np.repeat(values, copies)
        low, high = clustered(groups.tolist(), lambda at, v=many: np.array([v[at].mean()]))
        ends = of_mean(values)
        assert (high[0] - low[0]) == pytest.approx(ends[1] - ends[0], rel=0.12)  # the bootstrap's divisor is n
        assert low[0] < values.mean() < high[0]
    low, _ = clustered(["a", "a"], lambda at: at[:1].astype(float))
    assert np.isnan(low).all()


def test_intervals_of_spreads_are_fishers():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 2, 5), rng.normal(0, 1, 7)
    ratio, low, high = of_spreads(a, b)
    assert ratio == pytest.approx(a.std(ddof=1) / b.std(ddof=1))
    ends = [ratio / np.sqrt(stats.f.ppf(q, 4, 6)) for q in (0.975, 0.025)]
    assert (low, high) == pytest.approx(ends, rel=0.01)
    assert np.isnan(of_spreads([1.0, 1.0], [1.0, 2.0])).all()


# Precision


def set_of(name, seed, masks, network):
    """A made-up result: scores of its pseudo-masks and the mIoU of its network."""
    drawn = {"mIoU": pack(np.random.default_rng(0).normal(0.5, 0.0002, 200))}
    return {
        "run": f"shapes-small-{name}-ce",
        "seed": seed,
        "stages": [
            {"name": "pseudo", "scores": {"train": masks}},
            {"name": "predict", "scores": {"test": {"mIoU": network}}},
        ],
        "replicates": {"pseudo": {"train": drawn}, "predict": {"test": drawn}},
    }


def sets(decides, seeds=(0, 1, 2)):
    """Results of all sets, where one score of the masks decides how good the network is."""
    rng, found = np.random.default_rng(3), []
    for name, source in precision.SETS.items():
        if name == source:
            base = {p: rng.uniform(0.5, 0.7) for p in precision.PREDICTORS}
        end = name.removeprefix(source)
        shift = {"low": (-0.05, -0.1, 0.08), "high": (-0.05, 0.1, -0.08)}.get(end, (0, 0, 0))
        masks = base | {p: base[p] + s for p, s in zip(("mIoU", "precision", "recall"), shift, strict=True)}
        found += [set_of(name, s, masks, masks[decides] + 0.0005 * s) for s in seeds]
    return found


def test_the_score_that_decides_is_found(monkeypatch):
    monkeypatch.setattr(_statistics, "DRAWS", 300)
    told = {}
    for decides in ("precision", "mIoU"):
        record = precision.measure(sets(decides))
        assert len(record["sets"]) == 22 and not record["missing"]
        assert record["spearman"][decides][0] == pytest.approx(1)
        told[decides] = precision.lines(json.loads(json.dumps(record)))
    assert sum("confirmed, on shapes only" in line for line in told["precision"]) == 3
    assert not any("confirmed" in line for line in told["mIoU"])  # the first claim too: no network turns
    assert any("reversed" in line and "predicts it better" in line for line in told["mIoU"])


def test_turned_pairs_and_equal_masks_by_hand():
    def masks(mean, precise):
        return {"mIoU": mean, "precision": precise, "recall": 0.7, "IA-mIoU": 0.5}

    results = [set_of("cam", s, masks(0.50, 0.6), 0.60 + 0.001 * s) for s in range(3)]
    results += [set_of("irn", s, masks(0.56, 0.6), 0.57 + 0.001 * s) for s in range(3)]
    for end, network in (("low", 0.5), ("high", 0.54)):
        results += [set_of(f"walk{end}", s, masks(0.48, 0.8 if end == "high" else 0.5), network) for s in (0, 1)]
    record = precision.measure(results)
    assert record["pairs"] == {
        "sure": 1,
        "turned": [{"higher": "irn", "lower": "cam", "masks": 0.06, "network": 0.03}],
    }
    assert record["equal"]["sources"]["walk"] == pytest.approx(
        {"mIoU": 0, "precision": 0.3, "recall": 0, "network": 0.04}
    )
    assert record["equal"]["low"] is None  # one source has no spread
    assert "orand4" in record["missing"] and "irn above cam by 6.0" in " ".join(precision.lines(record))
    assert precision.draw(record).axes


def test_a_set_counts_with_all_seeds_alone(monkeypatch):
    monkeypatch.setattr(_statistics, "DRAWS", 50)
    record = precision.measure([r for r in sets("mIoU", (0, 1)) if (r["run"], r["seed"]) != ("shapes-small-or-ce", 1)])
    assert record["missing"] == ["or"] and len(record["sets"]) == 21


def test_the_sets_are_run_files_with_plain_cross_entropy():
    for name, source in precision.SETS.items():
        run = load_run(f"shapes-small-{name}-ce")
        assert run.stage("segment").options.loss == "CE"
        if name != source:
            known = load_run(f"shapes-small-{source}-ce")
            assert run.stages[:-3] == known.stages[:-3]
            assert run.stage("segment") == known.stage("segment")
            assert run.stage("pseudo").options.threshold > 0
    for source in precision.TURNED:
        low, high = (load_run(f"shapes-small-{source}{end}-ce").stage("pseudo").options for end in ("low", "high"))
        assert low.threshold < high.threshold


def test_the_record_is_that_of_the_committed_results():
    path = RESULTS / "claims" / "precision.json"
    if not path.exists():
        pytest.skip("there is no record yet")
    made = json.loads(json.dumps(precision.measure(read_results())))
    told = f"make it anew: iamiou bench claim precision --out {path}"
    assert made == json.loads(path.read_text(encoding="utf-8")), told
