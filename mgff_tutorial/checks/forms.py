"""What is said of a right answer in a form that hides it: complex, of few digits, whole, or in
another shape. A hint about the mathematics would mislead there.
"""

import numpy as np
import torch

_FEW_DIGITS = {"float16": 3, "bfloat16": 2}


def hint_on_form(tried, read, close):
    """A sentence if the form of the numbers explains every wrong result; empty otherwise.

    Args:
        tried: pairs of a result as the answer gave it, and the expected one as ``read`` gives it.
        read: gives a result as float64 arrays. close: whether two such agree; takes a tolerance.
    """
    types = sorted({name for result, _ in tried for name in _types(result)})
    named = ", ".join(types)
    if any(name.startswith("complex") for name in types):
        if _all(tried, lambda result: read(_real(result)), close):
            return f"The real parts are right, but the numbers are complex ({named}): return .real."
        return f"The numbers are complex ({named}), and real ones are asked for."
    few = [name for name in types if name in _FEW_DIGITS]
    if few:
        coarse = max(torch.finfo(getattr(torch, name)).eps for name in few)
        if _all(tried, read, lambda got, right: close(got, right, tolerance=4 * coarse)):
            digits = min(_FEW_DIGITS[name] for name in few)
            return (
                f"The numbers are right to the {digits} digits or so that {', '.join(few)} keeps: "
                "compute in float32 or float64."
            )
    if types and all(name.startswith(("int", "uint")) for name in types):
        for cut in (np.trunc, np.round, np.floor):
            if _all([(r, _each(cut, e)) for r, e in tried], read, close):
                return (
                    f"The numbers are whole ({named}), so what follows the point is lost: "
                    "compute with floating point."
                )
    if any(isinstance(result, str) and not isinstance(right, str) for result, right in tried):
        return "That is text, and numbers are asked for."
    if _all(tried, read, lambda got, right: _same_numbers(got, right, close)):
        single = all(right.ndim == 0 for _, right in tried)
        return (
            "The number is right, but return it alone: .item() does so."
            if single
            else "The numbers are right and in the right order, but in another shape."
        )
    return ""


def _all(tried, read, close):
    """Does every result agree with what is expected, once it is read so?"""
    try:
        return all(close(read(result), expected) for result, expected in tried)
    except (TypeError, ValueError, RuntimeError):
        return False


def _same_numbers(got, right, close):
    arrays = isinstance(got, np.ndarray) and isinstance(right, np.ndarray)
    return arrays and got.size == right.size > 0 and close(got.reshape(right.shape), right)


def _each(function, value):
    if isinstance(value, tuple):
        return tuple(_each(function, part) for part in value)
    return value if isinstance(value, str) else function(value)


def _types(value):
    """Names of the types of the tensors and arrays in a result, and of complex numbers."""
    if isinstance(value, list | tuple):
        return {name for part in value for name in _types(part)}
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        return {str(value.dtype).removeprefix("torch.")}
    return {"complex"} if isinstance(value, complex) else set()


def _real(value):
    if isinstance(value, list | tuple):
        return [_real(part) for part in value]
    return value.real if _types(value) else value
