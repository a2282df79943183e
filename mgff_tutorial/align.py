"""Four granularities on one grid: convolutions whose kernel and stride are the ratio of the grids.

MGFF paper, section 3.2: for Swin-B at 384 the maps of 48 x 48, 24 x 24 and 12 x 12 positions become
12 x 12 by kernel = stride = 4, 2 and 1, and the last map stays as it is.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .patches import check_dtype, to_pair
from .support.errors import InputError, check_number
from .support.linear import linear


class PatchConv(nn.Module):
    """A convolution whose kernel equals its stride, brought from one grid to another: (B, C, H, W)
    -> (B, D, h, w).

    The patches don't overlap, so it is a reshape and one matrix product. The weight is kept as that
    of an ordinary convolution, (D, C, kh, kw). The kernel is the ratio of the grids; where they
    don't divide, the ratio is rounded up and the map padded with zeros, half before and half after,
    so that patch and position keep the same centre.

    Args:
        in_channels, out_channels: C and D.
        in_grid, out_grid: (H, W) and (h, w).

    Raises:
        InputError: the map is coarser than the grid it should come to.
    """

    def __init__(self, in_channels, out_channels, in_grid, out_grid):
        super().__init__()
        in_grid, out_grid = to_pair(in_grid, "in_grid"), to_pair(out_grid, "out_grid")
        if in_grid[0] < out_grid[0] or in_grid[1] < out_grid[1]:
            raise InputError(
                f"in_grid {tuple(in_grid)} is coarser than out_grid {tuple(out_grid)}; "
                "granularities must come in order, from the finest to the last."
            )
        self.in_channels, self.in_grid, self.out_grid = in_channels, tuple(in_grid), tuple(out_grid)
        self.kernel = tuple(-(-a // b) for a, b in zip(in_grid, out_grid))
        spare = [k * b - a for k, a, b in zip(self.kernel, in_grid, out_grid)]
        self.padding = (
            spare[1] // 2,
            spare[1] - spare[1] // 2,
            spare[0] // 2,
            spare[0] - spare[0] // 2,
        )
        conv = nn.Conv2d(in_channels, out_channels, self.kernel)  # for its initialisation
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, x):
        check_map(x, self.in_channels, self.in_grid, self.weight.dtype)
        if any(self.padding):
            x = F.pad(x, self.padding)
        (h, w), (kh, kw) = self.out_grid, self.kernel
        patches = x.unflatten(3, (w, kw)).unflatten(2, (h, kh))  # B, C, h, kh, w, kw
        patches = patches.permute(0, 2, 4, 1, 3, 5).flatten(3)  # B, h, w, C * kh * kw
        x = linear(patches, self.weight.flatten(1), self.bias)  # B, h, w, D
        return x.permute(0, 3, 1, 2)


class MapNorm(nn.LayerNorm):
    """Layer norm over the channels of a map (B, C, H, W)."""

    def forward(self, x):
        check_map(x, self.normalized_shape[0], (None, None))
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
    """

    def __init__(self, channels, grids, dim=None, norm="none", chosen=None):
        super().__init__()
        if norm not in ("none", "layer"):
            raise InputError(f"norm must be 'none' or 'layer', got {norm!r}.")
        if (
            not isinstance(channels, (tuple, list))
            or not isinstance(grids, (tuple, list))
            or len(channels) != len(grids)
        ):
            raise InputError(
                f"channels and grids must be two lists of one length, got {channels!r} and "
                f"{grids!r}."
            )
        if dim is not None:
            check_number("dim", dim, 1, whole=True)
        self.channels, self.grids, last = (
            tuple(channels),
            [tuple(g) for g in grids],
            len(channels) - 1,
        )
        self.chosen = tuple(range(len(channels))) if chosen is None else tuple(chosen)
        self.dim = dim or channels[last]
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        for i in self.chosen:
            untouched = i == last and channels[i] == self.dim
            conv = (
                nn.Identity()
                if untouched
                else PatchConv(channels[i], self.dim, grids[i], grids[last])
            )
            self.convs.append(conv)
            self.norms.append(
                MapNorm(self.dim) if norm == "layer" and not untouched else nn.Identity()
            )

    def forward(self, maps):
        check_maps(maps, self.channels, self.grids)
        return [norm(conv(maps[i])) for i, conv, norm in zip(self.chosen, self.convs, self.norms)]


def check_maps(maps, channels, grids):
    """Raise unless ``maps`` is a list of maps of these channels and grids, of one batch size."""
    if not isinstance(maps, (list, tuple)) or len(maps) != len(channels):
        got = len(maps) if isinstance(maps, (list, tuple)) else type(maps).__name__
        raise InputError(f"maps must be a list of {len(channels)} feature maps, got {got}.")
    for x, width, grid in zip(maps, channels, grids):
        check_map(x, width, grid, getattr(maps[0], "dtype", None))
    if any(
        x.shape[0] != maps[0].shape[0] for x in maps
    ):  # no len(): torch.export would fix the batch size
        raise InputError(f"maps must hold the same number of images, got {[len(x) for x in maps]}.")


def check_map(x, channels, grid, dtype=None):
    """Raise unless ``x`` is a floating-point map (B, channels, *grid) that can meet weights of
    ``dtype``.

    None in ``grid`` stands for any number of positions but 0.
    """
    if not isinstance(x, torch.Tensor):
        raise TypeError(
            f"a feature map must be a tensor (B, {channels}, H, W), got {type(x).__name__}."
        )
    if x.ndim != 4 or any(
        got < 1 if side is None else side != got
        for side, got in zip((channels, *grid), x.shape[1:])
    ):
        high, wide = (letter if side is None else side for letter, side in zip("HW", grid))
        raise InputError(
            f"a feature map must have shape (B, {channels}, {high}, {wide}), got {tuple(x.shape)}."
        )
    if not x.is_floating_point():
        raise InputError(f"a feature map must hold floating-point numbers, got {x.dtype}.")
    check_dtype("feature maps", x, dtype)
