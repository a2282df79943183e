"""Checks of notebook 01: counting tokens, putting patches back, merging by slices, counting
weights.
"""

import torch

from .core import ask, exercise, expect, expect_close, expect_equal, expect_shape


@exercise("Exercise 1.1")
def check_token_grid(token_grid):
    """Grids of images, among them some whose sides are no multiple of the patch."""
    for height, width, patch, expected in (
        (96, 96, 4, (24, 24)),
        (384, 384, 4, (96, 96)),
        (229, 317, 4, (58, 80)),
        (1, 1, 4, (1, 1)),
        (224, 100, 16, (14, 7)),
    ):
        got = ask(token_grid, height, width, patch)
        expect(
            isinstance(got, (tuple, list, torch.Size)) and len(got) == 2,
            f"expected two integers (rows, columns), got {got!r}.",
        )
        hint = ""
        if tuple(got) == (height // patch, width // patch):
            hint = "You round down: the pixels that are left over belong to one more, padded patch."
        elif tuple(got) == expected[::-1]:
            hint = "Rows come first: height belongs to the first number."
        elif any(isinstance(v, float) for v in got):
            hint = "Use integers: -(-height // patch) rounds up without floats."
        expect(
            not any(isinstance(v, float) for v in got),
            f"{height} x {width}: expected integers, got {got}. {hint}",
        )
        expect_equal(
            f"grid of a {height} x {width} image with patch {patch}", tuple(got), expected, hint
        )


@exercise("Exercise 1.2")
def check_unpatchify(unpatchify):
    """The inverse of cutting, on an oblong image of distinct numbers."""
    height, width, patch = 8, 12, 4
    image = torch.arange(3.0 * height * width).view(3, height, width)
    pieces = image.view(3, height // patch, patch, width // patch, patch)
    rows = pieces.permute(1, 3, 0, 2, 4).reshape(-1, 3 * patch * patch)
    got = ask(unpatchify, rows, patch, height, width)
    expect_shape("the image", got, (3, height, width))
    hint = ""
    if torch.equal(got, rows.reshape(3, height, width)):
        hint = (
            "A single reshape cannot do it: the pixels of one image row lie in several "
            "patches. Permute in between."
        )
    elif torch.equal(got.flatten().sort().values, image.flatten()):
        hint = (
            "All pixels are there, some in the wrong place: check the order of the axes before "
            "the last reshape."
        )
    expect_close("the image put together again", got, image, 0, hint)


@exercise("Exercise 1.3")
def check_merge_by_slices(merge_by_slices):
    """Four slices side by side, in timm's order, on distinct numbers and an odd map."""
    x = torch.arange(2 * 4 * 6 * 2.0).view(2, 4, 6, 2)
    expected = x.view(2, 2, 2, 3, 2, 2).permute(0, 1, 3, 4, 2, 5).reshape(2, 2, 3, 8)
    got = ask(merge_by_slices, x)
    expect_shape(
        "merged map",
        got,
        expected.shape,
        "Each slice x[:, i::2, j::2] has half the rows and columns.",
    )
    other = x.view(2, 2, 2, 3, 2, 2).permute(0, 1, 3, 2, 4, 5).reshape(2, 2, 3, 8)
    hint = ""
    if torch.equal(got, other):
        hint = (
            "Your order is itself, right, below, below right; the trained weights expect below "
            "before right."
        )
    expect_close("merged map", got, expected, 0, hint)
    odd = torch.ones(1, 3, 5, 1)
    got = ask(merge_by_slices, odd)
    expect_shape(
        "merged 3 x 5 map", got, (1, 2, 3, 4), "Pad a row or column of zeros where the side is odd."
    )
    expect_equal(
        "ones in the merged 3 x 5 map",
        int(got.sum()),
        15,
        "Pad with zeros, below and to the right.",
    )


@exercise("Exercise 1.4")
def check_embedding_parameters(embedding_parameters):
    """Weights of the patch embedding with its norm: nano, Swin-B, and a ViT-like patch."""
    for patch, channels, dim in ((4, 3, 32), (4, 3, 128), (16, 1, 64)):
        weight, got = (
            dim * channels * patch * patch,
            ask(embedding_parameters, patch, channels, dim),
        )
        hint = {
            weight: "The biases and the layer norm are missing.",
            weight + dim: "That is the projection; the layer norm has a scale and a shift for "
            "each channel.",
            weight + 2 * dim: "One bias, one scale and one shift a channel make three times dim.",
        }.get(got, "")
        expect_equal(
            f"parameters for patch {patch}, {channels} channels, width {dim}",
            got,
            weight + 3 * dim,
            hint,
        )
