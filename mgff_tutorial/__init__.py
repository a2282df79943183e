"""MGFF: two-stage fine-grained image classification, one module for each idea.

The names below are imported on first use, so that a notebook on patches does not wait for the
training loop. ``import mgff_tutorial`` itself imports torch and timm, and registers the MGFF models
with timm.

Stable, so that coursework of one year runs in the next: the names in ``__all__`` and their
signatures, the module of each chapter (``mgff_tutorial.windows``, ...), ``mgff_tutorial.checks``
and ``mgff_tutorial.plots``, the commands of ``python -m mgff_tutorial`` with their options, the
names of weights, and the format of checkpoints and results. Everything else may change with the
version; a name that moves says where it went.
"""

import os
import sys

if sys.argv[:1] == ["-m"]:  # Python looks for the command line: Ctrl-C is one line from here on
    from .support.stopping import stop_quietly

    stop_quietly()
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what editors and type checkers see; `__getattr__` imports the same names
    from .cropper import ViTCropper as ViTCropper
    from .datasets import CUB200 as CUB200
    from .datasets import NABirds as NABirds
    from .datasets import OxfordPets as OxfordPets
    from .datasets import SketchBirds as SketchBirds
    from .datasets import StanfordCars as StanfordCars
    from .mgff import MGFF as MGFF
    from .mgff import MGFFClassifier as MGFFClassifier
    from .models import create_model as create_model
    from .renderer import render as render
    from .swin import SwinTransformer as SwinTransformer
    from .two_stage import TwoStageClassifier as TwoStageClassifier

__version__ = "0.1.0"

_HOMES = {
    "SwinTransformer": "swin",
    "MGFF": "mgff",
    "MGFFClassifier": "mgff",
    "create_model": "models",
    "ViTCropper": "cropper",
    "TwoStageClassifier": "two_stage",
    "CUB200": "datasets",
    "StanfordCars": "datasets",
    "OxfordPets": "datasets",
    "NABirds": "datasets",
    "SketchBirds": "datasets",
    "render": "renderer",
}
# Where the modules of the first edition went: an old import is told so in one sentence.
_MOVED = {
    "archives": "datasets.unpack",
    "assembly": "training.loading",
    "attend": "support.fast",
    "boxes": "evaluation.boxes",
    "checkpoints": "support.checkpoints",
    "config": "training.config",
    "curves": "training.runs",
    "data_check": "datasets.check",
    "device": "support.device",
    "errors": "support.errors",
    "files": "support.files",
    "flops": "support.fast",
    "images": "support.images",
    "linear": "support.fast",
    "loading": "training.loading",
    "memory": "benchmark.memory",
    "metrics": "evaluation.metrics",
    "paths": "support.paths",
    "prediction": "evaluation.predict",
    "prediction_figure": "evaluation.figure",
    "prediction_log": "evaluation.log",
    "pretraining": "training.pretraining",
    "pretraining_data": "training.pretraining_data",
    "recipe": "training.recipe",
    "runs": "training.runs",
    "seeding": "training.seeding",
    "sketchbirds": "renderer.dataset",
    "swin_blocks": "windows",
    "swin_settings": "swin",
    "swin_weights": "pretrained",
    "transforms": "datasets.transforms",
}

__all__ = [*_HOMES, "__version__"]


class _OldNames:
    """Asked after all others; finds nothing, but says where a moved module is."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        package, _, module = name.rpartition(".")
        if package == __name__ and module in _MOVED:
            new = f"{__name__}.{_MOVED[module]}"
            raise ModuleNotFoundError(f"{name} has moved: import {new} instead.", name=name)


sys.meta_path.append(_OldNames)


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        raise ImportError(f"{__name__}.{name} has moved: import {__name__}.{_MOVED[name]} instead.")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


# OpenMP's threads spin while they wait for each other. With one other busy program on a small
# machine they wait long: a notebook of half a minute takes seven, with fewer turns about one.
# It must be said before torch is loaded, and the user's own word counts more.
if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")

# ``timm.create_model("mgff_...")`` works from here on; over ``import torch, timm`` this costs
# nothing measurable. The command line imports what each command needs by itself.
if sys.argv[:1] != ["-m"]:
    from . import models  # noqa: F401
