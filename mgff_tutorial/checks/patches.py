"""Checks of notebook 01: counting tokens, putting patches back, merging by slices, counting
weights.
"""

import math

import torch
import torch.nn.functional as F

from .cases import compare, draw
from .core import exercise


@exercise("Exercise 1.1")
def check_token_grid(token_grid):
    """Grids of images, most with sides that are no multiple of the patch."""
    cases = [(96, 96, 4), (229, 317, 4), (1, 1, 4), (224, 100, 16), (100, 224, 16), (15, 8, 16)]
    cases += [(draw.integer(1, 300), draw.integer(1, 300), draw.integer(2, 16)) for _ in range(10)]
    compare(
        token_grid,
        lambda h, w, p: (math.ceil(h / p), math.ceil(w / p)),
        cases,
        [
            (
                "You round down: the pixels that are left over belong to one more, padded patch.",
                lambda h, w, p: (h // p, w // p),
            ),
            (
                "Rows come first: height belongs to the first number.",
                lambda h, w, p: (math.ceil(w / p), math.ceil(h / p)),
            ),
            (
                "A part of a patch is padded to a whole one: round up, -(-height // patch).",
                lambda h, w, p: (h / p, w / p),
            ),
            (
                "You round to the nearest; what is left over always makes one more patch.",
                lambda h, w, p: (round(h / p), round(w / p)),
            ),
            (
                "Where the side is a multiple of the patch, nothing is left over.",
                lambda h, w, p: (h // p + 1, w // p + 1),
            ),
            (
                "That is the number of tokens; return rows and columns.",
                lambda h, w, p: math.ceil(h / p) * math.ceil(w / p),
            ),
        ],
        describe=lambda h, w, p: f"grid of a {h} x {w} image with patch {p}",
        form="two integers (rows, columns)",
        hint="Along each side, count the patches that are needed to cover all pixels.",
        integers=True,
    )


def _to_rows(image, patch):
    """(3, H, W) -> (patches, 3 * patch * patch), patches row by row."""
    channels, height, width = image.shape
    pieces = image.view(channels, height // patch, patch, width // patch, patch)
    return pieces.permute(1, 3, 0, 2, 4).reshape(-1, channels * patch * patch)


def _back(order, columns_first=False, last=False):
    """`unpatchify` with the axes (row, column, channel, y, x) in another order."""

    def unpatchify(rows, patch, height, width):
        r, c = height // patch, width // patch
        shape = (r, c, patch, patch, 3) if last else (r, c, 3, patch, patch)
        if columns_first:
            shape = (c, r, 3, patch, patch)
        return rows.reshape(shape).permute(order).reshape(3, height, width)

    return unpatchify


@exercise("Exercise 1.2")
def check_unpatchify(unpatchify):
    """The inverse of cutting, on oblong images of distinct numbers."""
    cases = []
    for rows, columns in ((2, 3), (4, 2), (1, 3), (3, 1), tuple(draw.integers(2, 2, 5))):
        patch = draw.integer(2, 5)
        image = draw.normal(3, rows * patch, columns * patch)
        cases.append((_to_rows(image, patch), patch, rows * patch, columns * patch))
    compare(
        unpatchify,
        _back((2, 0, 3, 1, 4)),
        cases,
        [
            (
                "A single reshape cannot do it: the pixels of one image row lie in several "
                "patches. Permute in between.",
                lambda rows, p, h, w: rows.reshape(3, h, w),
            ),
            (
                "Rows and columns inside each patch are exchanged: check the permute.",
                _back((2, 0, 4, 1, 3)),
            ),
            (
                "The patches are laid column by column; `rows` has them row by row.",
                _back((2, 1, 3, 0, 4), columns_first=True),
            ),
            (
                "A line holds (3, patch, patch), the channel first.",
                _back((4, 0, 2, 1, 3), last=True),
            ),
            (
                "The axes are not brought next to each other: a patch row belongs behind the row "
                "of patches that it lies in.",
                _back((2, 0, 1, 3, 4)),
            ),
            (
                "Height and width are exchanged.",
                lambda rows, p, h, w: _back((2, 0, 3, 1, 4))(rows, p, w, h),
            ),
        ],
        describe=lambda rows, p, h, w: f"image of {h} x {w} from patches of {p}",
        form="a (3, height, width) tensor",
        hint="Undo the flattening, (rows, columns, 3, patch, patch), put the axes into the order "
        "(3, rows, patch, columns, patch), then flatten.",
        tolerance=0,
    )


def _merge(x, order=((0, 0), (1, 0), (0, 1), (1, 1)), pad="constant"):
    _, height, width, _ = x.shape
    below, right = height % 2, width % 2
    if pad == "front":
        x = F.pad(x, (0, 0, right, 0, below, 0))
    elif pad == "cut":
        x = x[:, : height - below, : width - right]
    else:
        x = F.pad(x.permute(0, 3, 1, 2), (0, right, 0, below), pad).permute(0, 2, 3, 1)
    return torch.cat([x[:, i::2, j::2] for i, j in order], -1)


@exercise("Exercise 1.3")
def check_merge_by_slices(merge_by_slices):
    """Four slices side by side, in timm's order, on even and odd maps of several channels."""
    sizes = [(2, 4, 6, 2), (1, 6, 2, 3), (1, 3, 5, 1), (3, 4, 3, 2), (2, 5, 4, 3)]
    sizes.append((2, draw.integer(2, 8), draw.integer(2, 8), 2))
    compare(
        merge_by_slices,
        _merge,
        [(draw.normal(*size),) for size in sizes],
        [
            (
                "Your order is itself, right, below, below right; the trained weights expect below "
                "before right.",
                lambda x: _merge(x, ((0, 0), (0, 1), (1, 0), (1, 1))),
            ),
            (
                "Pad below and on the right; yours is padded above and on the left.",
                lambda x: _merge(x, pad="front"),
            ),
            (
                "The last row or column of an odd map is lost; pad with zeros.",
                lambda x: _merge(x, pad="cut"),
            ),
            (
                "Pad with zeros, not with the last row or column.",
                lambda x: _merge(x, pad="replicate"),
            ),
            (
                "Concatenate the slices; their channels are not interleaved.",
                lambda x: _merge(x).unflatten(-1, (4, -1)).mT.flatten(-2),
            ),
            (
                "The slices start in the wrong places: the order is (0, 0), (1, 0), (0, 1), "
                "(1, 1).",
                lambda x: _merge(x, ((1, 1), (0, 1), (1, 0), (0, 0))),
            ),
            ("Even maps need no padding.", lambda x: F.pad(_merge(x), (0, 0, 0, 1, 0, 1))),
        ],
        describe=lambda x: f"merged map of {x.shape[1]} x {x.shape[2]} with {x.shape[3]} channels",
        form="a (B, H/2, W/2, 4C) tensor",
        hint="The slices start at (0, 0), (1, 0), (0, 1) and (1, 1), in this order; odd sides get "
        "zeros below and on the right first.",
        tolerance=0,
    )


@exercise("Exercise 1.4")
def check_embedding_parameters(embedding_parameters):
    """Weights of the patch embedding with its norm: nano, Swin-B, a ViT-like patch, any."""
    cases = [(4, 3, 32), (4, 3, 128), (16, 1, 64)]
    cases += [(draw.integer(2, 16), draw.integer(1, 5), draw.integer(7, 200)) for _ in range(3)]
    compare(
        embedding_parameters,
        lambda p, c, d: d * c * p * p + 3 * d,
        cases,
        [
            ("The biases and the layer norm are missing.", lambda p, c, d: d * c * p * p),
            (
                "That is the projection; the layer norm has a scale and a shift for each channel.",
                lambda p, c, d: d * c * p * p + d,
            ),
            (
                "One bias, one scale and one shift per channel make three times dim.",
                lambda p, c, d: d * c * p * p + 2 * d,
            ),
            ("A patch is patch wide AND patch high.", lambda p, c, d: d * c * p + 3 * d),
            ("Each output reads every channel of the image.", lambda p, c, d: d * p * p + 3 * d),
            (
                "The layer norm works on the dim outputs of the projection, not on the pixels.",
                lambda p, c, d: d * c * p * p + d + 2 * c * p * p,
            ),
            ("There is one bias for each OUTPUT.", lambda p, c, d: d * c * p * p + c + 2 * d),
        ],
        describe=lambda p, c, d: f"parameters for patch {p}, {c} channels, width {d}",
        form="an integer",
        hint="Count a weight for each output and each number of a patch, a bias for each output, "
        "and scale and shift of the norm.",
        integers=True,
    )
