"""Random images with many conflicts: run lengths and matrices against the slow oracle, pixel by pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from iamiou.coco import segmentation_to_rle
from iamiou_builders.model import Picture
from iamiou_builders.painting import paint
from iamiou_builders.resolve import resolve_image
from iamiou_builders.sources import Annotated, Mask
from tests.builders.fake_sources import CLASSES, RECIPE, rect, rle
from tests.builders.oracle_resolve import Thing, oracle

SIZE = (30, 36)
RULES = replace(RECIPE.rules, min_area=4)
PICTURE = Picture(1, "1.jpg", *SIZE, "val", None, "", "")
CHAIR, SOFA, TRAIN, TABLE, PLANT = (CLASSES.index(c) for c in ("chair", "sofa", "train", "diningtable", "pottedplant"))
KINDS = {
    "coco": [((c,), "object") for c in (CHAIR, SOFA, TRAIN, TABLE, PLANT)],
    "lvis": [
        *[((c,), "object") for c in (CHAIR, SOFA, TRAIN)],
        ((TABLE,), "object-coco"), ((PLANT,), "evidence"), ((TRAIN,), "part"), ((CHAIR, SOFA), "ignore"),
    ],
}  # fmt: skip
#: Few places and small steps around them, so that objects meet at every IoU.
places = st.tuples(
    st.sampled_from([(3, 3, 12, 12), (3, 8, 16, 20), (14, 10, 10, 9)]), st.tuples(*[st.integers(0, 3)] * 4)
)


@st.composite
def thing(draw: st.DrawFn, source: str, number: int) -> Thing:
    box, step = draw(places)
    labels, role = draw(st.sampled_from(KINDS[source]))
    crowd = source == "coco" and draw(st.integers(0, 7)) == 0
    bits = rect(*(a + b for a, b in zip(box, step, strict=True)), SIZE)
    return Thing(source, number, labels, role, crowd, draw(st.integers(4, 6)), bits)


@st.composite
def scenes(draw: st.DrawFn) -> list[Thing]:
    coco = [draw(thing("coco", k)) for k in range(1, 1 + draw(st.integers(0, 5)))]
    return coco + [draw(thing("lvis", k)) for k in range(101, 101 + draw(st.integers(0, 5)))]


def annotated(things: list[Thing], source: str, **more: frozenset[int]) -> Annotated:
    masks = []
    for t in things:
        if t.source == source:
            counts = segmentation_to_rle(rle(t.bits), *SIZE)["counts"]
            masks.append(Mask(t.id, t.labels, t.role, t.crowd, True, "x", counts, t.area, t.corners))  # type: ignore[arg-type]
    return Annotated(tuple(masks), **more)


@given(scenes(), st.frozensets(st.sampled_from([CHAIR, SOFA, TRAIN])))
def test_resolved_images_are_those_of_the_oracle(things, absent):
    complete = frozenset(range(1, len(CLASSES)))
    ours, theirs = annotated(things, "coco", complete=complete), annotated(things, "lvis", absent=absent)
    resolved = resolve_image(PICTURE, ours, theirs, RULES, CLASSES)
    semantic, instance = paint(resolved)
    expected, numbers, instances = oracle(things, set(complete), set(absent), RULES)
    assert [(p.origin, p.annotation) for p in resolved.instances] == instances
    assert np.array_equal(semantic, np.broadcast_to(expected, SIZE))
    assert np.array_equal(instance, np.broadcast_to(numbers, SIZE))
    told = {pair for d in resolved.decisions for pair in d.annotations}
    told |= {(p.origin, p.annotation) for p in resolved.pieces}
    assert told == {(t.source, t.id) for t in things}
