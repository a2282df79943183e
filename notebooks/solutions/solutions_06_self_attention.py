"""Solutions of notebook 06."""

import torch


def effective_positions(q, k, bias, sharpness):
    """Exercise 6.1. exp(entropy): N for a flat row, 1 for a row with a single weight.

    With sharpness 0 and no bias every row is flat, whatever the image shows: N positions. The
    sharper, the nearer to 1, where the query hears one position alone.
    """
    weights = (sharpness * (q @ k.transpose(-2, -1)) / q.shape[-1] ** 0.5 + bias).softmax(dim=-1)
    return (-torch.special.xlogy(weights, weights).sum(dim=-1)).exp()  # xlogy: 0 where p is 0


def distance_table(grid, slope):
    """Exercise 6.2. Rows of the table are vertical offsets, columns horizontal ones.

    Global attention can become local by its table alone: with slope 3 a neighbour above has
    exp(-3) = 5 % of the weight of the position itself.
    """
    h, w = grid
    dy = torch.arange(-(h - 1), h)[:, None]  # (2h - 1, 1)
    dx = torch.arange(-(w - 1), w)[None, :]  # (1, 2w - 1)
    return (-slope * (dy**2 + dx**2) ** 0.5).flatten()


def without_head(q, k, v, heads, off):
    """Exercise 6.3. Split the channels into heads, attend in each, silence one, put the channels
    back side by side.

    Only the channels of that head change, and they become 0: heads meet in the projection that
    follows, not before.
    """
    batch, n, channels = q.shape
    d = channels // heads

    def split(t):
        return t.reshape(batch, n, heads, d).transpose(1, 2)  # (B, heads, N, d)

    attention = (split(q) @ split(k).transpose(-2, -1) / d**0.5).softmax(dim=-1)
    out = attention @ split(v)
    out[:, off] = 0
    return out.transpose(1, 2).reshape(batch, n, channels)
