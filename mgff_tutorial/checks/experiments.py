"""Checks of the exercises of notebook 15: what few seeds can show, honest choices, errors within a
genus, enough seeds.
"""

import itertools
from operator import itemgetter

import numpy as np
from scipy import stats

from .cases import compare, draw
from .core import exercise


def _patterns(d):
    return np.array(list(itertools.product((1, -1), repeat=len(d)))) * np.asarray(d)


def _sign_flip(d, statistic=lambda p: np.abs(p.sum(1)), strict=False, minus=0):
    values = statistic(_patterns(d))
    observed = statistic(np.asarray(d, dtype=float)[None])[0]
    extreme = values > observed + 1e-9 if strict else values >= observed - 1e-9
    return (extreme.sum() - minus) / (len(values) - minus)


@exercise("Exercise 15.1", answer="sign_flip_share")
def check_sign_flips(answer):
    """Differences of one sign, of both, with ties and zeros, for two to ten seeds."""
    cases = [[2.0, 1.5, 0.5, 2.0, 2.0], [1, -1], [3, 1, -2, 4, 0], [0, 0, 0], [1, 2, 3, 4, -5, 6]]
    cases += [[-3, -1, -2], [1, 1, 1, 1, -1]]
    cases += [[draw.integer(-60, 99) / 8 for _ in range(n)] for n in (2, 4, 5, 7, 10)]
    compare(
        answer,
        _sign_flip,
        [(d,) for d in cases],
        [
            (
                "A mean as far BELOW 0 counts as well: compare sizes, without sign.",
                lambda d: _sign_flip(d, lambda p: p.sum(1)),
            ),
            (
                "The signs as they were measured are one of the 2^n, so equal means count: >=.",
                lambda d: _sign_flip(d, strict=True),
            ),
            (
                "The signs as they were measured are one of the 2^n and count on both sides.",
                lambda d: _sign_flip(d, minus=1),
            ),
            (
                "That is the share of means NEARER to 0.",
                lambda d: 1 - _sign_flip(d),
            ),
            (
                "Only all signs at once are turned; each difference turns by itself: 2^n ways.",
                lambda d: 1.0,
            ),
            (
                "The sizes of the differences matter, not only how many are positive.",
                lambda d: _sign_flip(np.sign(d)),
            ),
            (
                "Return the share, not the number, of sign patterns.",
                lambda d: _sign_flip(d) * 2 ** len(d),
            ),
            (
                "Half of the patterns are tried: the first difference turns as well.",
                lambda d: (
                    (np.abs(_patterns(d)[: 2 ** (len(d) - 1)].sum(1)) > abs(sum(d)) - 1e-9).sum()
                    / 2 ** len(d)
                ),
            ),
            (
                "One sign at a time is turned; there are 2^n patterns.",
                lambda d: float(np.mean([abs(sum(d) - 2 * v) >= abs(sum(d)) - 1e-9 for v in d])),
            ),
            (
                "That is a t-test; here nothing is assumed about the spread, the signs are "
                "counted.",
                lambda d: stats.ttest_1samp(d, 0).pvalue,
            ),
        ],
        describe=lambda d: f"differences {d}",
        form="one number",
        hint="Go through all 2^n ways to choose the signs; which share of them gives a mean at "
        "least as far from 0 as the measured one?",
        tolerance=1e-6,
    )


def _reported(validation, test, choose=max, by=np.mean, of=np.mean, look=None):
    look = validation if look is None else look
    return float(of(test[choose(look, key=lambda recipe: by(look[recipe]))]))


@exercise("Exercise 15.2", answer="reported_accuracy")
def check_reported_accuracy(answer):
    """Recipes whose order differs between validation and test, with lucky and unlucky seeds."""
    cases = [
        (
            {"lr 1e-3": [0.81, 0.83], "lr 3e-3": [0.86, 0.84], "lr 1e-2": [0.90, 0.70]},
            {"lr 1e-3": [0.84, 0.84], "lr 3e-3": [0.82, 0.83], "lr 1e-2": [0.85, 0.72]},
        ),
        ({"a": [0.5, 0.7, 0.6]}, {"a": [0.4, 0.6, 0.55]}),
        ({"a": [0.6, 0.9], "b": [0.7, 0.72]}, {"a": [0.51, 0.55], "b": [0.6, 0.64]}),
        ({"a": [0.9, 0.6], "b": [0.7, 0.72]}, {"a": [0.51, 0.55], "b": [0.6, 0.64]}),
    ]
    for recipes, seeds in ((3, 2), (5, 3), (4, 5), (6, 3)):
        names = draw.shuffled([f"recipe {i}" for i in range(recipes)])
        runs = []
        for _ in range(2):
            values = draw.integers(recipes * seeds, 500, 990)
            runs.append({n: [v / 1000 for v in values[i::recipes]] for i, n in enumerate(names)})
        cases.append(tuple(runs))

    compare(
        answer,
        _reported,
        cases,
        [
            (
                "You chose the recipe by its test accuracy. The test set then helped to train, and "
                "the number flatters.",
                lambda v, t: _reported(v, t, look=t),
            ),
            (
                "That is the validation accuracy of the chosen recipe; report its TEST accuracy, "
                "averaged over its seeds.",
                lambda v, t: _reported(v, v),
            ),
            (
                "That is the best single test run of all; choose by validation, then take the "
                "mean.",
                lambda v, t: max(x for runs in t.values() for x in runs),
            ),
            (
                "That is the best seed of the chosen recipe; report the mean of all its seeds.",
                lambda v, t: _reported(v, t, of=max),
            ),
            (
                "That is one seed of the chosen recipe; report the mean of all its seeds.",
                lambda v, t: _reported(v, t, of=itemgetter(0)),
            ),
            (
                "That is the last seed of the chosen recipe; report the mean of all its seeds.",
                lambda v, t: _reported(v, t, of=itemgetter(-1)),
            ),
            (
                "That is the seed that was best in validation; report the mean of all seeds.",
                lambda v, t: (
                    (r := max(v, key=lambda k: np.mean(v[k]))) and t[r][int(np.argmax(v[r]))]
                ),
            ),
            (
                "You chose by the best single validation run. One lucky seed is no reason: average "
                "the seeds.",
                lambda v, t: _reported(v, t, by=max),
            ),
            (
                "You chose by the worst validation run; average the seeds.",
                lambda v, t: _reported(v, t, by=min),
            ),
            (
                "You chose by the first seed; average the seeds.",
                lambda v, t: _reported(v, t, by=itemgetter(0)),
            ),
            (
                "That recipe has the LOWEST validation accuracy.",
                lambda v, t: _reported(v, t, choose=min),
            ),
            (
                "You averaged all recipes; choose one first.",
                lambda v, t: np.mean([x for runs in t.values() for x in runs]),
            ),
            (
                "Report the mean over the seeds, not the median.",
                lambda v, t: _reported(v, t, of=np.median),
            ),
        ],
        describe=lambda v, t: f"{len(v)} recipes with {len(next(iter(v.values())))} or so seeds",
        form="one number",
        hint="Choose the recipe with the best MEAN validation accuracy, then report its mean test "
        "accuracy.",
        tolerance=1e-6,
    )


def _within(confusion, genus, errors=True, triangle=None, flip=False, of=None):
    confusion, genus = np.asarray(confusion, dtype=float), np.asarray(genus)
    inside = genus[:, None] == genus[None]
    inside = ~inside if flip else inside
    wrong = confusion * (1 - np.eye(len(confusion))) if errors else confusion
    part = wrong if triangle is None else triangle(wrong)
    total = wrong.sum() if of is None else of(confusion)
    return float(part[inside].sum() / total) if wrong.sum() else 0.0


@exercise("Exercise 15.3", answer="within_genus")
def check_within_genus(answer):
    """Confusions of several sizes that are not symmetric; genera as arrays, lists and names; models
    without errors.
    """
    first = np.array([[8, 2, 0, 0], [1, 6, 0, 3], [1, 0, 9, 0], [0, 0, 2, 8]])
    cases = [(first, np.array([0, 0, 1, 1])), (first, ["gull", "tern", "gull", "tern"])]
    cases += [(np.diag([5, 5, 5, 5]), np.array([0, 0, 1, 1]))]
    cases += [(first, [0, 1, 2, 3]), (first, [7, 7, 7, 7])]
    for classes, genera in ((5, 2), (7, 3), (6, 4)):
        confusion = draw.rng.integers(0, 4, (classes, classes)) + np.diag([9] * classes)
        cases.append((confusion, [draw.integer(0, genera - 1) for _ in range(classes)]))
    compare(
        answer,
        _within,
        cases,
        [
            (
                "The diagonal is no error: leave it out, above the line and below it.",
                lambda c, g: (
                    _within(c, g, errors=False, of=lambda c: c.sum())
                    if _within(c, g) or (c - np.diag(np.diag(c))).any()
                    else 0
                ),
            ),
            (
                "The diagonal is no error: leave it out above the line, too.",
                lambda c, g: _within(c, g, errors=False),
            ),
            (
                "You divided by all images; the question is about errors.",
                lambda c, g: _within(c, g, of=lambda c: c.sum()),
            ),
            (
                "You divided by the images that are right; the question is about errors.",
                lambda c, g: _within(c, g, of=np.trace),
            ),
            (
                "That is the share of errors that leave the genus; the question is how many stay "
                "inside.",
                lambda c, g: _within(c, g, flip=True),
            ),
            (
                "You counted the upper half alone; a confusion matrix is not symmetric.",
                lambda c, g: _within(c, g, triangle=np.triu),
            ),
            (
                "You counted the lower half alone; a confusion matrix is not symmetric.",
                lambda c, g: _within(c, g, triangle=np.tril),
            ),
            (
                "The number of errors, not of kinds of errors: add up the counts.",
                lambda c, g: _within((np.asarray(c) > 0) * 1, g),
            ),
            (
                "Genera need not lie side by side: compare the genus of row and column.",
                lambda c, g: _within(
                    c,
                    [sum(a != b for a, b in zip(g[: i + 1], g[1 : i + 1])) for i in range(len(g))],
                ),
            ),
            (
                "That is the number of errors inside; divide by all errors.",
                lambda c, g: _within(c, g, of=lambda c: 1.0),
            ),
        ],
        describe=lambda c, g: f"a confusion matrix of {len(c)} classes, genera {list(g)}",
        form="one number",
        hint="Of the counts off the diagonal, the share whose row and column are of one genus; 0 "
        "if there are none.",
        tolerance=1e-6,
    )


def _count(spread, difference, quantile, start=2, root=np.sqrt):
    enough = (n for n in range(start, 5000) if quantile(n) * spread / root(n) < difference)
    return next(enough, 5000)


def _t(n):
    return stats.t.ppf(0.975, n - 1)


@exercise("Exercise 15.4", answer="seeds_needed", points=2)
def check_seeds_needed(answer):
    """Large and small differences, from two seeds to some hundred."""
    cases = [(1.0, 1.0), (1.0, 0.5), (0.5, 1.0), (2.0, 0.5), (1.0, 20.0), (3.0, 0.4), (0.1, 1.0)]
    cases += [(1.0, 9.0), (1.0, 8.9)]
    cases += [(draw.integer(5, 30) / 10, draw.integer(5, 30) / 20) for _ in range(4)]
    compare(
        answer,
        lambda s, d: _count(s, d, _t),
        cases,
        [
            (
                "You used 1.96 for every n. With few seeds the t quantile is larger: 12.7 for two, "
                "2.8 for five.",
                lambda s, d: _count(s, d, lambda n: 1.96),
            ),
            (
                "With n seeds the quantile has n - 1 degrees of freedom, not n.",
                lambda s, d: _count(s, d, lambda n: stats.t.ppf(0.975, n)),
            ),
            (
                "95 % in the middle leave 2.5 % on each side: ppf(0.975).",
                lambda s, d: _count(s, d, lambda n: stats.t.ppf(0.95, n - 1)),
            ),
            (
                "One too few: the interval of your n is not yet narrow enough.",
                lambda s, d: _count(s, d, _t) - 1,
            ),
            (
                "One too many: fewer seeds do.",
                lambda s, d: _count(s, d, _t) + 1,
            ),
            (
                "The uncertainty of a mean falls with the ROOT of n.",
                lambda s, d: _count(s, d, _t, root=float),
            ),
            (
                "`difference` is half the width: the interval goes to each side.",
                lambda s, d: _count(s, d / 2, _t),
            ),
            (
                "`difference` is to each side, not the whole width.",
                lambda s, d: _count(s, d * 2, _t),
            ),
            (
                "Two seeds are the fewest, but they are enough where the difference is large.",
                lambda s, d: _count(s, d, _t, start=3),
            ),
            (
                "The spread is a standard deviation already; do not square it.",
                lambda s, d: _count(s * s, d, _t),
            ),
            (
                "The quantile depends on n, so the formula with one fixed quantile does not do.",
                lambda s, d: int(np.ceil((1.96 * s / d) ** 2)),
            ),
            (
                "A quantile of 2.776 is for five seeds; it depends on n.",
                lambda s, d: _count(s, d, lambda n: stats.t.ppf(0.975, 4)),
            ),
        ],
        describe=lambda s, d: f"seeds for a spread of {s} and a difference of {d}",
        form="an integer",
        hint="Try n = 2, 3, ... and stop at the first n with t.ppf(0.975, n - 1) * spread / "
        "sqrt(n) < difference.",
        integers=True,
    )
