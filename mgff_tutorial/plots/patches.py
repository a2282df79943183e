"""Figures of notebook 01: an image as a strip of tokens, which tokens differ, cells of growing
size.
"""

import numpy as np

from .style import ORANGE, draw_lines, frame, panels, plt, show_image


def _cut(image, patch):
    """(rows, columns, patch, patch, 3) pieces of a picture whose sides are multiples of
    ``patch``.
    """
    pixels = np.asarray(image)
    rows, columns = pixels.shape[0] // patch, pixels.shape[1] // patch
    return pixels.reshape(rows, patch, columns, patch, -1).swapaxes(1, 2)


def _grid(ax, side, cell):
    lines = [line - 0.5 for line in range(0, side + 1, cell)]
    draw_lines(ax, lines, lines, color="white", linewidth=0.6)


def draw_strip(image, patch, row):
    """A picture with its patches, and one row of them laid out as the strip that the model reads.

    Args:
        image: square PIL image. patch: side of a patch in pixels. row: which row of patches becomes
            the strip.

    Returns:
        the matplotlib figure.
    """
    pieces = _cut(image, patch)[row]
    side = image.size[0]
    figure = plt.figure(figsize=(9.5, 4.6), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[3.4, 0.9])
    left, right = top.subplots(1, 2)
    show_image(left, image, f"{side} x {side} pixels")
    show_image(right, image, f"{side // patch} x {side // patch} patches of {patch} x {patch}")
    _grid(right, side, patch)
    frame(right, -0.5, row * patch - 0.5, side, patch, linewidth=2.5)
    for number, ax in enumerate(bottom.subplots(1, len(pieces))):
        show_image(ax, pieces[number])
        ax.set_xlabel(row * len(pieces) + number, fontsize=7)
    bottom.suptitle(
        f"the marked row as a strip of {len(pieces)} tokens, with their numbers", fontsize=10
    )
    return figure


def draw_changed_tokens(first, second, names, changed):
    """Two pictures and the patches in which they differ.

    Args:
        first, second: PIL images of one size. names: their two titles.
        changed: (rows, columns) boolean, True where a patch differs.
    """
    changed = np.asarray(changed)
    figure, axes = panels(3, size=3.1)
    show_image(axes[0], first, names[0])
    show_image(axes[1], second, names[1])
    patch = first.size[0] // changed.shape[1]
    large = np.kron(changed, np.ones((patch, patch)))[..., None]
    shown = np.asarray(second) * (0.25 + 0.75 * large) + 255 * 0.75 * (1 - large) * 0.6
    show_image(
        axes[2],
        shown.clip(0, 255).astype(np.uint8),
        f"{int(changed.sum())} of {changed.size} tokens differ",
    )
    return figure


def draw_cells(image, sides, at):
    """The same picture under grids of cells of growing size, the cell around a point filled: what
    one token stands for.

    Args:
        image: square PIL image. sides: of the cells in pixels, one panel each. at: (x, y) pixels.
    """
    figure, axes = panels(len(sides), size=2.5)
    total = image.size[0]
    for stage, (ax, side) in enumerate(zip(axes, sides), start=1):
        count = -(-total // side)
        show_image(ax, image, f"stage {stage}: {count} x {count} tokens")
        _grid(ax, total, side)
        corner = tuple(int(v) // side * side - 0.5 for v in at[:2])
        ax.add_patch(plt.Rectangle(corner, side, side, facecolor=ORANGE, alpha=0.45))
        frame(ax, *corner, side, side, linewidth=3)
        ax.set_xlabel(f"one token: {side} x {side} pixels", fontsize=9)
    return figure
