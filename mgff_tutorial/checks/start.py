"""Checks of notebook 00: top-k accuracy and a looser box."""

import torch

from .core import ask, exercise, expect, expect_close


@exercise("Exercise 0.1")
def check_top_k(top_k_accuracy):
    """Compare with counts made by hand on four images and three classes."""
    probabilities = torch.tensor(
        [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.5, 0.3], [0.5, 0.1, 0.4]]
    )
    labels = torch.tensor([0, 2, 2, 1])
    for k, expected in ((1, 0.25), (2, 0.75), (3, 1.0)):
        got = ask(top_k_accuracy, probabilities, labels, k)
        if isinstance(got, torch.Tensor) and got.numel() != 1:
            expect(
                False,
                f"expected one number, got a tensor of shape {tuple(got.shape)}; take the mean "
                f"over images.",
            )
        got = float(got)
        hint = ""
        if abs(got - expected * len(labels)) < 1e-6:
            hint = "You return a count; divide by the number of images."
        elif k > 1 and abs(got - expected / k) < 1e-6:
            hint = (
                "You average over the k places too; an image counts once, if any of its k "
                "places is right."
            )
        elif abs(got - 0.25) < 1e-6:
            hint = "That is the top-1 accuracy: k is not used."
        expect_close(
            f"top-{k} accuracy of 4 images", torch.tensor(got), torch.tensor(expected), 1e-6, hint
        )


@exercise("Exercise 0.2")
def check_loose_box(loosen):
    """A box inside the image, one at its border, and the factor 1."""
    cases = [
        ((40, 40, 60, 80), 1.5, (35.0, 30.0, 65.0, 90.0), "inside the image"),
        (
            (0, 10, 40, 30),
            2.0,
            (0.0, 0.0, 60.0, 40.0),
            "at the border: clip each side to the image",
        ),
        (
            (90, 90, 100, 100),
            3.0,
            (80.0, 80.0, 100.0, 100.0),
            "at the far corner: clip to width and height",
        ),
        ((10, 20, 30, 40), 1.0, (10.0, 20.0, 30.0, 40.0), "factor 1 changes nothing"),
    ]
    for box, factor, expected, what in cases:
        got = ask(loosen, box, factor, 100, 100)
        expect(len(got) == 4, f"expected four numbers (x0, y0, x1, y1), got {len(got)}.")
        hint = ""
        if factor > 1 and got[2] - got[0] > (box[2] - box[0]) * factor + 1e-6:
            hint = (
                "The box grew too much: the factor is for the whole side, so each side moves "
                "by half the growth."
            )
        expect_close(
            f"box {box}, factor {factor} ({what})",
            torch.tensor([float(v) for v in got]),
            torch.tensor(expected),
            1e-4,
            hint,
        )
