"""One image: bring its three label maps into the form that the kernel takes, judge what they hold, count them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou.big_maps import BigMap, from_array
from iamiou.counts import Counts, Ints
from iamiou.errors import ImageError, Problem, counted, group
from iamiou.label_checks import (
    MOST_IDS,
    Map,
    as_big_labels,
    as_labels,
    foreign,
    label_pixels,
    place_differs,
    size_differs,
)
from iamiou.labels import VOID_8BIT, VOID_16BIT, ClassList

__all__ = ["Map", "PairCounter", "Rule", "as_labels", "ground_truth_components", "warnings_of"]

_NO_VOID = -1
#: With more classes an image keeps the pixels of those that it has, not a row for all.
_FEW = 256


@dataclass(frozen=True)
class Rule:
    """How an image is counted.

    Parameters
    ----------
    pred_void : {"error", "background"}
        What 255 in a prediction means (65535 where the classes need 16 bits).
    components : {"nested", "plain"}
        The paper's rule, or plain connected components.
    connectivity : {8, 4}
        Neighbours that connect; 4 only with ``"plain"``.
    metrics : {"all", "miou"}
        ``"miou"`` leaves instances and components out.
    """

    pred_void: str = "error"
    components: str = "nested"
    connectivity: int = 8
    metrics: str = "all"


class PairCounter:
    """Counts images one after the other; one a thread, merged at the end.

    Parameters
    ----------
    classes : ClassList
        C classes.
    rule : Rule
        How to count.
    """

    def __init__(self, classes: ClassList, rule: Rule) -> None:
        from iamiou.kernels import Room

        self.classes, self.rule = classes, rule
        c = self.size = len(classes)
        self.void_in_prediction = VOID_8BIT if c <= VOID_8BIT else VOID_16BIT
        as_void = 0 if rule.pred_void == "background" else c
        self._pred_lut = {1: _lut(c, 256, {self.void_in_prediction: as_void})}
        self._pred_lut[2] = _lut(c, 65536, {self.void_in_prediction: as_void, VOID_16BIT: as_void})
        self._sem_lut = {1: _lut(c, 256, {VOID_8BIT: c}), 2: _lut(c, 65536, {VOID_16BIT: c})}
        self._reach = -1 if rule.metrics == "miou" else int(rule.connectivity == 8)
        self._confusion = np.zeros((c + 2, c + 2), np.int64)
        self._room = Room(c)
        self._images: list[str] = []
        self._per_class: list[tuple[Any, Ints]] = []
        self._instances: list[Ints] = []
        self._phantoms: list[Ints] = []
        self.oddities: list[ImageError] = []

    def add(self, name: str, pred: Map | BigMap, semantic: Map | BigMap, instance: Map | BigMap | None) -> None:
        """Count one image.

        Parameters
        ----------
        name : str
            The image's id, for messages and records.
        pred, semantic, instance : integer array or BigMap, (H, W)
            Label maps, any dtype and strides; without ``instance`` the components of the truth stand in. If one is a
            `BigMap` and larger than its window, the image is counted by strips.

        Raises
        ------
        ImageError
            If a map is no (H, W) integer array, sizes differ, or a label is no class.
        """
        from iamiou.runs import INSTANCES, TOP_PRED, TOP_SEM, VOID_SEM

        if isinstance(semantic, BigMap) or isinstance(pred, BigMap) or isinstance(instance, BigMap):
            pred, semantic, instance = self._read_or_wrap(name, pred, semantic, instance)
        semantic = _labels(semantic, name, "ground truth")
        pred = _labels(pred, name, "prediction")
        if pred.shape != semantic.shape:
            raise size_differs(name, pred.shape, semantic.shape, "prediction")
        if self._reach < 0:
            instance = None
        elif instance is not None:
            instance = _labels(instance, name, "instance map", largest=2**31 - 1)
            if instance.shape != semantic.shape:
                raise size_differs(name, instance.shape, semantic.shape, "instance map")
        per_class = np.zeros((3, self.size + 2), np.int64)
        if isinstance(semantic, BigMap):
            instances, phantoms = self._count_strips(pred, semantic, instance, per_class)
        else:
            instances, phantoms = self._count(pred, semantic, instance, per_class)
        state = self._room.state
        if state[TOP_SEM] > self.size or state[TOP_PRED] >= self.size:
            # The counts of this image went into the shared confusion matrix, but an error ends the evaluation.
            self._refuse_labels(name, pred, semantic)
        if instance is not None and state[VOID_SEM:INSTANCES].any():
            self._note_oddities(name, instance.dtype.itemsize, len(instances))
        self._images.append(name)
        self._per_class.append((None, per_class) if self.size <= _FEW else self._packed(per_class))
        self._instances.append(instances)
        self._phantoms.append(phantoms)

    def _count(self, pred: Any, semantic: Any, instance: Any, per_class: Ints) -> tuple[Ints, Ints]:
        """Count an image that is in memory."""
        from iamiou.kernels import count

        inst_void, ids = _void_of(instance), None
        if instance is None and self._reach >= 0:
            instance = ground_truth_components(semantic, self.rule.connectivity)
        elif instance is not None and instance.itemsize == 4 and instance.max(initial=0) > MOST_IDS:
            ids, flat = np.unique(np.append(instance.ravel(), 0), return_inverse=True)
            instance = flat[:-1].astype(np.int32).reshape(semantic.shape)
        luts = self._pred_lut[pred.itemsize], self._sem_lut[semantic.itemsize]
        nested, room = self.rule.components == "nested", self._room
        how = luts, inst_void, self._reach, nested, self._confusion, per_class, room
        instances, phantoms = count(pred, semantic, instance, *how)
        if ids is not None:
            instances[:, 0] = ids[instances[:, 0]]
        return instances, phantoms

    def _count_strips(self, pred: Any, semantic: BigMap, instance: Any, per_class: Ints) -> tuple[Ints, Ints]:
        """Count an image strip by strip."""
        from iamiou.tiles import count

        luts = self._pred_lut[pred.dtype.itemsize], self._sem_lut[semantic.dtype.itemsize]
        nested, room = self.rule.components == "nested", self._room
        how = luts, _void_of(instance), self._reach, nested, self._confusion, per_class, room
        stand_in = int(self.rule.connectivity == 8) if instance is None else -1
        return count(pred, semantic, instance, *how, stand_in)

    def _read_or_wrap(self, name: str, *maps: Map | BigMap | None) -> list[Any]:
        """Read small maps as a whole, make all maps of a large image `BigMap`; note maps of different places."""
        places = [m.place if isinstance(m, BigMap) else None for m in maps]
        for place in (places[0], places[2]):
            if place and places[1] and place.differs(places[1]):
                self.oddities.append(place_differs(name, place, places[1]))
        big = next(m for m in maps if isinstance(m, BigMap))
        if big.size <= big.window:
            return [m.whole() if isinstance(m, BigMap) and m.size <= big.window else m for m in maps]
        return [from_array(m, big.window) if isinstance(m, np.ndarray) and m.ndim == 2 else m for m in maps]

    def _packed(self, per_class: Ints) -> tuple[Any, Ints]:
        """Return the classes that an image has, and its pixels of these."""
        there = np.flatnonzero(per_class[:2, : self.size].any(0))
        return there, per_class[:, there]

    def counts(self) -> Counts:
        """Return what was counted so far, sorted by image id."""
        if not self._images:
            return Counts.zero(self.size)
        order = sorted(range(len(self._images)), key=self._images.__getitem__)
        if self.size <= _FEW:
            per_class = np.stack([self._per_class[k][1] for k in order], axis=1)[:, :, : self.size]
        else:
            per_class = np.zeros((3, len(order), self.size), np.int64)
            for row, k in enumerate(order):
                there, values = self._per_class[k]
                per_class[:, row, there] = values
        image, phantoms = _with_image([self._phantoms[k] for k in order]).T
        return Counts(
            self.size,
            tuple(self._images[k] for k in order),
            self._confusion[: self.size, : self.size].copy(),
            per_class[0],
            per_class[1],
            per_class[2],
            _with_image([self._instances[k] for k in order]),  # which are sorted by id
            np.column_stack([image, phantoms >> 32, phantoms & 0xFFFFFFFF]),
        )

    def _refuse_labels(self, name: str, pred: Map | BigMap, semantic: Map | BigMap) -> None:
        void = {1: VOID_8BIT, 2: VOID_16BIT}[semantic.dtype.itemsize]
        bad = foreign(semantic, self.size, {void})
        hint = (
            f"The class list '{self.classes.name}' has the labels 0 to {self.size - 1} and void {void}; see --classes."
        )
        if bad:
            raise ImageError("truth-label", "ground truths have labels that are no class", name, bad, hint)
        bad = foreign(pred, self.size, {self.void_in_prediction, VOID_16BIT})
        if bad:
            hint = f"The class list '{self.classes.name}' has the labels 0 to {self.size - 1}; see --classes."
            raise ImageError("prediction-label", "predictions have labels that are no class", name, bad, hint)
        pixels = sum(label_pixels(pred).get(void, 0) for void in {self.void_in_prediction, VOID_16BIT})
        what = f"predictions contain the void label {self.void_in_prediction}"
        hint = "A prediction must name a class everywhere; --pred-void background counts void as background."
        raise ImageError("void-in-prediction", what, name, counted(pixels, "pixel"), hint)

    def _note_oddities(self, name: str, itemsize: int, number: int) -> None:
        from iamiou.runs import NO_CLASS, OBJECT_DIFFERS, TWO_CLASSES, VOID_INST, VOID_SEM

        info = self._room.state
        if itemsize == 1 and number + info[NO_CLASS] == 254 and info[VOID_INST]:
            what = "8-bit instance maps use all 254 ids, with labelled pixels marked as void"
            hint = "More than 254 instances do not fit 8 bits; save these instance maps with 16 bits."
            raise ImageError("too-many-instances", what, name, counted(info[VOID_INST], "pixel"), hint)
        if info[VOID_SEM] + info[VOID_INST]:
            what = "images have a void region that differs between semantic and instance map"
            hint = "Pixels that are void in either map are left out."
            detail = counted(info[VOID_SEM] + info[VOID_INST], "pixel")
            self.oddities.append(ImageError("void-differs", what, name, detail, hint))
        if info[OBJECT_DIFFERS]:
            what = "images have pixels that are an object in only one of semantic and instance map"
            hint = "A class without an instance counts for mIoU only."
            self.oddities.append(ImageError("object-differs", what, name, counted(info[OBJECT_DIFFERS], "pixel"), hint))
        if info[TWO_CLASSES]:
            what = "images have instances that lie over two classes"
            hint = "Each counts for the largest class label in it."
            self.oddities.append(ImageError("two-classes", what, name, counted(info[TWO_CLASSES], "instance"), hint))
        if info[NO_CLASS]:
            what = "images have instances that lie on background only"
            hint = "They have no class and are left out."
            self.oddities.append(ImageError("no-class", what, name, counted(info[NO_CLASS], "instance"), hint))


def warnings_of(oddities: Iterable[ImageError]) -> list[Problem]:
    """Group what counters found odd, but could count, by kind."""
    return group(oddities, fatal=False)


def ground_truth_components(semantic: Map, connectivity: int = 8) -> NDArray[np.int32]:
    """Label the connected components of every class of a label map, for truth without instances.

    Parameters
    ----------
    semantic : uint8 or uint16 array, (H, W)
        Class ids; 0 is background.
    connectivity : {8, 4}
        Neighbours that connect.

    Returns
    -------
    int32 array, (H, W)
        0 on background, 1..n elsewhere (void included), in raster order.

    Examples
    --------
    >>> ground_truth_components(np.array([[1, 0, 2], [1, 0, 2]], np.uint8)).tolist()
    [[1, 0, 2], [1, 0, 2]]
    """
    from iamiou.components import label_map

    semantic = as_labels(semantic, "the map", "ground truth")
    out = np.empty(semantic.shape, np.int32)
    height, width = semantic.shape
    label_map(semantic.reshape(-1).view(np.uint8), semantic.itemsize, height, width, int(connectivity == 8), out)
    return out


def _lut(size: int, length: int, special: dict[int, int]) -> NDArray[np.uint16]:
    """Class of every label: itself, C for void, C + 1 for a label that is no class; ``special`` wins."""
    lut = np.full(length, size + 1, np.uint16)
    lut[: min(size, length)] = np.arange(min(size, length))
    for label, meaning in special.items():
        if label < length:
            lut[label] = meaning
    return lut


def _labels(labels: Any, name: str, role: str, largest: int = VOID_16BIT) -> Any:
    return (as_big_labels if isinstance(labels, BigMap) else as_labels)(labels, name, role, largest)


def _void_of(instance: Map | BigMap | None) -> int:
    """Return the instance id that means void."""
    return _NO_VOID if instance is None else {1: VOID_8BIT, 2: VOID_16BIT}.get(instance.dtype.itemsize, _NO_VOID)


def _with_image(tables: list[Ints]) -> Ints:
    """Stack the records of images and put the image's index before them."""
    index = np.repeat(np.arange(len(tables)), [len(t) for t in tables])
    return np.column_stack([index, np.concatenate(tables)])
