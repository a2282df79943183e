"""The house: which part of the package may import which, no import circle, and how large things
may grow.

Imports are read from the syntax trees, those inside functions included.
"""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "mgff_tutorial"
CHAPTERS = (
    *("patches", "windows", "swin", "backbones", "align", "attention", "graph", "mgff"),
    *("response", "cropper", "two_stage"),
)
FILES = {  # modules of file formats: a chapter opens no file
    *("csv", "h5py", "json", "onnx", "pandas", "pickle", "safetensors", "yaml", "zipfile"),
    *("mgff_tutorial.support.checkpoints", "mgff_tutorial.support.files"),
}


def module_name(path, package):
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree, name, is_package):
    """The modules that a module names in its import statements, lazy ones included: absolute
    names, with each imported attribute behind its module.
    """
    here = name.split(".") if is_package else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            origin = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            yield from ((origin, alias.name) for alias in node.names)


def import_graph(package):
    """name of a module -> set of the modules that it imports; those of other libraries by the
    first part of their name.
    """
    paths = {module_name(path, package): path for path in package.rglob("*.py")}
    graph = {}
    for name, path in paths.items():
        graph[name] = set()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for origin, attribute in imports(tree, name, path.name == "__init__.py"):
            if origin.split(".")[0] != package.name:
                graph[name].add(origin.split(".")[0])
            elif f"{origin}.{attribute}" in paths:
                graph[name].add(f"{origin}.{attribute}")
            else:
                graph[name].add(origin)
    return graph


def room(module):
    """The chapter, module or folder at the package's top to which a module belongs."""
    return (module.split(".") + [""])[1]


def forbidden(graph):
    """The imports that must never be, as (importing module, imported module)."""
    for module, found in graph.items():
        here = room(module)
        for other in found:
            inside, there = other.split(".")[0] == "mgff_tutorial", room(other)
            if here == there and inside:
                continue
            if (
                (here in CHAPTERS and other in FILES)
                or (
                    here in CHAPTERS
                    and inside
                    and there not in (*CHAPTERS, "options", "support")
                    and (here, there) != ("backbones", "pretrained")
                )
                or (here == "support" and inside)
                or (here == "evaluation" and there in ("training", "experiments"))
                or (here == "training" and there == "experiments")
                or (there == "commands" and here != "__main__")
                or (there in ("checks", "plots") and here != "teaching")
            ):
                yield module.partition(".")[2], other.removeprefix("mgff_tutorial.")


def circle(graph):
    """One circle of a graph as a list of names, or None."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]


def rooms(graph):
    """The same graph between rooms; the package's own ``__init__`` is one of them."""
    found = {}
    for module, others in graph.items():
        found.setdefault(room(module), set()).update(
            room(other)
            for other in others
            if other.split(".")[0] == "mgff_tutorial" and room(other) != room(module)
        )
    return found


@pytest.fixture(scope="module")
def graph():
    return import_graph(PACKAGE)


def test_arrows_that_must_never_be(graph):
    assert not set(forbidden(graph))


def test_no_import_circle(graph):
    assert circle(graph) is None
    assert circle(rooms(graph)) is None


def test_each_rule_can_fail(tmp_path):
    """A small package with one wrong arrow of each kind, lazy, relative and absolute."""
    sources = {
        "__init__": "",
        "__main__": "from .commands import train",
        "swin": "from .backbones import taps\ndef f():\n    import safetensors.torch",
        "backbones": "from . import pretrained, models\ndef taps():\n    from . import swin",
        "pretrained": "from .support.files import atomic_file",
        "models": "import mgff_tutorial.plots.style",
        "support/__init__": "",
        "support/files": "from ..swin import names",
        "evaluation/__init__": "from ..training.recipe import schedule",
        "training/__init__": "from .recipe import schedule",
        "training/recipe": "def schedule():\n    from ..experiments import heads",
        "experiments/__init__": "from ..commands.train import add",
        "plots/style": "from ..renderer import render",
        "renderer/__init__": "",
        "commands/train": "from . import evaluate",
        "commands/evaluate": "",
        "teaching/__init__": "from ..checks import core",
        "checks/core": "",
    }
    for name, source in sources.items():
        path = tmp_path / "mgff_tutorial" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    graph = import_graph(tmp_path / "mgff_tutorial")
    assert set(forbidden(graph)) == {
        ("swin", "safetensors"),
        ("backbones", "models"),
        ("models", "plots.style"),
        ("support.files", "swin"),
        ("evaluation", "training.recipe"),
        ("training.recipe", "experiments"),
        ("experiments", "commands.train"),
    }
    assert {"mgff_tutorial.swin", "mgff_tutorial.backbones"} <= set(circle(graph))
    assert circle({"a": {"b"}, "b": {"c"}}) is None


def test_a_newcomer_sees_the_book():
    """At the package's top stand the eleven chapters and little else."""
    top = [path for path in PACKAGE.iterdir() if not path.name.startswith(("_data", "__pycache"))]
    assert {f"{name}.py" for name in CHAPTERS} <= {path.name for path in top}
    files, folders = (
        sorted(path.name for path in top if path.is_dir() == wanted) for wanted in (False, True)
    )
    files = [name for name in files if name != "py.typed"]  # a mark for type checkers, empty
    assert len(files) <= 17, files
    assert len(folders) <= 12, folders


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_can_be_read_in_one_sitting(name):
    assert len((PACKAGE / f"{name}.py").read_text("utf-8").splitlines()) <= 440


def guards(path):
    """Lines on which an error is raised or a ``check_...`` is called."""
    return {
        node.lineno
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Raise)
        or isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2].startswith("check_")
    }


def test_chapters_show_mathematics_not_guards():
    lines = {name: len(guards(PACKAGE / f"{name}.py")) for name in CHAPTERS}
    assert sum(lines.values()) <= 70, lines
