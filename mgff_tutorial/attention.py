"""The two attentions of MGFF: which positions a position listens to, and which channels count.

MGFF paper, section 3.2: A' = softmax(Q K^T / sqrt(d) + E_pos), I = A' V, then s = sigmoid(W2
    relu(W1 mean(x))), x s.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .align import MapNorm, check_map
from .patches import to_pair
from .support.attend import attend
from .support.errors import InputError, check_number
from .support.linear import Linear
from .windows import relative_position_index


class SpatialSelfAttention(nn.Module):
    """Global self-attention over the positions of one map: (B, C, H, W) -> (B, C, H, W).

    The paper's text to the letter is the default here: one head, d = C, no residual, no output
    projection. E_pos is open there; reading: Swin's relative position bias, one number a head for
    each of the (2H-1)(2W-1) offsets.

    Args:
        dim: channels C. grid: (H, W).
        heads: number of heads; d = C / heads.
        position_bias: whether E_pos is there.
        residual: add the input to the result.
        norm: layer norm of the input before Q, K and V.
        projection: whether a linear layer mixes the heads afterwards.
        identity_start: let what is added to the residual start at zero: the projection, or V where
            there is none.

    Raises:
        InputError: ``heads`` doesn't divide ``dim``; in ``forward``, a map of another shape.
    """

    def __init__(
        self,
        dim,
        grid,
        heads=1,
        position_bias=True,
        residual=False,
        norm=False,
        projection=False,
        identity_start=False,
    ):
        super().__init__()
        check_number("dim", dim, 1, whole=True)
        grid = to_pair(grid, "grid")
        if not isinstance(heads, int) or heads < 1 or dim % heads:
            raise InputError(
                f"heads must be a positive integer that divides dim={dim}, got {heads!r}."
            )
        if identity_start and not residual:
            raise InputError(
                "identity_start needs residual=True: without it a zero start would erase the map."
            )
        self.dim, self.grid, self.heads, self.residual = dim, grid, heads, residual
        self.norm = MapNorm(dim) if norm else nn.Identity()
        self.qkv = init_linear(Linear(dim, 3 * dim))
        self.relative_position_bias_table = None
        if position_bias:
            h, w = self.grid
            self.relative_position_bias_table = nn.Parameter(
                torch.zeros((2 * h - 1) * (2 * w - 1), heads)
            )
            nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
            self.register_buffer(
                "position_index", relative_position_index(self.grid), persistent=False
            )
        self.proj = init_linear(Linear(dim, dim)) if projection else nn.Identity()
        if identity_start:
            nn.init.zeros_(self.proj.weight if projection else self.qkv.weight[2 * dim :])

    def position_bias(self):
        """E_pos as (heads, H W, H W), or None."""
        if self.relative_position_bias_table is None:
            return None
        n = self.grid[0] * self.grid[1]
        return self.relative_position_bias_table[self.position_index.flatten()].T.reshape(
            self.heads, n, n
        )

    def forward(self, x, return_attention=False):
        """(B, C, H, W) -> (B, C, H, W), and with ``return_attention`` also A' as (B, heads, H W, H
        W).
        """
        check_map(x, self.dim, self.grid, self.qkv.weight.dtype)
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # B, N, C
        qkv = self.qkv(tokens).unflatten(2, (3, self.heads, -1))  # B, N, 3, heads, d
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each B, heads, N, d
        bias = self.position_bias()
        if bias is not None:
            bias = bias.to(q.dtype)
        if return_attention:
            scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
            attention = (scores if bias is None else scores + bias).softmax(-1)
            out = attention @ v
        else:
            out = attend(q, k, v, None if bias is None else bias[None])
        out = self.proj(out.transpose(1, 2).flatten(2))  # B, N, C
        out = out.transpose(1, 2).unflatten(2, self.grid)
        out = x + out if self.residual else out
        return (out, attention) if return_attention else out


class ChannelAttention(nn.Module):
    """Squeeze and excitation (Hu et al., 2018): one weight a channel from the mean over positions.

    s = sigmoid(W2 relu(W1 mean_HW(x))), result x * s; without biases, as in the paper's equation.

    Args:
        dim: channels C. reduction: r; the squeezed width is C / r (at least 1).
        identity_start: use 2 * sigmoid and W2 = 0 at the start, so that all weights begin at
            exactly 1.
    """

    def __init__(self, dim, reduction=16, identity_start=False):
        super().__init__()
        for name, value in (("dim", dim), ("reduction", reduction)):
            check_number(name, value, 1, whole=True)
        self.dim, self.scale = dim, 2.0 if identity_start else 1.0
        self.squeeze = init_linear(nn.Linear(dim, max(dim // reduction, 1), bias=False))
        self.excite = init_linear(nn.Linear(max(dim // reduction, 1), dim, bias=False))
        if identity_start:
            nn.init.zeros_(self.excite.weight)

    def weights(self, x):
        """Map (B, C, H, W) -> the weight of each channel, (B, C)."""
        return self.scale * self.excite(F.relu(self.squeeze(x.mean((2, 3))))).sigmoid()

    def forward(self, x):
        check_map(x, self.dim, (None, None), self.excite.weight.dtype)
        return x * self.weights(x)[:, :, None, None]


def init_linear(layer):
    """Truncated normal weights of deviation 0.02 and zero bias, as in Swin; returns the layer."""
    nn.init.trunc_normal_(layer.weight, std=0.02)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
