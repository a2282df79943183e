"""Figures of notebook 09: MGFF from the image to the logits, what it costs on each backbone, and
its gate: how it opens, and what it let through after training.
"""

import numpy as np
from matplotlib.patches import FancyBboxPatch

from .style import BLUE, GREY, ORANGE, as_array, draw_arrow, panels, show_image

MAPS = ("48 × 48 × 256", "24 × 24 × 512", "12 × 12 × 1024", "12 × 12 × 1024")  # Swin-B at 384


def draw_fusion(image):
    """MGFF from the image to the logits, with the shapes of Swin-B at 384; what the default adds to
    the paper's text is orange.

    Args:
        image: PIL image.

    Returns:
        the matplotlib figure.
    """
    figure, (ax,) = panels(1, size=(11.5, 4.3))
    ax.set(xlim=(0, 115), ylim=(0, 43))
    ax.axis("off")
    ax.imshow(np.asarray(image.convert("RGB")), extent=(0, 12, 20, 32), zorder=2)
    for box in (
        (15, 6, 6, 34, "Swin", GREY),
        (80, 6, 7, 34, "576\nnodes", BLUE, "norm"),
        (90, 30, 17, 10, "graph,\n18 super-nodes, mean", BLUE, "norm, GELU, + x"),
        (90, 20, 17, 5, "exit norm, exit", ORANGE),
        (90, 11, 17, 5, "× gate (0 at first)", ORANGE),
        (96, 3, 5, 4, "+", ORANGE),
    ):
        _box(ax, *box)
    for i, shape in enumerate(MAPS):
        y = 34 - 9 * i
        _box(ax, 24, y, 14, 6, shape, BLUE)
        for start, end in ((21, 24), (38, 40), (52, 54), (66, 68), (78, 80)):
            draw_arrow(ax, (start, y + 3), (end, y + 3), GREY, 1)
        align = f"conv {(4, 2, 1)[i]}" if i < 3 else "untouched"
        _box(ax, 40, y, 12, 6, align, BLUE, "norm" if i < 3 else "")
        _box(ax, 54, y, 12, 6, "self-attention", BLUE, "norm, heads, + x")
        _box(ax, 68, y, 10, 6, "SE weights", BLUE, "start at 1")
    ax.text(99.3, 27.5, "v", va="center", fontsize=10)
    ax.plot([31, 31, 96], [7, 3.2, 3.2], color=GREY, linewidth=1.4, zorder=1)
    for start, end in (
        *(((12, 26), (15, 26)), ((87, 35), (90, 35)), ((94, 3.2), (96, 3.2)), ((101, 5), (104, 5))),
        *(((98.5, top), (98.5, bottom)) for top, bottom in ((30, 25), (20, 16), (11, 7))),
    ):
        draw_arrow(ax, start, end, GREY, 1)
    ax.text(61, 1.4, "p: mean of the last map", ha="center", va="center", fontsize=9)
    ax.text(104.5, 5, "e → linear,\nlogits", va="center", fontsize=9)
    ax.text(0, 41, "the text", color=BLUE, fontsize=10, weight="bold")
    ax.text(0, 37.5, "added", color=ORANGE, fontsize=10, weight="bold")
    return figure


def _box(ax, x, y, width, height, label, colour, added=""):
    """A box with its label, and in orange below it what the default adds."""
    style = {"facecolor": "white", "edgecolor": colour, "linewidth": 1.4, "zorder": 2}
    rounding = "round,pad=0,rounding_size=0.8"
    ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=rounding, **style))
    across, middle = x + width / 2, y + height / 2
    style = {"ha": "center", "va": "center", "zorder": 3}
    ax.text(across, middle + (1.3 if added else 0), label, fontsize=9, **style)
    below = middle - 1.5 - 1.4 * label.count("\n")
    ax.text(across, below, added, fontsize=8.5, color=ORANGE, **style)


def draw_costs(names, backbone, added, unit):
    """Stacked bars: the cost of each backbone and what MGFF adds to it.

    Args:
        names: of the backbones. backbone, added: numbers in ``unit``. unit: label of the axis.

    Returns:
        the matplotlib figure.
    """
    figure, (ax,) = panels(1, size=(7.4, 0.5 * len(names) + 0.9))
    places = np.arange(len(names))
    ax.barh(places, backbone, color=BLUE, label="backbone", height=0.65)
    bars = ax.barh(places, added, left=backbone, color=ORANGE, label="MGFF", height=0.65)
    ax.bar_label(bars, [f"  {a:.1f} + {b:.1f}" for a, b in zip(backbone, added)], fontsize=9)
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.22 * max(a + b for a, b in zip(backbone, added))), xlabel=unit)
    figure.legend(frameon=False, loc="outside upper right", ncols=2)
    return figure


def draw_gate(gate, shares):
    """The trained gate, and how large MGFF's vector is beside the backbone's own.

    Args:
        gate: (C,) tensor. shares: (B,) tensor, |update| / |pooled| of some images.

    Returns:
        the matplotlib figure.
    """
    figure, (left, right) = panels(2, size=(4.2, 2.8))
    left.plot(np.sort(as_array(gate)), color=BLUE)
    left.axhline(0, color=GREY, linewidth=1)
    left.set(xlabel="channels, sorted", ylabel="gate")
    right.hist(as_array(shares), bins=20, color=ORANGE)
    right.set_xlim(left=0)
    right.set(xlabel="|MGFF's vector| / |backbone's vector|", ylabel="images")
    return figure


def draw_entry(image, pooled, vector, gate, channels=24):
    """The sum at the gate for one picture, with a closed gate and with the trained one.

    Args:
        image: PIL image. pooled: (C,) the backbone's own vector p. vector: (C,) MGFF's vector after
            exit norm and exit. gate: (C,) trained. channels: how many are drawn, evenly spaced.

    Returns:
        the matplotlib figure.
    """
    chosen = np.linspace(0, len(gate) - 1, channels).round().astype(int)
    pooled, vector, gate = (
        t.detach().float().cpu().numpy()[chosen] for t in (pooled, vector, gate)
    )
    figure, axes = panels(10, columns=5, size=(2.1, 1.75))
    show_image(axes[0], image, "one bird")
    axes[5].set_visible(False)
    places = np.arange(channels)
    for row, (name, opened) in enumerate((("gate closed", 0 * gate), ("gate as trained", gate))):
        _, *rest = axes[5 * row : 5 * row + 5]
        added = opened * vector
        for ax, values, colour in zip(rest, (pooled, opened, vector), (BLUE, ORANGE, ORANGE)):
            ax.bar(places, values, color=colour, width=0.8)
        rest[3].bar(places, pooled, color=BLUE, width=0.8)
        rest[3].bar(places, added, bottom=pooled, color=ORANGE, width=0.8)
        rest[0].set_ylabel(name, fontsize=10)
        high = 1.15 * np.abs([pooled, pooled + added]).max()
        for ax, limit in zip(rest, (high, 1.15 * np.abs(gate).max(), None, high)):
            ax.axhline(0, color=GREY, linewidth=0.8)
            ax.set(xticks=[], ylim=None if limit is None else (-limit, limit))
            ax.tick_params(labelsize=8)
    titles = ("p: the backbone", "+ gate", "× exit(norm(v))", "= what is classified")
    for ax, title in zip(axes[1:5], titles):
        ax.set_title(title, fontsize=10)
    for ax in axes[6:]:
        ax.set_xlabel(f"{channels} of the channels", fontsize=8.5)
    return figure


def draw_opening(losses, gates):
    """Losses of some runs, and how far their gates are open.

    Args:
        losses: dict name -> losses by update. gates: dict name -> mean size of the gate by update.

    Returns:
        the matplotlib figure.
    """
    figure, (left, right) = panels(2, size=(4.7, 3.0))
    for (name, values), colour in zip(losses.items(), (GREY, BLUE, ORANGE)):
        mean = np.convolve(values, np.ones(5) / 5, mode="valid")
        left.plot(np.arange(len(mean)) + 3, mean, color=colour, linewidth=2, label=name)
        right.plot(np.arange(1, len(values) + 1), gates[name], color=colour, linewidth=2)
    left.set(xlabel="update", ylabel="loss", ylim=(0, None))
    right.set(xlabel="update", ylabel="mean size of the gate", ylim=(-0.03, 1.1))
    left.legend(frameon=False, fontsize=9)
    return figure
