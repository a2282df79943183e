"""Notebook 10: the solutions pass their checks, plausible wrong answers fail with a hint."""

import pytest
import torch
from exercises import solutions

from mgff_tutorial.checks.core import CheckFailed
from mgff_tutorial.checks.response import check_fiedler_side, check_importance, check_rollout

SOLUTIONS = solutions("10_vit_attention")


def test_solutions_are_correct(capsys):
    check_importance(SOLUTIONS["importance"])
    check_rollout(SOLUTIONS["rollout"])
    check_fiedler_side(SOLUTIONS["object_side"])
    assert capsys.readouterr().out == "".join(f"Exercise 10.{i}: correct.\n" for i in (1, 2, 3))


def test_unanswered_is_no_failure(capsys):
    for check in (check_importance, check_rollout, check_fiedler_side):
        check(lambda *args: ...)
    assert capsys.readouterr().out.count("not answered yet") == 3


def summed(matrices):
    return sum(m.mean(dim=0) for m in matrices)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda m, p: summed(m)[p:, p:].sum(dim=1), "sums of rows"),
        (lambda m, p: summed(m).sum(dim=1)[p:], "always sum to 1"),
        (lambda m, p: summed(m)[:, p:].sum(dim=0), "still ask"),
        (lambda m, p: sum(x.sum(dim=0) for x in m)[p:, p:].sum(dim=0), "averaged, not summed"),
        (lambda m, p: summed(m).sum(dim=0), "expected shape"),
    ],
)
def test_wrong_importance(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_importance(answer)


def chained(matrices, residual=True, backwards=False, scale=2):
    out = torch.eye(matrices[0].shape[-1])
    for m in matrices[::-1] if backwards else matrices:
        step = m.mean(dim=0)
        out = ((step + torch.eye(len(step))) / scale if residual else step) @ out
    return out


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda m, p: chained(m, residual=False)[0, p:], "residual path"),
        (lambda m, p: chained(m, backwards=True)[0, p:], "order is reversed"),
        (lambda m, p: chained(m)[p:, 0], "a column"),
        (lambda m, p: chained(m, scale=1)[0, p:], "by 2"),
        (lambda m, p: chained(m)[0], "expected shape"),
    ],
)
def test_wrong_rollout(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_rollout(answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda cut, grid: cut, "background"),
        (lambda cut, grid: -cut if (cut > cut.mean()).float().mean() > 0.5 else cut, "SHARE"),
        (lambda cut, grid: cut.unflatten(0, grid), "expected shape"),
        (lambda cut, grid: cut.abs(), "numbers changed|background"),
    ],
)
def test_wrong_side(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_fiedler_side(answer)
