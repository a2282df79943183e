"""Errors meant for a reader: one sentence that names the value and what would be right."""

import math
import numbers
import re
from difflib import get_close_matches


class InputError(ValueError):
    """The caller's input cannot be used; the message says what came and what is accepted."""


class DataError(InputError):
    """A data set, image or text file is missing or malformed; the message names the file."""


class DataSetError(DataError):
    """A data set as a whole cannot be used; the message needs no hint at the data check."""


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
        and (abs(value) < 2**1000 if isinstance(value, numbers.Rational) else math.isfinite(value))
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
            f"{name} must be {'an integer' if whole else 'a number'} {bound}, got "
            f"{shortened(value)}."
        )
    return value


def check_choice(name, value, accepted):
    """``value``, if it is one of ``accepted``; else an `InputError` that names them."""
    if not isinstance(value, str) or value not in accepted:
        raise InputError(
            f"{name} must be {' or '.join(map(repr, accepted))}, got {shortened(value)}."
        )
    return value


def check_three(name, values):
    """``values`` as a tuple, if they are three finite numbers, one a colour channel; else an
    `InputError`.
    """
    if not isinstance(values, (tuple, list)) or len(values) != 3:
        raise InputError(f"{name} must be three numbers, got {values!r}.")
    return tuple(check_number(f"every one of {name}", value, float("-inf")) for value in values)


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
    return InputError(f"Unknown {kind} {shortened(name)}; {hint}")


def check_name(kind, name, choices):
    """``name``, if it is among ``choices``; else the error of `unknown_name`."""
    if not isinstance(name, str) or name not in choices:
        raise unknown_name(kind, name, choices)
    return name


def printable(text):
    """``text`` with everything escaped that could steer a terminal or cannot be encoded."""
    text = str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def counted(count, noun, nouns=None):
    """``"1 problem"``, ``"2 problems"``; ``nouns`` where the plural is more than an s."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def shortened(value, length=80):
    """``repr(value)``, cut to ``length`` letters: a hostile value is not printed in full."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of more digits than Python prints
        text = f"a {type(value).__name__} too long to print"
    return text if len(text) <= length else text[: length - 3] + "..."


def check_entries(place, values, schema, error=InputError, more=True):
    """``values``, if they are a dict whose entries are as a schema says: the border where a file's
    content comes in.

    Args:
        place: what the values are, for the message: a file, or a part of it.
        values: what was read.
        schema: entry -> (whether a value will do, what is accepted); an entry whose name ends in
            "?" may be missing or None.
        error: class of the error. more: whether other entries are taken too.

    Raises:
        InputError: names the entry, what it is and what is accepted.
    """
    if not isinstance(values, dict):
        raise error(f"{place} must hold entries with values, got {shortened(values)}.")
    for name, (fits, accepted) in schema.items():
        key = name.rstrip("?")
        value = values.get(key)
        if value is None and key != name:
            continue
        if key not in values:
            raise error(f"{place}: entry {key!r} is missing; it must be {accepted}.")
        if not fits(value):
            raise error(f"{place}: {key} must be {accepted}, got {shortened(value)}.")
    unknown = (
        [] if more else [key for key in values if key not in schema and f"{key}?" not in schema]
    )
    if unknown:
        raise error(f"{place}: unknown entry {shortened(unknown[0])}.")
    return values


def is_whole(value, low=0, high=2**63 - 1):
    """Whether ``value`` is an integer (no boolean) from ``low`` to ``high``."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(value, low=float("-inf"), high=float("inf")):
    """Whether ``value`` is a finite number (no boolean) from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 2**1000 and low <= value <= high


def is_text(value):
    """Whether ``value`` is text that a UTF-8 file and a file name can hold."""
    return isinstance(value, str) and not re.search("[\0\ud800-\udfff]", value)
