"""Folders as people bring them: handled, or said in one sentence before long work starts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from training_fakes import small_config, small_net
from trees import noise

from mgff_tutorial.__main__ import main
from mgff_tutorial.datasets import ImageFolderDataset
from mgff_tutorial.datasets.check import check_dataset
from mgff_tutorial.support.errors import DataError, InputError
from mgff_tutorial.training import train

torch.set_num_threads(1)


def photographs(root, classes=("robin", "wren"), each=8, size=(40, 30)):
    """Noise that no two files share, as class folders."""
    for k, name in enumerate(classes):
        for i in range(each):
            noise(root / name / f"{i}.png", size, seed=100 * k + i)
    return root


def said(root):
    """All that ``data check`` says, and its count of problems."""
    report = check_dataset("folder", root, progress=False)
    return "\n".join(map(str, report.problems)), len(report.errors)


def run(root, out, **changes):
    """Train the smallest network on a folder, as ``train --data`` does."""
    options = dict(data=str(root), in_memory=True, workers=0, epochs=1, batch_size=4, validation=0)
    config = small_config(out, **{**options, **changes})
    return train(config, model=small_net(num_classes=2), progress=False)


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda root: root.mkdir(), "holds no class folders"),
        (lambda root: noise(root / "a.png"), "holds 1 image but no class folders"),
        (lambda root: photographs(root, ["robin"]), "holds one class; a classifier needs two"),
        (lambda root: photographs(root, each=1), "each class needs two or more, or a folder"),
        (lambda root: photographs(root / "train"), "each class needs two or more, or a folder"),
        (lambda root: (photographs(root) / "dodo").mkdir(), "dodo: holds no image"),
    ],
    ids=["empty", "unlabelled", "one class", "one image", "no test", "empty class"],
)
def test_what_cannot_be_learned_from_is_refused_by_both(tmp_path, capsys, make, sentence):
    root = tmp_path / "birds"
    make(root)
    assert main(["data", "check", str(root)]) == 1
    assert sentence in capsys.readouterr().out
    assert main(["train", "--data", str(root), "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and sentence in error and error.count("data check") == 1
    assert not (tmp_path / "run").exists()


def test_other_files_are_left_out_and_formats_that_are_not_read_are_named(tmp_path, capsys):
    photographs(tmp_path)
    for name in ("notes.txt", "clip.mov", "IMG_0001.HEIC"):
        (tmp_path / "wren" / name).write_bytes(b"x")
    text, problems = said(tmp_path)
    assert problems == 0 and "holds 3 files that are not listed (0 of them images)" in text
    assert "1 photograph in a format that is not read (HEIC or raw); save them as JPEG" in text
    assert len(ImageFolderDataset(tmp_path, "all")) == 16
    for path in (tmp_path / "wren").glob("*.png"):
        path.unlink()
    assert "save them as JPEG" in said(tmp_path)[0]
    with pytest.raises(DataError, match="wren: holds photographs in a format"):
        ImageFolderDataset(tmp_path)
    assert main(["predict", str(tmp_path / "wren")]) == 2
    assert "save them as JPEG" in capsys.readouterr().err


def test_three_images_a_class_in_any_shape_are_trained_on_and_said(tmp_path):
    for i, size in enumerate([(40, 30), (30, 200), (7, 5)]):
        for k, name in enumerate(("robin", "wren")):
            noise(tmp_path / "birds" / name / f"{i}.png", size, seed=10 * k + i)
    assert "2 classes have fewer than 5 training images (robin: 2)" in said(tmp_path / "birds")[0]
    result = run(tmp_path / "birds", tmp_path / "run", validation=0.3, batch_size=2)
    assert result["validation"]["images"] == 2 and result["best"]["count"] == 2
    assert result["steps"] == 1


def copies(root):
    """The names in the notes about pictures that test and training share."""
    notes = [str(note) for note in check_dataset("folder", root, progress=False).notes]
    return [note.split("shows the same picture as ")[1] for note in notes if "same picture" in note]


def test_a_photograph_saved_anew_is_found_in_the_other_half(tmp_path):
    photographs(tmp_path / "train", size=(64, 48))
    photographs(tmp_path / "test", each=1, size=(60, 48))  # the same seeds, another size: others
    assert copies(tmp_path) == []
    smooth = lambda i: np.random.default_rng(i).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    for i in range(3):
        scene = Image.fromarray(smooth(i)).resize((640, 480), Image.Resampling.BICUBIC)
        scene.save(tmp_path / "train" / "wren" / f"scene{i}.png")
        again = scene.resize((320, 240)).point(lambda v: min(255, int(1.1 * v)))
        if i:  # of the first scene there is no second copy
            again.save(tmp_path / "test" / "wren" / f"again{i}.jpg", quality=60)
    assert copies(tmp_path) == ["scene1.png (training)", "scene2.png (training)"]


def test_flat_pictures_are_no_copies_of_each_other(tmp_path):
    for half in ("train", "test"):
        for k, name in enumerate(("robin", "wren")):
            (tmp_path / half / name).mkdir(parents=True)
            colour = (90 + 9 * k, 80, 70 + 5 * (half == "test"))
            Image.new("RGB", (40, 30), colour).save(tmp_path / half / name / "a.png")
    assert copies(tmp_path) == []


def test_turned_photographs_are_one_line_and_are_trained_on_upright(tmp_path):
    photographs(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    for i in range(3):
        noise(tmp_path / "wren" / f"phone{i}.jpg", seed=900 + i, exif=exif)
    text, problems = said(tmp_path)
    assert problems == 0 and text.count("EXIF") == 1
    assert "3 images are turned by EXIF orientation, such as phone0.jpg" in text
    birds = ImageFolderDataset(tmp_path, "all")
    place = next(i for i, path in enumerate(birds.paths) if path.name == "phone0.jpg")
    assert birds.image(place).size == (30, 40)


@pytest.mark.parametrize("half", ["train", "test"])
def test_a_broken_image_of_either_half_stops_before_training(tmp_path, half):
    for name in ("train", "test"):
        photographs(tmp_path / "birds" / name)
    broken = tmp_path / "birds" / half / "wren" / "3.png"
    broken.write_bytes(broken.read_bytes()[:700])
    with pytest.raises(InputError, match="3.png is a damaged or cut off image"):
        run(tmp_path / "birds", tmp_path / "run")
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_the_folder_that_is_sound_trains(tmp_path):
    """The other tests refuse for the reason that they name."""
    photographs(tmp_path / "birds")
    assert said(tmp_path / "birds") == ("", 0)
    run(tmp_path / "birds", tmp_path / "run")
    assert json.loads(Path(tmp_path / "run" / "result.json").read_text())["last"]["count"] == 4
