"""A plain model and its weights: our Swins, `vit_nano`, and whatever timm builds.

The one place that fetches or reads weights for a model without MGFF. Names inside our Swin are
timm's. The original authors' files differ in three ways, all undone here: they store two buffers
that can be computed, they count the patch merging to the end of a stage where timm counts it to the
start of the next, and they call the classifier ``head`` where timm calls it ``head.fc``. Hugging
Face's files have names of their own on top of that. Files for timm's models go through timm's own
loading, which knows the names and sizes of each.
"""

import logging
import math
import re
import warnings
from contextlib import nullcontext

import timm
import torch
from timm.models import adapt_input_conv, get_pretrained_cfg
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn

from .options import check_model_options
from .support.checkpoints import check_parts, embedded, is_npz, read_checkpoint, read_metadata
from .support.errors import CheckpointError, InputError, unknown_name
from .support.fetch import no_weights, published_weights
from .support.files import as_path
from .support.shapes import to_pair
from .support.state_dicts import difference, foreign, with_counters, without_prefix
from .swin import BUILDERS, SwinTransformer
from .windows import resize_bias_table

LOOK = 192  # side of the pictures in which the pretrained vit_nano looks for objects
OWN_TAGS = ("swin_nano", "vit_nano")  # one set of weights each, so no tags
logger = logging.getLogger(__name__)


def plain_model(name, pretrained=False, kind="model", **options):
    """A model without MGFF, by its name.

    Args:
        name: ``"vit_nano"``, one of our Swins (`swin.BUILDERS`), or any timm name; with a tag of
            timm's (``"resnet50.a1_in1k"``) for one of several published sets of weights.
        pretrained: True for published weights (fetched by timm; for the nano models the checkpoint
            that travels with this package), or the path of a file. Where that has a classifier of
            another number of classes than ``num_classes``, the model gets a new, untrained one,
            and a warning says so.
        kind: what messages call the name.
        **options: ``num_classes``, ``img_size``, ``in_chans``, and what the builder accepts.

    Raises:
        InputError: unknown name, tag or options.
        CheckpointError: weights that can't be had or don't fit.
    """
    if not isinstance(name, str) or not (
        name == "vit_nano" or name in BUILDERS or timm.is_model(name)
    ):
        choices = [one for one in timm.list_models() if not one.startswith("mgff_")]
        raise unknown_name(kind, name, ["vit_nano", *BUILDERS, *choices])
    check_model_options(options)
    architecture, _, tag = name.partition(".")
    if tag and architecture in OWN_TAGS:
        raise InputError(
            f"Unknown tag in {name!r}: {architecture!r} has one set of weights; leave the tag out."
        )
    if architecture == "vit_nano":
        return _looking_vit(pretrained, options)
    if architecture == "swin_nano" and pretrained is not False:
        return with_weights(BUILDERS[name], name, pretrained, **options)
    if architecture in BUILDERS:
        model = BUILDERS[architecture](**options)
        return model if pretrained is False else _fill_swin(model, name, pretrained)
    return _timm_model(name, pretrained, options)


def with_weights(build, name, pretrained, num_classes=None, **options):
    """What ``build`` builds, with the weights of a checkpoint: its options are those of the card
    unless the caller says else.

    Args:
        build: function of ``num_classes`` and other options. name: of the embedded checkpoint.
        pretrained: True for the embedded one, or a path.
        num_classes: another number of classes than the checkpoint's gets a new, untrained
            classifier; for a path, a warning says so.
    """
    with embedded(name) if pretrained is True else nullcontext(pretrained) as path:
        card = read_metadata(path)
        own = dict(card.get("kwargs", {}))
        check_model_options(own, path)
        said = own.pop("num_classes", num_classes)
        count = len(card.get("classes", ())) or said
        model = build(**{**own, **options}, **({} if count is None else {"num_classes": count}))
        model.card = fill(model, path)
    if num_classes not in (None, count):
        model.reset_classifier(num_classes)
        if pretrained is not True:
            _say_new_classifier(str(path), count, num_classes)
    return model


def fill(model, path):
    """Load a file into a model, all or nothing (see `load_weights`); returns its card."""
    state, card = read_checkpoint(path)
    check_parts(path, model, card)
    load_weights(model, state, str(path), card.get("model"))
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
    model.pretrained_cfg["input_size"] = (model.patch_embed.proj.in_channels, *size)
    model._model_args["img_size"] = size
    return model


def vit_nano(num_classes=20, img_size=96, in_chans=3, **options):
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
        in_chans=in_chans,
    )
    model = VisionTransformer(**{**settings, **options})
    side = model.patch_embed.img_size
    model.pretrained_cfg = model.default_cfg = {
        "architecture": "vit_nano",
        "input_size": (in_chans, *side),
        "num_classes": num_classes,
        "mean": (0.5,) * 3,
        "std": (0.5,) * 3,
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "fixed_input_size": True,
        "pool_size": model.patch_embed.grid_size,
        "first_conv": "patch_embed.proj",
        "classifier": "head",
    }
    model.response_rule = "attended_object_values"
    model._model_args = {"num_classes": num_classes, "img_size": side, **options}
    return model


def _fill_swin(model, name, pretrained):
    """Weights of one of the eight variants: a file, or timm's (``..._in22k`` is a tag there)."""
    if pretrained is not True:
        model.card = fill(model, pretrained)
        return model
    theirs = timm_name(name)
    check_tag(theirs)
    try:
        with published_weights():
            source = timm.create_model(theirs, pretrained=True)
    except Exception as error:  # hub, network and cache each have their own kinds
        raise no_weights(theirs, error) from error
    return load_weights(model, source.state_dict(), f"timm's {theirs}")


def timm_name(name):
    """timm's name for the weights of one of our builders: ``..._in22k`` is a tag there."""
    return name.removesuffix("_in22k") + ".ms_in22k" if name.endswith("_in22k") else name


def check_tag(name):
    """timm's description of the weights of that name (None: it has none); an unknown tag is an
    `InputError`.
    """
    try:
        return get_pretrained_cfg(name)
    except RuntimeError:
        raise InputError(
            f"Unknown tag in {name!r}: {name.partition('.')[0]!r} has no weights of that name; "
            "leave the tag out."
        ) from None


def _timm_model(name, pretrained, options):
    described = check_tag(name)
    if not isinstance(pretrained, bool):
        return _timm_model_from_file(name, described, as_path(pretrained), options)
    try:
        with published_weights() if pretrained else nullcontext():
            return _create(name, pretrained, options)
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        raise no_weights(name, error) from error


def _create(name, pretrained, options, **more):
    try:
        return timm.create_model(name, pretrained=pretrained, **options, **more)
    except TypeError as error:  # convolutional networks take any size without being told
        if "img_size" not in options or "img_size" not in str(error):
            raise
        options = {key: value for key, value in options.items() if key != "img_size"}
        return timm.create_model(name, pretrained=pretrained, **options, **more)


def _timm_model_from_file(name, described, path, options):
    """A timm model with the weights of a file, through timm's own loading: it is built for the
    classes of the file, so that everything has to fit, and then for those that are wanted.
    """
    options = dict(options)
    wanted, (state, card) = options.pop("num_classes", None), read_checkpoint(path)
    archive = is_npz(path)
    if options.get("features_only"):
        raise InputError("features_only: take the maps of the whole model, or pretrained=True.")
    with torch.device("meta"):
        sketch = _create(name, False, options)
    own, cfg = sketch.state_dict(), sketch.pretrained_cfg
    if archive and not hasattr(sketch, "load_pretrained"):
        raise CheckpointError(foreign(str(path), state, own))
    state = with_counters(without_prefix(state, own))
    count = _classes(state, cfg)
    overlay = {"num_classes": count, "label_offset": None, "custom_load": archive}
    overlay |= {"file": str(path)} if archive else {"state_dict": state}
    conv = cfg.get("first_conv")
    if isinstance(conv, str) and f"{conv}.weight" in own:
        if state.get(f"{conv}.weight", own[f"{conv}.weight"]).shape == own[f"{conv}.weight"].shape:
            overlay["first_conv"] = None  # nothing to adapt
    try:
        model = _create(name, True, options, num_classes=count, pretrained_cfg_overlay=overlay)
    except (RuntimeError, KeyError, ValueError, IndexError, AttributeError, AssertionError):
        raise CheckpointError(foreign(str(path), state, own)) from None
    model.pretrained_cfg.pop("state_dict", None)
    model.pretrained_cfg.update(first_conv=conv)
    model.card = card
    if wanted not in (None, count):
        model.reset_classifier(wanted)
        _say_new_classifier(str(path), count, wanted)
    return model


def _classes(state, cfg):
    """How many classes the classifier of a state dict has; 0: there is none."""
    names = cfg.get("classifier") or ()
    names = [names] if isinstance(names, str) else list(names)
    for name in [*names, "head.fc", "head", "fc", "classifier", "head/kernel"]:
        for key in (f"{name}.weight", name):
            if key in state and state[key].ndim >= 2:
                return state[key].shape[-1 if key == "head/kernel" else 0]
    return 0


def _say_new_classifier(source, theirs, ours):
    if ours:
        count = f"a classifier of {theirs} classes" if theirs else "no classifier"
        warnings.warn(
            f"{source} has {count}; the model gets a new, untrained one of {ours} classes.",
            stacklevel=3,
        )


def convert_names(state):
    """The original authors' names, or Hugging Face's, of a Swin in timm's; a state dict that has
    timm's names comes back unchanged.
    """
    if any(".attention.self.query." in key for key in state):
        state = _from_hugging_face(state)
    state = {
        k: v for k, v in state.items() if not k.endswith(("relative_position_index", "attn_mask"))
    }
    if "layers.0.downsample.reduction.weight" not in state:  # timm's first stage has no merging
        return state

    return _renamed(state, ORIGINAL)


ORIGINAL = (
    (r"^layers\.(\d+)\.downsample", lambda m: f"layers.{int(m[1]) + 1}.downsample"),
    (r"^head\.(weight|bias)$", r"head.fc.\1"),
)
HUGGING_FACE = (  # what to replace, in this order
    (r"^.*?(?=embeddings\.|encoder\.layers\.|layernorm\.)", ""),
    (r"^embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"^embeddings\.norm", "patch_embed.norm"),
    (r"^encoder\.", ""),
    (r"\.attention\.self\.(?=relative)", ".attn."),
    (r"\.attention\.output\.dense", ".attn.proj"),
    (r"\.layernorm_before", ".norm1"),
    (r"\.layernorm_after", ".norm2"),
    (r"\.intermediate\.dense", ".mlp.fc1"),
    (r"(?<=\d)\.output\.dense", ".mlp.fc2"),
    (r"^layernorm", "norm"),
    (r"^classifier", "head"),
)


def _from_hugging_face(state):
    """Hugging Face's names of a Swin in the original authors'; queries, keys and values become one
    matrix.
    """
    named = _renamed(state, HUGGING_FACE)
    for key in [key for key in named if ".attention.self.query." in key]:
        parts = [named.pop(key.replace("query", part)) for part in ("query", "key", "value")]
        named[key.replace("attention.self.query", "attn.qkv")] = torch.cat(parts)
    return named


def _renamed(state, patterns):
    """The same with each pair (pattern, what replaces it) applied to its names, in order."""
    for pattern, new in patterns:
        state = {re.sub(pattern, new, key, count=1): value for key, value in state.items()}
    return state


def load_weights(model, state, source="the state dict", holds=None):
    """Copy a state dict into a model of our own, fitted where that is the custom.

    Prefixes of wrappers go. A Swin takes the original and Hugging Face's names, and bias tables of
    another window, interpolated; a ViT position embeddings of another size. The first convolution
    is summed or repeated for another number of channels, as in timm. A classifier of another class
    count is left out: the model keeps its new one, and a warning says so (MGFF: refused).
    Everything is checked before anything is written.

    Args:
        model: the model to fill. state: name -> tensor. source: what messages call the weights.
        holds: the name of the model that the file says it holds.

    Raises:
        CheckpointError: names or shapes that belong to another model.
    """
    own, given = model.state_dict(), state
    state = translate(model, state, source)
    classifier = model.pretrained_cfg["classifier"] if hasattr(model, "pretrained_cfg") else ""
    theirs, ours = (_classes(names, {"classifier": classifier}) for names in (state, own))
    plain = not hasattr(model, "backbone")
    if theirs != ours and plain and classifier:
        state = {k: v for k, v in state.items() if not k.startswith(f"{classifier}.")}
        state |= {k: v for k, v in own.items() if k.startswith(f"{classifier}.")}
    elif theirs != ours and state.keys() == own.keys():
        raise CheckpointError(
            f"{source}: holds {holds or 'a model'!r} for {theirs} classes, this model has {ours}; "
            f"build it with num_classes={theirs}."
        )
    if difference(state, own):
        raise CheckpointError(foreign(source, state, own, holds and repr(holds), given))
    model.load_state_dict(state)
    if theirs != ours:
        _say_new_classifier(source, theirs, ours)
    return model


def translate(model, state, source="the state dict"):
    """A state dict with the names and shapes of a model of our own, as far as that can be; nothing
    is written.
    """
    own = model.state_dict()
    state = without_prefix(state, own)
    if any(key.endswith("num_batches_tracked") for key in own):
        state = with_counters(state)
    if isinstance(model, SwinTransformer):
        state = convert_names(state)
        for key in [k for k in state if k.endswith("relative_position_bias_table") and k in own]:
            state[key] = fit_table(key, state[key], own[key], model, state, source)
    elif isinstance(model, VisionTransformer) and "patch_embed.proj.weight" in state:
        state = checkpoint_filter_fn(state, model)
    conv = f"{(getattr(model, 'pretrained_cfg', None) or {}).get('first_conv')}.weight"
    if conv in own and conv in state and own[conv].ndim == state[conv].ndim == 4:
        channels = own[conv].shape[1]
        if state[conv].shape[1] != channels and 3 in (state[conv].shape[1], channels):
            state = {**state, conv: adapt_input_conv(channels, state[conv].float())}
    return state


def fit_table(key, table, own, model, state, source):
    """A bias table (rows, heads) in the shape that ``model`` has under ``key``; older windows are
    square.
    """
    if table.shape == own.shape:
        return table
    window = model.get_submodule(key.rpartition(".")[0]).window
    side = math.isqrt(table.shape[0])
    if side * side != table.shape[0] or side % 2 == 0 or table.shape[1:] != own.shape[1:]:
        raise CheckpointError(foreign(source, state, model.state_dict()))
    old = ((side + 1) // 2,) * 2
    logger.info("%s: interpolated from a window of %s to %s", key, old, window)
    return resize_bias_table(table, old, window)
