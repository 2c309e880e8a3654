"""Class lists and palettes: which integer in a label map means what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from iamiou.errors import InputError

_VOC = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
).split()

# COCO's 80 categories by increasing category id.
_COCO = (
    "background,person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,"
    "stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,"
    "umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,"
    "skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,"
    "orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,"
    "laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,"
    "scissors,teddy bear,hair drier,toothbrush"
).split(",")

#: COCO's names for classes that VOC names otherwise.
VOC_NAME_OF_COCO = {
    "airplane": "aeroplane",
    "motorcycle": "motorbike",
    "couch": "sofa",
    "potted plant": "pottedplant",
    "dining table": "diningtable",
    "tv": "tvmonitor",
}

VOID_8BIT = 255
VOID_16BIT = 65535


@dataclass(frozen=True)
class ClassList:
    """Names of the classes of a data set; a label is an index into them, 0 is background.

    Parameters
    ----------
    name : str
        ``"voc"``, ``"coco"`` or the stem of the file that the names came from.
    names : tuple of str
        ``names[0]`` is the background.

    Examples
    --------
    >>> VOC.names[15], len(VOC), len(COCO)
    ('person', 21, 81)
    """

    name: str
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            raise InputError(
                f"The class list '{self.name}' has {len(self.names)} names; it needs background and one more."
            )
        if len(self.names) > VOID_16BIT:
            raise InputError(
                f"The class list '{self.name}' has {len(self.names)} names; at most {VOID_16BIT} fit a label map."
            )
        twice = (
            sorted({n for n in self.names if self.names.count(n) > 1}) if len(set(self.names)) < len(self.names) else []
        )
        if twice:
            raise InputError(
                f"The class list '{self.name}' names {', '.join(twice)} more than once; remove the repetition."
            )

    def __len__(self) -> int:
        return len(self.names)


VOC = ClassList("voc", tuple(_VOC))
COCO = ClassList("coco", tuple(_COCO))


def load_classes(source: str | Path | ClassList) -> ClassList:
    """Return a class list by name or from a text file of names, one a line, background first.

    Parameters
    ----------
    source : {"voc", "coco"} or path or ClassList
        Lines that are empty or start with ``#`` are skipped. A first line other than ``background``
        means that the file lists the objects only: background is put before them.

    Raises
    ------
    InputError
        If the file cannot be read, is not UTF-8, or names a class twice.

    Examples
    --------
    >>> load_classes("coco").names[1:4]
    ('person', 'bicycle', 'car')
    """
    if isinstance(source, ClassList):
        return source
    if source in ("voc", "coco"):
        return VOC if source == "voc" else COCO
    path = Path(source)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(
            f"The class list '{path}' cannot be read ({getattr(e, 'strerror', None) or 'it is not UTF-8'}); "
            "give voc, coco or a UTF-8 text file with one name a line."
        ) from e
    names = [s for s in (line.strip() for line in lines) if s and not s.startswith("#")]
    if names and names[0] not in ("background", "__background__", "_background_"):
        names.insert(0, "background")
    return ClassList(path.stem, tuple(names))


def voc_palette() -> list[tuple[int, int, int]]:
    """Return the 256 colours that VOC's devkit gives to labels, as (red, green, blue).

    >>> voc_palette()[:3], voc_palette()[255]
    ([(0, 0, 0), (128, 0, 0), (0, 128, 0)], (224, 224, 192))
    """
    colours = []
    for label in range(256):
        rgb = [0, 0, 0]
        for bit in range(8):  # bit-interleaving of the VOC devkit: bits 0, 1, 2 of the label to the top of r, g, b
            for channel in range(3):
                rgb[channel] |= (label >> (3 * bit + channel) & 1) << (7 - bit) if 3 * bit + channel < 8 else 0
        colours.append((rgb[0], rgb[1], rgb[2]))
    return colours
