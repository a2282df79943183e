"""Checkpoints: what is written is read back, what is wrong is refused, and a failed write changes
nothing.
"""

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mgff_tutorial.models import build_from_checkpoint
from mgff_tutorial.support import files
from mgff_tutorial.support.checkpoints import (
    load_into,
    read_checkpoint,
    read_metadata,
    save_checkpoint,
)
from mgff_tutorial.support.errors import CheckpointError

CARD = {
    "model": "toy",
    "kwargs": {"img_size": 96},
    "classes": ["a", "b", "c"],
    "seed": 0,
    "accuracy": 0.5,
}


def toy(classes=3, seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, classes))
    model.num_classes = classes
    return model


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "toy.safetensors"
    save_checkpoint(path, toy(), CARD)
    return path


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_round_trip(saved):
    state, card = read_checkpoint(saved)
    assert same(state, toy().state_dict())
    assert {key: card[key] for key in CARD} == CARD
    assert read_metadata(saved) == card
    other = toy(seed=1)
    assert load_into(other, saved)["seed"] == 0
    assert same(other.state_dict(), toy().state_dict())


def test_an_entry_that_holds_nothing_is_left_out(tmp_path):
    path = tmp_path / "toy.safetensors"
    save_checkpoint(path, toy(), {**CARD, "resize": None, "cropper": {"vit": "a", "rule": None}})
    card = read_metadata(path)
    assert "resize" not in card and card["cropper"] == {"vit": "a", "rule": None}
    assert read_checkpoint(path)[1] == card


def test_half_precision_halves_the_file_and_widens_on_loading(tmp_path):
    model = nn.Linear(256, 256)
    with torch.no_grad():
        model.bias[0] = 1e6  # beyond float16: this tensor must stay in full precision
    save_checkpoint(tmp_path / "full", model, {})
    save_checkpoint(tmp_path / "half", model, {}, half=True)
    assert os.path.getsize(tmp_path / "half") < 0.55 * os.path.getsize(tmp_path / "full")
    again = nn.Linear(256, 256)
    load_into(again, tmp_path / "half")
    assert again.weight.dtype == torch.float32 and again.bias[0] == 1e6
    assert torch.allclose(again.weight, model.weight, atol=1e-3)


def test_tied_weights_can_be_saved(tmp_path):
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    save_checkpoint(tmp_path / "tied", model, {})
    assert torch.equal(read_checkpoint(tmp_path / "tied")[0]["1.weight"], model[0].weight)


def test_every_truncation_is_refused(saved, tmp_path):
    data = saved.read_bytes()
    for tenth in range(10):
        cut = tmp_path / "cut.safetensors"
        cut.write_bytes(data[: len(data) * tenth // 10])
        with pytest.raises(CheckpointError, match="cut.safetensors"):
            read_checkpoint(cut)


def test_corrupt_header_is_refused(saved):
    data = bytearray(saved.read_bytes())
    data[8:40] = os.urandom(32)
    saved.write_bytes(data)
    with pytest.raises(CheckpointError, match="toy.safetensors"):
        load_into(toy(), saved)


@pytest.mark.parametrize(
    "header, words",
    [
        ({"version": "99"}, "version 99"),
        ({"version": '"one"'}, "version 'one'"),
        ({"version": "1", "kwargs": "[1]"}, "kwargs must be a dict"),
        ({"version": "1", "classes": "{not json"}, "card in the header is damaged"),
    ],
)
def test_bad_cards_are_refused(tmp_path, header, words):
    path = tmp_path / "card.safetensors"
    save_file({"x": torch.zeros(1)}, str(path), metadata={"format": '"mgff_tutorial"', **header})
    with pytest.raises(CheckpointError, match=words):
        read_metadata(path)


def test_class_count_and_other_model_are_named_and_nothing_is_loaded(saved):
    model = toy(classes=5, seed=1)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match="3 classes, this model has 5"):
        load_into(model, saved)
    assert same(before, model.state_dict())
    with pytest.raises(
        CheckpointError,
        match="another model: it holds 'toy' .*, this one is .*missing.*unknown",
    ):
        load_into(nn.Linear(4, 3), saved)


def test_ignored_prefixes_stay_as_they_were(saved):
    model = toy(classes=5, seed=1)
    head = model[2].weight.clone()
    load_into(model, saved, ignore=("2.",))
    assert torch.equal(model[2].weight, head) and torch.equal(model[0].weight, toy()[0].weight)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        read_checkpoint(tmp_path / "absent.safetensors")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_checkpoint(tmp_path)


class Hostile:
    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.mark.parametrize(
    "save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))]
)
@pytest.mark.parametrize("name", ["hostile.pth", "hostile.safetensors"])
def test_hostile_pickle_is_not_executed(tmp_path, monkeypatch, save, name):
    monkeypatch.chdir(tmp_path)
    save({"model": Hostile()}, tmp_path / name)
    with pytest.raises(CheckpointError, match=name):
        read_checkpoint(tmp_path / name)
    assert not (tmp_path / "executed").exists()


def test_plain_pth_is_read_and_unwrapped(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"model": toy().state_dict(), "epoch": 3}, path)
    state, card = read_checkpoint(path)
    assert same(state, toy().state_dict()) and card == {}
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(path)
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="not a state dict"):
        read_checkpoint(path)


def test_cards_must_be_json(tmp_path):
    for value in (float("nan"), object(), torch.zeros(1)):
        with pytest.raises(CheckpointError, match="JSON"):
            save_checkpoint(tmp_path / "x", toy(), {"value": value})
    with pytest.raises(CheckpointError, match="tensors only"):
        save_checkpoint(tmp_path / "x", {"a": 1}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_previous_checkpoint(saved, monkeypatch):
    """`fsync` is where a full disk shows at the latest; test_full_disk_for_real fills one."""
    before = saved.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(saved, toy(seed=1), CARD)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_full_disk_for_real(saved):
    """A file-size limit makes the kernel refuse the write in the middle of the file, as a full disk
    does.
    """
    before = saved.read_bytes()
    script = (
        "import resource, signal, sys, torch\n"
        "from mgff_tutorial.support.checkpoints import save_checkpoint\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "try:\n    save_checkpoint(sys.argv[1], torch.nn.Linear(100, 100), {})\n"
        "except OSError:\n    sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(saved)])
    assert done.returncode == 7
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_a_kill_while_writing_leaves_a_whole_checkpoint(tmp_path):
    path = tmp_path / "killed.safetensors"
    script = (
        "import sys, torch\nfrom mgff_tutorial.support.checkpoints import save_checkpoint\n"
        "model = torch.nn.Linear(1000, 1000)\nsave_checkpoint(sys.argv[1], model, {'n': 0})\n"
        "print('go', flush=True)\n"
        "for n in range(1, 10**6):\n    save_checkpoint(sys.argv[1], model, {'n': n})\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
    child.stdout.readline()
    time.sleep(0.25)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    state, card = read_checkpoint(path)
    assert state["weight"].shape == (1000, 1000) and card["n"] >= 0
    files.remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_build_from_checkpoint_needs_a_card(tmp_path, saved, monkeypatch):
    save_checkpoint(tmp_path / "bare.safetensors", toy(), {})
    with pytest.raises(CheckpointError, match="does not say which model"):
        build_from_checkpoint(tmp_path / "bare.safetensors")


def test_json_files_are_written_whole(tmp_path):
    files.write_json(tmp_path / "sub" / "x.json", {"é": 1})
    assert json.loads((tmp_path / "sub" / "x.json").read_text("utf-8")) == {"é": 1}
