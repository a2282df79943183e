"""One format for code and notebooks: ruff, with the settings of pyproject.toml."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
needs_ruff = pytest.mark.skipif(
    importlib.util.find_spec("ruff") is None, reason="needs ruff: pip install ruff"
)


def ruff(*arguments, folder=ROOT):
    return subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "--no-cache", "."],
        cwd=folder,
        capture_output=True,
        text=True,
    )


@needs_ruff
@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")])
def test_code_and_notebooks_are_in_order(arguments):
    done = ruff(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_ruff
def test_notebooks_and_long_lines_are_looked_at(tmp_path):
    """The settings reach what they should: a long line in a module and one in a notebook."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text("utf-8"))
    long = "x = " + " + ".join(["1"] * 40) + "\n"
    (tmp_path / "module.py").write_text(long)
    cell = {"cell_type": "code", "id": "a", "source": [long], "outputs": [], "metadata": {}}
    text = {"cells": [{**cell, "execution_count": None}], "metadata": {}}
    (tmp_path / "book.ipynb").write_text(json.dumps({**text, "nbformat": 4, "nbformat_minor": 5}))
    for arguments in (("check", "--output-format=concise"), ("format", "--check")):
        found = ruff(*arguments, folder=tmp_path).stdout
        assert "module.py" in found and "book.ipynb" in found
