"""Numbers that papers have published, each with its source: what tables and boards show beside our own runs."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("published.csv")


@dataclass(frozen=True)
class Published:
    """One published number.

    Parameters
    ----------
    method : str
    year : int or None
    dataset, split : str
        ``"voc2012"`` or ``"coco2014"``; ``"train"``, ``"val"`` or ``"test"``.
    stage : {"cam", "pseudo", "segmentation", ""}
        Which product of the method it is about; empty where the source mixes them.
    metric : str
        ``"mIoU"``.
    value : float
        From 0 to 1.
    printed : str
        In per cent, with the digits of the source.
    backbone, initialisation : str
        Empty where the source does not say.
    crf : bool or None
        Whether a dense CRF came after the network; None where the source does not say.
    supervision : {"image", "full"}
    source : str
        Where the number was read.
    caveat : str
        What to bear in mind when comparing with it.
    """

    method: str
    year: int | None
    dataset: str
    split: str
    stage: str
    metric: str
    value: float
    printed: str
    backbone: str
    initialisation: str
    crf: bool | None
    supervision: str
    source: str
    caveat: str

    @property
    def note(self) -> str:
        """Return source, initialisation, CRF and caveat as one line for a table's footnote."""
        parts = [f"Source: {self.source}."]
        parts.append(
            f"Initialised from {self.initialisation}." if self.initialisation else "Initialisation not stated."
        )
        parts.append({True: "With CRF.", False: "Without CRF.", None: "CRF not stated."}[self.crf])
        return " ".join([*parts, self.caveat]).rstrip()


def published(dataset: str | None = None, *, stage: str | None = None) -> tuple[Published, ...]:
    """Return published numbers in the order of the file: by stage and year.

    Parameters
    ----------
    dataset : str, optional
        Data set and split in one word, as a board names them: ``"voc2012-val"``, ``"coco2014-val"``.
    stage : {"cam", "pseudo", "segmentation"}, optional

    Returns
    -------
    tuple of Published
        Empty when nothing is known of the data set.

    Examples
    --------
    >>> [(p.method, p.year, p.printed) for p in published("voc2012-val", stage="segmentation")][:2]
    [('AffinityNet (PSA)', 2018, '61.7'), ('IRN', 2019, '63.5')]
    >>> print(published("coco2014-val", stage="segmentation")[1].note)
    Source: list gyguo/awesome-weakly-supervised-semantic-segmentation (2022). Initialisation not stated.
    CRF not stated. Uses saliency maps. Quoted by another paper or list, not read in the method's own.
    """
    known = (p for p in _read() if dataset in (None, f"{p.dataset}-{p.split}"))
    return tuple(p for p in known if stage in (None, p.stage))


@cache
def _read() -> tuple[Published, ...]:
    with open(_FILE, encoding="utf-8", newline="") as file:
        return tuple(_row(row) for row in csv.DictReader(file))


def _row(row: dict[str, str]) -> Published:
    printed = row.pop("value")
    year, crf = row.pop("year"), row.pop("crf")
    return Published(
        **row,
        year=int(year) if year else None,
        crf={"yes": True, "no": False, "": None}[crf],
        value=float(f"{printed}e-2"),  # the decimal nearest to what was printed; a division by 100 may miss it
        printed=printed,
    )
