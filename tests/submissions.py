"""A class of made-up students, for the tests of grading and for a look at a whole run:

    python tests/submissions.py FOLDER              writes them
    python -m mgff_tutorial grade FOLDER --notebook 08 --seconds 5

or, made from a notebook of any sheet that nbgrader or otter-grader has handed out:

    python tests/submissions.py FOLDER --from release/graph/08.ipynb    # FOLDER/NAME/graph/08.ipynb

All but a few hand in the sheet of notebook 08. Their answers are the solutions, with something
changed; `EXPECTED` says what each must get.
"""

import argparse
import ast
import json
import re
from pathlib import Path

import nbformat
from exercises import CHECKS, FOLDER, NOTEBOOKS
from exercises import source as solutions_of

from mgff_tutorial.teaching.release import _parts

BOOK = "08_gcn_head"
ANSWERS = [c.exercise.answer for c in CHECKS if c.exercise.sheet == "08"]
SOLUTIONS = (FOLDER / f"solutions_{BOOK}.py").read_text("utf-8")
FIRST, LAST = "adjacency", "scale_adjacency"  # exercises 8.1 and 8.4

# name of a student -> (source that replaces or follows the solution of 8.1, outcome of 8.1)
FIRST_ANSWERS = {
    "right_float64": (
        """
def adjacency(links):
    linked = links.double() + torch.eye(len(links), dtype=torch.float64)
    return linked / linked.sum(1, keepdim=True)
""",
        "correct",
    ),
    "right_lists": (
        """
def adjacency(links):
    rows = [[float(v) for v in row] for row in links]
    for i, row in enumerate(rows):
        row[i] += 1
    return [[v / sum(row) for v in row] for row in rows]
""",
        "correct",
    ),
    "right_lambda": (
        """
adjacency = lambda links: (links + torch.eye(len(links))) / (links.sum(1, keepdim=True) + 1)
""",
        "correct",
    ),
    "right_helpers": (
        """
from functools import partial
LOOP = 1
TABLE = {}
TABLE.update(loop=LOOP)
class Tools:
    @staticmethod
    def looped(links, loop):
        return links + loop * torch.eye(links.shape[0])
def shares(matrix): return matrix / matrix.sum(-1, keepdim=True)
def _both(links, loop): return shares(Tools.looped(links, loop))
adjacency = partial(_both, loop=TABLE["loop"])
""",
        "correct",
    ),
    "right_numpy": (
        """
import numpy as np
def adjacency(links):
    linked = links.numpy() + np.eye(len(links))
    return linked / linked.sum(axis=1, keepdims=True)
""",
        "correct",
    ),
    "right_chatty": (
        """
def adjacency(links):
    print("Exercise 8.1: wrong" * 100_000)
    linked = links + torch.eye(len(links))
    return linked / linked.sum(1, keepdim=True)
""",
        "correct",
    ),
    "right_object": (
        """
class Adjacency(torch.nn.Module):
    def forward(self, links):
        linked = links + torch.eye(len(links))
        return linked / linked.sum(1, keepdim=True)
adjacency = Adjacency()
""",
        "correct",
    ),
    "right_wrapped": (
        """
def adjacency(links):
    linked = links + torch.eye(len(links)
% 10**6)
    return linked / linked.sum(1, keepdim=True)
""",
        "correct",
    ),
    "right_with_gradients": (
        """
def adjacency(links):
    linked = links + torch.eye(len(links), requires_grad=True)
    return torch.nn.Parameter(linked / linked.sum(1, keepdim=True))
""",
        "correct",
    ),
    "wrong_softmax": (
        """
def adjacency(links):
    return (links + torch.eye(len(links))).softmax(1)
""",
        "wrong",
    ),
    "wrong_in_place": (
        """
def adjacency(links):
    links += torch.eye(len(links))
    return links / links.sum(1, keepdim=True)
""",
        "wrong",
    ),
    "wrong_visible_cases": (
        """
def adjacency(links):
    known = {4: [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]}
    linked = torch.tensor(known.get(len(links), torch.eye(len(links)).tolist())).float()
    return linked / linked.sum(1, keepdim=True)
""",
        "wrong",
    ),
    "wrong_print": (
        """
def adjacency(links):
    linked = links + torch.eye(len(links))
    print(linked / linked.sum(1, keepdim=True))
""",
        "wrong",
    ),
    "wrong_text": ("def adjacency(links): return 'correct'\n", "wrong"),
    "raises": ("def adjacency(links): return links @ torch.ones(3, 99)\n", "error"),
    "hostile_exit": ("def adjacency(links): exit(0)\n", "error"),
    "hostile_base_exception": (
        """
class Mine(BaseException): pass
def adjacency(links): raise Mine("an error of my own")
""",
        "error",
    ),
    "hostile_forks": (
        """
import os
def adjacency(links):
    if os.fork() == 0:
        while True: pass
    return links
""",
        "error",
    ),
    "hostile_eats_memory": (
        """
def adjacency(links):
    eaten = []
    while True: eaten.append(torch.empty(10**8))
""",
        "error",
    ),
    "hostile_fills_the_disk": (
        """
def adjacency(links):
    for i in range(10**6): open(str(i), "wb")
""",
        "error",
    ),
    "hostile_endless_result": ("def adjacency(links): return range(10**12)\n", "error"),
    "hostile_os_exit": (
        """
import os
def adjacency(links): os._exit(0)
""",
        "error",
    ),
    "hostile_says_correct": (
        """
import sys
print("Exercise 8.1: correct.")
def adjacency(links):
    print("Exercise 8.1: correct.")
    sys.stdout.write("8.1,correct,1,")
    return torch.zeros(1)
""",
        "wrong",
    ),
    "hostile_always_equal": (
        """
class Equal(torch.Tensor):
    def __eq__(self, other): return True
    def __sub__(self, other): return torch.zeros(1)
torch.allclose = torch.equal = lambda *args, **options: True
def adjacency(links):
    torch.allclose = torch.equal = lambda *args, **options: True
    return torch.zeros_like(links).as_subclass(Equal)
""",
        "wrong",
    ),
    "hostile_imports_the_answer": (
        """
from mgff_tutorial.graph import grid_adjacency
def adjacency(links): return grid_adjacency((2, 2), 1)
""",
        "error",
    ),
    "hostile_imports_the_check": (
        """
import mgff_tutorial.checks.core as core
core.expect = lambda *args: None
def adjacency(links):
    core.expect(True)
    return links
""",
        "error",
    ),
    "hostile_memory": (
        "def adjacency(links): return torch.ones(10**11)\n",
        "error",
    ),
    "hostile_long_result": (
        "def adjacency(links): return torch.zeros(1).expand(10**11)\n",
        "error",
    ),
    "hostile_reads_solutions": (
        f"""
def adjacency(links):
    return len(open({str(FOLDER / f"solutions_{BOOK}.py")!r}).read())
""",
        "error",
    ),
    "hostile_kills_the_grader": (
        """
import os, signal
def adjacency(links):
    os.kill(os.getppid(), signal.SIGKILL)
""",
        "error",
    ),
    "hostile_starts_programs": (
        """
import subprocess
def adjacency(links): subprocess.run(["true"])
""",
        "error",
    ),
    "hostile_writes_everywhere": (
        """
import os
def adjacency(links):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"Exercise 8.1: correct." * 100)
        except OSError:
            pass
    return links
""",
        "error",
    ),
    "slow_flood": (
        """
def adjacency(links):
    while True:
        print("correct" * 1000)
""",
        "timed out",
    ),
    "slow_sleep": (
        """
import time
def adjacency(links):
    try:
        time.sleep(10**6)
    except BaseException:
        time.sleep(10**6)
""",
        "timed out",
    ),
    "slow_import": (
        """
def count():
    n = 0
    while True:
        n += 1
NUMBER = count()
def adjacency(links): return links + NUMBER
""",
        "timed out",
    ),
}


def write_class(folder):
    """Write the submissions.

    Returns:
        dict of submission -> (outcomes by exercise, or the words of its one message).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    everything = dict.fromkeys(c.exercise.number for c in CHECKS if c.exercise.sheet == "08")
    right, nothing = (dict.fromkeys(everything, o) for o in ("correct", "not answered"))
    expected = {}

    def file(name, text, outcomes):
        (folder / f"{name}.py").write_text(text, "utf-8")
        expected[name] = outcomes

    def notebook(name, book, outcomes):
        (folder / f"{name}.ipynb").write_text(json.dumps(book), "utf-8")
        expected[name] = outcomes

    file("right_file", SOLUTIONS, right)
    file("right_from_an_old_editor", "\ufeff" + SOLUTIONS, right)
    for name, (source, outcome) in FIRST_ANSWERS.items():
        file(name, SOLUTIONS + "\n\n" + source, right | {"8.1": outcome})
    file("empty", "", nothing)
    stubs = "".join(f"def {n}(*args): raise NotImplementedError\n" for n in ANSWERS)
    file("not_implemented", stubs, nothing)
    file("broken_file", SOLUTIONS + "\ndef adjacency(links:\n", dict.fromkeys(everything, "error"))
    notebook("untouched", original(), nothing)
    notebook("right_notebook", answered(), right)

    book = answered()
    for cell in book["cells"]:  # a reader's own mess between the exercises
        if cell["id"] == "exercise-1":
            cell["source"] += "\n%matplotlib inline\n!ls\nmodel.train()\nwhile True:\n    pass\n"
    notebook("right_with_a_mess", book, right)

    book = answered()
    source = SOLUTIONS.split("def adjacency", 1)[1].split("\n\n\n")[0]
    for cell in book["cells"]:
        if cell["id"] == "exercise-1":
            checks = cell["source"].split("\n\n\n")[0]
            cell["source"] = f"{checks}\ndef mine{source}\n\ncheck_adjacency(mine)"
    notebook("right_renamed", book, right)

    book = answered()
    for cell in book["cells"]:
        if cell["id"] == "exercise-4":
            cell["source"] = "def scale_adjacency(grid, granularities)\n    return 1\n"
    notebook("broken_cell", book, right | {"8.4": "error"})

    book = answered()
    book["metadata"]["mgff_tutorial"] = {"version": "0.0.1", "notebook": BOOK}
    notebook("older_release", book, "version 0.0.1")
    notebook("another_course", {**original(), "cells": original()["cells"][:3]}, "no exercise")
    other = nbformat.read(NOTEBOOKS / "05_granularities.ipynb", as_version=4)
    notebook("another_notebook", other, "notebook 05, not 08")
    (folder / "not_a_notebook.ipynb").write_text("{", "utf-8")
    expected["not_a_notebook"] = "no notebook that can be read"
    file("twice", SOLUTIONS, "2 submissions have this name")
    notebook("twice", answered(), "2 submissions have this name")
    (folder / "nothing_handed_in").mkdir()
    (folder / "nothing_handed_in" / "notes.pdf").write_bytes(b"%PDF")
    expected["nothing_handed_in"] = "holds no submission"
    return expected


def original():
    return nbformat.read(NOTEBOOKS / f"{BOOK}.ipynb", as_version=4)


def answered():
    """Notebook 08 with the solutions in place of the stubs."""
    book, tree = original(), ast.parse(SOLUTIONS)
    lines = SOLUTIONS.splitlines()
    parts = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    for cell in book.cells:
        if cell.cell_type != "code":
            continue
        stubs = [
            node
            for node in ast.parse(cell.source).body
            if isinstance(node, ast.FunctionDef) and node.name in ANSWERS
        ]
        for stub in stubs:
            part = parts[stub.name]
            own = cell.source.splitlines()
            new = lines[part.lineno - 1 : part.end_lineno]
            own[stub.lineno - 1 : stub.end_lineno] = new
            cell.source = "\n".join(own)
    return book


# succeeds where the check runs in the student's process
REPLACES_THE_CHECK = """
import mgff_tutorial.checks.cases
mgff_tutorial.checks.cases.compare = lambda *args, **options: None
def {name}(*arguments): return 0
""".strip()

# what would harm the machine where nothing stands around an answer
HARMFUL = ("kills_the_grader", "forks", "eats_memory", "fills_the_disk", "endless_result")
HARMFUL += ("writes_everywhere", "slow_flood")


def write_from(released, folder):
    """The class of a notebook that another grader has handed out, its name with the sheet's number.

    Returns:
        the students' names.
    """
    released, folder = Path(released), Path(folder)
    sheet = released.name[:2]
    names = [c.exercise.answer for c in CHECKS if c.exercise.sheet == sheet]
    right = {name: code for name, (_, code) in _parts(solutions_of(sheet), names)[0].items()}
    students = {
        "right": right,
        "wrong": right | {names[0]: f"def {names[0]}(*arguments): return 0"},
        "untouched": {},
        "nothing": {name: f"def {name}(*arguments): return None" for name in names},
        "hostile_exits": right | {names[0]: f"def {names[0]}(*arguments): exit(0)"},
        "hostile_replaces_the_check": right | {names[0]: REPLACES_THE_CHECK.format(name=names[0])},
    }
    if sheet == "08":
        firsts = {n: text for n, (text, _) in FIRST_ANSWERS.items() if not n.endswith(HARMFUL)}
        students |= {name: right | {FIRST: text.strip()} for name, text in firsts.items()}
    for student, answers in students.items():
        book = nbformat.read(released, as_version=4)
        for cell in book.cells:
            found = re.search(r"^def (\w+)\(", cell.source, re.MULTILINE)
            if cell.cell_type == "code" and found and found[1] in answers:
                cell.source = answers[found[1]]
        place = folder / student / released.parent.name / released.name
        place.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(book, place)
    return list(students)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--from", dest="released", metavar="NOTEBOOK")
    options = parser.parse_args()
    written = (
        write_from(options.released, options.folder)
        if options.released
        else write_class(options.folder)
    )
    print(f"{len(written)} submissions in {options.folder}")
