"""Checks of notebook 16: the laziest model, a threshold for silence, photographs that leak into the
test split.
"""

import math

import numpy as np
import torch
from PIL import Image

from .core import ask, exercise, expect


@exercise("Exercise 16.1")
def check_lazy_accuracy(lazy_accuracy):
    """Unequal classes, a commonest class that differs between the splits, and a tie."""
    for train, test, right in (
        ([0, 0, 1, 2], [0, 1, 1, 1], 0.25),
        ([3, 3, 3, 1], [3, 3, 1, 1, 1], 0.4),
        ([2, 1, 1, 2], [1, 1, 2, 3, 3, 3], 1 / 3),
        ([5], [4, 4], 0.0),
    ):
        got = ask(lazy_accuracy, train, test)
        hint = ""
        if isinstance(got, (int, float)):
            counts = {k: test.count(k) / len(test) for k in {*test, *train}}
            if math.isclose(got, max(counts.values())):
                hint = (
                    "You named the commonest class of the TEST set: the lazy model must not "
                    "look there."
                )
            elif math.isclose(got, train.count(max(set(train), key=train.count)) / len(train)):
                hint = "That is its accuracy on the training set."
            elif math.isclose(got, 1 / len(set(train))):
                hint = "That is guessing at random; the lazy model always says the same."
            elif len({train.count(k) for k in train}) == 1:
                hint = "Of several commonest classes, take the smallest number."
        expect(
            isinstance(got, (int, float)) and math.isclose(got, right),
            f"training labels {train}, test labels {test}: expected {right:.3f}, got "
            f"{got}. {hint}".rstrip(),
        )


@exercise("Exercise 16.2", points=2)
def check_confident(confident):
    """Answers that get better with confidence, ones that don't, ties, and a demand that can't be
    met.
    """
    top = torch.tensor([0.95, 0.9, 0.8, 0.7, 0.6, 0.55])
    probabilities = torch.stack([top, 1 - top], dim=1)
    for labels, wanted, right in (
        ([0, 0, 0, 0, 1, 0], 0.9, 0.7),
        ([0, 0, 1, 0, 0, 0], 0.8, 0.55),
        ([1, 0, 0, 0, 0, 0], 0.9, 2.0),
        ([1, 0, 0, 0, 0, 0], 0.8, 0.55),
        ([0, 1, 0, 0, 0, 0], 1.0, 0.95),
    ):
        got = ask(confident, probabilities, torch.tensor(labels), wanted)
        got = got.item() if isinstance(got, torch.Tensor) and got.numel() == 1 else got
        hits = [label == 0 for label in labels]
        hint = ""
        if isinstance(got, (int, float)):
            got = round(got, 4)  # probabilities are float32
            shares = {round(float(t), 4): np.mean(hits[: i + 1]) for i, t in enumerate(top)}
            share = shares.get(got)
            largest = next((t for t, s in shares.items() if s >= wanted), None)
            stop = next(
                (list(shares)[i - 1] for i, s in enumerate(shares.values()) if s < wanted and i),
                None,
            )
            if right == 2.0:
                hint = "No threshold reaches this share: return 2.0."
            elif share is None:
                hint = "The threshold must be the highest probability of one of the images."
            elif share < wanted:
                hint = (
                    f"At this threshold only {share:.2f} of the answers are right; is it >= t, "
                    f"and all of them?"
                )
            elif got == largest and got != right:
                hint = (
                    "That is the largest such threshold: the system would be silent more often "
                    "than it need."
                )
            elif got == stop:
                hint = (
                    "You stopped at the first failure. A lower threshold can be good again: "
                    "test all of them."
                )
        expect(
            isinstance(got, (int, float)) and math.isclose(got, right, abs_tol=1e-4),
            f"right and wrong by falling confidence {[int(h) for h in hits]}, wanted {wanted}: "
            f"expected {right}, "
            f"got {got}. {hint}".rstrip(),
        )
    tied = torch.tensor([[0.8, 0.2], [0.8, 0.2], [0.6, 0.4]])
    got = ask(confident, tied, torch.tensor([0, 1, 0]), 0.6)
    expect(
        math.isclose(float(got), 0.6, abs_tol=1e-4),
        f"two images with the same confidence 0.8, one of them wrong, wanted 0.6: expected 0.6, "
        f"got {float(got):.3f}. "
        "Images with equal confidence are answered together.",
    )


@exercise("Exercise 16.3", points=4)
def check_leaks(leaks):
    """Copies in other sizes and qualities, a mirror image, a darker picture, and the order of the
    pairs.
    """
    rng = np.random.default_rng(0)
    pictures = [
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(
            (120, 96), Image.Resampling.BICUBIC
        )
        for _ in range(5)
    ]
    train = pictures[:3]
    mirrored = pictures[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    test = [
        pictures[3],
        pictures[2].resize((60, 48)),
        mirrored,
        pictures[0].resize((200, 160)),
        pictures[4],
    ]
    got = ask(leaks, train, test, 4.0)
    try:
        got = [(int(a), int(b)) for a, b in got]
    except (TypeError, ValueError):
        expect(False, f"expected a list of pairs (train, test) of numbers, got {got!r}.")
    right = [(0, 3), (2, 1)]
    hint = ""
    if got == sorted((b, a) for a, b in right):
        hint = "The pairs are turned round: the position in the training list comes first."
    elif sorted(got) == right:
        hint = "The list must be sorted."
    elif not got:
        hint = (
            "Copies of another size aren't found: compare the 8 x 8 versions, and mind that "
            "uint8 differences wrap around."
        )
    elif set(right) < set(got):
        hint = (
            "Different pictures are called copies: is it the mean of the ABSOLUTE difference, "
            "over all 64 pixels?"
        )
    elif set(got) < set(right):
        hint = (
            "A copy is missed: uint8 differences wrap around (3 - 5 gives 254); convert to "
            "float first."
        )
    expect(
        got == right,
        f"three training and five test pictures, limit 4: expected {right}, got "
        f"{got}. {hint}".rstrip(),
    )
    expect(
        ask(leaks, train, test, 0.0) == [],
        "With limit 0 nothing is below the limit, so the list must be empty: use <.",
    )
