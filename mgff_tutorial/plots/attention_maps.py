"""Figures of notebooks 06 and 07: where a position looks, and how much each channel counts."""

import numpy as np
from matplotlib.colors import Normalize, PowerNorm

from .style import BLUE, GREY, ORANGE, as_array, frame, overlay, panels


def draw_attention_rows(image, rows, node, titles, columns=None):
    """One panel for each row of an attention matrix: how much ``node`` takes from each position of
    the grid.

    Args:
        image: PIL image.
        rows: list of (h, w) tensors, each summing to 1.
        node: (row, column) of the position that asks; or one for each panel.
        titles: one for each panel. columns: panels in a row.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(len(rows), columns, size=(2.7, 2.85))
    nodes = node if isinstance(node[0], (tuple, list)) else [node] * len(rows)
    width, height = image.size
    # Square roots show small weights too; twice the even share is the least that fills the scale.
    most = max(max(w.max().item(), 2 / w.numel()) for w in rows)
    norm = PowerNorm(0.5, vmin=0, vmax=most)
    for ax, weights, (r, c), title in zip(axes, rows, nodes, titles):
        shown = overlay(ax, image, weights, title, 0.6, norm=norm)
        h, w = height / weights.shape[0], width / weights.shape[1]
        frame(ax, c * w - 0.5, r * h - 0.5, w, h, "#35c4ff", 2.5)
        ax.set_xlabel(f"largest weight {weights.max().item():.2f}")
    colour_bar(figure, shown, axes, "weight")
    return figure


def colour_bar(figure, shown, axes, label):
    """A colour bar beside a row of panels, its colours as opaque as they are in the panels."""
    bar = figure.colorbar(shown, ax=axes, shrink=0.75, label=label, pad=0.01)
    bar.solids.set_alpha(1)
    return bar


def draw_spread(values, labels):
    """Bars: how different the positions of a map are from each other, before and after an
    attention.

    Args:
        values: numbers from 0 to 1. labels: one for each.

    Returns:
        the matplotlib figure.
    """
    figure, (ax,) = panels(1, size=(6.6, 2.6))
    bars = ax.barh(range(len(values)), values, color=[GREY, *[BLUE] * (len(values) - 1)])
    ax.bar_label(bars, [f" {100 * value:.0f} %" for value in values], fontsize=9)
    ax.set_yticks(range(len(values)), labels)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.2 * max(values)), xticks=[])
    ax.set_xlabel("share of the map that differs from position to position")
    ax.spines["bottom"].set_visible(False)
    return figure


def draw_channel_weights(first, second, names, marked=()):
    """The channel weights of two species, channels sorted by the first; channels that differ most
    are marked.

    Args:
        first, second: (C,) mean weights. names: of the two species. marked: channels to name.

    Returns:
        the matplotlib figure.
    """
    figure, (ax,) = panels(1, size=(8.4, 2.9))
    first, second = map(as_array, (first, second))
    order = np.argsort(first)
    places = np.argsort(order)
    ax.plot(second[order], ".", color=ORANGE, markersize=4, label=names[1])
    ax.plot(first[order], color=BLUE, linewidth=1.8, label=names[0])
    for step, channel in enumerate(sorted(marked, key=lambda c: places[c])):
        x, y = places[channel], second[channel]
        ax.plot([x, x], [first[channel], y], color=GREY, linewidth=1)
        aside = 12 * (step - (len(marked) - 1) / 2)  # neighbours' numbers do not touch
        away = 14 + 14 * step
        ax.annotate(
            f"{channel}",
            (x, y),
            (aside, away if y > first[channel] else -away),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": GREY},
        )
    ax.margins(y=0.18)
    ax.set(xlabel="channels, sorted by the first species", ylabel="weight")
    ax.legend(frameon=False, loc="upper left")
    return figure


def draw_channel_maps(images, maps, titles, columns=None):
    """Pictures with one channel's activation on top: where a channel speaks.

    Args:
        images: list of PIL images. maps: list of (h, w) tensors on one scale. titles: one for each.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(len(images), columns, size=(2.5, 2.65))
    norm = Normalize(min(m.min().item() for m in maps), max(m.max().item() for m in maps))
    for ax, image, activation, title in zip(axes, images, maps, titles):
        shown = overlay(ax, image, activation, title, 0.6, norm=norm)
    colour_bar(figure, shown, axes, "activation of the channel")
    return figure
