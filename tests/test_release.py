"""Releases: what students get and don't get, what teachers get, and that it never changes."""

import importlib.util
import json
import re
import shutil
import zipfile
from pathlib import Path

import nbformat
import pytest
from exercises import FOLDER, NOTEBOOKS

import mgff_tutorial
from mgff_tutorial.__main__ import main
from mgff_tutorial.support.errors import InputError
from mgff_tutorial.teaching.grading import grade
from mgff_tutorial.teaching.release import _emptied, _without_mention, release
from mgff_tutorial.teaching.submissions import sheets


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release") / "course"
    release(folder, wheel=False)
    return folder


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_students_get_no_trace_of_solutions(whole):
    files = contents(whole / "student")
    assert len(list((whole / "student" / "notebooks").glob("*.ipynb"))) == 17
    # every line of a solution that could give one away
    lines = {
        line.strip()
        for path in FOLDER.glob("solutions_*.py")
        for line in path.read_text("utf-8").splitlines()
        if len(line.strip()) > 25 and not line.strip().startswith(("def ", "import", "from", "#"))
    }
    shown = {
        line.strip()
        for path in NOTEBOOKS.glob("*.ipynb")
        for cell in nbformat.read(path, as_version=4).cells
        for line in cell.source.splitlines()
    }
    for name, data in files.items():
        text = data.decode("utf-8")
        assert not re.search(r"solutions[/_]|\bSolutions\b", text), name
        if name.suffix == ".ipynb":
            own = "\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
            given_away = [line for line in lines - shown if line in own]
            assert not given_away, (name, given_away)


def test_links_of_students_lead_somewhere(whole):
    student = whole / "student"
    texts = [(student / "README.md", (student / "README.md").read_text("utf-8"))]
    for path in student.glob("notebooks/*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        texts += [(path, cell.source) for cell in cells if cell.cell_type == "markdown"]
    for path, text in texts:
        for target in re.findall(r"\]\((?![a-z]+:|#)([^)\s#]+)", text):
            assert (path.parent / target).exists(), (path.name, target)


def test_notebooks_stay_whole(whole):
    for path in sorted((whole / "student" / "notebooks").glob("*.ipynb")):
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
        original = nbformat.read(NOTEBOOKS / path.name, as_version=4)
        assert book.metadata.mgff_tutorial == {
            "notebook": path.stem,
            "version": mgff_tutorial.__version__,
        }
        before = {cell.id: cell for cell in original.cells if cell.cell_type == "code"}
        version = f"install version {mgff_tutorial.__version__} of `mgff_tutorial`"
        assert version in book.cells[0].source and "git+" not in book.cells[0].source
        for cell in book.cells:
            if cell.cell_type == "code":
                assert cell.source == before[cell.id].source
                assert cell.outputs == before[cell.id].outputs


def test_a_second_release_has_the_same_bytes(whole, tmp_path):
    release(tmp_path / "again", wheel=False)
    assert contents(tmp_path / "again") == contents(whole)


def test_chosen_notebooks_and_cleared_outputs(tmp_path, capsys):
    out = tmp_path / "two"
    command = ["release", str(out), "--notebooks", "8", "05", "--no-wheel", "--clear-outputs"]
    assert main(command) == 0
    assert capsys.readouterr().out.endswith(f"files in {out}.\n")
    names = [p.name for p in sorted((out / "student" / "notebooks").iterdir())]
    assert names == ["05_granularities.ipynb", "08_gcn_head.ipynb"]
    for path in (out / "student" / "notebooks").iterdir():
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                assert cell.outputs == [] and cell.execution_count is None
    text = (out / "student" / "notebooks" / "08_gcn_head.ipynb").read_text("utf-8")
    assert "](05_granularities.ipynb)" in text and "](07_" not in text
    points = sum(check.exercise.points for check in sheets()["08"])
    readme = (out / "student" / "README.md").read_text("utf-8")
    assert f"(notebooks/08_gcn_head.ipynb) | {len(sheets()['08'])} | {points} |" in readme
    assert f"mgff-tutorial=={mgff_tutorial.__version__}\n" in (
        out / "student" / "requirements.txt"
    ).read_text("utf-8")


def test_nothing_is_overwritten(tmp_path, capsys):
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "mine.txt").write_text("mine")
    assert main(["release", str(tmp_path / "course"), "--no-wheel"]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main(["release", str(tmp_path / "new"), "--notebooks", "77", "--no-wheel"]) == 2
    assert "There is no notebook '77'" in capsys.readouterr().err
    with pytest.raises(InputError, match="in a checkout"):
        release(tmp_path / "new", source=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["course"]
    (tmp_path / "file").write_text("")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for place, words in (
        ("file", "is no folder"),
        ("nowhere", "is no folder"),
        ("file/course", "can't be made: "),
    ):
        assert main(["release", str(tmp_path / place), "--notebooks", "08", "--no-wheel"]) == 2
        assert words in capsys.readouterr().err, place
    assert main(["release", str(tmp_path / "new"), "--notebooks", "", "--no-wheel"]) == 2
    assert "There is no notebook ''" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert release(tmp_path / "empty", ["00"], wheel=False)


def test_a_trace_of_the_solutions_stops_the_release(tmp_path):
    source = tmp_path / "notebooks"
    (source / "solutions").mkdir(parents=True)
    shutil.copy(FOLDER / "solutions_08_gcn_head.py", source / "solutions")
    book = json.loads((NOTEBOOKS / "08_gcn_head.ipynb").read_text("utf-8"))
    book["cells"][0]["source"].append("\nLook into solutions/solutions_08_gcn_head.py.")
    (source / "08_gcn_head.ipynb").write_text(json.dumps(book), "utf-8")
    with pytest.raises(InputError, match="still mention 'solutions/'"):
        release(tmp_path / "out", wheel=False, source=source)
    assert not (tmp_path / "out").exists()


def test_mentions_and_answers_are_taken_out():
    for text, left in (
        ("Done.\n\nSolutions: [`a.py`](solutions/a.py)\n\nNext", "Done.\n\nNext"),
        ("Run it. Solutions are in `notebooks/solutions/solutions_01.py`.", "Run it."),
        ("A. Solutions are in [`s/`](s/). B.", "A. B."),
        ("Solutions with explanations are in [x](y).", ""),
        ("Two solutions exist.", "Two solutions exist."),
    ):
        assert _without_mention(text) == left
    answered = 'def f(x):  # a comment\n    """Text."""\n    y = x\n    return y\n\n\ncheck_f(f)\n'
    empty = 'def f(x):  # a comment\n    """Text."""\n    ...\n\n\ncheck_f(f)\n'
    assert _emptied(answered, ["f"]) == empty
    assert _emptied(empty, ["f"]) == empty and _emptied(answered, ["g"]) == answered
    assert _emptied("def f(x): return x\n", ["f"]) == "def f(x): ...\n"


def test_teachers_get_questions_explanations_and_solutions(whole):
    for path in sorted((whole / "teacher" / "solutions").glob("*.ipynb")):
        book = nbformat.read(path, as_version=4)
        nbformat.validate(book)
        cells = {cell.id: cell.source for cell in book.cells}
        for check in sheets()[path.name[:2]]:
            number = check.exercise.number
            key = number.replace(".", "-")
            assert cells[f"question-{key}"].startswith(f"**Exercise {number}") or cells[
                f"question-{key}"
            ].startswith(f"**{number}")
            assert len(cells[f"explanation-{key}"]) > 30
            assert f"{check.__name__}({check.exercise.answer})" in cells[f"check-{key}"]
    readme = (whole / "teacher" / "README.md").read_text("utf-8")
    assert mgff_tutorial.__version__ in readme
    questions = (whole / "teacher" / "TEACHING.md").read_text("utf-8")
    answers = (whole / "teacher" / "EXAM.md").read_text("utf-8")
    numbers = [str(i) for i in range(17)]
    asked = questions.split("## Exam questions")[1]
    assert re.findall(r"^(\d+)\. ", asked, re.MULTILINE) == numbers
    assert re.findall(r"^(\d+)\. ", answers, re.MULTILINE) == numbers
    assert not [p for p in (whole / "student").rglob("*.md") if p.name != "README.md"]


def test_both_editions_can_be_graded(whole, tmp_path, one_nursery):
    """Solutions as a notebook are right, the students' notebook is untouched."""
    (tmp_path / "class").mkdir()
    for name, source in (
        ("right", whole / "teacher" / "solutions" / "08_gcn_head_solutions.ipynb"),
        ("untouched", whole / "student" / "notebooks" / "08_gcn_head.ipynb"),
    ):
        shutil.copy(source, tmp_path / "class" / f"{name}.ipynb")
    rows = grade([tmp_path / "class"], seconds=30)
    assert {r.outcome for r in rows if r.submission == "right"} == {"correct"}
    assert {r.outcome for r in rows if r.submission == "untouched"} == {"not answered"}


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="needs hatchling")
def test_the_package_travels_with_the_notebooks(tmp_path):
    for name in ("one", "two"):
        release(tmp_path / name, ["08"])
    (one,) = (tmp_path / "one" / "student" / "wheels").glob("*.whl")
    two = tmp_path / "two" / "student" / "wheels" / one.name
    assert one.read_bytes() == two.read_bytes()
    assert mgff_tutorial.__version__ in one.name
    with zipfile.ZipFile(one) as archive:
        names = {Path(name).parts[0] for name in archive.namelist()}
        assert "notebooks" not in names and not any("solutions" in n for n in archive.namelist())
    text = (tmp_path / "one" / "student" / "notebooks" / "08_gcn_head.ipynb").read_text("utf-8")
    assert f"first upload `wheels/{one.name}` and run `%pip install`" in text


def test_the_page_for_teachers_knows_the_notebooks_and_has_no_dead_links():
    page = (NOTEBOOKS / "TEACHING.md").read_text("utf-8")
    for target in re.findall(r"\]\(([^):#]+)\)", page):
        assert (NOTEBOOKS / target).is_file(), target
    for path in NOTEBOOKS.glob("[0-9]*.ipynb"):
        assert f"| [{path.name[:2]}]({path.name}) |" in page


WORDS = {"five": 5, "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40}


def minutes(number):
    """What a notebook and the index name for reading and for exercises."""
    (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    index = (NOTEBOOKS / "README.md").read_text("utf-8")
    total = int(re.search(rf"\({path.name}\) \|.*\| (\d+) \|", index)[1])
    for cell in nbformat.read(path, as_version=4).cells:
        pattern = r"^\*\*(?:Exercise )?\d+\.\d+(?:\*\*)? \((?:(\w+) minutes|(half an hour))"
        for count, half in re.findall(pattern, cell.source, re.MULTILINE):
            total += 30 if half else WORDS.get(count) or int(count)
    return total


def test_hours_and_needs_are_those_of_the_notebooks():
    page, hours = (NOTEBOOKS / "TEACHING.md").read_text("utf-8"), 0
    for number in sheets():
        if number == "swap":
            continue
        row = re.search(rf"^\| \[{number}\]\(.*\| ([^|]+) \| ([\d.]+) \|$", page, re.MULTILINE)
        assert abs(float(row[2]) - minutes(number) / 60) <= 0.5, (number, minutes(number))
        hours += minutes(number) / 60
        (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
        opening = nbformat.read(path, as_version=4).cells[0].source
        told = re.search(r"What you need first:?\*\*:?(.*)", opening)[1]
        linked = re.findall(r"\]\((\d\d)_", told)
        if " to [" in told:
            linked = [f"{n:02}" for n in range(int(linked[0]), int(linked[1]) + 1)]
        needed = re.findall(r"\d\d", row[1])
        if " to " in row[1]:
            needed = [f"{n:02}" for n in range(int(needed[0]), int(needed[1]) + 1)]
        assert needed == linked, number
    assert abs(hours - float(re.search(r"take about (\d+) hours", page)[1])) < 1
