"""What the API takes and gives, for its description; the answers themselves are the dataclasses of `types`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

Id = Annotated[str, Path(pattern="^[0-7][0-9A-HJKMNP-TV-Z]{25}$", description="Id of a submission, 26 characters.")]


class ErrorAnswer(BaseModel):
    """Why a request was not done."""

    code: str = Field(description="For machines: not-found, token, form, conflict, quota, too-large, offset, ...")
    message: str = Field(description="For people: what was found and what to do next.")


class Announcement(BaseModel):
    """A submission whose archive is to follow."""

    model_config = ConfigDict(extra="forbid", strict=True)
    meta: dict[str, Any] = Field(description="The content of submission.json.")
    size: int = Field(ge=1, le=2**53, description="Bytes of the archive.")
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None, description="Of the archive, in hexadecimal digits; held against what arrives."
    )


class Upload(BaseModel):
    """Where the archive goes."""

    id: str
    upload: str = Field(description="Address for PATCH and HEAD.")
    offset: int = Field(description="Where the next byte belongs.")


class ClassFacts(BaseModel):
    """The class list: a name for the list, and the names by label."""

    name: str
    names: list[str]


class SplitFacts(BaseModel):
    """One split of the data set."""

    images: int
    instances: int
    digest: str


class QuotaFacts(BaseModel):
    """What one team may do; 0 is no limit."""

    scored: int
    days: int
    attempts: int


class Few(BaseModel):
    """What a number of the hidden split has to rest on at least."""

    instances: int
    images: int


class Rules(BaseModel):
    """The rules and the data set."""

    name: str
    description: str
    dataset: str
    classes: ClassFacts
    bins: list[int]
    primary: str
    metric: str
    instances_from: str
    splits: dict[str, SplitFacts]
    quota: QuotaFacts
    max_archive: int
    rounding: dict[str, str]
    few: Few
    images: list[tuple[str, int, int, str]] = Field(description="Id, height, width and split of every image.")


_WORDS = {
    400: "The request cannot be understood.",
    401: "An access token is needed, or the one sent is not valid.",
    403: "Not allowed.",
    404: "There is no such thing, or none that you may see.",
    409: "It does not fit the present state.",
    413: "Too large.",
    415: "Another content type is needed.",
    421: "The server does not answer to that host name.",
    422: "A value is not as it has to be.",
    429: "The quota is used up.",
    507: "The server's disk is full.",
}


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Describe the errors that a route may answer with, those of every route included."""
    return {
        code: {"model": ErrorAnswer, "description": _WORDS[code]}
        for code in sorted({400, 401, 403, 413, 421, 422, *codes})
    }
