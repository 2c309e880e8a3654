"""Addresses: one place says where each page is, on the server and in a folder of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

API = "/api/v1"


@dataclass(frozen=True)
class Links:
    """Where a page points to.

    Parameters
    ----------
    default_split : str
        The split of the first page.
    static : bool
        The pages are files.
    root : str
        From the page to the root, "" or "../" for files, "/" on the server.
    version : str
        Of the style sheet and the script, so that browsers may keep them.

    Examples
    --------
    >>> Links("hidden").board("public", filters={"supervision": "image"})
    '/?split=public&supervision=image'
    >>> Links("hidden", static=True, root="../").board("public", classes=True)
    '../public-classes.html'
    """

    default_split: str
    static: bool = False
    root: str = "/"
    version: str = ""

    def board(
        self, split: str, *, classes: bool = False, filters: Mapping[str, str] | None = None, form: str = "html"
    ) -> str:
        """Table of a split; ``form`` is html, json or csv."""
        if self.static:
            stem = "index" if split == self.default_split else split
            return f"{self.root}{stem}{'-classes' if classes and form == 'html' else ''}.{form}"
        asked = {} if split == self.default_split else {"split": split}
        asked |= dict(filters or {}) | ({"classes": "1"} if classes and form == "html" else {})
        path = {"html": "/", "json": f"{API}/board", "csv": f"{API}/board.csv"}[form]
        return path + (f"?{urlencode(asked)}" if asked else "")

    def submission(self, submission_id: str, form: str = "html") -> str:
        """Page of a submission."""
        if self.static:
            return f"{self.root}submissions/{submission_id}.{form}"
        return f"{API if form == 'json' else ''}/submissions/{submission_id}"

    def compare(self, a: str, b: str, split: str, form: str = "html") -> str:
        """Page that compares two submissions."""
        if self.static:
            return f"{self.root}compare/{a}-{b}-{split}.{form}"
        asked = urlencode({"a": a, "b": b, "split": split})
        return f"{API if form == 'json' else ''}/compare?{asked}"

    def rules(self, form: str = "html") -> str:
        """Page on the rules and the data set."""
        if self.static:
            return f"{self.root}rules.{form}"
        return f"{API if form == 'json' else ''}/rules"

    def page(self, name: str) -> str:
        """Page that only a server has: submit, sign-in, sign-out."""
        return f"{self.root}{name}"

    def asset(self, name: str) -> str:
        """Style sheet or script."""
        return f"{self.root}assets/{name}" + ("" if self.static or not self.version else f"?{self.version}")
