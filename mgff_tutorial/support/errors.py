"""Errors meant for a reader: one sentence that names the value and what would be right."""

import math
import numbers
from difflib import get_close_matches


class InputError(ValueError):
    """The caller's input cannot be used; the message says what came and what is accepted."""


class DataError(InputError):
    """A data set, image or text file is missing or malformed; the message names the file."""


class CheckpointError(InputError):
    """A checkpoint is corrupt, unsafe, or belongs to another model; nothing was loaded."""


def check_number(name, value, low, high=float("inf"), whole=False, below=False):
    """``value``, if it is a finite number from ``low`` to ``high`` (``below``: not ``high``
    itself).

    Args:
        name: of the argument. whole: only integers will do. Booleans are no numbers here.

    Raises:
        InputError: anything else.
    """
    kind = numbers.Integral if whole else numbers.Real
    inside = (
        isinstance(value, kind)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and low <= value <= high
    )
    if not inside or (below and value == high):
        bound = (
            f"from {low} {'to below' if below else 'to'} {high}"
            if high < float("inf")
            else f"of {low} or more"
            if low > float("-inf")
            else "that is finite"
        )
        raise InputError(
            f"{name} must be {'an integer' if whole else 'a number'} {bound}, got {value!r}."
        )
    return value


def check_choice(name, value, accepted):
    """``value``, if it is one of ``accepted``; else an `InputError` that names them."""
    if not isinstance(value, str) or value not in accepted:
        raise InputError(f"{name} must be {' or '.join(map(repr, accepted))}, got {value!r}.")
    return value


def check_three(name, values):
    """``values`` as a tuple, if they are three finite numbers, one a colour channel; else an
    `InputError`.
    """
    if not isinstance(values, (tuple, list)) or len(values) != 3:
        raise InputError(f"{name} must be three numbers, got {values!r}.")
    return tuple(check_number(f"every one of {name}", value, float("-inf")) for value in values)


def no_weights(name, error):
    """A ``CheckpointError`` for published weights that could not be fetched: no network, or no such
    file there.
    """
    reason = (str(error).splitlines() or [""])[0]
    return CheckpointError(
        f"Pretrained weights of {name!r} could not be had ({type(error).__name__}: {reason}); "
        "connect to the network once, or use pretrained=False or the path of a checkpoint."
    )


def unknown_name(kind, name, choices):
    """An ``InputError`` for a name that is not among ``choices``, with the nearest ones.

    Args:
        kind: what the name stands for, such as ``"backbone"``.
        name: what the caller gave.
        choices: the accepted names.
    """
    choices = sorted(set(choices))
    near = get_close_matches(str(name), choices, n=3)
    hint = f"did you mean {', '.join(map(repr, near))}?" if near else ""
    if not hint:
        shown = ", ".join(choices[:8]) + (", ..." if len(choices) > 8 else "")
        hint = f"accepted: {shown}."
    return InputError(f"Unknown {kind} {name!r}; {hint}")
