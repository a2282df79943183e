"""The glossary and the sheet of shapes beside the notebooks: every shape is the model's, every link
leads somewhere.
"""

import re

import pytest
import timm
import torch
from notebook_cells import FOLDER

from mgff_tutorial import create_model
from mgff_tutorial.response import enlarge, record_attention

SHEETS = ("GLOSSARY.md", "SHAPES.md")
CASES = (  # classifier, its image, ViT, its image
    ("mgff_swin_base_patch4_window12_384", 384, "vit_base_patch16_384", 384),
    ("mgff_swin_nano", 96, "vit_nano", 192),
)


def shape_of(value):
    while isinstance(value, (list, tuple)):
        value = value[0]
    return tuple(value.shape) if isinstance(value, torch.Tensor) else None


def live_shapes(model, size):
    """Shapes by name: "module in", "module out", parameters and buffers by their own names.

    Nothing is computed: on the meta device tensors have shapes and no numbers.
    """
    found = {name: tuple(p.shape) for name, p in model.named_parameters()}
    found |= {name: tuple(b.shape) for name, b in model.named_buffers()}

    def note(name):
        def hook(module, args, out):
            found[f"{name} in"], found[f"{name} out"] = shape_of(args), shape_of(out)
            if isinstance(out, dict):
                found.update({f"{name} {key}": shape_of(value) for key, value in out.items()})

        return hook

    for name, module in model.named_modules():
        module.register_forward_hook(note(name or "model"))
    with torch.no_grad():
        model(torch.empty(1, 3, size, size, device="meta"))
    return found


def vit_shapes(name, size):
    vit = timm.create_model(name, num_classes=0, img_size=size).eval().to("meta")
    with torch.no_grad():
        record = record_attention(vit, torch.empty(1, 3, size, size, device="meta"))
        weights = torch.empty(1, *record.grid, device="meta")
        return {
            "vit in": (1, 3, size, size),
            "vit layers": (len(record.layers),),
            "vit tokens": tuple(record.tokens.shape),
            "vit attention": tuple(record.layers[0].matrix().shape),
            "vit weights": tuple(weights.shape),
            "vit response": tuple(enlarge(weights, (size, size)).shape),
        }


@pytest.fixture(scope="module")
def shapes():
    every = []
    for name, size, vit, vit_size in CASES:
        with torch.device("meta"):
            model = create_model(name, num_classes=200).eval()
        every.append(live_shapes(model, size) | vit_shapes(vit, vit_size))
    return every


def rows(text):
    """(tensor, where, shape at full size, shape of the small model) of every line of a table."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[1].startswith("`"):
            yield cells[0], cells[1].strip("`"), *cells[2:]


def numbers(text):
    return tuple(int(n) for n in re.findall(r"\d+", text))


def test_every_shape_on_the_sheet_is_that_of_the_model(shapes):
    found = list(rows((FOLDER / "SHAPES.md").read_text("utf-8")))
    assert len(found) >= 40
    for tensor, where, *written in found:
        for text, live in zip(written, shapes):
            assert where in live, f"{where}: no such tensor"
            wanted = live[where]
            assert numbers(text) == wanted, f"{tensor}: {where} is {wanted}, the sheet says {text}"


@pytest.mark.parametrize("name", SHEETS)
def test_links_of_the_sheets_lead_somewhere(name):
    text = (FOLDER / name).read_text("utf-8")
    links = re.findall(r"\]\(([^)#\s]+)", text)
    assert links
    for target in links:
        assert re.match(r"[a-z]+:", target) or (FOLDER / target).exists(), target
    assert f"({name})" in (FOLDER / "README.md").read_text("utf-8")


def test_the_glossary_is_in_order_and_defines_each_term_once():
    text = (FOLDER / "GLOSSARY.md").read_text("utf-8")
    terms = [term.lower() for term in re.findall(r"(?m)^\*\*([^*]+)\*\*", text)]
    assert len(terms) >= 40
    assert terms == sorted(set(terms))


@pytest.mark.parametrize(
    "term",
    "granularity node super-node gate literal control decoy preset frozen look stage token window "
    "head mask logit".split(),
)
def test_the_glossary_has_the_terms_that_the_notebooks_lean_on(term):
    text = (FOLDER / "GLOSSARY.md").read_text("utf-8").lower()
    assert re.search(rf"(?m)^\*\*{term}\*\*", text)
