"""The versions that are promised: the package's, the tutorial's and the tests' lists name the same lower bounds."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def bounds(text, between):
    return dict(re.findall(rf"^[ \"]*([a-z]+){between}([\d.]+)", text, re.MULTILINE))


def same(a, b):
    """1.2 and 1.2.0 are one version."""
    a, b = ([int(n) for n in version.split(".")] for version in (a, b))
    return a + [0] * (len(b) - len(a)) == b + [0] * (len(a) - len(b))


def test_the_lists_agree():
    wanted = bounds((ROOT / "requirements.txt").read_text(), ">=")
    packaged = bounds((ROOT / "pyproject.toml").read_text().partition("dependencies = [")[2].partition("]")[0], ">=")
    oldest = bounds((ROOT / "tests" / "oldest.txt").read_text(), "==")
    assert len(packaged) == 13 and all(wanted[name] == bound for name, bound in packaged.items())
    assert set(wanted) - set(oldest) == {"jupyterlab", "ipywidgets", "nbval"}  # the tests alone run in the oldest environment
    assert {name: wanted[name] for name, pin in oldest.items() if not same(pin, wanted[name])} == {}
