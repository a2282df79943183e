"""Notebook 07: the solutions pass their checks, plausible wrong answers fail with a hint."""

import pytest
import torch
from exercises import solutions

from mgff_tutorial.checks.attention import (
    check_channel_weights,
    check_scale_map,
    check_se_parameters,
)
from mgff_tutorial.checks.core import CheckFailed

SOLUTIONS = solutions("07_channel_attention")


def test_solutions_are_correct(capsys):
    check_channel_weights(SOLUTIONS["channel_weights_of"])
    check_se_parameters(SOLUTIONS["se_parameters"])
    check_scale_map(SOLUTIONS["scale_map"])
    assert capsys.readouterr().out == "".join(f"Exercise 7.{i}: correct.\n" for i in (1, 2, 3))


def test_unanswered_is_no_failure(capsys):
    for check in (check_channel_weights, check_se_parameters, check_scale_map):
        check(lambda *args: ...)
    assert capsys.readouterr().out.count("not answered yet") == 3


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda x, a, b: torch.softmax(torch.relu(x.mean((2, 3)) @ a.T) @ b.T, 1), "compete"),
        (lambda x, a, b: torch.sigmoid(x.mean((2, 3)) @ a.T @ b.T), "relu between"),
        (lambda x, a, b: torch.sigmoid(torch.relu(x.amax((2, 3)) @ a.T) @ b.T), "not the maximum"),
        (lambda x, a, b: x, "not the scaled map"),
    ],
)
def test_wrong_weights(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_channel_weights(answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda c, r: c * c // r, "back up"),
        (lambda c, r: 2 * c * (c // r) + c + c // r, "no biases"),
    ],
)
def test_wrong_counts(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_se_parameters(answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda x, s: x * s[:, None, None, :], "spread along the columns"),
        (lambda x, s: x * s[:, None, :, None], "spread along the rows"),
        (lambda x, s: x + x * s[:, :, None, None], "No residual"),
    ],
)
def test_wrong_scaling(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_scale_map(answer)
