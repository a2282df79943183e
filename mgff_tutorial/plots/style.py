"""What all figures share: opaque white ground, one palette, pictures without axes."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = (
    "#3b6fb6",
    "#e08a2b",
    "#4c9a5f",
    "#c94f4f",
    "#8461b5",
    "#8a8f98",
)
PALETTE = [BLUE, ORANGE, GREEN, RED, PURPLE, GREY]

plt.rcParams.update(
    {
        "figure.facecolor": "white",
        "axes.facecolor": "white",
        "savefig.facecolor": "white",
        "savefig.transparent": False,
        "figure.dpi": 100,
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": plt.cycler(color=PALETTE),
        "image.interpolation": "nearest",
    }
)


def panels(count, columns=None, size=2.6, **kwargs):
    """A figure with ``count`` axes in a grid; unused axes are hidden.

    Args:
        count: number of panels.
        columns: panels in a row (all in one row by default).
        size: side of a panel in inches, or (width, height).

    Returns:
        (figure, flat list of ``count`` axes).
    """
    columns = columns or count
    rows = -(-count // columns)
    width, height = size if isinstance(size, tuple) else (size, size)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(width * columns, height * rows + 0.3),
        squeeze=False,
        layout="constrained",
        **kwargs,
    )
    axes = list(axes.flat)
    for ax in axes[count:]:
        ax.set_visible(False)
    return figure, axes[:count]


def bare(ax, **texts):
    """Take ticks and frame away; ``texts`` and limits are set as by `matplotlib.axes.Axes.set`."""
    ax.set(xticks=[], yticks=[], **texts)
    ax.spines[:].set_visible(False)


def show_image(ax, image, title="", box=None, colour=ORANGE, smooth=False):
    """Draw a picture without ticks: PIL image, (H, W, 3) array, or (3, H, W) tensor in [0, 1];
    ``box`` is xyxy pixels. ``smooth`` keeps thin outlines where pixels would be dropped.
    """
    if hasattr(image, "detach"):
        image = image.detach().float().cpu().clamp(0, 1).permute(1, 2, 0).numpy()
    ax.imshow(np.asarray(image), interpolation="antialiased" if smooth else None)
    bare(ax, title=title)
    if box is not None:
        frame_box(ax, box, colour)
    return ax


def overlay(ax, image, weights, title="", alpha=0.55, **style):
    """A grid of weights, dark to bright, over a pale grey version of a PIL image, enlarged to it.

    Args:
        style: of the grid, see `matplotlib.axes.Axes.imshow`.

    Returns:
        the drawn grid, for a colour bar.
    """
    grey = np.asarray(image.convert("L").convert("RGB"), dtype=float)
    pale = (255 - 0.65 * (255 - grey)).astype(np.uint8)  # shows through dark cells
    show_image(ax, pale, title)
    extent = (-0.5, image.width - 0.5, image.height - 0.5, -0.5)
    shown = ax.imshow(as_array(weights), cmap="magma", alpha=alpha, extent=extent, **style)
    ax.set(xlim=extent[:2], ylim=extent[2:])
    return shown


def frame(ax, x, y, width, height, colour=ORANGE, linewidth=2, **style):
    """An empty rectangle from its corner (x, y)."""
    style = {"fill": False, "edgecolor": colour, "linewidth": linewidth, **style}
    ax.add_patch(plt.Rectangle((x, y), width, height, **style))


def frame_box(ax, box, colour=ORANGE, **style):
    """`frame` around a box, xyxy pixels of a picture."""
    x0, y0, x1, y1 = (float(v) for v in box)
    frame(ax, x0 - 0.5, y0 - 0.5, x1 - x0, y1 - y0, colour, **style)


def frame_groups(ax, groups, shift=0.0):
    """A `frame` around the cells of each group in a matrix whose rows and columns stand in groups.

    Args:
        groups: list of the group of each row. shift: of the first cell's corner.
    """
    for group in dict.fromkeys(groups):
        corner, side = groups.index(group) + shift, groups.count(group)
        frame(ax, corner, corner, side, side)


def draw_arrow(ax, start, end, colour, zorder=2, size=9):
    """An arrow between two points, its head ``size`` points long."""
    style = {"arrowstyle": "-|>", "mutation_scale": size, "shrinkA": 0, "shrinkB": 0}
    ax.add_patch(FancyArrowPatch(start, end, color=colour, linewidth=1.4, zorder=zorder, **style))


def draw_lines(ax, heights, places, **style):
    """Horizontal lines at ``heights`` and vertical ones at ``places``."""
    for y in heights:
        ax.axhline(y, **style)
    for x in places:
        ax.axvline(x, **style)


def bounds(estimates, unit=1):
    """Arrays ``low``, ``mean``, ``high`` of `intervals.Estimate`, in units of 1 / ``unit``."""
    return unit * np.array([(e.low, e.mean, e.high) for e in estimates]).T


def draw_whiskers(ax, x, estimates, unit=1, **style):
    """Means of `intervals.Estimate` as points and their intervals as whiskers, in units of
    1 / ``unit``.
    """
    low, mean, high = bounds(estimates, unit)
    lengths = np.maximum([mean - low, high - mean], 0)  # rounded bounds may miss the mean
    ax.errorbar(x, mean, lengths, **{"fmt": "o", **style})


def draw_band(ax, x, estimates, colour, label, unit=1, alpha=0.18, linewidth=1.5):
    """Means of `intervals.Estimate` as a line and their intervals as a band, in units of
    1 / ``unit``.
    """
    low, mean, high = bounds(estimates, unit)
    ax.plot(x, mean, "o-", color=colour, label=label, linewidth=linewidth, markersize=4)
    ax.fill_between(x, low, high, color=colour, alpha=alpha, linewidth=0)


def write_cells(ax, values, text="{}", colour=lambda value: "black", size=9, **style):
    """Each value of a matrix as ``text`` in its cell, in the colour that a function gives it."""
    style = {"ha": "center", "va": "center", "fontsize": size, **style}
    for (row, column), value in np.ndenumerate(np.asarray(values)):
        ax.text(column, row, text.format(value), color=colour(value), **style)


def name_cells(ax, names, **style):
    """Names beside the rows and the columns of a matrix, without tick marks and frame."""
    ax.set_xticks(range(len(names)), names, **style)
    ax.set_yticks(range(len(names)), names, **style)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def as_array(values):
    """Numbers, or a tensor of any kind, as a NumPy array of floats."""
    if hasattr(values, "detach"):
        return values.detach().float().cpu().numpy()
    return np.asarray(values, dtype=float)
