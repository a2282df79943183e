"""A notebook of solutions as a source for nbgrader and for otter-grader; TEACHING.md says how.

    python notebooks/graders/convert.py FOLDER/teacher/solutions/08_gcn_head_solutions.ipynb OUT

writes OUT/nbgrader.ipynb and OUT/otter.ipynb. Works for sheets whose answers are functions.
"""

import re
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell as code
from nbformat.v4 import new_notebook
from nbformat.v4 import new_raw_cell as raw

from mgff_tutorial.teaching.submissions import sheets

source, folder = Path(sys.argv[1]), Path(sys.argv[2])
book = nbformat.read(source, as_version=4)
cells = {cell.id: cell for cell in book.cells}
cells["title"].source = cells["title"].source.replace("Solutions: ", "")
nbgrader, otter = [cells["title"]], [raw("# ASSIGNMENT CONFIG\nexport_cell: false"), cells["title"]]
if "imports" in cells:
    nbgrader.append(cells["imports"])
    otter.append(cells["imports"])
for check in sheets()[source.name[:2]]:
    about, key = check.exercise, check.exercise.number.replace(".", "-")
    question, solution = cells[f"question-{key}"], cells[f"solution-{key}"].source
    head = re.search(rf"^def {about.answer}\(.*?\):\n", solution, re.M | re.S).end()
    body = f"{solution[:head]}    {{0}}BEGIN SOLUTION\n{solution[head:]}\n    {{0}}END SOLUTION"
    load = f"from {check.__module__} import {check.__name__}"
    marks = {"schema_version": 3, "locked": False, "task": False}
    answer, test = f"answer-{key}", f"check-{key}"
    nbgrader += [
        question,
        code(
            body.replace("{0}", "### "),
            id=answer,
            metadata={"nbgrader": {**marks, "grade_id": answer, "grade": False, "solution": True}},
        ),
        code(
            f"{load}\n\n{check.__name__}({about.answer}, strict=True)",
            id=test,
            metadata={
                "nbgrader": {
                    **marks,
                    "grade_id": test,
                    "grade": True,
                    "solution": False,
                    "locked": True,
                    "points": about.points,
                }
            },
        ),
    ]
    otter += [
        raw(f"# BEGIN QUESTION\nname: q{key}\npoints: {about.points}"),
        question,
        raw("# BEGIN SOLUTION"),
        code(body.replace("{0}", "# ")),
        raw("# END SOLUTION"),
        raw("# BEGIN TESTS"),
        code(f'{load}\n\nassert {check.__name__}.judge({about.answer}).result == "correct"'),
        raw("# END TESTS"),
        raw("# END QUESTION"),
    ]
for name, made in (("nbgrader", nbgrader), ("otter", otter)):
    made = new_notebook(cells=made, metadata=book.metadata)
    nbformat.validate(made)
    nbformat.write(made, folder / f"{name}.ipynb")
