"""Claims on correlated errors, the image bank and shared features: made-up results and oracles."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.cams.maps import ClassMaps, load_maps  # noqa: E402
from iamiou_benchmarks.claims import _noisy_maps, bank, errors, gradients, specks  # noqa: E402
from iamiou_benchmarks.running.pipeline import Plan, run_stage  # noqa: E402
from iamiou_benchmarks.running.runfile import Run, Stage, load_run  # noqa: E402
from iamiou_benchmarks.sfc.image_bank import make_bank  # noqa: E402
from iamiou_benchmarks.tables.results import RESULTS, read_results  # noqa: E402
from tests.benchmarks.small_runs import little  # noqa: E402

# Correlated errors


def test_correlation_of_errors_is_pearsons_over_pixels_and_shown_classes(tmp_path):
    rng, every, truths = np.random.default_rng(4), [[], []], {}
    for image_id in ("a", "b"):
        truth = rng.integers(0, 4, (9, 7))
        truth[rng.random((9, 7)) < 0.1] = 255
        truths[image_id] = (truth, None)
        ids = np.array([0, 2])
        for k, threshold in enumerate((0.3, 0.6)):
            full = rng.random((2, 9, 7)).astype(np.float16).astype(np.float32)
            path = tmp_path / str(k) / "maps" / f"{image_id}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            ClassMaps(ids, full[:, ::2, ::2], full, threshold).save(path)
            for c, plane in zip(ids + 1, full, strict=True):
                wrong = (plane > threshold) != (truth == c)
                every[k] += wrong[truth != 255].tolist()
    data = SimpleNamespace(truth_of=lambda split: SimpleNamespace(ids=("a", "b"), load=truths.get))
    counts = errors.error_counts(data, tmp_path / "0", tmp_path / "1")
    assert counts.sum() == len(every[0])
    assert errors.correlation(counts) == pytest.approx(np.corrcoef(*every)[0, 1])
    assert np.isnan(errors.correlation(np.array([[5, 0], [0, 0]])))


def test_settings_take_up_finished_stages_of_the_runs(tmp_path):
    data = SimpleNamespace(digest="none")
    for setting, run in zip(errors.PAIRS, ("orand-ce", "orandsame-ce"), strict=False):
        mine = Plan(errors.run_of(setting), data, 3, tmp_path, "cpu")
        theirs = Plan(load_run(f"shapes-small-{run}"), data, 3, tmp_path, "cpu")
        for name in ("or", "and", "orand"):
            assert mine.folder(mine.run.stage(name)) == theirs.folder(theirs.run.stage(name))
    clean, noisy = (errors.run_of(s) for s in (errors.PAIRS[0], errors.BEFORE_OR[0]))
    assert clean.stage("and") == noisy.stage("and") and clean.stage("or") != noisy.stage("or")


@pytest.mark.parametrize("shared", [0.0, 0.3, 1.0])
def test_noise_is_shared_as_far_as_asked(shared):
    drawn = np.random.default_rng(5).standard_normal((3, 2, 200, 200)).astype(np.float32)
    one, other = (_noisy_maps.mixed(drawn, _noisy_maps.Options(shared=shared, which=k)) for k in (0, 1))
    assert one.std() == pytest.approx(1, abs=0.02)
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] == pytest.approx(shared, abs=0.02)


def test_noisy_maps_run_as_a_method_from_outside(tmp_path):
    plan = little(tmp_path, "cam.select=fixed")
    for stage in plan.run.stages[:2]:
        run_stage(plan, stage)
    method = _noisy_maps.__name__
    made = [Stage(f"noisy{k}", method, ("cam",), _noisy_maps.Options(shared=1.0, which=k)) for k in (0, 1)]
    made.append(Stage("apart", method, ("cam",), _noisy_maps.Options(which=1)))
    wider = Plan(Run("noisy", "", plan.run.data, (*plan.run.stages[:2], *made)), plan.data, 0, plan.cache, "cpu")
    folders = [run_stage(wider, stage) for stage in made]
    image_id = plan.data.splits["train"][0]
    first, same, apart = (load_maps(folder / "maps" / f"{image_id}.npz").full for folder in folders)
    assert (first == same).all() and (first != apart).any() and first.min() >= 0 and first.max() <= 1
    counts = errors.error_counts(plan.data, folders[0], folders[1])
    assert counts[0, 1] == counts[1, 0] == 0  # the same maps, the same threshold
    with pytest.raises(InputError, match="share from 0 to 1"):
        _noisy_maps.run(SimpleNamespace(), _noisy_maps.Options(shared=2.0))


def rows_of(gains, correlations, setting):
    """Made-up rows of a setting, a seed each."""
    return [
        {"setting": setting, "seed": s, "correlation": c, "first": 0.5, "second": 0.48, "or": 0.5, "and": 0.5}
        | {"refined": 0.5 + g}
        for s, (g, c) in enumerate(zip(gains, correlations, strict=True))
    ]


def test_less_correlated_errors_have_to_gain_more():
    alike = rows_of([0.01, 0.011, 0.009], [0.8, 0.81, 0.79], errors.ONE)
    drawn = {(name, s): np.zeros(200) for name in (errors.ONE, errors.TWO) for s in range(3)}
    for gains, told in (([0.05, 0.052, 0.051], "confirmed, on shapes only"), ([0.0, 0.03, 0.0], "not shown")):
        apart = rows_of(gains, [0.4, 0.41, 0.42], errors.TWO)
        record = {"rows": [*apart, *alike], "verdicts": list(errors._verdicts([*apart, *alike], drawn))}
        record = json.loads(json.dumps(record))
        assert [line.rsplit(" | ", 1)[1] for line in errors.lines(record)[-2:]] == [f"{told} |", "no runs yet |"]
        assert errors.draw(record).axes
    same = rows_of([0.05, 0.052, 0.051], [0.8, 0.82, 0.78], errors.TWO)
    verdict = next(errors._verdicts([*same, *alike], drawn))
    assert errors.verdict_word(verdict["correlation"], verdict["gain"]) == "not shown: the errors do not correlate less"


# Shared features


def test_pushes_of_windows_come_back_from_means_since_the_first_step():
    pushes = np.random.default_rng(6).normal(size=60)
    steps = np.arange(1, 61, dtype=float)
    means = np.cumsum(pushes) / steps
    log = [{"iteration": 0, "loss": 1.0}]
    logged = range(2, 60, 3)  # every third step
    log += [{"iteration": k + 1, **dict.fromkeys(gradients.NAMES, means[k])} for k in logged]
    found = gradients.trajectory(log)
    assert found["steps"] == [k + 1 for k in logged]
    assert found["push_few"] == pytest.approx(pushes.reshape(20, 3).mean(1), abs=1e-3)
    assert found["whole"]["up_many"] == pytest.approx(means[-1], rel=1e-3)


def test_verdicts_on_pushes_need_every_seed(tmp_path):
    results = []
    for seed, few in enumerate((-2e-5, -2.2e-5, -2.1e-5)):
        name, key = "shapes-small-sfc-scratch", f"k{seed}"
        results.append({"run": name, "seed": seed, "stages": [{"name": "sfc", "key": key}]})
        (tmp_path / f"sfc-{key}").mkdir()
        values = {"push_many": [1e-5, -1e-5, 3e-5][seed], "push_few": few, "up_many": 0.5, "up_few": 0.4}
        text = "".join(json.dumps({"iteration": k, **values}) + "\n" for k in (10, 20))
        (tmp_path / f"sfc-{key}" / "metrics.jsonl").write_text(text, encoding="utf-8")
    results.append(results[0] | {"run": "shapes-small-sfc-ce", "stages": [{"name": "sfc", "key": "gone"}]})
    record = json.loads(json.dumps(gradients.measure(results, tmp_path)))
    assert list(record["runs"]) == ["sfc-scratch"]
    words = [line.rsplit(" | ", 1)[1] for line in gradients.lines(record)[2:]]
    assert words == ["not shown |", "confirmed, on shapes only |", "not shown |"]
    assert "| +2.1 |" in gradients.lines(record)[3]  # pushed down by so much
    assert gradients.draw(record).axes


# The image bank


def test_expected_age_is_that_of_a_bank():
    images, classes, batch = 60, 3, 4
    rng = np.random.default_rng(7)
    shown = torch.zeros(images, classes)
    for c, many in enumerate((30, 12, 3)):
        shown[rng.permutation(images)[:many], c] = 1
    bank_of = make_bank(classes, 1, 2, "cpu", 1.0)
    seen = []
    for k in range(1500):
        at = torch.from_numpy(rng.integers(0, images, batch))
        image, label = torch.zeros(batch, 3, 2, 2), torch.zeros(batch, 2, 2, dtype=torch.uint8)
        bank_of.add({"image": image, "label": label, "classes": shown[at]}, k)
        seen.append(bank_of.age(k))
    expected = np.mean([bank.expected_age(images / n, batch) for n in (30, 12, 3)])
    assert np.mean(seen[100:]) == pytest.approx(expected, rel=0.15)


def test_spreads_with_and_without_the_bank():
    def result(run, seed, few):
        means = {"sfc": {"train": {"IoU_Few": few, "IoU_Many": 0.5 + 0.01 * seed}}}
        return {"run": f"shapes-small-{run}", "seed": seed, "classes": {"means": means}}

    wide, narrow = (0.2, 0.4, 0.3, 0.25, 0.35), (0.30, 0.31, 0.305, 0.302, 0.308)
    results = [result("sfc-ce", s, v) for s, v in enumerate(wide)]
    results += [result("sfc-nobank", s, v) for s, v in enumerate(narrow)]
    few, many, *rest = bank.spreads(results)
    assert few["ratio"][0] == pytest.approx(np.std(wide) / np.std(narrow), abs=1e-3) and few["ratio"][1] > 1
    assert many["ratio"][0] == pytest.approx(1) and many["ratio"][1] < 1 < many["ratio"][2]
    assert all(row["seeds"] == [] and row["ratio"][0] is None for row in rest)
    record = {"banks": {}, "steps": [], "ages": {"seeds": [], "expected": 0.0}, "spreads": [few, many, *rest]}
    told = bank.lines(json.loads(json.dumps(record)))
    assert sum("confirmed, on shapes only" in line for line in told) == 1
    assert any("only a ratio above 3.1" in line for line in told)


def test_a_step_with_the_bank_learns_from_more_images(monkeypatch):
    from iamiou_benchmarks.methods import sfc

    counts, plain = [], sfc.soft_margin
    monkeypatch.setattr(sfc, "soft_margin", lambda s, c: counts.append(len(s)) or plain(s, c))
    for draws in (0, bank.DRAWS):
        bank.one_step(2, 32, draws)(0)
    assert counts == [2, 2, 6, 6]  # at two scales


def test_memory_of_banks_is_what_the_formula_says():
    banks = bank.banks()
    assert all(row["formula"] == row["measured"] for row in banks.values())
    assert banks["VOC, as published"]["formula"] == 68_159_360


# Specks


def test_small_components_that_touch_no_object_are_counted_by_image():
    rows = np.array([[0, 1, 168], [2, 1, 169], [2, 2, 3], [2, 2, 4]])  # image, class, area; small is below 13 x 13
    report = SimpleNamespace(counts=SimpleNamespace(phantoms=rows, images=("a", "b", "c")), bins=(13, 19))
    assert specks.small_phantoms(report).tolist() == [1, 0, 2]


def test_fewer_specks_in_every_seed_are_confirmed(monkeypatch, tmp_path):
    def load(path):
        number = 2 if path.parent.name.endswith("one") else 1
        phantoms = np.array([[k, 1, 5] for k in range(4) for _ in range(number)])
        return SimpleNamespace(counts=SimpleNamespace(phantoms=phantoms, images=tuple("abcd")), bins=(13, 19))

    monkeypatch.setattr(specks, "load", load)
    made = [
        {"run": f"shapes-small-{run}", "seed": seed, "stages": [{"name": "predict", "key": f"{seed}{key}"}]}
        for run, key in (("orand-ce", "one"), ("orand-cephased", "many"))
        for seed in range(3)
    ]
    record = json.loads(json.dumps(specks.measure(made, tmp_path)))
    assert record["rows"] == [
        {"loss": "CE", "seeds": [0, 1, 2], "without": [2.0] * 3, "with": [1.0] * 3, "fewer": [1.0] * 3}
    ]
    assert "| CE | 3 of 5 | 2.000 | 1.000 | +1.000 | +1.000 to +1.000 | confirmed, on shapes only |" in specks.lines(
        record
    )
    assert specks.draw(record).axes


# Records and results


def record_of(name):
    return json.loads((RESULTS / "claims" / f"{name}.json").read_text(encoding="utf-8"))


def test_no_record_is_older_than_the_committed_results():
    known = read_results()
    seeds = {}
    for r in known:
        seeds.setdefault(r["run"].removeprefix("shapes-small-"), set()).add(r["seed"])
    told = "a record lacks seeds or runs: make it anew with iamiou bench claim"
    assert record_of("bank")["spreads"] == json.loads(json.dumps(list(bank.spreads(known)))), told
    for name, runs in record_of("gradients")["runs"].items():
        assert {r["seed"] for r in runs} == seeds[name], told
    for row in record_of("specks")["rows"]:
        assert set(row["seeds"]) == set.intersection(*(seeds[run] for run in specks.PAIRS[row["loss"]])), told
    for model in record_of("balanced")["models"]:
        assert model["seeds"] == len(seeds[model["name"]]), told
