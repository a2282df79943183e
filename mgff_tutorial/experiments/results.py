"""Results that last: one row for each measured number, resumable, never averaged over fewer seeds
in silence.

An experiment is a file ``<folder>/<experiment>.csv`` of rows, and ``<folder>/<experiment>.npz``
with the predictions that the rows were counted from. Tables and figures are computed from these
two, so a reader can recompute them.
"""

import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from ..support.errors import DataError, InputError, shortened
from ..support.files import atomic_file
from ..support.paths import results_dir
from .intervals import t_interval

MAX_BYTES = 2**30  # of predictions, unpacked
VERSION = 1  # of the file format; raised when older code could no longer read a file correctly


LIMITS = (  # of the columns of a row: name, lowest, highest
    ("seed", 0, 2**32),
    ("n", 0, 10**9),
    ("params", 0, 10**13),
    ("flops", 0, 10**18),
    ("seconds", 0, 10**9),
)
SHARES = ("accuracy", "mean IoU", "IoU above", "pointing game", "parts kept")  # metrics from 0 to 1


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
        return tuple(getattr(self, name) for name in KEY)


COLUMNS = {field.name: field.type for field in fields(Row)}
KEY = ["configuration", "seed", "split", "metric"]


class Results:
    """The rows and predictions of one experiment in a folder; every `add` is on the disk when it
    returns.

    Args:
        folder: where the two files lie or will lie.
        experiment: name of the experiment and of the files.
        command: what a reader types to measure what is added, stored with each of its rows.
        chooses: whether trials may be made, by which something is chosen (see `best_of`).

    Raises:
        DataError: a file exists but is damaged, or of another version of the format.
    """

    def __init__(self, folder, experiment, command="", chooses=True):
        self.experiment, self.command, self.chooses = experiment, command, chooses
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
        refuse_contradictions(self.path, self.rows, self.predictions)
        self._seen = self._state()

    def _state(self):
        """What tells whether another process has written the files."""
        files = [path for path in (self.path, self.predictions_path) if path.exists()]
        return [(path, path.stat().st_mtime_ns, path.stat().st_size) for path in files]

    def has(self, configuration, seed, split="test"):
        """Whether this run was finished earlier."""
        return any(row.key[:3] == (configuration, seed, split) for row in self.rows)

    def missing(self, configurations, seeds, split="test"):
        """The (configuration, seed) pairs that still have to be run, seed by seed."""
        return [(c, s) for s in seeds for c in configurations if not self.has(c, s, split)]

    def add(self, rows, predictions=None):
        """Append rows, and the arrays they were counted from, atomically: predictions first, so no
        row lacks its own.

        Args:
            rows: `Row` objects, or dicts of its fields, where ``seed``, the costs and what the file
                knows may be left out.
            predictions: name -> array; the names are free, customary is
                ``configuration/seed/split``.
        """
        usual = dict(
            experiment=self.experiment,
            version=VERSION,
            command=self.command,
            seed=0,
            params=0,
            flops=0,
            seconds=0.0,
        )
        rows = [row if isinstance(row, Row) else Row(**{**usual, **row}) for row in rows]
        known = {row.key for row in self.rows}
        for row in rows:
            if not row.command:
                raise InputError(f"{row.key} has no command; pass one to `Results`, or in the row.")
            if row.key in known:
                raise InputError(
                    f"{self.path} already holds {row.key}; a result is never overwritten. "
                    "Delete the row to measure it again."
                )
            known.add(row.key)
        if self._state() != self._seen:
            raise InputError(
                f"{self.path} was changed by another process meanwhile; run the command again, "
                "which goes on from what the file holds now."
            )
        if predictions:
            self.predictions = {**self.predictions, **predictions}
            buffer = io.BytesIO()
            np.savez_compressed(buffer, version=np.array(VERSION), **self.predictions)
            with atomic_file(self.predictions_path) as stream:
                stream.write(buffer.getvalue())
        self.rows = self.rows + rows
        table = pd.DataFrame(map(asdict, self.rows), columns=list(COLUMNS))
        with atomic_file(self.path, "w") as stream:
            table.to_csv(stream, index=False, lineterminator="\n")
        self._seen = self._state()

    def add_values(self, values, predictions=None, **row):
        """`add` for several metrics of one run: ``values`` is metric -> value."""
        rows = [{**row, "metric": metric, "value": value} for metric, value in values.items()]
        self.add(rows, predictions)


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
                "data/results brings it back; data/results/README.md has the commands that "
                "measure it again."
            )
    return Results(folder, experiment)


def read_rows(path):
    """Read a results file: list of `Row`.

    Raises:
        DataError: no such file, other columns, another version, a damaged line or a repeated row;
            names the line.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except (OSError, ValueError) as error:  # those of pandas are ValueErrors
        reason = getattr(error, "strerror", None) or str(error).strip()
        raise DataError(f"{path} is not a results file of this version: {reason}.") from None
    if list(table) != list(COLUMNS):
        raise DataError(
            f"{path} is not a results file of this version: its columns are "
            f"{shortened(list(table), 200)}, "
            f"expected {list(COLUMNS)}."
        )

    def refuse(bad, text):
        for place in np.flatnonzero(bad)[:1]:
            cells = table.iloc[place]
            raise DataError(f"{path}, line {place + 2} {text(cells)}.")

    # pandas takes cells beyond the header's for an index, and fills up a line with empty ones.
    cut = (table.command == "") | (not isinstance(table.index, pd.RangeIndex))
    refuse(cut, lambda _: "has another number of cells than the header")
    refuse(
        table.version != str(VERSION),
        lambda cells: (
            f"was written in version {cells.version} of the format; this program reads version "
            f"{VERSION}. Run the experiment again into another folder"
        ),
    )
    for name, kind in COLUMNS.items():
        if kind is not str:
            numbers = pd.to_numeric(table[name], errors="coerce")
            bad = ~np.isfinite(numbers) | ((kind is int) & (numbers % 1 != 0))
            refuse(bad, lambda cells: f"says {cells[name]!r}, not a number, for {name}")
            table[name] = (
                numbers.astype("int64") if kind is int else [float(cell) for cell in table[name]]
            )
    for name, low, high in LIMITS:
        bad = ~table[name].between(low, high)
        refuse(bad, lambda cells: f"says {cells[name]} for {name}, which is from {low} to {high}")
    shares = table.metric.str.match("|".join(SHARES)) & ~table.value.between(0, 1)
    refuse(shares, lambda cells: f"says {cells.value} for {cells.metric}, a share from 0 to 1")
    refuse(
        table.metric.str.startswith("log-loss") & (table.value < 0),
        lambda cells: f"says {cells.value} for {cells.metric}, which is never below 0",
    )
    refuse(
        table.duplicated(KEY),
        lambda cells: (
            f"repeats line {(table[KEY] == cells[KEY]).all(axis=1).idxmax() + 2}: "
            f"{tuple(cells[KEY])}"
        ),
    )
    return [Row(*cells) for cells in table.itertuples(index=False, name=None)]


def refuse_contradictions(path, rows, predictions):
    """Compare rows with the predictions stored beside them, where these are: counts of images and
    accuracies.

    Raises:
        DataError: names the first row that says something else.
    """
    for row in rows:
        found = predictions.get(f"{row.configuration}/{row.seed}/{row.split}")
        truth = predictions.get(f"labels/{row.split}")
        if row.metric != "accuracy" or found is None or truth is None:
            continue
        if found.shape != truth.shape or found.ndim != 1 or not len(found):
            raise DataError(
                f"{path}: the predictions of {row.configuration!r}, seed {row.seed}, have shape "
                f"{found.shape}, their labels {truth.shape}."
            )
        share = float((found == truth).mean())
        if row.n != len(found) or abs(row.value - share) > 1e-6:
            raise DataError(
                f"{path}: {row.configuration!r}, seed {row.seed}, says {row.value} of {row.n} "
                f"images; the predictions beside it make {share:.6f} of {len(found)}."
            )


def _read_arrays(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            packed = sum(part.file_size for part in file.zip.infolist())
            if packed > MAX_BYTES:
                raise ValueError(f"it unpacks to {packed:,} bytes, of at most {MAX_BYTES:,}")
            arrays = {name: file[name] for name in file.files}
        odd = [name for name, one in arrays.items() if not isinstance(one, np.ndarray)]
        if odd:
            raise ValueError(f"{odd[0]} is no array")
    except Exception as error:  # damage shows in zip, zlib, headers and NumPy alike
        raise DataError(
            f"{path} cannot be read as a predictions file: {type(error).__name__}: "
            f"{shortened(str(error), 200)}."
        ) from None
    version = arrays.pop("version", None)
    if not isinstance(version, np.ndarray) or version.shape or version != VERSION:
        raise DataError(
            f"{path} was written in version {version} of the format; this program reads version "
            f"{VERSION}."
        )
    return arrays


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
    present = [r.configuration for r in rows if (r.metric, r.split) == (metric, split)]
    table = {}
    for name in configurations or dict.fromkeys(present):
        found = values_by_seed(rows, name, metric, split)
        absent = [seed for seed in seeds if seed not in found]
        if absent and not (allow_fewer and len(absent) < len(seeds)):
            raise InputError(
                f"{name!r} has no {metric} on {split} for seeds {absent}; run the ablate "
                "command again (it resumes what is missing), or allow fewer seeds and say so."
            )
        table[name] = t_interval([found[seed] for seed in seeds if seed in found])
    return table


def paired_difference(rows, first, second, metric="accuracy", split="test"):
    """t-interval of ``first - second`` over the seeds that both were run with (at least two)."""
    a, b = (values_by_seed(rows, name, metric, split) for name in (first, second))
    if a.keys() != b.keys() or len(a) < 2:
        raise InputError(
            f"{first!r} was run with seeds {sorted(a)} and {second!r} with seeds {sorted(b)}; "
            "a paired difference needs the same two seeds or more."
        )
    return t_interval([a[seed] - b[seed] for seed in sorted(a)])
