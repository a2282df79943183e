"""Predictions written as they are made: JSON lines that a killed run can continue, and a table for
people.
"""

import hashlib
import json
import os
from pathlib import Path

from ..support.errors import InputError
from ..support.files import errors_naming


class PredictionLog:
    """A file of JSON lines, one an image; what it holds already is not predicted again.

    Args:
        path: the file.
        resume: continue it; a last line that a kill cut off is removed.

    Raises:
        InputError: the file exists and ``resume`` is false, or it holds something else.
    """

    def __init__(self, path, resume=False):
        self.path, self.done, self.skipped = Path(path), set(), 0
        if self.path.exists() and not resume:
            raise InputError(
                f"{self.path} exists; continue it with --resume, or choose another file."
            )
        if self.path.is_dir():
            raise InputError(f"{self.path} is a folder; expected a file such as predictions.jsonl.")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise InputError(
                f"{self.path.parent} is a file, so {self.path.name} cannot be written into it."
            ) from None
        if self.path.exists():
            self._read()
        self.stream = open(self.path, "a", encoding="utf-8")

    def _read(self):
        sound = 0
        with open(self.path, "rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    record = json.loads(line)
                    self.done.add(name_key(record["image"]))
                except (ValueError, KeyError, TypeError):
                    raise InputError(
                        f"{self.path} line {number} is no prediction; choose another file."
                    ) from None
                self.skipped += "error" in record
                sound += len(line)
        os.truncate(self.path, sound)

    def __contains__(self, name):
        return name_key(name) in self.done

    def write(self, records):
        """Append records; they are on the disk when this returns."""
        with errors_naming(self.path):
            self.stream.write("".join(json.dumps(record) + "\n" for record in records))
            self.stream.flush()
            os.fsync(self.stream.fileno())

    def close(self):
        with errors_naming(self.path):
            self.stream.close()


def name_key(name):
    """8 bytes an image name, so that a million names fit into memory with ease."""
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()


HEADER = f"{'image':<32} {'species':<28} {'prob.':>6}  {'stage 1':>7}  {'stage 2':>7}  box"


def table_row(record):
    """One line of the table; a star marks a stage that would have named another species.

    Names are printed as data: no control characters reach the terminal.
    """
    from ..datasets import readable_name

    name = printable(record["image"])
    name = name if len(name) <= 32 else "..." + name[-29:]
    if "error" in record:
        return f"{name:<32} skipped"
    row = (
        f"{name:<32} {printable(readable_name(record['species'])):<28} "
        f"{record['probability']:>6.1%}"
    )
    if "box" not in record:
        return row
    box = "whole image" if record["whole_image"] else " ".join(f"{v:.0f}" for v in record["box"])
    stages = (record[stage]["probability"] for stage in ("stage1", "stage2"))
    marks = (
        "" if record[stage]["species"] == record["species"] else "*"
        for stage in ("stage1", "stage2")
    )
    cells = [f"{probability:.1%}{mark}" for probability, mark in zip(stages, marks)]
    return f"{row}  {cells[0]:>7}  {cells[1]:>7}  {box}"


def printable(text):
    """``text`` with everything escaped that could steer a terminal or cannot be encoded."""
    text = str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
