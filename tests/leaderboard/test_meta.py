"""submission.json: what is taken, what is refused, and that the near miss is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamiou.errors import InputError
from iamiou_leaderboard.meta import Meta, parse_meta

FULL: dict[str, Any] = {
    "method": "ours",
    "team": "Vision Lab",
    "backbone": "ResNet-50",
    "supervision": "image",
    "extra_data": "none",
    "coco_pretrained": False,
    "foundation_models": ["CLIP", "SAM"],
    "postprocessing": "dense CRF",
    "stage": "pseudo",
    "paper": "https://arxiv.org/abs/2406.19638",
    "code": "https://github.com/example/ours",
    "seed": 0,
    "kind": "baseline",
    "date": "2026-11-21",
}


def refusal(**changes: Any) -> str:
    with pytest.raises(InputError) as e:
        parse_meta(FULL | changes)
    return str(e.value)


def test_all_that_can_be_said_comes_back() -> None:
    meta = parse_meta(json.dumps(FULL).encode())
    assert set(FULL) == set(Meta.__dataclass_fields__)
    assert meta.to_dict() == FULL
    assert parse_meta(meta.to_dict()) == meta
    assert json.loads(json.dumps(meta.to_dict())) == FULL


def test_only_the_method_must_be_said() -> None:
    assert parse_meta({"method": " ours "}).to_dict() == {"method": "ours", "kind": "submission"}
    assert parse_meta(FULL | {"paper": None, "team": "", "seed": None}).to_dict() == {
        k: v for k, v in FULL.items() if k not in ("paper", "team", "seed")
    }
    assert "has no 'method'" in refusal(method="")


@pytest.mark.parametrize(
    ("key", "near"),
    [("Method", "method"), ("super-vision", "supervision"), ("coco pretrained", "coco_pretrained"), ("pape", "paper")],
)
def test_an_unknown_key_names_the_near_miss(key: str, near: str) -> None:
    assert refusal(**{key: "x"}) == f"submission.json has an unknown key '{key}'; did you mean '{near}'?"


def test_an_unknown_key_far_from_all_names_them() -> None:
    assert refusal(zzzz=1).endswith("known are " + ", ".join(Meta.__dataclass_fields__) + ".")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"supervision": "images"}, "'images'; did you mean 'image'?"),
        ({"stage": "x"}, "'x'; give cam, pseudo, segmentation."),
        ({"kind": "paper"}, "give submission, baseline."),
        ({"coco_pretrained": "yes"}, "'yes'; give true or false."),
        ({"seed": -1}, "-1; give a whole number from 0 on."),
        ({"seed": True}, "True; give a whole number"),
        ({"date": "21.11.2026"}, "give year-month-day"),
        ({"paper": "javascript:alert(1)"}, "give an address that begins with https://."),
        ({"code": 'https://x/"onclick="'}, "give an address"),
        ({"foundation_models": "CLIP"}, "give a list"),
        ({"foundation_models": ["a"] * 21}, "up to 20 names"),
        ({"backbone": 50}, "50; give a text."),
        ({"method": "a" * 65}, "has 65 characters; give 1 to 64."),
        ({"method": "a\u202eb"}, "(U+202E)"),
        ({"backbone": "a\x1b[2J"}, "(U+001B)"),
    ],
)
def test_wrong_values_are_refused_in_one_sentence(changes: dict[str, Any], said: str) -> None:
    sentence = refusal(**changes)
    assert said in sentence and "\n" not in sentence and sentence.isprintable()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cannot be read as json"),
        (b"\xff", "cannot be read as json"),
        (b"[1]", "holds no object"),
        (b'{"method": NaN}', "NaN is no json"),
        (b'{"method": "a", "method": "b"}', "the key 'method' stands twice"),
        (b"[" * 100_000, "are allowed"),
        (b"[" * 60_000, "cannot be read as json"),
    ],
)
def test_what_is_no_json_object_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_meta(data)


def test_a_byte_order_mark_does_no_harm() -> None:
    assert parse_meta(b'\xef\xbb\xbf{"method": "ours"}').method == "ours"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
KEYS = st.sampled_from(sorted(Meta.__dataclass_fields__)) | st.text(max_size=8)


@given(st.dictionaries(KEYS, JSON, max_size=4))
def test_whatever_a_stranger_sends_is_taken_or_refused(given_meta: dict[str, Any]) -> None:
    try:
        checked = parse_meta(given_meta)
    except InputError as e:
        assert "\n" not in str(e)
    else:
        assert parse_meta(json.dumps(checked.to_dict()).encode()) == checked
