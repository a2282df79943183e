"""The two attentions of MGFF: which positions a position listens to, and which channels count.

MGFF paper, section 3.2: A' = softmax(Q K^T / sqrt(d) + E_pos), I = A' V, then
s = sigmoid(W2 relu(W1 mean(x))), x s.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .align import MapNorm
from .windows import attend, relative_position_index


class SpatialSelfAttention(nn.Module):
    """Global self-attention over the positions of one map: (B, C, H, W) -> (B, C, H, W).

    The paper's text to the letter is the default here: one head, d = C, no residual. E_pos is open
    there; reading: Swin's relative position bias, one number per head for each of the
    (2H-1)(2W-1) offsets.

    Args:
        dim: channels C. grid: (H, W).
        heads: number of heads, a divisor of C; d = C / heads.
        position_bias: whether E_pos is there.
        residual: add the input to the result.
        norm: layer norm of the input before Q, K and V.
        identity_start: let V, and with it what is added to the residual, start at zero.
    """

    def __init__(
        self,
        dim,
        grid,
        heads=1,
        position_bias=True,
        residual=False,
        norm=False,
        identity_start=False,
    ):
        super().__init__()
        self.grid, self.heads, self.residual = tuple(grid), heads, residual
        self.norm = MapNorm(dim) if norm else nn.Identity()
        self.qkv = init_linear(nn.Linear(dim, 3 * dim))
        self.relative_position_bias_table = None
        if position_bias:
            rows = (2 * self.grid[0] - 1) * (2 * self.grid[1] - 1)
            self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, heads))
            nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
            self.register_buffer(
                "position_index", relative_position_index(self.grid), persistent=False
            )
        if identity_start:
            nn.init.zeros_(self.qkv.weight[2 * dim :])

    def position_bias(self):
        """E_pos as (heads, H W, H W), or None."""
        if self.relative_position_bias_table is None:
            return None
        n = self.grid[0] * self.grid[1]
        bias = self.relative_position_bias_table[self.position_index.flatten()]
        return bias.T.reshape(self.heads, n, n)

    def forward(self, x, return_attention=False):
        """(B, C, H, W) -> (B, C, H, W), and with ``return_attention`` also A' as
        (B, heads, H W, H W).
        """
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # (B, N, C)
        qkv = self.qkv(tokens).unflatten(2, (3, self.heads, -1))  # (B, N, 3, heads, d)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, N, d)
        bias = self.position_bias()
        bias = None if bias is None else bias.to(q.dtype)
        if return_attention:
            scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
            attention = (scores if bias is None else scores + bias).softmax(-1)
            out = attention @ v
        else:
            out = attend(q, k, v, bias)
        out = out.transpose(1, 2).flatten(2)  # (B, N, C): heads side by side
        out = out.transpose(1, 2).unflatten(2, self.grid)  # (B, C, H, W)
        out = x + out if self.residual else out
        return (out, attention) if return_attention else out


class ChannelAttention(nn.Module):
    """Squeeze and excitation (Hu et al., 2018): one weight per channel from the mean over
    positions.

    s = sigmoid(W2 relu(W1 mean_HW(x))), result x * s; without biases, as in the paper's equation.

    Args:
        dim: channels C. reduction: r; the squeezed width is C / r (at least 1).
        identity_start: use 2 * sigmoid and W2 = 0 at the start, so that all weights begin at
            exactly 1.
    """

    def __init__(self, dim, reduction=16, identity_start=False):
        super().__init__()
        self.scale = 2.0 if identity_start else 1.0
        self.squeeze = init_linear(nn.Linear(dim, max(dim // reduction, 1), bias=False))
        self.excite = init_linear(nn.Linear(max(dim // reduction, 1), dim, bias=False))
        if identity_start:
            nn.init.zeros_(self.excite.weight)

    def weights(self, x):
        """Map (B, C, H, W) -> the weight of each channel, (B, C)."""
        return self.scale * self.excite(F.relu(self.squeeze(x.mean((2, 3))))).sigmoid()

    def forward(self, x):
        return x * self.weights(x)[:, :, None, None]


def init_linear(layer):
    """Truncated normal weights of deviation 0.02 and zero bias, as in Swin; returns the layer."""
    nn.init.trunc_normal_(layer.weight, std=0.02)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
