"""Figures of notebooks 02 and 03: windows, bias index, regions, masks, and who notices a changed
token.
"""

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.colors import ListedColormap

from .style import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    bare,
    draw_lines,
    name_cells,
    panels,
    plt,
    show_image,
    write_cells,
)

# Nine soft colours, one for each region that a shift can make; neighbours differ clearly.
REGIONS = [
    "#9ec5e8",
    "#f6c28b",
    "#a9d6ac",
    "#eaa5a5",
    "#cbb8e3",
    "#f3e1a0",
    "#b5ded9",
    "#e9bcd6",
    "#c9c9c9",
]
_RGB = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in REGIONS])
FORBIDDEN = "#3a3d44"
_OUTLINE = [effects.withStroke(linewidth=2.5, foreground="white")]


def _borders(ax, shape, window, offset=(0, 0), colour="black", width=2.2):
    """Lines between windows whose first border lies at ``offset``; the frame of the grid as
    well.
    """
    ends = [
        [n - 0.5 for n in {0, side, *range(first, side, step)}]
        for side, first, step in zip(shape, offset, window)
    ]
    draw_lines(ax, *ends, color=colour, linewidth=width, clip_on=False)


def draw_numbered_grids(grids, colours, titles, windows, offsets=None):
    """Grids of token numbers, coloured by group, with the borders of windows.

    Args:
        grids: (H, W) integer arrays to print. colours: (H, W) arrays of 0 to 8, one for each grid.
        titles: of the panels. windows: (Wh, Ww).
        offsets: where the first inner border lies in each panel, (0, 0) if None.
    """
    figure, axes = panels(len(grids), size=2.6)
    offsets = offsets or [(0, 0)] * len(grids)
    for ax, numbers, groups, title, offset in zip(axes, grids, colours, titles, offsets):
        ax.imshow(np.asarray(groups), cmap=ListedColormap(REGIONS), vmin=-0.5, vmax=8.5)
        write_cells(ax, numbers, size=11)
        bare(ax, title=title)
        _borders(ax, np.shape(numbers), windows, offset)
    return figure


def draw_windows_on(image, windows):
    """A picture, its windows in colours, and a few windows cut out.

    Args:
        image: square PIL image. windows: how many windows along each side.
    """
    pixels = np.asarray(image)
    side = pixels.shape[0] // windows
    numbers = np.arange(windows * windows).reshape(windows, windows)
    tint = np.kron(numbers % len(REGIONS), np.ones((side, side), int))
    figure = plt.figure(figsize=(9.5, 3.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.9, 1])
    first, second = left.subplots(1, 2)
    show_image(first, image, "the map")
    mixed = (0.55 * pixels + 0.45 * _RGB[tint]).astype(np.uint8)
    show_image(second, mixed, f"{windows * windows} windows")
    cells = right.subplots(windows, windows)
    for (r, c), number in np.ndenumerate(numbers):
        second.text(
            (c + 0.5) * side,
            (r + 0.5) * side,
            number,
            ha="center",
            va="center",
            fontsize=12,
            path_effects=_OUTLINE,
        )
        piece = pixels[r * side : (r + 1) * side, c * side : (c + 1) * side]
        show_image(cells[r, c], piece)
        cells[r, c].set_title(number, fontsize=8, pad=2)
    right.suptitle("each attends to itself only", fontsize=11)
    return figure


def draw_bias_index(window, index, named=None):
    """The tokens of a window beside the matrix that says which row of the bias table each pair
    reads.

    Args:
        window: (Wh, Ww). index: (N, N) integers. named: size of the numbers, None to leave them
            out.
    """
    tokens = np.arange(window[0] * window[1]).reshape(window)
    figure, axes = panels(2, size=(3.4, 3.1))
    axes[0].imshow(np.zeros(window), cmap=ListedColormap(["#eef2f8"]))
    write_cells(axes[0], tokens, size=12 if tokens.size < 10 else 9)
    _borders(axes[0], window, (1, 1), colour="white", width=1.5)
    shown = axes[1].imshow(index, cmap="viridis")
    if named:
        style = {
            "fontweight": "bold",
            "path_effects": [effects.withStroke(linewidth=2, foreground="black")],
        }
        write_cells(axes[1], index, colour=lambda row: "white", size=named, **style)
    axes[1].set(title="row of the table for each pair", xlabel="key", ylabel="query")
    step = 1 if tokens.size < 10 else window[1]
    axes[1].set_xticks(range(0, tokens.size, step)), axes[1].set_yticks(range(0, tokens.size, step))
    bare(axes[0], title="tokens of the window")
    figure.colorbar(shown, ax=axes[1], shrink=0.85, label="row of the table")
    return figure


def draw_bias_of_queries(table, bias, window, queries):
    """A bias table as a picture of displacements, and what it adds to the keys of some queries.

    Args:
        table: (2 Wh - 1, 2 Ww - 1) values. bias: (N, N), its gathered form. queries: token numbers.
    """
    figure, axes = panels(1 + len(queries), size=(2.5, 2.7))
    limit = float(np.abs(table).max())
    style = dict(cmap="RdBu_r", vmin=-limit, vmax=limit)
    (wh, ww) = window
    axes[0].imshow(table, extent=(-ww + 0.5, ww - 0.5, wh - 0.5, -wh + 0.5), **style)
    axes[0].set(title="the table", xlabel="query column - key column", ylabel="query row - key row")
    for ax, query in zip(axes[1:], queries):
        shown = ax.imshow(np.asarray(bias)[query].reshape(window), **style)
        ax.plot(
            query % ww,
            query // ww,
            marker="o",
            markersize=9,
            markerfacecolor="none",
            markeredgecolor="black",
            markeredgewidth=2,
        )
        bare(ax, title=f"query {query}")
    figure.colorbar(shown, ax=axes, shrink=0.8, label="added to the score")
    return figure


def _pairs(ax, allowed, colours):
    """Allowed pairs in the colours of their queries (N,), forbidden ones dark."""
    ax.imshow(
        np.where(allowed, colours[:, None], -1),
        cmap=ListedColormap([FORBIDDEN, *REGIONS]),
        vmin=-1.5,
        vmax=8.5,
    )


def draw_masks(masks, names, regions, titles, labels=True):
    """Masks of windows as squares: which query (row) may look at which key (column).

    Args:
        masks: (n, N, N), 0 where looking is allowed. names: (n, N) labels of the tokens of each
            window.
        regions: (n, N) region numbers 0 to 8, which colour the allowed squares. titles: n.
        labels: write the token names beside rows and columns.
    """
    figure, axes = panels(len(masks), size=(2.5, 2.7))
    for i, ax in enumerate(axes):
        allowed = np.asarray(masks[i]) == 0
        _pairs(ax, allowed, np.asarray(regions[i]))
        if labels:
            name_cells(ax, names[i], fontsize=9)
            ax.set_xticks(np.arange(len(allowed) + 1) - 0.5, minor=True)
            ax.set_yticks(np.arange(len(allowed) + 1) - 0.5, minor=True)
            ax.grid(which="minor", color="white", linewidth=1.5)
            ax.tick_params(which="both", length=0)
            write_cells(
                ax,
                np.where(allowed, "0", r"$-\infty$"),
                colour=lambda text: "black" if text == "0" else "white",
            )
        else:
            bare(ax)
        ax.set_xlabel("key", fontsize=9), ax.set_ylabel("query", fontsize=9)
        ax.set_title(titles[i], fontsize=10)
    return figure


def draw_regions_on(image, regions, window, shift):
    """A picture in its own place and shifted cyclically, with the regions and the windows of the
    shifted map.

    Args:
        image: square PIL image. regions: (H, W) region numbers of the shifted map. window, shift:
            in tokens.
    """
    pixels = np.asarray(image)
    height, width = regions.shape
    token = pixels.shape[0] // height
    moved = np.roll(pixels, (-shift[0] * token, -shift[1] * token), axis=(0, 1))
    back = np.roll(np.asarray(regions), shift, axis=(0, 1))
    figure, axes = panels(3, size=3.15)
    show_image(axes[0], image, "the map, where the new windows lie")
    draw_lines(axes[0], *_ends(shift, regions.shape, window, token), color=ORANGE, linewidth=2)
    for ax, picture, numbers, title in (
        (axes[1], pixels, back, "its regions"),
        (axes[2], moved, regions, "after the cyclic shift"),
    ):
        large = np.kron(np.asarray(numbers), np.ones((token, token), int))
        show_image(ax, (0.45 * picture + 0.55 * _RGB[large]).astype(np.uint8), title)
        for number in np.unique(numbers):
            r, c = np.argwhere(np.asarray(numbers) == number).mean(0)
            ax.text(
                (c + 0.5) * token,
                (r + 0.5) * token,
                number,
                ha="center",
                va="center",
                fontsize=13,
                path_effects=_OUTLINE,
            )
    whole = _ends((0, 0), (height + 1, width + 1), window, token)
    draw_lines(axes[2], *whole, color="black", linewidth=1.5)
    return figure


def _ends(first, shape, window, token):
    """Heights and places in pixels where windows meet, the first borders at ``first`` tokens."""
    return [
        [token * n - 0.5 for n in range(start, end, step)]
        for start, end, step in zip(first, shape, window)
    ]


def draw_pair_matrices(matrices, titles, regions):
    """(N, N) boolean matrices side by side: who may look at whom, tokens in their order on the map.

    Args:
        matrices: True where looking is allowed. regions: (N,) numbers 0 to 8 that colour the
            queries.
    """
    figure, axes = panels(len(matrices), size=(3.6, 3.7))
    for ax, matrix, title in zip(axes, matrices, titles):
        _pairs(ax, np.asarray(matrix), np.asarray(regions))
        ax.set(title=title, xlabel="key", ylabel="query")
        name_cells(ax, range(len(matrix)), fontsize=7)
    return figure


def draw_influence(changes, token, titles, window, offsets):
    """Maps of how much each output moved when one token was changed; white where it did not move at
    all.

    Args:
        changes: (H, W) arrays, 0 for no change. token: (row, column) that was changed.
        window: (Wh, Ww) to draw borders of; offsets: first inner border in each panel.
    """
    figure, axes = panels(len(changes), size=(2.7, 2.8))
    for ax, change, title, offset in zip(axes, changes, titles, offsets):
        change = np.asarray(change, float)
        moved = change > 0
        ax.imshow(np.where(moved, 1, 0), cmap=ListedColormap(["#f4f5f7", BLUE]), vmin=0, vmax=1)
        ax.plot(
            token[1],
            token[0],
            marker="*",
            markersize=13,
            color=ORANGE,
            markeredgecolor="black",
            linestyle="none",
        )
        _borders(ax, change.shape, window, offset, colour=GREY, width=1.5)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel(f"{int(moved.sum())} tokens notice", fontsize=9)
        bare(ax)
    return figure


def draw_weights(weights, titles, names):
    """Small attention matrices with their numbers: rows are queries and sum to 1."""
    figure, axes = panels(len(weights), size=(3.4, 3.2))
    for ax, matrix, title in zip(axes, weights, titles):
        matrix = np.asarray(matrix)
        ax.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
        write_cells(
            ax, matrix, "{:.2f}", lambda v: "white" if v > 0.6 else (RED if v == 0 else "black")
        )
        name_cells(ax, names, fontsize=9)
        ax.set(title=title, xlabel="key", ylabel="query")
    return figure
