"""Tally: what scores, support and intervals need of many images whose rows of instances are kept elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from iamiou.counts import Counts
from iamiou.entries import Entries, entries_of, merge_entries
from iamiou.sums import Summary, summary_of
from iamiou.totals import Totals, totals_of


@dataclass(frozen=True, eq=False)
class Tally:
    """The sums over some images and the sums over each of them.

    Parameters
    ----------
    bins : tuple of int
        Sides in pixels that part the size bins; other bins need the rows.
    totals : Totals
    entries : Entries
    """

    bins: tuple[int, ...]
    totals: Totals
    entries: Entries

    @property
    def images(self) -> tuple[str, ...]:
        """The ids, sorted."""
        return self.entries.images

    def summary(self) -> Summary:
        """Return what resampling works on."""
        return summary_of(self.entries, self.totals, self.bins)


def tally_of(counts: Counts, bins: tuple[int, ...]) -> Tally:
    """Sum up counts; their rows are not needed any more."""
    return Tally(bins, totals_of(counts, bins), entries_of(counts, bins))


def merge_tallies(parts: Sequence[Tally]) -> Tally:
    """Put the tallies of disjoint sets of images together; the same bytes for every split and order.

    Raises
    ------
    InputError
        If an image occurs more than once.
    """
    totals = reduce(add, (part.totals for part in parts))
    return Tally(parts[0].bins, totals, merge_entries([part.entries for part in parts]))
