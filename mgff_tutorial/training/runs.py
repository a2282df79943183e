"""The folder of a training run: configuration, environment, log, curves, checkpoints; and picking
it up after a kill.
"""

import json
import platform
import sys
from importlib.metadata import distributions
from pathlib import Path

import torch
import yaml

from ..support.checkpoints import CheckpointError
from ..support.errors import InputError
from ..support.files import atomic_file, errors_naming, remove_leftovers, write_json

RESUME = "resume.pt"  # all that a run needs to continue: weights, optimiser, step
# may change between start and resume
FREE = ("out", "save_seconds", "tensorboard", "workers", "cache", "device")
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


class RunFolder:
    """What one run writes. Only the main process of a run makes one.

    Files: ``config.yaml``, ``environment.json``, ``log.jsonl`` (one line an epoch), ``curves.png``,
    ``resume.pt``, ``last.safetensors``, ``best.safetensors``, ``test_last.csv``, ``test_best.csv``,
    ``result.json``.

    Args:
        folder: made if it is not there.
        config: a `TrainConfig`.
        resume: continue the run that the folder holds.

    Raises:
        InputError: the folder holds a run and ``resume`` is false, or it holds one of another
            configuration.
    """

    def __init__(self, folder, config, resume=False):
        self.folder = Path(folder)
        stored = self.folder / "config.yaml"
        if stored.is_file() and not resume:
            raise InputError(
                f"{self.folder} already holds a run; continue it with --resume, or choose "
                f"another --out."
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise InputError(
                f"{self.folder} is a file or lies in one; expected a folder for the run."
            ) from None
        if stored.is_file():
            self._compare(yaml.safe_load(stored.read_text("utf-8")), config)
            remove_leftovers(self.folder)
        else:
            write_json(self.folder / "environment.json", environment())
            config.save(
                stored
            )  # last, so that a folder with a configuration is a folder that can be resumed
        self.log_path = self.folder / "log.jsonl"

    def _compare(self, stored, config):
        for key, value in config.as_dict().items():
            if key not in FREE and stored.get(key) != value:
                raise InputError(
                    f"{self.folder} holds a run with {key}: {stored.get(key)!r}, not {value!r}; "
                    "resume it with its own configuration, or choose another --out."
                )

    def path(self, name):
        """The path of one of the run's files."""
        return self.folder / name

    def save_state(self, state):
        """Write ``resume.pt`` atomically: nested dicts and lists of tensors, numbers and text."""
        with atomic_file(self.path(RESUME)) as stream:
            torch.save(state, stream)

    def load_state(self):
        """What `save_state` wrote last, on the CPU; None if the run was killed before its first
        save.
        """
        path = self.path(RESUME)
        if not path.is_file():
            return None
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise CheckpointError(
                f"{path}: cannot be read ({type(error).__name__}); start again in another folder."
            ) from error

    def log(self, record):
        """Append one line to the log."""
        with errors_naming(self.log_path), open(self.log_path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")

    def read_log(self):
        """The records so far; a line cut off by a kill is left out."""
        return read_log(self.log_path)

    def cut_log(self, epochs):
        """Keep the records of the first ``epochs`` epochs: the rest is about to be done again."""
        records = [record for record in self.read_log() if record["epoch"] <= epochs]
        with atomic_file(self.log_path, "w") as stream:
            stream.writelines(json.dumps(record) + "\n" for record in records)

    def result(self):
        """The result of a finished run, or None."""
        path = self.path("result.json")
        return json.loads(path.read_text("utf-8")) if path.is_file() else None


def read_log(path):
    """Records of a ``log.jsonl`` file, in order; none if there is no such file."""
    path = Path(path)
    records = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else []:
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def environment():
    """Versions and hardware that a result depends on, as plain values."""
    installed = {found.name.lower(): found.version for found in distributions()}
    return {
        "command": " ".join(["python -m mgff_tutorial", *sys.argv[1:]]),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.processor(),
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
