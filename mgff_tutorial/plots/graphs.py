"""Figures of notebook 08: a graph of four nodes, adjacencies as heat maps, and where each
super-node looks.
"""

from itertools import combinations, product

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, Normalize

from .attention_maps import colour_bar
from .style import (
    BLUE,
    GREY,
    ORANGE,
    PALETTE,
    as_array,
    draw_lines,
    frame_box,
    overlay,
    panels,
    plt,
)

SOFT = LinearSegmentedColormap.from_list("soft", ["#f4f6fa", "#9dbce0", "#3b6fb6"])


def draw_small_graph(stages, links, titles):
    """A graph of few nodes, side by side with different values in its nodes.

    Args:
        stages: list of (N,) tensors, the values of the nodes. links: (N, N), nonzero where nodes
            are linked.
        titles: one for each panel.

    Returns:
        the matplotlib figure.
    """
    count = len(links)
    figure, axes = panels(len(stages), size=(4.2, 1.5))
    top = max(s.max().item() for s in stages) or 1
    for ax, values, title in zip(axes, stages, titles):
        for i, j in combinations(range(count), 2):
            if links[i, j]:
                bend = "arc3,rad=-0.0" if j == i + 1 else "arc3,rad=-0.5"
                style = {"arrowstyle": "-", "color": GREY, "linewidth": 2, "connectionstyle": bend}
                ax.annotate("", (j, 0), (i, 0), arrowprops=style, zorder=1)
        shades = SOFT(np.clip(values.numpy() / top, 0, 1))
        ax.scatter(
            range(count), [0] * count, s=1100, color=shades, edgecolor=BLUE, linewidth=2, zorder=2
        )
        for i, value in enumerate(values.tolist()):
            dark = value > 0.6 * top
            ax.text(
                i,
                0,
                f"{value:.2f}".rstrip("0").rstrip("."),
                ha="center",
                va="center",
                fontsize=11,
                color="white" if dark else "black",
                zorder=3,
            )
            ax.text(i, -0.62, f"node {i}", ha="center", va="top", fontsize=8, color=GREY)
        ax.set(xlim=(-0.6, count - 0.4), ylim=(-1.0, 0.7), title=title)
        ax.axis("off")
    return figure


def draw_node_layers(grid=(3, 3), granularities=4, node=(1, 1, 1)):
    """The nodes of an image as stacked grids, and the fixed links of one of them.

    Args:
        grid: (H, W). granularities: number of layers. node: (granularity, row, column) whose links
            are drawn.

    Returns:
        the matplotlib figure.
    """
    figure, (ax,) = panels(1, size=(6.4, 4.4))
    height, width = grid

    def place(g, r, c):
        return c + 0.45 * (height - 1 - r), 0.42 * (height - 1 - r) + 1.55 * (granularities - 1 - g)

    g0, r0, c0 = node
    near = [
        (g0, r, c)
        for r in range(height)
        for c in range(width)
        if max(abs(r - r0), abs(c - c0)) == 1
    ]
    near += [(g, r0, c0) for g in range(granularities) if g != g0]
    for g in range(granularities):
        corners = [
            place(g, r, c)
            for r, c in (
                (-0.5, -0.5),
                (-0.5, width - 0.5),
                (height - 0.5, width - 0.5),
                (height - 0.5, -0.5),
            )
        ]
        ax.add_patch(plt.Polygon(corners, facecolor="#eef2f8", edgecolor="#c5d0e0", zorder=g))
        ax.text(
            *np.add(place(g, height - 0.5, -0.5), (-0.12, 0.08)),
            f"granularity {g + 1}",
            ha="right",
            fontsize=9,
            color=GREY,
        )
    for other in near:
        (x0, y0), (x1, y1) = place(*node), place(*other)
        ax.plot([x0, x1], [y0, y1], color=ORANGE, linewidth=1.8, zorder=granularities)
    for one in product(range(granularities), range(height), range(width)):
        ax.plot(
            *place(*one),
            "o",
            markersize=13 if one == node else 8,
            zorder=granularities + 1,
            color=ORANGE if one in (node, *near) else BLUE,
            markeredgecolor="white",
        )
    ax.set_aspect("equal")
    ax.axis("off")
    return figure


def draw_adjacencies(matrices, titles, granularities, centred=False):
    """Adjacency matrices as heat maps: row i is what node i takes from each node j; lines part the
    granularities.

    Args:
        matrices: list of (N, N) tensors. titles: one for each. granularities: number of blocks
            along a side.
        centred: draw 0 in white, negative numbers in orange and positive ones in blue.

    Returns:
        the matplotlib figure.
    """
    figure, axes = panels(len(matrices), size=(4.3, 3.9))
    both = LinearSegmentedColormap.from_list("both", [ORANGE, "#ffffff", BLUE])
    for ax, matrix, title in zip(axes, matrices, titles):
        values = as_array(matrix)
        most = max(abs(values).max(), 1e-9)
        style = (
            {"cmap": both, "vmin": -most, "vmax": most} if centred else {"cmap": SOFT, "vmin": 0}
        )
        shown = ax.imshow(values, **style)
        block = len(values) / granularities
        borders = [g * block - 0.5 for g in range(1, granularities)]
        draw_lines(ax, borders, borders, color=GREY, linewidth=0.8)
        middles = [(g + 0.5) * block - 0.5 for g in range(granularities)]
        names = [f"map {g + 1}" for g in range(granularities)]
        ax.set_xticks(middles, names)
        ax.set_yticks(middles, names, rotation=90, va="center")
        ax.tick_params(length=0)
        ax.set(xlabel="takes from node j", ylabel="node i", title=title)
        figure.colorbar(shown, ax=ax, shrink=0.8)
    return figure


def draw_smoothing(history):
    """Lines: the value of each node after 0, 1, 2, ... applications of the adjacency.

    Args:
        history: (steps, N) tensor.

    Returns:
        the matplotlib figure.
    """
    figure, (ax,) = panels(1, size=(6.0, 2.8))
    for i, series in enumerate(history.T.tolist()):
        ax.plot(series, "o-", color=PALETTE[i % len(PALETTE)], label=f"node {i}", markersize=4)
    ax.set(xlabel="graph convolutions with W = I", ylabel="value of the node")
    ax.set_xticks(range(len(history)))
    figure.legend(frameon=False, loc="outside right upper")
    return figure


def draw_super_nodes(image, shares, grid, granularities, box=None, columns=4, numbers=None):
    """Where each super-node looks: its weights summed over granularities, drawn on the image.

    Args:
        image: PIL image. shares: (N, M) tensor, column m the weights of super-node m, summing to 1.
        grid: (H, W) of the nodes. granularities: N = granularities * H * W.
        box: of the bird, xyxy pixels. columns: panels in a row. numbers: of the super-nodes
            (default 1, 2, ...).

    Returns:
        the matplotlib figure; under each panel the part of the weight that comes from each
        granularity.
    """
    shares = shares.detach().float().cpu().view(granularities, *grid, -1)
    count = shares.shape[-1]
    figure, axes = panels(count, columns, size=(2.7, 3.0))
    places = shares.sum(0)
    # An even share fills half of the scale at most.
    norm = Normalize(0, max(places.max().item(), 2 / places[..., 0].numel()))
    for m, ax in enumerate(axes):
        title = f"super-node {numbers[m] if numbers else m + 1}"
        shown = overlay(ax, image, places[..., m], title, 0.6, norm=norm)
        if box is not None:
            frame_box(ax, box)
        parts = shares[..., m].sum((1, 2)).tolist()
        ax.set_xlabel("maps 1-4: " + " ".join(f"{100 * p:.0f}" for p in parts) + " %", fontsize=9)
    colour_bar(figure, shown, axes, "weight")
    return figure
