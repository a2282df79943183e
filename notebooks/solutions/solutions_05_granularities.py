"""Solutions of notebook 05."""

import torch


def align_weights(in_channels, out_channels, ratio):
    """Exercise 5.1. Each outgoing channel has a kernel of in_channels x ratio x ratio numbers, and
    one bias.
    """
    return out_channels * (in_channels * ratio * ratio + 1)


def mean_kernel(channels, ratio):
    """Exercise 5.2. Outgoing channel i reads channel i alone, all places of the patch alike.

    Only C * k * k of the C * C * k * k weights are not 0. A learned alignment may read other
    channels, and tell places inside a patch apart; a mean can't.
    """
    return torch.eye(channels)[:, :, None, None].repeat(1, 1, ratio, ratio) / ratio**2


def node_box(row, column, grid, size):
    """Exercise 5.3. A cell is size / grid pixels high and wide; columns go with x, rows with y."""
    height, width = size[0] / grid[0], size[1] / grid[1]
    return column * width, row * height, (column + 1) * width, (row + 1) * height
