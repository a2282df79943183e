"""Solutions of notebook 15. Read them after you have tried."""

from itertools import product

import numpy as np
from scipy import stats


def sign_flip_share(differences):
    """Exercise 15.1: how often would chance give a mean as far from 0?

    If neither model were better, each difference could as well have had the other sign. Two of the
    2^n patterns (all plus, all minus) are always as extreme as the most extreme one, so five seeds
    can't get below 2 / 32 = 6 %, however large the differences: below 5 % it takes six.
    """
    d = np.asarray(differences, dtype=float)
    means = [abs(np.mean(np.array(signs) * d)) for signs in product((1, -1), repeat=len(d))]
    return float(np.mean([mean >= abs(d.mean()) - 1e-12 for mean in means]))


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
    confusion, genus = np.asarray(confusion), np.asarray(genus)
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
