"""The versions that are promised: the lists name the same lower bounds, and our code calls nothing
that is on its way out.
"""

import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def bounds(text, between):
    return dict(re.findall(rf"^[ \"]*([a-z]+){between}([\d.]+)", text, re.MULTILINE))


def same(a, b):
    """1.2 and 1.2.0 are one version."""
    a, b = ([int(n) for n in version.split(".")] for version in (a, b))
    return a + [0] * (len(b) - len(a)) == b + [0] * (len(a) - len(b))


def test_the_lists_agree():
    wanted = bounds((ROOT / "requirements.txt").read_text(), ">=")
    packaged = bounds(
        (ROOT / "pyproject.toml").read_text().partition("dependencies = [")[2].partition("]")[0],
        ">=",
    )
    oldest = bounds((ROOT / "tests" / "oldest.txt").read_text(), "==")
    assert len(packaged) == 13 and all(wanted[name] == bound for name, bound in packaged.items())
    assert set(wanted) - set(oldest) == {
        "hatchling",
        "jupyterlab",
        "ipywidgets",
        "mypy",
        "nbval",
        "ruff",
    }  # the tests alone run in the oldest environment
    assert {name: wanted[name] for name, pin in oldest.items() if not same(pin, wanted[name])} == {}


def warn(module, category):
    """Raise a warning as code of that module would."""
    exec(
        compile("warnings.warn('old', category)", module, "exec"),
        {"__name__": module, "warnings": warnings, "category": category},
    )


@pytest.mark.parametrize("category", [DeprecationWarning, PendingDeprecationWarning, FutureWarning])
def test_deprecated_calls_of_ours_are_errors(category):
    for module in ("mgff_tutorial", "mgff_tutorial.swin", "mgff_tutorial.renderer.scene"):
        with pytest.raises(category):
            warn(module, category)
    with pytest.warns(category):
        warn("another_library", category)
