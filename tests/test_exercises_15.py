"""Solutions of notebook 15 pass their checks; plausible wrong answers fail with a hint that fits
the mistake.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mgff_tutorial.checks import experiments as checks
from mgff_tutorial.checks.core import CheckFailed

PATH = Path(__file__).parents[1] / "notebooks" / "solutions" / "solutions_15_experiments.py"
spec = importlib.util.spec_from_file_location("solutions_15_experiments", PATH)
solutions = importlib.util.module_from_spec(spec)
spec.loader.exec_module(solutions)

EXERCISES = [
    (checks.check_paired_difference, solutions.paired_difference_of),
    (checks.check_reported_accuracy, solutions.reported_accuracy),
    (checks.check_within_genus, solutions.within_genus),
    (checks.check_seeds_needed, solutions.seeds_needed),
]


@pytest.mark.parametrize("number", range(4))
def test_solutions(number, capsys):
    check, solution = EXERCISES[number]
    check(solution)
    assert capsys.readouterr().out == f"Exercise 15.{number + 1}: correct.\n"
    for unanswered in (None, ..., lambda *args: None):
        check(unanswered)
        assert "not answered yet" in capsys.readouterr().out


def interval(values, quantile, ddof=1):
    values = np.asarray(values)
    half = quantile * values.std(ddof=ddof) / np.sqrt(len(values))
    return values.mean(), values.mean() - half, values.mean() + half


def unpaired(a, b):
    half = stats.t.ppf(0.975, 8) * np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 5)
    return np.mean(a) - np.mean(b), np.mean(a) - np.mean(b) - half, np.mean(a) - np.mean(b) + half


def count_upwards(spread, difference, quantile):
    n = 2
    while quantile(n) * spread / np.sqrt(n) >= difference:
        n += 1
    return n


@pytest.mark.parametrize(
    "check, wrong, hint",
    [
        (checks.check_paired_difference, unpaired, "take the differences first"),
        (checks.check_paired_difference, lambda a, b: interval(np.subtract(a, b), 1.96), "2.776"),
        (
            checks.check_paired_difference,
            lambda a, b: interval(np.subtract(a, b), stats.t.ppf(0.975, 4), 0),
            "ddof=1",
        ),
        (
            checks.check_paired_difference,
            lambda a, b: interval(np.subtract(b, a), stats.t.ppf(0.975, 4)),
            "a minus b",
        ),
        (checks.check_paired_difference, lambda a, b: 0.02, "three numbers"),
        (
            checks.check_reported_accuracy,
            lambda v, t: max(np.mean(x) for x in t.values()),
            "chose the recipe by its test",
        ),
        (
            checks.check_reported_accuracy,
            lambda v, t: max(np.mean(x) for x in v.values()),
            "validation accuracy",
        ),
        (
            checks.check_reported_accuracy,
            lambda v, t: np.mean(t[max(v, key=lambda k: max(v[k]))]),
            "lucky seed",
        ),
        (
            checks.check_within_genus,
            lambda c, g: c[g[:, None] == g].sum() / c.sum(),
            "diagonal is no error",
        ),
        (
            checks.check_within_genus,
            lambda c, g: 1 - solutions.within_genus(c, g) if c.trace() < c.sum() else 0,
            "leave the genus",
        ),
        (
            checks.check_within_genus,
            lambda c, g: (c * (1 - np.eye(4)))[g[:, None] == g].sum() / c.sum(),
            "all images",
        ),
        (
            checks.check_seeds_needed,
            lambda s, d: count_upwards(s, d, lambda n: 1.96),
            "1.96 for every n",
        ),
        (checks.check_seeds_needed, lambda s, d: solutions.seeds_needed(s, d) - 1, "One too few"),
        (checks.check_seeds_needed, lambda s, d: 5, "stop at the first n"),
    ],
)
def test_wrong_answers_get_a_hint_that_fits(check, wrong, hint):
    with pytest.raises(CheckFailed, match="15") as failure:
        check(wrong)
    assert hint in str(failure.value)
