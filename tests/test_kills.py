"""SIGKILL at any moment while a checkpoint, a log or a table is written: the previous one or the
next one is there, whole.

``MGFF_KILLS=200`` kills 200 writers of each instead of a few.
"""

import json
import os
import random
import signal
import time

import pytest
import torch

from mgff_tutorial.evaluation.metrics import Predictions
from mgff_tutorial.support.checkpoints import load_into, save_checkpoint
from mgff_tutorial.support.files import remove_leftovers, write_json

torch.set_num_threads(1)
KILLS = int(os.environ.get("MGFF_KILLS", 8))
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes made by fork")


def killed_while(write, draw):
    """Fork, write version after version, SIGKILL it after a random time; returns whether it was
    killed.
    """
    child = os.fork()
    if child == 0:
        version = 0
        try:
            while True:
                version += 1
                write(version)
        finally:
            os._exit(1)
    time.sleep(draw.uniform(0, 0.15))
    os.kill(child, signal.SIGKILL)
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
    path, draw = tmp_path / "file", random.Random(0)
    write(path, 0)
    for _ in range(KILLS):
        assert killed_while(lambda version: write(path, version), draw)
        read(path)
    remove_leftovers(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
