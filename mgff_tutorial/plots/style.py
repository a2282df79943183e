"""What all figures share: opaque white ground, one palette, pictures without axes."""

import matplotlib.pyplot as plt
import numpy as np

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


def show_image(ax, image, title=None, box=None, colour=ORANGE):
    """Draw a picture without ticks: PIL image, (H, W, 3) array, or (3, H, W) tensor in [0, 1];
    ``box`` is xyxy pixels.
    """
    if hasattr(image, "detach"):
        image = image.detach().float().cpu().clamp(0, 1).permute(1, 2, 0).numpy()
    ax.imshow(np.asarray(image))
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    if title is not None:
        ax.set_title(title)
    if box is not None:
        x0, y0, x1, y1 = [float(v) for v in box]
        ax.add_patch(
            plt.Rectangle(
                (x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=2
            )
        )
    return ax
