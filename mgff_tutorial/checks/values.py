"""What an answer gives and gets, as plain data: in plain types, in a few words, and as a copy by
which a change is seen.
"""

import contextlib
import copy
from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch


def plain(value, tensors):
    """``value`` in plain types; ``tensors``: arrays and nested lists of numbers become tensors."""
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if isinstance(value, Fraction | Decimal):
        return float(value)
    if isinstance(value, np.ndarray):
        if tensors and value.dtype.kind in "biuf":
            return plain(torch.from_numpy(np.ascontiguousarray(value)), False)
        return value
    if tensors and isinstance(value, list | tuple) and value:
        if all(isinstance(row, list | tuple | np.ndarray) for row in value):
            with contextlib.suppress(TypeError, ValueError, RuntimeError):
                return plain(torch.as_tensor(np.asarray(value)), False)
    return changed(value, lambda part: plain(part, False))


def changed(value, change):
    """A list, a tuple or a dict with its parts changed by a function; anything else as it is."""
    if type(value) in (list, tuple):
        return type(value)(map(change, value))
    if type(value) is dict:
        return {key: change(part) for key, part in value.items()}
    return value


def holds_tensor(value):
    if isinstance(value, list | tuple):
        return any(map(holds_tensor, value))
    if isinstance(value, dict):
        return any(map(holds_tensor, value.values()))
    return isinstance(value, torch.Tensor)


def describe(value):
    """A value in a few words, such as "a tensor of shape (2, 3) and type float64"."""
    if isinstance(value, torch.Tensor | np.ndarray):
        kind = "a tensor" if isinstance(value, torch.Tensor) else "an array"
        dtype = str(value.dtype).removeprefix("torch.")
        return f"{kind} of shape {tuple(value.shape)} and type {dtype}"
    if isinstance(value, list | tuple | dict | set):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int | float | str | bool | complex):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:60]}..."
    return f"a {type(value).__name__}"


def snapshot(value):
    """A copy of plain data, for `same`; anything else is taken as it is."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (set, bytearray):
        return copy.copy(value)
    return changed(value, snapshot)


def same(before, now):
    """Does plain data equal its `snapshot`?"""
    if type(before) in (list, tuple, dict) and (
        type(before) is not type(now) or len(before) != len(now)
    ):
        return False
    if isinstance(before, torch.Tensor):
        # equal_nan has no meaning for integers, so compare the bytes
        return (
            isinstance(now, torch.Tensor)
            and before.shape == now.shape
            and before.dtype == now.dtype
            and np.array_equal(_bytes(before), _bytes(now))
        )
    if isinstance(before, np.ndarray):
        return before.shape == now.shape and before.tobytes() == now.tobytes()
    if type(before) in (list, tuple):
        return all(map(same, before, now))
    if type(before) is dict:
        return list(before) == list(now) and all(same(before[k], now[k]) for k in before)
    if type(before) in (set, bytearray, int, float, bool, str):
        return before is now or before == now
    return True


def _bytes(tensor):
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
