"""Notebook 14: the solutions pass their checks, plausible wrong answers fail with a hint."""

import math

import numpy as np
import pytest
import torch.nn.functional as F
from exercises import solutions

from mgff_tutorial.checks.core import CheckFailed
from mgff_tutorial.checks.training import (
    check_accumulate,
    check_accuracy_of_shares,
    check_validation_split,
    check_warm_cosine,
)

SOLUTIONS = solutions("14_training")
CHECKS = {
    "warm_cosine": check_warm_cosine,
    "accumulate": check_accumulate,
    "accuracy_of_shares": check_accuracy_of_shares,
    "validation_split": check_validation_split,
}


def test_solutions_are_correct(capsys):
    for name, check in CHECKS.items():
        check(SOLUTIONS[name])
    assert capsys.readouterr().out == "".join(f"Exercise 14.{i}: correct.\n" for i in (1, 2, 3, 4))


def test_unanswered_is_no_failure(capsys):
    for check in CHECKS.values():
        check(lambda *args: ...)
    assert capsys.readouterr().out.count("not answered yet") == 4


def half(step, total, peak):
    return 0.5 * peak * (1 + math.cos(math.pi * step / total))


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda s, t, w, p: p * s / w if s < w else half(s - w, t - w, p), "rate 0 and be wasted"),
        (lambda s, t, w, p: p * (s + 1) / w if s < w else half(s, t, p), "begin after the warm-up"),
        (lambda s, t, w, p: p * (s + 1) / w if s < w else half(s - w, t, p), "doesn't reach 0"),
        (lambda s, t, w, p: half(s, t, p), "straight line"),
    ],
)
def test_wrong_schedules(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_warm_cosine(answer)


def passes(weight, clear=True, whole=False, drop_last=False):
    def accumulate(model, images, labels, size):
        if clear:
            model.zero_grad()
        size = len(images) if whole else size
        parts = list(zip(images.split(size), labels.split(size)))
        total = 0.0
        for part, target in parts[:-1] if drop_last and len(parts) > 1 else parts:
            loss = F.cross_entropy(model(part), target) * weight(len(part), len(images), len(parts))
            loss.backward()
            total += loss.item()
        return total

    return accumulate


@pytest.mark.parametrize(
    "answer, hint",
    [
        (passes(lambda n, total, count: 1), "sum of the means"),
        (passes(lambda n, total, count: 1 / count), "mean of the passes' means"),
        (passes(lambda n, total, count: n / total, clear=False), "earlier call"),
        (
            passes(lambda n, total, count: n / total, whole=True),
            "7 images passed the model at once",
        ),
        (passes(lambda n, total, count: n / total, drop_last=True), "last pass left out"),
    ],
)
def test_wrong_accumulation(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_accumulate(answer)


def flat(shares):
    return [pair for share in shares for pair in share]


@pytest.mark.parametrize(
    "answer, hint",
    [
        (
            lambda shares, count: sum(ok for _, ok in flat(shares)) / len(flat(shares)),
            "counted twice",
        ),
        (
            lambda shares, count: sum(ok for _, ok in flat(shares)) / count,
            "still count among the right",
        ),
        (
            lambda shares, count: float(
                np.mean([np.mean([ok for _, ok in s]) for s in shares if s])
            ),
            "can't be averaged",
        ),
        (lambda shares, count: sum(dict(flat(shares)).values()) / count, "must not go unnoticed"),
    ],
)
def test_wrong_counts(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_accuracy_of_shares(answer)


def from_one_shuffle(labels, fraction, seed):
    order = np.random.default_rng(seed).permutation(len(labels)).tolist()
    cut = round(fraction * len(labels))
    return sorted(order[cut:]), sorted(order[:cut])


def first_of_each(labels, fraction, seed):
    labels = np.asarray(labels)
    held = [
        int(i)
        for k in np.unique(labels)
        for n in [(labels == k).sum()]
        for i in np.flatnonzero(labels == k)[: min(max(round(fraction * n), 1), n - 1)]
    ]
    return sorted(set(range(len(labels))) - set(held)), sorted(held)


def with_the_global_state(labels, fraction, seed):
    np.random.seed(seed)
    labels = np.asarray(labels)
    held = [
        int(i)
        for k in np.unique(labels)
        for n in [(labels == k).sum()]
        for i in np.random.permutation(np.flatnonzero(labels == k))[
            : min(max(round(fraction * n), 1), n - 1)
        ]
    ]
    return sorted(set(range(len(labels))) - set(held)), sorted(held)


def takes_all_of_single_classes(labels, fraction, seed):
    labels = np.asarray(labels)
    held = [
        int(i)
        for k in np.unique(labels)
        for n in [(labels == k).sum()]
        for i in np.flatnonzero(labels == k)[: max(round(fraction * n), 1)]
    ]
    return sorted(set(range(len(labels))) - set(held)), sorted(held)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (from_one_shuffle, "class"),
        (first_of_each, "is the seed used"),
        (with_the_global_state, "default_rng"),
        (takes_all_of_single_classes, "never lose all"),
        (lambda labels, f, s: (list(range(len(labels))), [0]), "in both"),
    ],
)
def test_wrong_splits(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_validation_split(answer)
