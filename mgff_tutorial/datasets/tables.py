"""Read the text files of a data set line by line, and remember every problem with its file and
line.
"""

import codecs
import math
import shlex
from dataclasses import dataclass
from pathlib import Path

from ..support.errors import DataError, DataSetError
from ..support.files import is_inside


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong (or, as a note, odd but handled) in a data set."""

    file: str
    line: int | None  # counted from 1; None when it concerns the whole file
    message: str
    note: bool = False

    def __str__(self):
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}"


class Problems(list):
    """All problems found so far; building a data set refuses if one of them is more than a note."""

    def add(self, file, line, message):
        self.append(Problem(str(file), line, message))

    def note(self, file, line, message):
        self.append(Problem(str(file), line, message, note=True))

    @property
    def errors(self):
        return [problem for problem in self if not problem.note]

    def refuse(self, name, root=None):
        """Raise a `DataError` with the first problem and the count of the others, if there are
        any.

        Args:
            name: of the data set. root: its folder, where it needs one.
        """
        errors = self.errors
        if errors:
            if len(errors) == 1:
                raise DataError(f"{name}: {errors[0]}.")
            where = "" if root is None else f" --root {shlex.quote(str(root))}"
            raise DataSetError(
                f"{name}: {errors[0]}. And {len(errors) - 1:,} more; all of them: "
                f"python -m mgff_tutorial data check {name}{where}"
            )


def read_text(path, problems):
    """The lines of a text file as a list of str, without line ends; every encoding that circulates
    is read.

    A byte order mark is honoured. Bytes that are not UTF-8 are read as Latin-1 and noted.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        problems.add(
            path,
            None,
            "is missing"
            if missing
            else f"cannot be read: {getattr(error, 'strerror', None) or error}",
        )
        return []
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            problems.note(path, line, "is not UTF-8 from here on; read as Latin-1")
            text = data.decode("latin-1")
    # Not splitlines(): it also splits at characters such as U+2028 and would shift the line
    # numbers.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def read_rows(path, columns, problems, rest=False, comment=None):
    """Rows of a file of columns separated by white space; blank lines are skipped.

    Args:
        path: the file.
        columns: names of the columns, for messages; a row with fewer or more is a problem and is
            left out.
        problems: `Problems` to add to.
        rest: the last column takes the rest of the line, spaces and all.
        comment: lines that start with this are skipped.

    Yields:
        (line number, list of str).
    """
    width = len(columns)
    most = width - 1 if rest else -1
    for number, line in enumerate(read_text(path, problems), start=1):
        fields = line.rstrip().split(None, most)
        if not fields or (comment and fields[0].startswith(comment)):
            continue
        if len(fields) == width:
            yield number, fields
        else:
            problems.add(
                path, number, f"has {len(fields)} columns instead of {width} ({' '.join(columns)})"
            )


def read_mapping(path, columns, problems, convert=None, rest=False, comment=None):
    """A file of ``key value...`` rows as a dict; duplicate keys are noted, and are a problem if the
    values differ.

    Args:
        convert: function of the list of value columns (str), which may raise ``ValueError`` with a
            clause that says what is wrong; by default the single value as it is.

    Returns:
        (dict key -> value, dict key -> line number).
    """
    values, lines = {}, {}
    for number, (key, *fields) in read_rows(path, columns, problems, rest=rest, comment=comment):
        try:
            value = convert(fields) if convert else fields[0]
        except ValueError as error:
            problems.add(path, number, str(error))
            continue
        if key not in values:
            values[key], lines[key] = value, number
        elif values[key] == value:
            problems.note(
                path, number, f"repeats the row of {columns[0]} {key} (line {lines[key]})"
            )
        else:
            problems.add(path, number, f"contradicts line {lines[key]} for {columns[0]} {key}")
    return values, lines


def safe_relative(name):
    """Why a path from a text file must not be used, or None: absolute paths and ``..`` could leave
    the folder.
    """
    leaves = name and not is_inside(name)
    return f"the path {name!r} leaves the image folder" if leaves else None


def numbers(fields, what):
    """Finite floats from text, or a ValueError that names the value."""
    values = []
    for field in fields:
        try:
            values.append(float(field))
        except ValueError:
            raise ValueError(f"{what}: {field!r} is not a number") from None
        if not math.isfinite(values[-1]):
            raise ValueError(f"{what}: {field!r} is not finite")
    return values
