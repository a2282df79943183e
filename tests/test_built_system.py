"""The model that is run is the one that the reader writes in notebooks 05 to 09."""

import ast
import dataclasses
import functools
import json
import re

import numpy as np
import pytest
import torch
from notebook_cells import FOLDER, definitions, source

from mgff_tutorial import SketchBirds, create_model
from mgff_tutorial.datasets.transforms import eval_transform
from mgff_tutorial.experiments.intervals import resampled_difference
from mgff_tutorial.experiments.results import stored_results
from mgff_tutorial.options import DEFAULT, LITERAL
from mgff_tutorial.swin import SwinTransformer

EARLIER = ("05_granularities", "06_self_attention", "07_channel_attention", "08_gcn_head")
BUILT = ("your-parts", "fusion-class")


@functools.cache
def cells(name):
    found = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: source(cell) for cell in found if cell["cell_type"] == "code"}


def run_cells(change=lambda text: text):
    """The names that the first cell and the building cells of notebook 09 define."""
    names = {"__name__": "notebook_09"}
    for name in ("setup", *BUILT):
        exec(compile(change(cells("09_mgff")[name]), name, "exec"), names)
    return names


def build(names):
    """The reader's classifier with the weights of the packaged one."""
    swin = create_model("swin_nano", num_classes=0)
    with torch.no_grad():
        maps = names["Taps"](swin)(torch.zeros(1, 3, 96, 96))
    channels, grids = [m.shape[1] for m in maps], [tuple(m.shape[2:]) for m in maps]
    model = names["FusionClassifier"](swin, channels, grids, classes=20).eval()
    packaged = create_model("mgff_swin_nano", pretrained=True).eval()
    model.load_state_dict(packaged.state_dict())
    return model, packaged


def gap(model, packaged):
    birds = SketchBirds(split="test", transform=eval_transform(96, resize=96))
    images = torch.stack([birds[i][0] for i in range(0, 600, 75)])
    with torch.no_grad():
        return (model(images) - packaged(images)).abs().max().item()


@pytest.fixture(autouse=True)
def random_state():
    with torch.random.fork_rng(devices=[]):
        yield


def test_the_parts_in_notebook_09_are_those_of_the_notebooks_that_build_them():
    written = {}
    for name in EARLIER:
        for text in cells(name).values():
            written |= definitions(text)
    repeated = definitions(cells("09_mgff")["your-parts"])
    assert {"Taps", "NormedAlign", "HeadsAttention", "NeutralExcite", "GraphHead"} <= set(repeated)
    for name, code in repeated.items():
        assert code == written.get(name), f"{name} differs from the notebook that builds it"


def test_the_readers_model_gives_the_packaged_logits():
    assert gap(*build(run_cells())) < 1e-5


@pytest.mark.parametrize(
    "old, new",
    [
        ("return x + F.gelu(", "return F.gelu("),
        ("F.relu(self.squeeze(mean))", "self.squeeze(mean)"),
        ("self.exit(self.exit_norm(self.head(nodes)))", "self.exit(self.head(nodes))"),
        ("maps.append(self.model.norm(x))", "maps.append(x)"),
    ],
)
def test_a_line_left_out_shows_in_the_logits(old, new):
    text = "".join(cells("09_mgff")[name] for name in BUILT)
    assert text.count(old) == 1
    assert gap(*build(run_cells(lambda text: text.replace(old, new)))) > 1e-3


def test_every_module_of_the_readers_mgff_is_the_readers_or_torchs():
    model, _ = build(run_cells())
    for module in model.mgff.modules():
        assert type(module).__module__.split(".")[0] in ("notebook_09", "torch"), type(module)
    outside = [m for m in model.modules() if type(m).__module__.startswith("mgff_tutorial")]
    assert {type(m).__module__ for m in outside} <= {
        "mgff_tutorial.swin",
        "mgff_tutorial.windows",
        "mgff_tutorial.patches",
    }
    assert isinstance(model.backbone.model, SwinTransformer)


def test_the_building_cells_use_one_function_of_the_package():
    """The index of relative positions, which notebook 02 builds."""
    tree = ast.parse("\n".join(cells("09_mgff")[name] for name in BUILT))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imported = set()
    for node in ast.walk(ast.parse(cells("09_mgff")["setup"])):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("mgff_tutorial"):
            imported |= {alias.name for alias in node.names}
    assert used & imported == {"relative_position_index"}


def test_the_reader_is_told_of_every_option_of_the_default():
    text = (FOLDER / "09_mgff.ipynb").read_text(encoding="utf-8")
    for field in dataclasses.fields(DEFAULT):
        if getattr(DEFAULT, field.name) != getattr(LITERAL, field.name):
            assert re.search(rf"`{field.name}`", text), field.name


TEST, SMALL = ("test",), ("scale=0.2", "scale=0.3")
WORTH = [  # notebook, results, left out, splits, "points (low to high)" as the text has it
    ("05_granularities", "fusion-sketchbirds", "mgff-step-norms", TEST, "-0.2 (-1.4 to +1.0)"),
    ("05_granularities", "controlled", "mgff-step-norms", SMALL, "+0.1 (-2.4 to +2.5)"),
    (
        "06_self_attention",
        "fusion-sketchbirds",
        "mgff-no-self-attention",
        TEST,
        "+0.0 (-1.7 to +1.6)",
    ),
    ("06_self_attention", "controlled", "mgff-no-self-attention", SMALL, "+1.2 (-1.4 to +3.8)"),
    ("06_self_attention", "controlled-300", "mgff-no-self-attention", SMALL, "+1.8 (-1.1 to +4.9)"),
    ("06_self_attention", "fusion-sketchbirds", "mgff-step-residuals", TEST, "-0.1 (-1.7 to +1.5)"),
    ("06_self_attention", "controlled", "mgff-step-residuals", SMALL, "+1.6 (-0.6 to +3.8)"),
    (
        "07_channel_attention",
        "controlled",
        "mgff-no-channel-attention",
        SMALL,
        "+0.4 (-0.9 to +1.6)",
    ),
    ("08_gcn_head", "controlled", "mgff-no-graph", SMALL, "+0.4 (-1.5 to +2.2)"),
    ("08_gcn_head", "controlled-300", "mgff-no-graph", SMALL, "+2.9 (+0.8 to +5.2)"),
    ("09_mgff", "fusion-sketchbirds", "mgff-step-replace", TEST, "+0.3 (-1.2 to +1.9)"),
    ("09_mgff", "controlled", "mgff-step-replace", SMALL, "+0.3 (-2.4 to +2.9)"),
    ("09_mgff", "fusion-sketchbirds", "mgff-literal", TEST, "+1.2 (-1.2 to +3.5)"),
    ("09_mgff", "controlled", "mgff-literal", SMALL, "+4.0 (+0.5 to +7.6)"),
]


@pytest.mark.parametrize("notebook, name, without, splits, said", WORTH)
def test_the_worth_of_a_part_is_what_the_stored_results_say(notebook, name, without, splits, said):
    results, differences = stored_results(name), []
    look = "" if splits == TEST else "/stage1"
    for split in splits:
        truth = results.predictions[f"labels/{split}"]
        right = [
            [results.predictions[f"{head}{look}/{seed}/{split}"] == truth for seed in range(5)]
            for head in ("mgff", without)
        ]
        differences.append(np.subtract(*np.array(right, dtype=float)))
    e, _ = resampled_difference([(np.mean(differences, axis=0), truth)])
    found = f"{100 * e.mean:+.1f} ({100 * e.low:+.1f} to {100 * e.high:+.1f})"
    assert found == said
    page = json.loads((FOLDER / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    points, interval = said.split(" ", 1)
    assert re.search(
        re.escape(points) + "( points)? " + re.escape(interval), "".join(map(source, page))
    )
