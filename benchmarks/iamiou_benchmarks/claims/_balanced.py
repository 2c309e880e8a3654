"""What `balanced` measures: every model on the ordinary and the balanced test set, and on mixes of sizes.

A score is made of counts of each image, so a selection of images is a weighting of them. Draws behind the intervals
take images by Bayesian weights, the same for all models and sets, and seeds with replacement; the models are those
that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou_benchmarks.claims._balanced_set import Census
from iamiou_benchmarks.claims._model_scores import Model, scores_under
from iamiou_benchmarks.claims._size_mix import effective_images, mix_weights
from iamiou_benchmarks.claims._statistics import around, kendall, spearman
from iamiou_benchmarks.running.replicates import SCORES, Floats, image_weights
from iamiou_benchmarks.tables.verdicts import interval

DATA = "shapes-small"
#: Instances of each class and size in the balanced set: as many as the rarest of all has.
PER_CELL = 12
SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
#: Seeds that a model needs to take part.
LEAST = 2
#: What models are ordered by.
COLUMNS = (("mIoU", "ordinary"), ("IA-mIoU", "ordinary"), ("mIoU", "balanced"), ("IA-mIoU", "balanced"))
#: Which of them are held against each other.
COMPARED = ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3))
_DRAWS = 2000


@dataclass(frozen=True)
class Scored:
    """All models on one test set.

    Parameters
    ----------
    value : list of float (seeds, scores), one a model
    drawn : list of float (seeds, R, scores)
        Under weightings of the images.
    """

    value: list[Floats]
    drawn: list[Floats]

    def means(self, score: str) -> Floats:
        """Return the mean over the seeds of every model, (models,)."""
        return np.array([v[:, SCORES.index(score)].mean() for v in self.value])

    def draws(self, score: str) -> Floats:
        """Return draws of it over seeds and images, (D, models); the same draws for every set and score."""
        rng, at = np.random.Generator(np.random.PCG64(0)), SCORES.index(score)
        which = rng.integers(0, self.drawn[0].shape[1], _DRAWS)
        lots = rng.random((_DRAWS, max(map(len, self.value))))
        columns = []
        for value, drawn in zip(self.value, self.drawn, strict=True):
            n = len(value)
            seeds = (lots[:, :n] * n).astype(np.int64)
            apart = (value[:, at] - value[:, at].mean()) * np.sqrt(n / max(n - 1, 1))
            moved = drawn[:, :, at] - drawn[:, :, at].mean(1, keepdims=True)
            columns.append(value[:, at].mean() + (apart[seeds] + moved[seeds, which[:, None]]).mean(1))
        return np.stack(columns, 1)


def scored(models: Sequence[Model], weights: Floats) -> Scored:
    """Score all models under weightings of the images, (1 + R, images): the set itself, then its draws."""
    found = [np.stack([scores_under(s, weights) for s in model.summaries]) for model in models]
    return Scored([f[:, 0] for f in found], [f[:, 1:] for f in found])


def measure(models: Sequence[Model], census: Census, chosen: Sequence[str]) -> dict[str, Any]:
    """Return the record: models, sets, correlations, changes of place, size mixes and verdicts.

    Parameters
    ----------
    models : sequence of Model
    census : Census
        Of the test images.
    chosen : sequence of str
        The images of the balanced set.
    """
    taking = [m for m in models if len(m.seeds) >= LEAST]
    base = np.vstack([np.ones(len(census.ids)), image_weights(census.ids)])
    inside = np.isin(census.ids, chosen).astype(np.float64)
    sets = {"ordinary": scored(taking, base), "balanced": scored(taking, base * inside)}
    mixes = []
    for share in SHARES:
        weights = np.stack([mix_weights(census.instances, share, row) for row in base])
        mixes.append((share, effective_images(weights[0]), scored(taking, weights)))
    return {
        "schema": 1,
        "data": DATA,
        "per_cell": PER_CELL,
        "sets": {
            "ordinary": {"images": len(census.ids), "instances": census.instances.sum(0).tolist()},
            "balanced": {
                "images": int(inside.sum()),
                "instances": census.instances[inside > 0].sum(0).tolist(),
                "list": " ".join(sorted(chosen)),
            },
        },
        "models": [_model(m, k, sets) for k, m in enumerate(taking)],
        "left_out": sorted(f"{m.name} ({len(m.seeds)})" for m in models if len(m.seeds) < LEAST),
        "correlations": _correlations(taking, sets),
        "places": _places(taking, sets),
        "mixes": [_mix(share, images, table) for share, images, table in mixes],
        "verdicts": _verdicts(sets, mixes),
    }


def _model(model: Model, at: int, sets: dict[str, Scored]) -> dict[str, Any]:
    scores = {
        name: {s: " ".join(f"{v:.6f}" for v in table.value[at][:, SCORES.index(s)]) for s in ("mIoU", "IA-mIoU")}
        for name, table in sets.items()
    }
    return {"name": model.name, "kind": model.kind, "seeds": len(model.seeds), "scores": scores}


def _correlations(models: Sequence[Model], sets: dict[str, Scored]) -> list[dict[str, Any]]:
    """Correlate the columns, among all models and without floor and ceiling."""
    every = np.arange(len(models))
    between = np.array([k for k, m in enumerate(models) if not m.kind])
    found = []
    for first, second in COMPARED:
        one: dict[str, Any] = {"columns": [first, second]}
        for name, among in (("all", every), ("between", between)):
            means, draws = ([_column(sets, c, how)[..., among] for c in (first, second)] for how in ("means", "draws"))
            one[name] = {"models": len(among)}
            for measure_name, measure_of in (("spearman", spearman), ("kendall", kendall)):
                value = float(measure_of(*means))
                one[name][measure_name] = _rounded(value, around(value, measure_of(*draws)))
        found.append(one)
    return found


def _column(sets: dict[str, Scored], number: int, how: str) -> Floats:
    score, name = COLUMNS[number]
    found: Floats = getattr(sets[name], how)(score)
    return found


def _places(models: Sequence[Model], sets: dict[str, Scored]) -> list[dict[str, Any]]:
    """Find the pairs of models that stand the other way round in another column, and those beyond doubt."""
    pairs = list(combinations(range(len(models)), 2))
    plain = [np.sign([m[i] - m[j] for i, j in pairs]) for m in (_column(sets, c, "means") for c in range(len(COLUMNS)))]
    sure = [_sure(models, sets, c, pairs) for c in range(len(COLUMNS))]
    found = []
    for first, second in COMPARED:
        beyond = [
            [models[i].name, models[j].name] if sure[first][k] > 0 else [models[j].name, models[i].name]
            for k, (i, j) in enumerate(pairs)
            if sure[first][k] * sure[second][k] < 0
        ]
        turned = int((plain[first] * plain[second] < 0).sum())
        found.append({"columns": [first, second], "pairs": len(pairs), "turned": turned, "beyond_doubt": beyond})
    return found


def _sure(models: Sequence[Model], sets: dict[str, Scored], column: int, pairs: list[tuple[int, int]]) -> NDArray[Any]:
    """Return 1 where the first of a pair is better, -1 where the second is, 0 where the interval holds 0, (pairs,)."""
    score, name = COLUMNS[column]
    at, table = SCORES.index(score), sets[name]
    signs = np.zeros(len(pairs))
    for k, (i, j) in enumerate(pairs):
        both = sorted(set(models[i].seeds) & set(models[j].seeds))
        mine, other = ([models[m].seeds.index(s) for s in both] for m in (i, j))
        value = table.value[i][mine, at] - table.value[j][other, at]
        low, high = interval(value, table.drawn[i][mine, :, at] - table.drawn[j][other, :, at])
        signs[k] = 1.0 if low > 0 else -1.0 if high < 0 else 0.0
    return signs


def _mix(share: float, images: float, table: Scored) -> dict[str, Any]:
    means = {score: table.means(score) for score in ("mIoU", "IA-mIoU")}
    value = float(spearman(*means.values()))
    return {
        "share": share,
        "images": round(images),
        **{score: " ".join(f"{v:.4f}" for v in m) for score, m in means.items()},
        "spearman": _rounded(value, around(value, spearman(table.draws("mIoU"), table.draws("IA-mIoU")))),
    }


def _verdicts(sets: dict[str, Scored], mixes: list[tuple[float, float, Scored]]) -> list[dict[str, Any]]:
    """Judge by differences: of two correlations, and of how far two scores fall."""

    def alike(a: int, b: int, how: str) -> Floats:
        return spearman(_column(sets, a, how), _column(sets, b, how))

    def fall(score: str, how: str) -> Floats:
        many, few = (getattr(mixes[k][2], how)(score).mean(-1) for k in (-1, 0))
        out: Floats = few - many
        return out

    claims: tuple[tuple[str, str, Callable[[str], Floats]], ...] = (
        (
            "mIoU orders the models more as IA-mIoU does on the balanced set than on the ordinary one",
            "Spearman",
            lambda how: alike(2, 3, how) - alike(0, 1, how),
        ),
        (
            "IA-mIoU's order of the models stays the same from set to set more than mIoU's",
            "Spearman",
            lambda how: alike(1, 3, how) - alike(0, 2, how),
        ),
        (
            f"IA-mIoU falls further than mIoU from {100 * SHARES[0]:.0f} to {100 * SHARES[-1]:.0f} % small objects",
            "points",
            lambda how: fall("IA-mIoU", how) - fall("mIoU", how),
        ),
    )
    found = []
    for text, unit, difference in claims:
        value = float(difference("means"))
        ends = around(value, difference("draws"), 2.0)
        found.append({"claim": text, "unit": unit, "difference": _rounded(value, ends)})
    return found


def _rounded(value: float, ends: tuple[float, float]) -> list[float]:
    return [round(v, 4) for v in (value, *ends)]
