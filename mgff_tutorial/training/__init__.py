"""Training: a recipe, a run folder, the loop, and the pretraining of the small models."""

from importlib import import_module

_HOMES = {
    "train": "trainer",
    "Trainer": "trainer",
    "TrainConfig": "config",
    "load_config": "config",
}

__all__ = [*_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
