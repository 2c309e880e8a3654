"""COCO's and LVIS's masks of an image -> what is painted, with every decision written down.

1. Objects that one source has twice are dropped (`matching.duplicates`); crowds are void.
2. Objects of both sources are matched; LVIS's mask stays, or COCO's for classes whose role says so.
3. An object that only LVIS has is added; one that only COCO has stays, unless LVIS looked for the class in vain.
4. Where one that only LVIS has lies mostly in another object of its class, the doubtful one of the two is void.
5. Parts join the object they lie in; undecided categories are void where COCO does not settle them.
6. Two classes for one mask are void.
7. Painted large first; an instance of which too little is visible becomes void.

At the end it is judged whether the image can be selected: not with a class that LVIS annotated in part and COCO does
not confirm, not with classes that the COCO file lacks and LVIS does not settle, and not with too much void.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from iamiou.coco import rle_area
from iamiou.errors import name_some
from iamiou_builders.desk import Desk, open_desk
from iamiou_builders.matching import duplicates, matches
from iamiou_builders.model import Decision, Picture, Piece, Resolved
from iamiou_builders.overlaps import intersections, rles_of, united
from iamiou_builders.recipe import Rules
from iamiou_builders.sources import Annotated, Progress, Sources, settled_classes
from iamiou_builders.visible import painting_order, visible_areas

_EVERY = 200  # images between two signs of progress


def resolve_pool(sources: Sources, *, progress: Progress | None = None) -> tuple[Resolved, ...]:
    """Resolve all images of the pool.

    Parameters
    ----------
    sources : Sources
        From `iamiou_builders.annotations.read_sources`.
    progress : callable, optional
        ``progress(what, done, all)``.

    Returns
    -------
    tuple of Resolved
        By increasing number of the image; the same whatever the order of files and annotations was.
    """
    resolved = []
    names, rules = sources.recipe.classes.names, sources.recipe.rules
    for done, (number, picture) in enumerate(sorted(sources.pictures.items())):
        if progress and done % _EVERY == 0:
            progress("conflicts", done, len(sources.pictures))
        resolved.append(resolve_image(picture, sources.coco.get(number), sources.lvis.get(number), rules, names))
    if progress:
        progress("conflicts", len(resolved), len(resolved))
    return tuple(resolved)


def resolve_image(
    picture: Picture, coco: Annotated | None, lvis: Annotated | None, rules: Rules, names: Sequence[str]
) -> Resolved:
    """Resolve one image.

    Parameters
    ----------
    picture : Picture
    coco, lvis : Annotated or None
        What the sources say of it; None if they do not have it.
    rules : Rules
    names : sequence of str
        Class names, background first, for the log.
    """
    desk = open_desk(picture, coco, lvis, rules, names)
    if not desk.masks:
        return Resolved(picture, ())
    _crowds(desk)
    ours, theirs = _without_duplicates(desk, desk.objects("coco")), _without_duplicates(desk, desk.objects("lvis"))
    pairs = matches(desk.masks, ours, theirs, desk.ratios, rules.match_iou)
    for i, j in pairs.items():
        keep = i if desk.masks[j].role == "object-coco" else j
        desk.place(keep, desk.masks[keep].label)
        desk.log("match", f"IoU {desk.ratios[i, j]:.2f}, the mask of {desk.origins[keep].upper()} stays", i, j)
    alone_ours = [i for i in ours if i not in pairs]
    alone_theirs = [j for j in theirs if j not in set(pairs.values())]
    _only_coco(desk, alone_ours)
    _only_lvis(desk, alone_theirs)
    _dispute(desk, alone_ours, alone_theirs)
    parts = _parts(desk)
    _undecided(desk, ours)
    _conflicts(desk)
    return _judged(desk, _finished(desk, parts), ours, theirs)


def _crowds(desk: Desk) -> None:
    for k, mask in enumerate(desk.masks):
        if mask.crowd:
            desk.place(k, 0, "crowd")
            desk.log("crowd", f"{desk.classes(mask)} not told apart: void", k)


def _without_duplicates(desk: Desk, among: list[int]) -> list[int]:
    dropped = duplicates(desk.masks, among, desk.ratios, desk.rules.duplicate_iou)
    for k, twin in sorted(dropped.items()):
        text = f"IoU {desk.ratios[k, twin]:.2f} with {desk.masks[twin].annotation}, which has as many corners or more"
        desk.log("duplicate", text, k, twin)
    return [k for k in among if k not in dropped]


def _only_coco(desk: Desk, alone: list[int]) -> None:
    """Keep what COCO has alone: LVIS samples its classes. But where it says that there is none, nobody knows."""
    found = {m.label for m in desk.of("lvis") if m.role in ("object", "object-coco")}
    for i in alone:
        mask = desk.masks[i]
        if mask.label in desk.lvis.absent - found:
            desk.place(i, 0, "contradiction")
            desk.log("contradiction", f"LVIS looked for {desk.classes(mask)} in vain: void", i)
        elif mask.label in found:
            desk.place(i, mask.label, "coco_only")
            desk.log("coco-only", f"LVIS has other {desk.classes(mask)}, but not this one: kept", i)
        else:
            desk.place(i, mask.label)


def _only_lvis(desk: Desk, alone: list[int]) -> None:
    """Add what LVIS has alone; where COCO is complete for the class, that is worth a flag."""
    for j in alone:
        mask = desk.masks[j]
        flags = ["lvis_only"] if mask.label in desk.coco.complete else []
        flags += [] if mask.exhaustive else ["not_exhaustive"]
        desk.place(j, mask.label, *flags)
        if "lvis_only" in flags:
            desk.log("lvis-only", f"COCO has no such {desk.classes(mask)}: added", j)


def _dispute(desk: Desk, alone_ours: list[int], alone_theirs: list[int]) -> None:
    """Make void what two sources claim in different outlines.

    Of two objects that only one source has each, the larger one: the smaller lies on it and is what both see. An
    object that only LVIS has, inside one that both have, is void itself.
    """
    for j in alone_theirs:
        for i in [k for k in desk.placed if k != j and k not in alone_theirs]:
            mine, other = desk.masks[j], desk.masks[i]
            share = desk.shared[i, j] / min(mine.area, other.area)
            if mine.label != other.label or other.crowd or not desk.labels[i] or share <= desk.rules.inside:
                continue
            loser = max(i, j, key=lambda k: (desk.masks[k].area, k)) if i in alone_ours else j
            if desk.labels[loser]:
                desk.place(loser, 0, *desk.flags[loser], "disputed")
                desk.log("disputed", f"{100 * share:.0f} % of the smaller mask lies in the other: void", loser, i, j)


def _parts(desk: Desk) -> dict[int, list[int]]:
    """Find the object that each part lies in; a part that lies in none is void."""
    joined: dict[int, list[int]] = {}
    for k in [k for k, m in enumerate(desk.masks) if m.role == "part"]:
        mask = desk.masks[k]
        hosts = [i for i in desk.placed if desk.labels[i] == mask.label]
        host = max(hosts, key=lambda i: (desk.shared[i, k], -i), default=-1)
        if host >= 0 and desk.shared[host, k] > desk.rules.inside * mask.area:
            joined.setdefault(host, []).append(k)
            desk.log("part", f"{mask.category} joins the {desk.classes(mask)} it lies in", k, host)
        else:
            desk.place(k, 0, "part")
            desk.log("part", f"{mask.category} lies in no {desk.classes(mask)}: void", k)
    return joined


def _undecided(desk: Desk, ours: list[int]) -> None:
    """Make undecided categories void, unless COCO settles them: with an object of the class, or with one in its place.

    A figurine that touches COCO's person belongs to it or is nothing; a motor vehicle that COCO calls a bus is one.
    """
    for k, mask in enumerate(desk.masks):
        if mask.role not in ("ignore", "evidence") or mask.crowd:
            continue
        touching = [i for i in ours if desk.shared[i, k]]
        by = next((i for i in touching if desk.masks[i].label in mask.labels), None)
        by = next((i for i in touching if desk.ratios[i, k] >= desk.rules.match_iou), None) if by is None else by
        if by is None:
            desk.place(k, 0, mask.role)
            desk.log(mask.role, f"{mask.category} may be {desk.classes(mask)}: void", k)
        else:
            desk.log(mask.role, f"{mask.category} touches {desk.classes(desk.masks[by])} of COCO, which counts", k, by)


def _conflicts(desk: Desk) -> None:
    """Make masks void that two classes claim, or one class and a category that is undecided."""
    placed = [k for k in desk.placed if not desk.masks[k].crowd]
    conflicts = []
    for n, i in enumerate(placed):
        for j in placed[n + 1 :]:
            if desk.ratios[i, j] > desk.rules.conflict_iou and (desk.labels[i] or desk.labels[j]):
                a, b = desk.masks[i], desk.masks[j]
                undecided = {a.role, b.role} & {"ignore", "evidence"}
                if undecided or not set(a.labels) & set(b.labels):
                    conflicts.append((i, j))
    for i, j in conflicts:
        both = f"{desk.classes(desk.masks[i])} and {desk.classes(desk.masks[j])}"
        desk.log("conflict", f"IoU {desk.ratios[i, j]:.2f} of {both}: void", i, j)
        for k in (i, j):
            if "conflict" not in desk.flags[k]:
                desk.place(k, 0, *desk.flags[k], "conflict")


def _finished(desk: Desk, parts: dict[int, list[int]]) -> list[Piece]:
    """Put the pieces into the order of painting, and make those void of which too little is seen."""
    rules, picture = desk.rules, desk.picture
    pieces = []
    for k in desk.placed:
        mask, counts, area = desk.masks[k], desk.masks[k].counts, desk.masks[k].area
        if k in parts:
            whole = united(rles_of([desk.masks[j].counts for j in (k, *parts[k])], picture.height, picture.width))
            counts, area = whole["counts"], rle_area(whole)
        pieces.append(Piece(desk.labels[k], counts, area, desk.origins[k], mask.annotation, 0, desk.flags[k]))
    order = painting_order(pieces)
    placed, pieces = [desk.placed[k] for k in order], [pieces[k] for k in order]
    shared = desk.shared[np.ix_(placed, placed)]
    if parts:
        rles = rles_of([p.counts for p in pieces], picture.height, picture.width)
        shared = intersections(rles, [p.area for p in pieces])
    finished = []
    for piece, seen in zip(pieces, visible_areas(pieces, picture.height, picture.width, shared), strict=True):
        label, flags = piece.label, piece.flags
        if label and seen < rules.min_visible * piece.area:
            label, flags = 0, (*flags, "hidden")
        elif label and seen < rules.min_area:
            label, flags = 0, (*flags, "small")
        if label != piece.label:
            text = f"{desk.names[piece.label]}, {seen} of {piece.area} pixels are visible: void"
            desk.decisions.append(Decision(flags[-1], text, ((piece.origin, piece.annotation),)))
        finished.append(Piece(label, piece.counts, piece.area, piece.origin, piece.annotation, seen, flags))
    return finished


def _judged(desk: Desk, pieces: list[Piece], ours: list[int], theirs: list[int]) -> Resolved:
    """Say why an image cannot be selected."""
    reasons = [*_partial(desk, ours, theirs), *_open(desk)]
    void = sum(p.visible for p in pieces if not p.label)
    ignored = void / max(1, sum(p.visible for p in pieces))
    if ignored > desk.rules.max_ignored:
        reasons.append(("ignored", f"{100 * ignored:.0f} % of the pixels of objects are void"))
    desk.decisions.extend(Decision(rule, f"{text}: cannot be selected") for rule, text in reasons)
    ineligible = tuple(f"{rule}: {text}" for rule, text in reasons)
    return Resolved(desk.picture, tuple(pieces), tuple(desk.decisions), ignored, ineligible)


def _partial(desk: Desk, ours: list[int], theirs: list[int]) -> list[tuple[str, str]]:
    """Find classes that LVIS annotated in part and that COCO does not confirm.

    COCO confirms a class if it is complete for it, has no crowd of it, and as many objects as LVIS.
    """
    reasons = []
    for label in sorted({desk.masks[j].label for j in theirs if not desk.masks[j].exhaustive}):
        mine, other = (sum(desk.masks[k].label == label for k in side) for side in (ours, theirs))
        crowd = any(m.crowd and label in m.labels for m in desk.masks)
        name = desk.names[label]
        if label in desk.coco.complete and not crowd and mine == other:
            desk.decisions.append(Decision("not-exhaustive", f"{name}: LVIS has some, COCO has as many: settled"))
        else:
            text = f"LVIS has only some {name} and COCO does not confirm them ({other} and {mine})"
            reasons.append(("not-exhaustive", text))
    return reasons


def _open(desk: Desk) -> list[tuple[str, str]]:
    """Find classes of which neither source says that all objects are annotated; with LVIS alone, that is accepted."""
    missing = set(range(1, len(desk.names))) - settled_classes(desk.coco, desk.lvis)
    if not desk.in_coco or not missing:
        return []
    named = name_some([desk.names[label] for label in sorted(missing)], 3)
    return [("unsettled", f"nothing says that all {named} are annotated")]
