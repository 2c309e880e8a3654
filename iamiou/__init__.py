"""Instance-aware mIoU: how well a segmentation model finds small objects, not only large ones."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iamiou.counts import Counts as Counts
    from iamiou.errors import InputError as InputError
    from iamiou.evaluation import evaluate as evaluate
    from iamiou.evaluation import score as score
    from iamiou.labels import ClassList as ClassList
    from iamiou.labels import load_classes as load_classes
    from iamiou.report import Report as Report

__version__ = "0.1.0"

_HOME = {
    "Counts": "counts",
    "InputError": "errors",
    "evaluate": "evaluation",
    "score": "evaluation",
    "ClassList": "labels",
    "load_classes": "labels",
    "Report": "report",
}
__all__ = ["ClassList", "Counts", "InputError", "Report", "__version__", "evaluate", "load_classes", "score"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import iamiou`` costs nothing (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'iamiou' has no attribute '{name}'")
    return getattr(import_module(f"iamiou.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
