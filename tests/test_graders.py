"""Sources for nbgrader and otter-grader: what stands in them, and that right and empty answers get
what is due, without either tool.
"""

import re
import runpy

import pytest
from exercises import NOTEBOOKS

from mgff_tutorial.checks.core import CheckFailed
from mgff_tutorial.teaching.release import release
from mgff_tutorial.teaching.submissions import sheets

script = runpy.run_path(str(NOTEBOOKS / "graders" / "convert.py"))
convert = script["convert"]
SHEETS = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graders") / "edition"
    release(folder, wheel=False)
    return folder / "teacher" / "solutions"


@pytest.fixture(params=SHEETS)
def sheet(request, edition):
    """(checks, source for nbgrader, source for otter-grader)."""
    made = convert(edition / f"{request.param}_solutions.ipynb")
    return sheets()[request.param[:2]], *made


def emptied(source, stub):
    """What the tools make of a cell with a solution."""
    return re.sub(r"(?s)#+ BEGIN SOLUTION\n.*?#+ END SOLUTION", stub, source)


def run(cells, source=lambda cell: cell.source):
    """Errors of a notebook's code cells, by number."""
    space, errors = {}, {}
    for number, cell in enumerate(cells):
        try:
            exec(compile(source(cell), "<cell>", "exec"), space)
        except (CheckFailed, AssertionError) as error:
            errors[number] = error
    return errors


def test_time_limits_of_nbgrader():
    """Traits that its preprocessor has: it is nbconvert's, with another name."""
    from nbconvert.preprocessors import ExecutePreprocessor
    from traitlets.config import Config

    config = Config()
    exec(script["CONFIG"], {"get_config": lambda: config})
    made = ExecutePreprocessor(config=config)
    assert (made.timeout, made.iopub_timeout, made.startup_timeout) == (300, 60, 300)


def test_points_and_marks_of_nbgrader(sheet):
    checks, book, _ = sheet
    marks = [cell.metadata.nbgrader for cell in book.cells if "nbgrader" in cell.metadata]
    assert len({mark.grade_id for mark in marks}) == len(marks) == 2 * len(checks)
    graded = [mark for mark in marks if mark.grade]
    assert [mark.points for mark in graded] == [check.exercise.points for check in checks]
    assert all(mark.locked and not mark.solution for mark in graded)
    solved = [cell.source for cell in book.cells if cell.id.startswith("answer-")]
    assert all(source.count("### BEGIN SOLUTION") == 1 for source in solved)


def test_questions_and_points_of_otter(sheet):
    checks, _, book = sheet
    raw = [cell.source for cell in book.cells if cell.cell_type == "raw"]
    points = [re.search(r"points: (.+)", text)[1] for text in raw if "BEGIN QUESTION" in text]
    assert points == [str(check.exercise.points) for check in checks]
    opened = [re.sub(r"# (BEGIN|END) (\w+).*", r"\1 \2", t, flags=re.S) for t in raw[1:]]
    one = [f"{end} {what}" for what in ("SOLUTION", "TESTS") for end in ("BEGIN", "END")]
    assert opened == ["BEGIN QUESTION", *one, "END QUESTION"] * len(checks)


@pytest.mark.parametrize("sheet", ["02_window_attention", "08_gcn_head"], indirect=True)
@pytest.mark.parametrize("which, stub", [(1, "raise NotImplementedError()"), (2, "...")])
def test_right_answers_pass_and_empty_ones_do_not(sheet, which, stub):
    checks, cells = sheet[0], [c for c in sheet[which].cells if c.cell_type == "code"]
    assert run(cells) == {}
    errors = run(cells, lambda cell: emptied(cell.source, stub))
    assert len(errors) == len(checks)
    assert all("not answered" in str(e) for e in errors.values()) or which == 2
