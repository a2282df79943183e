"""Figures of a report on one's own data: who is taken for whom, how far the confidence can be
believed, and whether more pictures would help.
"""

import numpy as np

from .style import BLUE, GREY, ORANGE, draw_whiskers, plt, write_cells


def draw_confusion(confusion, classes):
    """A (K, K) matrix of counts, rows true, columns named; numbers are written where K is small."""
    confusion = np.asarray(confusion)
    side = min(9, 2.6 + 0.32 * len(classes))
    figure, ax = plt.subplots(figsize=(side + 1, side), layout="constrained")
    ax.imshow(confusion, cmap="Blues")
    places = range(len(classes))
    ax.set_xticks(places, classes, rotation=45, ha="right", fontsize=8)
    ax.set_yticks(places, classes, fontsize=8)
    if len(classes) <= 20:
        dark = confusion.max() / 2
        cells = np.where(confusion > 0, confusion.astype(str), "")
        write_cells(
            ax, cells, colour=lambda n: "white" if float(n or 0) > dark else "black", size=8
        )
    ax.set(xlabel="named", ylabel="true")
    return figure


def draw_calibration(predictions, softened, groups=5):
    """Confidence against share of right answers, before and after a temperature.

    Args:
        predictions: `Predictions`. softened: (N, K), the same with a temperature.
        groups: of equally many images.
    """
    figure, ax = plt.subplots(figsize=(4.4, 3.6), layout="constrained")
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    right = predictions.predicted == predictions.labels
    for values, name, colour in (
        (predictions.probabilities, "as it is", ORANGE),
        (softened, "with the temperature", BLUE),
    ):
        sure = np.asarray(values).max(1)
        parts = np.array_split(np.argsort(sure), min(groups, len(sure)))
        ax.plot(
            [sure[part].mean() for part in parts],
            [right[part].mean() for part in parts],
            "o-",
            color=colour,
            label=name,
        )
    ax.set(xlabel="confidence", ylabel="share right", xlim=(0, 1.02), ylim=(-0.02, 1.05))
    ax.legend(frameon=False, loc="lower right")
    return figure


def draw_learning(shares, accuracies, count):
    """Test accuracy on ``count`` images against the share of the training images, with 95 %
    intervals.
    """
    from ..experiments.intervals import wilson_interval

    found = [wilson_interval(round(value * count), count) for value in accuracies]
    figure, ax = plt.subplots(figsize=(4.4, 3.2), layout="constrained")
    draw_whiskers(ax, shares, found, fmt="o-", color=BLUE, capsize=3)
    ax.set(xlabel="share of the training images", ylabel="test accuracy", ylim=(0, 1.02))
    ax.set_xticks(list(shares), [f"{share:.0%}" for share in shares])
    return figure
