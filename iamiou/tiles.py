"""Count one image of any size by strips of full rows: the same integers, with memory for a strip.

The loop over the pixels is the one that counts whole images. After every strip, components that do not reach its
last row are closed; see `iamiou.closing`. What is kept from strip to strip:

- the runs of the last row, and the components that have one, each with its overlaps (a record for every instance
  that it touches);
- with the nested rule also the components, not their runs, that lie in a gap of their class that may yet become a hole;
- a row of sums for every instance, and the phantoms: what the result consists of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iamiou.big_maps import BigMap
from iamiou.kernels import NO_MAP, Ints, Lut, Room, as_bytes, new_table
from iamiou.label_checks import MOST_IDS
from iamiou.runs import AREA, HIGH, IDS, LABELS, LOW, NO_CLASS, OVERLAPS, PHANTOMS, ROW, RUNS, TOP, TWO_CLASSES
from iamiou.stand_in import Components

Strip = tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.integer] | None]


def count(
    pred: BigMap,
    semantic: BigMap,
    instance: BigMap | None,
    luts: tuple[Lut, Lut],
    inst_void: int,
    reach: int,
    nested: bool,
    confusion: Ints,
    per_class: Ints,
    room: Room,
    stand_in: int = -1,
) -> tuple[Ints, Ints]:
    """Count one image by strips; parameters, results and ``room.state`` as in `iamiou.kernels.count`.

    Parameters
    ----------
    pred, semantic, instance : BigMap
        Of uint8, uint16 or (instance) int32.
    stand_in : {-1, 0, 1}
        Let the truth's components stand in for instances: 1 for 8 neighbours, 0 for 4, -1 not.
    """
    high: NDArray[np.uint32] | None = None
    while True:
        image = _Image(luts, inst_void, reach, nested, np.zeros_like(confusion), np.zeros_like(per_class), room)
        reader = _Reader(pred, semantic, instance, stand_in if reach >= 0 else -1)
        late = image.count(reader, high)
        if late is None:
            break
        # An instance turned out to be of another class than it seemed when components were held against it. Now all
        # classes are known, and the second pass meets no surprise.
        high = late
    confusion += image.confusion
    per_class += image.per_class
    return image.result(reader.old_ids()) if reach >= 0 else (np.empty((0, 6), np.int64), np.empty(0, np.int64))


class _Image:
    """The tables of one image while it is counted."""

    def __init__(
        self,
        luts: tuple[Lut, Lut],
        inst_void: int,
        reach: int,
        nested: bool,
        confusion: Ints,
        per_class: Ints,
        room: Room,
    ) -> None:
        self.luts, self.inst_void, self.reach, self.nested = luts, inst_void, reach, nested
        self.confusion, self.per_class, self.room = confusion, per_class, room
        self.gap, self.mark, self.notes = np.zeros(1, np.uint32), np.zeros(0, np.uint32), np.ones((2, 1), np.uint32)
        self.kept, self.work = new_table(4, 0), np.zeros(0, np.uint32)
        self.sums, self.judged = np.zeros((3, 0), np.int64), np.zeros(0, np.uint32)
        self.phantoms: list[Ints] = []

    def count(self, reader: _Reader, high: NDArray[np.uint32] | None) -> NDArray[np.uint32] | None:
        """Count all strips; return the classes of the instances if they have to be known beforehand."""
        room, state = self.room, self.room.state
        room.start(reader.rows + 1, reader.width)
        room.row_start[:2] = 1
        if high is not None:  # with it goes the number of ids
            room.insts = new_table(3, max(len(high), room.insts.shape[1]))
            room.insts[:, : len(high)] = 0
            room.insts[HIGH, : len(high)] = high
            state[IDS] = len(high)
        for first, strip in reader.strips():
            state[ROW] = 1
            self._scan(strip)
            if self.reach >= 0:
                self._close(final=first + reader.rows >= reader.height)
        if self.reach < 0:
            return None
        found = room.insts[HIGH, : state[IDS]]
        judged = self.judged[: state[IDS]]
        return found.copy() if high is None and bool(np.any((judged > 0) & (judged != found + 1))) else None

    def result(self, old_ids: Ints | None) -> tuple[Ints, Ints]:
        """Return instances and phantoms; note instances that are odd."""
        state = self.room.state
        ids = int(state[IDS])
        area, high, low = (self.room.insts[row, :ids].astype(np.int64) for row in (AREA, HIGH, LOW))
        there = area > 0
        there[0] = False
        state[NO_CLASS] = np.count_nonzero(there & (high == 0))
        state[TWO_CLASSES] = np.count_nonzero(there & (high + low != TOP))
        number = np.flatnonzero(there & (high > 0))
        instances = np.column_stack([number, high[number], area[number], self.sums[:, number].T])
        if old_ids is not None:
            instances[:, 0] = old_ids[instances[:, 0]]
            instances = instances[np.argsort(instances[:, 0])]
        phantoms = np.concatenate(self.phantoms) if self.phantoms else np.empty(0, np.int64)
        phantoms.sort()
        return instances, phantoms

    def _scan(self, strip: Strip) -> None:
        """Scan the rows of a strip; its row 0 is no row of the image but holds the place of the last strip's last."""
        from iamiou.scan import scan

        room = self.room
        pred, semantic, instance = strip
        height, width = semantic.shape
        inst_bytes, inst_size = (NO_MAP, 0) if instance is None else (as_bytes(instance), instance.itemsize)
        maps = as_bytes(pred), pred.itemsize, as_bytes(semantic), semantic.itemsize, inst_bytes, inst_size
        how = *self.luts, self.inst_void, self.reach, self.confusion, self.per_class
        start: Any = *maps, height, width, *how, room.state, room.marks, room.scratch
        while True:
            tables: Any = room.run, room.comp, room.overlap, room.insts, room.row_start, room.classes
            scan(*(start + tables))
            if room.state[ROW] == height:
                return
            room.grow()

    def _close(self, final: bool) -> None:
        from iamiou.closing import WORK_ROWS, close_strip

        room, state = self.room, self.room.state
        runs, labels, overlaps, ids = (int(state[k]) for k in (RUNS, LABELS, OVERLAPS, IDS))
        columns = max(labels, overlaps, ids + 1, room.scratch.shape[1])
        if self.work.size < WORK_ROWS * columns:
            self.work = new_table(1, WORK_ROWS * columns * 5 // 4)[0]
        work = self.work[: WORK_ROWS * columns].reshape(WORK_ROWS, columns)
        if self.kept.shape[1] < overlaps:
            self.kept = new_table(4, room.overlap.shape[1])
        if self.sums.shape[1] < ids:
            self.sums = _longer(self.sums, 2 * ids)
            self.judged = _longer(self.judged, 2 * ids)
        if self.nested:
            notes = int(self.notes[0, 0])
            if len(self.gap) < runs:
                self.gap, self.mark = _longer(self.gap, runs * 5 // 4), np.empty(runs * 5 // 4, np.uint32)
            if self.notes.shape[1] < notes + 2 * runs:
                self.notes = _longer(self.notes[:, :notes], (notes + 2 * runs) * 5 // 4)
        phantoms = np.empty(labels, np.int64)
        tables = room.run, room.comp, room.overlap, room.insts, room.row_start, room.classes
        ours: Any = (
            room.follows,
            self.gap,
            self.mark,
            self.notes,
            self.kept,
            work,
            state,
            self.sums,
            self.judged,
            phantoms,
        )
        close_strip(*tables, self.nested, final, *ours)
        room.overlap, self.kept = self.kept, room.overlap
        if state[PHANTOMS]:
            self.phantoms.append(phantoms[: state[PHANTOMS]].copy())


class _Reader:
    """Reads the maps of an image side by side, in strips with an empty row above."""

    def __init__(self, pred: BigMap, semantic: BigMap, instance: BigMap | None, stand_in: int) -> None:
        self.height, self.width = semantic.shape
        self.maps = [m for m in (pred, semantic, instance) if m is not None]
        self.rows = min(self.height, max(m.rows for m in self.maps))
        self.components = Components(semantic, self.rows, stand_in) if stand_in >= 0 else None
        self.big: dict[int, int] = {}

    def strips(self) -> Iterator[tuple[int, Strip]]:
        """Yield the first row of every strip and its maps; their memory is used again for the next."""
        dtypes = [m.dtype for m in self.maps] + ([np.dtype(np.int32)] if self.components else [])
        buffers = [np.zeros((self.rows + 1, self.width), dtype) for dtype in dtypes]
        for first in range(0, self.height, self.rows):
            strips = [b[: self.height - first + 1] for b in buffers]
            for labels, strip in zip(self.maps, strips, strict=False):
                labels.fill(first, strip[1:])
            if self.components:
                self.components.fill(first, strips[1][1:], strips[2][1:])
            elif len(strips) == 3 and strips[2].itemsize == 4:
                self._renumber(strips[2][1:])
            yield first, (strips[0], strips[1], strips[2] if len(strips) == 3 else None)

    def old_ids(self) -> Ints | None:
        """Return the id in the file of every instance number, or None where they are the same."""
        if not self.big:
            return None
        return np.concatenate([np.arange(MOST_IDS + 1), np.fromiter(self.big, np.int64, len(self.big))])

    def _renumber(self, strip: NDArray[np.integer]) -> None:
        """Give ids above `MOST_IDS` the next numbers, in order of appearance."""
        if strip.max() <= MOST_IDS:
            return
        flat = strip.reshape(-1)
        starts = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)
        ids, where = np.unique(flat[starts], return_inverse=True)
        numbers = [i if i <= MOST_IDS else self.big.setdefault(i, MOST_IDS + 1 + len(self.big)) for i in ids.tolist()]
        flat[:] = np.repeat(np.array(numbers, np.int32)[where], np.diff(np.append(starts, flat.size)))


def _longer(table: NDArray[Any], columns: int) -> NDArray[Any]:
    """Return a table with more columns; what is new is 0."""
    new = np.zeros((*table.shape[:-1], columns), table.dtype)
    new[..., : table.shape[-1]] = table
    return new
