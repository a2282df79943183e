"""Types for editors and type checkers: public names have annotated signatures, and a client of the
package passes mypy in its strict mode.
"""

import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import mgff_tutorial
from mgff_tutorial import datasets, evaluation, swin, training

ROOT = Path(__file__).resolve().parent.parent
PUBLIC = {
    **{name: getattr(mgff_tutorial, name) for name in mgff_tutorial.__all__ if name[0] != "_"},
    **{name: getattr(datasets, name) for name in datasets.__all__ if name != "DATASETS"},
    **{"train": training.train, "load_config": training.load_config},
    **{"evaluate": evaluation.evaluate},
    **{name: getattr(swin, name) for name in dir(swin) if name.startswith("swin_")},
}
CLIENT = """
import torch
from PIL import Image
from typing_extensions import assert_type  # typing's own needs Python 3.11

from mgff_tutorial import CUB200, MGFFClassifier, SketchBirds, TwoStageClassifier, ViTCropper
from mgff_tutorial import create_model, render
from mgff_tutorial.datasets import readable_name, split_validation
from mgff_tutorial.datasets.transforms import transforms_for
from mgff_tutorial.evaluation import evaluate
from mgff_tutorial.training import load_config, train as train_model


def accuracy(system: TwoStageClassifier, birds: CUB200, count: int = 8) -> float:
    result = system.predict([birds.image(i) for i in range(count)])
    assert_type(result.merged, torch.Tensor)
    assert_type(result.response, torch.Tensor | None)
    return sum(int(p.argmax()) == birds.labels[i] for i, p in enumerate(result.merged)) / count


model = MGFFClassifier("resnet10t", num_classes=20, img_size=96)
train = SketchBirds("train", transforms_for(model, train=True))
assert_type(train.subset(split_validation(train)[0]), SketchBirds)
assert_type(render("Crested Marsh Pipit", 3, size=96).image, Image.Image)
assert_type(model.forward(torch.zeros(1, 3, 96, 96)), torch.Tensor)
cropper = ViTCropper(create_model("vit_nano", pretrained=True))
assert_type(cropper.boxes(torch.zeros(1, 3, 192, 192)), torch.Tensor)
assert_type(evaluate(model, train, cropper)["merged"].accuracy, float)
train_model(load_config("nano", epochs=1), train)
print(readable_name(train.classes[0]), accuracy(TwoStageClassifier(model, cropper), train))
"""


def signatures(value):
    """The function itself, or the public methods of a class that this package defines."""
    if not inspect.isclass(value):
        return [value]
    found = []
    for owner in value.__mro__:
        if not owner.__module__.startswith("mgff_tutorial"):
            continue
        for name, member in vars(owner).items():
            member = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if inspect.isfunction(member) and (not name.startswith("_") or name == "__init__"):
                found.append(member)
    return found


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_signatures_are_annotated(name):
    missing = []
    for function in signatures(PUBLIC[name]):
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())
        if parameters and parameters[0].name in ("self", "cls"):
            parameters = parameters[1:]
        if any(p.annotation is p.empty for p in parameters) or (
            signature.return_annotation is signature.empty
        ):
            missing.append(function.__qualname__)
    assert not missing


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="needs mypy: pip install mypy")
def test_a_client_passes_mypy(tmp_path):
    assert (ROOT / "mgff_tutorial" / "py.typed").is_file()
    wrong = CLIENT.replace("split_validation(train)", "split_validation(3)").replace(
        'render("Crested Marsh Pipit", 3', 'render("Crested Marsh Pipit", "3"'
    )
    files = {"client.py": CLIENT, "wrong.py": wrong}
    for name, source in files.items():
        (tmp_path / name).write_text(source)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"),
            *("--cache-dir", str(ROOT / ".mypy_cache"), *(str(tmp_path / name) for name in files)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    found = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(found) == 2 and all("wrong.py" in line for line in found), done.stdout + done.stderr
    assert all(": error: Argument" in line for line in found)
