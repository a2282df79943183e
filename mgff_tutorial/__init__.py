"""MGFF: two-stage fine-grained image classification, one module for each idea.

The names below are imported on first use, so that ``import mgff_tutorial``
costs nothing and a notebook on patches does not wait for the training loop.
"""

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
