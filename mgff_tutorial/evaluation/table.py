"""Predictions as a table for spreadsheets: one row per image, opened by double click."""

import csv
import json
from pathlib import Path

from ..support.errors import InputError
from ..support.files import errors_naming

COLUMNS = (
    "image species confidence familiar first_look first_probability second_look "
    "second_probability left top right bottom problem"
).split()


class PredictionTable:
    """A CSV file (UTF-8 with a mark, which spreadsheets want) that grows with the predictions.

    Args:
        path: the file; it must not be there yet, unless a run is continued.
        earlier: JSON lines of a run that is continued; the table begins with them.

    Raises:
        InputError: the file exists.
    """

    def __init__(self, path, earlier=None):
        self.path = Path(path)
        if self.path.exists() and earlier is None:
            raise InputError(f"{self.path} exists; choose another file for --csv.")
        with errors_naming(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.stream = open(self.path, "w", encoding="utf-8-sig", newline="")
        self.rows = csv.DictWriter(self.stream, COLUMNS)
        self.rows.writeheader()
        if earlier is not None and Path(earlier).is_file():
            with open(earlier, encoding="utf-8") as lines:
                self.write(map(json.loads, lines))

    def write(self, records):
        """Append records of `Predictor` with their image names."""
        with errors_naming(self.path):
            self.rows.writerows(map(as_row, records))
            self.stream.flush()

    def close(self):
        with errors_naming(self.path):
            self.stream.close()


def as_row(record):
    """A record as {column: cell}."""
    from ..datasets import readable_name  # late: --help needs no torch

    row = {"image": as_text(record["image"])}
    if "error" in record:
        return {**row, "problem": as_text(record["error"])}
    row["species"] = as_text(readable_name(record["species"]))
    row["confidence"] = record.get("confidence", record["probability"])
    if "familiar" in record:
        row["familiar"] = "yes" if record["familiar"] else "no"
    for name, stage in (("first", "stage1"), ("second", "stage2")):
        if stage in record:
            row[f"{name}_look"] = as_text(readable_name(record[stage]["species"]))
            row[f"{name}_probability"] = record[stage]["probability"]
    return {**row, **dict(zip(("left", "top", "right", "bottom"), record.get("box", ())))}


def as_text(text):
    """A cell that no spreadsheet takes for a formula."""
    text = str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
