"""The training loop: learns, resumes to the same weights, stops at NaN, and is the same however it
is cut up.
"""

import json
from pathlib import Path

import pytest
import torch
from training_fakes import (
    Colours,
    SmallNet,
    free_port,
    shared_run,
    small_config,
    small_net,
    start,
)

from mgff_tutorial.datasets import open_split
from mgff_tutorial.support import fast
from mgff_tutorial.support.checkpoints import load_into, read_checkpoint, read_metadata
from mgff_tutorial.support.errors import CheckpointError, InputError
from mgff_tutorial.training import trainer as training
from mgff_tutorial.training.runs import read_log
from mgff_tutorial.training.trainer import Trainer, TrainingStopped, train

torch.set_num_threads(1)


def run(out, resume=False, model=None, **changes):
    return train(
        small_config(out, **changes),
        Colours(),
        Colours(13, seed=5),
        model or small_net(),
        resume,
        progress=False,
    )


@pytest.fixture(autouse=True)
def no_curves(monkeypatch, request):
    """Drawing is slower than these runs; the first test draws."""
    if "explains" not in request.node.name:
        monkeypatch.setattr(training, "save_curves", lambda records, path: None)


def weights(out, name="last"):
    return read_checkpoint(Path(out) / f"{name}.safetensors")[0]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_run_leaves_everything_that_explains_it(tmp_path):
    result = run(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "config.yaml",
        "environment.json",
        "data.json",
        "log.jsonl",
        "curves.png",
        "resume.pt",
        "last.safetensors",
        "best.safetensors",
        "test_best.csv",
        "result.json",
    }
    assert result == json.loads((tmp_path / "result.json").read_text())
    assert result["best"]["count"] == 13 and "last" not in result  # the test split is asked once
    records = read_log(tmp_path / "log.jsonl")
    assert [record["epoch"] for record in records] == [1, 2, 3]
    assert records[-1]["train_loss"] < records[0]["train_loss"]
    assert records[-1]["lr"] < 0.25 * 0.01
    card = read_metadata(tmp_path / "best.safetensors")
    assert (
        card["classes"] == ["colour 0", "colour 1", "colour 2"]
        and card["correct"] == result["best"]["correct"]
    )
    rows = (tmp_path / "test_best.csv").read_text().splitlines()
    assert len(rows) == 14 and sum(row.endswith(",1") for row in rows) == result["best"]["correct"]
    card = read_metadata(tmp_path / "last.safetensors")
    assert card["epoch"] == 3 and "correct" not in card


def test_the_checkpoint_evaluates_to_the_accuracy_in_its_card(tmp_path):
    from mgff_tutorial.datasets.transforms import eval_transform
    from mgff_tutorial.evaluation.split import predict_split

    result = run(tmp_path, label_smoothing=0.1)
    model = small_net(seed=9)
    card = load_into(model, tmp_path / "best.safetensors")
    test = Colours(13, seed=5, transform=eval_transform(16, 20))
    found = [predict_split(model, test, "cpu", batch_size=size) for size in (1, 4, 13)]
    assert {f.correct for f in found} == {card["correct"]} == {result["best"]["correct"]}
    assert abs(found[0].probabilities - found[2].probabilities).max() < 1e-6


def test_same_seed_same_weights_other_seed_others(tmp_path):
    run(tmp_path / "a")
    run(tmp_path / "b")
    run(tmp_path / "c", seed=2)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_the_number_of_loader_workers_changes_nothing(tmp_path):
    for workers in (0, 2):
        run(tmp_path / str(workers), in_memory=False, workers=workers, epochs=1)
    assert same(weights(tmp_path / "0"), weights(tmp_path / "2"))


def test_accumulated_passes_equal_one_batch(tmp_path):
    """With batch norm the passes see other statistics, so it is frozen here."""
    for micro in (6, 4, 1):
        model = small_net(dropout=0.0)
        model.stem[1] = torch.nn.Identity()
        run(
            tmp_path / str(micro),
            micro_batch=micro,
            model=model,
            optimizer="momentum",
            clip_grad=1.0,
        )
    for micro in (4, 1):
        for key, value in weights(tmp_path / "6").items():
            assert torch.allclose(value, weights(tmp_path / str(micro))[key], atol=1e-6)


class Kill(BaseException):
    pass


EXTRAS = {"plain": {}, "averaged and mixed": {"ema": 0.9, "mixup": 0.2, "label_smoothing": 0.1}}


@pytest.fixture(scope="module")
def whole_runs(tmp_path_factory):
    """Runs that nobody stopped: folder and result by name."""
    folders = {name: tmp_path_factory.mktemp("whole") for name in EXTRAS}
    return {name: (folders[name], run(folders[name], **extra)) for name, extra in EXTRAS.items()}


@pytest.mark.parametrize("moment", [0, 1, 4, 6, 8])
@pytest.mark.parametrize("name", list(EXTRAS))
def test_resume_after_a_stop_at_any_update_gives_the_same_weights(
    tmp_path, monkeypatch, whole_runs, moment, name
):
    (whole_folder, whole), extra = whole_runs[name], EXTRAS[name]
    update = Trainer._update

    def stop(self, batches):
        if self.step == moment:
            raise Kill
        update(self, batches)

    with monkeypatch.context() as patch, pytest.raises(Kill):
        patch.setattr(Trainer, "_update", stop)
        run(tmp_path / "cut", save_seconds=0, **extra)
    resumed = run(tmp_path / "cut", resume=True, model=small_net(seed=7), save_seconds=0, **extra)
    for kind in ("last", "best"):
        assert same(weights(whole_folder, kind), weights(tmp_path / "cut", kind))
    assert read_log(whole_folder / "log.jsonl") == read_log(tmp_path / "cut" / "log.jsonl")
    assert {**whole, "seconds": 0} == {**resumed, "seconds": 0}


def test_fast_layers_are_chosen_once_for_a_run(tmp_path, monkeypatch):
    """What was measured when a run began is used when it goes on, whatever is measured then."""
    asked, update = [], Trainer._update
    monkeypatch.setenv("MGFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fast, "_ratio", lambda *case: asked.append(case) or 2.0)

    def stop(self, batches):
        if self.step == 5:
            raise Kill
        update(self, batches)

    plain = run(tmp_path / "plain")
    assert not asked and not read_state(tmp_path / "plain")["quicker"]
    with monkeypatch.context() as patch, pytest.raises(Kill):
        patch.setattr(Trainer, "_update", stop)
        run(tmp_path / "cut", save_seconds=0, fast=True)
    chosen = read_state(tmp_path / "cut")["quicker"]
    net = small_net()
    assert chosen == [n for n, part in net.named_modules() if type(part) is torch.nn.Linear]
    assert len(asked) == len(chosen) > 0
    monkeypatch.setattr(fast, "_ratio", lambda *case: 0.5)
    monkeypatch.setenv("MGFF_CACHE", str(tmp_path / "empty"))
    found = run(tmp_path / "cut", resume=True, model=net, save_seconds=0, fast=True)
    assert all(type(net.get_submodule(name)) is fast.Linear for name in chosen)
    assert found["best"]["count"] == plain["best"]["count"]
    for name, tensor in weights(tmp_path / "plain").items():
        torch.testing.assert_close(weights(tmp_path / "cut")[name], tensor, atol=1e-4, rtol=1e-3)
    with pytest.raises(InputError, match="fast"):
        run(tmp_path / "cut", resume=True)


def read_state(folder):
    return torch.load(folder / "resume.pt", weights_only=True)


def finish(process):
    process.join()
    assert process.exitcode == 0


def test_a_finished_run_is_not_evaluated_again(tmp_path, monkeypatch):
    first = run(tmp_path)
    monkeypatch.setattr(
        Trainer, "_test", lambda self: pytest.fail("the test split was looked at twice")
    )
    assert run(tmp_path, resume=True) == first


def test_nan_loss_stops_with_the_weights_from_before(tmp_path, monkeypatch):
    class Broken(SmallNet):
        def forward(self, x):
            out = super().forward(x)
            return (
                out * float("nan")
                if self.training and int(self.stem[1].num_batches_tracked) > 4
                else out
            )

    torch.manual_seed(0)
    with pytest.raises(
        TrainingStopped, match=r"loss is nan in epoch 2, update 5 .*Try a smaller lr"
    ):
        run(tmp_path, model=Broken())
    state = weights(tmp_path)
    assert all(torch.isfinite(value).all() for value in state.values())
    assert not (tmp_path / "result.json").exists()


def test_infinite_gradient_stops_too(tmp_path):
    model = small_net()
    model.head.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingStopped, match="gradient norm is (inf|nan) in epoch 1, update 1"):
        run(tmp_path, model=model)
    assert same(
        torch.load(tmp_path / "resume.pt", weights_only=True)["model"], small_net().state_dict()
    )


def test_two_processes_count_each_test_image_once_and_train_alike(tmp_path):
    """13 test images, batches of 6, 2 processes over gloo: nothing divides."""
    port = free_port()
    together = [start(shared_run, tmp_path / "two", rank, 2, port) for rank in range(2)]
    finish(start(shared_run, tmp_path / "one"))
    for process in together:
        finish(process)
    assert (tmp_path / "one" / "test_best.csv").read_text() == (
        tmp_path / "two" / "test_best.csv"
    ).read_text()
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two")]
    assert results[0]["best"] == results[1]["best"] and results[1]["best"]["count"] == 13
    for key, value in weights(tmp_path / "one").items():
        assert torch.allclose(value, weights(tmp_path / "two")[key], atol=1e-6)


def test_a_run_is_not_overwritten_and_not_resumed_with_another_recipe(tmp_path):
    run(tmp_path, epochs=1)
    with pytest.raises(InputError, match="already holds a run; continue it with --resume"):
        run(tmp_path, epochs=1)
    with pytest.raises(InputError, match="lr: 0.01, not 0.02"):
        run(tmp_path, epochs=1, lr=0.02, resume=True)


def test_a_damaged_resume_file_is_refused(tmp_path):
    run(tmp_path, epochs=1)
    (tmp_path / "result.json").unlink()
    (tmp_path / "resume.pt").write_bytes((tmp_path / "resume.pt").read_bytes()[:500])
    with pytest.raises(CheckpointError, match="resume.pt: cannot be read"):
        run(tmp_path, epochs=1, resume=True)


def test_without_validation_there_is_no_best(tmp_path):
    result = run(tmp_path, validation=0.0, epochs=1)
    assert "best" not in result and result["validation"] is None and result["last"]["count"] == 13
    assert (tmp_path / "test_last.csv").is_file()
    assert not (tmp_path / "best.safetensors").exists()


def test_bf16_trains_and_its_checkpoint_is_float32(tmp_path):
    result = run(tmp_path, precision="bf16", micro_batch=2)
    assert result["best"]["count"] == 13
    assert weights(tmp_path)["head.weight"].dtype == torch.float32


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"precision": "fp16"}, "fp16 needs a GPU"),
        ({"device": "cuda:7"}, "not available"),
        ({"optimizer": "adamx"}, "Unknown optimizer 'adamx'; did you mean"),
        ({"mixup": 0.2, "micro_batch": 3}, "choose an even batch, got 3"),
        ({"checkpoint_activations": True}, "no set_grad_checkpointing"),
    ],
)
def test_settings_that_cannot_work_say_why(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        run(tmp_path, **changes)


def test_classes_of_the_splits_must_agree(tmp_path):
    with pytest.raises(InputError, match="different classes"):
        train(small_config(tmp_path), Colours(), Colours(classes=2), small_net(), progress=False)


def test_unknown_data_set_and_folder_of_class_folders(tmp_path):
    with pytest.raises(InputError, match="Unknown data set 'cubs'; did you mean 'cub'"):
        open_split("cubs", None, "train")
    for name in ("wren", "robin"):
        (tmp_path / "birds" / name).mkdir(parents=True)
        for i in range(4):
            Colours().image(i).save(tmp_path / "birds" / name / f"{i}.png")
    assert open_split(str(tmp_path / "birds"), None, "train").classes == ["robin", "wren"]


def test_a_package_that_is_missing_is_noticed_before_the_run_begins(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="tensorboard: true needs the package"):
        run(tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_tensorboard_and_the_cache_of_resized_images(tmp_path):
    pytest.importorskip("tensorboard")
    folder = tmp_path / "birds"
    for label in range(3):
        (folder / f"species {label}").mkdir(parents=True)
        for i in range(6):
            Colours(classes=3).image(3 * i + label).save(folder / f"species {label}" / f"{i}.png")
    config = small_config(
        tmp_path / "run",
        data=str(folder),
        in_memory=False,
        cache=str(tmp_path / "cache"),
        tensorboard=True,
        epochs=1,
    )
    result = train(config, model=small_net(), progress=False)
    assert result["best"]["count"] == 6
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert (
        15 <= len(list((tmp_path / "cache").rglob("*.jpg"))) <= 18
    )  # the last incomplete batch is not read
