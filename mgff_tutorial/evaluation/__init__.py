"""What a trained model says: of a split, of files, in numbers and in pictures."""

from importlib import import_module

_HOMES = {"evaluate": "split", "predict_split": "split"}

__all__ = [*_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
