"""A notebook of solutions as a source for nbgrader and for otter-grader; TEACHING.md says how.

    python notebooks/graders/convert.py FOLDER/teacher/solutions/08_gcn_head_solutions.ipynb OUT

writes OUT/nbgrader.ipynb, OUT/nbgrader_config.py and OUT/otter.ipynb. Works for sheets whose
answers are functions.
"""

import re
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell as code
from nbformat.v4 import new_notebook
from nbformat.v4 import new_raw_cell as raw

from mgff_tutorial.teaching.submissions import sheets

# The first cell imports torch, which takes a busy machine longer than nbgrader's 30 seconds;
# without the last line, a cell that was stopped costs its whole notebook the marks.
CONFIG = """c = get_config()
c.ExecutePreprocessor.startup_timeout = 300
c.ExecutePreprocessor.timeout = 300
c.ExecutePreprocessor.iopub_timeout = 60
"""


def convert(path):
    """(source for nbgrader, source for otter-grader), two notebooks.

    Args:
        path: of a notebook of solutions in a teacher's edition.
    """
    book = nbformat.read(path, as_version=4)
    cells = {cell.id: cell for cell in book.cells}
    cells["title"].source = cells["title"].source.replace("Solutions: ", "")
    opening = [cells[name] for name in ("title", "imports") if name in cells]
    nbgrader, otter = list(opening), [raw("# ASSIGNMENT CONFIG\nexport_cell: false"), *opening]
    for check in sheets()[Path(path).name[:2]]:
        key = check.exercise.number.replace(".", "-")
        question, solution = cells[f"question-{key}"], cells[f"solution-{key}"].source
        nbgrader += _for_nbgrader(check, key, question, solution)
        otter += _for_otter(check, key, question, solution)
    made = [new_notebook(cells=cells, metadata=book.metadata) for cells in (nbgrader, otter)]
    for notebook in made:
        nbformat.validate(notebook)
    return made


def _for_nbgrader(check, key, question, solution):
    answer, test = f"answer-{key}", f"check-{key}"
    marks = {"schema_version": 3, "locked": False, "task": False}
    solved = {**marks, "grade_id": answer, "grade": False, "solution": True}
    tested = {**marks, "grade_id": test, "grade": True, "solution": False, "locked": True}
    tested["points"] = check.exercise.points
    call = f"{check.__name__}({check.exercise.answer}, strict=True)"
    return [
        question,
        code(_marked(check, solution, "### "), id=answer, metadata={"nbgrader": solved}),
        code(f"{_load(check)}\n\n{call}", id=test, metadata={"nbgrader": tested}),
    ]


def _for_otter(check, key, question, solution):
    call = f"{check.__name__}.judge({check.exercise.answer}).result"
    return [
        raw(f"# BEGIN QUESTION\nname: q{key}\npoints: {check.exercise.points}"),
        question,
        raw("# BEGIN SOLUTION"),
        code(_marked(check, solution, "# ")),
        raw("# END SOLUTION"),
        raw("# BEGIN TESTS"),
        code(f'{_load(check)}\n\nassert {call} == "correct"'),
        raw("# END TESTS"),
        raw("# END QUESTION"),
    ]


def _marked(check, solution, sign):
    """The solution, its body between the marks by which both tools know what to take out."""
    head = re.search(rf"^def {check.exercise.answer}\(.*?\):\n", solution, re.M | re.S).end()
    body = f"    {sign}BEGIN SOLUTION\n{solution[head:]}\n    {sign}END SOLUTION"
    return solution[:head] + body


def _load(check):
    return f"from {check.__module__} import {check.__name__}"


if __name__ == "__main__":
    for name, made in zip(("nbgrader", "otter"), convert(sys.argv[1])):
        nbformat.write(made, Path(sys.argv[2]) / f"{name}.ipynb")
    (Path(sys.argv[2]) / "nbgrader_config.py").write_text(CONFIG, "utf-8")
