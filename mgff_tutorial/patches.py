"""From pixels to tokens: the patch embedding, and the merging that halves the grid between stages.

Every map of tokens in this package is (B, H, W, C): batch, rows, columns, channels. Channels lie
next to each other in memory, so a linear layer or a layer norm reads a token in one sweep.
Source: Liu et al., "Swin Transformer", ICCV 2021, section 3.1 (MGFF paper, section 3.1).
"""

import torch
import torch.nn.functional as F
from torch import nn

from .support.shapes import to_pair


def pad_to_multiple(x, multiple):
    """Zeros below and to the right of a map (B, H, W, C), so that its sides are multiples of
    (height, width).
    """
    below, right = -x.shape[1] % multiple[0], -x.shape[2] % multiple[1]
    return F.pad(x, (0, 0, 0, right, 0, below)) if below or right else x


torch.fx.wrap("pad_to_multiple")  # it depends on sizes: one step for those who trace with fx


class PatchEmbed(nn.Module):
    """Cut the image into patches and project each to one token: (B, 3, H, W) -> (B, H/4, W/4, C).

    A convolution with kernel = stride = patch does both at once: it is each patch flattened to one
    row, times one matrix. Images whose sides are no multiple of the patch are padded with zeros
    below and to the right.

    Args:
        patch_size: side of a patch in pixels, or (height, width).
        in_chans: channels of the image.
        embed_dim: channels of a token.
        norm_layer: what normalises the tokens, or None.

    Source: Swin paper, section 3.1, "patch partition" and "linear embedding".
    """

    def __init__(self, patch_size=4, in_chans=3, embed_dim=96, norm_layer=nn.LayerNorm):
        super().__init__()
        self.patch_size = to_pair(patch_size, "patch_size")
        self.proj = nn.Conv2d(in_chans, embed_dim, self.patch_size, stride=self.patch_size)
        self.norm = norm_layer(embed_dim) if norm_layer else nn.Identity()

    def forward(self, x):
        x = pad_to_multiple(x.permute(0, 2, 3, 1), self.patch_size)  # (B, H, W, 3)
        x = self.proj(x.permute(0, 3, 1, 2))  # (B, C, H/4, W/4)
        return self.norm(x.permute(0, 2, 3, 1))  # (B, H/4, W/4, C)


class PatchMerging(nn.Module):
    """Four neighbouring tokens become one of twice the channels: (B, H, W, C) -> (B, H/2, W/2, 2C).

    The 2 x 2 tokens are laid side by side (4C), normalised and projected to 2C. A map of odd height
    or width is padded with one row or column of zeros.

    Args:
        dim: channels C of the incoming tokens. norm_layer: what normalises the four.

    Source: Swin paper, section 3.1, "patch merging".
    """

    def __init__(self, dim, norm_layer=nn.LayerNorm):
        super().__init__()
        self.norm = norm_layer(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        x = pad_to_multiple(x, (2, 2))
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # (B, H/2, 2, W/2, 2, C)
        # timm's order of the four: column before row
        x = x.permute(0, 1, 3, 4, 2, 5).flatten(3)  # (B, H/2, W/2, 4C)
        return self.reduction(self.norm(x))
