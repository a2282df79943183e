"""Sizes and tensors as a user hands them over: checked once, at the doors of the package."""

import torch

from .errors import InputError


def is_exporting():
    """Whether a model is being exported (`torch.export`, ONNX); before torch 2.7, or compiled."""
    return getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)()


def to_pair(value, name):
    """``7`` -> (7, 7) and ``(7, 14)`` -> (7, 14): sizes are (height, width), positive integers.

    Raises:
        InputError: ``value`` is neither a positive integer nor a pair of them.
    """
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(
        isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in pair
    ):
        raise InputError(
            f"{name} must be a positive integer or a pair (height, width) of them, got {value!r}."
        )
    return pair


def check_tensor(name, x, shape, dtype=None):
    """Fail in one sentence unless ``x`` is a floating-point tensor of ``shape``.

    Steps aside while a model is traced, exported or compiled: sizes are symbols then, and a
    comparison would fix them.

    Args:
        name: what the tensor is called in the message.
        x: what the caller passed.
        shape: a number where the side is fixed, a letter where it is free: ``("B", 3, "H", "W")``.
            B may be 0, the other free sides are at least 1.
        dtype: that of the weights which ``x`` will meet (None: any floating dtype). Under autocast,
            which converts between all but float64, the two may differ.

    Raises:
        TypeError: not a tensor. InputError: another shape or dtype.
    """
    if torch.jit.is_tracing() or torch.compiler.is_compiling() or isinstance(x, torch.fx.Proxy):
        return
    wanted = f"({', '.join(map(str, shape))})"
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{name} must be a tensor of shape {wanted}, got {type(x).__name__}.")
    odd = [
        got != side if isinstance(side, int) else got < 1 and side != "B"
        for side, got in zip(shape, x.shape)
    ]
    if x.ndim != len(shape) or any(odd):
        raise InputError(f"{name} must have shape {wanted}, got {tuple(x.shape)}.")
    if not x.is_floating_point():
        raise InputError(
            f"{name} must hold floating-point numbers, got {x.dtype}; convert and normalise "
            "them first."
        )
    if dtype is not None and dtype != x.dtype:
        _check_autocast(name, x, dtype)


def _check_autocast(name, x, dtype):
    """Fail unless autocast is on and will bring ``x`` and weights of ``dtype`` together."""
    device = x.device.type
    if (
        device == "meta"
        or not torch.is_autocast_enabled(device)
        or torch.float64 in (x.dtype, dtype)
    ):
        raise InputError(
            f"{name} have dtype {x.dtype} but the weights have {dtype}; convert one of them "
            "with .to()."
        )
    low = torch.get_autocast_dtype(device)
    if dtype not in (torch.float32, low):
        raise InputError(
            f"{name} meet weights of {dtype} under autocast to {low}; keep the weights in float32."
        )
