"""Nothing of the user's is lost, and nothing wrong passes as a result: what a command must leave as
it was, and which states it must notice.
"""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from training_fakes import Colours, small_config, small_net
from trees import class_folders

from mgff_tutorial.__main__ import main
from mgff_tutorial.datasets import open_dataset
from mgff_tutorial.datasets.digest import difference, fingerprint
from mgff_tutorial.evaluation.log import PredictionLog
from mgff_tutorial.experiments.results import Results
from mgff_tutorial.models import create_model
from mgff_tutorial.renderer import dataset as sketchbirds
from mgff_tutorial.support import files, locks
from mgff_tutorial.support.checkpoints import read_checkpoint, read_metadata, save_checkpoint
from mgff_tutorial.support.errors import CheckpointError, DataError, InputError
from mgff_tutorial.training import trainer as training
from mgff_tutorial.training.trainer import TrainingStopped, train

torch.set_num_threads(1)
CARD = {
    "model": "swin_nano",
    "kwargs": {"img_size": 32},
    "classes": ["a", "b"],
    "img_size": 32,
    "resize": 32,
}


def call(capsys, *arguments):
    """Exit code, what was printed; every failure is one sentence."""
    code = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err and code != 3, printed.err
    return code, printed.out, printed.err


def refused(capsys, words, *arguments):
    code, _, err = call(capsys, *arguments)
    assert code == 2 and words in err and err.startswith("error: "), (code, err)
    assert err.count("\n") == 1, err


def state_of(folder):
    """Every file and link below a folder, with its content."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    monkeypatch.setattr(training, "save_curves", lambda records, path: None)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two classes of pictures and a classifier of one stage."""
    root = tmp_path_factory.mktemp("world")
    class_folders(root / "birds", ("a", "b"))
    torch.manual_seed(0)
    model = create_model("swin_nano", num_classes=2, img_size=32)
    save_checkpoint(root / "model.safetensors", model, {**CARD, "data": str(root / "birds")})
    return root


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """SketchBirds of two species, with one training picture and one test picture each."""
    with pytest.MonkeyPatch.context() as patch:
        few(patch)
        return sketchbirds.write_sketchbirds(tmp_path_factory.mktemp("d") / "birds", False, 1)


def few(patch):
    patch.setattr(sketchbirds, "SPECIES", sketchbirds.SPECIES[:2])
    patch.setattr(sketchbirds, "IMAGES_PER_SPLIT", 1)


def run(out, resume=False, data=None, net=None, **changes):
    data = data or (Colours(), Colours(13, seed=5))
    config = small_config(out, **changes)
    return train(config, *data, net or small_net(), resume, progress=False)


# --- files that are not ours ----------


def listed(folder, name, text="mine"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    digest = sketchbirds._digest(folder / name)
    with open(folder / "checksums.txt", "a") as stream:
        stream.write(f"{digest}  {name}\n")


FOLDERS = {
    "checksums of one's own": lambda f: listed(f, "thesis.txt"),
    "checksums alone": lambda f: (f / "checksums.txt").write_text(""),
    "one more file": lambda f: (f / "notes.txt").write_text("mine"),
    "one more picture": lambda f: (f / "images" / "mine.jpg").write_bytes(b"mine"),
    "a listed file of one's own": lambda f: listed(f, "mine.txt"),
    "a changed file": lambda f: (f / "classes.txt").write_text("1 mine\n"),
    "a link": lambda f: (f / "images" / "link").symlink_to(f / "classes.txt"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_render_replaces_only_what_it_wrote(name, drawn, tmp_path, monkeypatch, capsys):
    few(monkeypatch)
    folder = tmp_path / "birds"
    if name.startswith("checksums"):
        folder.mkdir()
    else:
        shutil.copytree(drawn, folder)
    FOLDERS[name](folder)
    before = state_of(tmp_path)
    refused(capsys, "cannot be replaced", "render", "--out", folder)
    assert state_of(tmp_path) == before


def test_render_replaces_its_own_behind_a_link(drawn, tmp_path, monkeypatch, capsys):
    few(monkeypatch)
    shutil.copytree(drawn, tmp_path / "real")
    (tmp_path / "real" / "classes.txt").unlink()  # a lost file is drawn again
    (tmp_path / "link").symlink_to("real")
    code, _, _ = call(capsys, "render", "--out", tmp_path / "link", "--training-images", 1)
    assert code == 0 and (tmp_path / "link").is_symlink()
    assert state_of(tmp_path / "real") == state_of(drawn)
    assert {path.name for path in tmp_path.iterdir()} == {"real", "link"}
    monkeypatch.chdir(tmp_path / "real")
    for here in (".", "..", tmp_path):
        refused(capsys, "the folder that this program runs in", "render", "--out", here)


def test_render_clears_away_what_a_killed_one_left(drawn, tmp_path, monkeypatch):
    few(monkeypatch)
    dead, alive = tmp_path / ".birds.0a.mgff-tmp", tmp_path / ".birds.0b.mgff-tmp"
    for folder in (dead, alive, tmp_path / ".other.0a.mgff-tmp"):
        folder.mkdir()
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(alive)], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"held\n"
    sketchbirds.write_sketchbirds(tmp_path / "birds", False, 1)
    child.kill()
    child.communicate()
    assert {p.name for p in tmp_path.iterdir()} == {"birds", alive.name, ".other.0a.mgff-tmp"}


def test_evaluate_publishes_last_and_never_onto_itself(world, tmp_path, capsys):
    shutil.copy(world / "model.safetensors", tmp_path / "run.safetensors")
    (tmp_path / "link.safetensors").symlink_to("run.safetensors")
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    shutil.copy(world / "model.safetensors", tmp_path / "other.safetensors")
    before, run = state_of(tmp_path), tmp_path / "run.safetensors"
    common = ["evaluate", run, "--device", "cpu", "--quiet"]
    for name, words in (
        ("run.safetensors", "is the checkpoint itself"),
        ("link.safetensors", "is the checkpoint itself"),
        ("photo.jpg", "photo.jpg"),
    ):
        refused(capsys, words, *common, "--publish", tmp_path / name)
    refused(capsys, "is the checkpoint itself", *common, "--csv", run)
    other = ["--publish", tmp_path / "other.safetensors"]
    refused(capsys, "no/such does not exist", *common, *other, "--data", "no/such")
    refused(capsys, "is a file, not a folder", *common, "--publish", tmp_path / "photo.jpg" / "x")
    assert state_of(tmp_path) == before
    code, out, _ = call(capsys, *common, *other)
    assert code == 0 and "reproduces the card: yes" in out
    assert read_metadata(tmp_path / "other.safetensors")["count"] == 2
    assert run.read_bytes() == before["run.safetensors"]


NOTES = {
    "a note in one line": '{"todo": "water the plants"}',
    "text in one line": "remember the milk",
    "two lines": '{"todo": 1}\n{"todo": 2}\n',
    "predictions, then a note": '{"image": "a.png", "species": "a", "probability": 1.0}\nmilk\n',
    "an end that is no prediction": '{"image": "a.png", "species": "a", "probability": 1.0}\nmilk',
    "a probability above 1": '{"image": "a.png", "species": "a", "probability": 7.5}\n',
    "a foreign species": '{"image": "a.png", "species": "lion", "probability": 0.5}\n',
    "two stages": '{"image": "a", "species": "a", "probability": 0.5, "box": [0, 0, 1, 1]}\n',
    "NaN": '{"image": "a.png", "species": "a", "probability": NaN}\n',
    "no name": '{"image": "", "error": "x"}\n',
}


@pytest.mark.parametrize("name", NOTES)
def test_predict_continues_only_its_own_file(name, world, tmp_path, capsys):
    (tmp_path / "out.jsonl").write_text(NOTES[name])
    model = ["--checkpoint", world / "model.safetensors", "--device", "cpu", "--one-stage"]
    out = ["--out", tmp_path / "out.jsonl", "--resume", "--quiet"]
    refused(capsys, "out.jsonl line", "predict", world / "birds", *model, *out)
    assert (tmp_path / "out.jsonl").read_text() == NOTES[name]


def test_a_prediction_cut_off_at_any_byte_is_continued(tmp_path):
    line = b'{"image": "a.png", "species": "a", "probability": 1.0}\n'
    for size in range(len(line)):
        (tmp_path / "log").write_bytes(line + line[:size])
        log = PredictionLog(tmp_path / "log", resume=True)
        log.close()
        assert (tmp_path / "log").read_bytes() == line and "a.png" in log
    log = PredictionLog(tmp_path / "log", resume=True)
    with pytest.raises(InputError, match="being written by another process"):
        PredictionLog(tmp_path / "log", resume=True)
    log.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this file system")
def test_writers_replace_files_alone(tmp_path, capsys):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file.png").write_bytes(b"old")
    os.chmod(tmp_path / "real" / "file.png", 0o640)
    (tmp_path / "link.png").symlink_to("real/file.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "null.png").symlink_to(os.devnull)
    os.mkfifo(tmp_path / "pipe.png")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s.png"))
    for name in ("loop.png", "null.png", "pipe.png", "s.png"):
        out = ["--out", tmp_path / name]
        refused(capsys, "is a device, a pipe or a loop", "render", "--species", "3", *out)
    server.close()
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode) and (tmp_path / "null.png").is_symlink()
    with files.atomic_file(tmp_path / "link.png") as stream:
        stream.write(b"new")
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real" / "file.png").read_bytes() == b"new"
    assert (tmp_path / "real" / "file.png").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["file.png"]


def test_leftovers_of_others_stay(tmp_path):
    for name in (".mine.tmp", ".file.0a1b.mgff-tmp", "file.tmp"):
        (tmp_path / name).write_text("x")
    files.remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".mine.tmp", "file.tmp"}


@pytest.mark.parametrize("name", ["result.json", "resume.pt", "log.jsonl", "last.safetensors"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_without_configuration_is_not_taken_over(name, resume, tmp_path):
    run(tmp_path / "old", epochs=1)
    (tmp_path / "new").mkdir()
    shutil.copy(tmp_path / "old" / name, tmp_path / "new" / name)
    before = state_of(tmp_path / "new")
    with pytest.raises(InputError, match=f"holds {name}, but no config.yaml"):
        run(tmp_path / "new", resume, epochs=1, lr=0.5, seed=7)
    assert state_of(tmp_path / "new") == before


def test_settings_that_fail_leave_no_folder(tmp_path):
    for changes in ({"optimizer": "adamx"}, {"checkpoint_activations": True}):
        with pytest.raises(InputError):
            run(tmp_path / "run", **changes)
    assert not list(tmp_path.iterdir())


def test_unpacking_that_fails_leaves_no_folder(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"no archive")
    with pytest.raises(DataError):
        files_before = state_of(tmp_path)
        from mgff_tutorial.datasets.unpack import unpack

        unpack(tmp_path / "x.zip", tmp_path / "a" / "b")
    assert state_of(tmp_path) == files_before and not (tmp_path / "a").exists()


# --- states that must be noticed ----------


def swap(root):
    for old, new in (("a", "z"), ("b", "a"), ("z", "b")):
        (root / old).rename(root / new)


CHANGES = {
    "two classes swapped": (swap, "images of class 'a' are others"),
    "a class renamed": (lambda r: (r / "a").rename(r / "z"), "'a' is gone and class 'z' is new"),
    "a class added": (lambda r: class_folders(r, ("d",)), "class 'd' is new"),
    "a class removed": (lambda r: shutil.rmtree(r / "b"), "class 'b' is gone"),
    "images removed": (
        lambda r: [(r / "a" / f"{k}.jpg").unlink() for k in (0, 1)],
        "class 'a' had",
    ),
    "another image": (
        lambda r: shutil.copy(r / "b" / "0.jpg", r / "a" / "0.jpg"),
        "images of class 'a' are others",
    ),
}


def splits(root):
    return [open_dataset("folder", root, split) for split in ("train", "test")]


@pytest.mark.parametrize("name", CHANGES)
def test_resume_after_the_data_changed(name, tmp_path):
    class_folders(tmp_path / "birds", ("a", "b", "c"), per_class=8)
    change, words = CHANGES[name]
    run(tmp_path / "run", data=splits(tmp_path / "birds"), epochs=1, net=small_net(num_classes=3))
    change(tmp_path / "birds")
    before = state_of(tmp_path / "run")
    with pytest.raises(InputError, match=words):
        data = splits(tmp_path / "birds")
        net = small_net(num_classes=len(data[0].classes))
        run(tmp_path / "run", True, data=data, epochs=1, net=net)
    assert state_of(tmp_path / "run") == before


def test_the_digest_goes_with_the_data_to_another_place(tmp_path):
    class_folders(tmp_path / "birds", ("a", "b"))
    shutil.copytree(tmp_path / "birds", tmp_path / "moved")
    one, two = (fingerprint(*splits(tmp_path / name)) for name in ("birds", "moved"))
    assert difference(one, two) is None and difference(json.loads(json.dumps(one)), two) is None
    assert "order" in difference(one, {**two, "order": {"train": "x", "test": "y"}})


HOLD = """
import sys, time
from mgff_tutorial.support.locks import FolderLock
lock = FolderLock(sys.argv[1])
print("held", flush=True)
time.sleep(600)
"""


def test_one_process_at_a_time_in_a_run_folder(tmp_path):
    """Refused while the other lives; continued at once after its SIGKILL, lock file or not."""
    run(tmp_path, epochs=1)
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"held\n"
    before = state_of(tmp_path)
    with pytest.raises(InputError, match=f"is in use by process {child.pid} on "):
        run(tmp_path, resume=True, epochs=1)
    assert state_of(tmp_path) == before
    child.kill()
    child.communicate()
    assert (tmp_path / "run.lock").is_file()
    begun = time.monotonic()
    run(tmp_path, resume=True, epochs=1)
    assert time.monotonic() - begun < locks.PATIENCE and not (tmp_path / "run.lock").exists()


def foreign_lock(folder, beats):
    who = {"host": "elsewhere", "pid": 1, "token": "x", "beats": beats}
    (folder / "run.lock").write_text(json.dumps(who) + "\n")


@pytest.mark.filterwarnings("ignore:.*another machine")
def test_a_lock_of_another_machine_counts_while_it_beats(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.5)
    foreign_lock(tmp_path, 1)
    beats = iter(range(2, 10_000))
    monkeypatch.setattr(locks.time, "sleep", lambda s: foreign_lock(tmp_path, next(beats)))
    with pytest.raises(InputError, match="is in use by process 1 on elsewhere"):
        locks.FolderLock(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(locks, "PATIENCE", 0.5)
    lock = locks.FolderLock(tmp_path)
    lock.check()
    assert json.loads((tmp_path / "run.lock").read_text())["pid"] == os.getpid()
    (tmp_path / "run.lock").unlink()
    foreign_lock(tmp_path, 1)
    with pytest.raises(InputError, match="taken over by another process"):
        lock.check()
    lock.release()
    assert (tmp_path / "run.lock").is_file(), "the other's lock is not ours to delete"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_the_holder_neither_holds_nor_frees(tmp_path):
    """A loader process that outlives its trainer does not keep the folder."""
    lock = locks.FolderLock(tmp_path)
    child = os.fork()
    if child == 0:
        os._exit(7 if not locks._held and not lock.release.alive else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    lock.check()
    again = locks.FolderLock(tmp_path)  # the newest of one process wins
    with pytest.raises(InputError, match="taken over"):
        lock.check()
    again.release()
    again.release()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(value, world, tmp_path, capsys):
    from safetensors.torch import load_file, save_file

    state = load_file(world / "model.safetensors")
    from safetensors import safe_open

    with safe_open(world / "model.safetensors", framework="pt") as file:
        header = file.metadata()
    key = next(key for key, tensor in state.items() if tensor.is_floating_point())
    bad = {
        "value": state[key].flatten().index_fill(0, torch.tensor([0]), value),
        "whole": state[key].flatten().long(),
        "yes or no": state[key].flatten() > 0,
    }
    for name, words in (
        ("value", "holds NaN or infinite numbers"),
        ("whole", "holds int64"),
        ("yes or no", "holds bool"),
    ):
        broken = {**state, key: bad[name].reshape(state[key].shape).contiguous()}
        save_file(broken, tmp_path / "bad.safetensors", metadata=header)
        model = [tmp_path / "bad.safetensors", "--device", "cpu"]
        refused(capsys, words, "evaluate", *model, "--publish", tmp_path / "public.safetensors")
        refused(capsys, words, "predict", world / "birds", "--one-stage", "--checkpoint", *model)
        with pytest.raises(CheckpointError, match=words):
            save_checkpoint(tmp_path / "new.safetensors", broken, {})
    assert [path.name for path in tmp_path.iterdir()] == ["bad.safetensors"]


def test_weights_that_overflow_are_no_prediction(world, tmp_path, capsys):
    state, card = read_checkpoint(world / "model.safetensors")
    state = {k: v * 1e30 if v.is_floating_point() else v for k, v in state.items()}
    save_checkpoint(tmp_path / "m.safetensors", state, card)
    model = [tmp_path / "m.safetensors", "--device", "cpu"]
    refused(capsys, "gives NaN", "evaluate", *model, "--quiet")
    args = ["predict", world / "birds", "--one-stage", "--json", "--checkpoint", *model]
    refused(capsys, "gives NaN", *args)


def test_a_run_stops_before_it_saves_weights_that_are_no_numbers(tmp_path):
    """The loss stays finite: the weight that breaks is not used in training."""

    class Late(type(small_net())):
        def __init__(self):
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x):
            if self.training and int(self.stem[1].num_batches_tracked) == 4:
                self.unused.data.fill_(float("nan"))
            return super().forward(x)

    with pytest.raises(TrainingStopped, match="Weights are NaN .* after update 5.*smaller lr"):
        run(tmp_path, net=Late(), save_seconds=0)
    assert not (tmp_path / "result.json").exists()
    assert torch.isfinite(torch.load(tmp_path / "resume.pt")["model"]["unused"]).all()


def row(**changes):
    usual = {"configuration": "c", "split": "test", "metric": "accuracy", "value": 0.5, "n": 4}
    usual["command"] = "python -m mgff_tutorial ablate"
    return {**usual, **changes}


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"value": 7.5}, "says 7.5 for accuracy, a share from 0 to 1"),
        ({"value": -3}, "says -3.0 for accuracy"),
        ({"metric": "accuracy at lr=1", "value": 2}, "a share from 0 to 1"),
        ({"metric": "IoU above 0.5", "value": 1.5}, "a share from 0 to 1"),
        ({"metric": "log-loss", "value": -0.1}, "never below 0"),
        ({"n": -1}, "says -1 for n"),
        ({"seed": -1}, "says -1 for seed"),
        ({"value": 0.75}, "says 0.75 of 4 images; the predictions beside it make 0.500000"),
        ({"n": 5}, "says 0.5 of 5 images"),
    ],
)
def test_results_out_of_range_or_against_their_predictions(changes, words, tmp_path, capsys):
    arrays = {"c/0/test": np.array([0, 1, 0, 1]), "labels/test": np.array([0, 1, 1, 0])}
    Results(tmp_path, "fusion-sketchbirds").add([row(**changes)], arrays)
    with pytest.raises(DataError, match=words.replace("(", r"\(")):
        Results(tmp_path, "fusion-sketchbirds")
    show = ["ablate", "--show", "--experiment", "fusion-sketchbirds", "--out", tmp_path]
    refused(capsys, words, *show)


def test_results_of_two_processes_are_not_lost(tmp_path):
    one, two = Results(tmp_path, "x"), Results(tmp_path, "x")
    one.add([row()])
    with pytest.raises(InputError, match="was changed by another process"):
        two.add([row(seed=1)])
    assert len(Results(tmp_path, "x").rows) == 1


def test_a_recipe_whose_name_begins_with_pretrain(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pretrain_mine.yaml").write_text("epochs: 0\n")
    refused(capsys, "epochs must be from 1", "train", "--config", "pretrain_mine.yaml")
    refused(capsys, "Unknown config 'pretrainx'", "train", "--config", "pretrainx")
    refused(capsys, "lr must be", "train", "--config", "pretrain", "--set", "lr=fast")
    assert [path.name for path in tmp_path.iterdir()] == ["pretrain_mine.yaml"]


def test_pretraining_takes_no_foreign_folder(tmp_path, capsys):
    (tmp_path / "log.jsonl").write_text("mine\n")
    refused(capsys, "holds log.jsonl, but", "train", "--config", "pretrain", "--out", tmp_path)
    assert state_of(tmp_path) == {"log.jsonl": b"mine\n"}


def test_a_lost_log_is_restored(tmp_path):
    run(tmp_path / "whole", epochs=3)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(files, "reached", lambda point: stop(point))
        run(tmp_path / "cut", epochs=3, save_seconds=0)
    (tmp_path / "cut" / "log.jsonl").write_text("nonsense\n")
    (tmp_path / "cut" / "environment.json").unlink()
    run(tmp_path / "cut", True, epochs=3, save_seconds=0)
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "cut")]
    assert logs[0] == logs[1] and (tmp_path / "cut" / "environment.json").is_file()


counts = {}


def stop(point):
    counts[point] = counts.get(point, 0) + 1
    if point == "update" and counts[point] == 5:
        raise KeyboardInterrupt


# --- bounds ----------

DEEP_YAML = "[" * 2000 + "]" * 2000
DEEP_JSON = '{"a": ' * 2000 + "1" + "}" * 2000
BOUNDS = {
    "epochs": (["--epochs", "99999999999999"], "from 1 to 100000"),
    "img-size": (["--img-size", "100000"], "img_size must be from 8 to 4096"),
    "img-size 1": (["--img-size", "1", "--pretrained", "false"], "img_size"),
    "digits": (["--set", f"epochs={'9' * 5000}"], "epochs"),
    "digits of a float": (["--set", f"lr={'9' * 5000}"], "lr"),
    "digits in kwargs": (["--set", f"model_kwargs.heads={'9' * 4000}"], "64 bits"),
    "deep": (["--set", f"model_kwargs.a={DEEP_YAML}"], "nested more than 50 deep"),
    "deep scale": (["--set", f"scale={'[' * 40}{']' * 40}"], "scale"),
    "references": (["--set", "scale=[&a [1, 1], *a]"], "references"),
    "NUL": (["--set", 'data="a\\0b"'], "data must be text"),
    "surrogate": (["--set", 'data="\\ud800"'], "data"),
    "surrogate in argv": (["--data", "\ud800"], "data must be text"),
    "bytes of another encoding": (["--root", "\udcff"], "root must be text"),
    "a date": (["--set", "model_kwargs.a=2024-01-01"], "plain values"),
    "threads": (["--threads", "-1"], "--threads must be an integer from 1 to 1024"),
    "many threads": (["--threads", "99999999999"], "--threads"),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_train_refuses_at_once(name, tmp_path, capsys):
    arguments, words = BOUNDS[name]
    begun = time.monotonic()
    refused(capsys, words, "train", "--quiet", "--out", tmp_path / "run", *arguments)
    assert time.monotonic() - begun < 10 and not list(tmp_path.iterdir())


def test_other_commands_refuse_at_once(world, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "mgff_tutorial.benchmark.timing.measure", lambda *a, **k: pytest.fail("ran")
    )
    birds, model = world / "birds", ["--checkpoint", world / "model.safetensors"]
    for words, arguments in (
        ("--threads", ["benchmark", "--threads", "-1"]),
        ("--threads", ["benchmark", "--threads", "9999999999"]),
        ("is a file, not a folder", ["benchmark", "--output", world / "model.safetensors" / "x"]),
        ("--workers", ["data", "check", "folder", "--root", birds, "--workers", "-1"]),
        ("--workers", ["evaluate", *model, "--workers", "99999999"]),
        ("--batch-size", ["predict", birds, *model, "--batch-size", "999999999"]),
        ("--seeds", ["ablate", "--experiment", "fusion-sketchbirds", "--seeds", "99999999999"]),
        ("'²'", ["render", "--species", "²", "--out", tmp_path / "x.png"]),
        ("no file can be called", ["render", "--species", "1", "--out", "a\ud800.png"]),
        ("size", ["render", "--species", "1", "--size", "100000", "--out", tmp_path / "x.png"]),
    ):
        refused(capsys, words, *arguments)
    assert not list(tmp_path.iterdir())


def test_a_small_weight_file_that_would_be_large(tmp_path, capsys):
    """200 MB of zeros, deflated to 200 KB: refused unread."""
    torch.save({"weight": torch.zeros(50_000_000)}, tmp_path / "big.pth")
    with (
        zipfile.ZipFile(tmp_path / "big.pth") as big,
        zipfile.ZipFile(tmp_path / "small.pth", "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for part in big.infolist():
            small.writestr(part.filename, big.read(part))
    assert (tmp_path / "small.pth").stat().st_size < 300_000
    args = ["train", "--quiet", "--out", tmp_path / "run", "--pretrained", tmp_path / "small.pth"]
    refused(capsys, "compressed parts", *args)


def test_nested_files(world, tmp_path, capsys):
    (tmp_path / "deep.yaml").write_text(f"scale: {DEEP_YAML}\n")
    refused(capsys, "nested more than 50", "train", "--config", tmp_path / "deep.yaml")
    (tmp_path / "log.jsonl").write_text(DEEP_JSON + "\n")
    args = ["--checkpoint", world / "model.safetensors", "--device", "cpu", "--one-stage"]
    out = ["--out", tmp_path / "log.jsonl", "--resume"]
    refused(capsys, "nested more than 50", "predict", world / "birds", *args, *out)


# --- one sentence, and nothing that steers a terminal ----------


def test_an_unexpected_error_says_that_it_is_a_defect(monkeypatch, capsys, tmp_path):
    def broken(*_, **__):
        raise KeyError("no such \x1b[31mthing")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("mgff_tutorial.commands.render.render", broken)
    code = main(["render", "--species", "1", "--out", str(tmp_path / "x.png")])
    err = capsys.readouterr().err
    (report,) = tmp_path.iterdir()
    assert code == 3 and err.count("\n") == 1 and "\x1b" not in err and str(report) in err
    assert "this is a defect of mgff_tutorial" in err
    assert "in broken" in report.read_text() and "Traceback" in report.read_text()


def test_control_characters_of_file_names_are_not_printed(world, tmp_path, capsys):
    evil = "\x1b]0;owned\x07\x1b[2J\u202e"
    class_folders(tmp_path / evil, (f"a{evil}", "b"))
    (tmp_path / evil / "b" / f"{evil}.jpg").write_text("no picture")
    data = tmp_path / evil
    shutil.copy(world / "model.safetensors", tmp_path / f"{evil}.safetensors")
    for arguments in (
        ["data", "check", "folder", "--root", data],
        ["predict", data, "--checkpoint", world / "model.safetensors", "--one-stage"],
        ["evaluate", tmp_path / f"{evil}.safetensors", "--data", world / "birds", "--quiet"],
        ["train", "--out", tmp_path / "run", "--data", tmp_path / f"no{evil}"],
        ["train", "--out", tmp_path / "run", "--config", tmp_path / f"{evil}.yaml"],
        ["render", "--verify", "--out", data],
        ["data", "unpack", tmp_path / f"{evil}.safetensors", "--to", tmp_path / "x"],
    ):
        code = main([*map(str, arguments), *(["--device", "cpu"] if "pre" in arguments[0] else [])])
        printed = capsys.readouterr()
        assert code in (0, 1, 2), printed.err
        for character in "\x1b\x07\u202e":
            assert character not in printed.out + printed.err, arguments
    with pytest.raises(SystemExit):
        main(["predict", "x", evil])
    assert "\x1b" not in capsys.readouterr().err


def test_verify_stays_in_its_folder(drawn, tmp_path, capsys):
    (tmp_path / "secret").write_text("mine")
    for name in ("../secret", "/etc/passwd", "images/../../secret", "..\\secret", "C:/x"):
        shutil.rmtree(tmp_path / "birds", ignore_errors=True)
        shutil.copytree(drawn, tmp_path / "birds")
        with open(tmp_path / "birds" / "checksums.txt", "a") as stream:
            stream.write(f"{'0' * 64}  {name}\n")
        verify = ["render", "--verify", "--out", tmp_path / "birds"]
        refused(capsys, "is no path in that folder", *verify)


def process(*arguments, **options):
    environment = {**os.environ, **options.pop("env", {})}
    command = [sys.executable, "-m", "mgff_tutorial", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, **options)


def test_an_ascii_terminal(tmp_path):
    """A name that it cannot show is shown by its codes."""
    class_folders(tmp_path / "Vögel", ("Blåmeis", "Amsel"))
    (tmp_path / "Vögel" / "Blåmeis" / "ü.jpg").write_text("no picture")
    found = process(
        *("data", "check", "folder", "--root", tmp_path / "Vögel"),
        env={"PYTHONIOENCODING": "ascii:strict"},
    )
    assert found.returncode == 1 and "Traceback" not in found.stderr
    assert "Bl\\xe5meis" in found.stdout


def test_an_archive_whose_name_is_no_text(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff.zip"
    try:
        Path(os.fsdecode(name)).write_bytes(b"no archive")
    except OSError:
        pytest.skip("this file system takes text alone")
    found = process("data", "unpack", os.fsdecode(name), "--to", tmp_path / "out")
    assert found.returncode in (1, 2) and "Traceback" not in found.stderr
    assert "neither a .tar nor a .zip" in found.stderr


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_during_imports_is_no_traceback(tmp_path):
    """SIGINT as soon as the first module of a command is imported."""
    script = (
        "import os, signal, sys\nsys.argv[0] = '-m'\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'mgff_tutorial.commands.predict' or name == 'torch':\n"
        "            sys.meta_path.remove(self)\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from mgff_tutorial.__main__ import main\n"
        "sys.exit(main(['predict', 'x']))\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 130 and found.stderr == "stopped.\n"


CARDS = {
    "null model": {"model": None},
    "no name": {"model": 7},
    "long name": {"model": "x" * 10_000},
    "kwargs": {"kwargs": [1]},
    "huge side": {"img_size": 100_000},
    "huge side of the model": {"kwargs": {"img_size": 10**6}},
    "side as text": {"resize": "96"},
    "fewer classes": {"kwargs": {"img_size": 32, "num_classes": 5}},
    "a class twice": {"classes": ["a", "a"]},
    "classes that are no text": {"classes": [1, 2]},
    "no classes": {"classes": []},
    "correct without count": {"correct": 2},
    "count without correct": {"count": 2},
    "more right than there are": {"correct": 3, "count": 2},
    "another accuracy": {"correct": 1, "count": 2, "accuracy": 0.9},
    "accuracy above 1": {"accuracy": 7.5},
    "two stages": {"two_stage": {"correct": 5}},
    "std of 0": {"std": [0, 1, 1]},
    "mean of two": {"mean": [0.5, 0.5]},
    "version": {"version": 99},
    "no version": {"version": None},
    "version yes": {"version": True},
    "split": {"split": "validation"},
}


@pytest.mark.parametrize("name", CARDS)
def test_cards_that_contradict_themselves(name, world, tmp_path, capsys):
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(world / "model.safetensors", framework="pt") as file:
        header = file.metadata()
    header |= {key: json.dumps(value) for key, value in CARDS[name].items()}
    path = tmp_path / "card.safetensors"
    save_file(load_file(world / "model.safetensors"), path, metadata=header)
    refused(capsys, "card.safetensors", "evaluate", path, "--device", "cpu", "--quiet")


def test_a_run_folder_says_what_is_wrong_with_it(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(InputError, match="config.yaml must hold entries"):
        run(tmp_path, resume=True)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"lr": 0.01}))
    with pytest.raises(InputError, match="holds a run with model: None, not 'small'"):
        run(tmp_path, resume=True)
