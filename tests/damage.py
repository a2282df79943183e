"""Damaged files of every kind that the package reads, from sound ones: cut off, flipped, emptied,
with keys too few or too many, values of other types, huge numbers, another version.
"""

import copy
import io
import json
import random
import zipfile
from itertools import count

HUGE = ("9" * 5000, "-1e999", "1e400", "99999999999999999999")
ODD_VALUES = (
    *(None, True, False, 0, -1, 7.5, 10**30, -(10**30), "", "text", "\u202e\x1b[31m", "a" * 10_000),
    *([], [[]], {}, {"a": 1}, [None] * 3, "NaN", 1e300, "\x00", "../..", "/etc/passwd"),
)


def damaged_bytes(data, draw):
    """One way of breaking bytes: (what was done, the bytes)."""
    data = bytearray(data)
    size = len(data)
    how = draw.choice(
        ("cut", "flip", "flips", "zeros", "doubled", "noise", "moved", "empty", "ends")
    )
    if how == "cut":
        return f"cut {how}", bytes(data[: draw.randrange(size)])
    if how == "flip":
        data[draw.randrange(size)] ^= 1 << draw.randrange(8)
    elif how == "flips":
        for _ in range(draw.randrange(1, 50)):
            data[draw.randrange(size)] = draw.randrange(256)
    elif how == "zeros":
        start = draw.randrange(size)
        data[start : start + draw.randrange(1, 200)] = bytes(20)
    elif how == "doubled":
        data = data + data[draw.randrange(size) :]
    elif how == "noise":
        data = bytearray(draw.randbytes(draw.choice((1, 8, 300))))
    elif how == "moved":
        start = draw.randrange(size)
        data = data[start:] + data[:start]
    elif how == "empty":
        data = bytearray(draw.choice((b"", b"\n", b"\0", b"\xff\xfe", b"null", b"{}", b"[]")))
    else:
        data = data.rstrip()[: -draw.randrange(1, 4)]
    return how, bytes(data)


def damaged_value(value, draw):
    """One way of changing a JSON value: a key away, one more, or another value somewhere in it."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places:
        return "odd", draw.choice(ODD_VALUES)
    holder, key = draw.choice(places)
    how = draw.choice(("missing", "odd", "odd", "odd", "extra", "whole"))
    if how == "missing":
        del holder[key]
    elif how == "odd":
        holder[key] = draw.choice(ODD_VALUES)
    elif how == "extra" and isinstance(holder, dict):
        holder["\x1bsurprise"] = draw.choice(ODD_VALUES)
    else:
        return "whole", draw.choice(ODD_VALUES)
    return f"{how} {key!r}", value


def _places(value):
    """(dict or list, key) of everything inside a value."""
    if not isinstance(value, (dict, list)):
        return
    for key, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        yield from _places(part)


def huge_number(text, draw):
    """A text with one of its numbers replaced by one that is beyond every type."""
    import re

    numbers = list(re.finditer(r"(?<![\w.])\d+(\.\d+)?", text))
    if not numbers:
        return text + draw.choice(HUGE)
    place = draw.choice(numbers)
    return text[: place.start()] + draw.choice(HUGE) + text[place.end() :]


def damaged_texts(text, parse, dump):
    """Endless (what was done, bytes) of a text of values: bytes broken, values changed, numbers
    blown up, values nested.
    """
    data = text.encode()
    for seed in count():
        draw = random.Random(seed)
        kind = seed % 4
        if kind == 0:
            yield damaged_bytes(data, draw)
        elif kind == 3:
            if seed % 40 == 3:
                yield "nested", (draw.choice(("[", '{"a":', "a: [")) * 2000).encode()
            else:
                yield "huge", huge_number(text, draw).encode()
        else:
            how, value = damaged_value(parse(text), draw)
            try:
                yield how, dump(value).encode("utf-8", "surrogatepass")
            except (TypeError, ValueError):
                continue


def damaged_json(value):
    """Endless variants of a JSON file."""
    yield from damaged_texts(json.dumps(value, indent=1), json.loads, json.dumps)


def damaged_lines(text):
    """Endless variants of JSON lines."""

    def parse(text):
        return [json.loads(line) for line in text.splitlines()]

    def dump(values):
        values = values if isinstance(values, list) else [values]
        return "".join(json.dumps(value) + "\n" for value in values)

    yield from damaged_texts(text, parse, dump)


def damaged_yaml(text):
    """Endless variants of a YAML file."""
    import yaml

    yield from damaged_texts(text, yaml.safe_load, yaml.safe_dump)


def damaged_csv(text):
    """Endless variants of a table."""

    def parse(text):
        return [line.split(",") for line in text.splitlines()]

    def dump(rows):
        rows = rows if isinstance(rows, list) else [[rows]]
        rows = [row if isinstance(row, list) else [row] for row in rows]
        return "".join(",".join(map(str, row)) + "\n" for row in rows)

    yield from damaged_texts(text, parse, dump)


def damaged_safetensors(data):
    """Endless variants of a checkpoint: bytes of the file, or entries of its header."""
    size = int.from_bytes(data[:8], "little")
    header, rest = json.loads(data[8 : 8 + size]), data[8 + size :]
    card = {key: json.loads(text) for key, text in header["__metadata__"].items()}
    for seed in count():
        draw = random.Random(seed)
        kind = seed % 4
        if kind == 0:
            yield damaged_bytes(data, draw)
            continue
        changed = copy.deepcopy(header)
        if kind == 1:
            how, changed = damaged_value(header, draw)
        else:
            how, values = damaged_value(card, draw)
            if not isinstance(values, dict):
                values = {"format": values}
            texts = {key: json.dumps(value) for key, value in values.items()}
            if kind == 3 and texts:
                key = draw.choice(list(texts))
                texts[key] = draw.choice(
                    (*HUGE, "[" * 2000, "{", "NaN", huge_number(texts[key], draw))
                )
                how = f"text of {key}"
            changed["__metadata__"] = texts
        try:
            start = json.dumps(changed).encode("utf-8", "surrogatepass")
        except (TypeError, ValueError):
            continue
        yield how, len(start).to_bytes(8, "little") + start + rest


def damaged_zip(data):
    """Endless variants of a torch file, an npz or an archive: bytes of the whole, or of a part."""
    for seed in count():
        draw = random.Random(seed)
        if seed % 2:
            yield damaged_bytes(data, draw)
            continue
        stream = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
            names = old.namelist()
            place = draw.randrange(len(names))
            how = draw.choice(("bytes", "missing", "twice", "renamed"))
            for number, name in enumerate(names):
                part = old.read(name)
                if number == place and how == "missing":
                    continue
                if number == place and how == "bytes" and part:
                    _, part = damaged_bytes(part, draw)
                if number == place and how == "renamed":
                    name = draw.choice(("x", "../x", "a\x1b", "é" * 50, name + "/"))
                new.writestr(name, part)
            if how == "twice":
                new.writestr("more/" + names[place], old.read(names[place]))
        yield f"{how} of {names[place]}", stream.getvalue()
