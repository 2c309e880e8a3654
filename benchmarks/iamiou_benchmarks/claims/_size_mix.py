"""Weigh the images of a test set so that small objects become more or fewer, and nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iamiou.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_STEPS = 60


def mix_weights(instances: Ints, share: float, base: Floats | None = None) -> Floats:
    """Return the weights nearest to equal ones under which this share of the instances of every class is small.

    The classes keep their shares of all instances. Nearest is least relative entropy to `base`: the weights are
    ``base * exp(l . a)``, where ``a`` holds what an image adds to either side of each condition, and ``l`` is the
    minimum of the convex ``log sum base exp(l . a)``, found by Newton's method with halved steps.

    Parameters
    ----------
    instances : int64 (images, classes, bins)
        How many objects an image shows; bins from small to large.
    share : float
        Between 0 and 1.
    base : float (images,), optional
        Weights to stay near to; all equal by default.

    Returns
    -------
    float (images,)
        Of mean 1.

    Raises
    ------
    InputError
        If no weights do that, as where a class has no small object.

    Examples
    --------
    One class; two images with a small object, two with a large one:

    >>> mix_weights(np.array([[[1, 0]], [[1, 0]], [[0, 1]], [[0, 1]]]), 0.75).round(3).tolist()
    [1.5, 1.5, 0.5, 0.5]
    """
    of_class = instances.sum(2)
    kept = of_class - of_class.sum(1, keepdims=True) * (of_class.sum(0) / of_class.sum())
    sides = np.concatenate([instances[:, :, 0] - share * of_class, kept[:, 1:]], 1).astype(np.float64)
    base = np.ones(len(sides)) if base is None else base
    tilt = np.zeros(sides.shape[1])
    for _ in range(_STEPS):
        weights = _tilted(base, sides, tilt)
        gradient = weights @ sides
        if abs(gradient).max() < 1e-9:
            return weights * len(weights)
        curvature = (sides * weights[:, None]).T @ sides - np.outer(gradient, gradient)
        step: Floats = np.asarray(np.linalg.lstsq(curvature, -gradient, rcond=1e-12)[0], np.float64)
        tilt = tilt + _step(base, sides, tilt, gradient, step)
    raise InputError(f"No weights of the images make {100 * share:.0f} % of every class small; ask for another share.")


def _tilted(base: Floats, sides: Floats, tilt: Floats) -> Floats:
    power = sides @ tilt
    weights = base * np.exp(power - power.max())
    return np.asarray(weights / weights.sum())


def _step(base: Floats, sides: Floats, tilt: Floats, gradient: Floats, step: Floats) -> Floats:
    """Halve a step until the function falls, by Armijo's rule."""

    def at(where: Floats) -> float:
        power = sides @ where
        return float(power.max() + np.log((base * np.exp(power - power.max())).sum()))

    now, slope = at(tilt), float(gradient @ step)
    for _ in range(30):
        if at(tilt + step) <= now + 1e-4 * slope + 1e-13:  # what rounding may add
            break
        step, slope = step / 2, slope / 2
    return step


def effective_images(weights: Floats) -> float:
    """Return how many equally weighted images tell as much (Kish).

    >>> effective_images(np.array([1.0, 1.0, 0.0, 0.0]))
    2.0
    """
    return float(weights.sum() ** 2 / (weights**2).sum())
