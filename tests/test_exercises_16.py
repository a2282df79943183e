"""Notebook 16: the script in the text is sound."""

import ast
import importlib
import json
import re
from pathlib import Path

import torch

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def test_the_script_in_the_text_uses_names_that_exist():
    text = (NOTEBOOKS / "16_your_own_data.ipynb").read_text("utf-8")
    cells = [
        "".join(cell["source"])
        for cell in json.loads(text)["cells"]
        if cell["cell_type"] == "markdown"
    ]
    script = next(
        re.search(r"```python\n(.*?)```", cell, re.S).group(1)
        for cell in cells
        if "```python" in cell
    )
    lines = [line for line in script.splitlines() if line.strip()]
    assert len(lines) <= 32
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, name.name) for name in node.names)
    assert torch.export.export and torch.export.save
