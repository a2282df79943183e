"""The pieces a Swin Transformer is stacked from: the block with (shifted) window attention, and the
stage.

Maps are (B, H, W, C) throughout. Source: Liu et al., "Swin Transformer", ICCV 2021, section 3.2 and
figure 3.
"""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from .patches import PatchMerging, pad_to_multiple
from .support.linear import Linear
from .windows import (
    WindowAttention,
    relative_position_index,
    resize_bias_table,
    shift_mask,
    window_partition,
    window_reverse,
)


class StochasticDepth(nn.Module):
    """Drop the whole branch of a residual block for some samples of a training batch (Huang et al.,
    2016).

    Args:
        rate: probability of dropping; kept branches are scaled by 1 / (1 - rate).
    """

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        if not self.training or self.rate == 0.0:
            return x
        kept = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(1 - self.rate)
        return x * (kept / (1 - self.rate))


class Mlp(nn.Module):
    """Two linear layers with GELU between them: (..., C) -> (..., C), hidden width ``hidden``."""

    def __init__(self, dim, hidden, drop=0.0):
        super().__init__()
        self.fc1 = Linear(dim, hidden)
        self.fc2 = Linear(hidden, dim)
        self.drop = nn.Dropout(drop)

    def forward(self, x):
        return self.drop(self.fc2(self.drop(self.fc1(x, gelu=True))))


class SwinBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), on a map (B, H, W, C) (Swin paper, equation
    3).

    The attention stays inside windows. Every second block shifts the map by half a window first, so
    that neighbours which a window border kept apart can exchange what they know.

    Args:
        dim: channels. num_heads: heads.
        grid: (H, W) of the map the block is built for; other sizes work, and are padded to whole
            windows.
        window: (Wh, Ww) wanted; a grid that is smaller than the window becomes one window along
            that side.
        shifted: whether this is a block with shifted windows (SW-MSA).
        pad_first: what comes first on a map that is no multiple of the window. False is timm's
            order (shift, then pad), needed for equal numbers; True is the original authors' (pad,
            then shift), where the mask also keeps the wrapped rows of a padded map apart. Without
            padding both are the same.
    """

    def __init__(
        self,
        dim,
        num_heads,
        grid,
        window,
        shifted,
        mlp_ratio=4.0,
        qkv_bias=True,
        proj_drop=0.0,
        attn_drop=0.0,
        drop_path=0.0,
        pad_first=False,
    ):
        super().__init__()
        self.shifted, self.pad_first = shifted, pad_first
        self._fit_window(grid, window)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, num_heads, self.window, qkv_bias, attn_drop, proj_drop)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), proj_drop)
        self.drop_path = StochasticDepth(drop_path)
        self.register_buffer(
            "attn_mask", self._mask(grid, self.norm1.weight.device), persistent=False
        )

    def _fit_window(self, grid, window):
        self.window = tuple(min(g, w) for g, w in zip(grid, window))
        self.shift = tuple(w // 2 if self.shifted and g > w else 0 for g, w in zip(grid, window))
        self.mask_grid = self._padded(grid)

    def _padded(self, grid):
        return tuple(-(-g // w) * w for g, w in zip(grid, self.window))

    def _mask(self, grid, device):
        return (
            shift_mask(*self._padded(grid), self.window, self.shift, device)
            if any(self.shift)
            else None
        )

    def set_input_size(self, grid, window):
        """Rebuild for another grid or window: the bias table is interpolated, the mask computed
        anew.
        """
        old, attn = self.window, self.attn
        self._fit_window(grid, window)
        table = attn.relative_position_bias_table
        if self.window != old:
            attn.window = self.window
            attn.relative_position_bias_table = nn.Parameter(
                resize_bias_table(table, old, self.window), requires_grad=table.requires_grad
            )
        self.init_non_persistent_buffers()

    def init_non_persistent_buffers(self):
        """Compute mask and index again, as after ``to_empty`` or a change of size."""
        device = self.norm1.weight.device
        self.attn.relative_position_index = relative_position_index(self.window, device)
        self.attn_mask = self._mask(self.mask_grid, device)

    def attention(self, x):
        """(Shifted) window attention on a normalised map (B, H, W, C) of any size."""
        _, height, width, _ = x.shape
        (sh, sw), shifted = self.shift, any(self.shift)
        if self.pad_first:
            x = pad_to_multiple(x, self.window)
        if shifted:
            x = torch.roll(x, (-sh, -sw), dims=(1, 2))
        inner = x.shape[1:3]
        x = pad_to_multiple(x, self.window)
        padded = tuple(x.shape[1:3])
        if shifted and padded != self.mask_grid:  # another size than the last: a new mask
            self.attn_mask, self.mask_grid = self._mask(padded, x.device), padded
        windows = self.attn(window_partition(x, self.window), self.attn_mask)
        x = window_reverse(windows, self.window, *padded)[:, : inner[0], : inner[1]]
        if shifted:
            x = torch.roll(x, (sh, sw), dims=(1, 2))
        return x[:, :height, :width]

    def forward(self, x):
        x = x + self.drop_path(self.attention(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class SwinStage(nn.Module):
    """Patch merging (except in the first stage), then blocks, plain and shifted in turn.

    Args:
        dim: channels inside the stage. depth: number of blocks. downsample: whether merging comes
            first.
        grid: (H, W) inside the stage, after the merging. drop_path: one rate for each block.
        Others as in `SwinBlock`.
    """

    def __init__(self, dim, depth, num_heads, grid, window, downsample, drop_path, **options):
        super().__init__()
        self.grad_checkpointing = False
        self.downsample = PatchMerging(dim // 2) if downsample else nn.Identity()
        self.blocks = nn.Sequential(
            *[
                SwinBlock(
                    dim,
                    num_heads,
                    grid,
                    window,
                    shifted=i % 2 == 1,
                    drop_path=drop_path[i],
                    **options,
                )
                for i in range(depth)
            ]
        )

    def run_blocks(self, x):
        """The blocks alone, (B, H, W, C) -> the same; recomputed in the backward pass under
        checkpointing.
        """
        for block in self.blocks:
            if self.grad_checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return x

    def forward(self, x):
        return self.run_blocks(self.downsample(x))
