"""The second look and the training loop that are run are those that the reader writes in notebooks
10 to 12 and 14.
"""

import ast
import json

import pytest
import torch
from notebook_cells import FOLDER, definitions, source
from torchvision.transforms.v2.functional import pil_to_tensor

from mgff_tutorial import TwoStageClassifier, ViTCropper, render

BUILT = ("setup", "merge", "your-parts", "sureness", "find", "crop", "class")


def cells(name):
    found = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: source(cell) for cell in found if cell["cell_type"] == "code"}


def built(change=lambda text: text):
    """Names that the building cells of notebook 12 define; what they print is left out."""
    names = {"__name__": "notebook_12"}
    for cell in BUILT:
        tree = ast.parse(change(cells("12_two_stage")[cell]))
        if cell in ("merge", "crop"):  # the lines after the function only show what it does
            tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        exec(compile(tree, cell, "exec"), names)
    return names


def gaps(names, pictures):
    """Largest differences of probabilities, boxes and maps from the packaged answers."""
    with torch.random.fork_rng(devices=[]):
        system = TwoStageClassifier(names["classifier"], ViTCropper(names["vit"]))
        found = system.predict(pictures)
        mine = names["ours"]([pil_to_tensor(p).to(names["device"]) / 255 for p in pictures])
    theirs = found.stage1, found.stage2, found.merged, found.boxes, found.response
    return [(a.cpu() - b.cpu()).abs().max().item() for a, b in zip(mine, theirs)]


@pytest.fixture(scope="module")
def birds():
    return [render(s, 70 + s, size=(200, 256, 311)[s % 3]).image for s in range(6)]


def test_the_parts_in_notebook_12_are_those_of_the_notebooks_that_build_them():
    written = {}
    for name in ("10_vit_attention", "11_cropper"):
        for text in cells(name).values():
            written |= definitions(text)
    repeated = definitions(cells("12_two_stage")["your-parts"])
    assert {"attended", "spectral_cut", "largest_component", "pad_boxes"} <= set(repeated)
    for name, code in repeated.items():
        assert code == written.get(name), f"{name} differs from the notebook that builds it"


def test_the_readers_two_looks_give_the_packaged_answers(birds):
    assert max(gaps(built(), birds)) < 1e-4


@pytest.mark.parametrize(
    "old, new",
    [
        ("* seen", "* 1.0"),
        ("kinds), seen)", "kinds[:1]), seen)"),
        ("0.05, height", "0.0, height"),
        ("boxes * sizes / self.vit_side", "boxes"),
        ("antialias=True", "antialias=False"),
        ("logits2.softmax(dim=1), weight)", "logits1.softmax(dim=1), weight)"),
    ],
)
def test_a_line_changed_shows_in_the_answers(birds, old, new):
    assert sum(cells("12_two_stage")[name].count(old) for name in BUILT) == 1
    assert max(gaps(built(lambda text: text.replace(old, new)), birds)) > 1e-3


def test_the_building_cells_take_little_from_the_package():
    tree = ast.parse("\n".join(cells("12_two_stage")[name] for name in BUILT[1:]))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imported = set()
    for node in ast.walk(ast.parse(cells("12_two_stage")["setup"])):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("mgff_tutorial"):
            imported |= {alias.name for alias in node.names}
    assert used & imported == {"create_model", "record_attention"}


def test_the_readers_training_loop_is_short_and_takes_no_loop_from_the_package():
    text = cells("14_training")["fit"]
    assert len([line for line in text.splitlines() if line.strip()]) <= 45
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    assert not used & {"train", "Trainer", "BatchPlan"}
