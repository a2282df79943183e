"""Notebook 06: the solutions pass their checks, plausible wrong answers fail with a hint."""

import pytest
import torch
import torch.nn.functional as F
from exercises import solutions

from mgff_tutorial.checks.attention import (
    check_attention_weights,
    check_many_heads,
    check_position_bias,
)
from mgff_tutorial.checks.core import CheckFailed
from mgff_tutorial.windows import relative_position_index

SOLUTIONS = solutions("06_self_attention")


def test_solutions_are_correct(capsys):
    check_attention_weights(SOLUTIONS["attention_weights"])
    check_position_bias(SOLUTIONS["position_bias"])
    check_many_heads(SOLUTIONS["many_heads"])
    assert capsys.readouterr().out == "".join(f"Exercise 6.{i}: correct.\n" for i in (1, 2, 3))


def test_unanswered_is_no_failure(capsys):
    for check in (check_attention_weights, check_position_bias, check_many_heads):
        check(lambda *args: ...)
    assert capsys.readouterr().out.count("not answered yet") == 3


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda q, k, b: (q @ k.mT + b).softmax(-1), "not divided by sqrt"),
        (lambda q, k, b: (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) + b, "inside the softmax"),
        (lambda q, k, b: (q @ k.mT / q.shape[-1] ** 0.5 + b).softmax(1), "rows must sum to 1"),
        (lambda q, k, b: (k @ q.mT / q.shape[-1] ** 0.5 + b).softmax(-1), "Q and K are exchanged"),
    ],
)
def test_wrong_weights(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_attention_weights(answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda table, grid: table[relative_position_index(grid)].T, "MINUS"),
        (
            lambda table, grid: table[relative_position_index(grid)].flatten(),
            "One number for each pair",
        ),
        (lambda table, grid: table[relative_position_index((grid[1], grid[0]))], "2 w - 1"),
    ],
)
def test_wrong_positions(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_position_bias(answer)


def _mixed(q, k, v, heads):
    q, k, v = (t.reshape(2, heads, 6, -1) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _not_joined(q, k, v, heads):
    q, k, v = (t.unflatten(2, (heads, -1)).transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).reshape(2, 6, 8)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda q, k, v, heads: F.scaled_dot_product_attention(q, k, v), "channels are not split"),
        (_mixed, "mixes positions"),
        (_not_joined, "transpose, then flatten"),
        (lambda q, k, v, heads: torch.zeros(2, 6, 7), "expected shape"),
    ],
)
def test_wrong_heads(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_many_heads(answer)
