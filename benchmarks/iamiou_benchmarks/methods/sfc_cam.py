"""Stage method `sfc-cam`: the class maps of a trained stage `sfc`, looked at in another way without training again.

For the questions which of the maps to take: M_W alone, M_P alone, their sum, or the published program's other mixes.
"""

from __future__ import annotations

from dataclasses import dataclass

from iamiou_benchmarks.cams.seeds import score_seeds
from iamiou_benchmarks.methods import sfc
from iamiou_benchmarks.sfc.calibrated_maps import MapOptions, check_maps, write_maps
from iamiou_benchmarks.stage.options import stage_options
from iamiou_benchmarks.stage.work import Work

VERSION = 1
INPUTS = ("sfc",)


@dataclass(frozen=True)
class Options(MapOptions):
    """Those of `MapOptions`; none is taken over from the stage `sfc`."""


def run(work: Work, options: Options) -> None:
    """Leave ``maps/ID.npz`` of train and dev, and score the seeds."""
    check_maps(options)
    trained = stage_options(work.source, sfc.Options)
    write_maps(work, sfc.load_network(work, trained, work.source), options, trained.precision)
    score_seeds(work, options.threshold, options.select)
