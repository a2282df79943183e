"""Checks of notebook 14: warm-up, accumulated gradients, counting once, a split for choices."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .core import ask, exercise, expect, expect_close


@exercise("Exercise 14.1")
def check_warm_cosine(warm_cosine):
    """Compare the first updates, the seam, the middle and the end."""
    for total, warmup, peak in ((10, 3, 1.0), (100, 20, 2e-4), (8, 0, 0.5)):
        for step in sorted({0, 1, warmup - 1, warmup, (total + warmup) // 2, total - 1} - {-1}):
            rest = math.cos(math.pi * (step - warmup) / (total - warmup))
            right = peak * (step + 1) / warmup if step < warmup else 0.5 * peak * (1 + rest)
            got = ask(warm_cosine, step, total, warmup, peak)
            expect(
                isinstance(got, (int, float)),
                f"step {step}: expected a number, got {type(got).__name__}.",
            )
            hint = ""
            if step < warmup and math.isclose(got, peak * step / warmup, abs_tol=1e-12):
                hint = "The first update would have rate 0 and be wasted: count from step + 1."
            elif step >= warmup and math.isclose(
                got, 0.5 * peak * (1 + math.cos(math.pi * step / total)), abs_tol=1e-12
            ):
                hint = (
                    "The cosine must begin after the warm-up: count from step - warmup, over "
                    "total - warmup updates."
                )
            elif step >= warmup and math.isclose(
                got, 0.5 * peak * (1 + math.cos(math.pi * (step - warmup) / total)), abs_tol=1e-12
            ):
                hint = (
                    "The cosine has only total - warmup updates to come down; yours "
                    "doesn't reach 0."
                )
            elif step < warmup and got > peak * (step + 1) / warmup:
                hint = "During the warm-up the rate rises in a straight line; no cosine yet."
            expect(
                math.isclose(got, right, rel_tol=1e-6, abs_tol=1e-9 * peak),
                f"step {step} of {total}, warm-up {warmup}, peak {peak}: expected {right:.4g}, "
                f"got {got:.4g}. {hint}".rstrip(),
            )


@exercise("Exercise 14.2")
def check_accumulate(accumulate):
    """Seven images in passes of three: the last pass is smaller, and old gradients lie about."""
    generator = torch.Generator().manual_seed(0)
    images, labels = (
        torch.randn(7, 5, generator=generator),
        torch.randint(3, (7,), generator=generator),
    )
    model = _Counting(5, 3, generator)
    F.cross_entropy(model(images), labels).backward()
    right, loss = model.weight.grad.clone(), F.cross_entropy(model(images), labels).item()
    for size in (3, 7, 1):
        model.sizes = []
        got = ask(accumulate, model, images, labels, size)
        expect(
            max(model.sizes, default=0) <= size,
            f"size {size}: {max(model.sizes, default=0)} images passed the model at once.",
        )
        expect(
            sum(model.sizes) == 7,
            f"size {size}: expected every image to pass the model once, got {sum(model.sizes)} "
            "passed. Is the smaller last pass left out?",
        )
        gradient, hint = model.weight.grad, ""
        expect(
            gradient is not None,
            f"size {size}: p.grad is None afterwards; leave the gradients for the optimiser.",
        )
        parts = [
            F.cross_entropy(F.linear(a, model.weight), b)
            for a, b in zip(images.split(size), labels.split(size))
        ]
        (total,) = torch.autograd.grad(sum(parts), model.weight)
        if torch.allclose(gradient, total, atol=1e-6) and len(parts) > 1:
            hint = "The passes' gradients are added up without weights: it is the sum of the means."
        elif torch.allclose(gradient, total / len(parts), atol=1e-6) and 7 % size:
            hint = (
                "It is the mean of the passes' means: the last pass has one image and counts "
                "as much as three."
            )
        elif torch.allclose(gradient, 2 * right, atol=1e-6) or not torch.allclose(
            gradient, right, atol=1e-2
        ):
            hint = "Are gradients of an earlier call left in p.grad?"
        expect_close(f"gradient in passes of {size}", gradient, right, 1e-6, hint)
        expect(
            isinstance(got, float) and math.isclose(got, loss, abs_tol=1e-5),
            f"size {size}: expected the mean loss {loss:.4f}, got {got}. Weight each pass by its "
            f"images; return a number.",
        )


class _Counting(nn.Module):
    """A linear layer that notes how many images each pass brings."""

    def __init__(self, inputs, outputs, generator):
        super().__init__()
        self.weight, self.sizes = (
            nn.Parameter(torch.randn(outputs, inputs, generator=generator)),
            [],
        )

    def forward(self, x):
        self.sizes.append(len(x))
        return F.linear(x, self.weight)


@exercise("Exercise 14.3")
def check_accuracy_of_shares(accuracy_of_shares):
    """Repeats within and across shares, an empty share, and a position that is missing."""
    cases = [
        ([[(0, True), (2, False)], [(1, True), (3, False)]], 4, 0.5),
        (
            [[(0, True), (4, True), (0, True)], [(1, False), (0, True)], [(2, False), (3, False)]],
            5,
            0.4,
        ),
        ([[(1, True), (0, False)], []], 2, 0.5),
    ]
    for shares, count, right in cases:
        got = ask(accuracy_of_shares, shares, count)
        pairs = [pair for share in shares for pair in share]
        hint = ""
        if isinstance(got, (int, float)):
            if math.isclose(got, sum(ok for _, ok in pairs) / len(pairs)):
                hint = "Positions that come twice are counted twice."
            elif math.isclose(got, sum(ok for _, ok in pairs) / count):
                hint = "The repeats still count among the right ones."
            elif math.isclose(
                got, np.mean([np.mean([ok for _, ok in share]) for share in shares if share])
            ):
                hint = "Shares have different sizes: their mean accuracies can't be averaged."
        expect(
            isinstance(got, (int, float)) and math.isclose(got, right),
            f"{len(pairs)} pairs for {count} images: expected {right}, got {got}. {hint}".rstrip(),
        )
    try:
        got = accuracy_of_shares([[(0, True)], [(2, True)]], 3)
    except ValueError:
        return
    except Exception as error:
        expect(
            False,
            f"position 1 of 3 is missing: expected a ValueError, got "
            f"{type(error).__name__}: {error}.",
        )
    expect(
        False,
        f"position 1 of 3 is missing: expected a ValueError, got {got}. A lost image must not go "
        f"unnoticed.",
    )


@exercise("Exercise 14.4", points=4)
def check_validation_split(validation_split):
    """Disjoint, complete, class by class, seeded, and without a trace in the global random
    state.
    """
    labels = [k for k, n in enumerate((10, 1, 2, 30, 4)) for _ in range(n)]
    order = np.random.default_rng(3).permutation(len(labels))
    labels = [labels[i] for i in order]
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    rest, held = ask(validation_split, labels, 0.1, 0)
    expect(
        sorted([*rest, *held]) == list(range(len(labels))),
        f"rest and validation together must be the positions 0 to {len(labels) - 1}, each "
        f"once; got "
        f"{len(rest)} + {len(held)} with {len({*rest} & {*held})} in both.",
    )
    expect(list(rest) == sorted(rest) and list(held) == sorted(held), "Both lists must be sorted.")
    for fraction in (0.1, 0.5, 0.9):
        _, held = ask(validation_split, labels, fraction, 0)
        for k, n in enumerate((10, 1, 2, 30, 4)):
            right = min(max(round(fraction * n), 1), n - 1)
            got = sum(labels[i] == k for i in held)
            hint = {
                0: "Every class with two images or more must be in the validation split.",
                n: "A class must never lose all its training images.",
            }.get(got, "The split must be made class by class.")
            expect(
                got == right,
                f"fraction {fraction}, a class of {n} images: expected {right} in validation, got "
                f"{got}. {hint}",
            )
    again, other = ask(validation_split, labels, 0.5, 0), ask(validation_split, labels, 0.5, 1)
    expect(
        list(again[1]) == list(ask(validation_split, labels, 0.5, 0)[1]),
        "The same seed must give the same split.",
    )
    expect(
        list(again[1]) != list(other[1]),
        "Another seed must give another split: is the seed used, and is there a shuffle?",
    )
    expect(
        np.array_equal(np.random.get_state()[1], numpy_state)
        and torch.equal(torch.get_rng_state(), torch_state),
        "The global random state was changed: use a generator of your own, "
        "np.random.default_rng(seed).",
    )
