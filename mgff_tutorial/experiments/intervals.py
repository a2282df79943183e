"""How far a number can be trusted: intervals over seeds, over images, and for differences."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..support.errors import InputError


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval and what it was taken over."""

    mean: float
    low: float
    high: float
    count: int

    def __str__(self):
        half = 100 * (self.high - self.low) / 2
        return f"{100 * self.mean:.1f}" + (f" ± {half:.1f}" if half < np.inf else "")


def t_interval(values, level=0.95):
    """Mean and t-interval over independent runs (seeds); a single run has an interval without end.

    Args:
        values: one number a seed.

    Returns:
        `Estimate`; ``low`` and ``high`` are infinite for one value.
    """
    values = np.asarray(values, dtype=np.float64).ravel()
    if values.size == 0 or not np.isfinite(values).all():
        raise InputError(f"values must be one finite number or more, got {values.tolist()}.")
    mean, count = float(values.mean()), values.size
    if count == 1:
        return Estimate(mean, -np.inf, np.inf, 1)
    error = stats.sem(values)  # without any spread scipy has no interval
    low, high = stats.t.interval(level, count - 1, mean, error) if error else (mean, mean)
    return Estimate(mean, float(low), float(high), count)


def wilson_interval(hits, n, level=0.95):
    """Share ``hits / n`` with Wilson's interval, which stays inside 0 to 1 and works for 0 hits and
    for few images.
    """
    if not (n >= 1 and 0 <= hits <= n):
        raise InputError(f"hits must lie between 0 and n with n >= 1, got {hits} of {n}.")
    interval = stats.binomtest(int(hits), int(n)).proportion_ci(level, method="wilson")
    return Estimate(hits / n, float(interval.low), float(interval.high), int(n))


def paired_bootstrap(first, second, rounds=2000, level=0.95, seed=0):
    """Difference of two accuracies on the same images and seeds, resampling both.

    A t-interval over seeds says how far the training noise carries; it does not know that other
    test images could have been drawn. Resampling seeds and images together covers both.

    Args:
        first, second: boolean arrays (seeds, images), right or wrong, rows and columns in the same
            order.

    Returns:
        `Estimate` of ``first - second``, with the percentile interval.
    """
    first, second = np.atleast_2d(first).astype(float), np.atleast_2d(second).astype(float)
    if first.shape != second.shape or first.size == 0:
        raise InputError(
            "first and second must be (seeds, images) of equal shape, "
            f"got {first.shape} and {second.shape}."
        )
    difference, generator = first - second, np.random.default_rng(seed)
    seeds, images = difference.shape
    drawn = [
        difference[generator.integers(seeds, size=seeds)]
        .mean(0)[generator.integers(images, size=images)]
        .mean()
        for _ in range(rounds)
    ]
    low, high = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2])
    return Estimate(float(difference.mean()), float(low), float(high), seeds)


def resampled_difference(blocks, by_class=False, rounds=10_000, level=0.95, seed=0):
    """Mean of paired differences over several measurements, resampling all that chance decided.

    Each round draws the seeds of every block anew, and its test images; blocks of the same images
    share their draw.

    Args:
        blocks: list of (differences (seeds, images), labels (images,)), one for each file; blocks
            with equal labels hold the same images. Every image weighs the same.
        by_class: draw classes, each with all its images, instead of images: for few species.

    Returns:
        (`Estimate` with the percentile interval, two-sided p-value of no difference).
    """
    generator, drawn, total, mean = np.random.default_rng(seed), {}, 0.0, 0.0
    for difference, labels in blocks:
        if labels.tobytes() not in drawn:
            units = (
                np.unique(labels, return_inverse=True)[1] if by_class else np.arange(len(labels))
            )
            count = units.max() + 1
            weights = generator.multinomial(count, np.full(count, 1 / count), rounds)[:, units]
            drawn[labels.tobytes()] = weights / weights.sum(1, keepdims=True)
        runs = len(difference)
        seeds = generator.multinomial(runs, np.full(runs, 1 / runs), rounds) / runs
        share = len(labels) / sum(len(labels) for _, labels in blocks)
        total = total + share * (seeds @ difference * drawn[labels.tobytes()]).sum(1)
        mean += share * float(difference.mean())
    low, high = np.quantile(total, [0.5 - level / 2, 0.5 + level / 2])
    p = 2 * (1 + min((total <= 0).sum(), (total >= 0).sum())) / (rounds + 1)
    return Estimate(mean, float(low), float(high), len(blocks)), min(1.0, float(p))


def holm(p_values):
    """Holm's correction: p-values, each as if it were the only one; in the given order."""
    p_values = np.asarray(p_values, dtype=float)
    order = p_values.argsort()
    raised = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    return np.minimum(raised, 1.0)[order.argsort()]
