"""SIGKILL while a file is written or a command runs: files are whole, and the command goes on to
the same result.

Kills strike at named points (`support.files.reached`), so that no test depends on the speed of the
machine. ``MGFF_KILLS=20`` kills 20 times of each instead of a few.
"""

import json
import os
import shutil
import signal
from collections import Counter

import kill_fakes
import numpy as np
import pytest
import torch
from training_fakes import start
from trees import class_folders

from mgff_tutorial.evaluation.metrics import Predictions
from mgff_tutorial.models import create_model
from mgff_tutorial.support import files
from mgff_tutorial.support.checkpoints import load_into, read_checkpoint, save_checkpoint
from mgff_tutorial.support.files import remove_leftovers, write_json

torch.set_num_threads(1)
KILLS = int(os.environ.get("MGFF_KILLS", 4))
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes made by fork")


POINTS = ("opened", "written", "synced", "replaced")


def killed_while(write, point, number):
    """Fork, write version after version, SIGKILL at the ``number``-th time that a point of the
    writer is reached; returns whether it was killed.
    """
    child = os.fork()
    if child == 0:
        files.reached = kill_fakes.Killer(point, number)
        try:
            for version in range(1, number + 2):
                write(version)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def write_checkpoint(path, version):
    layer = torch.nn.Linear(200, 200)
    torch.nn.init.constant_(layer.weight, version)
    save_checkpoint(path, layer, {"version_written": version})


def read_checkpoint_back(path):
    layer = torch.nn.Linear(200, 200)
    card = load_into(layer, path)
    assert (layer.weight == card["version_written"]).all(), (
        "weights of one version, card of another"
    )


def read_json_back(path):
    value = json.loads(path.read_text())
    assert value["numbers"] == [value["n"]] * 5000


def write_table(path, version):
    Predictions(torch.full((2000, 2), 0.5).numpy(), [0] * 2000, ["a", "b"]).write_csv(
        path, names=[version] * 2000
    )


def read_table_back(path):
    rows = path.read_text().splitlines()
    assert len(rows) == 2001 and len({row.split(",")[1] for row in rows[1:]}) == 1


@pytest.mark.parametrize(
    "write, read",
    [
        (write_checkpoint, read_checkpoint_back),
        (write_table, read_table_back),
        (lambda path, n: write_json(path, {"n": n, "numbers": [n] * 5000}), read_json_back),
    ],
    ids=["checkpoint", "table", "json"],
)
def test_what_was_written_last_is_whole(tmp_path, write, read):
    path = tmp_path / "file"
    write(path, 0)
    for number in range(KILLS):
        point = POINTS[number % len(POINTS)]
        assert killed_while(lambda version: write(path, version), point, 1 + number % 3)
        read(path)
    remove_leftovers(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


# --- whole commands, killed at named points ----------


def prepared(kind, folder):
    """What the command of a kind starts from."""
    folder.mkdir()
    if kind == "predict":
        class_folders(folder / "birds", ("a", "b"))
    elif kind == "evaluate --publish":
        class_folders(folder / "birds", ("a", "b"), per_class=8)
    if kind in ("predict", "evaluate --publish"):
        torch.manual_seed(0)
        card = {"model": "swin_nano", "kwargs": {"img_size": 32}, "classes": ["a", "b"]}
        card |= {"img_size": 32, "resize": 32, "data": str(folder / "birds")}
        model = create_model("swin_nano", num_classes=2, img_size=32)
        save_checkpoint(folder / "model.safetensors", model, card)


def finish(kind, folder, *more):
    process = start(kill_fakes.killed, kind, folder, *more)
    process.join()
    return process.exitcode


def content(folder):
    """Every file, with what counts in it: not how long a run took, nor the order of a header."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".safetensors":
            state, card = read_checkpoint(path)
            tensors = {key: tensor.numpy().tobytes() for key, tensor in state.items()}
            found[name] = tensors, card
        elif path.name == "result.json":
            found[name] = {**json.loads(path.read_text()), "seconds": 0}
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                found[name] = {key: arrays[key].tobytes() for key in arrays.files}
        elif path.name not in ("resume.pt", "environment.json", "curves.png"):
            found[name] = path.read_bytes()
    return found


@pytest.mark.parametrize("kind", list(kill_fakes.KINDS))
def test_a_killed_command_goes_on_to_the_same_files(kind, tmp_path):
    """Killed once at each of a few points, evenly spread over all that a whole run passes; each
    time continued. ``MGFF_KILLS=20`` kills at 20 points of each command.
    """
    folder, tally = tmp_path / "work", tmp_path / "tally"
    prepared(kind, folder)
    assert finish(kind, folder, tally) == 0
    whole = content(folder)
    counts = [line.rsplit(" ", 1) for line in tally.read_text().splitlines()]
    points = [(name, number + 1) for name, count in counts for number in range(int(count))]
    step = max(1, len(points) / int(os.environ.get("MGFF_KILLS", 2)))
    struck = Counter()
    for place in np.arange(step / 2, len(points), step).astype(int):
        point, number = points[place]
        shutil.rmtree(folder)
        prepared(kind, folder)
        assert finish(kind, folder, None, point, number) == -signal.SIGKILL, (point, number)
        for path in folder.rglob("*.safetensors"):
            read_checkpoint(path)  # whole, whatever was being written
        assert finish(kind, folder) == 0, (point, number)
        assert content(folder) == whole, (point, number)
        struck[point] += 1
    print(f"\nkills of {kind}: {dict(struck)} of {len(points)} points")
