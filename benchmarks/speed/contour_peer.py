"""IA-IoU the way the paper's authors compute it: OpenCV contours, each filled on a mask as large as the image.

Written from the definition in docs/protocol.md, with the operations that the released program uses. It gives the
same numbers as iamiou's default rule, which the benchmark asserts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from peer_calls import Maps


def score_instances(maps: Maps) -> dict[int, float]:
    """Return IA-IoU of every instance by its id."""
    void = maps.instance == np.iinfo(maps.instance.dtype).max
    valid = ((maps.semantic != np.iinfo(maps.semantic.dtype).max) & ~void).astype(np.float64)
    scores = {}
    for k in np.unique(maps.instance):
        own = (maps.instance == k) * valid
        if k == 0 or not own.any():
            continue
        c = int(maps.semantic[own > 0].max())
        if c == 0:
            continue
        others = (maps.semantic == c) * valid * (1 - own)
        predicted = (maps.prediction == c).astype(np.float64)
        scores[int(k)] = _score(own, others, predicted, valid)
    return scores


def _score(own: np.ndarray, others: np.ndarray, predicted: np.ndarray, valid: np.ndarray) -> float:
    outlines, _ = cv2.findContours(predicted.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hit = wrong = 0.0
    for outline in outlines:
        filled = cv2.drawContours(np.zeros(own.shape), [outline], -1, 1.0, cv2.FILLED)
        component = filled * predicted * valid
        t, o = float((component * own).sum()), float((component * others).sum())
        if t:
            f = float(component.sum()) - t - o
            wrong += f if o == 0 else f * t // (t + o)
            hit += t
    return hit / (float(own.sum()) + wrong)
