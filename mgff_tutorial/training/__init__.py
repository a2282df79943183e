"""Training: a recipe, a run folder, the loop, and the pretraining of the small models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import TrainConfig as TrainConfig
    from .config import load_config as load_config
    from .trainer import Trainer as Trainer
    from .trainer import train as train

_HOMES = {
    "train": "trainer",
    "Trainer": "trainer",
    "TrainConfig": "config",
    "load_config": "config",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
