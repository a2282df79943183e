"""The answers in a submission: what of its source is needed, and running just that.

A notebook draws, trains and prints; an answer needs a few imports and definitions. From the
answer's name the statements are found that bind it, then those that bind what these use, and so on.
Only they run, in their order, each once; one that fails concerns only the answers that need it.
"""

import __future__

import ast
import builtins
import linecache
import re
import symtable
import sys
import types
from typing import NamedTuple

from ..checks.core import what_was_raised

MODULE = "submission"
_FUTURE = __future__.annotations.compiler_flag
_ASSIGNED = re.compile(r"^(\s*[\w, ]+=\s*)[%!].*$")  # files = !ls
_COMMAND = re.compile(r"^(\s*)(?:[%!?].*|[\w.]+\?\??\s*)$")  # %time, !ls, ?len, len?


class Broken(Exception):
    """The answer can't be run; the message says why."""


class Missing(Exception):
    """The submission has no such answer."""


class _Statement(NamedTuple):
    node: ast.stmt
    where: str  # name of its cell
    bound: set
    used: set


class Answers:
    """The source of one submission.

    Args:
        cells: list of source texts, in their order.
    """

    def __init__(self, cells):
        self.module = types.ModuleType(MODULE)
        self.module.__builtins__ = builtins
        sys.modules[MODULE] = self.module
        self._statements, self._calls, self._broken, self._failed = [], {}, [], {}
        self._done, self._flags = set(), 0
        for number, cell in enumerate(cells, 1):
            self._read(plain_python(cell), f"<cell {number}>" if len(cells) > 1 else "<file>")

    def _read(self, source, name):
        try:
            tree = ast.parse(source, name)
            code = compile(tree, name, "exec", dont_inherit=True)
            self._flags |= code.co_flags & _FUTURE  # as in a notebook, for all cells
            used = [_used(node) for node in tree.body]
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = (getattr(error, "text", None) or "").strip()
            where = f" (in the line: {line})" if line else ""
            text = f"{type(error).__name__}: {getattr(error, 'msg', error)}{where}"
            self._broken.append((source, f"its cell can't be compiled: {text}"))
            return
        lines = source.splitlines(keepends=True)
        linecache.cache[name] = (len(source), None, lines, name)
        for node, names in zip(tree.body, used):
            self._statements.append(_Statement(node, name, _bound(node), names))
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and call.args:
                    called = getattr(call.func, "id", getattr(call.func, "attr", ""))
                    if called.startswith("check_"):
                        self._calls[called] = call.args[0]

    def get(self, name, check):
        """The answer: what the submission gives to its check, or what bears the name.

        Args:
            name: of the answer in the notebook. check: name of the check.

        Raises:
            Missing: there is none. Broken: it can't be run.
        """
        wanted = ast.Name(name, ast.Load())
        handed = self._calls.get(check)
        if not self._binds(name) and handed is not None and not _is_name(handed, name):
            wanted = handed
        self._run_what_it_needs(_used(wanted))
        if isinstance(wanted, ast.Name) and not hasattr(self.module, wanted.id):
            self._say_why_not(wanted.id)
        expression = ast.fix_missing_locations(ast.Expression(wanted))
        try:
            return eval(compile(expression, "<answer>", "eval"), vars(self.module))
        except BaseException as error:
            raise Broken(f"the answer can't be had: {what_was_raised(error)}") from None

    def why(self, name):
        """Sentences about statements that failed and on which an answer rests."""
        needed = self._needed({name})
        return [self._failed[i] for i in needed if i in self._failed]

    def _binds(self, name):
        return any(name in statement.bound for statement in self._statements)

    def _say_why_not(self, name):
        told = self.why(name)
        if told:
            raise Broken(told[0])
        pattern = rf"^\s*(?:(?:async\s+)?def|class)\s+{re.escape(name)}\b|^{re.escape(name)}\s*="
        for source, sentence in self._broken:
            if re.search(pattern, source, re.MULTILINE):
                raise Broken(sentence)
        raise Missing(f"the submission has no {name}.")

    def _needed(self, names):
        """Numbers of the statements behind some names, in their order."""
        wanted, found = set(names), set()
        grown = True
        while grown:
            grown = False
            for i, (node, _, bound, used) in enumerate(self._statements):
                if i not in found and (_stars(node) or bound & wanted or _on(node, wanted)):
                    found.add(i)
                    wanted |= used
                    grown = True
        return sorted(found)

    def _run_what_it_needs(self, names):
        for i in self._needed(names):
            if i in self._done:
                continue
            self._done.add(i)
            tree = ast.Module([self._statements[i].node], [])
            try:
                where = self._statements[i].where
                exec(compile(tree, where, "exec", self._flags, True), vars(self.module))
            except BaseException as error:
                said = what_was_raised(error).removeprefix("your function raised ")
                self._failed[i] = f"a line that it needs failed: {said}"


def plain_python(source):
    """A cell's source; where that is no Python, with the commands of IPython taken out."""
    try:
        ast.parse(source)
        return source  # a line may well begin with %, inside of an expression or a text
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    first = source.lstrip().split("\n", 1)[0]
    if first.startswith("%%") and first.split()[0] not in ("%%time", "%%timeit", "%%capture"):
        return ""
    lines = (_ASSIGNED.sub(r"\1None", line) for line in source.splitlines())
    return "\n".join(_COMMAND.sub(r"\1pass", line) for line in lines) + "\n"


def _is_name(node, name):
    return isinstance(node, ast.Name) and node.id == name


def _bound(node):
    """The names that a statement gives a value to, or whose attributes or items it sets."""
    names = set()
    todo = [node]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
            continue  # what stands inside is its own
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {a.asname or a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            names.add(_root(node))
        todo += ast.iter_child_nodes(node)
    return names - {None}


def _root(node):
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _used(node):
    """The names of the submission that a statement or an expression reads."""
    node = ast.Expr(node) if isinstance(node, ast.expr) else node
    top = symtable.symtable(ast.unparse(node), "<answer>", "exec")
    names = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    todo = top.get_children()
    while todo:  # inside functions and classes, local names are their own
        table = todo.pop()
        names |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
        todo += table.get_children()
    return names


def _stars(node):
    return isinstance(node, ast.ImportFrom) and node.names[0].name == "*"


def _on(node, wanted):
    """Is it a call of a method of a wanted name, such as ``table.append(...)``?"""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    called = node.value.func
    return isinstance(called, ast.Attribute) and _root(called) in wanted
