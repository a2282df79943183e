"""Weights for `SwinTransformer` from timm, from the original authors' files, and from this
tutorial's checkpoints.

Names inside the model are timm's. The original files differ in three ways, all undone here: they
store two buffers that can be computed, they count the patch merging to the end of a stage where
timm counts it to the start of the next, and they call the classifier ``head`` where timm calls it
``head.fc``.
"""

import logging
import math
import pickle
import re
import warnings
from pathlib import Path

import torch

from .support.checkpoints import embedded
from .support.errors import CheckpointError
from .windows import resize_bias_table

logger = logging.getLogger(__name__)


def timm_name(name):
    """timm's name for the weights of one of our builders: ``..._in22k`` is a tag there."""
    return name.removesuffix("_in22k") + ".ms_in22k" if name.endswith("_in22k") else name


def read_state(path):
    """The tensors of a ``.safetensors`` or ``.pth`` file as a dict; nothing in the file is
    executed.

    Raises:
        CheckpointError: no such file, not readable, or without a dict of tensors in it.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"There is no weights file {path}.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} is no readable weights file: {reason}") from None
    except Exception as error:  # safetensors raises a type of its own
        raise CheckpointError(f"{path} is no readable weights file: {error}") from None
    for key in ("model", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise CheckpointError(
            f"{path} holds no dictionary of tensors; expected a state dict, or one under 'model'."
        )
    return state


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
        raise CheckpointError(f"{source} does not belong to this Swin: it {' and '.join(parts)}.")
    for key in own:
        if state[key].shape != own[key].shape:
            raise CheckpointError(
                f"{source} does not belong to this Swin: {key} has shape "
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
            f"{source} does not belong to this Swin: {key} has shape {tuple(table.shape)}, "
            f"expected {tuple(own.shape)} or the table of another square window."
        )
    old = ((side + 1) // 2,) * 2
    logger.info("%s: interpolated from a window of %s to %s", key, old, window)
    return resize_bias_table(table, old, window)


def load_pretrained(model, name, pretrained=True):
    """Fill a model that a builder made: from a file, from this tutorial's checkpoints, or from
    timm.

    Args:
        model: the model. name: the builder's name.
        pretrained: a path, or True for timm's weights (``swin_nano``: the embedded checkpoint).

    Raises:
        CheckpointError: no such file, no network, or weights of another model.
    """
    if pretrained is not True:
        return load_weights(model, read_state(pretrained), str(pretrained))
    if name == "swin_nano":
        with embedded(name) as path:
            return load_weights(model, read_state(path), path.name)
    import timm

    try:
        source = timm.create_model(timm_name(name), pretrained=True)
    except Exception as error:  # hub, network and cache each have their own kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"timm's weights of {timm_name(name)} could not be fetched ({reason}); connect to the "
            f"network once, or pass pretrained='file.pth', or pretrained=False."
        ) from error
    return load_weights(model, source.state_dict(), f"timm's {timm_name(name)}")
