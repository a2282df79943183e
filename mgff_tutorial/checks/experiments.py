"""Checks of the exercises of notebook 15: paired differences, honest choices, errors within a
genus, enough seeds.
"""

import numpy as np
from scipy import stats

from .core import ask, exercise, expect, expect_equal


@exercise("Exercise 15.1", answer="paired_difference_of")
def check_paired_difference(answer):
    """``answer(a, b)``: two lists of accuracies, one a seed -> (mean, low, high) of a - b, 95 %
    t-interval.
    """
    a, b = [0.80, 0.84, 0.78, 0.86, 0.82], [0.79, 0.82, 0.775, 0.84, 0.80]
    got = ask(answer, list(a), list(b))
    expect(
        isinstance(got, (tuple, list)) and len(got) == 3,
        f"expected three numbers (mean, low, high), got {got!r}.",
    )
    got, d = [float(v) for v in got], np.subtract(a, b)
    half = stats.t.ppf(0.975, 4) * d.std(ddof=1) / np.sqrt(5)
    expect(
        abs(got[0] - d.mean()) < 1e-9,
        f"mean of the difference: expected {d.mean():.4f}, got {got[0]:.4f}. "
        "It is a minus b, seed by seed.",
    )
    found = (got[2] - got[1]) / 2
    unpaired = stats.t.ppf(0.975, 8) * np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 5)
    hints = {
        unpaired: "You treated the two lists as unrelated. Seed 3 was hard for both: take the "
        "differences first.",
        stats.norm.ppf(0.975)
        * d.std(ddof=1)
        / np.sqrt(5): "1.96 is for many runs; five runs need the t quantile "
        "with four degrees of freedom, 2.776.",
        1.96
        * d.std(ddof=1)
        / np.sqrt(5): "1.96 is for many runs; five runs need the t quantile, 2.776.",
        stats.t.ppf(0.975, 4)
        * d.std()
        / np.sqrt(5): "The spread of a sample divides by n - 1 (ddof=1).",
        stats.t.ppf(0.975, 5)
        * d.std(ddof=1)
        / np.sqrt(5): "Five runs leave four degrees of freedom, not five.",
        stats.t.ppf(0.95, 4)
        * d.std(ddof=1)
        / np.sqrt(5): "95 % in the middle leaves 2.5 % on each side: ppf(0.975).",
        stats.t.ppf(0.975, 4)
        * d.std(ddof=1): "The mean of n runs is less uncertain than one run: divide by sqrt(n).",
    }
    hint = next((text for value, text in hints.items() if abs(found - value) < 1e-6), "")
    expect(
        abs(found - half) < 1e-6,
        f"half the width: expected {half:.5f}, got {found:.5f}. {hint}".rstrip(),
    )
    expect(
        abs(got[1] - (d.mean() - half)) < 1e-6,
        f"low end: expected {d.mean() - half:.5f}, got {got[1]:.5f}.",
    )


@exercise("Exercise 15.2", answer="reported_accuracy")
def check_reported_accuracy(answer):
    """``answer(validation, test)``: dicts recipe -> accuracies, one a seed -> the number that may
    be reported.
    """
    validation = {"lr 1e-3": [0.81, 0.83], "lr 3e-3": [0.86, 0.84], "lr 1e-2": [0.90, 0.70]}
    test = {"lr 1e-3": [0.84, 0.84], "lr 3e-3": [0.82, 0.83], "lr 1e-2": [0.85, 0.72]}
    got = float(
        ask(
            answer,
            {k: list(v) for k, v in validation.items()},
            {k: list(v) for k, v in test.items()},
        )
    )
    hints = {
        0.84: "You chose the recipe by its test accuracy. The test set then helped to train, and "
        "the number flatters.",
        0.85: "That is the validation accuracy of the chosen recipe, or the best single test run; "
        "report the test "
        "accuracy of the recipe that validation chose, averaged over its seeds.",
        0.83: "That is one seed of the chosen recipe; report the mean of all its seeds.",
        0.785: "You chose by the best single validation run. One lucky seed is no reason: average "
        "the seeds.",
        float(
            np.mean([v for runs in test.values() for v in runs])
        ): "You averaged all recipes; choose one first.",
    }
    hint = next((text for value, text in hints.items() if abs(got - value) < 1e-6), "")
    expect(
        abs(got - 0.825) < 1e-6,
        f"the reported accuracy: expected 0.825, got {got:.4g}. {hint}".rstrip(),
    )


@exercise("Exercise 15.3", answer="within_genus")
def check_within_genus(answer):
    """``answer(confusion, genus)``: (K, K) counts, row = truth; genus of each class -> share of the
    ERRORS inside.
    """
    confusion = np.array([[8, 2, 0, 0], [1, 6, 0, 3], [1, 0, 9, 0], [0, 0, 2, 8]])
    genus = np.array([0, 0, 1, 1])
    got = float(ask(answer, confusion.copy(), genus.copy()))
    hints = {
        36 / 40: "The diagonal is no error: leave it out, above the line and below it.",
        5 / 40: "You divided by all images; the question is about errors, of which there are 9.",
        4 / 9: "That is the share of errors that leave the genus; the question is how many "
        "stay inside.",
        36 / 9: "The diagonal is no error: leave it out.",
        2 / 9: "You counted the upper half alone; a confusion matrix is not symmetric.",
    }
    hint = next((text for value, text in hints.items() if abs(got - value) < 1e-6), "")
    expect(
        abs(got - 5 / 9) < 1e-6,
        f"share of errors within the genus: expected 5/9 = 0.556, got {got:.3f}. {hint}".rstrip(),
    )
    perfect = float(ask(answer, np.diag([5, 5, 5, 5]), genus.copy()))
    expect(
        perfect == 0,
        f"for a model without errors: expected 0, got {perfect}. There is nothing to divide by.",
    )


@exercise("Exercise 15.4", answer="seeds_needed", points=2)
def check_seeds_needed(answer):
    """``answer(spread, difference)`` -> fewest seeds whose 95 % t-interval is narrower than +-
    difference.
    """
    cases = ((1.0, 1.0, 7, 4), (1.0, 0.5, 18, 16), (0.5, 1.0, 4, 2), (2.0, 0.5, 64, 62))
    for spread, difference, expected, normal in cases:
        got = ask(answer, spread, difference)
        hint = (
            "Try n = 2, 3, ... and stop at the first n with t.ppf(0.975, n - 1) * spread / "
            "sqrt(n) < difference."
        )
        if got == normal:
            hint = (
                "You used 1.96 for every n. With few seeds the t quantile is larger: 12.7 for "
                "two, 2.8 for five."
            )
        if got == expected - 1:
            hint = "One too few: with n seeds the quantile has n - 1 degrees of freedom."
        expect_equal(
            f"seeds for a spread of {spread} and a difference of {difference}",
            int(got),
            expected,
            hint,
        )
