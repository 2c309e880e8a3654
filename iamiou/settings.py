"""Settings: what a scoring does beside reading files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from iamiou.errors import InputError
from iamiou.pairs import Rule
from iamiou.scores import DEFAULT_BINS


@dataclass(frozen=True)
class Settings:
    """What a scoring does beside reading files.

    Parameters
    ----------
    bins : tuple of int
        Sides in pixels that part the size bins.
    missing : {"error", "background"}
        What an image without prediction means.
    pred_void : {"error", "background"}
        What 255 in a prediction means.
    components : {"nested", "plain"}
        The paper's rule, or plain connected components.
    connectivity : {8, 4}
        Neighbours that connect components; 4 only with ``components="plain"``.
    metrics : {"all", "miou"}
        ``"miou"`` leaves out everything instance-aware.
    bootstrap : int
        Resamples for the intervals; 0 for none.
    seed : int
        Seed of the resampling.
    """

    bins: tuple[int, ...] = DEFAULT_BINS
    missing: Literal["error", "background"] = "error"
    pred_void: str = "error"
    components: str = "nested"
    connectivity: int = 8
    metrics: str = "all"
    bootstrap: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {
            "missing": ("error", "background"),
            "pred_void": ("error", "background"),
            "components": ("nested", "plain"),
            "connectivity": (8, 4),
            "metrics": ("all", "miou"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} is {getattr(self, name)!r}; it can be {' or '.join(map(repr, allowed))}.")
        if self.components == "nested" and self.connectivity != 8:
            raise InputError("The nested rule is defined for 8 neighbours; use connectivity 4 with components 'plain'.")
        if self.bootstrap < 0:
            raise InputError(f"bootstrap is {self.bootstrap}; give the number of resamples, 0 for none.")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; give a whole number from 0 on.")

    @property
    def rule(self) -> Rule:
        """How one image is counted."""
        return Rule(self.pred_void, self.components, self.connectivity, self.metrics)


def settings_of(given: dict[str, Any]) -> Settings:
    """Build settings from keyword arguments; an unknown one is refused."""
    known = Settings.__dataclass_fields__
    for name in given:
        if name not in known:
            raise InputError(f"There is no option '{name}'; the options are {', '.join(known)}.")
    return Settings(**given)
