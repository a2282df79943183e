"""The folder of a training run: configuration, environment, log, curves, checkpoints; and picking
it up after a kill.
"""

import json
import platform
import sys
from importlib.metadata import distributions
from pathlib import Path

import torch

from ..datasets import digest
from ..support.checkpoints import CheckpointError, check_parts_of_zip, read_metadata
from ..support.device import processor
from ..support.errors import InputError, check_entries, is_number, is_whole, shortened
from ..support.files import (
    atomic_file,
    errors_naming,
    output_path,
    parse_json,
    read_json,
    read_text,
    read_yaml,
    remove_leftovers,
    write_json,
)
from ..support.locks import FolderLock

RESUME = "resume.pt"  # all that a run needs to continue: weights, optimiser, step, log
# may change between start and resume
FREE = ("out", "save_seconds", "tensorboard", "workers", "cache", "device")
FILES = (  # what a run writes; a folder that holds one of these without a configuration is no run
    "environment.json",
    "data.json",
    "log.jsonl",
    "curves.png",
    RESUME,
    "state.pt",  # of pretraining
    "last.safetensors",
    "best.safetensors",
    "test_last.csv",
    "test_best.csv",
    "result.json",
    "tensorboard",
)
PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "accelerate",
    "numpy",
    "pillow",
    "safetensors",
    "mgff-tutorial",
)
_share = lambda value: is_number(value, 0, 1)
_measured = lambda value: (
    isinstance(value, dict)
    and value.keys() == {"accuracy", "correct", "count", "epoch"}
    and is_whole(value["count"], 1)
    and is_whole(value.get("correct"), 0, value["count"])
    and _share(value.get("accuracy"))
    and abs(value["accuracy"] - value["correct"] / value["count"]) < 1e-5
    and is_whole(value.get("epoch"), 1)
)
RESULT = {  # of result.json
    "epochs": (lambda v: is_whole(v, 1), "an integer of 1 or more"),
    "steps": (lambda v: is_whole(v, 1), "an integer of 1 or more"),
    "seconds": (lambda v: is_number(v, 0), "a number of 0 or more"),
    "last?": (_measured, "accuracy, correct, count and epoch that fit each other"),
    "best?": (_measured, "accuracy, correct, count and epoch that fit each other"),
    "validation?": (
        lambda v: (
            isinstance(v, dict)
            and v.keys() == {"images", "best", "last"}
            and _share(v["last"])
            and _share(v["best"])
            and is_whole(v["images"], 1)
        ),
        "images, best and last",
    ),
}
RECORD = {  # of a line of log.jsonl
    "epoch": (lambda v: is_whole(v, 1), "an integer of 1 or more"),
    "lr": (lambda v: is_number(v, 0), "a number of 0 or more"),
    "train_loss": (is_number, "a number"),
    "train_accuracy": (_share, "from 0 to 1"),
    "val_loss?": (is_number, "a number"),
    "val_accuracy?": (_share, "from 0 to 1"),
}
STATE = {  # of resume.pt
    "step": (is_whole, "an integer of 0 or more"),
    "best?": (
        lambda v: (
            isinstance(v, dict)
            and _share(v.get("accuracy"))
            and is_number(v.get("loss"))
            and is_whole(v.get("epoch"), 1)
        ),
        "accuracy, loss and epoch",
    ),
    "totals": (
        lambda v: (
            isinstance(v, dict) and all(map(is_number, map(v.get, ("loss", "correct", "images"))))
        ),
        "loss, correct and images",
    ),
    "seconds": (lambda v: is_number(v, 0), "a number of 0 or more"),
    "model": (lambda v: _is_state(v), "finite weights"),
    "optimizer": (lambda v: isinstance(v, dict), "the state of an optimiser"),
    "ema?": (lambda v: _is_state(v), "finite weights"),
    "scaler?": (lambda v: isinstance(v, dict), "the state of a scaler"),
    "log": (lambda v: isinstance(v, list), "the records of the epochs so far"),
}


def _is_state(value):
    return isinstance(value, dict) and all(
        isinstance(tensor, torch.Tensor)
        and (not tensor.is_floating_point() or bool(torch.isfinite(tensor).all()))
        for tensor in value.values()
    )


class RunFolder:
    """What one run writes. Only the main process of a run makes one.

    Files: ``config.yaml``, ``environment.json``, ``data.json`` (classes and a digest of the
    images), ``log.jsonl`` (one line an epoch), ``curves.png``, ``resume.pt``,
    ``last.safetensors`` and ``test_last.csv``, with a validation split ``best.safetensors`` and
    ``test_best.csv`` instead of the latter, ``result.json``; while it goes on also ``run.lock``.

    Args:
        folder: made if it is not there.
        config: a `TrainConfig`.
        resume: continue the run that the folder holds.
        data: `datasets.digest.fingerprint` of what is trained on and tested with; None: not
            compared.

    Raises:
        InputError: the folder holds a run and ``resume`` is false; or one of another configuration
            or other data; or files of a run without its configuration; or another process is at
            it. Nothing has been changed then.
    """

    def __init__(self, folder, config, resume=False, data=None):
        self.folder = Path(folder)
        self.log_path = self.folder / "log.jsonl"
        check_folder(self.folder, config, resume, data)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = FolderLock(self.folder)
        try:
            check_folder(self.folder, config, resume, data)  # now that nobody else changes it
            remove_leftovers(self.folder)
            if not self.path("config.yaml").is_file():
                # first, so that whatever else is there belongs to a configuration
                config.save(self.path("config.yaml"))
            if not self.path("environment.json").is_file():
                write_json(self.path("environment.json"), environment())
            if data is not None and not self.path("data.json").is_file():
                write_json(self.path("data.json"), data)
        except BaseException:
            self.close()
            raise

    def __getstate__(self):
        """For the other processes of the run: they know the folder, and the first one holds it."""
        return {"folder": self.folder, "log_path": self.log_path}

    def close(self):
        """Let other processes at the folder."""
        if "lock" in vars(self):
            self.lock.release()

    def _check_lock(self):
        if "lock" in vars(self):
            self.lock.check()

    def path(self, name):
        """The path of one of the run's files."""
        return self.folder / name

    def save_state(self, state, name=RESUME):
        """Write ``resume.pt`` atomically: nested dicts and lists of tensors, numbers and text."""
        self._check_lock()
        with atomic_file(self.path(name)) as stream:
            torch.save(state, stream)

    def load_state(self):
        """What `save_state` wrote last, on the CPU; None if the run was killed before its first
        save.
        """
        path = self.path(RESUME)
        if not path.is_file():
            begun = self.log_path.is_file() and self.log_path.stat().st_size
            if begun and not self.path("result.json").is_file():
                raise CheckpointError(
                    f"{path} is missing, without which this run cannot go on; start again in "
                    "another folder."
                )
            return None
        try:
            check_parts_of_zip(path)
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise CheckpointError(
                f"{path}: cannot be read ({type(error).__name__}); start again in another folder."
            ) from error
        check_entries(path, state, STATE, CheckpointError)
        for number, record in enumerate(state["log"], 1):
            check_entries(f"{path}: record {number} of the log", record, RECORD, CheckpointError)
        return state

    def log(self, record):
        """Append one line to the log."""
        self._check_lock()
        with errors_naming(self.log_path), open(self.log_path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(record, allow_nan=False) + "\n")

    def write_log(self, records):
        """Write the log anew: with the records up to the state that the run goes on from."""
        with atomic_file(self.log_path, "w") as stream:
            stream.writelines(json.dumps(record) + "\n" for record in records)

    def result(self):
        """The result of a finished run, or None.

        Raises:
            InputError: it is damaged, or says something else than the checkpoints beside it.
        """
        path = self.path("result.json")
        if not path.is_file():
            return None
        result = check_entries(path, read_json(path), RESULT, more=False)
        for name in ("last", "best"):
            file = self.path(f"{name}.safetensors")
            card = read_metadata(file) if file.is_file() else {}
            said = result.get(name) or {}
            keys = ("correct", "count", "epoch") if said else ("correct", "count")
            if any(card.get(key) != said.get(key) for key in keys):
                raise InputError(f"{path} says something else of {name!r} than {file}.")
        return result


def check_folder(folder, config, resume=False, data=None):
    """Refuse a folder that a run must not write into; see `RunFolder`, which says what it takes."""
    folder = Path(folder)
    try:
        stored = output_path(folder / "config.yaml")
    except NotADirectoryError:
        raise InputError(
            f"{folder} is a file or lies in one; expected a folder for the run."
        ) from None
    if not stored.is_file():
        for name in FILES:
            if (folder / name).exists() or (folder / name).is_symlink():
                raise InputError(
                    f"{folder} holds {name}, but no config.yaml that says of which run; choose "
                    "another --out."
                )
        return
    if not resume:
        raise InputError(
            f"{folder} already holds a run; continue it with --resume, or choose another --out."
        )
    values = check_entries(stored, read_yaml(stored), {})
    for key, value in config.as_dict().items():
        if key not in FREE and (key not in values or values[key] != value):
            raise InputError(
                f"{folder} holds a run with {key}: {shortened(values.get(key))}, not "
                f"{shortened(value)}; resume it with its own configuration, or choose another "
                "--out."
            )
    path = folder / "data.json"
    if data is not None and path.is_file():
        before = check_entries(path, read_json(path), digest.SHAPE)
        changed = digest.difference(before, data)
        if changed:
            raise InputError(
                f"The data are not those that the run in {folder} began with: {changed}. Resume it "
                "with the data as they were, or start a new run in another --out."
            )


def read_log(path):
    """Records of a ``log.jsonl`` file, in order; none if there is no such file. A last line that a
    kill cut off is left out.

    Raises:
        InputError: a line is no record of a run; names it.
    """
    path, records = Path(path), []
    lines = read_text(path).split("\n")[:-1] if path.is_file() else []
    for number, line in enumerate(lines, 1):
        place = f"{path} line {number}"
        records.append(check_entries(place, parse_json(line, place), RECORD))
    return records


def environment():
    """Versions and hardware that a result depends on, as plain values."""
    installed = {found.name.lower(): found.version for found in distributions()}
    return {
        "command": " ".join(["python -m mgff_tutorial", *sys.argv[1:]]),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "versions": {name: installed.get(name) for name in PACKAGES},
    }


def draw_curves(records, figure):
    """Draw the log of a run into a matplotlib figure.

    Args:
        records: list of dicts with ``epoch``, ``train_loss``, ``train_accuracy``, ``lr``, and
            perhaps ``val_loss`` and ``val_accuracy``.
        figure: an empty figure.
    """
    loss, accuracy, rate = figure.subplots(1, 3)
    epochs = [record["epoch"] for record in records]
    lines = [("train", "training", "#3b6fb6"), ("val", "validation", "#e08a2b")]
    for ax, key in ((loss, "loss"), (accuracy, "accuracy")):
        for split, label, colour in lines:
            values = [record[f"{split}_{key}"] for record in records if f"{split}_{key}" in record]
            if values:
                ax.plot(epochs, values, color=colour, label=label)
        ax.set(title=key, xlabel="epoch")
        ax.legend(frameon=False, loc="best")
    accuracy.set_ylim(0, 1.02)
    rate.plot(epochs, [record["lr"] for record in records], color="#8a8f98")
    rate.set(title="learning rate (end of epoch)", xlabel="epoch")
    for ax in (loss, accuracy, rate):
        ax.spines[["top", "right"]].set_visible(False)
        ax.xaxis.get_major_locator().set_params(integer=True)
    return figure


def save_curves(records, path):
    """Write the curves of a run to a PNG file, atomically."""
    from matplotlib.figure import Figure  # no pyplot: the reader's figures are left alone

    figure = Figure(figsize=(11, 3.2), layout="constrained", facecolor="white")
    with atomic_file(path) as stream:
        draw_curves(records, figure).savefig(stream, format="png", dpi=110)
