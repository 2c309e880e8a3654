"""The errors that a user can meet; each is one sentence on what was found and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: How many names a sentence shows before it only counts the rest.
SHOWN = 5
_SINGULAR = {"are": "is", "have": "has", "can": "can", "cannot": "cannot"}
_SINGULAR |= {v: f"{v}s" for v in ("claim", "contain", "differ", "hold", "lie", "say", "stand", "use")}


class IamiouError(Exception):
    """Base of all errors that iamiou raises on purpose; ``exit_code`` is what the command line returns."""

    exit_code = 1


class InputError(IamiouError):
    """Something in the input or in the options has to be changed by the user."""

    exit_code = 2


class IncompleteError(IamiouError):
    """Work stopped before its end and can be resumed."""

    exit_code = 3


@dataclass(frozen=True)
class Problem:
    """One kind of trouble with the input, and every name that it was found under.

    Parameters
    ----------
    kind : str
        Short key, for machines: ``"missing-prediction"``.
    what : str
        What was found, to stand after the count: ``"images have no prediction"``.
    names : tuple of str
        Image ids or file names, sorted, each with its own detail in brackets where there is one.
    hint : str
        What to do next, a full sentence.
    fatal : bool
        False for a warning.

    Examples
    --------
    >>> print(Problem("missing-prediction", "images have no prediction", ("a", "b"), "Predict them."))
    2 images have no prediction: a, b. Predict them.
    """

    kind: str
    what: str
    names: tuple[str, ...]
    hint: str = ""
    fatal: bool = True

    def __str__(self) -> str:
        what = _singular(self.what) if len(self.names) == 1 else self.what
        return f"{len(self.names)} {what}: {name_some(self.names)}. {self.hint}".rstrip()


class ImageError(InputError):
    """One image that cannot be scored; the caller collects these into `Problem` by ``kind``.

    Parameters
    ----------
    kind, what, hint : str
        As in `Problem`.
    name : str
        The image id or the file.
    detail : str
        What is particular to this image: ``"320 x 320, ground truth 375 x 500"``.
    """

    def __init__(self, kind: str, what: str, name: str, detail: str = "", hint: str = "") -> None:
        self.kind, self.what, self.name, self.detail, self.hint = kind, what, name, detail, hint
        super().__init__(str(group([self])[0]))

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, ...]]:
        """Let it travel between processes."""
        return type(self), (self.kind, self.what, self.name, self.detail, self.hint)


class ProblemsFound(InputError):
    """All problems of an input at once, one sentence a line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) if p.fatal else f"Warning: {p}" for p in self.problems))

    def __reduce__(self) -> tuple[type[ProblemsFound], tuple[tuple[Problem, ...]]]:
        """Let it travel between processes."""
        return type(self), (self.problems,)


def extra_missing(what: str, extra: str) -> InputError:
    """Say which extra has to be installed for something.

    >>> print(extra_missing("--scheduler", "dask"))
    --scheduler needs packages that are not installed; type: pip install "iamiou[dask]"
    """
    return InputError(f'{what} needs packages that are not installed; type: pip install "iamiou[{extra}]"')


def name_some(names: Sequence[str], shown: int = SHOWN) -> str:
    """Join the first names and count the others.

    >>> name_some(["a", "b", "c"], shown=2)
    'a, b and 1 more'
    """
    head = ", ".join(names[:shown])
    return head if len(names) <= shown else f"{head} and {len(names) - shown} more"


def counted(number: int, noun: str) -> str:
    """Put a number before a noun.

    >>> counted(1, "pixel"), counted(2, "pixel")
    ('1 pixel', '2 pixels')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def group(errors: Iterable[ImageError], *, fatal: bool = True) -> list[Problem]:
    """Collect per-image errors into one `Problem` a kind, names sorted."""
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for e in errors:
        name = f"{e.name} ({e.detail})" if e.detail else e.name
        kinds.setdefault((e.kind, e.what, e.hint), []).append(name)
    return [Problem(k, w, tuple(sorted(names)), h, fatal) for (k, w, h), names in sorted(kinds.items())]


def joined(problems: Iterable[Problem]) -> list[Problem]:
    """Make one `Problem` a kind of problems of disjoint sets of images, as if they had been grouped at once.

    >>> joined([Problem("odd", "are odd", ("b",)), Problem("odd", "are odd", ("a",))])[0].names
    ('a', 'b')
    """
    kinds: dict[tuple[str, str, str, bool], list[str]] = {}
    for p in problems:
        kinds.setdefault((p.kind, p.what, p.hint, p.fatal), []).extend(p.names)
    return [Problem(k, w, tuple(sorted(names)), h, fatal) for (k, w, h, fatal), names in sorted(kinds.items())]


def _singular(what: str) -> str:
    """Let a sentence about several things speak of one.

    >>> _singular("images have instances that lie over two classes")
    'image has instances that lie over two classes'
    """
    words = what.split(" ")
    for k in range(1, len(words)):
        if words[k] in ("is", "has", "was"):  # it does already
            return what
        if words[k] in _SINGULAR and words[k - 1].endswith("s"):
            noun = words[k - 1].removesuffix("s").replace("categorie", "category")
            return " ".join([*words[: k - 1], noun, _SINGULAR[words[k]], *words[k + 1 :]])
    return what


def near_miss(name: str, known: Iterable[str]) -> str:
    """Say what may have been meant.

    >>> near_miss("lamda", ["lambda", "tau"]), near_miss("x", ["lambda", "tau"])
    ("Did you mean 'lambda'?", 'It can be lambda, tau.')
    """
    import difflib

    names = list(known)
    close = difflib.get_close_matches(name, names, 1)
    return f"Did you mean '{close[0]}'?" if close else f"It can be {name_some(names, 20)}."
