"""Failing cells: the reader is told what to run, and the cell still counts as failed."""

from mgff_tutorial.notebook import code_cells, explain

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mgff_tutorial.support.errors import DataError

CELLS = [
    ("the title", "import torch"),
    ("A toy", "toy = torch.ones(2)\nx = 1"),
    ("A toy", "x = toy + x"),
    ("The class", "class Tiny:\n    inner = 3"),
    ("The class", "print(x, toy, Tiny)"),
]
SOURCES = [source for _, source in CELLS]


def missing(name):
    return NameError(f"name {name!r} is not defined", name=name)


def test_a_name_of_a_cell_that_has_not_run_is_traced_to_that_cell():
    sentence, hint = explain(missing("toy"), "", True, [SOURCES[0], SOURCES[4]], CELLS)
    assert "'toy'" in sentence and '"A toy"' in sentence and "toy = torch.ones(2)" in sentence
    assert "Run All Above" in sentence and hint is None
    assert '"The class"' in explain(missing("Tiny"), "", True, [SOURCES[4]], CELLS)[0]
    assert "import torch" in explain(missing("torch"), "", True, [SOURCES[1]], CELLS)[0]


def test_of_several_cells_that_define_a_name_the_nearest_above_is_named():
    assert "x = toy + x" in explain(missing("x"), "", True, [SOURCES[4]], CELLS)[0]
    assert "toy = torch.ones(2)" in explain(missing("x"), "", True, [SOURCES[2]], CELLS)[0]


def test_a_name_that_no_cell_defines_is_left_to_python():
    assert explain(missing("tooy"), "", True, SOURCES, CELLS) == (None, None)
    assert explain(missing("inner"), "", True, SOURCES, CELLS) == (
        None,
        None,
    )  # of a class, not of a cell
    assert explain(missing("toy"), "", False, SOURCES, CELLS) == (None, None)  # raised in a library
    assert explain(NameError("made by hand"), "", True, ["x"], []) == (None, None)
    unbound = UnboundLocalError("cannot access local variable 'toy'")
    assert explain(unbound, "", True, SOURCES, CELLS) == (None, None)


def test_without_the_notebook_file_the_sentence_is_general():
    sentence, _ = explain(missing("toy"), "", True, ["toy"], [])
    assert "'toy'" in sentence and "a cell above" in sentence and "Run All Above" in sentence


def test_our_own_errors_are_their_sentence_and_the_line():
    sentence, hint = explain(DataError("no such folder."), "CUB200('x')", False, SOURCES, CELLS)
    assert (
        sentence.startswith("DataError: no such folder.")
        and "CUB200('x')" in sentence
        and "%tb" in sentence
    )
    assert hint is None


def test_other_errors_keep_their_traceback_and_name_cells_that_were_left_out():
    error = RuntimeError("shapes")
    assert explain(error, "", True, SOURCES, CELLS) == (None, None)
    sentence, hint = explain(error, "", True, [SOURCES[0], SOURCES[2], SOURCES[4]], CELLS)
    assert (
        sentence is None
        and ": 2." in hint
        and "toy = torch.ones(2)" in hint
        and "Run All Above" in hint
    )


def test_files_that_are_no_notebooks_have_no_cells(tmp_path):
    for text in ("", "[]", "{}", '{"cells": [{}]}', "\0"):
        (tmp_path / "a.ipynb").write_text(text)
        assert code_cells(tmp_path / "a.ipynb") == []
    assert code_cells(tmp_path / "absent.ipynb") == []


def notebook(path, *cells):
    """Write a notebook of (kind, source) cells."""
    nbformat = pytest.importorskip("nbformat").v4
    made = {"markdown": nbformat.new_markdown_cell, "code": nbformat.new_code_cell}
    path.write_text(
        json.dumps(nbformat.new_notebook(cells=[made[kind](source) for kind, source in cells]))
    )
    return path


START = ("code", "import mgff_tutorial.notebook")
TOY = ("markdown", "# Title\n## A toy"), ("code", "toy = 2")


def test_in_a_kernel_the_sentence_takes_the_place_of_the_traceback_and_tb_brings_it_back(tmp_path):
    client = pytest.importorskip("nbclient").NotebookClient
    import nbformat

    notebook(
        tmp_path / "whole.ipynb", START, *TOY, ("code", "print(toy + 1)")
    )  # the file that the reader has open
    ours = (
        "code",
        "from mgff_tutorial.support.errors import InputError\n"
        "def f():\n    raise InputError('three, not two.')\nf()",
    )
    cells = notebook(tmp_path / "run.txt", START, ("code", "print(toy + 1)"), ours, ("code", "%tb"))
    book = nbformat.reads(cells.read_text(), 4)
    client(book, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}).execute()
    name, own = (book.cells[i].outputs[0] for i in (1, 2))
    assert (
        name.ename == "NameError"
        and '"A toy"' in name.traceback[0]
        and "Traceback" not in "".join(name.traceback)
    )
    assert own.ename == "InputError" and own.traceback[0].startswith("InputError: three, not two.")
    shown = "".join(book.cells[3].outputs[0].traceback)
    assert "Traceback" in shown and "three, not two." in shown and "raise" in shown


def test_a_cell_that_is_explained_still_fails_a_run_and_nbval(tmp_path):
    pytest.importorskip("nbval")
    path = notebook(tmp_path / "broken.ipynb", START, ("code", "print(toy + 1)"), *TOY)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "-p", "no:cacheprovider", "-q", path.name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1 and "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert (
        "'toy' is not defined" in done.stdout and "Run All Above" in done.stdout
    )  # nbval keeps no history
