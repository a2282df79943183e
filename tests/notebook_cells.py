"""Cells of the notebooks, for the tests that read them as text."""

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "notebooks"


def source(cell):
    return "".join(cell["source"])


def definitions(text):
    """Functions and classes at the top of a piece of code, by name, as AST without docstrings."""
    found = {}
    for node in ast.parse(re.sub(r"(?m)^[%!].*$", "pass", text)).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            for inner in ast.walk(node):
                body = getattr(inner, "body", None)
                if (
                    isinstance(inner, (ast.FunctionDef, ast.ClassDef))
                    and ast.get_docstring(inner) is not None
                ):
                    inner.body = body[1:] or [ast.Pass()]
            found[node.name] = ast.dump(node)
    return found
