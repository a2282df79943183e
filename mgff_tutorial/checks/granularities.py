"""Checks of notebook 05: weights of an alignment, the alignment itself, and the pixels behind a
node.
"""

import torch
import torch.nn.functional as F

from .core import ask, exercise, expect, expect_close, expect_shape


@exercise("Exercise 5.1")
def check_align_weights(align_weights):
    """Compare counts for the three convolutions of Swin-B at 384 and for one with two different
    sizes.
    """
    for c, d, ratio in ((256, 1024, 4), (512, 1024, 2), (1024, 1024, 1), (3, 5, 7)):
        got, right = ask(align_weights, c, d, ratio), c * d * ratio**2 + d
        hints = {
            c * d * ratio**2: "The biases are missing: one for each of the outgoing channels.",
            c * d * ratio**2 + c: "There is one bias for each OUTGOING channel.",
            c * d * ratio + d: "The kernel is ratio wide AND ratio high.",
            c * d * ratio: "The kernel is ratio wide AND ratio high, and each outgoing channel "
            "has a bias.",
            ratio**2
            * (c + d): "Every outgoing channel reads every incoming channel: multiply them.",
            c * ratio**2 + d: "Each of the outgoing channels has a kernel of its own.",
        }
        expect(
            got == right,
            f"{c} to {d} channels, ratio {ratio}: expected {right} weights, got {got}. "
            f"{hints.get(got, '')}".rstrip(),
        )


@exercise("Exercise 5.2", points=2)
def check_patch_conv(patch_conv):
    """Compare with a strided convolution, on maps that are neither square nor of equal channel
    counts.
    """
    generator = torch.Generator().manual_seed(0)
    for ratio in (1, 2, 3):
        x = torch.randn(2, 5, 2 * ratio, 4 * ratio, generator=generator)
        weight, bias = (
            torch.randn(6, 5, ratio, ratio, generator=generator),
            torch.randn(6, generator=generator),
        )
        got, right = ask(patch_conv, x, weight, bias), F.conv2d(x, weight, bias, stride=ratio)
        what = f"kernel = stride = {ratio} on a map of {2 * ratio} x {4 * ratio}"
        hint = ""
        if isinstance(got, torch.Tensor) and got.shape == (2, 8, 6):
            hint = "You return tokens (B, positions, channels); a map is (B, channels, H, W)."
        elif isinstance(got, torch.Tensor) and got.shape == (2, 6, 4, 2):
            hint = "Rows and columns of the result are exchanged."
        expect_shape(what, got, right.shape, hint)
        close = [
            torch.allclose(got, candidate, atol=1e-4)
            for candidate in (
                F.conv2d(x, weight, None, stride=ratio),
                F.conv2d(x, weight.transpose(2, 3), bias, stride=ratio),
                F.conv2d(x, weight.flip(2, 3), bias, stride=ratio),
            )
        ]
        hints = [
            "The bias is missing.",
            "Rows and columns inside each patch are exchanged: check the permute.",
            "The kernel is turned round: a convolution in deep learning does not flip it.",
        ]
        for fits, text in zip(close, hints):
            if fits and ratio > 1 or (fits and text.startswith("The bias")):
                hint = text
                break
        else:
            hint = (
                "Inside a patch the order must be (channel, row, column), that of "
                "weight.flatten(1)."
            )
        expect_close(what, got, right, 1e-4, hint)


@exercise("Exercise 5.3")
def check_node_box(node_box):
    """Nodes on a grid that is not square, with all the ways to exchange or miscount."""
    cases = [
        ((0, 0), (3, 3), (96, 96)),
        ((1, 2), (3, 3), (96, 96)),
        ((2, 1), (4, 8), (128, 160)),
        ((11, 0), (12, 12), (384, 384)),
    ]
    for (row, column), grid, size in cases:
        got = ask(node_box, row, column, grid, size)
        height, width = size[0] / grid[0], size[1] / grid[1]
        right = (column * width, row * height, (column + 1) * width, (row + 1) * height)
        hint = ""
        try:
            got = tuple(float(v) for v in got)
        except TypeError:
            expect(False, f"expected four numbers (x0, y0, x1, y1), got {type(got).__name__}.")
        if len(got) == 4 and got != right:
            if got == (right[1], right[0], right[3], right[2]):
                hint = "x and y are exchanged: columns go with x."
            elif got[:2] == right[:2] and got[2:] == (width, height):
                hint = "You return width and height; the last two numbers are the far corner."
            elif got == (row * width, column * height, (row + 1) * width, (column + 1) * height):
                hint = "x comes from the column, y from the row."
        expect(
            len(got) == 4 and all(abs(a - b) < 1e-6 for a, b in zip(got, right)),
            f"node ({row}, {column}) of a {grid[0]} x {grid[1]} grid on {size[0]} x {size[1]} "
            f"pixels: expected "
            f"{right}, got {got}. {hint}".rstrip(),
        )
