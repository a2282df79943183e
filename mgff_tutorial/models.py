"""One name, one model: our Swins, the small models of the tutorial, MGFF on any backbone, and
everything in timm; and a checkpoint back to its model.

Importing this module registers MGFF models with timm, so that
``timm.create_model("mgff_resnet50")`` and the tools built on it find them.
"""

from pathlib import Path
from typing import Any

from timm.models import is_model, register_model
from torch import nn

from .mgff import MGFFClassifier
from .pretrained import fill, plain_model, with_weights
from .support.checkpoints import load_into, read_metadata
from .support.errors import CheckpointError, InputError
from .swin import BUILDERS

# Backbones whose MGFF model timm lists; `create_model` takes "mgff_" before any other backbone name
# as well.
REGISTERED = (
    *BUILDERS,
    "vit_nano",
    "resnet50",
    "convnext_tiny",
    "efficientnet_b0",
    "tf_efficientnet_lite0",
    "vit_small_patch16_224",
    "vit_base_patch16_224",
    "vit_small_patch14_dinov2",
)


def create_model(name: str, pretrained: bool | str | Path = False, **kwargs: Any) -> nn.Module:
    """Build a model by name.

    Args:
        name: ``"swin_nano"``, ``"vit_nano"``, ``"mgff_swin_nano"``; the eight Swins of our own
            code; ``"mgff_<backbone>"``; or any timm name.
        pretrained: for the nano models, True reads the checkpoint that travels with this package;
            for ``"mgff_<backbone>"`` True takes published weights of the backbone (MGFF and
            classifier start fresh); otherwise it is timm's. A path loads that file into the whole
            model; where it holds another number of classes, that is a `CheckpointError`.
        **kwargs: ``num_classes``, ``img_size``, and what the model's builder accepts.

    Raises:
        InputError: unknown name or options.
        CheckpointError: weights that can't be had or don't fit.
    """
    if not isinstance(name, str):
        raise InputError(
            f"name must be a string such as 'mgff_swin_nano', got {type(name).__name__}."
        )
    kwargs = {key: value for key, value in kwargs.items() if value is not None}  # as timm does
    backbone = name.removeprefix("mgff_")
    if backbone == name:
        return plain_model(name, pretrained, **kwargs)
    if backbone == "swin_nano" and pretrained is not False:
        return with_weights(_mgff_nano, name, pretrained, **kwargs)
    if backbone == "swin_nano":
        return _mgff_nano(**kwargs)
    if isinstance(pretrained, bool):
        return MGFFClassifier(backbone, pretrained=pretrained, **kwargs)
    model = MGFFClassifier(backbone, **kwargs)
    model.card = load_into(model, pretrained)
    return model


def _mgff_nano(num_classes=20, img_size=96, **options):
    return MGFFClassifier("swin_nano", num_classes, img_size, **options)


def build_from_checkpoint(path, **kwargs):
    """Build the model that a checkpoint's card describes and load its weights.

    Args:
        path: a checkpoint written by `save_checkpoint`.
        **kwargs: options that replace those of the card.

    Returns:
        The model in evaluation mode; its card is ``model.card``.

    Raises:
        CheckpointError: as `load_into`, or the card does not say which model it is.
    """
    metadata = read_metadata(path)
    if "model" not in metadata:
        raise CheckpointError(
            f"{path}: the file does not say which model it holds; "
            "build the model yourself and use load_into(model, path)."
        )
    options = {**metadata.get("kwargs", {}), **kwargs}
    if metadata.get("classes"):
        options.setdefault("num_classes", len(metadata["classes"]))
    try:
        model = create_model(metadata["model"], pretrained=False, **options)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: cannot build its model {metadata['model']!r} here: {error}"
        ) from error
    model.card = fill(model, path)
    return model.eval()


def _register(name):
    def build(
        pretrained=False, pretrained_cfg=None, pretrained_cfg_overlay=None, cache_dir=None, **kwargs
    ):
        return create_model(name, pretrained=pretrained, **kwargs)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"``create_model({name!r})``, for timm's registry."
    build.__module__ = __name__
    register_model(build)


for _name in ("swin_nano", "vit_nano", *(f"mgff_{backbone}" for backbone in REGISTERED)):
    if not is_model(_name):
        _register(_name)
