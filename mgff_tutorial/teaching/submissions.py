"""Finding submissions and reading them: notebooks and Python files. Nothing of them runs here."""

import ast
import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from .. import __version__
from ..checks import all_checks
from . import swap

LARGEST = 50 * 2**20  # bytes of a file; a notebook with figures has a few MB
SUFFIXES = (".ipynb", ".py")
# what students hand in by mistake; other files beside submissions are the teacher's
MISTAKEN = (".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".pdf", ".html", ".docx")


@dataclass
class Submission:
    """One file to be graded.

    Attributes:
        name: under which it is reported. path: of the file.
        sheet: number of the notebook, such as ``"08"``; None if it can't be graded.
        cells: source of the code cells, or the whole of a Python file.
        problem: why it can't be graded; empty if it can.
    """

    name: str
    path: Path
    sheet: str | None = None
    cells: list = field(default_factory=list)
    problem: str = ""


class Unusable(Exception):
    """The file can't be graded; the message says why."""


def sheets():
    """Number of a notebook -> its checks, in the order of the exercises; and those of `swap`."""
    found = {}
    for check in all_checks():
        found.setdefault(check.exercise.sheet, []).append(check)
    return {**found, "swap": list(swap.CHECKS)}


def find_submissions(paths, sheet=None):
    """Every submission under some paths, read, in the order of their names.

    Args:
        paths: of files and folders.
        sheet: number of the notebook that is graded, such as ``"08"``; None: the submission's own.

    Returns:
        list of `Submission`; one with a ``problem`` for each path, folder of a student or name
        that can't be graded.
    """
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            found += _in_folder(path)
        elif not os.path.lexists(path):
            found.append(Submission(path.stem, path, problem=f"{path} does not exist."))
        elif path.suffix.lower() not in SUFFIXES:
            found.append(_none_in(path))
        else:
            found.append(Submission(path.stem, path))
    found = {s.path.resolve(): s for s in found}.values()
    for submission in found:
        submission.name = readable(submission.name)
    found = _of_one_name(found)
    for submission in found:
        if not submission.problem:
            try:
                submission.sheet, submission.cells = read_submission(submission.path, sheet)
            except Unusable as error:
                submission.problem = str(error)
    return sorted(found, key=lambda s: s.name)


def _none_in(path):
    text = f"{path.name} is no submission: expected a notebook (.ipynb) or a .py file."
    return Submission(path.stem, path, problem=text)


def readable(text):
    """Text with a question mark for what can't be printed or stored, such as a byte of a file's
    name that is no UTF-8.
    """
    return "".join(c if c.isprintable() else "?" for c in text)


def _in_folder(folder):
    """The submissions of a folder; each of its folders counts as a student's and must hold one."""
    found, empty = [], []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(n for n in folders if not n.startswith((".", "__")))
        for name in sorted(n for n in files if not n.startswith(".")):
            path = Path(place, name)
            if name.lower().endswith(SUFFIXES):
                found.append(Submission(path.relative_to(folder).with_suffix("").as_posix(), path))
            elif place == str(folder) and name.lower().endswith(MISTAKEN):
                found.append(_none_in(path))
        if place != str(folder) and Path(place).parent == Path(folder):
            empty.append(Path(place))
    holders = [s.path.parents for s in found]
    lacking = [f for f in empty if not any(f in parents for parents in holders)]
    if not found and not lacking:
        lacking = [folder]
    for path in lacking:
        text = f"{path} holds no submission: expected a notebook (.ipynb) or a .py file."
        found.append(Submission(path.name or str(path), path, problem=text))
    return found


def _of_one_name(found):
    """Submissions that share a name become one with a problem."""
    by_name = {}
    for submission in found:
        by_name.setdefault(submission.name, []).append(submission)
    out = []
    for name, same in by_name.items():
        if len(same) > 1:
            files = ", ".join(str(s.path) for s in same)
            text = f"{len(same)} submissions have this name, so none was graded: {files}."
            same = [Submission(name, same[0].path, problem=text)]
        out += same
    return out


def read_submission(path, sheet=None):
    """(number of the notebook, source of the code cells) of a file.

    Args:
        sheet: the number that is expected; None for any.

    Raises:
        Unusable: it can't be read, is of another course, notebook or version.
    """
    text = _read(path)
    if path.suffix.lower() == ".py":
        return _sheet_of_file(path, text, sheet), [text]
    try:
        book = json.loads(text)
        cells = [
            (cell["cell_type"], "".join(cell["source"]))
            for cell in book["cells"]
            if cell["cell_type"] in ("code", "markdown")
        ]
        marks = book.get("metadata", {}).get("mgff_tutorial", {})
        made_by = marks.get("version")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unusable(
            f"{path.name} is no notebook that can be read ({type(error).__name__})."
        ) from None
    if made_by is not None and made_by != __version__:
        raise Unusable(
            f"{path.name} was made from version {str(made_by)[:20]} of mgff_tutorial and this is "
            f"{__version__}; exercises may differ. Grade it with that version installed."
        )
    code = [source for kind, source in cells if kind == "code"]
    return _sheet_of_notebook(path, code, sheet), code


def _read(path):
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise Unusable(f"{path.name} is no file.")
        if about.st_size > LARGEST:
            raise Unusable(f"{path.name} has more than {LARGEST // 2**20} MB.")
        return path.read_text("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError:
        raise Unusable(f"{path.name} is no text in UTF-8.") from None
    except OSError as error:
        raise Unusable(f"{path.name} can't be read: {error.strerror}.") from None


def _sheet_of_notebook(path, code, sheet):
    """The notebook whose checks are called."""
    calls = re.findall(r"\bcheck_\w+(?=\s*\()", "\n".join(code))
    modules = re.findall(r"\bmgff_tutorial\.checks\b", "\n".join(code))
    owner = {check.__name__: number for number, cs in sheets().items() for check in cs}
    votes = [owner[call] for call in calls if call in owner]
    unknown = sorted({call for call in calls if call not in owner} - {"check_dataset"})
    if not votes:
        if modules and unknown:
            raise Unusable(
                f"{path.name} was made from another version of mgff_tutorial: {unknown[0]} is no "
                f"check of version {__version__}."
            )
        raise Unusable(f"{path.name} holds no exercise of this course.")
    found = max(sorted(set(votes)), key=votes.count)
    if sheet is not None and found != sheet:
        raise Unusable(f"{path.name} holds the exercises of notebook {found}, not {sheet}.")
    return found


def _sheet_of_file(path, text, sheet):
    """The notebook of a Python file: what is asked for, its name, or the functions in it."""
    known = sheets()
    named = re.search(r"(?<!\d)(\d\d)(?=_)|(?<![a-z])(swap)(?![a-z])", path.stem)
    if sheet is None and named and named[0] in known:
        return named[0]
    try:
        kinds = ast.FunctionDef | ast.ClassDef
        defined = {n.name for n in ast.parse(text).body if isinstance(n, kinds)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        defined = set(re.findall(r"^(?:def|class) (\w+)", text, re.MULTILINE))
    hits = {n: len(defined & {c.exercise.answer for c in cs}) for n, cs in known.items()}
    best = max(hits, key=hits.get)
    clear = hits[best] > 0 and list(hits.values()).count(hits[best]) == 1
    if sheet is not None:
        answers = {check.exercise.answer for check in known[sheet]}
        if clear and not any(re.search(rf"\b{name}\b", text) for name in answers):
            raise Unusable(f"{path.name} holds answers to notebook {best}, not {sheet}.")
        return sheet
    if not clear:
        raise Unusable(
            f"{path.name} does not say to which notebook it belongs; name it with --notebook, "
            "such as --notebook 08."
        )
    return best
