"""Count one image: the two compiled loops one after the other, and the tables that they work in.

They are two, in files of their own, so that two processes can compile them side by side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iamiou.runs import BLOCK, CLASS_ROWS, IDS, INSTANCES, LABELS, NEED, OVERLAPS, ROW, RUNS, STATES
from iamiou.scan import scan
from iamiou.sharing import share

Ints = NDArray[np.int64]
Labels = NDArray[np.integer]
Lut = NDArray[np.uint16]
Table = NDArray[np.uint32]

#: Of images with more pixels the runs are estimated first, so that their table need not be copied while it grows.
_LARGE = 1 << 20
_EVERY = 16  # rows

_FIRST = np.zeros(STATES, np.int64)
_FIRST[[RUNS, OVERLAPS]] = 1  # run 0 takes what is background, overlap 0 stands for none

NO_MAP = np.zeros(0, np.uint8)
_NO_INSTANCES, _NO_PHANTOMS = np.empty((0, 6), np.int64), np.empty(0, np.int64)


class Room:
    """The tables that images are counted in, kept from one image to the next; runs.py tells what they hold.

    Parameters
    ----------
    num_classes : int
        C classes.
    """

    def __init__(self, num_classes: int) -> None:
        self.state = _FIRST.copy()
        self.marks, self.scratch = np.zeros(0, np.uint64), new_table(8, 0)
        self.row_start, self.classes = np.empty(0, np.uint32), np.zeros((CLASS_ROWS, num_classes + 2), np.uint32)
        self.run, self.comp, self.overlap, self.insts = (
            new_table(3, 4096),
            new_table(5, 1024),
            new_table(4, 1024),
            new_table(3, 256),
        )
        self.follows, self.work = np.empty(0, np.uint32), np.empty(0, np.uint32)
        self.instances, self.phantoms = _NO_INSTANCES, _NO_PHANTOMS

    def start(self, height: int, width: int) -> None:
        """Make ready for an image of this size."""
        self.state[:] = _FIRST
        self.classes.fill(0)
        if self.scratch.shape[1] < max(BLOCK, width) + 8:
            self.marks = np.zeros(max(BLOCK, width) // 64 + 1, np.uint64)
            self.scratch = new_table(8, max(BLOCK, width) + 8)
            self.follows = np.empty(1 << (2 * max(BLOCK, width) - 1).bit_length(), np.uint32)
        if len(self.row_start) <= height:
            self.row_start = np.empty(height + 1, np.uint32)

    def expect(self, pred: NDArray[np.integer]) -> None:
        """Estimate the runs of a large image from some of its rows."""
        some = pred[::_EVERY]
        starts = some[:, 1:] != some[:, :-1]
        starts &= some[:, 1:] != 0
        runs = _EVERY * (int(np.count_nonzero(starts)) + len(some))
        if runs > self.run.shape[1]:
            self.run = new_table(3, runs + runs // 32 + max(BLOCK, pred.shape[1]))

    def grow(self) -> None:
        """Enlarge the tables that have no room for the next rows of the image."""
        used, need = self.state.tolist(), self.state[NEED:].tolist()
        self.run = _longer(self.run, need[0], used[RUNS])
        self.comp = _longer(self.comp, need[1], used[LABELS])
        self.overlap = _longer(self.overlap, need[2], used[OVERLAPS])
        self.insts = _longer(self.insts, need[3], used[IDS])

    def share(self, nested: bool) -> tuple[Ints, Ints]:
        """Count the instances and the phantoms of the image that was scanned."""
        _, runs, labels, overlaps, ids, *_ = self.state.tolist()
        columns = max(labels, overlaps, ids + 1)
        size = max(6 * columns, runs if nested else 0)
        if len(self.work) < size:
            self.work = new_table(1, size * 3 // 2)[0]
        work = self.work[: 6 * columns].reshape(6, columns)
        if len(self.instances) < ids:
            self.instances = np.empty((ids, 6), np.int64)
        if len(self.phantoms) < labels:
            self.phantoms = np.empty(labels, np.int64)
        tables = self.run, self.comp, self.overlap, self.insts, self.row_start, self.classes
        share(*tables, nested, self.follows, self.work, work, self.state, self.instances, self.phantoms)
        found = self.state[INSTANCES:].tolist()
        phantoms = self.phantoms[: found[1]].copy()
        phantoms.sort()
        return self.instances[: found[0]].copy(), phantoms


def count(
    pred: Labels,
    sem: Labels,
    inst: Labels | None,
    luts: tuple[Lut, Lut],
    inst_void: int,
    reach: int,
    nested: bool,
    confusion: Ints,
    per_class: Ints,
    room: Room,
) -> tuple[Ints, Ints]:
    """Count one image: confusion, pixels per class, instances and phantoms.

    Parameters
    ----------
    pred, sem, inst : uint8, uint16 or int32 array, (H, W)
        C-contiguous maps.
    luts : two uint16 arrays
        Class of every label of ``pred`` and of ``sem``: C for void, C + 1 for a label that is no class.
    inst_void : int
        The instance id that means void.
    reach : int
        1 for 8 neighbours, 0 for 4, -1 to leave components and instances out.
    nested : bool
        Apply the paper's nested rule.
    confusion : int64 array, (C + 2, C + 2)
        Truth by prediction over the valid pixels; this image is added.
    per_class : int64 array, (3, C + 2)
        Valid pixels of truth, of prediction, of both; this image is added.
    room : Room
        Its state tells afterwards what was odd.

    Returns
    -------
    instances : int64 array, (n, 6)
        id, class, area, TP, FP share, components; by id.
    phantoms : int64 array, (k,)
        class * 2**32 + area over the valid pixels, sorted: half the memory, and sorted by every thread for itself.
    """
    height, width = sem.shape
    room.start(height, width)
    if reach >= 0 and sem.size > _LARGE:
        room.expect(pred)
    inst_bytes, inst_size = (NO_MAP, 0) if inst is None else (as_bytes(inst), inst.itemsize)
    maps = as_bytes(pred), pred.itemsize, as_bytes(sem), sem.itemsize, inst_bytes, inst_size, height, width, *luts
    while True:
        tables = room.run, room.comp, room.overlap, room.insts, room.row_start, room.classes
        scan(*maps, inst_void, reach, confusion, per_class, room.state, room.marks, room.scratch, *tables)
        if room.state[ROW] == height:
            break
        room.grow()
    return room.share(nested) if reach >= 0 else (_NO_INSTANCES, _NO_PHANTOMS)


def as_bytes(labels: Labels) -> NDArray[np.uint8]:
    """Return the bytes of a C-contiguous map."""
    return labels.reshape(-1).view(np.uint8)


def new_table(rows: int, columns: int) -> Table:
    """Return a table; what nobody writes to is not taken from the system.

    NumPy would ask the system for huge pages, which in a young process take longer to come by than they save.
    """
    return np.ndarray((rows, columns), np.uint32, bytearray(4 * rows * columns))


def _longer(table: Table, columns: int, used: int) -> Table:
    """Return a table with at least so many columns, and what the used ones hold."""
    if table.shape[1] >= columns:
        return table
    new = new_table(len(table), 2 * columns)
    new[:, :used] = table[:, :used]
    return new
