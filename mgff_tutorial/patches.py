"""From pixels to tokens: the patch embedding, and the merging that halves the grid between stages.

Every map of tokens in this package is (B, H, W, C): batch, rows, columns, channels. Channels lie
next to each other in memory, so a linear layer or a layer norm reads a token in one sweep.
Source: Liu et al., "Swin Transformer", ICCV 2021, section 3.1 (MGFF paper, section 3.1).
"""

import torch
import torch.nn.functional as F
from torch import nn

from .support.errors import InputError, check_number
from .support.linear import Linear, linear


def to_pair(value, name):
    """``7`` -> (7, 7) and ``(7, 14)`` -> (7, 14): sizes are (height, width), positive integers.

    Raises:
        InputError: ``value`` is neither a positive integer nor a pair of them.
    """
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(
        isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in pair
    ):
        raise InputError(
            f"{name} must be a positive integer or a pair (height, width) of them, got {value!r}."
        )
    return pair


def check_images(x, channels, dtype=None):
    """Fail in one sentence unless ``x`` is a batch of images (B, channels, H, W) of floating-point
    numbers.

    Args:
        x: what the caller passed as images.
        channels: how many channels the first layer takes.
        dtype: the dtype of the weights, which the images must share (None: any floating dtype).
            Under autocast, which converts between all but float64, they need not.

    Raises:
        TypeError: not a tensor. InputError: wrong rank, channels, size or dtype.
    """
    if not isinstance(x, torch.Tensor):
        raise TypeError(
            f"images must be a tensor of shape (B, {channels}, H, W), got {type(x).__name__}."
        )
    if x.ndim != 4:
        raise InputError(
            f"images must have 4 dimensions (B, {channels}, H, W), got shape {tuple(x.shape)}."
        )
    if x.shape[1] != channels:
        raise InputError(
            f"images must have {channels} channels in dimension 1, got shape {tuple(x.shape)}."
        )
    if x.shape[2] < 1 or x.shape[3] < 1:
        raise InputError(f"images must be at least 1 x 1 pixels, got shape {tuple(x.shape)}.")
    if not x.is_floating_point():
        raise InputError(
            f"images must hold floating-point numbers, got {x.dtype}; convert and normalise "
            f"them first."
        )
    check_dtype("images", x, dtype)


def check_dtype(name, x, dtype):
    """Fail in one sentence unless the floating-point tensor ``x`` can meet weights of ``dtype``
    (None: any).
    """
    device = x.device.type
    autocast = dtype is not None and device != "meta" and torch.is_autocast_enabled(device)
    if autocast and dtype not in (torch.float32, torch.float64, torch.get_autocast_dtype(device)):
        raise InputError(
            f"{name} meet weights of {dtype} under autocast to "
            f"{torch.get_autocast_dtype(device)}; keep the "
            "weights in float32."
        )
    if (
        dtype is not None
        and x.dtype != dtype
        and (not autocast or torch.float64 in (x.dtype, dtype))
    ):
        raise InputError(
            f"{name} have dtype {x.dtype} but the weights have {dtype}; convert one of them "
            f"with .to()."
        )


def check_tokens(name, x, shape, dtype=None):
    """Fail in one sentence unless ``x`` is a floating-point tensor of ``shape``, where None stands
    for any number.

    Args:
        name: what the tensor is called in the message. dtype: that of the weights, see
            `check_dtype`.

    Raises:
        TypeError: not a tensor. InputError: another shape or dtype.
    """
    if not isinstance(x, torch.Tensor):
        raise TypeError(
            f"{name} must be a tensor of shape {_wanted(shape)}, got {type(x).__name__}."
        )
    if x.ndim != len(shape) or any(
        side is not None and side != got for side, got in zip(shape, x.shape)
    ):
        raise InputError(f"{name} must have shape {_wanted(shape)}, got {tuple(x.shape)}.")
    if not x.is_floating_point():
        raise InputError(f"{name} must hold floating-point numbers, got {x.dtype}.")
    check_dtype(name, x, dtype)


def _wanted(shape):
    return "(" + ", ".join("any" if side is None else str(side) for side in shape) + ")"


def pad_to_multiple(x, multiple):
    """Zeros below and to the right of a map (B, H, W, C), so that its sides are multiples of
    (height, width).
    """
    below, right = -x.shape[1] % multiple[0], -x.shape[2] % multiple[1]
    return F.pad(x, (0, 0, 0, right, 0, below)) if below or right else x


class PatchEmbed(nn.Module):
    """Cut the image into patches and project each to one token: (B, 3, H, W) -> (B, H/4, W/4, C).

    The projection is kept as a convolution with kernel = stride = patch (that is its name in every
    checkpoint)
    and computed as what it is: each patch flattened to one row, times one matrix. Images whose
    sides are no multiple of the patch are padded with zeros below and to the right.

    Args:
        patch_size: side of a patch in pixels, or (height, width).
        in_chans: channels of the image.
        embed_dim: channels of a token.

    Source: Swin paper, section 3.1, "patch partition" and "linear embedding".
    """

    def __init__(self, patch_size=4, in_chans=3, embed_dim=96):
        super().__init__()
        self.patch_size = to_pair(patch_size, "patch_size")
        for name, value in (("in_chans", in_chans), ("embed_dim", embed_dim)):
            check_number(name, value, 1, whole=True)
        self.proj = nn.Conv2d(
            in_chans, embed_dim, kernel_size=self.patch_size, stride=self.patch_size
        )
        self.norm = nn.LayerNorm(embed_dim)

    def forward(self, x):
        check_images(x, self.proj.in_channels, self.proj.weight.dtype)
        (height, width), (p, q) = x.shape[-2:], self.patch_size
        if height % p or width % q:
            x = F.pad(x, (0, -width % q, 0, -height % p))
        x = x.unflatten(3, (-1, q)).unflatten(2, (-1, p))  # (B, 3, H/4, 4, W/4, 4)
        x = x.permute(0, 2, 4, 1, 3, 5).flatten(3)  # (B, H/4, W/4, 3*4*4): one row a patch
        x = linear(x, self.proj.weight.flatten(1), self.proj.bias)
        return self.norm(x)


class PatchMerging(nn.Module):
    """Four neighbouring tokens become one of twice the channels: (B, H, W, C) -> (B, H/2, W/2, 2C).

    The 2 x 2 tokens are laid side by side (4C), normalised and projected to 2C. A map of odd height
    or width is padded with one row or column of zeros.

    Args:
        dim: channels C of the incoming tokens.

    Source: Swin paper, section 3.1, "patch merging".
    """

    def __init__(self, dim):
        super().__init__()
        self.dim = check_number("dim", dim, 1, whole=True)
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        check_tokens("tokens", x, (None, None, None, self.dim), self.reduction.weight.dtype)
        x = pad_to_multiple(x, (2, 2))
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # (B, H/2, 2, W/2, 2, C)
        x = x.permute(0, 1, 3, 4, 2, 5).flatten(
            3
        )  # (B, H/2, W/2, 4C): column before row, as in timm
        return self.reduction(self.norm(x))
