"""Results that last: one row for each measured number, resumable, never averaged over fewer seeds
in silence.

An experiment is a file ``<folder>/<experiment>.csv`` of rows, and ``<folder>/<experiment>.npz``
with the predictions that the rows were counted from. Tables and figures are computed from these
two, so a reader can recompute them.
"""

import csv
import io
from collections import defaultdict
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ..support.errors import DataError, InputError
from ..support.files import atomic_file
from ..support.paths import results_dir
from .intervals import t_interval

VERSION = 1  # of the file format; raised when older code could no longer read a file rightly


@dataclass(frozen=True)
class Row:
    """One measured number.

    ``value`` is the metric (accuracies are shares from 0 to 1) over ``n`` images; ``params`` counts
    what is trained, ``flops`` and ``seconds`` belong to one image in evaluation; ``command``
    reproduces the row.
    """

    experiment: str
    configuration: str
    seed: int
    split: str
    metric: str
    value: float
    n: int
    params: int
    flops: int
    seconds: float
    version: int
    command: str

    @property
    def key(self):
        """What may occur once in a file."""
        return (self.configuration, self.seed, self.split, self.metric)


COLUMNS = [field.name for field in fields(Row)]


class Results:
    """The rows and predictions of one experiment in a folder; every `add` is on the disk when it
    returns.

    Args:
        folder: where the two files lie or will lie.
        experiment: name of the experiment and of the files.

    Raises:
        DataError: a file exists but is damaged, or of another version of the format.
    """

    def __init__(self, folder, experiment):
        self.experiment = experiment
        self.path = Path(folder) / f"{experiment}.csv"
        self.predictions_path = self.path.with_suffix(".npz")
        self.rows = read_rows(self.path) if self.path.exists() else []
        for row in self.rows:
            if row.experiment != experiment:
                raise DataError(
                    f"{self.path} holds rows of experiment {row.experiment!r}; expected "
                    f"{experiment!r}."
                )
        self.predictions = (
            _read_arrays(self.predictions_path) if self.predictions_path.exists() else {}
        )

    def has(self, configuration, seed, split="test"):
        """Whether this run was finished earlier."""
        return any(
            (r.configuration, r.seed, r.split) == (configuration, seed, split) for r in self.rows
        )

    def missing(self, configurations, seeds, split="test"):
        """The (configuration, seed) pairs that still have to be run, seed by seed."""
        return [(c, s) for s in seeds for c in configurations if not self.has(c, s, split)]

    def add(self, rows, predictions=None):
        """Append rows, and the arrays they were counted from, atomically: predictions first, so no
        row lacks its own.

        Args:
            rows: `Row` objects, or dicts without ``experiment`` and ``version``.
            predictions: name -> array; the names are free, customary is
                ``configuration/seed/split``.
        """
        rows = [
            r if isinstance(r, Row) else Row(experiment=self.experiment, version=VERSION, **r)
            for r in rows
        ]
        known = {row.key for row in self.rows}
        for row in rows:
            if row.key in known:
                raise InputError(
                    f"{self.path} already holds {row.key}; a result is never overwritten. "
                    "Delete the row to measure it again."
                )
            known.add(row.key)
        if predictions:
            self.predictions = {**self.predictions, **predictions}
            buffer = io.BytesIO()
            np.savez_compressed(buffer, version=np.array(VERSION), **self.predictions)
            with atomic_file(self.predictions_path) as stream:
                stream.write(buffer.getvalue())
        self.rows = self.rows + rows
        write_rows(self.path, self.rows)


def stored_results(experiment):
    """The results that travel with the repository (``data/results``) and inside the wheel.

    Raises:
        DataError: they are not there; says how to make them.
    """
    folder = results_dir()
    for file in (folder / f"{experiment}.csv", folder / f"{experiment}.npz"):
        if not file.is_file():
            raise DataError(
                f"{file} does not exist. It comes with the repository: git checkout -- "
                f"data/results brings "
                "it back; data/results/README.md has the commands that measure it again."
            )
    return Results(folder, experiment)


def write_rows(path, rows):
    """Write rows as CSV, atomically."""
    with atomic_file(path, "w") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read_rows(path):
    """Read a results file.

    Returns:
        list of `Row`.

    Raises:
        DataError: no such file, other columns, another version, a damaged line or a repeated row;
            names the line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read as a results file: {reason}.") from None
    reader = csv.DictReader(io.StringIO(text))
    if reader.fieldnames != COLUMNS:
        raise DataError(
            f"{path} is not a results file of this version: its columns are {reader.fieldnames}, "
            f"expected {COLUMNS}."
        )
    rows, seen = [], {}
    for number, cells in enumerate(reader, start=2):
        row = _parse(path, number, cells)
        if row.key in seen:
            raise DataError(f"{path}, line {number} repeats line {seen[row.key]}: {row.key}.")
        seen[row.key] = number
        rows.append(row)
    return rows


def _parse(path, number, cells):
    if None in cells or None in cells.values():
        raise DataError(f"{path}, line {number} has another number of cells than the header.")
    if cells["version"] != str(VERSION):
        raise DataError(
            f"{path}, line {number} was written in version {cells['version']} of the format; "
            f"this program "
            f"reads version {VERSION}. Run the experiment again into another folder."
        )
    try:
        row = Row(**{field.name: field.type(cells[field.name]) for field in fields(Row)})
    except ValueError as error:
        raise DataError(f"{path}, line {number}: {error}.") from None
    if not np.isfinite(row.value):
        raise DataError(f"{path}, line {number}: the value is {row.value}, not a number.")
    return row


def _read_arrays(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise DataError(f"{path} cannot be read as a predictions file: {error}.") from None
    version = arrays.pop("version", None)
    if version is None or int(version) != VERSION:
        raise DataError(
            f"{path} was written in version {version} of the format; this program reads version "
            f"{VERSION}."
        )
    return arrays


# --- tables ----------


def values_by_seed(rows, configuration, metric="accuracy", split="test"):
    """Seed -> value of one configuration."""
    return {
        r.seed: r.value
        for r in rows
        if (r.configuration, r.metric, r.split) == (configuration, metric, split)
    }


def summarise(rows, seeds, metric="accuracy", split="test", configurations=None, allow_fewer=False):
    """Mean and t-interval of each configuration over the same seeds.

    Args:
        rows: from `read_rows`.
        seeds: how many seeds were asked for, or which.
        metric, split: what to average.
        configurations: names in the wanted order; all, in the file's order, if not given.
        allow_fewer: average what is there, and let `Estimate.count` say how few, instead of
            refusing.

    Returns:
        dict configuration -> `Estimate`.

    Raises:
        InputError: a configuration lacks seeds; the message names them and the remedy.
    """
    seeds = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    found = defaultdict(dict)
    for row in rows:
        if (row.metric, row.split) == (metric, split):
            found[row.configuration][row.seed] = row.value
    table = {}
    for name in configurations or found:
        absent = [seed for seed in seeds if seed not in found[name]]
        if absent and not (allow_fewer and len(absent) < len(seeds)):
            raise InputError(
                f"{name!r} has no {metric} on {split} for seeds {absent}; run the ablate "
                f"command again "
                "(it resumes what is missing), or allow fewer seeds and say so."
            )
        table[name] = t_interval([found[name][seed] for seed in seeds if seed in found[name]])
    return table


def paired_difference(rows, first, second, metric="accuracy", split="test"):
    """t-interval of ``first - second`` over the seeds that both were run with (at least two)."""
    a, b = (values_by_seed(rows, name, metric, split) for name in (first, second))
    common = sorted(a.keys() & b.keys())
    if a.keys() != b.keys() or len(common) < 2:
        raise InputError(
            f"{first!r} was run with seeds {sorted(a)} and {second!r} with seeds {sorted(b)}; "
            "a paired difference needs the same two seeds or more."
        )
    return t_interval([a[seed] - b[seed] for seed in common])


def markdown_table(rows, seeds, split="test", metric="accuracy"):
    """A Markdown table: accuracy in per cent, difference from the baseline, parameters, FLOPs and
    time.

    Args:
        rows: from `read_rows`. seeds: how many were asked for; fewer are shown as "(3 of 5 seeds)".
        split: of the rows, or None for a table of all splits but validation, one block after the
            other.
    """
    lines = [
        "| configuration | accuracy, % | minus the baseline | trained parameters | FLOPs an image "
        "| ms an image |",
        "|---|---|---|---|---|---|",
    ]
    splits = (
        [split]
        if split
        else list(dict.fromkeys(row.split for row in rows if row.split != "validation"))
    )
    for one in splits:
        for name, estimate in summarise(rows, seeds, metric, one, allow_fewer=True).items():
            few = f" ({estimate.count} of {seeds} seeds)" if estimate.count < seeds else ""
            try:
                difference = (
                    str(paired_difference(rows, name, "baseline", metric, one))
                    if name != "baseline"
                    else ""
                )
            except InputError:  # no baseline, or with other seeds
                difference = ""
            row = next(r for r in rows if (r.configuration, r.split) == (name, one))
            label = name if split else f"{name}, {one}"
            lines.append(
                f"| {label} | {estimate}{few} | {difference} | {row.params / 1e6:.2f} M | "
                f"{row.flops / 1e9:.2f} G | {1000 * row.seconds:.1f} |"
            )
    return "\n".join(lines)
