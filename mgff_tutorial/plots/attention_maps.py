"""Figures of notebooks 06 and 07: where a position looks, and how much each channel counts."""

import numpy as np
from matplotlib.colors import Normalize, PowerNorm

from .style import BLUE, GREY, ORANGE, panels, plt, show_image

HEAT = "magma"


def heat_over(ax, image, values, title, norm):
    """A grid of numbers as a heat map, dark to bright, over a pale grey version of the picture.

    Args:
        image: PIL image. values: (h, w) tensor. norm: what turns numbers into colours.

    Returns:
        the drawn map, for a colour bar.
    """
    width, height = image.size
    grey = np.asarray(image.convert("L").convert("RGB"), dtype=float)
    show_image(ax, (255 - 0.65 * (255 - grey)).astype(np.uint8), title)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    values = values.detach().float().cpu().numpy()
    shown = ax.imshow(values, cmap=HEAT, extent=extent, alpha=0.6, norm=norm)
    ax.set_xlim(extent[:2])
    ax.set_ylim(extent[2:])
    return shown


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
        shown = heat_over(ax, image, weights, title, norm)
        h, w = height / weights.shape[0], width / weights.shape[1]
        ax.add_patch(
            plt.Rectangle(
                (c * w - 0.5, r * h - 0.5), w, h, fill=False, edgecolor="#35c4ff", linewidth=2.5
            )
        )
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
    norm = Normalize(min(m.min().item() for m in maps), max(m.max().item() for m in maps))
    for ax, image, activation, title in zip(axes, images, maps, titles):
        shown = heat_over(ax, image, activation, title, norm)
    colour_bar(figure, shown, axes, "activation of the channel")
    return figure
