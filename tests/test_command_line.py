"""The command line: what it prints, what it writes, and one clear sentence for each kind of bad
input.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from PIL import Image
from training_fakes import Colours, free_port, shared_command, start

from mgff_tutorial.__main__ import COMMANDS, build_parser, main
from mgff_tutorial.models import create_model
from mgff_tutorial.support.checkpoints import read_checkpoint, read_metadata, save_checkpoint

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder of class folders, a classifier for it and a ViT, both untrained."""
    root = tmp_path_factory.mktemp("world")
    images = Colours(12, classes=3, size=40)
    for i in range(12):
        folder = root / "birds" / f"species_{images.labels[i]}"
        folder.mkdir(parents=True, exist_ok=True)
        images.image(i).save(folder / f"{i:02d}.png")
    torch.manual_seed(0)
    save_checkpoint(
        root / "model.safetensors",
        create_model("mgff_swin_nano", num_classes=3),
        {
            "model": "mgff_swin_nano",
            "kwargs": {"img_size": 96},
            "classes": [f"species_{k}" for k in range(3)],
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "img_size": 96,
            "resize": 96,
            "data": "birds",
        },
    )
    save_checkpoint(
        root / "vit.safetensors",
        create_model("vit_nano"),
        {"model": "vit_nano", "kwargs": {"num_classes": 20}},
    )
    return root


def models(world):
    return [
        "--checkpoint",
        str(world / "model.safetensors"),
        "--cropper",
        str(world / "vit.safetensors"),
        "--device",
        "cpu",
    ]


def call(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


# --- help ----------


def test_help_is_quick():
    """Neither the list of commands nor the parser of one imports torch; argv[0] is "-m" under
    ``python -m``.
    """
    script = (
        "import sys\nsys.argv[0] = '-m'\nfrom mgff_tutorial.__main__ import COMMANDS, "
        "build_parser\n"
        "text = build_parser(['--help']).format_help()\nassert all(name in text for name in "
        "COMMANDS), text\n"
        "for name in ('train', 'evaluate', 'predict', 'benchmark', 'data'):\n"
        "    build_parser([name])\n"
        "assert not {'torch', 'timm', 'matplotlib', 'torchvision', 'accelerate'} & "
        "set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        build_parser([command]).parse_args([command, "--help"])
    assert stop.value.code == 0 and "usage" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["train", "--img-size", "224.5"], "argument --img-size: invalid int value: '224.5'"),
        (["predict"], "the following arguments are required: path"),
        (["evaluat", "x"], "invalid choice: 'evaluat'"),
    ],
)
def test_an_option_that_cannot_be_read_is_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    lines = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2 and len(lines) == 1 and words in lines[0]
    assert lines[0].endswith(" --help")


@pytest.mark.parametrize("command", ["train", "ablate", "benchmark", "data check"])
def test_an_unknown_option_points_at_the_help_of_its_command(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command.split(), "--no-such"])
    assert stop.value.code == 2
    assert f"mgff_tutorial {command} --help" in capsys.readouterr().err


def test_without_a_command_help_is_printed(capsys):
    code, out, _ = call(capsys)
    assert code == 2 and "train" in out


# --- train ----------


def test_train_then_evaluate_reproduces_the_card(world, tmp_path, capsys):
    code, out, _ = call(
        capsys,
        "train",
        "--config",
        "nano",
        "--pretrained",
        "false",
        "--data",
        world / "birds",
        "--out",
        tmp_path / "run",
        "--epochs",
        1,
        "--batch-size",
        4,
        "--validation",
        0,
        "--device",
        "cpu",
        "--quiet",
        "--set",
        "model_kwargs.preset=baseline",
        "--set",
        "jitter=0.1",
    )
    assert code == 0 and "test accuracy, last epoch" in out
    card = read_metadata(tmp_path / "run" / "last.safetensors")
    assert (
        card["kwargs"] == {"img_size": 96, "preset": "baseline"} and card["recipe"]["jitter"] == 0.1
    )
    code, out, _ = call(
        capsys,
        "evaluate",
        tmp_path / "run" / "last.safetensors",
        "--device",
        "cpu",
        "--quiet",
        "--csv",
        tmp_path / "p.csv",
    )
    assert code == 0 and "reproduces the card: yes" in out and f"({card['correct']}/3)" in out
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 4
    state, _ = read_checkpoint(tmp_path / "run" / "last.safetensors")
    card["correct"] += -1 if card["correct"] else 1
    del card["accuracy"]
    save_checkpoint(tmp_path / "wrong.safetensors", state, card)
    code, out, _ = call(
        capsys, "evaluate", tmp_path / "wrong.safetensors", "--device", "cpu", "--quiet"
    )
    assert code == 1 and "reproduces the card: no" in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--config", "papers"], "Unknown config 'papers'; did you mean 'paper'"),
        (["--config", "no/such.yaml"], "no such config file"),
        (["--data", "no/such/folder"], "does not exist; expected a folder"),
        (["--data", "cub"], "needs root"),
        (["--data", "cub", "--root", "no/such"], "no/such"),
        (["--model", "mgff_swin_nan", "--pretrained", "false"], "did you mean"),
        (["--model", "mgff_resnet5", "--pretrained", "false"], "resnet50"),
        (["--pretrained", "no/such.safetensors"], "no such file"),
        (["--device", "tpu"], "tpu"),
        (["--set", "jitters=1"], "Unknown config entry 'jitters'; did you mean 'jitter'"),
        (["--set", "jitter"], "ENTRY=VALUE"),
        (["--set", "flip=maybe"], "flip must be bool, got 'maybe'"),
        (["--epochs", "0"], "epochs must be from 1 to 100000, got 0"),
        (["--lr", "nan"], "lr must be a positive number, got nan"),
        (
            ["--set", "mixup=0.2", "--pretrained", "false", "--batch-size", "5"],
            "choose an even batch, got 5",
        ),
        (["--workers", "1000000"], "workers must be at most 1024"),
        (
            ["--config", "pretrain", "--set", "birds=3"],
            "Unknown entry of the pretrain recipe 'birds'",
        ),
    ],
)
def test_bad_settings_of_train(arguments, words, tmp_path, capsys):
    code, _, err = call(capsys, "train", "--out", tmp_path / "run", "--quiet", *arguments)
    assert code == 2 and err.startswith("error: ") and words in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_root_that_is_not_there_is_all_that_is_said(tmp_path, capsys):
    code, _, err = call(capsys, "train", "--data", "cub", "--root", tmp_path / "no")
    assert code == 2 and "does not exist" in err and "all such problems" not in err


def test_a_run_needs_a_folder(tmp_path, capsys, monkeypatch):
    """Not a file, not a place inside one, and an empty name is not the folder one happens to be
    in.
    """
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for out, words in (
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "run", "is a file"),
        ("", "out must be the name"),
    ):
        code, _, err = call(capsys, "train", "--pretrained", "false", "--quiet", "--out", out)
        assert code == 2 and words in err and err.count("\n") == 1
    assert (
        not list((tmp_path / "here").iterdir()) and (tmp_path / "file").read_text() == "in the way"
    )


# --- evaluate ----------


def test_evaluate_two_stages(world, tmp_path, capsys):
    code, out, _ = call(
        capsys,
        "evaluate",
        *models(world),
        "--data",
        world / "birds",
        "--split",
        "all",
        "--two-stage",
        "--quiet",
        "--batch-size",
        5,
        "--csv",
        tmp_path / "p.csv",
    )
    assert code == 0 and out.count("/12)") == 3 and "the card makes no claim" in out
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "p-merged.csv",
        "p-stage1.csv",
        "p-stage2.csv",
    ]
    code, out, _ = call(
        capsys,
        "evaluate",
        *models(world),
        "--data",
        world / "birds",
        "--split",
        "all",
        "--quiet",
        "--json",
    )
    assert json.loads(out)["stage 1"]["count"] == 12 and json.loads(out)["reproduces_card"] is None


def test_two_processes_evaluate_as_one(world, tmp_path):
    """13 images, batches of 5, 2 processes over gloo: nothing divides; the same rows, and one of
    them prints.
    """
    shutil.copytree(world / "birds", tmp_path / "birds")
    Colours(1, size=50, seed=3).image(0).save(tmp_path / "birds" / "species_0" / "more.png")
    common = [
        "evaluate",
        *models(world),
        "--data",
        tmp_path / "birds",
        "--split",
        "all",
        "--two-stage",
        "--json",
        "--batch-size",
        "5",
        "--quiet",
        "--csv",
    ]
    port = free_port()
    together = [
        start(
            shared_command,
            tmp_path / f"two-{rank}.txt",
            [*common, tmp_path / "two.csv"],
            rank,
            2,
            port,
        )
        for rank in range(2)
    ]
    together.append(start(shared_command, tmp_path / "one.txt", [*common, tmp_path / "one.csv"]))
    for process in together:
        process.join()
        assert process.exitcode == 0
    one, two, silent = (
        (tmp_path / f"{name}.txt").read_text() for name in ("one", "two-0", "two-1")
    )
    one, two = json.loads(one), json.loads(two)
    assert silent == "" and two["merged"]["count"] == two["stage 1"]["count"] == 13
    for stage in ("stage 1", "stage 2", "merged"):
        assert one[stage] == two[stage]
        name = stage.replace(" ", "")
        assert (tmp_path / f"one-{name}.csv").read_text() == (
            tmp_path / f"two-{name}.csv"
        ).read_text()


@pytest.mark.parametrize(
    "extra, words",
    [
        (["--batch-size", "0"], "batch_size must be an integer"),
        (["--batch-size", "-3", "--two-stage"], "batch_size"),
        (["--workers", "-1"], "workers must be an integer from 0 to 1024"),
        (["--csv", "."], "--csv . is a folder"),
        (["--publish", "."], "--publish . is a folder"),
    ],
)
def test_bad_options_of_evaluate(world, capsys, extra, words):
    code, _, err = call(
        capsys, "evaluate", *models(world), "--data", world / "birds", "--quiet", *extra
    )
    assert code == 2 and words in err and err.startswith("error: ") and err.count("\n") == 1


def test_evaluate_refuses_other_classes(world, tmp_path, capsys):
    other = tmp_path / "others"
    for name in ("x", "y", "z"):
        (other / name).mkdir(parents=True)
        for i in range(2):
            Colours().image(i).save(other / name / f"{i}.png")
    code, _, err = call(capsys, "evaluate", *models(world), "--data", other, "--quiet")
    assert code == 2 and "class 0 is 'species_0', the data set's is 'x'" in err
    code, _, err = call(capsys, "evaluate", *models(world), "--data", "sketchbirds", "--quiet")
    assert code == 2 and "tells 3 classes apart, the data set has 20" in err


# --- predict ----------


def test_predict_one_image_as_table_and_as_json(world, capsys):
    image = world / "birds" / "species_0" / "00.png"
    code, out, _ = call(capsys, "predict", image, *models(world))
    assert code == 0 and out.splitlines()[0].split()[:2] == ["image", "species"] and "00.png" in out
    code, out, _ = call(capsys, "predict", image, *models(world), "--json", "--top", 2)
    record = json.loads(out)
    assert record["image"] == "00.png" and len(record["top"]) == 2 and len(record["box"]) == 4
    assert 0 <= record["stage1"]["probability"] <= 1 and record["stage2"]["species"].startswith(
        "species_"
    )
    code, out, _ = call(capsys, "predict", image, *models(world), "--json", "--one-stage")
    assert code == 0 and "stage1" not in json.loads(out)


def test_predict_agrees_with_evaluate(world, capsys, tmp_path):
    call(
        capsys,
        "evaluate",
        *models(world),
        "--data",
        world / "birds",
        "--split",
        "all",
        "--two-stage",
        "--quiet",
        "--csv",
        tmp_path / "p.csv",
    )
    rows = [row.split(",") for row in (tmp_path / "p-merged.csv").read_text().splitlines()[1:]]
    _, out, _ = call(capsys, "predict", world / "birds", *models(world), "--json")
    predicted = {
        record["image"].split("/")[1]: record["species"]
        for record in map(json.loads, out.splitlines())
    }
    files = sorted((world / "birds").glob("*/*.png"))
    assert [predicted[file.name] for file in files] == [row[3] for row in rows]


def odd_folder(world, folder):
    """Sound images, broken ones, hidden ones, a loop of links, other files."""
    (folder / "sub" / ".hidden").mkdir(parents=True)
    for name in ("a.png", "b.jpg", "sub/c.png"):
        Colours().image(0).save(folder / name)
    Colours().image(0).save(folder / ".hidden.png")
    Colours().image(0).save(folder / "sub" / ".hidden" / "d.png")
    (folder / "notes.txt").write_text("no image")
    (folder / "text.jpg").write_text("no image either")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.jpg").write_bytes((folder / "b.jpg").read_bytes()[:400])
    (folder / "loop").symlink_to(folder)
    (folder / "self.png").symlink_to(folder / "self.png")
    (folder / "new\nline\x1b[31m.png").write_bytes((folder / "a.png").read_bytes())
    return folder


def test_predict_reports_skips_and_counts_broken_files(world, tmp_path, capsys):
    folder = odd_folder(world, tmp_path / "odd")
    code, out, err = call(capsys, "predict", folder, *models(world), "--json", "--batch-size", 2)
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 1 and "4 images predicted, 4 skipped." in err
    assert [r["image"] for r in records if "error" not in r] == [
        "a.png",
        "b.jpg",
        "new\nline\x1b[31m.png",
        "sub/c.png",
    ]
    assert sorted(r["image"] for r in records if "error" in r) == [
        "cut.jpg",
        "empty.png",
        "self.png",
        "text.jpg",
    ]
    assert err.count("skipped: ") == 4
    _, out, err = call(capsys, "predict", folder, *models(world))
    assert "\x1b" not in out + err and len(out.splitlines()) == 9


def test_predict_resumes_after_a_kill_in_the_middle_of_a_line(world, tmp_path, capsys):
    folder, out = world / "birds", tmp_path / "p.jsonl"
    assert call(capsys, "predict", folder, *models(world), "--out", out, "--quiet")[0] == 0
    whole = out.read_bytes()
    out.write_bytes(whole[: len(whole) // 2])
    code, _, err = call(capsys, "predict", folder, *models(world), "--out", out, "--quiet")
    assert code == 2 and "continue it with --resume" in err
    code, _, err = call(
        capsys,
        "predict",
        folder,
        *models(world),
        "--out",
        out,
        "--quiet",
        "--resume",
        "--batch-size",
        5,
    )
    assert code == 0 and "from before" in err
    mended = [json.loads(line) for line in out.read_bytes().splitlines()]
    expected = [json.loads(line) for line in whole.splitlines()]
    assert [r["image"] for r in mended] == [r["image"] for r in expected]
    assert all(abs(a["probability"] - b["probability"]) <= 1e-4 for a, b in zip(mended, expected))
    (tmp_path / "other.txt").write_text("hello\n")
    code, _, err = call(
        capsys, "predict", folder, *models(world), "--out", tmp_path / "other.txt", "--resume"
    )
    assert (
        code == 2
        and "line 1 is no prediction" in err
        and (tmp_path / "other.txt").read_text() == "hello\n"
    )


def test_what_was_skipped_before_is_counted_after_a_resume(world, tmp_path, capsys):
    folder, out = odd_folder(world, tmp_path / "odd"), tmp_path / "p.jsonl"
    assert (
        call(capsys, "predict", folder, *models(world), "--one-stage", "--quiet", "--out", out)[0]
        == 1
    )
    code, _, err = call(
        capsys,
        "predict",
        folder,
        *models(world),
        "--one-stage",
        "--quiet",
        "--out",
        out,
        "--resume",
    )
    assert code == 1 and "0 images predicted, 8 from before (4 of them skipped), 0 skipped." in err
    code, _, err = call(
        capsys, "predict", folder, *models(world), "--quiet", "--out", out / "p.jsonl"
    )
    assert code == 2 and "is a file, not a folder" in err
    code, _, err = call(capsys, "predict", "", *models(world))
    assert code == 2 and "path is empty" in err


def test_two_processes_predict_as_one(world, tmp_path):
    """15 images, some broken, batches of 2, 2 processes over gloo: one file, the same lines in the
    same order; resumed too.
    """
    folder = odd_folder(world, tmp_path / "odd")
    for i in range(7):
        Colours().image(i).save(folder / f"c{i}.png")
    common = ["predict", folder, *models(world), "--batch-size", "2", "--quiet"]

    def together(name, *more, code=1):
        """What two processes print."""
        port = free_port()
        both = [
            start(shared_command, tmp_path / f"{name}-{rank}.txt", [*common, *more], rank, 2, port)
            for rank in range(2)
        ]
        for process in both:
            process.join()
        assert both[0].exitcode == code
        return [(tmp_path / f"{name}-{rank}.txt").read_text() for rank in range(2)]

    start(shared_command, tmp_path / "printed.txt", [*common, "--json"]).join()
    one = (tmp_path / "printed.txt").read_text()
    lines = one.splitlines(keepends=True)
    assert len(lines) == 15 and together("a", "--json") == [one, ""]
    assert (
        together("b", "--out", tmp_path / "b.jsonl") == ["", ""]
        and (tmp_path / "b.jsonl").read_text() == one
    )
    (tmp_path / "b.jsonl").write_text("".join(lines[:4]) + lines[4][:30])
    together("c", "--out", tmp_path / "b.jsonl", "--resume")
    mended = [json.loads(line)["image"] for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert mended == [json.loads(line)["image"] for line in lines]
    together(
        "d", "--out", tmp_path / "b.jsonl", code=2
    )  # it exists: neither process waits for the other


def test_predict_saves_figures(world, tmp_path, capsys):
    call(
        capsys,
        "predict",
        world / "birds" / "species_0",
        *models(world),
        "--save-figures",
        tmp_path / "f",
        "--quiet",
    )
    figures = sorted((tmp_path / "f").iterdir())
    assert [f.name for f in figures] == ["00.png.png", "03.png.png", "06.png.png", "09.png.png"]
    assert Image.open(figures[0]).size[0] > 900
    again = (world / "birds" / "species_0", *models(world), "--save-figures", tmp_path / "f")
    call(capsys, "predict", *again, "--quiet")  # over its own figures it draws again
    mine = Image.new("RGB", (8, 8))
    mine.save(figures[0])
    kept = figures[0].read_bytes()
    code, _, err = call(capsys, "predict", *again, "--quiet")
    assert code == 2 and "is there and not a figure of this command" in err
    assert figures[0].read_bytes() == kept
    code, _, err = call(
        capsys, "predict", world / "birds", *models(world), "--save-figures", world / "birds" / "f"
    )
    assert code == 2 and "would be predicted too" in err


def test_a_folder_is_streamed(world, tmp_path):
    """Only a few batches are decoded ahead of the model, however many files there are."""
    from mgff_tutorial.evaluation import predict as prediction

    opened = []
    files = (
        opened.append(i) or (str(i), world / "birds" / "species_0" / "00.png")
        for i in range(10_000)
    )
    batches = prediction.predict_files(
        lambda images: ([{} for _ in images], None), files, batch_size=4
    )
    for _ in range(3):
        next(batches)
    assert len(opened) < 40
    batches.close()


def bad_checkpoints(world, folder):
    torch.save({"weights": torch.zeros(2), "code": Colours()}, folder / "pickle.pth")
    (folder / "cut.safetensors").write_bytes((world / "model.safetensors").read_bytes()[:5000])
    (folder / "text.safetensors").write_text("hello, I am no checkpoint")
    save_checkpoint(
        folder / "other.safetensors",
        torch.nn.Linear(2, 2),
        {"model": "mgff_swin_nano", "classes": ["a"]},
    )
    save_checkpoint(
        folder / "unknown.safetensors",
        torch.nn.Linear(2, 2),
        {"model": "swin_pico", "classes": ["a"]},
    )
    save_checkpoint(folder / "bare.safetensors", torch.nn.Linear(2, 2), {})


@pytest.mark.parametrize(
    "name, words",
    [
        ("cut.safetensors", "damaged"),
        ("text.safetensors", "not a readable safetensors file"),
        ("other.safetensors", "another model"),
        ("unknown.safetensors", "swin_pico"),
        ("bare.safetensors", "does not say which"),
        ("absent.safetensors", "no such file"),
        ("pickle.pth", "does not say which model"),
    ],
)
def test_bad_checkpoints(world, tmp_path, capsys, name, words):
    bad_checkpoints(world, tmp_path)
    code, _, err = call(
        capsys, "predict", world / "birds", "--checkpoint", tmp_path / name, "--device", "cpu"
    )
    assert (
        code == 2
        and err.startswith("error: ")
        and words in err
        and name in err
        and err.count("\n") == 1
    )


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda folder: folder / "absent", "does not exist"),
        (lambda folder: folder, "holds no image"),
    ],
)
def test_missing_and_empty_folders(world, tmp_path, capsys, make, words):
    code, _, err = call(capsys, "predict", make(tmp_path), *models(world))
    assert code == 2 and words in err and err.count("\n") == 1


def test_a_single_file_that_is_no_image(world, tmp_path, capsys):
    (tmp_path / "letter.jpg").write_text("Dear bird")
    code, _, err = call(capsys, "predict", tmp_path / "letter.jpg", *models(world))
    assert code == 2 and "skipped" in err and "letter.jpg" in err


@pytest.mark.parametrize(
    "extra, words",
    [
        (["--cropper", "vit_nan"], "vit_nan"),
        (["--cropper", "resnet50.safetensors"], "no such file"),
        (["--rule", "rolout"], "rolout"),
        (["--tau", "-1"], "tau"),
        (["--batch-size", "0"], "--batch-size must be an integer from 1 to 4096"),
        (["--top", "0"], "--top"),
        (["--threads", "-1"], "--threads"),
        (["--resume"], "--resume continues the file of --out"),
        (["--device", "cuda:99"], "not available"),
        (["--save-figures", __file__], "test_command_line.py is a file; expected a folder"),
    ],
)
def test_bad_options_of_predict(world, capsys, extra, words):
    code, _, err = call(capsys, "predict", world / "birds", *models(world), *extra)
    assert (
        code == 2 and words in err.splitlines()[-1] and err.splitlines()[-1].startswith("error: ")
    )


def test_a_closed_pipe_is_no_error(world):
    command = [
        sys.executable,
        "-m",
        "mgff_tutorial",
        "predict",
        str(world / "birds"),
        *models(world),
        "--one-stage",
        "--json",
    ]
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    child.stdout.close()
    err = child.stderr.read().decode()
    child.stderr.close()
    assert child.wait() == 0 and "Traceback" not in err


def test_publish_writes_a_small_copy_whose_card_holds(world, tmp_path, capsys):
    state, card = read_checkpoint(world / "model.safetensors")
    save_checkpoint(
        tmp_path / "run.safetensors",
        state,
        {
            **card,
            "data": str(world / "birds"),
            "correct": 999,
            "count": 999,
            "recipe": {"out": "/secret/place", "pretrained": "/a/b/w.safetensors"},
        },
    )
    common = [
        "--cropper",
        str(world / "vit.safetensors"),
        "--device",
        "cpu",
        "--quiet",
        "--two-stage",
    ]
    code, _, _ = call(
        capsys,
        "evaluate",
        tmp_path / "run.safetensors",
        *common,
        "--publish",
        tmp_path / "public.safetensors",
    )
    assert code == 0
    public = read_metadata(tmp_path / "public.safetensors")
    assert (
        public["count"] == 3
        and public["two_stage"]["count"] == 3
        and public["recipe"] == {"pretrained": "w.safetensors"}
    )
    size = os.path.getsize
    assert size(tmp_path / "public.safetensors") < 0.55 * size(tmp_path / "run.safetensors")
    code, out, _ = call(capsys, "evaluate", tmp_path / "public.safetensors", *common)
    assert code == 0 and "reproduces the card: yes" in out and out.count("card: ") == 3
    code, out, _ = call(
        capsys, "evaluate", tmp_path / "public.safetensors", *common, "--tau", "1.5"
    )
    assert code == 0 and out.count("card: ") == 2  # the card says nothing of another cropper
