"""Checks of notebook 14: warm-up, accumulated gradients, counting once, a split for choices."""

import math
import weakref

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .cases import ask_without_trace, compare, draw
from .core import (
    AnswerRaised,
    CheckFailed,
    ask,
    exercise,
    expect,
)
from .datasets import expect_seeded, expect_two_lists
from .values import describe


def _half(step, total, peak):
    return 0.5 * peak * (1 + math.cos(math.pi * step / total))


def _warm_cosine(step, total, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return _half(step - warmup, total - warmup, peak)


def _up(step, warmup, peak):
    return peak * (step + 1) / warmup


@exercise("Exercise 14.1")
def check_warm_cosine(warm_cosine):
    """Every update of schedules with and without warm-up."""
    settings = [(10, 3, 1.0), (100, 20, 0.2), (8, 0, 0.5), (5, 4, 2.0), (6, 1, 1.0)]
    settings.append((draw.integer(20, 60), draw.integer(2, 15), draw.integer(1, 30) / 10))
    cases = [(s, total, w, peak) for total, w, peak in settings for s in range(total)]
    compare(
        warm_cosine,
        _warm_cosine,
        cases,
        [
            (
                "The first update would have rate 0 and be wasted: count from step + 1.",
                lambda s, t, w, p: p * s / w if s < w else _warm_cosine(s, t, w, p),
            ),
            (
                "The cosine must begin after the warm-up: count from step - warmup, over total - "
                "warmup updates.",
                lambda s, t, w, p: _up(s, w, p) if s < w else _half(s, t, p),
            ),
            (
                "The cosine has only total - warmup updates to come down; yours doesn't reach 0.",
                lambda s, t, w, p: _up(s, w, p) if s < w else _half(s - w, t, p),
            ),
            (
                "During the warm-up the rate rises in a straight line; no cosine yet.",
                lambda s, t, w, p: _half(s, t, p),
            ),
            (
                "HALF a cosine, from peak to 0: 0.5 * (1 + cos(pi * ...)).",
                lambda s, t, w, p: (
                    _up(s, w, p) if s < w else p * math.cos(math.pi / 2 * (s - w) / (t - w))
                ),
            ),
            (
                "A full turn of the cosine comes back up: use pi, not 2 pi.",
                lambda s, t, w, p: (
                    _up(s, w, p)
                    if s < w
                    else 0.5 * p * (1 + math.cos(2 * math.pi * (s - w) / (t - w)))
                ),
            ),
            (
                "After the warm-up the rate falls along a cosine, not along a line.",
                lambda s, t, w, p: _up(s, w, p) if s < w else p * (1 - (s - w) / (t - w)),
            ),
            (
                "The first `warmup` updates are the steps 0 to warmup - 1.",
                lambda s, t, w, p: _up(s, w, p) if s <= w and w else _half(s - w, t - w, p),
            ),
            (
                "The line and the cosine are multiplied; each has its own updates.",
                lambda s, t, w, p: (min(1, (s + 1) / w) if w else 1) * _half(s, t, p),
            ),
            (
                "The cosine counts from step - warmup, without + 1: it begins at the peak.",
                lambda s, t, w, p: _up(s, w, p) if s < w else _half(s - w + 1, t - w, p),
            ),
            (
                "The peak is missing.",
                lambda s, t, w, p: _warm_cosine(s, t, w, 1.0),
            ),
        ],
        describe=lambda s, t, w, p: f"step {s} of {t}, warm-up {w}, peak {p}",
        form="a number",
        hint="For step < warmup: peak * (step + 1) / warmup. Then half a cosine over the remaining "
        "total - warmup updates, counted from 0.",
        tolerance=1e-7,
    )


class _Counting(nn.Module):
    """A linear layer that notes how many images each pass brings, and whether the graph of the pass
    before it is still there when a pass begins, with no gradient computed in between.
    """

    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
        self.sizes, self.kept, self._saved, self._before = [], False, weakref.WeakSet(), None

    def forward(self, x):
        self.sizes.append(len(x))
        now = None if self.weight.grad is None else self.weight.grad.clone()
        same = (now is None) == (self._before is None) and (
            now is None or torch.equal(now, self._before)
        )
        self.kept = self.kept or (len(self.sizes) > 1 and same and len(self._saved) > 0)
        self._before = now
        if not torch.is_grad_enabled():
            return F.linear(x, self.weight, self.bias)

        def pack(tensor):
            box = _Box(tensor)
            self._saved.add(box)
            return box

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda box: box.tensor):
            return F.linear(x, self.weight, self.bias)


class _Box:
    def __init__(self, tensor):
        self.tensor = tensor


def _gradient(weigh, clear=True, size_of=None, drop_last=False, told=None):
    """What an `accumulate` leaves that weighs each pass by ``weigh(images, all, passes)``."""

    def run(weight, bias, images, labels, size):
        weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
        size = size_of(images) if size_of else size
        parts = list(zip(images.split(size), labels.split(size)))
        parts = parts[:-1] if drop_last and len(images) % size else parts
        losses = [F.cross_entropy(F.linear(x, weight, bias), y) for x, y in parts]
        weights = [weigh(len(x), len(images), len(parts)) for x, _ in parts]
        loss = sum(w * one for w, one in zip(weights, losses))
        gradients = torch.autograd.grad(loss, (weight, bias))
        stale = 0.0 if clear else 1.0
        says = loss if told is None else told(losses, weights)
        return [*(g + stale for g in gradients), says.item()]

    return run


@exercise("Exercise 14.2")
def check_accumulate(accumulate):
    """Batches that passes divide and batches that they don't; old gradients lie about."""

    def run(weight, bias, images, labels, size):
        model = _Counting(weight, bias)
        for p in model.parameters():
            p.grad = torch.ones_like(p)
        loss = accumulate(model, images, labels, size)
        if loss is None or loss is Ellipsis:
            return loss
        expect(
            max(model.sizes, default=0) <= size,
            f"{max(model.sizes, default=0)} images passed the model at once.",
        )
        expect(
            sum(model.sizes) <= len(images),
            f"{sum(model.sizes)} images passed the model; each must pass once.",
        )
        expect(
            not model.kept,
            "when a pass begins, the model still keeps what the pass before it needs for its "
            "gradient, so all passes together fill the memory that they were to save: call "
            "backward after each pass.",
        )
        if any(p.grad is None for p in model.parameters()):
            raise CheckFailed("p.grad is None afterwards; leave the gradients for the optimiser.")
        expect(
            torch.equal(model.weight, weight) and torch.equal(model.bias, bias),
            "the weights themselves were changed; no update is asked for.",
        )
        expect(
            isinstance(loss, (int, float, np.number)) or getattr(loss, "shape", None) == (),
            f"expected the mean loss as a number, got {describe(loss)}.",
        )
        expect(
            not getattr(loss, "requires_grad", False),
            "the loss that you return still hangs on the graph of all passes; return a number "
            "(loss.item()).",
        )
        return [model.weight.grad, model.bias.grad, float(loss)]

    cases = []
    for count, sizes in ((7, (3, 7, 1, 10)), (6, (2, 4)), (draw.integer(8, 12), (5,))):
        images, labels = (
            draw.normal(count, 5),
            torch.tensor([draw.integer(0, 2) for _ in range(count)]),
        )
        cases += [(draw.normal(3, 5), draw.normal(3), images, labels, size) for size in sizes]
    compare(
        run,
        _gradient(lambda n, total, passes: n / total),
        cases,
        [
            (
                "The passes' gradients are added up without weights: it is the sum of the means.",
                _gradient(lambda n, total, passes: 1),
            ),
            (
                "It is the mean of the passes' means: a small last pass counts as much as the "
                "others.",
                _gradient(lambda n, total, passes: 1 / passes),
            ),
            (
                "Gradients of an earlier call are left in p.grad: clear them first.",
                _gradient(lambda n, total, passes: n / total, clear=False),
            ),
            (
                "Gradients of an earlier call are left, and the passes are not weighted.",
                _gradient(lambda n, total, passes: 1, clear=False),
            ),
            (
                "The smaller last pass is left out.",
                _gradient(lambda n, total, passes: n / total, drop_last=True),
            ),
            (
                "The smaller last pass is left out; each counts as if the others were all.",
                _gradient(lambda n, total, passes: 1 / passes, drop_last=True),
            ),
            (
                "It is the gradient of the SUM over images; the mean is asked for.",
                _gradient(lambda n, total, passes: n),
            ),
            (
                "Each pass is divided by `size`; a smaller last one and the number of passes are "
                "forgotten.",
                lambda w, b, x, y, size: _gradient(lambda n, total, passes: n / size)(
                    w, b, x, y, size
                ),
            ),
            (
                "The gradient is right; the loss must be weighted as well, by the images of each "
                "pass.",
                _gradient(
                    lambda n, total, passes: n / total, told=lambda ls, ws: sum(ls) / len(ls)
                ),
            ),
            (
                "The gradient is right; the loss is the sum over passes instead of the mean over "
                "images.",
                _gradient(lambda n, total, passes: n / total, told=lambda ls, ws: sum(ls)),
            ),
            (
                "The gradient is right; the loss is that of the last pass alone.",
                _gradient(lambda n, total, passes: n / total, told=lambda ls, ws: ls[-1]),
            ),
            (
                "The gradient is right; the loss is the weighted share of the last pass alone.",
                _gradient(lambda n, total, passes: n / total, told=lambda ls, ws: ls[-1] * ws[-1]),
            ),
        ],
        describe=lambda w, b, x, y, size: f"{len(x)} images, {size} at a time",
        form="a number, with gradients in p.grad",
        hint="Clear old gradients; for each pass, the SUM of its losses divided by the number of "
        "all images, then backward. The returned loss is the sum of these.",
        say=_gradients_differ,
    )


def _gradients_differ(expected, got):
    names = ("the weights' gradient", "the bias's gradient", "the loss")
    for name, a, b in zip(names, expected, got):
        gap = abs(a - b)
        if gap.max() > 1e-5:
            i = gap.argmax()
            return f"{name}: expected {a.flat[i]:.4g}, got {b.flat[i]:.4g}"
    return "the numbers differ"


def _flat(shares):
    return [pair for share in shares for pair in share]


@exercise("Exercise 14.3")
def check_accuracy_of_shares(accuracy_of_shares):
    """Repeats within and across shares, empty shares, shares of several sizes; positions that are
    missing.
    """
    cases = [
        ([[(0, True), (2, False)], [(1, True), (3, False)]], 4),
        (
            [[(0, True), (4, True), (0, True)], [(1, False), (0, True)], [(2, False), (3, False)]],
            5,
        ),
        ([[(1, True), (0, False)], []], 2),
        ([[(0, True)]], 1),
        ([[(0, False), (1, False)], [(1, False)]], 2),
    ]
    for _ in range(6):
        count = draw.integer(3, 12)
        verdicts = [(i, draw.integer(0, 1) == 1) for i in range(count)]
        pairs = draw.shuffled(verdicts + [draw.choice(verdicts) for _ in range(draw.integer(1, 6))])
        cut = draw.integer(1, len(pairs) - 1)
        cases.append(([pairs[:cut], [], pairs[cut:]], count))

    def right(shares, count):
        return sum(dict(_flat(shares)).values()) / count

    def means(shares):
        return [sum(ok for _, ok in share) / len(share) for share in shares if share]

    compare(
        accuracy_of_shares,
        right,
        cases,
        [
            (
                "Positions that come twice are counted twice.",
                lambda s, n: sum(ok for _, ok in _flat(s)) / len(_flat(s)),
            ),
            (
                "The repeats still count among the right ones.",
                lambda s, n: sum(ok for _, ok in _flat(s)) / n,
            ),
            (
                "Shares have different sizes: their mean accuracies can't be averaged.",
                lambda s, n: sum(means(s)) / len(means(s)),
            ),
            (
                "Shares have different sizes: their mean accuracies can't be averaged, and an "
                "empty one has none.",
                lambda s, n: sum(means(s)) / len(s),
            ),
            (
                "A position that comes in two shares is counted twice; yours is unique within each "
                "share only.",
                lambda s, n: sum(ok for share in s for ok in dict(share).values()) / n,
            ),
            (
                "That is a number of images; divide by count.",
                lambda s, n: sum(dict(_flat(s)).values()),
            ),
            (
                "That is the share of wrong ones.",
                lambda s, n: 1 - right(s, n),
            ),
            (
                "Divide by all images, not by the number of pairs.",
                lambda s, n: sum(dict(_flat(s)).values()) / len(_flat(s)),
            ),
            (
                "Every share counts, not the first alone.",
                lambda s, n: sum(dict(s[0]).values()) / n,
            ),
            (
                "True and False count once each in a set; keep the positions.",
                lambda s, n: sum({ok for _, ok in _flat(s)}) / n,
            ),
        ],
        describe=lambda s, n: f"{len(_flat(s))} pairs in {len(s)} shares for {n} images",
        form="one number",
        hint="Keep one verdict for each position, then take the share of True among `count`.",
        tolerance=1e-6,
    )
    for shares, count in (
        ([[(0, True)], [(2, True)]], 3),
        ([[(1, True), (1, True)], [(2, False)]], 3),
        ([[(0, True), (1, True)], [(1, True)]], 3),
        ([[], []], 1),
    ):
        missing = min({*range(count)} - {position for position, _ in _flat(shares)})
        what = f"position {missing} of {count} is missing in {shares}: expected a ValueError"
        try:
            got = ask(accuracy_of_shares, shares, count)
        except AnswerRaised as failure:
            raised = "raised ValueError" in str(failure)
            expect(raised, f"{what}, but {failure}.")
        else:
            expect(False, f"{what}, got {got}. A lost image must not go unnoticed.")


@exercise("Exercise 14.4", points=4)
def check_validation_split(validation_split):
    """Disjoint, complete, sorted, class by class, seeded, every class shuffled for itself, and
    without a trace in the global random state.
    """
    sizes = (10, 1, 2, 30, 4, 10, 3)

    def split(labels, fraction, seed):
        got = ask_without_trace(validation_split, list(labels), fraction, seed)
        rest, held = expect_two_lists(got, len(labels))
        for k in sorted({*labels}):
            n = labels.count(k)
            right = min(max(round(fraction * n), 1), n - 1)
            got = sum(labels[i] == k for i in held)
            hints = (
                (n == 1, "The only image of a class is kept for training."),
                (
                    got == 0,
                    "Every class with two images or more must be in the validation split.",
                ),
                (got == n, "A class must never lose all its training images."),
                (got == int(fraction * n), "round(fraction * n), not rounded down."),
                (got == math.ceil(fraction * n), "round(fraction * n), not rounded up."),
                (True, "The split must be made class by class."),
            )
            hint = next(text for found, text in hints if found)
            expect(
                got == right,
                f"fraction {fraction}, a class of {n} images: expected {right} in validation, got "
                f"{got}. {hint}",
            )
        return held

    for first in (0, draw.integer(3, 50)):  # labels need not start at 0, nor be in order
        names = draw.shuffled(list(range(first, first + len(sizes))))
        labels = draw.shuffled([k for k, n in zip(names, sizes) for _ in range(n)])
        for fraction in (0.1, 0.25, 0.5, 0.77, 0.9):
            split(labels, fraction, draw.integer(0, 999))
        drawn = expect_seeded(split, labels, 0.5)
        members = {k: [i for i, label in enumerate(labels) if label == k] for k in names}
        for k in (names[0], names[3]):
            never = [i for i in members[k] if not any(i in held for held in drawn)]
            expect(
                not never,
                f"image {never[:1]} was never in validation with 60 seeds: shuffle each class.",
            )
        ranks = [
            [[members[k].index(i) for i in held if labels[i] == k] for k in (names[0], names[5])]
            for held in drawn
        ]
        expect(
            any(one != other for one, other in ranks),
            "two classes of ten images always give the same places: each class gets the same "
            "shuffle. Make ONE generator before the loop over classes.",
        )
