"""The rules of the ground truth once more: slow, on whole masks, straight from their description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iamiou_builders.recipe import Rules

Bits = NDArray[np.bool_]


@dataclass
class Thing:
    """One annotation; ``label`` becomes 0 where it is void, ``bits`` grows with its parts."""

    source: str
    id: int
    labels: tuple[int, ...]
    role: str
    crowd: bool
    corners: int
    bits: Bits
    label: int = -1  # not painted

    @property
    def area(self) -> int:
        return int(self.bits.sum())


def iou(a: Thing, b: Thing) -> float:
    return float((a.bits & b.bits).sum() / (a.bits | b.bits).sum())


def without_twins(things: Sequence[Thing], above: float) -> list[Thing]:
    kept: list[Thing] = []
    for t in sorted(things, key=lambda t: (-t.corners, t.id)):
        if not any(k.labels[0] == t.labels[0] and iou(k, t) > above for k in kept):
            kept.append(t)
    return sorted(kept, key=lambda t: t.id)


def oracle(
    things: Sequence[Thing], complete: set[int], absent: set[int], rules: Rules
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[tuple[str, int]]]:
    """Return semantic map, instance map (void 255) and (source, id) of the instances in order."""
    objects = [t for t in things if not t.crowd and t.role in ("object", "object-coco")]
    coco, lvis = (without_twins([t for t in objects if t.source == s], rules.duplicate_iou) for s in ("coco", "lvis"))
    for t in things:
        if t.crowd:
            t.label = 0
    pairs = [(-iou(c, v), c.id, v.id, c, v) for c in coco for v in lvis if c.labels[0] == v.labels[0]]
    free_coco, free_lvis = list(coco), list(lvis)
    for score, _, _, c, v in sorted(pairs, key=lambda p: p[:3]):
        if -score >= rules.match_iou and c in free_coco and v in free_lvis:
            free_coco.remove(c)
            free_lvis.remove(v)
            stays = c if v.role == "object-coco" else v
            stays.label = stays.labels[0]
    of_lvis = {t.labels[0] for t in things if t.source == "lvis" and t.role in ("object", "object-coco")}
    for c in free_coco:
        c.label = 0 if c.labels[0] in absent and c.labels[0] not in of_lvis else c.labels[0]
    for v in free_lvis:
        v.label = v.labels[0]
    _dispute(things, free_coco, free_lvis, rules)
    parts = _parts(things, rules)
    for t in things:
        if t.role in ("ignore", "evidence") and not t.crowd:
            settled = any((c.bits & t.bits).any() and c.labels[0] in t.labels for c in coco)
            if not settled and not any(iou(c, t) >= rules.match_iou for c in coco):
                t.label = 0
    painted = [t for t in things if t.label >= 0]
    _conflicts([t for t in painted if not t.crowd], rules)
    for host, part in parts:
        host.bits = host.bits | part.bits
    return _paint(painted, rules)


def _dispute(things: Sequence[Thing], free_coco: list[Thing], free_lvis: list[Thing], rules: Rules) -> None:
    settled = [t for t in things if t.label > 0 and t not in free_lvis and not t.crowd]
    for v in free_lvis:
        for t in settled:
            if t.label != v.labels[0] or (t.bits & v.bits).sum() <= rules.inside * min(t.area, v.area):
                continue
            if t in free_coco and t.area > v.area:
                t.label = 0
            else:
                v.label = 0


def _parts(things: Sequence[Thing], rules: Rules) -> list[tuple[Thing, Thing]]:
    joined = []
    for part in (t for t in things if t.role == "part"):
        hosts = [t for t in things if t.label == part.labels[0]]
        best = max(hosts, key=lambda t: (t.bits & part.bits).sum(), default=None)
        if best is not None and (best.bits & part.bits).sum() > rules.inside * part.area:
            joined.append((best, part))
        else:
            part.label = 0
    return joined


def _conflicts(painted: Sequence[Thing], rules: Rules) -> None:
    clashes = [
        (a, b)
        for n, a in enumerate(painted)
        for b in painted[n + 1 :]
        if (a.label or b.label)
        and iou(a, b) > rules.conflict_iou
        and ({a.role, b.role} & {"ignore", "evidence"} or not set(a.labels) & set(b.labels))
    ]
    for pair in clashes:
        for t in pair:
            t.label = 0


def _paint(
    painted: Sequence[Thing], rules: Rules
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[tuple[str, int]]]:
    order = sorted(painted, key=lambda t: (-t.area, t.label == 0, t.source, t.id))
    shape = order[0].bits.shape if order else (1, 1)
    canvas = np.zeros(shape, np.int64)
    for k, t in enumerate(order, 1):
        canvas[t.bits] = k
    semantic, instance = np.zeros((2, *shape), np.int64)
    instances = []
    for k, t in enumerate(order, 1):
        seen = canvas == k
        keep = t.label > 0 and seen.sum() >= rules.min_visible * t.area and seen.sum() >= rules.min_area
        if keep:
            instances.append((t.source, t.id))
        semantic[seen] = t.label if keep else 255
        instance[seen] = len(instances) if keep else 255
    return semantic, instance, instances
