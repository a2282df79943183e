"""The road of one's own photographs: which recipe, which ViT, and what is said when it is not
there.
"""

import pytest
import torch
from PIL import Image
from training_fakes import Colours

from mgff_tutorial.__main__ import main
from mgff_tutorial.evaluation import predict as prediction
from mgff_tutorial.models import create_model
from mgff_tutorial.support import fetch
from mgff_tutorial.support.checkpoints import save_checkpoint
from mgff_tutorial.training.config import load_config, recipe_for

torch.set_num_threads(1)


@pytest.mark.parametrize(
    "data, model, recipe",
    [
        (None, None, "nano"),
        ("sketchbirds", None, "nano"),
        ("cub", None, "light"),
        ("my_birds", None, "light"),
        ("my_birds", "mgff_swin_nano", "nano"),
        ("my_birds", "mgff_resnet50", "light"),
        (None, "mgff_resnet50", "nano"),
    ],
)
def test_photographs_and_drawn_birds_have_a_recipe_each(data, model, recipe):
    assert recipe_for(data, model) == recipe


def test_recipes_of_photographs_use_a_vit_of_photographs():
    for name, vit, size in (
        ("light", prediction.PHOTOGRAPHS, prediction.LOOK),
        ("practical", prediction.PHOTOGRAPHS, prediction.LOOK),
        ("paper", prediction.PHOTOGRAPHS, prediction.LOOK),
        ("nano", "vit_nano", None),
    ):
        config = load_config(name)
        assert (config.cropper, config.cropper_size) == (vit, size)
    assert load_config("light").close_views > 0


@pytest.mark.parametrize(
    "card, vit, size",
    [
        ({"model": "mgff_swin_nano"}, "vit_nano", None),
        ({"model": "mgff_resnet50", "data": "sketchbirds"}, "vit_nano", None),
        ({"model": "mgff_resnet50", "data": "photos"}, prediction.PHOTOGRAPHS, 224),
        ({"model": "mgff_resnet50", "cropper": {"vit": "v", "input_size": 98}}, "v", 98),
    ],
)
def test_the_card_says_what_finds_the_objects(card, vit, size):
    found = prediction.cropper_of(card)
    assert (found["vit"], found["input_size"]) == (vit, size)


@pytest.fixture
def photographs(tmp_path):
    """Three photographs, and a classifier whose ViT is nowhere to be had."""
    for i in range(3):
        Colours(3, size=40).image(i).save(tmp_path / f"{i}.png")
    card = {
        "model": "mgff_swin_nano",
        "kwargs": {"img_size": 96},
        "classes": ["a", "b", "c"],
        "cropper": {"vit": prediction.PHOTOGRAPHS, "input_size": 56},
        "calibration": {
            look: {"temperature": 2.0, "error": 0.1, "error_before": 0.2, "count": 9, "images": 9}
            for look in ("one look", "two looks")
        },
    }
    save_checkpoint(tmp_path / "m.safetensors", create_model("mgff_swin_nano", num_classes=3), card)
    return tmp_path


def test_without_the_weights_of_the_vit_there_is_one_look_and_one_line(
    photographs, monkeypatch, capsys
):
    monkeypatch.setattr(fetch, "_answers", lambda address: False)
    monkeypatch.setenv("HF_HUB_CACHE", str(photographs / "none"))
    model = ["--checkpoint", str(photographs / "m.safetensors"), "--device", "cpu"]
    assert main(["predict", str(photographs / "0.png"), *model]) == 0
    out, err = capsys.readouterr()
    notes = [line for line in err.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1 and "one look only" in notes[0] and "--cropper FILE" in notes[0]
    assert "whole image" not in out and "off by 10.0% on average, 20.0% before" in err
    named = [*model, "--cropper", prediction.PHOTOGRAPHS]
    assert main(["predict", str(photographs / "0.png"), *named]) == 2
    assert capsys.readouterr().err.startswith("error: Pretrained weights of")


def test_the_printed_confidence_is_calibrated_and_the_probability_is_not(photographs):
    classifier = prediction.load_classifier(photographs / "m.safetensors", "cpu")
    (record,), _ = prediction.Predictor(classifier)([Image.open(photographs / "0.png")])
    assert record["confidence"] < record["probability"] == record["top"][0][1]


def test_without_a_checkpoint_the_drawn_birds_classifier_says_so(photographs, capsys):
    assert main(["predict", str(photographs / "0.png"), "--device", "cpu", "--one-stage"]) == 0
    assert "knows 20 drawn species, and no photograph" in capsys.readouterr().err


def test_a_table_and_where_it_is(photographs, capsys):
    table = photographs / "new folder" / "t.csv"
    arguments = ["predict", str(photographs), "--device", "cpu", "--csv", str(table)]
    assert main([*arguments, "--one-stage"]) == 0
    assert f"written: {table}" in capsys.readouterr().err
    assert len(table.read_text("utf-8-sig").splitlines()) == 4


def test_boxes_of_reduced_photographs_are_in_pixels_of_the_whole(photographs, tmp_path):
    classifier = prediction.load_classifier(photographs / "m.safetensors", "cpu")
    cropper = prediction.load_cropper("vit_nano", "cpu", presence=False)
    predictor = prediction.Predictor(classifier, cropper)
    scene = Image.open(photographs / "0.png").resize((2400, 1800), Image.Resampling.BICUBIC)
    (tmp_path / "large").mkdir()
    scene.save(tmp_path / "large" / "large.png")
    (found,) = prediction.predict_files(predictor, [("x", tmp_path / "large" / "large.png")])
    whole, _ = predictor([scene])
    assert max(abs(a - b) for a, b in zip(found[0]["box"], whole[0]["box"])) < 30
    assert max(found[0]["box"]) > 1200


@pytest.mark.parametrize("command", [["train", "--data"], ["data", "check"]])
def test_a_folder_that_is_not_there(command, tmp_path, capsys):
    code = main([*command, str(tmp_path / "nothere")])
    out, err = capsys.readouterr()
    assert code == 2 and "does not exist" in out + err and "Traceback" not in err


@pytest.mark.parametrize("command", [["train", "--data"], ["data", "check"]])
def test_a_word_that_is_no_data_set_and_no_folder(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*command, "birds"]) == 2
    err = capsys.readouterr().err
    assert "Unknown data set 'birds'; " in err and "no folder of that name" in err
    (tmp_path / "birds").write_text("a file")
    assert main([*command, "birds"]) == 2
    assert "birds is a file; expected a folder" in capsys.readouterr().err


def test_a_folder_with_two_problems_gives_the_command_that_lists_them(tmp_path, capsys):
    for name in ("one half/train/robin", "one half/test/wren", "one half/test/owl"):
        (tmp_path / name).mkdir(parents=True)
        Colours(8).image(0).save(tmp_path / name / "0.png")
    assert main(["train", "--data", str(tmp_path / "one half"), "--out", str(tmp_path / "o")]) == 2
    said = capsys.readouterr().err.strip()
    assert said.endswith(f"data check folder --root '{tmp_path / 'one half'}'")
    assert "And 1 more" in said


def test_data_check_takes_a_folder_as_train_does(tmp_path, capsys):
    for name in ("robin", "wren"):
        (tmp_path / "birds" / name).mkdir(parents=True)
        for i in range(4):
            Colours(8, seed=len(name) + i).image(i).save(tmp_path / "birds" / name / f"{i}.png")
    (tmp_path / "birds" / "robin" / "3.png").write_bytes(b"no picture")
    assert main(["data", "check", str(tmp_path / "birds")]) == 1
    out = capsys.readouterr().out
    assert "1 problem, 1 note." in out and "3.png" in out and "robin: 3" in out


def test_the_embedded_classifier_knows_drawings_from_noise():
    """Its card holds a threshold: most drawn test birds pass, and noise does not."""
    from mgff_tutorial.datasets import SketchBirds
    from mgff_tutorial.support.paths import checkpoints_dir

    classifier = prediction.load_classifier(checkpoints_dir() / "mgff_swin_nano.safetensors", "cpu")
    predictor, birds = prediction.Predictor(classifier), SketchBirds(split="test")
    records, _ = predictor([birds.image(i) for i in range(0, 600, 15)])
    assert sum(record["familiar"] for record in records) >= 35
    noise = [Image.effect_noise((90, 90), 80 + i).convert("RGB") for i in range(10)]
    assert not any(record["familiar"] for record in predictor(noise)[0])
