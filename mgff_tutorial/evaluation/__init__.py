"""What a trained model says: of a split, of files, in numbers and in pictures."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .split import evaluate as evaluate
    from .split import predict_split as predict_split

_HOMES = {"evaluate": "split", "predict_split": "split"}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
