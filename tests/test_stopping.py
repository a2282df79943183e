"""Ctrl-C and SIGTERM: what is kept, what is said, and a run that goes on as if nothing had been."""

import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
import torch
from training_fakes import Colours, small_net

from mgff_tutorial.support.stopping import Stopped, stop_request
from mgff_tutorial.training import train
from mgff_tutorial.training import trainer as training
from mgff_tutorial.training.config import TrainConfig, load_config


def settings(out, **changes):
    values = dict(model="own", data="colours", out=str(out), img_size=16, resize=16, epochs=3)
    return TrainConfig(**{**values, "batch_size": 6, "device": "cpu", "workers": 0, **changes})


def run(config, **options):
    return train(config, Colours(), Colours(8, seed=9), small_net(), progress=False, **options)


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_is_noted_and_the_second_stops(number, code):
    with stop_request() as request:
        os.kill(os.getpid(), number)
        assert request.code == code
        with pytest.raises(Stopped) as stopped:
            os.kill(os.getpid(), number)
    assert stopped.value.code == code and signal.getsignal(signal.SIGINT) != request.note


@pytest.mark.parametrize("at", [1, 3, 4])
def test_a_stopped_run_goes_on_where_it_was(tmp_path, monkeypatch, at):
    whole = run(settings(tmp_path / "whole"))
    after, seen = training.Trainer._update, []

    def update(trainer, batches):
        after(trainer, batches)
        seen.append(trainer.step)
        if len(seen) == at:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(training.Trainer, "_update", update)
    out = tmp_path / "a run"
    with pytest.raises(Stopped) as stopped:
        run(settings(out))
    assert stopped.value.code == 130
    command = str(stopped.value).partition("Continue with: ")[2]
    assert shlex.split(command)[-3:] == ["--resume", "--out", str(out)]
    again = run(settings(out), resume=True)
    assert seen == list(range(whole["steps"] + 1))[: len(seen)] or seen == sorted(set(seen))
    assert again["best"] == whole["best"] and again["steps"] == whole["steps"]
    for a, b in zip(
        *(torch.load(f / "resume.pt")["model"].values() for f in (out, tmp_path / "whole"))
    ):
        assert torch.equal(a, b)


def test_resume_reads_the_configuration_of_the_run(tmp_path, capsys):
    from mgff_tutorial.__main__ import main

    out = tmp_path / "run"
    load_config("nano", out=str(out), epochs=7).save(out / "config.yaml")
    common = ["train", "--resume", "--out", str(out)]
    for given, words in (
        (["--epochs", "8"], "epochs: 7, not 8"),
        (["--set", "jitter=0.7"], "jitter: 0.2, not 0.7"),
        (["--data", "elsewhere"], "data: 'sketchbirds', not 'elsewhere'"),
    ):
        assert main([*common, *given]) == 2
        assert words in capsys.readouterr().err
    assert main(["train", "--resume", "--out", str(tmp_path / "none")]) == 2
    assert "holds no run that could be continued" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_predict_says_how_to_go_on(tmp_path):
    for i in range(60):
        Colours(3, size=40).image(i % 3).save(tmp_path / f"{i:02d}.png")
    arguments = ["predict", tmp_path, "--out", tmp_path / "p.jsonl", "--batch-size", "1"]
    command = [sys.executable, "-u", "-m", "mgff_tutorial", *map(str, arguments), "--device", "cpu"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "p.jsonl").is_file() or not (tmp_path / "p.jsonl").stat().st_size:
        assert child.poll() is None
    child.send_signal(signal.SIGTERM)
    error = child.communicate()[1]
    assert child.returncode == 143 and "Traceback" not in error
    found = re.search(r"stopped: (\d+) images predicted.*--resume$", error, re.MULTILINE)
    assert found
    assert len((tmp_path / "p.jsonl").read_text().splitlines()) >= int(found[1])


def test_a_run_says_before_it_starts_what_it_will_do(tmp_path, capsys):
    before = small_net().state_dict()
    model = small_net()
    train(settings(tmp_path / "run", epochs=1, lr=1e-12), Colours(), Colours(8, seed=9), model)
    out = capsys.readouterr()
    assert re.search(
        r"own, 0.0 million parameters; 19 training, 3 validation and 8 test images of 3 classes, "
        r"16 x 16 pixels; 1 epoch of 3 updates on .*; about 1 s",
        out.out + out.err,
    )
    assert torch.allclose(model.state_dict()["head.weight"], before["head.weight"], atol=1e-6)
