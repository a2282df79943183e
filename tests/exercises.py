"""What the tests of all notebooks' exercises share: the checks, the solutions, and the two things
that a check must say of them.
"""

import ast
import runpy
from pathlib import Path

import nbformat

from mgff_tutorial.checks import all_checks

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
FOLDER = NOTEBOOKS / "solutions"
CHECKS = all_checks()


def solutions(notebook):
    """The functions in the solutions of a notebook such as ``"01_patches"``, by name."""
    return runpy.run_path(str(FOLDER / f"solutions_{notebook}.py"))


def source(sheet):
    """The text of the solutions of a notebook such as ``"01"``."""
    (path,) = FOLDER.glob(f"solutions_{sheet}_*.py")
    return path.read_text(encoding="utf-8")


def names_in_the_notebook(notebook):
    """The calls of checks in a notebook: name of the check -> name of the answer."""
    book = nbformat.read(NOTEBOOKS / f"{notebook}.ipynb", as_version=4)
    names, known = {}, {check.__name__ for check in CHECKS}
    for cell in book.cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in known:
                names[node.func.id] = node.args[0].id
    return names


def assert_correct_and_a_stub_unanswered(check, solution, capsys):
    """The solution passes its check, and an exercise that nobody has touched is no failure."""
    check(solution)
    check(lambda *args: ...)
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("correct.") and second.endswith("not answered yet.")
