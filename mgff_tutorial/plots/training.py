"""Figures of notebooks 14 and 16: momentum, learning rates, views of one image, curves, and how
choosing misleads.
"""

import numpy as np

from ..training.runs import draw_curves
from . import crops
from .style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, bare, panels, plt


def draw_momentum(paths):
    """Ways down a narrow valley, one panel for each momentum.

    Args:
        paths: dict momentum -> (T, 2) positions on the surface ``x^2 / 20 + y^2``.
    """
    figure, axes = panels(len(paths), size=(3.7, 2.6))
    for ax, (momentum, path) in zip(axes, paths.items()):
        draw_way(ax, np.asarray(path), f"momentum {momentum}")
        ax.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def draw_way(ax, path, title):
    """Positions (T, 2) on the surface ``x^2 / 20 + y^2``, with its contours."""
    x, y = np.meshgrid(np.linspace(-10.5, 10.5, 80), np.linspace(-3.2, 3.2, 60))
    ax.contour(x, y, x**2 / 20 + y**2, levels=10, colors="#d5d8dc", linewidths=0.8)
    ax.plot(*path.T, "-o", color=BLUE, markersize=2.5, linewidth=1)
    ax.plot(*path[0], "o", color=GREY, label="start")
    ax.plot(*path[-1], "o", color=RED, label=f"after {len(path) - 1} updates")
    bare(ax, title=title, xlim=(-10.5, 10.5), ylim=(-3.2, 3.2))


def draw_rates(rates):
    """Learning rates over the run.

    Args:
        rates: dict name -> list of (epoch, learning rate) pairs.
    """
    figure, (linear, logarithmic) = panels(2, size=(5.2, 2.8))
    for (name, pairs), colour in zip(rates.items(), (BLUE, ORANGE, GREEN, PURPLE)):
        epochs, values = np.array(pairs).T
        linear.plot(epochs, values / values.max(), color=colour, label=name)
        logarithmic.semilogy(epochs, values.clip(1e-8), color=colour, label=name)
    linear.set(title="shape: share of the peak", xlabel="epoch", ylim=(0, 1.05))
    linear.legend(frameon=False, fontsize=8, loc="upper right")
    logarithmic.set(title="size: learning rate", xlabel="epoch", ylim=(1e-7, 2e-3))
    return figure


def draw_views(original, views, titles=None):
    """One picture and what training makes of it.

    Args:
        original: PIL image.
        views: (N, 3, S, S) tensor in [0, 1].
        titles: N titles, or None.
    """
    titles = ["the file", *(titles or [""] * len(views))]
    return crops.draw_views([original, *views], titles, size=(1.62, 1.75))


def draw_overfitting(losses, accuracies):
    """Loss and accuracy of the few images that a loop is trained on, by update."""
    figure, (left, right) = panels(2, size=(4.6, 2.6))
    left.semilogy(losses, color=BLUE)
    left.set(title="loss on the eight images", xlabel="update")
    right.plot(accuracies, color=GREEN)
    right.set(title="share named correctly", xlabel="update", ylim=(-0.03, 1.05))
    return figure


def draw_run(records):
    """The curves of a run (see `runs.draw_curves`) in a figure of the notebook."""
    figure = plt.figure(figsize=(11, 3.0), layout="constrained")
    return draw_curves(records, figure)


def draw_class_accuracy(predictions, names, title="accuracy by class"):
    """Bars of each class's accuracy, sorted; the line is the accuracy over all images.

    Args:
        predictions: `Predictions`.
        names: readable class names.
        title: of the figure.
    """
    values = predictions.class_accuracy()
    order = np.argsort(values)
    figure, (ax,) = panels(1, size=(7.2, 0.9 + 0.26 * len(names)))
    ax.barh(range(len(names)), values[order], color=BLUE)
    ax.set_yticks(range(len(names)), [names[i] for i in order])
    ax.axvline(predictions.accuracy, color=ORANGE, linewidth=2)
    ax.set(
        xlim=(0, 1.02),
        xlabel="share of the class's images named correctly",
        title=f"{title} (line: all images, {predictions.accuracy:.0%})",
    )
    return figure
