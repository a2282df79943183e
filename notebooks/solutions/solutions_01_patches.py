"""Solutions of notebook 01, patches."""

import torch
import torch.nn.functional as F


def token_grid(height, width, patch):
    """Exercise 1.1. Round up: what is left over at the border is padded to one more patch."""
    return -(-height // patch), -(-width // patch)


def unpatchify(rows, patch, height, width):
    """Exercise 1.2. Undo the flattening, bring each patch row next to its image row, and flatten
    again.
    """
    pieces = rows.view(height // patch, width // patch, 3, patch, patch)  # (rows, columns, 3, p, p)
    return pieces.permute(2, 0, 3, 1, 4).reshape(3, height, width)  # (3, rows, p, columns, p)


def merge_by_slices(x):
    """Exercise 1.3. Every second row and column, from four starting points; below comes before
    right.
    """
    x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
    corners = x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]
    return torch.cat(corners, dim=-1)


def embedding_parameters(patch, channels, dim):
    """Exercise 1.4. A weight for each pixel of the patch and each output, a bias, and scale and
    shift of the norm.
    """
    return dim * channels * patch * patch + dim + 2 * dim
