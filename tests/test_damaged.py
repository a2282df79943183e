"""Damaged files of each kind, made by `damage`: refused in one sentence, or repaired; never a
traceback, a hang, a changed file of the user's, or a wrong result.

100 variants of each kind; ``MGFF_DAMAGED=5000 pytest -s tests/test_damaged.py`` tries more, and
prints the counts.
"""

import io
import json
import os
import shutil
import tarfile
import time
import zipfile
from collections import Counter
from itertools import islice

import damage
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from training_fakes import Colours, small_config, small_net
from trees import class_folders

from mgff_tutorial.__main__ import main
from mgff_tutorial.evaluation import predict as prediction
from mgff_tutorial.experiments.results import Results
from mgff_tutorial.models import create_model
from mgff_tutorial.support.checkpoints import load_into, read_checkpoint, save_checkpoint
from mgff_tutorial.support.errors import InputError
from mgff_tutorial.training import trainer as training
from mgff_tutorial.training.trainer import train

torch.set_num_threads(1)
VARIANTS = int(os.environ.get("MGFF_DAMAGED", 100))
SECONDS = 10  # of computing, for one variant


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    class_folders(root / "birds", ("a", "b"), per_class=2)
    torch.manual_seed(0)
    card = {
        "model": "swin_nano",
        "kwargs": {"img_size": 32},
        "classes": ["a", "b"],
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "img_size": 32,
        "resize": 32,
        "data": str(root / "birds"),
        "split": "test",
        "correct": 1,
        "count": 2,
        "accuracy": 0.5,
        "recipe": {"lr": 0.1},
    }
    model = create_model("swin_nano", num_classes=2, img_size=32)
    save_checkpoint(root / "model.safetensors", model, card)
    return root


def survey(kind, variants, attempt):
    """Try `VARIANTS` of a kind; count what ``attempt`` says of each."""
    tally = Counter()
    for how, data in islice(variants, VARIANTS):
        begun = time.process_time()
        try:
            outcome = attempt(how, data)
        except AssertionError as failure:
            raise AssertionError(f"{kind}, {how}: {failure}\n{data[:2000]!r}") from failure
        assert time.process_time() - begun < SECONDS, f"{kind}, {how} took too long"
        tally[outcome] += 1
    print(f"\n{kind}: {VARIANTS} tried, {dict(tally)}")
    assert sum(tally.values()) == VARIANTS and tally["refused"] > VARIANTS / 10, tally


def command(capsys, *arguments):
    """Exit code and standard output; a failure is one clean sentence."""
    code = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    assert code in (0, 1, 2), f"exit code {code}: {printed.err[:500]}"
    assert "Traceback" not in printed.err
    assert not set(printed.out + printed.err) & set("\x1b\x07\u202e\0"), "steers the terminal"
    if code == 2:
        last = printed.err.strip().splitlines()[-1]
        assert last.startswith("error: ") and len(last) < 1500, last[:2000]
    return code, printed.out


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_recipes(tmp_path, capsys, monkeypatch):
    recipe = (training.Path(training.__file__).parent / "configs" / "nano.yaml").read_text()
    result = {"epochs": 1, "seconds": 1.0, "validation": None}
    monkeypatch.setattr(training, "train", lambda config, **_: result)
    path = tmp_path / "recipe.yaml"

    def attempt(how, data):
        path.write_bytes(data)
        code, _ = command(capsys, "train", "--config", path)
        assert path.read_bytes() == data and len(list(tmp_path.iterdir())) == 1
        return "refused" if code else "accepted"

    survey("recipes", damage.damaged_yaml(recipe), attempt)


def run(out, resume=False):
    data = Colours(), Colours(13, seed=5)
    return train(small_config(out, save_seconds=0), *data, small_net(), resume, progress=False)


def in_turn(folder, makers):
    """(file name, what was done, bytes), one file after the other."""
    streams = {
        name: make((folder / name).read_bytes())
        for name, make in makers.items()
        if (folder / name).exists()
    }
    while True:
        for name, stream in streams.items():
            how, data = next(stream)
            yield (name, how), data


MAKERS = {
    "config.yaml": lambda data: damage.damaged_yaml(data.decode()),
    "resume.pt": damage.damaged_zip,
    "data.json": lambda data: damage.damaged_json(json.loads(data)),
    "result.json": lambda data: damage.damaged_json(json.loads(data)),
    "log.jsonl": lambda data: damage.damaged_lines(data.decode()),
    "best.safetensors": damage.damaged_safetensors,
}


@pytest.mark.parametrize("state", ["finished", "stopped"])
def test_run_folders(state, tmp_path, monkeypatch):
    """Refused with the folder as it was, or the result that an untouched run gives."""
    monkeypatch.setattr(training, "save_curves", lambda records, path: None)
    folder, sound = tmp_path / "run", tmp_path / "sound"
    result = run(folder)
    weights = read_checkpoint(folder / "last.safetensors")[0]
    if state == "stopped":

        class Kill(BaseException):
            pass

        def stop(trainer):
            raise Kill

        shutil.rmtree(folder)
        with monkeypatch.context() as patch, pytest.raises(Kill):
            patch.setattr(training.Trainer, "_test", stop)
            run(folder)
    shutil.copytree(folder, sound)

    def attempt(place, data):
        shutil.rmtree(folder)
        shutil.copytree(sound, folder)
        (folder / place[0]).write_bytes(data)
        before = contents(folder)
        try:
            again = run(folder, resume=True)
        except (InputError, OSError) as error:
            assert "\n" not in str(error), str(error)
            after = contents(folder)
            late = {"log.jsonl", "last.safetensors"}  # best is read at the end
            ours = late if place[0] == "best.safetensors" else set()
            assert {n: d for n, d in after.items() if n not in ours} == {
                n: d for n, d in before.items() if n not in ours
            }, "a refusal changed a file"
            return "refused"
        assert {**again, "seconds": 0} == {**result, "seconds": 0}, "another result"
        kept = read_checkpoint(folder / "last.safetensors")[0]
        assert all(torch.equal(kept[key], weights[key]) for key in weights), "other weights"
        return "repaired" if data != before[place[0]] or contents(folder) != before else "accepted"

    survey(f"run folders, {state}", in_turn(sound, MAKERS), attempt)


def test_an_empty_entry_of_a_card_is_as_good_as_none(world, tmp_path, capsys):
    weights, card = read_checkpoint(world / "model.safetensors")
    files = {entry: None for entry in card}
    for entry in files:
        path = tmp_path / f"{entry}.safetensors"
        save_file(weights, path, {k: json.dumps(v) for k, v in {**card, entry: None}.items()})
        code, out = command(
            capsys, "evaluate", path, "--data", world / "birds", "--device", "cpu", "--json"
        )
        files[entry] = code
    refused = {entry for entry, code in files.items() if code == 2}
    assert refused <= {"model", "classes", "format", "version", "correct", "count"}, files
    assert {"resize", "img_size", "mean", "std", "correct", "count"} <= files.keys()


def test_checkpoints(world, tmp_path, capsys):
    """An accepted one holds the weights that it was written with."""
    path = tmp_path / "model.safetensors"
    weights = read_checkpoint(world / "model.safetensors")[0]

    def attempt(how, data):
        path.write_bytes(data)
        arguments = ["evaluate", path, "--data", world / "birds", "--device", "cpu", "--quiet"]
        code, out = command(capsys, *arguments, "--json")
        assert path.read_bytes() == data and len(list(tmp_path.iterdir())) == 1
        if code == 2:
            return "refused"
        kept = read_checkpoint(path)[0]
        assert kept.keys() == weights.keys()
        assert all(torch.equal(kept[key], weights[key]) for key in weights), "other weights"
        assert json.loads(out)["stage 1"]["count"] == 2
        return "accepted"

    survey(
        "checkpoints",
        damage.damaged_safetensors((world / "model.safetensors").read_bytes()),
        attempt,
    )


@pytest.mark.parametrize("kind", ["pth", "npz"])
def test_weights_of_other_projects(kind, tmp_path):
    model, path = small_net(), tmp_path / f"weights.{kind}"
    if kind == "pth":
        torch.save({"state_dict": model.state_dict()}, path)
    else:
        np.savez(path, **{key: value.numpy() for key, value in model.state_dict().items()})
    sound, data = small_net().state_dict(), path.read_bytes()

    def attempt(how, data):
        path.write_bytes(data)
        model = small_net(seed=1)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        try:
            load_into(model, path)
        except InputError as error:
            assert "\n" not in str(error), str(error)
            expected, outcome = before, "refused"
        else:
            expected, outcome = sound, "accepted"
        if " of " not in how or outcome == "refused":  # a part that was written anew is as good
            assert all(torch.equal(v, expected[k]) for k, v in model.state_dict().items())
        assert path.read_bytes() == data
        return outcome

    survey(f"weights, {kind}", damage.damaged_zip(data), attempt)


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_results(kind, tmp_path, capsys):
    """What is shown of accepted ones is what the predictions say."""
    draw, name = np.random.default_rng(0), "fusion-sketchbirds"
    results = Results(tmp_path, name, "python -m mgff_tutorial ablate")
    truth = np.arange(50) % 2
    for seed in range(5):
        found = draw.integers(0, 2, 50)
        arrays = {f"baseline/{seed}/test": found, "labels/test": truth}
        values = {"accuracy": float((found == truth).mean()), "log-loss": 0.5}
        results.add_values(values, arrays, configuration="baseline", seed=seed, split="test", n=50)
    path = tmp_path / f"{name}.{kind}"
    show = ["ablate", "--show", "--experiment", name, "--out", tmp_path]
    code, table = command(capsys, *show)
    assert code == 0
    other = next(one for one in tmp_path.iterdir() if one != path)
    beside = other.read_bytes()

    def attempt(how, data):
        path.write_bytes(data)
        code, out = command(capsys, *show)
        assert path.read_bytes() == data and other.read_bytes() == beside
        if code == 0 and kind == "csv":
            rows = Results(tmp_path, name).rows
            right = {row.key: row.value for row in results.rows}
            for row in rows:
                if row.metric == "accuracy" and row.key in right:
                    assert abs(row.value - right[row.key]) < 1e-6, "another accuracy"
        return "refused" if code else "accepted"

    data = path.read_bytes()
    variants = damage.damaged_csv(data.decode()) if kind == "csv" else damage.damaged_zip(data)
    survey(f"results, {kind}", variants, attempt)


def test_prediction_logs(world, tmp_path, capsys, monkeypatch):
    """Refused as it was, or continued: whole lines stay, and every image has one."""
    model = prediction.load_classifier(world / "model.safetensors", "cpu")
    monkeypatch.setattr(prediction, "load_classifier", lambda *_: model)
    path = tmp_path / "out.jsonl"
    arguments = ["predict", world / "birds", "--one-stage", "--quiet", "--device", "cpu"]
    arguments += ["--batch-size", 1, "--out", path]
    assert command(capsys, *arguments)[0] == 0
    whole = path.read_text()
    images = [json.loads(line)["image"] for line in whole.splitlines()]
    half = "".join(whole.splitlines(keepends=True)[:2])

    def attempt(how, data):
        path.write_bytes(data)
        code, _ = command(capsys, *arguments, "--resume")
        after = path.read_bytes()
        if code == 2:
            assert after == data, "a refusal changed the file"
            return "refused"
        kept = data[: data.rfind(b"\n") + 1]
        assert after.startswith(kept)
        named = [json.loads(line)["image"] for line in after.splitlines()]
        assert set(images) <= set(named)
        return "continued"

    survey("prediction logs", damage.damaged_lines(half), attempt)


def archive(kind):
    stream, files = io.BytesIO(), {"birds/a.txt": b"a" * 300, "birds/b.txt": os.urandom(300)}
    if kind == "zip":
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in files.items():
                file.writestr(name, data)
    else:
        with tarfile.open(fileobj=stream, mode="w:gz") as file:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                file.addfile(info, io.BytesIO(data))
    return stream.getvalue(), files


def noises(data):
    import random
    from itertools import count

    for seed in count():
        yield damage.damaged_bytes(data, random.Random(seed))


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives(kind, tmp_path, capsys):
    data, files = archive(kind)
    path, place = tmp_path / "archive", tmp_path / "there"

    def attempt(how, data):
        path.write_bytes(data)
        code = main(["data", "unpack", str(path), "--to", str(place)])
        printed = capsys.readouterr()
        assert code in (0, 1, 2) and "Traceback" not in printed.err, printed.err
        if code:
            assert {one.name for one in tmp_path.iterdir()} == {"archive"}, "something was left"
            return "refused"
        if not how.startswith(("bytes", "missing", "renamed", "twice")):
            for name, content in files.items():
                assert not (place / name).exists() or (place / name).read_bytes() == content
        shutil.rmtree(place)
        return "accepted"

    survey(
        f"archives, {kind}", damage.damaged_zip(data) if kind == "zip" else noises(data), attempt
    )


def test_lists_of_checksums(tmp_path, capsys, monkeypatch):
    from mgff_tutorial.renderer import dataset

    monkeypatch.setattr(dataset, "SPECIES", dataset.SPECIES[:2])
    monkeypatch.setattr(dataset, "IMAGES_PER_SPLIT", 1)
    dataset.write_sketchbirds(tmp_path / "birds", False, 1)
    path = tmp_path / "birds" / "checksums.txt"
    text = path.read_bytes()

    def attempt(how, data):
        path.write_bytes(data)
        before = contents(tmp_path)
        code, out = command(capsys, "render", "--verify", "--out", tmp_path / "birds")
        assert contents(tmp_path) == before
        assert code or data.strip() == text.strip() or "0 missing, 0 changed" in out
        return "refused" if code else "accepted"

    survey("lists of checksums", noises(text), attempt)
