"""Figures of notebook 04: the pyramid of maps, what one token sees, and stochastic depth."""

import numpy as np

from .style import GREY, PALETTE, panels, plt, show_image


def draw_pyramid(image, shapes, labels, title):
    """Maps as slabs: the side shows the grid, the thickness the channels, with their live shapes.

    Args:
        image: PIL image, drawn first. shapes: list of (H, W, C). labels: what made each map.
    """
    figure, ax = plt.subplots(figsize=(10, 3.4), layout="constrained")
    largest = shapes[0][0]
    ax.imshow(np.asarray(image), extent=(0, 1.0, -0.5, 0.5), zorder=2)
    ax.text(0.5, -0.62, "image", ha="center", va="top", fontsize=9)
    x = 1.3
    for (height, width, channels), label, colour in zip(shapes, labels, [GREY, *PALETTE]):
        side = max(0.12, height / largest)
        slabs = round(4 * (channels / shapes[0][2]) ** 0.55)
        depth = 0.03 * (slabs - 1)
        for k in np.linspace(0, depth, slabs)[::-1]:
            ax.add_patch(
                plt.Rectangle(
                    (x + k, -side / 2 + k),
                    side * 0.8,
                    side,
                    facecolor=colour,
                    edgecolor="white",
                    linewidth=0.8,
                )
            )
        ax.text(x + side * 0.4, -0.62, label, ha="center", va="top", fontsize=9)
        ax.text(
            x + side * 0.4 + depth / 2,
            side / 2 + depth + 0.05,
            f"{height} x {width} x {channels}",
            ha="center",
            fontsize=9,
        )
        x += max(0.95, side * 0.8 + depth + 0.35)
    ax.set(xlim=(-0.05, x - 0.2), ylim=(-0.85, 0.98), aspect="equal", title=title)
    ax.axis("off")
    return figure


def draw_receptive_fields(image, fields, titles):
    """The picture, bright where a token of each map can see it, dark where not a single pixel
    matters.

    Args:
        image: PIL image. fields: list of (H, W) arrays, above 0 where a pixel has an influence.
    """
    figure, axes = panels(len(fields), size=2.55)
    pixels = np.asarray(image).astype(float)
    for ax, field, title in zip(axes, fields, titles):
        seen = (np.asarray(field) > 0)[..., None]
        show_image(ax, np.where(seen, pixels, 0.22 * pixels + 20).astype(np.uint8), title)
    return figure


def draw_drop_rates(rates, depths):
    """The probability of skipping each block, coloured by stage."""
    figure, ax = plt.subplots(figsize=(7, 2.4), layout="constrained")
    stage = np.repeat(np.arange(len(depths)), depths)
    ax.bar(range(1, len(rates) + 1), rates, color=[PALETTE[s] for s in stage])
    ax.set(xlabel="block", ylabel="probability of a skip", xticks=range(1, len(rates) + 1))
    ax.legend(
        [plt.Rectangle((0, 0), 1, 1, color=PALETTE[s]) for s in range(len(depths))],
        [f"stage {s + 1}" for s in range(len(depths))],
        ncols=len(depths),
        fontsize=8,
        frameon=False,
        loc="upper left",
    )
    return figure
