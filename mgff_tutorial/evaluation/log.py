"""Predictions written as they are made: JSON lines that a killed run can continue, and a table for
people.
"""

import hashlib
import json
import os
from pathlib import Path

from ..support import files
from ..support.errors import InputError, check_entries, is_number, printable
from ..support.files import can_name_a_file, errors_naming, output_path, parse_json
from ..support.locks import hold_file

START = b'{"image": "'  # of every line
RECORD = {
    "image": (lambda v: isinstance(v, str) and can_name_a_file(v), "the name of an image"),
    "error?": (lambda v: isinstance(v, str), "a sentence"),
    "species?": (lambda v: isinstance(v, str), "the name of a class"),
    "probability?": (lambda v: is_number(v, 0, 1), "from 0 to 1"),
}


class PredictionLog:
    """A file of JSON lines, one an image; what it holds already is not predicted again.

    Args:
        path: the file.
        resume: continue it; a last line that a kill cut off is removed.
        classes: names that the model knows; a line with another one is of another model.
        two_stage: whether the lines to come are of two stages; those that are there must be, too.

    Raises:
        InputError: the file exists and ``resume`` is false, it holds something else, or another
            process is writing it. It is then as it was.
    """

    def __init__(self, path, resume=False, classes=None, two_stage=None):
        self.path, self.done, self.skipped = Path(path), set(), 0
        self.classes, self.two_stage = classes and set(classes), two_stage
        if self.path.is_dir():
            raise InputError(f"{self.path} is a folder; expected a file such as predictions.jsonl.")
        if output_path(self.path).exists() and not resume:
            raise InputError(
                f"{self.path} exists; continue it with --resume, or choose another file."
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        sound = self._read() if self.path.exists() else 0
        self.stream = open(self.path, "a", encoding="utf-8")
        try:
            hold_file(self.stream, self.path)
            if os.fstat(self.stream.fileno()).st_size != self.size:
                raise InputError(f"{self.path} is being written by another process.")
            os.truncate(self.stream.fileno(), sound)
        except BaseException:
            self.stream.close()
            raise

    size = 0  # bytes when it was opened

    def _read(self):
        """Bytes of whole lines, all of which are predictions."""
        sound = self.size = 0
        with open(self.path, "rb") as stream:
            for number, line in enumerate(stream, 1):
                self.size += len(line)
                if not line.endswith(b"\n") and (line.startswith(START) or START.startswith(line)):
                    break  # cut off by a kill
                self._take(line, number)
                sound += len(line)
        return sound

    def _take(self, line, number):
        place = f"{self.path} line {number}"
        try:
            record = check_entries(place, parse_json(line, place), RECORD)
            if "error" not in record and not {"species", "probability"} <= record.keys():
                raise InputError(f"{place} has no species.")
        except InputError as error:
            reason = str(error).removeprefix(place).lstrip(": ")
            raise InputError(
                f"{place} is no prediction ({reason.rstrip('.')}); choose another file."
            ) from None
        if "error" not in record:
            if self.classes and record["species"] not in self.classes:
                raise InputError(
                    f"{place} names {record['species']!r}, which this model does not know; "
                    "continue the file with the model that began it."
                )
            if self.two_stage is not None and ("box" in record) != self.two_stage:
                raise InputError(
                    f"{place} was predicted in {'two stages' if 'box' in record else 'one stage'}; "
                    "continue the file in the same way."
                )
        self.done.add(name_key(record["image"]))
        self.skipped += "error" in record

    def __contains__(self, name):
        return name_key(name) in self.done

    def write(self, records):
        """Append records; they are on the disk when this returns."""
        with errors_naming(self.path):
            lines = (json.dumps(record, allow_nan=False) + "\n" for record in records)
            self.stream.write("".join(lines))
            files.reached("line")
            self.stream.flush()
            os.fsync(self.stream.fileno())
            files.reached("lines")

    def close(self):
        with errors_naming(self.path):
            self.stream.close()


def name_key(name):
    """8 bytes an image name, so that a million names fit into memory with ease."""
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()


HEADER = f"{'image':<32} {'species':<28} {'conf.':>6}  {'stage 1':>7}  {'stage 2':>7}  box"


def table_row(record):
    """One line of the table; a star marks a stage that would have named another species, a question
    mark an image that is not like those of the training.

    Names are printed as data: no control characters reach the terminal.
    """
    from ..datasets import readable_name

    name = printable(record["image"])
    name = name if len(name) <= 32 else "..." + name[-29:]
    if "error" in record:
        return f"{name:<32} skipped"
    species = printable(readable_name(record["species"]))
    species += "" if record.get("familiar", True) else " ?"
    row = f"{name:<32} {species:<28} {record.get('confidence', record['probability']):>6.1%}"
    if "box" not in record:
        return row
    box = "whole image" if record["whole_image"] else " ".join(f"{v:.0f}" for v in record["box"])
    first, second = (
        f"{look['probability']:.1%}{'' if look['species'] == record['species'] else '*'}"
        for look in (record["stage1"], record["stage2"])
    )
    return f"{row}  {first:>7}  {second:>7}  {box}"
