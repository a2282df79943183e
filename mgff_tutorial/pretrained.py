"""A plain model and its weights: our Swins, `vit_nano`, and whatever timm builds.

The one place that fetches or reads weights for a model without MGFF. Names inside our Swin are
timm's. The original authors' files differ in three ways, all undone here: they store two buffers
that can be computed, they count the patch merging to the end of a stage where timm counts it to the
start of the next, and they call the classifier ``head`` where timm calls it ``head.fc``.
"""

import logging
import math
import re
import warnings

import timm
from timm.models.vision_transformer import VisionTransformer

from .support.checkpoints import embedded, load_into, read_checkpoint, read_metadata
from .support.errors import CheckpointError, InputError, no_weights, unknown_name
from .support.shapes import to_pair
from .swin import BUILDERS, SwinTransformer
from .windows import resize_bias_table

LOOK = 192  # side of the pictures in which the pretrained vit_nano looks for objects
logger = logging.getLogger(__name__)


def plain_model(name, pretrained=False, kind="model", **options):
    """A model without MGFF, by its name.

    Args:
        name: ``"vit_nano"``, one of our Swins (`swin.BUILDERS`), or any timm name.
        pretrained: True for published weights (fetched by timm; for the nano models the checkpoint
            that travels with this package), or the path of a file. With ``num_classes=0`` the
            file's classifier is left out.
        kind: what messages call the name.
        **options: ``num_classes``, ``img_size``, and what the model's builder accepts.

    Raises:
        InputError: unknown name or tag.
        CheckpointError: weights that can't be had or don't fit.
    """
    if not isinstance(name, str) or not (
        name == "vit_nano" or name in BUILDERS or timm.is_model(name)
    ):
        raise unknown_name(kind, name, ["vit_nano", *BUILDERS, *timm.list_models()])
    if name == "vit_nano":
        return _looking_vit(pretrained, options)
    if name == "swin_nano" and pretrained is not False:
        return with_weights(BUILDERS[name], name, pretrained, **options)
    if name in BUILDERS:
        model = BUILDERS[name](**options)
        return model if pretrained is False else _fill_swin(model, name, pretrained)
    return _timm_model(name, pretrained, options)


def with_weights(build, name, pretrained, num_classes=None, **options):
    """What ``build`` builds, with the weights of a checkpoint: its options are those of the card
    unless the caller says else.

    Args:
        build: function of ``num_classes`` and other options. name: of the embedded checkpoint.
        pretrained: True for the embedded one, or a path.
        num_classes: another number of classes than the card's gets a new classifier.
    """
    if pretrained is True:
        with embedded(name) as path:
            return with_weights(build, name, path, num_classes, **options)
    card = read_metadata(pretrained)
    count = len(card.get("classes") or ()) or num_classes
    options = {**(card.get("kwargs") or {}), **options}
    options.pop("num_classes", None)
    model = build(**options, **({} if count is None else {"num_classes": count}))
    model.card = fill(model, pretrained)
    if num_classes not in (None, count):
        model.reset_classifier(num_classes)  # the old head is of no use
    return model


def fill(model, path, ignore=()):
    """Load a file into a model, all or nothing; returns its card (see `load_into`)."""
    if not isinstance(model, SwinTransformer):
        return load_into(model, path, ignore)
    state, card = read_checkpoint(path)
    load_weights(model, state, str(path))
    return card


def _looking_vit(pretrained, options):
    """The ViT at the size that its weights have, then at the size at which it is to look."""
    if pretrained is False:
        return vit_nano(**options)
    size = options.pop("img_size", None)
    model = with_weights(vit_nano, "vit_nano", pretrained, **options)
    if size is None:
        size = LOOK if pretrained is True else model.patch_embed.img_size
    size = to_pair(size, "img_size")
    if min(size) < 8:
        raise InputError(f"img_size must be at least one patch of 8 pixels, got {size}.")
    model.set_input_size(img_size=size)  # timm resamples the position embeddings
    model.pretrained_cfg["input_size"] = (3, *size)
    return model


def vit_nano(num_classes=20, img_size=96, **options):
    """The small ViT of this tutorial, timm's `VisionTransformer`: patch 8, width 128, 6 layers of 4
    heads.

    Pretrained at 96 x 96; with ``create_model("vit_nano", pretrained=True)`` it looks at `LOOK`
    pixels, where its boxes are sharper.
    """
    settings = dict(
        img_size=img_size,
        patch_size=8,
        embed_dim=128,
        depth=6,
        num_heads=4,
        num_classes=num_classes,
    )
    model = VisionTransformer(**{**settings, **options})
    side = model.patch_embed.img_size
    model.pretrained_cfg = model.default_cfg = {
        "architecture": "vit_nano",
        "input_size": (3, *side),
        "num_classes": num_classes,
        "mean": (0.5,) * 3,
        "std": (0.5,) * 3,
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "fixed_input_size": True,
        "first_conv": "patch_embed.proj",
        "classifier": "head",
        "response_rule": "attended_object_values",
    }
    return model


def _fill_swin(model, name, pretrained):
    """Weights of one of the eight variants: a file, or timm's (``..._in22k`` is a tag there)."""
    if pretrained is not True:
        model.card = fill(model, pretrained)
        return model
    theirs = timm_name(name)
    try:
        source = timm.create_model(theirs, pretrained=True)
    except Exception as error:  # hub, network and cache each have their own kinds
        raise no_weights(theirs, error) from error
    return load_weights(model, source.state_dict(), f"timm's {theirs}")


def timm_name(name):
    """timm's name for the weights of one of our builders: ``..._in22k`` is a tag there."""
    return name.removesuffix("_in22k") + ".ms_in22k" if name.endswith("_in22k") else name


def _timm_model(name, pretrained, options):
    path = None if isinstance(pretrained, bool) else pretrained
    try:
        try:
            model = timm.create_model(name, pretrained=pretrained is True, **options)
        except TypeError as error:  # convolutional networks take any size without being told
            if "img_size" not in options or "img_size" not in str(error):
                raise
            options = {key: value for key, value in options.items() if key != "img_size"}
            model = timm.create_model(name, pretrained=pretrained is True, **options)
    except (OSError, RuntimeError) as error:
        if "Invalid pretrained tag" in str(error):
            raise InputError(
                f"Unknown tag in {name!r}: {name.partition('.')[0]!r} has no weights of that name; "
                "leave the tag out."
            ) from None
        if pretrained is not True:
            raise
        raise no_weights(name, error) from error
    if path is not None:
        classifier = model.pretrained_cfg.get("classifier") or "head"
        names = [classifier] if isinstance(classifier, str) else classifier
        ignore = () if options.get("num_classes") != 0 else tuple(f"{n}." for n in names)
        model.card = fill(model, path, ignore)
    return model


def convert_names(state):
    """The original authors' names in timm's; a state dict that has timm's names comes back
    unchanged.
    """
    state = {
        k: v for k, v in state.items() if not k.endswith(("relative_position_index", "attn_mask"))
    }
    if "layers.0.downsample.reduction.weight" not in state:  # timm's first stage has no merging
        return state

    def rename(key):
        key = re.sub(
            r"^layers\.(\d+)\.downsample", lambda m: f"layers.{int(m[1]) + 1}.downsample", key
        )
        return re.sub(r"^head\.(weight|bias)$", r"head.fc.\1", key)

    return {rename(k): v for k, v in state.items()}


def load_weights(model, state, source="the state dict"):
    """Copy a state dict (timm's or the original names) into a `SwinTransformer`.

    Bias tables of another window are interpolated. A classifier of another class count is left out:
    the model keeps its new one, and a warning says so. Everything is checked before anything is
    written.

    Args:
        model: the model to fill. state: name -> tensor. source: what messages call the weights.

    Raises:
        CheckpointError: names or shapes that belong to another model.
    """
    state, own, news = convert_names(state), model.state_dict(), None
    for key in [k for k in state if k.endswith("relative_position_bias_table") and k in own]:
        state[key] = fit_table(key, state[key], own[key], model, source)
    head = [k for k in own if k.startswith("head.fc.")]
    theirs = state.get("head.fc.weight")
    if theirs is None or not head or theirs.shape[0] != model.num_classes:
        state = {k: v for k, v in state.items() if not k.startswith("head.fc.")}
        if head:
            count = (
                "no classifier" if theirs is None else f"a classifier of {theirs.shape[0]} classes"
            )
            news = (
                f"{source} has {count}; the model gets a new, untrained one of "
                f"{model.num_classes} classes."
            )
            state.update({k: own[k] for k in head})
    missing, foreign = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or foreign:
        parts = [
            f"{what} {len(keys)} ({keys[0]}{', ...' if len(keys) > 1 else ''})"
            for what, keys in (("lacks", missing), ("has unknown", foreign))
            if keys
        ]
        raise CheckpointError(
            f"{source} belongs to another model than this Swin: it {' and '.join(parts)}."
        )
    for key in own:
        if state[key].shape != own[key].shape:
            raise CheckpointError(
                f"{source} belongs to another model than this Swin: {key} has shape "
                f"{tuple(state[key].shape)}, "
                f"expected {tuple(own[key].shape)}."
            )
    model.load_state_dict(state)
    if news:
        warnings.warn(news, stacklevel=2)
    return model


def fit_table(key, table, own, model, source):
    """A bias table (rows, heads) in the shape that ``model`` has under ``key``; older windows are
    square.
    """
    if table.shape == own.shape:
        return table
    window = model.get_submodule(key.rpartition(".")[0]).window
    side = math.isqrt(table.shape[0])
    if side * side != table.shape[0] or side % 2 == 0 or table.shape[1:] != own.shape[1:]:
        raise CheckpointError(
            f"{source} belongs to another model than this Swin: {key} has shape "
            f"{tuple(table.shape)}, expected {tuple(own.shape)} or the table of another square "
            "window."
        )
    old = ((side + 1) // 2,) * 2
    logger.info("%s: interpolated from a window of %s to %s", key, old, window)
    return resize_bias_table(table, old, window)
