"""submission.json: what a submission says about itself, parsed and checked."""

from __future__ import annotations

import datetime
import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from iamiou.errors import InputError
from iamiou_leaderboard.names import check_name

#: Bytes that submission.json may have.
MAX_META = 2**16
_MOST_TEXT, _MOST_NAMES = 300, 20

SUPERVISION = ("image", "box", "point", "scribble", "full", "none")
STAGES = ("cam", "pseudo", "segmentation")
KINDS = ("submission", "baseline")


@dataclass(frozen=True)
class Meta:
    """What a submission says about itself; only ``method`` must be said, None and "" stand for the rest.

    Parameters
    ----------
    method : str
        The name on the board, 1 to 64 characters.
    team : str
        For the reader; on a server the token says whose it is.
    backbone : str
        "ResNet-50".
    supervision : {"image", "box", "point", "scribble", "full", "none", ""}
    extra_data : str
        Data beside the data set's own, "" for none.
    coco_pretrained : bool or None
    foundation_models : tuple of str
        "CLIP", "SAM" ...
    postprocessing : str
        "dense CRF".
    stage : {"cam", "pseudo", "segmentation", ""}
        Which product of the method was submitted.
    paper, code : str
        Addresses that begin with http:// or https://.
    seed : int or None
    kind : {"submission", "baseline"}
    date : str
        Of the predictions, "2026-11-21".
    """

    method: str
    team: str = ""
    backbone: str = ""
    supervision: str = ""
    extra_data: str = ""
    coco_pretrained: bool | None = None
    foundation_models: tuple[str, ...] = ()
    postprocessing: str = ""
    stage: str = ""
    paper: str = ""
    code: str = ""
    seed: int | None = None
    kind: str = "submission"
    date: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what was said, without what was left out, ready for json."""
        said = {name: value for name, value in asdict(self).items() if value not in ("", None, ())}
        return said | ({"foundation_models": list(self.foundation_models)} if self.foundation_models else {})


def parse_meta(data: bytes | Mapping[str, Any]) -> Meta:
    """Parse and check submission.json.

    Parameters
    ----------
    data : bytes or mapping
        The file, UTF-8, or what a program has parsed already.

    Returns
    -------
    Meta
        Texts are in Unicode's normal form C, without blanks around them.

    Raises
    ------
    InputError
        On the first thing that is wrong; an unknown key is answered with the nearest known one.

    Examples
    --------
    >>> parse_meta(b'{"method": "ours", "supervision": "image", "seed": 3}').to_dict()
    {'method': 'ours', 'supervision': 'image', 'seed': 3, 'kind': 'submission'}
    >>> parse_meta({"method": "ours", "superivsion": "image"})
    Traceback (most recent call last):
    ...
    iamiou.errors.InputError: submission.json has an unknown key 'superivsion'; did you mean 'supervision'?
    """
    given = parse_json(data) if isinstance(data, bytes) else data
    if unknown := sorted(set(given) - set(_CHECKS)):
        raise InputError(f"submission.json has an unknown key {_shown(unknown[0])}; {_near_miss(unknown[0])}")
    if given.get("method") in (None, ""):
        raise InputError("submission.json has no 'method'; name the method as it shall stand on the board.")
    checked = {key: _CHECKS[key](key, value) for key, value in given.items() if value is not None}
    return Meta(**checked)


def parse_json(data: bytes) -> Mapping[str, Any]:
    """Return the object in a json file, not checked yet; `InputError` when there is none."""
    if len(data) > MAX_META:
        raise InputError(f"submission.json has {len(data)} bytes; {MAX_META} are allowed.")
    try:
        found = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_no_repetition, parse_constant=_no_constant)
    except (ValueError, RecursionError) as e:  # wrong UTF-8 is a ValueError too
        raise InputError(f"submission.json cannot be read as json ({e}); correct it.") from e
    if not isinstance(found, dict):
        raise InputError('submission.json holds no object; write {"method": "...", ...}.')
    return found


def _no_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1)
        raise ValueError(f"the key {_shown(twice)} stands twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no json")


def _near_miss(key: str) -> str:
    names = [f.name for f in fields(Meta)]
    near = difflib.get_close_matches(str(key).lower().replace("-", "_").replace(" ", "_"), names, 1)
    return f"did you mean '{near[0]}'?" if near else f"known are {', '.join(names)}."


def _shown(value: object) -> str:
    """Return a stranger's value as it can stand in a sentence."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:56]} ..."


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"'{key}' in submission.json is {_shown(value)}; give a text.")
    return check_name(value, f"'{key}'", _MOST_TEXT) if value.strip() else ""


def _name(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"'{key}' in submission.json is {_shown(value)}; give a text.")
    return check_name(value, key) if key == "method" or value.strip() else ""


def _address(key: str, value: object) -> str:
    text = _text(key, value)
    if text and (not text.startswith(("http://", "https://")) or any(c in text for c in " \"'<>\\")):
        raise InputError(f"'{key}' in submission.json is {_shown(text)}; give an address that begins with https://.")
    return text


def _one_of(*choices: str) -> Callable[[str, object], str]:
    def check(key: str, value: object) -> str:
        if value not in choices:
            near = difflib.get_close_matches(str(value).lower(), [c for c in choices if c], 1)
            hint = f"did you mean '{near[0]}'?" if near else f"give {', '.join(c for c in choices if c)}."
            raise InputError(f"'{key}' in submission.json is {_shown(value)}; {hint}")
        return str(value)

    return check


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"'{key}' in submission.json is {_shown(value)}; give true or false.")
    return value


def _names(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > _MOST_NAMES:
        raise InputError(f"'{key}' in submission.json is {_shown(value)}; give a list of up to {_MOST_NAMES} names.")
    return tuple(_name(key, name) for name in value)


def _number(key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InputError(f"'{key}' in submission.json is {_shown(value)}; give a whole number from 0 on.")
    return value


def _date(key: str, value: object) -> str:
    try:
        return datetime.date.fromisoformat(_text(key, value)).isoformat() if value else ""
    except ValueError:
        text = f"'{key}' in submission.json is {_shown(value)}; give year-month-day, like 2026-11-21."
        raise InputError(text) from None


_CHECKS: dict[str, Callable[[str, object], Any]] = {
    "method": _name,
    "team": _name,
    "backbone": _text,
    "supervision": _one_of(*SUPERVISION, ""),
    "extra_data": _text,
    "coco_pretrained": _flag,
    "foundation_models": _names,
    "postprocessing": _text,
    "stage": _one_of(*STAGES, ""),
    "paper": _address,
    "code": _address,
    "seed": _number,
    "kind": _one_of(*KINDS),
    "date": _date,
}
