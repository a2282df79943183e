"""Attention inside windows: relative position bias, cyclic shift, mask of regions, and the block.

Shapes: a map is (B, H, W, C); its windows are (B * nW, N, C), nW windows of N = Wh * Ww tokens per
image, image by image, row by row. Source: Liu et al., "Swin Transformer", ICCV 2021, sections 3.2
and 3.3.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .patches import pad_to_multiple
from .support.shapes import is_exporting

for _name in ("pad_to_multiple", "stochastic_depth", "mask_for"):
    torch.fx.wrap(_name)  # they depend on sizes: one step each for those who trace with fx


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


def shift_mask(height, width, window, shift, device=None, value=float("-inf")):
    """What may not be looked at after a shift: (nW, N, N), 0 within a region and -inf between
    regions.

    Added to the attention scores, -inf becomes a weight of exactly 0 after the softmax; another
    ``value``, such as the original authors' -100, one of nearly 0.
    """
    regions = shift_regions(height, width, window, shift, device)
    regions = window_partition(regions[None, :, :, None], window).squeeze(-1)  # (nW, N)
    same = regions[:, :, None] == regions[:, None, :]  # (nW, N, N)
    return torch.zeros(same.shape, device=device).masked_fill(~same, value)


def mask_for(x, mask, grid, window, shift, value):
    """The `shift_mask` of a map (B, H, W, C): ``mask`` where it has the size ``grid``."""
    _, height, width, _ = x.shape
    if (height, width) == grid:
        return mask
    return shift_mask(height, width, window, shift, x.device, value)


def resize_bias_table(table, old_window, new_window):
    """Interpolate a bias table to another window: (old rows, heads) -> (new rows, heads), bicubic.

    Source: Swin paper, section 3.2 ("initialise a model for fine-tuning with a different window
        size").
    """
    if tuple(old_window) == tuple(new_window):
        return table
    (oh, ow), (nh, nw) = [(2 * h - 1, 2 * w - 1) for h, w in (old_window, new_window)]
    grid = table.detach().T.reshape(1, -1, oh, ow).float()
    grid = F.interpolate(grid, size=(nh, nw), mode="bicubic", align_corners=False)
    return grid.reshape(-1, nh * nw).T.contiguous().to(table.dtype)


def attend(q, k, v, bias=None, dropout=0.0):
    """softmax(Q K^T / sqrt(d) + bias) V for (..., N, d), by torch's fused function; as products and
    a softmax where a model is exported, for there torch takes the fused one apart wrongly when the
    bias has a gradient.
    """
    if not is_exporting():
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    weights = (scores if bias is None else scores + bias).softmax(-1)
    return F.dropout(weights, dropout, dropout > 0) @ v


class WindowAttention(nn.Module):
    """Multi-head self-attention inside windows with a relative position bias (W-MSA).

    Attention(Q, K, V) = softmax(Q K^T / sqrt(d) + B) V (Swin paper, equation 4), with d channels
    per head and B read from a learned table of (2 Wh - 1)(2 Ww - 1) rows and one column per head.
    Bias and shift mask are one additive tensor, so that the fused kernel does the rest.

    Args:
        dim: channels C. num_heads: must divide ``dim``. window: (Wh, Ww).
        qkv_bias, attn_drop, proj_drop: as usual.
    """

    def __init__(self, dim, num_heads, window, qkv_bias=True, attn_drop=0.0, proj_drop=0.0):
        super().__init__()
        self.dim, self.num_heads, self.window = dim, num_heads, tuple(window)
        self.attn_drop = attn_drop
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)
        rows = (2 * self.window[0] - 1) * (2 * self.window[1] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        index = relative_position_index(self.window, self.relative_position_bias_table.device)
        self.register_buffer("relative_position_index", index, persistent=False)

    def bias(self, mask=None):
        """The additive tensor: (1, heads, N, N), or with a ``mask`` (nW, N, N) the sum
        (nW, heads, N, N).
        """
        tokens = self.window[0] * self.window[1]
        bias = self.relative_position_bias_table[self.relative_position_index.flatten()]
        bias = bias.T.reshape(1, self.num_heads, tokens, tokens)
        return bias if mask is None else bias + mask[:, None].to(bias.dtype)

    def forward(self, windows, mask=None):
        """Windows (B * nW, N, C) -> (B * nW, N, C); ``mask`` is `shift_mask`'s (nW, N, N) or
        None.
        """
        qkv = self.qkv(windows).unflatten(2, (3, self.num_heads, -1))  # (B * nW, N, 3, heads, d)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B * nW, heads, N, d)
        bias = self.bias(mask).to(q.dtype)
        if mask is not None:  # the same for every image of the batch
            bias = bias.repeat(windows.shape[0] // mask.shape[0], 1, 1, 1)
        dropout = self.attn_drop if self.training else 0.0
        x = attend(q, k, v, bias, dropout)
        x = x.transpose(1, 2).flatten(2)  # (B * nW, N, C): heads side by side
        return self.proj_drop(self.proj(x))


class StochasticDepth(nn.Module):
    """Drop the whole branch of a residual block for some samples of a training batch (Huang et al.,
    2016).

    Args:
        rate: probability of dropping; kept branches are scaled by 1 / (1 - rate).
        listing: draw as the listing of `swin.SwinTransformer` does; the odds are the same.
    """

    def __init__(self, rate, listing=False):
        super().__init__()
        self.rate, self.listing = rate, listing

    def forward(self, x):
        if not self.training or self.rate == 0.0:
            return x
        return stochastic_depth(x, self.rate, self.listing)


def stochastic_depth(x, rate, listing=False):
    """``x`` (B, ...) with some samples set to 0 and the others scaled by 1 / (1 - rate)."""
    kept = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1))
    kept = (1 - rate + kept.uniform_()).floor() if listing else kept.bernoulli_(1 - rate)
    return x * (kept / (1 - rate))


class Mlp(nn.Module):
    """Two linear layers with GELU between them: (..., C) -> (..., C), hidden width ``hidden``."""

    def __init__(self, dim, hidden, drop=0.0):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.drop = nn.Dropout(drop)

    def forward(self, x):
        return self.drop(self.fc2(self.drop(F.gelu(self.fc1(x)))))


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
        listing: the rest of what the listing of `swin.SwinTransformer` has of its own: the window
            stays as large as wanted, so that a smaller map is padded to it, shifted and masked;
            what may not be looked at gets -100.
        norm_layer: what normalises, built with the channels.
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
        listing=False,
        norm_layer=nn.LayerNorm,
    ):
        super().__init__()
        self.shifted, self.pad_first, self.listing = shifted, pad_first or listing, listing
        self.forbidden = -100.0 if listing else float("-inf")
        self._fit_window(grid, window)
        self.norm1 = norm_layer(dim)
        self.attn = WindowAttention(dim, num_heads, self.window, qkv_bias, attn_drop, proj_drop)
        self.norm2 = norm_layer(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), proj_drop)
        self.drop_path = StochasticDepth(drop_path, listing)
        self.register_buffer("attn_mask", None, persistent=False)
        self.init_non_persistent_buffers()

    def _fit_window(self, grid, window):
        pairs = [(w if self.listing else min(g, w), g > w) for g, w in zip(grid, window)]
        self.window = tuple(w for w, _ in pairs)
        self.shift = tuple(
            w // 2 if self.shifted and (larger or self.listing) else 0 for w, larger in pairs
        )
        self.mask_grid = tuple(-(-g // w) * w for g, w in zip(grid, self.window))

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
        device, mask = self.attn.proj.bias.device, None
        if any(self.shift):
            mask = shift_mask(*self.mask_grid, self.window, self.shift, device, self.forbidden)
        self.attn.relative_position_index = relative_position_index(self.window, device)
        self.attn_mask = mask

    def attention(self, x):
        """(Shifted) window attention on a normalised map (B, H, W, C) of any size."""
        _, height, width, _ = x.shape
        (sh, sw), shifted = self.shift, any(self.shift)
        if self.pad_first:
            x = pad_to_multiple(x, self.window)
        if shifted:
            x = torch.roll(x, (-sh, -sw), dims=(1, 2))
        _, inner_height, inner_width, _ = x.shape
        x = pad_to_multiple(x, self.window)
        _, padded_height, padded_width, _ = x.shape
        # a map of another size than the block was built for gets a mask of its own
        built_for = self.mask_grid, self.window, self.shift, self.forbidden
        mask = mask_for(x, self.attn_mask, *built_for) if shifted else None
        windows = self.attn(window_partition(x, self.window), mask)
        x = window_reverse(windows, self.window, padded_height, padded_width)
        x = x[:, :inner_height, :inner_width]
        if shifted:
            x = torch.roll(x, (sh, sw), dims=(1, 2))
        return x[:, :height, :width]

    def forward(self, x):
        x = x + self.drop_path(self.attention(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))
