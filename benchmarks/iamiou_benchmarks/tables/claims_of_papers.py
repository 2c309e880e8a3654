"""What papers claim of their methods, as comparisons of runs that come in pairs by seed; `verdicts` judges them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """What is claimed: that the score of `better` lies above that of `than`.

    Parameters
    ----------
    text : str
    better, than : str
        What follows the name of the data in the names of two runs, as ``"irn-sw"``.
    score : str
    stages : tuple of str
        The stage of either run whose score is compared.
    split : str
    beyond : tuple of str
        Two more runs: the difference is claimed to be larger than between these, at the same stages. None: than 0.
    """

    text: str
    better: str
    than: str
    score: str
    stages: tuple[str, str] = ("predict", "predict")
    split: str = "test"
    beyond: tuple[str, str] | tuple[()] = ()


_WHERE = {"cam": "CAM seeds", "walk": "the walk", "irn": "IRN", "irnvit": "IRN, second backbone", "truth": "full masks"}

#: Mun et al., WACV 2024: L_sw and L_sb, and what their masks come from.
LOSSES: tuple[Claim, ...] = (
    Claim("CAM seeds beat a centre box of their area", "centre-ce", "centre-ce", "mIoU", ("cam", "centre"), "train"),
    Claim("The walk over colour edges improves on CAM", "walk-ce", "walk-ce", "mIoU", ("walk", "cam"), "train"),
    Claim("IRN improves on CAM", "irn-ce", "irn-ce", "mIoU", ("irn", "cam"), "train"),
    Claim("IRN's masks train a better network than CAM's", "irn-ce", "cam-ce", "mIoU"),
    *(Claim(f"L_sw raises IA_S ({_WHERE[m]})", f"{m}-sw", f"{m}-ce", "IA_S") for m in _WHERE),
    *(Claim(f"L_sw raises IA-mIoU ({_WHERE[m]})", f"{m}-sw", f"{m}-ce", "IA-mIoU") for m in _WHERE),
    *(Claim(f"EWC keeps IA_L: L_sb above L_sw ({_WHERE[m]})", f"{m}-sb", f"{m}-sw", "IA_L") for m in _WHERE),
    *(Claim(f"L_sb raises IA_S over CE ({_WHERE[m]})", f"{m}-sb", f"{m}-ce", "IA_S") for m in _WHERE),
    *(Claim(f"L_sb raises mIoU over CE ({_WHERE[m]})", f"{m}-sb", f"{m}-ce", "mIoU") for m in _WHERE),
    Claim("Weights from true sizes beat those from pseudo-masks", "irn-swtrue", "irn-sw", "IA_S"),
)


def _seeds(
    text: str, better: str, than: str, *scores: str, beyond: tuple[str, str] | tuple[()] = ()
) -> Iterator[Claim]:
    """Compare two stages of train; each is written as run:stage."""
    (ours, first), (theirs, second) = better.split(":"), than.split(":")
    return (Claim(text, ours, theirs, score, (first, second), "train", beyond) for score in scores)


def _networks(text: str, better: str, than: str, *scores: str) -> Iterator[Claim]:
    """Compare the predictions of two runs on test."""
    return (Claim(text, better, than, score) for score in scores)


_TAIL = ("IoU_Few", "mIoU")
_PLAIN = "sfc-plain:sfc"

#: Zhao et al. (SFC), AAAI 2024: claims 1 and 2 and the ablations.
SFC: tuple[Claim, ...] = (
    *_seeds("SFC lifts CAM's maps", "sfc-ce:sfc", "sfc-ce:cam", *_TAIL),
    *_seeds("SFC lifts the maps of as many steps without it", "sfc-ce:sfc", _PLAIN, *_TAIL),
    *_seeds("The bank alone does", "sfc-onlybank:sfc", _PLAIN, *_TAIL),
    *_seeds("Consistency alone does", "sfc-nobank:sfc", _PLAIN, *_TAIL),
    *_seeds("The bank adds to consistency", "sfc-ce:sfc", "sfc-nobank:sfc", *_TAIL),
    *_seeds("L_P adds to the rest", "sfc-ce:sfc", "sfc-nolp:sfc", *_TAIL),
    *_seeds("L_W adds to the rest", "sfc-ce:sfc", "sfc-nolw:sfc", *_TAIL),
    *_seeds("DC is better than equal weights", "sfc-ce:sfc", "sfc-nodc:sfc", *_TAIL),
    *_seeds("M_W + M_P is better than M_W", "sfc-maps:sfc", "sfc-maps:weights", *_TAIL),
    *_seeds("M_W + M_P is better than M_P", "sfc-maps:sfc", "sfc-maps:prototypes", *_TAIL),
    *_networks("SFC's masks train a better network than IRN's", "sfc-ce", "irn-ce", *_TAIL),
    *_seeds("SFC lifts CAM's maps of evenly frequent classes", "sfc-even:sfc", "sfc-even:cam", "mIoU"),
    *_seeds("There it lifts the maps of as many steps without it", "sfc-even:sfc", "sfc-evenplain:sfc", "mIoU"),
    *_seeds("Its lift of CAM needs the tail", "sfc-ce:sfc", "sfc-ce:cam", "mIoU", beyond=("sfc-even", "sfc-even")),
    *_seeds("Its lift of as many steps does", "sfc-ce:sfc", _PLAIN, "mIoU", beyond=("sfc-even", "sfc-evenplain")),
)

_MASKS = ("precision", "recall", "mIoU")
_MAPS = {
    "the CNN's": ("orand-ce:cam", "irn-ce"),
    "the ViT's": ("orand-ce:vitcam", "vitcam-ce"),
    "the mean's": ("mean-ce:mean", "mean-ce"),
    "OR's": ("orand-ce:or", "or-ce"),
    "AND's": ("orand-ce:and", "and-ce"),
}
_SIZES = ("IA_S", "mIoU", "precision")

#: ORANDNet, AAAI EIW 2024: claims 5 to 8.
ORAND: tuple[Claim, ...] = tuple(
    claim
    for group in (
        *(_seeds(f"Refined maps are above {w}", "orand-ce:orand", m, *_MASKS) for w, (m, _) in _MAPS.items()),
        *(_networks(f"Their network is above {w}", "orand-ce", run, *_MASKS) for w, (_, run) in _MAPS.items()),
        _seeds("A CNN and a ViT are above two CNNs", "orand-ce:orand", "orandsame-ce:orand", *_MASKS),
        _networks("Their network is above that of two CNNs", "orand-ce", "orandsame-ce", *_MASKS),
        _seeds("Three classifiers are above two", "orand3-ce:orand", "orand-ce:orand", *_MASKS),
        _seeds("Four classifiers are above three", "orand4-ce:orand", "orand3-ce:orand", *_MASKS),
        _networks("The network of three is above that of two", "orand3-ce", "orand-ce", *_MASKS),
        _networks("The network of four is above that of three", "orand4-ce", "orand3-ce", *_MASKS),
        _networks("Scale scheduling improves CE", "orand-cephased", "orand-ce", *_SIZES),
        _networks("Scale scheduling improves L_sb", "orand-sbphased", "orand-sb", *_SIZES),
        _networks("L_sb improves scale scheduling", "orand-sbphased", "orand-cephased", *_SIZES),
    )
    for claim in group
)

CLAIMS = LOSSES + SFC + ORAND
