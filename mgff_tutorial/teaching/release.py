"""A student edition and a teacher's edition of chosen notebooks.

Both are made from a checkout and from nothing else, without dates or chance, so releasing twice
gives the same bytes. What must not reach students is removed by rule and then looked for: a trace
of the solutions in the student edition is an error, not a warning.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .. import __version__
from ..support.errors import InputError
from .submissions import sheets

CHECKOUT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
# "Solutions: [...](...)" as a line, "Solutions are in `...`." as a sentence
_MENTION = re.compile(
    r"\s*\bSolutions(?::| (?:with explanations )?are in)(?:[^.\n]|\.(?!\s|$))*\.?"
)
_ONLINE = re.compile(r"(?m)^(\*\*On Colab or Kaggle:\*\*).*$")
_TRACE = re.compile(r"solutions[/_]", re.IGNORECASE)
_TOOLS = ("jupyterlab", "ipywidgets")


def release(folder, notebooks=None, outputs=True, wheel=True, source=None):
    """Write both editions.

    Args:
        folder: to be made; it must not exist, or be empty.
        notebooks: their numbers, such as ``["05", "08"]``; None for all.
        outputs: keep the stored outputs of the cells.
        wheel: put the package beside the notebooks (needs hatchling).
        source: the folder with the notebooks; None for that of this checkout.

    Returns:
        list of the files that were written, relative to ``folder``.

    Raises:
        InputError: the folder holds something, a notebook is unknown, or there is no checkout.
    """
    folder = Path(folder)
    source = CHECKOUT / "notebooks" if source is None else Path(source)
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(f"{folder} is no folder; choose another place.")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} exists and is not empty; choose another folder.")
    books = _choose(source, notebooks)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.")
    except OSError as error:
        raise InputError(f"{folder} can't be made: {error.strerror}.") from None
    with place as place:
        place = Path(place)
        _student_edition(place / "student", source, books, outputs, wheel)
        _teachers_edition(place / "teacher", source, books)
        if wheel:
            _build_wheel(place / "student" / "wheels")
        _look_for_traces(place / "student")
        folder.mkdir(exist_ok=True)
        for part in sorted(place.iterdir()):
            os.replace(part, folder / part.name)
    return sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())


def _choose(source, notebooks):
    """The chosen notebooks' paths, in order."""
    found = {p.name[:2]: p for p in sorted(source.glob("[0-9][0-9]_*.ipynb"))}
    if not found:
        raise InputError(
            f"{source} holds no notebooks; a release is made in a checkout of the repository."
        )
    numbers = sorted(found) if not notebooks else [n.partition("_")[0] for n in notebooks]
    numbers = [number.zfill(2) if number else number for number in numbers]
    for number in numbers:
        if number not in found:
            raise InputError(f"There is no notebook {number!r}; there are {', '.join(found)}.")
    return [found[n] for n in sorted(set(numbers))]


# ---- the students' side ----


def _student_edition(place, source, books, outputs, wheel):
    kept = {path.name for path in books}
    online = rf"\1 first {_installation(wheel)}; nothing else is needed."
    for path in books:
        book = json.loads(path.read_text("utf-8"))
        names = [check.exercise.answer for check in sheets()[path.name[:2]]]
        for cell in book["cells"]:
            text = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                new = _ONLINE.sub(online, _without_links(_without_mention(text), kept))
            else:
                new = _emptied(text, names)
                if new != text or not outputs:
                    cell["outputs"], cell["execution_count"] = [], None
            cell["source"] = new.splitlines(keepends=True)
        # an empty cell may be all that is left of a line about solutions
        book["cells"] = [c for c in book["cells"] if "".join(c["source"]).strip()]
        book["metadata"]["mgff_tutorial"] = {"notebook": path.stem, "version": __version__}
        _write(place / "notebooks" / path.name, _as_text(book))
    _write(place / "README.md", _students_readme(books))
    _write(place / "requirements.txt", _requirements())


def _installation(wheel):
    """How a student gets the package of this version onto another machine."""
    if not wheel:
        return f"install version {__version__} of `mgff_tutorial` in a new cell"
    name = f"mgff_tutorial-{__version__}-py3-none-any.whl"
    return f"upload `wheels/{name}` and run `%pip install` with its path in a new cell"


def _without_mention(text):
    """Markdown without what it says about solutions, and without the gap that this leaves."""
    return re.sub(r"\n{3,}", "\n\n", _MENTION.sub("", text)).strip("\n")


def _without_links(text, kept):
    """Markdown with links to files that are not released as plain text."""

    def plain(link):
        target = link[2].partition("#")[0]
        outside = re.match(r"[a-z]+:", link[2]) or not target
        return link[0] if outside or target in kept else link[1]

    return _LINK.sub(plain, text)


def _emptied(source, names):
    """A cell with the bodies of the named functions and classes taken out."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return source
    lines = source.splitlines(keepends=True)
    kinds = ast.FunctionDef | ast.ClassDef
    for node in reversed([n for n in body if isinstance(n, kinds) and n.name in names]):
        rest = node.body[1:] if ast.get_docstring(node) is not None else node.body
        if not rest or _is_gap(rest):
            continue
        first = rest[0].lineno - 1
        kept = lines[first].encode()[: rest[0].col_offset].decode()
        lines[first : node.end_lineno] = [f"{kept}...\n"]
    return "".join(lines)


def _is_gap(body):
    """Is this body one ``...``?"""
    return len(body) == 1 and isinstance(body[0], ast.Expr) and _is_ellipsis(body[0].value)


def _is_ellipsis(node):
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _requirements():
    wanted = (CHECKOUT / "requirements.txt").read_text("utf-8").splitlines()
    tools = [line for line in wanted if re.split(r"[<>=~ ]", line)[0] in _TOOLS]
    return "\n".join(["--find-links wheels", f"mgff-tutorial=={__version__}", *tools]) + "\n"


def _students_readme(books):
    rows = []
    for path in books:
        points = [check.exercise.points for check in sheets()[path.name[:2]]]
        rows.append(
            f"| [{_title(path)}](notebooks/{path.name}) | {len(points)} | {sum(points):g} |"
        )
    return f"""# Notebooks

| notebook | exercises | points |
|---|---|---|
{chr(10).join(rows)}

## Install

You need Python 3.10 or newer. In this folder:

```
python -m venv .venv
. .venv/bin/activate            # Windows: .venv\\Scripts\\activate
pip install -r requirements.txt
jupyter lab notebooks
```

The notebooks and the package `mgff_tutorial` belong together: both are of version {__version__}.
Small trained models come with the package; the drawings of birds are drawn once, on first use
(half a minute). No GPU is needed.

## Work

Run a notebook from the top. Each one ends with exercises: fill in the gap (`...`), run the cell.
The check below your answer says "correct", or what was expected, what came and the likely mistake.

- Use `return`, not `print`: a check sees what a function returns.
- Keep the name of the function and the order of its arguments.
- You may add cells and functions of your own. An answer may use NumPy and PyTorch, but not the
  part of `mgff_tutorial` that it is asked to write.
- Inputs are drawn anew at every check. An answer that knows only some inputs is wrong.

## Hand in

The notebook, saved, under your name. It need not be run from the top; only your answers count.
"""


def _title(path):
    book = json.loads(path.read_text("utf-8"))
    text = "".join(book["cells"][0]["source"])
    return text.splitlines()[0].lstrip("# ").strip()


def _look_for_traces(place):
    for path in sorted(place.rglob("*")):
        if path.suffix in (".ipynb", ".md", ".txt"):
            found = _TRACE.search(path.read_text("utf-8"))
            if found:
                raise InputError(
                    f"{path.name} of the student edition would still mention {found[0]!r}; nothing "
                    "was released."
                )


# ---- the teacher's side ----


def _teachers_edition(place, source, books):
    for path in books:
        number = path.name[:2]
        sheet = source / "solutions" / f"solutions_{path.stem}.py"
        if not sheet.is_file():
            raise InputError(f"{sheet} is missing: notebook {number} has no solutions.")
        text = sheet.read_text("utf-8")
        book = _solutions_book(path, text, sheets()[number])
        _write(place / "solutions" / f"{path.stem}_solutions.ipynb", _as_text(book))
        _write(place / "solutions" / sheet.name, text)
    parts = source / "solutions" / "swap.py"
    if parts.is_file():
        _write(place / "solutions" / parts.name, parts.read_text("utf-8"))
    for page in ("TEACHING.md", "ASSIGNMENTS.md", "solutions/EXAM.md"):
        if (source / page).is_file():
            text = _without_links((source / page).read_text("utf-8"), set())
            _write(place / Path(page).name, text)
    _write(place / "README.md", _teachers_readme(books))


def _teachers_readme(books):
    numbers = " ".join(path.name[:2] for path in books)
    return f"""# Teacher's edition, version {__version__}

Made together with the student edition beside it, from notebooks {numbers}.

- `solutions/`: for each notebook a notebook with the question, the explanation, the solution and
  its check, and the same solutions as a Python file.
- `TEACHING.md`: course plans, learning goals, how grading works and what it protects against.
- `ASSIGNMENTS.md`: four parts to write and to run the system with, solved in `solutions/swap.py`.
- `EXAM.md`: answers to the exam questions.

Grade a folder of submissions with this version of the package installed:

```
python -m mgff_tutorial grade FOLDER --csv marks.csv
```
"""


def _solutions_book(path, text, checks):
    """A notebook with question, explanation, solution and check of each exercise."""
    questions = _questions(path, checks)
    parts, rest = _parts(text, [check.exercise.answer for check in checks])
    cells = [_markdown("title", f"# Solutions: {_title(path)}")]
    if rest:
        cells.append(_code("imports", rest))
    for check in checks:
        about, number = check.exercise, check.exercise.number
        explanation, code = parts[about.answer]
        module = check.__module__
        cells += [
            _markdown(f"question-{number}", questions.get(number, f"**Exercise {number}**")),
            _markdown(f"explanation-{number}", f"*Points: {about.points:g}.* {explanation}"),
            _code(f"solution-{number}", code),
            _code(
                f"check-{number}",
                f"from {module} import {check.__name__}\n\n{check.__name__}({about.answer})",
            ),
        ]
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _questions(path, checks):
    """Number of an exercise -> the text above its cell."""
    found, above = {}, ""
    calls = {check.__name__: check.exercise.number for check in checks}
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            # the first question stands below a heading and a general remark
            start = re.search(r"^\*\*(?:Exercise )?\d+\.\d+", text, re.MULTILINE)
            above = text[start.start() :] if start else text
            continue
        for name in re.findall(r"^(check_\w+)\(", text, re.MULTILINE):
            if name in calls:
                found[calls[name]] = _without_links(_without_mention(above), set())
    return found


def _parts(text, names):
    """(name of an answer -> (explanation, code), the code before the first of them).

    What stands between two answers, such as a helper, belongs to the later one.
    """
    lines, parts, start, rest = text.splitlines(), {}, 0, None
    body = ast.parse(text).body
    if ast.get_docstring(ast.parse(text)) is not None:
        start, body = body[0].end_lineno, body[1:]
    for node in body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        imports = isinstance(node, ast.Import | ast.ImportFrom | ast.Assign)
        if rest is None and not imports:
            rest = "\n".join(lines[start : first - 1]).strip()
            start = first - 1
        if getattr(node, "name", None) in names:
            explanation = ast.get_docstring(node) or ""
            own = lines[start : node.end_lineno]
            if explanation:
                doc = node.body[0]
                own = lines[start : doc.lineno - 1] + lines[doc.end_lineno : node.end_lineno]
            start = node.end_lineno
            plain = re.sub(r"^Exercise \d+\.\d+[.:]\s*", "", explanation)
            parts[node.name] = plain, "\n".join(own).strip("\n")
    return parts, rest


def _markdown(name, text):
    return {"cell_type": "markdown", "id": _id(name), "metadata": {}, "source": _lines(text)}


def _code(name, text):
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": _id(name),
        "metadata": {},
        "outputs": [],
        "source": _lines(text),
    }


def _id(name):
    return name.replace(".", "-")


def _lines(text):
    return text.splitlines(keepends=True)


# ---- files ----


def _as_text(book):
    return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))


def _build_wheel(place):
    """The package as a wheel; hatchling stamps all files with one date, so it is repeatable."""
    with tempfile.TemporaryDirectory() as made:
        try:
            subprocess.run(
                [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", made],
                cwd=CHECKOUT,
                check=True,
                capture_output=True,
                text=True,
            )
            (wheel,) = Path(made).glob("*.whl")
        except (subprocess.CalledProcessError, ValueError) as error:
            lines = (getattr(error, "stderr", "") or "").strip().splitlines()
            raise InputError(
                "The wheel of the package could not be built"
                f"{f' ({lines[-1]})' if lines else ''}; run pip install hatchling, or use "
                "--no-wheel."
            ) from None
        place.mkdir(parents=True)
        shutil.copyfile(wheel, place / wheel.name)
