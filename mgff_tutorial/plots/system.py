"""The whole system in one picture, with the shapes of Swin-B at 384: the figure of the README."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch, Rectangle

from .style import BLUE, GREEN, ORANGE, PURPLE, RED, draw_arrow, frame

INK, MUTED, WASH = "#22262b", "#5b626b", "#f2f5fa"
WIDTH, HEIGHT = 100.0, 65.0  # of the drawing, in its own units; a unit is a tenth of an inch
COLOURS = (BLUE, GREEN, ORANGE, RED)  # one for each granularity
# Of the four maps of Swin-B at 384: cells per side, channels, side in the drawing.
MAPS = ((48, 256, 5.8), (24, 512, 5.4), (12, 1024, 5.0), (12, 1024, 5.0))
ROWS = (52.8, 44.5, 36.2, 27.9)  # the height at which each map stands
LOOK_2 = 10.0  # the height of the second look


def draw_system(image, result, index=0):
    """Both looks of the system from the image to the merged prediction.

    Args:
        image: the PIL image that was classified; best a square one.
        result: `TwoStageResult` of a batch, for the response map, the box and the bars;
            ``index`` picks the image.

    Returns:
        the matplotlib figure.
    """
    figure = plt.figure(figsize=(WIDTH / 10, HEIGHT / 10))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    ax.axis("off")
    image = image.convert("RGB")
    _panel(ax, 14.0, 22.6, 74.6, 41.6)
    _text(ax, 15.2, 62.4, "MGFF classifier", size=10.5, weight="bold", ha="left", color=BLUE)
    _first_look(ax, image)
    _second_look(ax, image, result, index)
    _merge(ax, result, index)
    return figure


def _first_look(ax, image):
    """Image -> four maps -> one grid -> attentions -> nodes -> super-nodes."""
    middle = (ROWS[0] + ROWS[3]) / 2
    _picture(ax, image, 6.5, middle, 10.6)
    _text(ax, 6.5, middle + 7.2, "image", weight="bold")
    _text(ax, 6.5, middle - 6.9, "384 × 384 × 3", size=9, color=MUTED)
    draw_arrow(ax, (12.0, middle), (13.8, middle), MUTED)

    titles = (
        (21.0, "Swin-B", "four feature maps"),
        (38.6, "alignment", "one grid, 12 × 12 × 1024"),
        (53.5, "attentions", "a pair per map"),
        (69.0, "graph", "nodes → super-nodes"),
        (82.8, "head", "one vector"),
    )
    for x, title, below in titles:
        _text(ax, x, 60.0, title, weight="bold")
        _text(ax, x, 58.0, below, size=8.6, color=MUTED)

    for i, ((cells, channels, side), y, colour) in enumerate(zip(MAPS, ROWS, COLOURS)):
        _stack(ax, image, cells, 19.0, y, side, colour, sheets=2 + i)
        _text(ax, 23.6, y + 1.0, f"{cells} × {cells}", size=9, ha="left")
        _text(ax, 23.6, y - 1.0, f"× {channels}", size=9, ha="left")
        step = ("conv 4, stride 4", "conv 2, stride 2", "conv 1", "unchanged")[i]
        draw_arrow(ax, (30.0, y), (38.6, y), colour)
        _text(ax, 34.1, y + 1.4, step, size=8.2, color=MUTED)
        _stack(ax, image, 12, 41.4, y, 4.8, colour, sheets=4)
        draw_arrow(ax, (44.9, y), (46.9, y), colour)
        _box(ax, 47.0, y + 0.25, 13.0, 2.9, "self-attention", colour)
        _box(ax, 47.0, y - 3.15, 13.0, 2.9, "channel attention", colour)
    for above, below in zip(ROWS, ROWS[1:]):  # each Swin stage works on the map of the one before
        draw_arrow(ax, (18.2, above - 3.1), (18.2, below + 4.3), MUTED)
    _graph(ax)


def _graph(ax):
    """576 nodes in four colours, 18 super-nodes, and the edges between them."""
    cells = (np.stack(np.meshgrid(np.arange(12), np.arange(12)), -1).reshape(-1, 2) - 5.5) * 0.46
    for y, colour in zip(ROWS, COLOURS):
        draw_arrow(ax, (60.1, y), (61.9, y), colour)
        ax.scatter(65.0 + cells[:, 0], y + cells[:, 1], s=4.5, color=colour, linewidths=0)
    rng = np.random.default_rng(4)
    middle = (ROWS[0] + ROWS[3]) / 2
    centres = np.array(
        [
            (72.4 + 2.1 * (k % 2) + rng.uniform(-0.5, 0.5), middle + 2.5 * (k - 8.5) / 2)
            for k in range(18)
        ]
    )
    # the learned soft assignment: every node gives a share to every super-node; some are drawn
    for y, colour in zip(ROWS, COLOURS):
        for _ in range(26):
            start = (65.0 + 0.46 * 5.5, y + 0.46 * (rng.integers(12) - 5.5))
            end = centres[rng.integers(18)]
            ax.plot(*zip(start, end), color=colour, linewidth=0.5, alpha=0.45, zorder=1)
    for a, b in combinations(centres, 2):
        if np.hypot(*(a - b)) < 3.4:
            ax.plot(*zip(a, b), color=MUTED, linewidth=0.7, zorder=2)
    ax.scatter(*centres.T, s=46, color=PURPLE, edgecolors="white", linewidths=0.8, zorder=3)
    _text(ax, 65.0, 23.9, "576 × 1024", size=9)
    _text(ax, 73.6, 23.9, "18 × 1024", size=9)
    draw_arrow(ax, (75.8, middle), (78.4, middle), MUTED)
    _box(ax, 78.6, middle + 0.4, 8.4, 3.2, "mean", PURPLE)
    _box(ax, 78.6, middle - 3.6, 8.4, 3.2, "linear", PURPLE)
    _text(ax, 82.8, middle - 5.2, "1024 → K", size=9)


def _second_look(ax, image, result, index):
    """Image -> ViT -> response map -> box -> crop -> the same classifier."""
    side, y = 10.6, LOOK_2
    box = [float(v) for v in result.boxes[index]]
    response = result.response[index, 0].cpu().numpy()
    middle = (ROWS[0] + ROWS[3]) / 2
    ax.plot([6.5, 6.5], [middle - 8.2, y], color=MUTED, linewidth=1.4)
    for start, end in ((6.5, 13.8), (25.8, 29.3), (40.6, 43.9), (55.2, 58.5), (69.8, 73.8)):
        draw_arrow(ax, (start, y), (end, y), MUTED)
    _panel(ax, 14.0, y - 5.3, 11.6, side, PURPLE)
    _text(ax, 19.8, y + 1.6, "ViT", weight="bold", size=10.5)
    _text(ax, 19.8, y - 0.5, "frozen", size=9, color=MUTED)
    _text(ax, 19.8, y - 2.3, "L attention maps", size=8.6, color=MUTED)
    _picture(ax, image, 35.0, y, side)
    extent = (35.0 - side / 2, 35.0 + side / 2, y - side / 2, y + side / 2)
    ax.imshow(response, cmap="magma", alpha=0.62, extent=extent, interpolation="bilinear", zorder=3)
    _picture(ax, image, 49.6, y, side)
    x0, y0, x1, y1 = (v * side / image.width for v in box)
    frame(ax, 49.6 - side / 2 + x0, y + side / 2 - y1, x1 - x0, y1 - y0, zorder=4)
    _picture(ax, image.crop([round(v) for v in box]).resize((384, 384)), 64.2, y, side)
    _panel(ax, 74.0, y - 5.3, 14.6, side)
    _text(ax, 81.3, y + 1.1, "the same", weight="bold", color=BLUE)
    _text(ax, 81.3, y - 1.1, "classifier", weight="bold", color=BLUE)
    for x, label, detail in (
        (35.0, "response map", "384 × 384 × 1"),
        (49.6, "box", "of the largest component"),
        (64.2, "crop, enlarged", "384 × 384 × 3"),
    ):
        _text(ax, x, y + 7.0, label, weight="bold")
        _text(ax, x, y - 7.0, detail, size=9, color=MUTED)


def _merge(ax, result, index):
    """The bars of both looks, and of their mean."""
    middle = (ROWS[0] + ROWS[3]) / 2
    order = result.merged[index].argsort(descending=True)[:5].cpu()
    looks = (
        (result.stage1, middle, "look 1"),
        (result.stage2, LOOK_2, "look 2"),
        (result.merged, 25.4, "merged"),
    )
    for probabilities, y, label in looks:
        values = probabilities[index].cpu()[order].tolist()
        for k, value in enumerate(values):
            colour = GREEN if k == 0 else BLUE
            ax.add_patch(
                Rectangle((91.4, y + 2.4 - 1.2 * k), 7.4 * value, 0.9, color=colour, zorder=3)
            )
        ax.plot([91.4, 91.4], [y - 2.8, y + 3.6], color=INK, linewidth=0.8)
        _text(ax, 91.2, y + 4.8, label, weight="bold", ha="left")
    for start, end in (
        ((88.8, middle), (91.0, middle)),
        ((88.8, LOOK_2), (91.0, LOOK_2)),
        ((95.0, middle - 3.6), (95.0, 32.0)),
        ((95.0, LOOK_2 + 6.2), (95.0, 21.8)),
    ):
        draw_arrow(ax, start, end, MUTED)


def _picture(ax, image, x, y, side, colour=INK):
    extent = (x - side / 2, x + side / 2, y - side / 2, y + side / 2)
    ax.imshow(np.asarray(image), extent=extent, interpolation="antialiased", zorder=2)
    frame(ax, x - side / 2, y - side / 2, side, side, colour, 1, zorder=4)


def _stack(ax, image, cells, x, y, side, colour, sheets):
    """A feature map: sheets behind each other, the first with the image at the map's resolution."""
    style = {"fill": True, "facecolor": "white", "zorder": 2}
    for k in range(sheets - 1, 0, -1):
        corner = x - side / 2 + 0.36 * k, y - side / 2 + 0.36 * k
        frame(ax, *corner, side, side, colour, 0.9, **style)
    small = np.asarray(image.resize((cells, cells), resample=4), dtype=float)  # 4: mean of a cell
    tint = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    grey = small.mean(-1, keepdims=True) / 255
    pixels = (1 - 0.75 * grey) * tint + 0.75 * grey * 255
    extent = (x - side / 2, x + side / 2, y - side / 2, y + side / 2)
    ax.imshow(pixels.astype(np.uint8), extent=extent, interpolation="nearest", zorder=3)
    frame(ax, x - side / 2, y - side / 2, side, side, colour, 1.2, zorder=4)


def _panel(ax, x, y, width, height, colour=BLUE, fill=WASH, rounding=1.2, zorder=0):
    ax.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle=f"round,pad=0,rounding_size={rounding}",
            facecolor=fill,
            edgecolor=colour,
            linewidth=1.2,
            zorder=zorder,
        )
    )


def _box(ax, x, y, width, height, label, colour):
    _panel(ax, x, y, width, height, colour, "white", 0.6, 2)
    _text(ax, x + width / 2, y + height / 2, label, size=9)


def _text(ax, x, y, text, size=10.0, ha="center", color=INK, weight="normal"):
    ax.text(x, y, text, fontsize=size, ha=ha, va="center", color=color, weight=weight, zorder=5)
