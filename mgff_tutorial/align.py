"""Four granularities on one grid: convolutions whose kernel and stride are the ratio of the grids.

MGFF paper, section 3.2: for Swin-B at 384 the maps of 48 x 48, 24 x 24 and 12 x 12 positions become
12 x 12 by kernel = stride = 4, 2 and 1, and the last map stays as it is.
"""

import torch.nn.functional as F
from torch import nn

from .support.errors import InputError


class PatchConv(nn.Conv2d):
    """A convolution whose kernel equals its stride: (B, C, H, W) on one grid -> (B, D, h, w) on
    another.

    The kernel is the ratio of the grids; where they don't divide, the ratio is rounded up and the
    map padded with zeros, half before and half after, so that patch and position keep the same
    centre.

    Args:
        in_channels, out_channels: C and D.
        in_grid, out_grid: (H, W) and (h, w).
    """

    def __init__(self, in_channels, out_channels, in_grid, out_grid):
        kernel = tuple(-(-a // b) for a, b in zip(in_grid, out_grid))
        super().__init__(in_channels, out_channels, kernel, stride=kernel)
        high, wide = (k * b - a for k, a, b in zip(kernel, in_grid, out_grid))
        self.spare = (wide // 2, wide - wide // 2, high // 2, high - high // 2)

    def forward(self, x):
        return super().forward(F.pad(x, self.spare) if any(self.spare) else x)


class MapNorm(nn.LayerNorm):
    """Layer norm over the channels of a map (B, C, H, W)."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GranularityAlign(nn.Module):
    """Bring feature maps of different sizes to the grid and width of the last one.

    Args:
        channels, grids: channels and (H, W) of all maps, from the finest to the last.
        dim: channels after alignment; None takes those of the last map, which then stays untouched.
        norm: "none" (the paper's text), or "layer" for a layer norm after each convolution.
        chosen: indices of the maps that are wanted; None takes all.

    Shapes: list of all (B, C_i, H_i, W_i) -> list of the chosen ones, (B, dim, H, W), on the grid
    of the last map.

    Raises:
        InputError: a map is coarser than the last one.
    """

    def __init__(self, channels, grids, dim=None, norm="none", chosen=None):
        super().__init__()
        last = len(channels) - 1
        self.chosen = tuple(range(len(channels))) if chosen is None else tuple(chosen)
        self.dim = dim or channels[last]
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        for i in self.chosen:
            if grids[i][0] < grids[last][0] or grids[i][1] < grids[last][1]:
                raise InputError(
                    f"map {i} has a grid of {tuple(grids[i])}, coarser than the last one's "
                    f"{tuple(grids[last])}; granularities must come in order, from the finest on."
                )
            untouched = i == last and channels[i] == self.dim
            if untouched:
                self.convs.append(nn.Identity())
            else:
                self.convs.append(PatchConv(channels[i], self.dim, grids[i], grids[last]))
            normed = norm == "layer" and not untouched
            self.norms.append(MapNorm(self.dim) if normed else nn.Identity())

    def forward(self, maps):
        return [norm(conv(maps[i])) for i, conv, norm in zip(self.chosen, self.convs, self.norms)]
