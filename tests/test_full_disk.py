"""A full disk: what was written before is whole, nothing is left lying about, and one sentence
names the file.

Every writer runs against a small file system that is filled up (needs the right to mount one; else
skipped), and in a
process whose files may not grow beyond a few kilobytes, which needs no rights: the kernel refuses
    both in mid-write.
"""

import contextlib
import errno
import json
import os
import signal
import subprocess

import numpy as np
import pytest
import torch
from training_fakes import Colours, small_config, small_net

from mgff_tutorial.__main__ import main
from mgff_tutorial.evaluation.log import PredictionLog
from mgff_tutorial.evaluation.metrics import Predictions
from mgff_tutorial.experiments.results import Results, Row
from mgff_tutorial.support.checkpoints import load_into, save_checkpoint
from mgff_tutorial.support.files import write_json
from mgff_tutorial.training import Trainer, train
from mgff_tutorial.training import trainer as training
from mgff_tutorial.training.runs import RunFolder, read_log

torch.set_num_threads(1)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 512 KB."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)],
            capture_output=True,
            text=True,
        )
    except OSError as error:
        pytest.skip(f"no mount here: {error}")
    if mounted.returncode:
        pytest.skip(f"not allowed to mount a file system: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk):
    """Leave no byte free."""
    with open(disk / "filler", "wb", buffering=0) as stream:
        for size in (4096, 1):
            try:
                while True:
                    stream.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC


def checkpoint(path, size):
    save_checkpoint(path, {"weight": torch.full((size,), float(size))}, {"size": size})


def resume_state(path, size):
    folder = object.__new__(RunFolder)
    folder.folder = path.parent
    folder.save_state({"weight": torch.full((size,), float(size))})


def predictions(path, size):
    Predictions(np.full((size, 2), 0.5, np.float32), [0] * size, ["a", "b"]).write_csv(path)


def results(path, size):
    row = dict(
        configuration=f"c{size}",
        split="test",
        metric="accuracy",
        value=0.5,
        n=1,
        params=1,
        flops=1,
        seconds=1.0,
        command="x",
    )
    table = Results(path.parent, path.stem)
    table.add([dict(row, seed=seed) for seed in range(size // 10)])
    assert all(isinstance(stored, Row) for stored in table.rows)


def card(path, size):
    write_json(path, {"numbers": [size] * size})


WRITERS = {
    "weights.safetensors": checkpoint,
    "resume.pt": resume_state,
    "test_last.csv": predictions,
    "fusion.csv": results,
    "result.json": card,
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_previous_file_stays_on_a_full_disk(small_disk, name):
    path, write = small_disk / name, WRITERS[name]
    write(path, 100)
    before = path.read_bytes()
    fill(small_disk)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write(path, 20000)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert {one.name for one in small_disk.iterdir()} == {name, "filler"}
    (small_disk / "filler").unlink()
    write(path, 2000)
    assert path.read_bytes() != before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits a process made by fork")
@pytest.mark.parametrize("name", WRITERS)
def test_the_previous_file_stays_where_files_may_not_grow(tmp_path, name):
    import resource

    path, write = tmp_path / name, WRITERS[name]
    write(path, 100)
    before = path.read_bytes()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))
            write(path, 20000)
        except OSError as error:
            code = 7 if error.errno == errno.EFBIG and str(path) in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert path.read_bytes() == before and [one.name for one in tmp_path.iterdir()] == [name]


def test_lines_logged_before_stay(small_disk):
    folder = object.__new__(RunFolder)
    folder.log_path = small_disk / "log.jsonl"
    log = PredictionLog(small_disk / "predictions.jsonl")
    record = {"lr": 0.1, "train_loss": 1.0, "train_accuracy": 0.5}
    for number in (1, 2):
        folder.log({"epoch": number, **record})
        log.write([{"image": f"{number}.jpg", "error": "cut off"}])
    fill(small_disk)
    for write in (
        lambda: folder.log({"epoch": 3, **record, "text": "x" * 9000}),
        lambda: log.write([{"image": "3.jpg", "text": "x" * 9000}]),
    ):
        with pytest.raises(OSError, match=r"No space left on device: '.*\.jsonl'"):
            write()
    with contextlib.suppress(OSError):  # it may still hold the refused lines
        log.close()
    (small_disk / "filler").unlink()
    assert [record["epoch"] for record in read_log(folder.log_path)] == [1, 2]
    folder.write_log(read_log(folder.log_path))
    assert len(folder.log_path.read_text().splitlines()) == 2
    again = PredictionLog(small_disk / "predictions.jsonl", resume=True)
    assert ["1.jpg" in again, "2.jpg" in again, "3.jpg" in again] == [True, True, False]
    again.write([{"image": "3.jpg", "error": "cut off"}])
    again.close()
    assert [json.loads(line)["image"] for line in open(small_disk / "predictions.jsonl")] == [
        "1.jpg",
        "2.jpg",
        "3.jpg",
    ]


@pytest.mark.parametrize("moment", [2, 5])
def test_a_run_whose_disk_fills_up_goes_on_once_there_is_room(
    small_disk, tmp_path, monkeypatch, moment
):
    monkeypatch.setattr(training, "save_curves", lambda records, path: None)
    update = Trainer._update

    def filling(self, batches):
        if self.step == moment:
            fill(small_disk)
        update(self, batches)

    def run(out, resume=False, seed=0):
        return train(
            small_config(out, save_seconds=0.001),
            Colours(),
            Colours(13, seed=5),
            small_net(seed),
            resume,
            progress=False,
        )

    run(tmp_path / "whole")
    with (
        monkeypatch.context() as patch,
        pytest.raises(OSError, match="No space left on device: '.*'"),
    ):
        patch.setattr(Trainer, "_update", filling)
        run(small_disk / "run")
    (small_disk / "filler").unlink()
    run(small_disk / "run", resume=True, seed=7)
    assert (tmp_path / "whole" / "test_best.csv").read_text() == (
        small_disk / "run" / "test_best.csv"
    ).read_text()
    one, two = small_net(1), small_net(2)
    load_into(one, tmp_path / "whole" / "last.safetensors")
    load_into(two, small_disk / "run" / "last.safetensors")
    assert all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values())
    )


def test_a_command_says_it_in_one_sentence(small_disk, capsys):
    fill(small_disk)
    code = main(["render", "--species", "3", "--out", str(small_disk / "bird.png")])
    printed = capsys.readouterr()
    assert (
        code == 2
        and "No space left on device" in printed.err
        and len(printed.err.strip().splitlines()) == 1
    )
    assert [one.name for one in small_disk.iterdir()] == ["filler"]
