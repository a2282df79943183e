"""Attention inside windows: partition, relative position bias, cyclic shift and the mask of
regions.

Shapes: a map is (B, H, W, C); its windows are (B * nW, N, C), nW windows of N = Wh * Ww tokens an
    image,
image by image, row by row. Source: Liu et al., "Swin Transformer", ICCV 2021, sections 3.2 and 3.3.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .patches import check_tokens, to_pair
from .support.attend import attend
from .support.errors import InputError, check_number
from .support.linear import Linear


def window_partition(x, window):
    """Cut a map into windows: (B, H, W, C) -> (B * nW, Wh * Ww, C).

    Args:
        x: map whose sides are multiples of the window.
        window: (Wh, Ww) in tokens.
    """
    (_, height, width, channels), (wh, ww) = x.shape, window
    x = x.view(-1, height // wh, wh, width // ww, ww, channels)
    return x.transpose(2, 3).reshape(-1, wh * ww, channels)


def window_reverse(windows, window, height, width):
    """Put windows back in their places: (B * nW, Wh * Ww, C) -> (B, H, W, C); undoes
    `window_partition`.
    """
    wh, ww = window
    x = windows.view(-1, height // wh, width // ww, wh, ww, windows.shape[-1])
    return x.transpose(2, 3).reshape(-1, height, width, windows.shape[-1])


def relative_position_index(window, device=None):
    """Which row of the bias table belongs to each pair (query, key) of a window: (N, N) integers.

    A key that lies (dy, dx) before the query, each between -(W - 1) and W - 1, reads row
    (dy + Wh - 1) * (2 Ww - 1) + (dx + Ww - 1) of a table with (2 Wh - 1) * (2 Ww - 1) rows.
    """
    wh, ww = window
    rows = torch.arange(wh, device=device).repeat_interleave(
        ww
    )  # (N,) row of each token of the window
    columns = torch.arange(ww, device=device).repeat(wh)  # (N,) its column
    dy = rows[:, None] - rows[None, :] + wh - 1
    dx = columns[:, None] - columns[None, :] + ww - 1
    return dy * (2 * ww - 1) + dx


def shift_regions(height, width, window, shift, device=None):
    """Number the regions of a shifted map: (H, W) integers from 0 to 8.

    After the cyclic shift the last window of a row holds tokens from the right edge and, wrapped
    around, from the
    left edge. Tokens that were no neighbours get different numbers: along each side, 0 for the
    windows that are whole, 1 for the rest of the last window, 2 for what was wrapped around.

    Args:
        height, width: sides of the (padded) map, multiples of the window.
        window: (Wh, Ww). shift: (Sh, Sw), each from 0 to the window's side - 1.
    """

    def along(length, side, moved):
        position = torch.arange(length, device=device)
        if not moved:
            return torch.zeros_like(position)
        return (position >= length - side).long() + (position >= length - moved).long()

    return (
        3 * along(height, window[0], shift[0])[:, None] + along(width, window[1], shift[1])[None, :]
    )


def shift_mask(height, width, window, shift, device=None):
    """What may not be looked at after a shift: (nW, N, N), 0 within a region and -inf between
    regions.

    Added to the attention scores, -inf becomes a weight of exactly 0 after the softmax.
    """
    if height % window[0] or width % window[1]:
        raise InputError(
            f"height and width must be multiples of the window {tuple(window)}, got {height} "
            f"x {width}."
        )
    regions = shift_regions(height, width, window, shift, device)
    regions = window_partition(regions[None, :, :, None], window).squeeze(-1)  # (nW, N)
    same = regions[:, :, None] == regions[:, None, :]  # (nW, N, N)
    return torch.zeros(same.shape, device=device).masked_fill(~same, float("-inf"))


def resize_bias_table(table, old_window, new_window):
    """Interpolate a bias table to another window: (old rows, heads) -> (new rows, heads), bicubic.

    Source: Swin paper, section 3.2 ("initialise a model for fine-tuning with a different window
        size").
    """
    if tuple(old_window) == tuple(new_window):
        return table
    rows = (2 * old_window[0] - 1) * (2 * old_window[1] - 1)
    check_tokens("table", table, (rows, None))
    (oh, ow), (nh, nw) = [(2 * h - 1, 2 * w - 1) for h, w in (old_window, new_window)]
    grid = table.detach().T.reshape(1, -1, oh, ow).float()
    grid = F.interpolate(grid, size=(nh, nw), mode="bicubic", align_corners=False)
    return grid.reshape(-1, nh * nw).T.contiguous().to(table.dtype)


class WindowAttention(nn.Module):
    """Multi-head self-attention inside windows with a relative position bias (W-MSA).

    Attention(Q, K, V) = softmax(Q K^T / sqrt(d) + B) V (Swin paper, equation 4), with d channels a
    head and B read from a learned table of (2 Wh - 1)(2 Ww - 1) rows and one column a head. Bias
    and shift mask are one additive tensor, so that the fused kernel does the rest.

    Args:
        dim: channels C. num_heads: must divide ``dim``. window: (Wh, Ww).
        qkv_bias, attn_drop, proj_drop: as usual.
    """

    def __init__(self, dim, num_heads, window, qkv_bias=True, attn_drop=0.0, proj_drop=0.0):
        super().__init__()
        for name, value in (("dim", dim), ("num_heads", num_heads)):
            check_number(name, value, 1, whole=True)
        if dim % num_heads:
            raise InputError(f"num_heads must divide dim={dim}, got {num_heads}.")
        self.dim, self.num_heads = dim, num_heads
        self.window = to_pair(window, "window")
        self.attn_drop = attn_drop
        self.qkv = Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)
        rows = (2 * self.window[0] - 1) * (2 * self.window[1] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        index = relative_position_index(self.window, self.relative_position_bias_table.device)
        self.register_buffer("relative_position_index", index, persistent=False)

    def bias(self, mask=None, dtype=None):
        """The additive tensor: (1, heads, N, N), or with a ``mask`` (nW, N, N) the sum (nW, heads,
        N, N).
        """
        tokens = self.window[0] * self.window[1]
        table = self.relative_position_bias_table.to(
            dtype or self.relative_position_bias_table.dtype
        )
        bias = table[self.relative_position_index.flatten()].T.reshape(
            1, self.num_heads, tokens, tokens
        )
        return bias if mask is None else bias + mask[:, None].to(bias.dtype)

    def forward(self, windows, mask=None):
        """Windows (B * nW, N, C) -> (B * nW, N, C); ``mask`` is `shift_mask`'s (nW, N, N) or
        None.
        """
        check_tokens(
            "windows",
            windows,
            (None, self.window[0] * self.window[1], self.dim),
            self.qkv.weight.dtype,
        )
        batch, tokens, dim = windows.shape
        q, k, v = (
            self.qkv(windows)
            .view(batch, tokens, 3, self.num_heads, dim // self.num_heads)
            .permute(2, 0, 3, 1, 4)
        )
        if mask is not None:
            check_tokens("mask", mask, (None, tokens, tokens))
            if not torch.compiler.is_compiling() and batch % len(
                mask
            ):  # export would fix the batch size
                raise InputError(
                    f"mask must be of windows that divide the {batch} windows, got {len(mask)}."
                )
        dropout = self.attn_drop if self.training else 0.0
        x = attend(
            q, k, v, self.bias(mask, q.dtype), dropout
        )  # the bias is the same for every image
        x = x.transpose(1, 2).flatten(2)  # (B * nW, N, C): heads side by side
        return self.proj_drop(self.proj(x))
