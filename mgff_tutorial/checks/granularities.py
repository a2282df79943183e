"""Checks of notebook 05: weights of an alignment, an alignment that is a mean, and the pixels
behind a node.
"""

import torch

from .cases import compare, draw
from .core import exercise


@exercise("Exercise 5.1")
def check_align_weights(align_weights):
    """Counts for the three convolutions of Swin-B at 384 and for unequal sizes."""
    cases = [(256, 1024, 4), (512, 1024, 2), (1024, 1024, 1), (3, 5, 7)]
    cases += [(draw.integer(2, 99), draw.integer(100, 300), draw.integer(2, 9)) for _ in range(3)]
    compare(
        align_weights,
        lambda c, d, r: d * (c * r * r + 1),
        cases,
        [
            (
                "The biases are missing: one for each of the outgoing channels.",
                lambda c, d, r: c * d * r**2,
            ),
            (
                "There is one bias for each OUTGOING channel.",
                lambda c, d, r: c * d * r**2 + c,
            ),
            ("The kernel is ratio wide AND ratio high.", lambda c, d, r: c * d * r + d),
            (
                "The kernel is ratio wide AND ratio high, and each outgoing channel has a bias.",
                lambda c, d, r: c * d * r,
            ),
            (
                "Every outgoing channel reads every incoming channel: multiply them.",
                lambda c, d, r: r**2 * (c + d),
            ),
            (
                "Each of the outgoing channels has a kernel of its own.",
                lambda c, d, r: c * r**2 + d,
            ),
            (
                "Every outgoing channel reads every incoming channel.",
                lambda c, d, r: d * r**2 + d,
            ),
            (
                "There is one bias for each outgoing channel, not one in all.",
                lambda c, d, r: c * d * r**2 + 1,
            ),
            (
                "The bias is added once, not at each place of the kernel.",
                lambda c, d, r: (c * d + d) * r**2,
            ),
        ],
        describe=lambda c, d, r: f"{c} to {d} channels, ratio {r}",
        form="an integer",
        hint="Each outgoing channel has a kernel of in_channels x ratio x ratio numbers, and one "
        "bias.",
        integers=True,
    )


def _mean_kernel(channels, ratio, value=None, wide=False):
    value = 1 / ratio**2 if value is None else value
    if wide:
        return torch.full((channels, channels, ratio, ratio), value)
    return value * torch.eye(channels)[:, :, None, None].expand(-1, -1, ratio, ratio)


def _one_place(channels, ratio, row, column):
    weight = torch.zeros(channels, channels, ratio, ratio)
    weight[range(channels), range(channels), row, column] = 1.0
    return weight


@exercise("Exercise 5.2", points=2)
def check_mean_kernel(mean_kernel):
    """The kernel of a convolution that only averages, for several channels and ratios."""
    cases = [(1, 1), (3, 2), (2, 4), (5, 1), (4, 3)]
    cases += [(draw.integer(2, 9), draw.integer(2, 6))]
    compare(
        mean_kernel,
        _mean_kernel,
        cases,
        [
            (
                "It sums: the weights of a mean over ratio x ratio places add up to 1.",
                lambda c, r: _mean_kernel(c, r, 1.0),
            ),
            (
                "A patch has ratio * ratio places, not ratio.",
                lambda c, r: _mean_kernel(c, r, 1 / r),
            ),
            (
                "The channels are mixed: outgoing channel i may read incoming channel i alone, so "
                "weight[i, j] is 0 elsewhere.",
                lambda c, r: _mean_kernel(c, r, wide=True),
            ),
            (
                "The channels are averaged, too; each must stay by itself.",
                lambda c, r: _mean_kernel(c, r, 1 / (c * r**2), wide=True),
            ),
            (
                "It picks the upper left pixel of each patch; all places count alike.",
                lambda c, r: _one_place(c, r, 0, 0),
            ),
            (
                "It picks the middle of each patch; all places count alike.",
                lambda c, r: _one_place(c, r, r // 2, r // 2),
            ),
            (
                "The weight has four dimensions, (C, C, ratio, ratio); yours fits a convolution "
                "with groups=C.",
                lambda c, r: torch.full((c, 1, r, r), 1 / r**2),
            ),
            (
                "One kernel is not enough: every outgoing channel needs one for each incoming "
                "channel.",
                lambda c, r: torch.full((r, r), 1 / r**2),
            ),
            (
                "Each channel must keep its size: do not divide by the channels.",
                lambda c, r: _mean_kernel(c, r, 1 / (c * r**2)),
            ),
        ],
        describe=lambda c, r: f"{c} channels, ratio {r}",
        form="a (C, C, ratio, ratio) tensor",
        hint="conv2d sums weight[i, j] * patch of channel j. For a mean of channel i alone, which "
        "numbers must weight[i, i] and weight[i, j] be?",
        tolerance=1e-6,
    )


def _node_box(row, column, grid, size):
    height, width = size[0] / grid[0], size[1] / grid[1]
    return column * width, row * height, (column + 1) * width, (row + 1) * height


def _width_and_height(row, column, grid, size):
    x0, y0, x1, y1 = _node_box(row, column, grid, size)
    return x0, y0, x1 - x0, y1 - y0


@exercise("Exercise 5.3")
def check_node_box(node_box):
    """Nodes on grids and images that are not square, of cells that are not square either."""
    cases = [
        (0, 0, (3, 3), (96, 96)),
        (1, 2, (3, 3), (96, 96)),
        (2, 1, (4, 8), (128, 160)),
        (11, 0, (12, 12), (384, 384)),
        (1, 4, (2, 5), (100, 75)),
    ]
    for _ in range(5):
        grid = draw.integers(2, 2, 12)
        size = tuple(n * draw.integer(3, 40) for n in grid)
        cases.append(
            (draw.integer(0, grid[0] - 1), draw.integer(0, grid[1] - 1), tuple(grid), size)
        )
    compare(
        node_box,
        _node_box,
        cases,
        [
            (
                "x and y are exchanged: columns go with x.",
                lambda *a: [_node_box(*a)[i] for i in (1, 0, 3, 2)],
            ),
            (
                "You return width and height; the last two numbers are the far corner.",
                _width_and_height,
            ),
            (
                "x comes from the column, y from the row.",
                lambda r, c, g, s: _node_box(c, r, g, s),
            ),
            (
                "grid and size are (height, width): the width is the second number.",
                lambda r, c, g, s: _node_box(r, c, g[::-1], s[::-1]),
            ),
            (
                "grid is (rows, columns): the width of a cell is size[1] / grid[1].",
                lambda r, c, g, s: _node_box(r, c, g[::-1], s),
            ),
            (
                "size is (height, width): the width of a cell is size[1] / grid[1].",
                lambda r, c, g, s: _node_box(r, c, g, s[::-1]),
            ),
            (
                "The far corner is where the next node begins, without - 1.",
                lambda *a: [v - (i > 1) for i, v in enumerate(_node_box(*a))],
            ),
            (
                "Nodes count from 0: the first one begins at pixel 0.",
                lambda r, c, g, s: _node_box(r - 1, c - 1, g, s),
            ),
            (
                "The order is x0, y0, x1, y1.",
                lambda *a: [_node_box(*a)[i] for i in (0, 2, 1, 3)],
            ),
        ],
        describe=lambda r, c, g, s: (
            f"node ({r}, {c}) of a {g[0]} x {g[1]} grid on {s[0]} x {s[1]} pixels"
        ),
        form="four numbers (x0, y0, x1, y1)",
        hint="A cell is size / grid pixels high and wide; x counts columns, y counts rows.",
        tolerance=1e-6,
    )
