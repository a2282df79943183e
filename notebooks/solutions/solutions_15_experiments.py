"""Solutions of notebook 15. Read them after you have tried."""

import numpy as np
from scipy import stats


def paired_difference_of(a, b):
    """Exercise 15.1: a 95 % interval for how much ``a`` is better than ``b``.

    Both models were run with the same seeds, so seed 3 may have been hard for both. That shared
    luck cancels in the differences, and what is left is a smaller spread and a narrower interval.
    Five differences have four degrees of
    freedom: one was spent on their mean.
    """
    d = np.subtract(a, b)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))
    return d.mean(), d.mean() - half, d.mean() + half


def reported_accuracy(validation, test):
    """Exercise 15.2: choose on the validation images, averaged over the seeds; then look at the
    test set once.

    The recipe with the best test accuracy is another one. Reporting that one would be choosing on
    the test set.
    """
    chosen = max(validation, key=lambda recipe: np.mean(validation[recipe]))
    return float(np.mean(test[chosen]))


def within_genus(confusion, genus):
    """Exercise 15.3: the share of the errors that stay inside the genus.

    An error is a count off the diagonal. It stays inside if the genus of its row is the genus of
    its column.
    """
    errors = confusion - np.diag(np.diag(confusion))
    inside = genus[:, None] == genus[None, :]
    return float(errors[inside].sum() / errors.sum()) if errors.sum() else 0.0


def seeds_needed(spread, difference):
    """Exercise 15.4: how many seeds until a difference of this size shows.

    ``spread`` is the standard deviation of the paired differences. Both the square root and the t
    quantile depend on
    n, so there is no formula to solve: count upwards. Note how expensive small differences are:
    half the difference takes about four times the seeds.
    """
    n = 2
    while stats.t.ppf(0.975, n - 1) * spread / np.sqrt(n) >= difference:
        n += 1
    return n
