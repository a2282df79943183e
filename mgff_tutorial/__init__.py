"""MGFF: two-stage fine-grained image classification, one module for each idea.

The names below are imported on first use, so that a notebook on patches does not wait for the
training loop. ``import mgff_tutorial`` itself imports torch and timm, and registers the MGFF models
with timm.
"""

import sys
from importlib import import_module

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

__all__ = [*_HOMES, "__version__"]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)


# ``timm.create_model("mgff_...")`` works from here on; over ``import torch, timm`` this costs
# nothing measurable. The command line (sys.argv[0] is "-m" while Python looks for it) imports what
# each command needs by itself.
if sys.argv[:1] != ["-m"]:
    from . import models  # noqa: F401
