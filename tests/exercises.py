"""What the tests of all notebooks' exercises share: the solutions, and the two things that a check
must say of them.
"""

import runpy
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "notebooks" / "solutions"


def solutions(notebook):
    """The functions in the solutions of a notebook such as ``"01_patches"``, by name."""
    return runpy.run_path(str(FOLDER / f"solutions_{notebook}.py"))


def assert_correct_and_a_stub_unanswered(check, solution, capsys):
    """The solution passes its check, and an exercise that nobody has touched is no failure."""
    check(solution)
    check(lambda *args: ...)
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("correct.") and second.endswith("not answered yet.")
