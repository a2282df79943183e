"""A coarse map takes the edges of an image: a guided filter."""

import torch
import torch.nn.functional as F


def window_mean(x, radius):
    """Mean of (B, C, H, W) over the square window around each place, borders repeated."""
    side = 2 * radius + 1
    x = F.avg_pool2d(F.pad(x, (radius, radius, 0, 0), mode="replicate"), (1, side), stride=1)
    return F.avg_pool2d(F.pad(x, (0, 0, radius, radius), mode="replicate"), (side, 1), stride=1)


def follow_edges(weights, image, cells=4, radius=4, ridge=0.005, cap=3.0):
    """(B, rows, columns) weights to a (B, H, W) map with the edges of ``image``: a guided filter.

    In each window the map becomes the linear function of the colours that fits the weights best:
    it changes where they do (He, Sun and Tang, 2013). Windows are fitted on a coarse grid and
    applied to all pixels (He and Sun, 2015).

    Args:
        image: (B, 3, H, W) what the ViT saw, normalised.
        cells: of the coarse grid, per side of a patch. radius: of a window, in cells.
        ridge: keeps slopes small where the colours of a window vary less than this.
        cap: weights are cut at this many times their mean: a bright head would outweigh the wing.
    """
    ones = torch.ones_like(image[:, :1]).float()
    colours, size = torch.cat([image.float(), ones], dim=1), [cells * n for n in weights.shape[1:]]
    weights = torch.minimum(weights, cap * weights.mean(dim=(1, 2), keepdim=True))
    target = F.interpolate(weights[:, None], size, mode="bilinear", align_corners=False)
    x = F.interpolate(colours, size, mode="bilinear", align_corners=False, antialias=True)
    pairs = window_mean((x[:, :, None] * x[:, None]).flatten(1, 2), radius).unflatten(1, (4, 4))
    penalty = torch.diag(x.new_tensor([ridge, ridge, ridge, 0.0]))  # the offset is free
    fit, _ = torch.linalg.solve_ex(  # a small least-squares problem for each window
        pairs.permute(0, 3, 4, 1, 2) + penalty,
        window_mean(x * target, radius).permute(0, 2, 3, 1)[..., None],
    )
    fit = window_mean(fit[..., 0].permute(0, 3, 1, 2), radius)  # a place lies in many windows
    return (F.interpolate(fit, image.shape[-2:], mode="bilinear") * colours).sum(dim=1)
