"""Figures of notebook 05: four grids on one image, and what one position of each map depends on."""

import numpy as np

from .style import (
    BLUE,
    GREY,
    ORANGE,
    as_array,
    draw_arrow,
    draw_lines,
    frame,
    panels,
    plt,
    show_image,
)


def draw_grids(image, grids, node=(1, 1)):
    """One panel for each map: its grid over the image, and the cells that end in one node of the
    last map.

    Args:
        image: PIL image, square or not.
        grids: (H, W) of each map, the last one being the grid of the nodes.
        node: (row, column) of the node.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(len(grids), size=(2.7, 2.9))
    width, height = image.size
    rows, columns = grids[-1]
    cell = height / rows, width / columns
    for ax, grid in zip(axes, grids):
        inside = _share(grid[0], rows, node[0]) * _share(grid[1], columns, node[1])
        show_image(ax, image, f"{grid[0]} x {grid[1]}")
        across = [i * height / grid[0] - 0.5 for i in range(1, grid[0])]
        down = [j * width / grid[1] - 0.5 for j in range(1, grid[1])]
        draw_lines(ax, across, down, color="white", linewidth=0.7, alpha=0.8)
        corner = (node[1] * cell[1] - 0.5, node[0] * cell[0] - 0.5)
        ax.add_patch(plt.Rectangle(corner, cell[1], cell[0], facecolor=ORANGE, alpha=0.25))
        frame(ax, *corner, cell[1], cell[0], linewidth=2.5)
        ax.set_xlabel(f"the node takes in {inside} cell{'s' if inside > 1 else ''}")
    return figure


def _share(cells, nodes, index):
    """How many of ``cells`` along one side fall to node ``index`` of ``nodes``."""
    kernel = -(-cells // nodes)
    return min(kernel, cells - index * kernel)


def draw_receptive_fields(image, fields, places, titles):
    """What one position of each map depends on: the image, dimmed where its gradient is exactly
    zero.

    Args:
        image: PIL image or (3, H, W) tensor in [0, 1].
        fields: list of (H, W) tensors, the size of the gradient at each pixel.
        places: list of (x, y) pixels, the centre of each position.
        titles: one for each panel.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(len(fields), size=(2.7, 2.9))
    for ax, field, (x, y), title in zip(axes, fields, places, titles):
        field = as_array(field)
        show_image(ax, image, title)
        shade = np.ones((*field.shape, 4))
        shade[..., 3] = np.where(field > 0, 0.0, 0.75)
        ax.imshow(shade)
        ax.plot(x, y, "o", color=ORANGE, markersize=8, markeredgecolor="white", markeredgewidth=1.5)
        ax.set_xlabel(f"{100 * (field > 0).mean():.0f} % of the pixels")
    return figure


def draw_loudness(deviations, labels, names):
    """Bars: the standard deviation of each granularity's nodes, before and after the norm.

    Args:
        deviations: list of series, each a list of numbers, one a granularity.
        labels: name of each series. names: name of each granularity.

    Returns:
        the matplotlib figure.
    """
    figure, (ax,) = panels(1, size=(6.4, 3.0))
    width = 0.8 / len(deviations)
    for i, (series, label, colour) in enumerate(zip(deviations, labels, (BLUE, ORANGE))):
        places = np.arange(len(series)) + (i - (len(deviations) - 1) / 2) * width
        bars = ax.bar(places, series, width * 0.92, label=label, color=colour)
        ax.bar_label(bars, fmt="{:.2f}", fontsize=9)
    ax.set_xticks(range(len(names)), names)
    ax.set_ylabel("standard deviation")
    figure.legend(frameon=False, loc="outside upper center", ncols=2)
    return figure


def draw_taps(shapes):
    """A Swin as a chain of blocks and mergings, and where its four maps are taken out.

    Args:
        shapes: (H, W, C) of the four maps.

    Returns:
        the matplotlib figure.
    """
    figure, (ax,) = panels(1, size=(10.6, 2.3))
    ax.set(xlim=(0, 106), ylim=(0, 24))
    ax.axis("off")
    merged = [name for stage in (1, 2, 3) for name in (f"stage {stage}", "merging")]
    chain = ["image", "patches", *merged, "stage 4", "norm"]
    wide = [8, 10] + [11, 10] * 4
    x, tap = 1.0, 0
    for name, width in zip(chain, wide):
        colour = BLUE if name.startswith("stage") else GREY
        frame(ax, x, 14, width - 2.5, 7, colour, 1.6, fill=True, facecolor="white")
        middle = x + (width - 2.5) / 2
        ax.text(middle, 17.5, name, ha="center", va="center", fontsize=9)
        if name in ("merging", "norm"):
            draw_arrow(ax, (middle, 14), (middle, 7.5), ORANGE, 3, 10)
            text = f"map {tap + 1}\n" + " × ".join(map(str, shapes[tap]))
            ax.text(middle, 6.5, text, ha="center", va="top", fontsize=9, color=ORANGE)
            tap += 1
        if name != "norm":
            draw_arrow(ax, (x + width - 2.5, 17.5), (x + width, 17.5), GREY, 3, 10)
        x += width
    return figure
