"""Wrong answers made from right ones: each is the source of a solution with one thing changed.

python tests/mutants.py 03        how many mutants each exercise of notebook 03 has, and which
                                  of them its check calls correct
"""

import ast
import contextlib
import copy
import functools
import io
import signal
import threading
from contextlib import contextmanager

SWAPS = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div, ast.Add],
    ast.Div: [ast.Mult, ast.FloorDiv],
    ast.FloorDiv: [ast.Div, ast.Mod],
    ast.Mod: [ast.FloorDiv],
    ast.Pow: [ast.Mult],
    ast.MatMult: [ast.Mult],
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
}
SYMMETRIC = {"min", "max", "minimum", "maximum", "transpose", "zip"}
NAMES = {  # of functions and methods that are taken for each other
    "min": ["max"],
    "max": ["min"],
    "sum": ["mean"],
    "mean": ["sum", "amax"],
    "any": ["all"],
    "all": ["any"],
    "amax": ["amin", "mean"],
    "argmax": ["argmin"],
    "softmax": ["sigmoid"],
    "sigmoid": ["tanh", "softplus"],
    "relu": ["sigmoid"],
    "round": ["int"],
    "minimum": ["maximum"],
    "maximum": ["minimum"],
    "clamp": ["floor"],
    "unsqueeze": ["squeeze"],
    "cos": ["sin"],
    "std": ["var"],
    "zeros_like": ["ones_like"],
    "zeros": ["ones"],
    "ones": ["zeros"],
    "eye": ["zeros"],
    "height": ["width"],
    "width": ["height"],
    "rows": ["columns"],
    "columns": ["rows"],
}


def _alternatives(node):
    """(what changed, new node) for one node of the tree."""
    made = []

    def also(what, new):
        made.append((what, new))

    if isinstance(node, ast.BinOp):
        for op in SWAPS.get(type(node.op), []):
            new = copy.deepcopy(node)
            new.op = op()
            also(f"{type(node.op).__name__} -> {op.__name__}", new)
        also("left side alone", node.left)
        also("right side alone", node.right)
        if not isinstance(node.op, (ast.Add, ast.Mult)):
            new = copy.deepcopy(node)
            new.left, new.right = new.right, new.left
            also("sides swapped", new)
    elif isinstance(node, ast.Compare):
        for op in SWAPS.get(type(node.ops[0]), []):
            new = copy.deepcopy(node)
            new.ops[0] = op()
            also(f"{type(node.ops[0]).__name__} -> {op.__name__}", new)
    elif isinstance(node, ast.BoolOp):
        new = copy.deepcopy(node)
        new.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        also("and <-> or", new)
        for i in range(len(node.values)):
            rest = [v for j, v in enumerate(node.values) if j != i]
            new = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
            also(f"condition {i} dropped", new)
    elif isinstance(node, ast.UnaryOp):
        also("sign or not dropped", node.operand)
    elif isinstance(node, ast.IfExp):
        also("always the first", node.body)
        also("always the second", node.orelse)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            also("flipped", ast.Constant(not node.value))
        elif isinstance(node.value, int):
            also("+ 1", ast.Constant(node.value + 1))
            also("- 1", ast.Constant(node.value - 1))
        elif isinstance(node.value, float):
            also("halved", ast.Constant(node.value / 2 if node.value else 0.5))
    elif isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Attribute):
            also(f".{function.attr}() dropped", function.value)
            for name in NAMES.get(function.attr, []):
                new = copy.deepcopy(node)
                new.func.attr = name
                also(f"{function.attr} -> {name}", new)
        elif node.args:
            also("call dropped", node.args[0])
        called = getattr(function, "attr", getattr(function, "id", ""))
        for i in range(len(node.args) - 1 if called not in SYMMETRIC else 0):
            new = copy.deepcopy(node)
            new.args[i], new.args[i + 1] = new.args[i + 1], new.args[i]
            also(f"arguments {i} and {i + 1} swapped", new)
        if len(node.args) > 1:
            new = copy.deepcopy(node)
            del new.args[-1]
            also("last argument dropped", new)
        for i, keyword in enumerate(node.keywords):
            new = copy.deepcopy(node)
            del new.keywords[i]
            also(f"{keyword.arg} dropped", new)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        for name in NAMES.get(node.id, []):
            also(f"{node.id} -> {name}", ast.Name(name, ast.Load()))
    elif isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        also(f".{node.attr} dropped", node.value)
    elif isinstance(node, ast.Slice):
        for part in ("lower", "upper", "step"):
            if getattr(node, part) is not None:
                new = copy.deepcopy(node)
                setattr(new, part, None)
                also(f"{part} bound dropped", new)
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        for i in range(len(node.elts) - 1):
            new = copy.deepcopy(node)
            new.elts[i], new.elts[i + 1] = new.elts[i + 1], new.elts[i]
            also(f"{i} and {i + 1} swapped", new)
    elif isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.SetComp)):
        for i, generator in enumerate(node.generators):
            for j in range(len(generator.ifs)):
                new = copy.deepcopy(node)
                del new.generators[i].ifs[j]
                also("condition of the loop dropped", new)
    return made


def _swap(tree, path, new):
    """A copy of ``tree`` with the node at ``path`` replaced."""
    tree = copy.deepcopy(tree)
    node = tree
    for step in path[:-1]:
        node = node[step] if isinstance(step, int) else getattr(node, step)
    if isinstance(path[-1], int):
        node[path[-1]] = copy.deepcopy(new)
    else:
        setattr(node, path[-1], copy.deepcopy(new))
    return tree


def _walk(node, path=()):
    """(path, node) of all nodes below ``node``, bodies of functions and expressions alike."""
    for field, value in ast.iter_fields(node):
        if field in ("decorator_list", "annotation", "returns"):
            continue
        items = enumerate(value) if isinstance(value, list) else [(None, value)]
        for i, child in items:
            if isinstance(child, ast.AST):
                here = path + ((field,) if i is None else (field, i))
                yield here, child
                yield from _walk(child, here)


def _is_docstring(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@functools.cache
def mutants(source, name):
    """(what changed, mutated source) for the function or class ``name`` of a module's source.

    The source must be right; the rest of the module stays.
    """
    module = ast.parse(source)
    number = next(
        i
        for i, node in enumerate(module.body)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name
    )
    target = module.body[number]
    parameters = [a.arg for a in target.args.args] if isinstance(target, ast.FunctionDef) else []
    rest = module.body[:number], module.body[number + 1 :]
    above, below = ("\n".join(map(ast.unparse, part)) for part in rest)
    seen, out = {ast.unparse(target)}, []

    def keep(line, what, path, new):
        try:
            text = ast.unparse(_swap(target, path, new))
            compile(text, name, "exec")
        except (SyntaxError, ValueError, AttributeError, TypeError):
            return
        if text not in seen:
            seen.add(text)
            out.append((f"{name}:{line}: {what}", f"{above}\n{text}\n{below}"))

    for path, node in _walk(target):
        line = getattr(node, "lineno", 0) - target.lineno
        if isinstance(node, ast.stmt):
            if _is_docstring(node) or isinstance(node, (ast.FunctionDef, ast.Return, ast.Pass)):
                continue
            keep(line, f"line dropped: {ast.unparse(node).splitlines()[0]}", path, ast.Pass())
        else:
            before = ast.unparse(node)
            for what, new in _alternatives(node):
                keep(line, f"{before}: {what}", path, new)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                for other in parameters:
                    if node.id in parameters and other != node.id:
                        new = ast.Name(other, ast.Load())
                        keep(line, f"{before} -> {other}", path, new)
    return out


class TooLong(Exception):
    """A mutant that does not come to an end."""


@contextmanager
def limit(seconds):
    """Raise `TooLong` inside the block after this many seconds of CPU time (main thread only)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_):
        raise TooLong(f"not finished after {seconds} seconds")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def load(text, name):
    """The function or class ``name`` of a module's source."""
    space = {"__name__": "solutions"}
    exec(compile(text, f"<{name}>", "exec"), space)
    return space[name]


def verdict(check, text, name, seconds=0.5, **options):
    """What a check says of an answer's source: ("correct" | "wrong" | "not answered", hint)."""
    try:
        with limit(seconds):
            with contextlib.redirect_stdout(io.StringIO()):
                outcome = check.judge(load(text, name), **options)
    except TooLong as error:
        return "wrong", str(error)
    except Exception as error:  # the text of the mutant can't even be loaded
        if "checks" in str(getattr(error.__traceback__.tb_next, "tb_frame", "")):
            raise
        return "wrong", f"raised {type(error).__name__}"
    return outcome.result, outcome.hint


def main(which):
    from exercises import CHECKS, source

    for check in CHECKS:
        about = check.exercise
        if which not in (about.sheet, about.number):
            continue
        texts, counts = mutants(source(about.sheet), about.answer), {}
        for what, text in texts:
            verdicts = [verdict(check, text, about.answer) for _ in range(2)]
            kinds = "/".join(sorted({v for v, _ in verdicts}))
            counts[kinds] = counts.get(kinds, 0) + 1
            if kinds != "wrong":
                print(f"    {kinds}: {what}")
            elif VERBOSE:
                print(f"    {what}\n        {verdicts[0][1]}")
        print(about.number, about.answer, len(texts), counts, flush=True)


if __name__ == "__main__":
    import sys

    VERBOSE = "-v" in sys.argv
    for number in sys.argv[1:]:
        if number != "-v":
            main(number)
