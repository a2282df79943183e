"""Notebook 03: the package answers its exercises."""

from mgff_tutorial.checks import windows as checks
from mgff_tutorial.windows import shift_mask


def test_the_packaged_mask_answers_the_third_exercise(capsys):
    checks.check_mask_from_coordinates(lambda *sizes: shift_mask(*sizes) == 0)
    assert capsys.readouterr().out == "Exercise 3.3: correct.\n"
