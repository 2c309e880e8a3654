"""How scores move with the sizes of the instances in an evaluation set; docs/data.md shows the outcome.

    python -m iamiou_builders.study DATA --figure docs/images/size_mix.png

Nothing is drawn or generated: real images with real predictions are weighted so that small, medium and large
instances get the wanted shares, and stay as close to equal weights as that allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

from iamiou.counts import AREA, IMAGE, Counts
from iamiou.errors import InputError
from iamiou.replicates import TAILS
from iamiou.scores import DEFAULT_BINS, bin_of
from iamiou.sums import Summary, means_of, ratios, summarise, weighted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

SCORES = ("mIoU", "IA-mIoU", "IA_S", "IA_L")
#: Shares of small instances; medium ones keep the share that they have, and large ones take the rest.
SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
#: Predictions and lists of a folder of real data, by the name of the model.
RUNS = {
    "DINOv3 + PSPNet": ("voc_dinov3_pspnet", "pred_dinov3_instances.txt"),
    "Mask R-CNN": ("voc_maskrcnn", "pred_maskrcnn_instances.txt"),
}
_STEPS, _CLOSE = 60, 1e-9


@dataclass(frozen=True)
class Mixed:
    """Scores of one mix of sizes.

    Parameters
    ----------
    shares : tuple of float
        Of small, medium and large instances.
    images : float
        Effective number of images behind it (Kish): equal weights give all of them.
    scores : dict of str to (score, low, high)
    draws : float array, (resamples, scores)
        The same draws of images stand behind all mixes; NaN where a draw cannot be weighted to the shares.
    """

    shares: tuple[float, ...]
    images: float
    scores: dict[str, tuple[float, float, float]]
    draws: Floats


def size_table(counts: Counts) -> Floats:
    """Count the instances of each image by size, (images, 3), images in the order of their ids."""
    table = np.zeros((len(counts.images), len(DEFAULT_BINS) + 1))
    order = np.argsort(np.array(counts.images))
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    np.add.at(table, (place[counts.instances[:, IMAGE]], bin_of(counts.instances[:, AREA], DEFAULT_BINS)), 1)
    return table


def tilt(sizes: Floats, shares: Sequence[float], weights: Floats) -> Floats | None:
    """Change weights of images as little as possible so that the sizes get the wanted shares.

    Of all weights with these shares, those of least relative entropy against the given ones:
    ``weights * exp(moments @ x)``, found by Newton's method on the convex dual.

    Parameters
    ----------
    sizes : float array, (images, bins)
        Instances of each image.
    shares : sequence of float
        Wanted, with sum 1.
    weights : float array, (images,)

    Returns
    -------
    float array, (images,), or None
        With the same sum; None where no weights have these shares.

    Examples
    --------
    One image with two small instances, two images with a large one each; half of the instances shall be small:

    >>> tilt(np.array([[2.0, 0], [0, 1], [0, 1]]), (0.5, 0.5), np.ones(3)).round(3).tolist()
    [1.0, 1.0, 1.0]
    >>> tilt(np.array([[1.0, 0], [0, 1], [0, 1]]), (0.5, 0.5), np.ones(3)).round(3).tolist()
    [1.5, 0.75, 0.75]
    """
    moments = (sizes - sizes.sum(axis=1, keepdims=True) * np.asarray(shares))[:, :-1]
    moments = moments / max(float(np.abs(moments).max()), 1.0)
    x = np.zeros(moments.shape[1])
    value, q = _dual(moments, x, weights)
    for _ in range(_STEPS):
        slope = q @ moments
        if np.abs(slope).max() < _CLOSE:
            return np.asarray(q * weights.sum())
        curve = (moments * q[:, None]).T @ moments - np.outer(slope, slope)
        move = np.linalg.lstsq(curve + 1e-12 * np.eye(x.size), -slope, rcond=None)[0]
        size = 1.0
        while size > 1e-6:
            new, q_new = _dual(moments, x + size * move, weights)
            if new <= value + 1e-4 * size * float(slope @ move):
                break
            size /= 2
        else:
            return None
        x, value, q = x + size * move, new, q_new
    return None


def _dual(moments: Floats, x: Floats, weights: Floats) -> tuple[float, Floats]:
    """Return the logarithm of the tilted weights' sum, and the weights divided by it."""
    power = np.where(weights > 0, moments @ x, -np.inf)
    top = float(power.max())
    raw = weights * np.exp(power - top)
    return float(np.log(raw.sum())) + top, raw / raw.sum()


def mix(counts: Counts, shares: Sequence[float], *, resamples: int = 500, seed: int = 0) -> Mixed | None:
    """Score one mix of sizes, with 95 % intervals over images.

    Every resample draws the images anew with replacement and weights them again for the same shares, so that what
    few images carry shows in the interval.

    Parameters
    ----------
    counts : Counts
    shares : sequence of float
        Of small, medium and large instances.
    resamples, seed : int

    Returns
    -------
    Mixed or None
        None where the images cannot be weighted to these shares.
    """
    summary, sizes = summarise(counts, DEFAULT_BINS), size_table(counts)
    rng = np.random.default_rng(seed)
    n = len(sizes)
    own = tilt(sizes, shares, np.ones(n))
    if own is None:
        return None
    draws = (np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64) for _ in range(resamples))
    tilted = [tilt(sizes, shares, draw) for draw in draws]
    value = _scores(summary, own[None])[0]
    drawn = _scores(summary, np.array([np.zeros(n) if w is None else w for w in tilted]))
    ends = np.nanquantile(drawn, TAILS, axis=0)
    found = {name: (float(v), float(a), float(b)) for name, v, a, b in zip(SCORES, value, *ends, strict=True)}
    return Mixed(tuple(shares), float(own.sum() ** 2 / (own**2).sum()), found, drawn)


def change(before: Mixed, after: Mixed) -> dict[str, tuple[float, float, float]]:
    """Return by how much each score moves from one mix to another, with 95 % intervals over the same draws."""
    ends = np.nanquantile(after.draws - before.draws, TAILS, axis=0)
    moved = (after.scores[name][0] - before.scores[name][0] for name in SCORES)
    return {name: (v, float(a), float(b)) for name, v, a, b in zip(SCORES, moved, *ends, strict=True)}


def _scores(summary: Summary, weights: Floats) -> Floats:
    names = [mean.name for mean in summary.scores]
    return means_of(summary.scores, ratios(summary, weighted(summary, weights)))[:, [names.index(s) for s in SCORES]]


def study(counts: Counts, resamples: int) -> tuple[Mixed, list[Mixed]]:
    """Return the images' own mix, and all others that they can be weighted to."""
    total = size_table(counts).sum(axis=0)
    own = total / total.sum()
    wanted = ((s, own[1], 1 - own[1] - s) for s in SHARES)
    found = (mix(counts, shares, resamples=resamples) for shares in wanted)
    itself = mix(counts, tuple(own), resamples=resamples)
    if itself is None:  # equal weights have these shares
        raise RuntimeError("the images' own sizes could not be reached")
    return itself, [m for m in found if m]


def draw(results: dict[str, tuple[Mixed, list[Mixed]]], path: Path) -> None:
    """Draw the scores over the share of small instances, one panel a model."""
    import matplotlib as mpl
    from matplotlib import style
    from matplotlib.figure import Figure

    from iamiou.figures import STYLE
    from iamiou.files import replacing

    with style.context(["default", STYLE]), mpl.rc_context():
        figure = Figure(figsize=(8.6, 3.6), layout="constrained")
        panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
        for axes, (name, (own, others)) in zip(panels, results.items(), strict=True):
            _panel(axes, own, others)
            axes.set_title(f"{name}, {own.images:.0f} images")
        panels[0].set_ylabel("score")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center", frameon=False)
        with replacing(path) as file:
            figure.savefig(file, format="png", metadata={"Software": None})


def _panel(axes: Axes, own: Mixed, others: Iterable[Mixed]) -> None:
    looks = {"mIoU": ("#566272", "-"), "IA-mIoU": ("#2a6cb3", "-"), "IA_S": ("#c2410c", "--"), "IA_L": ("#15803d", ":")}
    line = sorted((own, *others), key=lambda m: m.shares[0])
    x = [100 * m.shares[0] for m in line]
    for name, (colour, dash) in looks.items():
        value, low, high = (np.array([m.scores[name][k] for m in line]) for k in range(3))
        axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
        axes.plot(x, value, dash, color=colour, linewidth=1.8, label=name)
    axes.axvline(100 * own.shares[0], color="#93a1b0", linewidth=0.8)
    axes.annotate("as they are", (100 * own.shares[0], 0.02), xytext=(3, 0), textcoords="offset points", fontsize=7.5)
    axes.set_xlabel("small instances, % of all")
    axes.set_ylim(0, 1)


def table(own: Mixed, others: Sequence[Mixed]) -> str:
    """Write one model's mixes as a Markdown table."""
    lines = [f"| S / M / L, % | effective images | {' | '.join(SCORES)} |", "| --- " * (len(SCORES) + 2) + "|"]
    for m in sorted((own, *others), key=lambda m: m.shares[0]):
        shares = " / ".join(f"{100 * s:.0f}" for s in m.shares) + (" (as they are)" if m is own else "")
        cells = (f"{100 * v:.1f} [{100 * low:.1f}, {100 * high:.1f}]" for v, low, high in m.scores.values())
        lines.append(f"| {shares} | {m.images:.0f} | {' | '.join(cells)} |")
    last = max(others, key=lambda m: m.shares[0])
    moved = (f"{100 * v:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]" for v, low, high in change(own, last).values())
    lines.append(f"| change from as they are to {100 * last.shares[0]:.0f} % small | | {' | '.join(moved)} |")
    return "\n".join(lines)


def real_counts(data: Path, predictions: str, images: str) -> Counts:
    """Score real predictions on PASCAL VOC 2012 that a folder holds."""
    import iamiou

    voc = data / "voc"
    return iamiou.evaluate(
        data / "predictions" / predictions,
        semantic=voc / "SegmentationClass",
        instances=voc / "SegmentationObject_derived",
        list_file=voc / "ImageSets" / images,
        bootstrap=0,
    ).counts


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--figure", type=click.Path(dir_okay=False, path_type=Path), help="Draw it into this PNG file.")
@click.option("--resamples", default=500, show_default=True, type=click.IntRange(1))
def main(data: Path, figure: Path | None, resamples: int) -> None:
    """Weight the real images in DATA to different mixes of sizes and print the scores."""
    try:
        results = {name: study(real_counts(data, *files), resamples) for name, files in RUNS.items()}
    except InputError as e:
        raise click.ClickException(str(e)) from e
    for name, (own, others) in results.items():
        click.echo(f"\n**{name}**\n\n{table(own, others)}")
    if figure:
        draw(results, figure)


if __name__ == "__main__":
    main()
