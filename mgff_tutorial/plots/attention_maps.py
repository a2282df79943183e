"""Figures of notebooks 06 and 07: where a position looks, and how much each channel counts."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, PowerNorm

from .style import BLUE, GREY, ORANGE, panels, plt, show_image

HEAT = LinearSegmentedColormap.from_list("heat", ["#26303d", "#3b6fb6", "#f2c14e", "#fffbe6"])


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
    grey = np.asarray(image.convert("L").convert("RGB"))
    for ax, weights, (r, c), title in zip(axes, rows, nodes, titles):
        weights = weights.detach().float().cpu().numpy()
        show_image(ax, grey, title)
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        # Square roots show small weights too; twice the even share is the least that fills the
        # scale.
        ax.imshow(
            weights,
            cmap=HEAT,
            extent=extent,
            alpha=0.62,
            norm=PowerNorm(0.5, vmin=0, vmax=max(weights.max(), 2 / weights.size)),
        )
        ax.set_xlim(extent[:2])
        ax.set_ylim(extent[2:])
        h, w = height / weights.shape[0], width / weights.shape[1]
        ax.add_patch(
            plt.Rectangle(
                (c * w - 0.5, r * h - 0.5), w, h, fill=False, edgecolor=ORANGE, linewidth=2.5
            )
        )
        ax.set_xlabel(f"largest weight {weights.max():.2f}")
    return figure


def draw_spread(values, labels):
    """Bars: how different the positions of a map are from each other, before and after an
    attention.

    Args:
        values: numbers from 0 to 1. labels: one for each.

    Returns:
        the matplotlib figure.
    """
    figure, (ax,) = panels(1, size=(6.6, 2.6))
    ax.barh(range(len(values)), values, color=[GREY, *[BLUE] * (len(values) - 1)])
    for i, value in enumerate(values):
        ax.text(value, i, f" {100 * value:.0f} %", va="center", fontsize=9)
    ax.set_yticks(range(len(values)), labels)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.2 * max(values))
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    ax.set_xlabel("share of the map that differs from position to position")
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
    first, second = (t.detach().float().cpu().numpy() for t in (first, second))
    order = np.argsort(first)
    places = np.empty(len(order), dtype=int)
    places[order] = np.arange(len(order))
    ax.plot(second[order], ".", color=ORANGE, markersize=4, label=names[1])
    ax.plot(first[order], color=BLUE, linewidth=1.8, label=names[0])
    for step, channel in enumerate(sorted(marked, key=lambda c: places[c])):
        x, y = places[channel], second[channel]
        ax.plot([x, x], [first[channel], y], color=GREY, linewidth=1)
        away = 14 + 14 * step  # neighbours' numbers at different heights
        ax.annotate(
            f"{channel}",
            (x, y),
            (0, away if y > first[channel] else -away),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": GREY},
        )
    ax.margins(y=0.18)
    ax.set_xlabel("channels, sorted by the first species")
    ax.set_ylabel("weight")
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
    low, high = min(m.min().item() for m in maps), max(m.max().item() for m in maps)
    for ax, image, activation, title in zip(axes, images, maps, titles):
        width, height = image.size
        show_image(ax, np.asarray(image.convert("L").convert("RGB")), title)
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        ax.imshow(
            activation.detach().float().cpu().numpy(),
            cmap=HEAT,
            extent=extent,
            alpha=0.6,
            vmin=low,
            vmax=high,
            interpolation="bilinear",
        )
        ax.set_xlim(extent[:2])
        ax.set_ylim(extent[2:])
    return figure
