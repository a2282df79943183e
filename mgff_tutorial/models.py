"""One name, one model: our Swins, the small models of the tutorial, MGFF on any backbone, and
everything in timm; and a checkpoint back to its model.

Importing this module registers with timm the two nano models, and MGFF on every backbone that timm
knows, so that ``timm.create_model("mgff_resnet50")`` and the tools built on it find them, in the
process that saved a model and in any other. Weights that are asked for by timm's means (a tag, a
``pretrained_cfg``, an overlay, ``local-dir:``, ``hf-hub:``) are loaded or refused, as for models of
timm's own.
"""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import timm
from timm.models import (
    build_model_with_cfg,
    generate_default_cfgs,
    get_arch_pretrained_cfgs,
    get_pretrained_cfg,
    is_model,
    register_model,
    resolve_pretrained_cfg,
)
from torch import nn

from .mgff import MGFFClassifier
from .options import check_model_options
from .pretrained import LOOK, plain_model, timm_name, translate, with_weights
from .support.checkpoints import read_checkpoint, read_metadata
from .support.errors import CheckpointError, InputError
from .support.fetch import no_weights
from .support.paths import checkpoints_dir
from .support.state_dicts import difference, foreign
from .swin import BUILDERS

NANO = ("swin_nano", "vit_nano", "mgff_swin_nano")  # their weights travel with this package
SOURCES = ("state_dict", "file", "url", "hf_hub_id")


def create_model(name: str, pretrained: bool | str | Path = False, **kwargs: Any) -> nn.Module:
    """Build a model by name.

    Args:
        name: ``"swin_nano"``, ``"vit_nano"``, ``"mgff_swin_nano"``; the eight Swins of our own
            code; ``"mgff_<backbone>"``; or any timm name.
        pretrained: for the nano models, True reads the checkpoint that travels with this package;
            for ``"mgff_<backbone>"`` True takes published weights of the backbone (MGFF and
            classifier start fresh); otherwise it is timm's. A path loads that file into the whole
            model; where it holds another number of classes than ``num_classes``, the model gets a
            new, untrained classifier, and a warning says so.
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
    if name.startswith(("local-dir:", "hf-hub:")):
        check_model_options(kwargs)
        return timm.create_model(name, pretrained=pretrained, **kwargs)
    backbone = name.removeprefix("mgff_")
    architecture, _, tag = backbone.partition(".")
    if kwargs.get("features_only") and (backbone != name or name in (*BUILDERS, "vit_nano")):
        overlay = None if isinstance(pretrained, bool) else {"file": str(pretrained)}
        check_model_options(kwargs)
        return _for_timm(name, pretrained is not False, None, overlay, **kwargs)
    if backbone == name:
        return plain_model(name, pretrained, **kwargs)
    check_model_options(kwargs)
    if tag and architecture == "swin_nano":
        plain_model(backbone)  # says that there is no such tag
    build = _mgff_nano if backbone == "swin_nano" else partial(MGFFClassifier, backbone)
    if pretrained is False:
        return build(**kwargs)
    if pretrained is True and build is not _mgff_nano:
        return build(pretrained=True, **kwargs)
    return with_weights(build, name, pretrained, **kwargs)


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
    name = read_metadata(path).get("model")
    if name is None:
        raise CheckpointError(
            f"{path}: the file does not say which model it holds; "
            "build the model yourself and use load_into(model, path)."
        )

    def build(**options):
        try:
            return create_model(name, **options)
        except (TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path}: cannot build its model {name!r} here: {error}"
            ) from error

    return with_weights(build, name, path, **kwargs).eval()


# ---- what timm's registry needs ----


def _for_timm(name, pretrained, pretrained_cfg, overlay, **kwargs):
    """The model that timm builds by this name, with the weights that timm's arguments ask for.

    A description that names no source of its own means the weights that `create_model` takes;
    every other source goes through timm's loading, files through our reader.
    """
    cfg = resolve_pretrained_cfg(name, pretrained_cfg, overlay)
    architecture, mgff = name.partition(".")[0], name.startswith("mgff_")
    if mgff and kwargs.get("features_only"):
        raise InputError(
            f"features_only: {name!r} ends in one vector; take the maps of its backbone, "
            f"create_model({name.removeprefix('mgff_')!r}, features_only=True)."
        )
    if not pretrained and architecture in NANO:
        kwargs.setdefault("num_classes", 20)
    named = [source for source in SOURCES if getattr(cfg, source)]
    packaged = architecture in NANO and cfg.file == str(_packaged(architecture))
    if packaged and named != ["file"]:  # another source goes before what the description has
        cfg, packaged = dataclasses.replace(cfg, file=None), False
    elsewhere = pretrained and not packaged and (named or not mgff or architecture in NANO)
    tag = f".{cfg.tag}" if cfg.tag and mgff and not elsewhere else ""
    source = "the state dict" if cfg.state_dict else ", ".join(str(getattr(cfg, s)) for s in named)
    if elsewhere and cfg.file and not cfg.state_dict and not cfg.custom_load:
        state, _ = read_checkpoint(_weights_in(Path(cfg.file)))
        cfg = dataclasses.replace(cfg, state_dict=state, source=None)
    build = partial(create_model, f"{architecture}{tag}", pretrained=pretrained and not elsewhere)
    features = {"out_indices": (0, 1, 2, 3), "flatten_sequential": True}
    if architecture == "vit_nano":
        features = {"out_indices": 3, "feature_cls": "getter"}
    try:
        model = build_model_with_cfg(
            build,
            architecture,
            bool(elsewhere),
            pretrained_cfg=cfg,
            feature_cfg=features,
            pretrained_filter_fn=partial(_fitting, source, cfg),
            **kwargs,
        )
    except OSError as error:  # no network, no such file there
        raise no_weights(name, error) from error
    size = {}
    if hasattr(model, "num_classes"):
        size = {"num_classes": model.num_classes, "input_size": _input_size(model)}
    model.pretrained_cfg = model.default_cfg = {
        key: value for key, value in {**model.pretrained_cfg, **size}.items() if key != "state_dict"
    }
    return model


def _weights_in(path):
    """The file of weights in a folder that timm saved; a file is itself."""
    if not path.is_dir():
        return path
    preferred = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")
    found = [path / name for name in preferred if (path / name).is_file()]
    found += sorted(one for end in (".safetensors", ".pth", ".bin") for one in path.glob(f"*{end}"))
    if not found:
        raise CheckpointError(f"{path}: no file of weights in it; expected {preferred[0]}.")
    return found[0]


def _fitting(source, cfg, state, model):
    """What timm asks a filter for: the state dict with the names and shapes of ``model``. timm
    leaves out a classifier of another class count afterwards; everything else has to fit.
    """
    state = translate(model, state, source)
    own, spared = model.state_dict(), f"{cfg.classifier}."
    if getattr(model, "num_classes", 0) == cfg.num_classes:
        spared = "\n"
    first = f"{cfg.first_conv}.weight"
    found, wanted = (
        {key: value for key, value in names.items() if not key.startswith(spared) and key != first}
        for names in (state, own)
    )
    if difference(found, wanted) or (first in own and first not in state):
        raise CheckpointError(foreign(source, state, own))
    return state


def _input_size(model):
    """(channels, H, W) that a model of ours takes."""
    if isinstance(model, MGFFClassifier):
        return (model.backbone.in_chans, *model.img_size)
    embed = model.patch_embed
    return (embed.proj.in_channels, *getattr(model, "img_size", getattr(embed, "img_size", None)))


def _packaged(name):
    return checkpoints_dir() / f"{name}.safetensors"


def _describe(name):
    """timm's description of a registered model, by tag (``""``: its default)."""
    backbone = name.removeprefix("mgff_")
    if backbone in ("swin_nano", "vit_nano"):
        mgff, side = backbone != name, LOOK if name == "vit_nano" else 96
        first = "backbone.model.patch_embed.proj" if mgff else "patch_embed.proj"
        classifier = {"swin_nano": "head.fc", "vit_nano": "head"}.get(name, "classifier")
        yield (
            "",
            dict(
                file=str(_packaged(name)) if name in NANO else None,
                input_size=(3, side, side),
                fixed_input_size=True,
                num_classes=200 if name not in NANO else 20 if mgff else 22,
                crop_pct=1.0 if backbone == "vit_nano" else 0.9,
                mean=(0.5,) * 3,
                std=(0.5,) * 3,
                pool_size=(side // 8,) * 2 if backbone == "vit_nano" else (3, 3),
                first_conv=first,
                classifier=classifier,
            ),
        )
        return
    found = get_arch_pretrained_cfgs(backbone)
    if backbone in BUILDERS and not found:
        found = {"": get_pretrained_cfg(timm_name(backbone))}
    for tagged, cfg in found.items():
        first = cfg.first_conv
        if isinstance(first, (tuple, list)):
            first = first[0] if first else None
        yield (
            tagged.partition(".")[2],
            dict(
                input_size=cfg.input_size,
                fixed_input_size=True,
                num_classes=200,
                interpolation=cfg.interpolation,
                crop_pct=cfg.crop_pct,
                mean=cfg.mean,
                std=cfg.std,
                pool_size=cfg.pool_size,
                license=cfg.license,
                first_conv=first and f"backbone.model.{first}",
                classifier="classifier",
            ),
        )


def _register(name):
    def build(pretrained=False, pretrained_cfg=None, pretrained_cfg_overlay=None, **kwargs):
        return _for_timm(name, pretrained, pretrained_cfg, pretrained_cfg_overlay, **kwargs)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"``create_model({name!r})``, for timm's registry."
    build.__module__ = __name__
    register_model(build)


_names = [
    name
    for name in (*NANO, *(f"mgff_{b}" for b in ("vit_nano", *BUILDERS, *timm.list_models())))
    if not is_model(name)
]
default_cfgs = generate_default_cfgs(
    {f"{name}.{tag}".rstrip("."): cfg for name in _names for tag, cfg in _describe(name)}
)
for _name in dict.fromkeys(_names):
    _register(_name)
__all__ = ["build_from_checkpoint", "create_model"]
