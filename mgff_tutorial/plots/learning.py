"""Losses that fall while the reader watches."""

import numpy as np

from .style import GREY, PALETTE, plt


def draw_learning(curves, floors=None, ylabel="loss", smooth=5, ax=None):
    """Losses by update, one line per model; dashed lines where they can't go any lower.

    Args:
        curves: dict name -> list of losses. floors: dict name -> loss that was expected, or None.
        smooth: each point is the mean of that many updates.
        ax: where to draw; a new figure if None.

    Returns:
        the axes.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
    for (name, losses), colour in zip(curves.items(), PALETTE):
        mean = np.convolve(losses, np.ones(smooth) / smooth, mode="valid")
        ax.plot(np.arange(len(mean)) + smooth // 2, mean, color=colour, label=name, linewidth=2)
        if floors and name in floors:
            ax.axhline(floors[name], color=colour, linewidth=1, linestyle="--")
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set(xlabel="update", ylabel=ylabel)
    ax.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax


def draw_learned_table(table, wanted, losses):
    """A learned bias table beside the losses of the layers that were compared.

    Args:
        table: (2 Wh - 1, 2 Ww - 1) values. wanted: (dy, dx), the displacement that solves the task.
        losses: as the curves of `draw_learning`.

    Returns:
        the matplotlib figure.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9.6, 3.1), layout="constrained", width_ratios=[1, 1.35]
    )
    high, wide = (side // 2 for side in np.shape(table))
    shown = left.imshow(
        np.asarray(table), cmap="magma", extent=(-wide - 0.5, wide + 0.5, high + 0.5, -high - 0.5)
    )
    left.plot(
        wanted[1],
        wanted[0],
        marker="s",
        markersize=15,
        markerfacecolor="none",
        markeredgecolor="#35c4ff",
        markeredgewidth=2,
    )
    left.set(
        title="the learned table",
        xlabel="query column - key column",
        ylabel="query row - key row",
        xticks=range(1 - wide, wide, 2),
        yticks=range(1 - high, high, 2),
    )
    figure.colorbar(shown, ax=left, shrink=0.85, label="added to the score")
    draw_learning(losses, ylabel="share of the variance missed", ax=right)
    right.set(ylim=(-0.03, 1.1))
    right.legend(frameon=False, fontsize=9, loc="center right")
    return figure


def draw_found(
    grids,
    losses,
    floors=None,
    ylabel="loss",
    marks=(),
    label="",
    axes=("", ""),
    ticks=(),
    smooth=15,
):
    """What was hidden beside what was learned, on one scale from dark to bright, and the losses.

    Args:
        grids: dict title -> (h, w) values. losses, floors, ylabel, smooth: as for `draw_learning`.
        marks: (row, column) of places to mark in every grid. label: of the colour bar.
        axes: what columns and rows are. ticks: names of each column and of each row.

    Returns:
        the matplotlib figure.
    """
    grids = {title: np.asarray(values, dtype=float) for title, values in grids.items()}
    figure = plt.figure(figsize=(2.5 * len(grids) + 4.6, 3.1), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[2.5 * len(grids), 4.6])
    low, high = min(map(np.min, grids.values())), max(map(np.max, grids.values()))
    panels = left.subplots(1, len(grids), squeeze=False)[0]
    for ax, (title, values) in zip(panels, grids.items()):
        shown = ax.imshow(values, cmap="magma", vmin=low, vmax=high)
        for row, column in marks:
            ax.plot(column, row, "s", color="#35c4ff", markersize=11, fillstyle="none", mew=2)
        ax.set(title=title, xlabel=axes[0], ylabel=axes[1], xticks=[], yticks=[])
        if ticks:
            ax.set_xticks(range(len(ticks[0])), ticks[0])
            ax.set_yticks(range(len(ticks[1])), ticks[1] if ax is panels[0] else [])
            ax.tick_params(length=0)
    left.colorbar(shown, ax=panels, shrink=0.75, label=label)
    ax = draw_learning(losses, floors, ylabel, smooth, ax=right.subplots())
    ax.set_ylim(-0.03 * max(map(max, losses.values())), None)
    ax.get_legend().remove()
    right.legend(frameon=False, fontsize=9, loc="outside upper center", ncols=len(losses))
    return figure
