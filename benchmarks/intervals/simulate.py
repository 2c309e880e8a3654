"""Find out how often a 95 % interval covers the truth, and how often a comparison raises a false alarm.

Data sets are drawn with replacement from a population whose scores are known; every data set gets its intervals by
every method. Two truths are held against them, because a small data set does not show all classes: the mean over
the classes that the data set shows ("shown", what the score names), and over all classes of the population ("all").

    python benchmarks/intervals/simulate.py --trials 400 --out intervals.json

Real predictions are used as populations where IAMIOU_REAL_DATA names their folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from populations import SHIFTS, make_scenes, predict, real_populations

from iamiou.compare import holm
from iamiou.comparison import CLEAR
from iamiou.replicates import replicate, swap_test
from iamiou.resample import METHODS, summary_intervals
from iamiou.scores import DEFAULT_BINS
from iamiou.sums import Summary, class_means, ratios, summarise, terms

SIZES = (50, 100, 209, 500, 1449)
SCORES = ("mIoU", "IA-mIoU", "IA_S", "IA_M", "IA_L", "gap_SL")
POPULATION = 20_000


def draw(population: Summary, images: np.ndarray) -> Summary:
    """Return the data set that consists of the given images of a population, repeated ones included."""
    length = np.diff(population.starts)[images]
    starts = np.concatenate([[0], np.cumsum(length)])
    entry = np.arange(starts[-1]) + np.repeat(population.starts[images] - starts[:-1], length)
    names = tuple(map(str, range(images.size)))
    return replace(
        population, images=names, starts=starts, column=population.column[entry], value=population.value[entry]
    )


def truths(population: Summary, sample: Summary) -> dict[str, tuple[float, float]]:
    """Return the population's score over the classes that the sample shows, and over all classes."""
    here, there = (ratios(s, s.totals()) for s in (sample, population))
    out = {}
    for mean in population.scores:
        true, shown = terms(mean, there), ~np.isnan(terms(mean, here))
        if shown.any():
            out[mean.name] = (float(true[shown].mean()), float(np.nanmean(true)))
    return out


def coverage(population: Summary, size: int, trials: int, resamples: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield coverage and width of every method and score for data sets of one size."""
    rng = np.random.default_rng([seed, size])
    tally = {(method, score): np.zeros(6) for method in METHODS for score in SCORES}
    for trial in range(trials):
        sample = draw(population, rng.integers(0, len(population.images), size))
        true = truths(population, sample)
        for method in METHODS:
            ends = summary_intervals(sample, resamples=resamples, seed=trial, method=method)
            for score in SCORES:
                if score not in ends or score not in true:
                    continue
                (low, high), (shown, everything) = ends[score], true[score]
                inside = low <= shown <= high
                tally[method, score] += (1, inside, low <= everything <= high, high - low, shown < low, shown > high)
    for (method, score), (number, shown, everything, width, below, above) in tally.items():
        row = {"images": size, "method": method, "score": score, "intervals": int(number)}
        if number:
            share = shown / number
            row |= {"shown": share, "all": everything / number, "width": width / number}
            row |= {"below": below / number, "above": above / number}
            row["error"] = float(np.sqrt(max(share * (1 - share), 1 / trials) / number))
        yield row


def alarms(pair: Summary, size: int, trials: int, resamples: int, seed: int, same: bool) -> dict[str, Any]:
    """Compare two models on data sets of one size.

    Parameters
    ----------
    pair : Summary
        The images of the first model, then those of the second.
    size, trials, resamples, seed : int
    same : bool
        Exchange the models image by image at random, so that nothing but chance parts them.

    Returns
    -------
    dict
        For every score the share of p-values up to 0.05, the share of intervals without the true difference, and
        for classes the share of comparisons with any Holm-adjusted p-value up to 0.05.
    """
    rng = np.random.default_rng([seed, size, 7])
    half = len(pair.images) // 2
    headline = [mean for mean in pair.scores if mean.name in SCORES]
    classes = class_means(pair, "IA-IoU")
    small, missed, family = np.zeros(len(headline)), np.zeros(len(headline)), 0
    tested = np.zeros(len(headline))
    true = [ratios(s, s.totals()) for s in (draw(pair, np.arange(half)), draw(pair, np.arange(half, 2 * half)))]
    for trial in range(trials):
        images = rng.integers(0, half, size)
        swap = rng.integers(0, 2, size) * half if same else np.zeros(size, np.int64)
        a, b = draw(pair, images + swap), draw(pair, (images + half - swap) % (2 * half))
        test = np.random.default_rng([seed, trial])
        drawn = replicate((a, b), (-1, 1), headline, resamples, test)
        low, high = drawn.interval()
        p = swap_test(a, b, [*headline, *classes], resamples, test)
        for k, mean in enumerate(headline):
            shown = ~np.isnan(terms(mean, ratios(a, a.totals())))
            if not shown.any() or np.isnan(low[k]):
                continue
            difference = 0.0 if same else float((terms(mean, true[1]) - terms(mean, true[0]))[shown].mean())
            tested[k] += 1
            missed[k] += not low[k] <= difference <= high[k]
            small[k] += p[k] <= CLEAR
        family += min(holm(p[len(headline) :].tolist())) <= CLEAR
    by_score = {
        mean.name: {"p <= 0.05": small[k] / tested[k], "outside": missed[k] / tested[k]}
        for k, mean in enumerate(headline)
    }
    return {"images": size, "same": same, "trials": trials, "scores": by_score, "any class after Holm": family / trials}


def print_coverage(name: str, rows: list[dict[str, Any]]) -> None:
    """Print coverage in per cent (and mean width) as a Markdown table."""
    click.echo(f"\n{name}: coverage of 95 % intervals in % (mean width), over the classes shown")
    click.echo(f"\n| images | method | {' | '.join(SCORES)} |\n|{' --- |' * (2 + len(SCORES))}")
    for size in SIZES:
        for method in METHODS:
            cells = {r["score"]: r for r in rows if (r["images"], r["method"]) == (size, method)}
            texts = [
                f"{100 * cells[s]['shown']:.1f} ({cells[s]['width']:.3f})" if cells[s]["intervals"] else "–"
                for s in SCORES
            ]
            click.echo(f"| {size} | {method} | {' | '.join(texts)} |")


def print_alarms(name: str, rows: list[dict[str, Any]]) -> None:
    """Print false alarms of the test and misses of the interval as a Markdown table."""
    click.echo(f"\n{name}: p-values up to 0.05 in % / intervals without the true difference in %")
    click.echo(f"\n| images | models | {' | '.join(SCORES)} | any class (Holm) |\n|{' --- |' * (3 + len(SCORES))}")
    for row in rows:
        cells = [row["scores"][s] for s in SCORES]
        texts = [f"{100 * c['p <= 0.05']:.1f} / {100 * c['outside']:.1f}" for c in cells]
        models = "equal" if row["same"] else "different"
        click.echo(f"| {row['images']} | {models} | {' | '.join(texts)} | {100 * row['any class after Holm']:.1f} |")


@click.command()
@click.option("--trials", default=200, show_default=True, help="Data sets a size and population.")
@click.option("--resamples", default=1000, show_default=True, help="Resamples an interval.")
@click.option("--seed", default=0, show_default=True, help="Of populations and draws.")
@click.option("--out", type=click.Path(path_type=Path), help="Write everything as json.")
def main(trials: int, resamples: int, seed: int, out: Path | None) -> None:
    """Print the coverage of every method, and the false alarms of comparisons."""
    rng = np.random.default_rng(seed)
    scenes = {name: make_scenes(POPULATION, shift, rng) for name, shift in SHIFTS.items()}
    populations = {name: predict(s, "", rng) for name, s in scenes.items()}
    real = os.environ.get("IAMIOU_REAL_DATA")
    if real:
        populations |= real_populations(Path(real))
    result: dict[str, Any] = {"trials": trials, "resamples": resamples, "seed": seed, "coverage": {}, "pairs": {}}
    for name, counts in populations.items():
        summary = summarise(counts, DEFAULT_BINS)
        rows = [row for size in SIZES for row in coverage(summary, size, trials, resamples, seed)]
        result["coverage"][name] = rows
        print_coverage(name, rows)
    for name, s in scenes.items():
        pair = summarise(predict(s, "a", rng) + predict(s, "b", rng, small=0.5), DEFAULT_BINS)
        cases = [(size, same) for same in (True, False) for size in SIZES]
        pairs = [alarms(pair, size, trials, resamples, seed, same) for size, same in cases]
        result["pairs"][name] = pairs
        print_alarms(name, pairs)
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
