"""Notebook 12: the solutions pass their checks, plausible wrong answers fail with a hint."""

import pytest
import torch
from exercises import solutions

from mgff_tutorial.checks.core import CheckFailed
from mgff_tutorial.checks.two_stage import check_follow, check_merge_many, check_to_original

SOLUTIONS = solutions("12_two_stage")


def test_solutions_are_correct(capsys):
    check_merge_many(SOLUTIONS["merge_many"])
    check_to_original(SOLUTIONS["to_original"])
    check_follow(SOLUTIONS["follow_the_surer"])
    assert capsys.readouterr().out == "".join(f"Exercise 12.{i}: correct.\n" for i in (1, 2, 3))


def test_unanswered_is_no_failure(capsys):
    for check in (check_merge_many, check_to_original, check_follow):
        check(lambda *args: ...)
    assert capsys.readouterr().out.count("not answered yet") == 3


def weighted(stages, weights):
    return sum(w * s for w, s in zip(weights, stages))


@pytest.mark.parametrize(
    "answer, hint",
    [
        (weighted, "sum of the weights"),
        (lambda s, w: torch.stack(s).mean(dim=0), "not used"),
        (lambda s, w: weighted(s, w).softmax(dim=1), "second softmax"),
        (lambda s, w: weighted(s, w) / len(w), "not by their number|sum of the weights"),
        (lambda s, w: weighted(s, w).sum(dim=1), "expected shape"),
    ],
)
def test_wrong_merges(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_merge_many(answer)


def scaled(boxes, x, y, order=(0, 1, 0, 1)):
    return boxes * torch.stack([(x, y)[i] for i in order], dim=1)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda b, v, s: scaled(b, s[:, 1] / v[1], s[:, 0] / v[0]), "WIDTH"),
        (lambda b, v, s: scaled(b, s[:, 0] / v[1], s[:, 1] / v[0], (0, 0, 1, 1)), "alternate"),
        (lambda b, v, s: scaled(b, v[1] / s[:, 0], v[0] / s[:, 1]), "other way round"),
        (lambda b, v, s: scaled(b, (s[:, 0] / v[1])[:1], (s[:, 1] / v[0])[:1]), "scale of its own"),
        (lambda b, v, s: b[0], "expected shape"),
    ],
)
def test_wrong_boxes(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_to_original(answer)


def test_exchanged_height_and_width_of_the_view_is_found():
    with pytest.raises(CheckFailed, match="HEIGHT"):
        check_to_original(lambda b, v, s: scaled(b, s[:, 0] / v[0], s[:, 1] / v[1]))


def entropy(p, floor=0.0):
    return -(p * p.clamp(min=floor).log()).sum(dim=1, keepdim=True)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (
            lambda a, b: torch.where(a.amax(1, True) >= b.amax(1, True), a, b),
            "largest probabilities",
        ),
        (lambda a, b: torch.where(entropy(a, 1e-9) <= entropy(b, 1e-9) - 1e-5, b, a), "SMALLER"),
        (lambda a, b: a, "row|certain|sure"),
        (lambda a, b: torch.where(entropy(a) <= entropy(b), a, b), "certain|NaN"),
        (lambda a, b: (a + b) / 2, "differs"),
    ],
)
def test_wrong_followers(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_follow(answer)
