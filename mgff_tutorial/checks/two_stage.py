"""Checks of notebook 12: a weighted merge, boxes in original pixels, the surer of two stages."""

import torch

from .core import ask, exercise, expect_close, expect_shape


def _probabilities(batch, classes, seed, sharpness=2.0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(batch, classes, generator=generator) * sharpness).softmax(dim=1)


@exercise("Exercise 12.1")
def check_merge_many(merge_many):
    """Two and three stages, weights that sum to 1 and weights that don't."""
    for weights in ([0.5, 0.5], [1.0, 3.0], [2, 1, 1], [0.0, 5.0]):
        stages = [_probabilities(4, 5, seed) for seed in range(len(weights))]
        right = sum(w * p for w, p in zip(weights, stages)) / sum(weights)
        got = ask(merge_many, [p.clone() for p in stages], list(weights))
        expect_shape(f"merged with weights {weights}", got, right.shape)
        hint = ""
        if torch.allclose(got, right * sum(weights), atol=1e-6):
            hint = "Divide by the sum of the weights, so that rows sum to 1."
        elif torch.allclose(got, torch.stack(stages).mean(dim=0), atol=1e-6):
            hint = "The weights are not used."
        elif torch.allclose(
            got, (sum(w * p for w, p in zip(weights, stages))).softmax(dim=1), atol=1e-6
        ):
            hint = "These are probabilities already; a second softmax flattens them."
        elif torch.allclose(
            got, sum(w * p for w, p in zip(weights, stages)) / len(weights), atol=1e-6
        ):
            hint = "Divide by the sum of the weights, not by their number."
        expect_close(f"merged with weights {weights}", got, right, 1e-5, hint)


@exercise("Exercise 12.2")
def check_to_original(to_original):
    """Inputs and originals that are not square."""
    generator = torch.Generator().manual_seed(1)
    for view in ((224, 224), (96, 160)):
        boxes = torch.rand(3, 4, generator=generator) * 90
        sizes = torch.tensor([[500, 333], [120, 480], [256, 256]])
        scale = torch.stack([sizes[:, 0] / view[1], sizes[:, 1] / view[0]], dim=1)
        right = boxes * torch.cat([scale, scale], dim=1)
        got = ask(to_original, boxes.clone(), view, sizes.clone())
        expect_shape("boxes", got, (3, 4))
        swapped = torch.stack([sizes[:, 1] / view[1], sizes[:, 0] / view[0]], dim=1)
        view_swapped = torch.stack([sizes[:, 0] / view[0], sizes[:, 1] / view[1]], dim=1)
        hint = ""
        if torch.allclose(got, boxes * torch.cat([swapped, swapped], dim=1), atol=1e-3):
            hint = "sizes holds WIDTH and height; x goes with the width."
        elif torch.allclose(got, boxes * torch.cat([view_swapped, view_swapped], dim=1), atol=1e-3):
            hint = "view is (HEIGHT, width), as in tensors; x goes with the width."
        elif torch.allclose(got, boxes * scale.repeat_interleave(2, dim=1), atol=1e-3):
            hint = "The order is x, y, x, y: the factors alternate."
        elif torch.allclose(got, boxes / torch.cat([scale, scale], dim=1), atol=1e-3):
            hint = "The other way round: original size divided by input size."
        elif torch.allclose(got, boxes * torch.cat([scale, scale], dim=1)[:1], atol=1e-3):
            hint = "Every image has a scale of its own."
        expect_close(f"boxes from a view of {view}", got, right, 1e-3, hint)


@exercise("Exercise 12.3", points=2)
def check_follow(follow_the_surer):
    """Rows where entropy and largest probability disagree, exact zeros, and ties."""
    first = torch.tensor(
        [
            [0.60, 0.39, 0.01],
            [0.50, 0.25, 0.25],
            [1.00, 0.00, 0.00],
            [0.34, 0.33, 0.33],
            [0.25, 0.50, 0.25],
        ]
    )
    second = torch.tensor(
        [
            [0.62, 0.19, 0.19],
            [0.90, 0.05, 0.05],
            [0.50, 0.50, 0.00],
            [0.00, 1.00, 0.00],
            [0.50, 0.25, 0.25],
        ]
    )
    right = torch.stack([first[0], second[1], first[2], second[3], first[4]])
    got = ask(follow_the_surer, first.clone(), second.clone())
    expect_shape("probabilities", got, right.shape)
    by_peak = torch.where((first.amax(1) >= second.amax(1))[:, None], first, second)
    hint = ""
    if got.isnan().any():
        hint = (
            "0 * log(0) is NaN; a probability of 0 adds nothing (torch.special.xlogy, or clamp "
            "before the log)."
        )
    elif torch.allclose(got, by_peak):
        hint = (
            "This compares the largest probabilities. Entropy looks at all of them: see the "
            "first row."
        )
    elif torch.allclose(got[:4], torch.stack([second[0], first[1], second[2], first[3]])):
        hint = "The SMALLER entropy is the surer one. Mind the minus sign."
    elif torch.allclose(got[[2, 3]], second[[2, 3]].roll(0)) or torch.allclose(got[2], second[2]):
        hint = "Row 2 of stage 1 is certain; its entropy is 0. Did a zero probability upset it?"
    elif torch.allclose(got[:4], right[:4]):
        hint = "Where both are equally sure, take stage 1."
    elif (
        torch.allclose(got, got[0].expand_as(got))
        or torch.equal(got, first)
        or torch.equal(got, second)
    ):
        hint = "Decide for each picture (row) on its own."
    expect_close("probabilities", got, right, 1e-6, hint)
