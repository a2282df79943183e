"""Figures of notebook 09: what MGFF costs on each backbone, and what its gate let through after
training.
"""

import numpy as np

from .style import BLUE, GREY, ORANGE, panels


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
    ax.barh(places, added, left=backbone, color=ORANGE, label="MGFF", height=0.65)
    for y, (a, b) in enumerate(zip(backbone, added)):
        ax.text(a + b, y, f"  {a:.1f} + {b:.1f}", va="center", fontsize=9)
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.22 * max(a + b for a, b in zip(backbone, added)))
    ax.set_xlabel(unit)
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
    values = np.sort(gate.detach().float().cpu().numpy())
    left.plot(values, color=BLUE)
    left.axhline(0, color=GREY, linewidth=1)
    left.set_xlabel("channels, sorted")
    left.set_ylabel("gate")
    right.hist(shares.detach().float().cpu().numpy(), bins=20, color=ORANGE)
    right.set_xlim(left=0)
    right.set_xlabel("|MGFF's vector| / |backbone's vector|")
    right.set_ylabel("images")
    return figure
