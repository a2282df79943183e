"""Learns from annotated boxes which direction among a ViT's tokens means "object".

A box says more than that its middle is full: each row and each column that it crosses holds a piece
of the object, and nothing outside it does. So of every row and column of patches the highest
probability is compared with the box (the projection loss of BoxInst, Tian et al., 2021), and the
corners of the box, which are often sky, are not called object.
"""

import torch
import torch.nn.functional as F

from ..cropper import resize
from ..evaluation.boxes import as_pixels
from ..response import record_attention
from ..support.directions import Direction


def shadows(boxes, grid):
    """Which rows and columns of a grid (rows, columns) the boxes cross, by the middles of the
    patches: (N, rows) and (N, columns), 1 or 0. ``boxes`` (N, 4) xyxy, in shares of the image.
    """
    middles = [(torch.arange(n) + 0.5) / n for n in grid]
    pairs = ((middles[0], boxes[:, 1::2]), (middles[1], boxes[:, 0::2]))
    return [((m >= edge[:, :1]) & (m < edge[:, 1:])).float() for m, edge in pairs]


def dice(p, q):
    """One minus twice the overlap of two rows of numbers over their sizes: 0 where equal, (N,)."""
    return 1 - 2 * (p * q).sum(1) / (p.square().sum(1) + q.square().sum(1)).clamp(min=1e-6)


def fit_direction(tokens, boxes, grid, steps=300, decay=1e-3, made_for=None):
    """A `Direction` that tells the patches of the boxed objects from all others.

    Args:
        tokens: (N, rows * columns, C) final tokens of the patches.
        boxes: (N, 4) xyxy in shares of the image, from 0 to 1.
        grid: (rows, columns).
        steps: of Adam, from zero, on all images at once: the result is the same every time.
        decay: weight of the squared length of the direction, in units of the tokens' deviation.
        made_for: timm's name of the ViT.
    """
    tokens = F.normalize(tokens.float(), dim=-1)
    mean, deviation = tokens.mean((0, 1)), tokens.flatten(0, 1).std(0).clamp(min=1e-6)
    x, (rows, columns) = (tokens - mean) / deviation, shadows(boxes, grid)
    outside = 1 - (rows[:, :, None] * columns[:, None]).flatten(1)
    slopes = torch.zeros(x.shape[-1], requires_grad=True)
    offset = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.Adam([slopes, offset], lr=0.02)
    for _ in range(steps):
        p = (x @ slopes + offset).sigmoid()
        p_grid = p.unflatten(1, grid)
        loss = dice(p_grid.amax(2), rows).mean() + dice(p_grid.amax(1), columns).mean()
        loss = loss + 0.5 * (p * outside).mean() + decay * slopes.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    slopes, offset = slopes.detach() / deviation, offset.detach()
    return Direction(slopes, float(offset - mean @ slopes), made_for)


@torch.no_grad()
def learn_direction(cropper, dataset, batch_size=8, **options):
    """`fit_direction` on the images of a data set with boxes, as a `ViTCropper` shows them to its
    ViT. ``options``: of `fit_direction`.
    """
    mean, std = (torch.tensor(v)[:, None, None] for v in (cropper.mean, cropper.std))
    tokens, sizes, grid = [], [], None
    for start in range(0, len(dataset), batch_size):
        pictures = [dataset.image(i) for i in range(start, min(start + batch_size, len(dataset)))]
        x = torch.stack([resize(as_pixels(p.convert("RGB")), cropper.input_size) for p in pictures])
        record = record_attention(cropper.vit, (x - mean) / std, 1)
        tokens.append(record.tokens[:, record.prefix :])
        sizes += [2 * picture.size for picture in pictures]
        grid = record.grid
    with torch.enable_grad():
        return fit_direction(
            torch.cat(tokens), dataset.boxes / torch.tensor(sizes), grid, **options
        )
