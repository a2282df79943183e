"""What a reader sees when a cell fails: a sentence that says what to run or what is wrong, not
pages of traceback.

A notebook's first cell imports this module, which is all that is needed. A cell that fails still
counts as failed: "Run All" stops there, and tests see the error. Outside a notebook nothing
    changes.
"""

import json
import linecache
import symtable
import sys
import traceback
from pathlib import Path

from .support.errors import InputError

RUN_ABOVE = "Choose Run > Run All Above Selected Cell, then run this cell again."


def explain_errors():
    """From now on, a name whose cell has not run and an error of our own are shown as a
    sentence.
    """
    ipython = sys.modules.get("IPython")  # the package can be installed without it
    shell = ipython.get_ipython() if ipython else None
    if shell is not None:
        shell.set_custom_exc((Exception,), _show)


def explain(error, line, in_cell, run, cells):
    """(sentence, hint): the sentence stands in place of the traceback, the hint after it; either
    may be None.

    Args:
        error: the exception. line: the reader's line that led to it. in_cell: did that very line
            raise it?
        run: sources of the cells that have run since the kernel started, the failed one last.
        cells: the notebook's code cells as in `code_cells`; empty if it is not known which notebook
            this is.
    """
    here = next((i for i, (_, source) in enumerate(cells) if run and source == run[-1]), None)
    if isinstance(error, InputError):
        return (
            f"{type(error).__name__}: {error}\n    in this cell: {line}\n"
            "(%tb in a cell of its own shows the whole traceback.)"
        ), None
    if (
        isinstance(error, NameError)
        and not isinstance(error, UnboundLocalError)
        and error.name
        and in_cell
    ):
        binding = [
            i for i, (_, source) in enumerate(cells) if error.name in _names(source) and i != here
        ]
        if binding:
            heading, source = cells[
                max((i for i in binding if here is None or i < here), default=binding[0])
            ]
            return (
                f"NameError: {error.name!r} is not defined, because the cell that defines it has "
                f"not run since the kernel started.\n"
                f'It stands under "{heading}" and begins with\n    {source.splitlines()[0]}\n'
                f"{RUN_ABOVE}"
            ), None
        if not cells:
            return (
                f"NameError: {error.name!r} is not defined. If a cell above defines it, that cell "
                f"has not run since the "
                f"kernel started.\n{RUN_ABOVE}"
            ), None
    skipped = [source for _, source in cells[: here or 0] if source not in run]
    if skipped:
        return None, (
            f"Cells above this one that have not run as the saved notebook has them: "
            f"{len(skipped)}. The "
            f"first begins with\n    {skipped[0].splitlines()[0]}\n"
            f"If you did not mean to leave it out: {RUN_ABOVE}"
        )
    return None, None


def code_cells(path):
    """The code cells of a notebook file as (nearest heading above, source); [] if it can't be
    read.
    """
    try:
        cells = json.loads(Path(path).read_text("utf-8"))["cells"]
        found, heading = [], "the title"
        for cell in cells:
            source = "".join(cell["source"]).strip()
            if cell["cell_type"] == "markdown":
                headings = [
                    line.lstrip("# ") for line in source.splitlines() if line.startswith("#")
                ]
                heading = headings[-1] if headings else heading
            elif cell["cell_type"] == "code" and source:
                found.append((heading, source))
        return found
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _names(source):
    """The names that a cell gives a value to."""
    try:
        symbols = symtable.symtable(source, "cell", "exec").get_symbols()
    except SyntaxError:  # a magic command, or a cell that is being written
        return set()
    return {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}


def _show(shell, kind, error, trace, tb_offset=None):
    """What IPython calls for every error of a cell; see its ``set_custom_exc``."""
    frames = list(traceback.walk_tb(trace))
    own = [i for i, (frame, _) in enumerate(frames) if frame.f_globals is shell.user_ns]
    line = (
        linecache.getline(frames[own[-1]][0].f_code.co_filename, frames[own[-1]][1]).strip()
        if own
        else ""
    )
    run = [source.strip() for source in shell.history_manager.input_hist_raw if source.strip()]
    # Front ends do not tell the kernel which notebook it serves: take the one in this folder that
    # shares most cells.
    books = [code_cells(path) for path in sorted(Path.cwd().glob("*.ipynb"))]
    shared = [len({source for _, source in book}.intersection(run)) for book in books]
    cells = books[shared.index(max(shared))] if any(shared) else []
    sentence, hint = explain(error, line, bool(own) and own[-1] == len(frames) - 1, run, cells)
    if hasattr(error, "_render_traceback_") or not (sentence or hint):
        return shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    shown = (
        [sentence]
        if sentence
        else [
            *shell.InteractiveTB.structured_traceback(kind, error, trace, tb_offset=tb_offset),
            hint,
        ]
    )
    error._render_traceback_ = lambda: shown  # IPython shows this instead of a traceback ...
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    del error._render_traceback_  # ... once: %tb shows the traceback


explain_errors()
