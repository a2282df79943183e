"""Notebook 09: the solutions pass their checks, plausible wrong answers fail with a hint."""

import pytest
from exercises import solutions
from torch import nn

from mgff_tutorial.checks.core import CheckFailed
from mgff_tutorial.checks.fusion import (
    check_ablations,
    check_count_nodes,
    check_enter,
    check_own_backbone,
)

SOLUTIONS = solutions("09_mgff")


def test_solutions_are_correct(capsys):
    check_count_nodes(SOLUTIONS["count_nodes"])
    check_enter(SOLUTIONS["enter"])
    check_ablations(SOLUTIONS["ablation"])
    check_own_backbone(SOLUTIONS["own_backbone"])
    assert capsys.readouterr().out == "".join(f"Exercise 9.{i}: correct.\n" for i in (1, 2, 3, 4))


def test_unanswered_is_no_failure(capsys):
    for check in (check_count_nodes, check_enter, check_ablations, check_own_backbone):
        check(lambda *args: ...)
    assert capsys.readouterr().out.count("not answered yet") == 4


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda grids, chosen: (sum(h * w for h, w in (grids[g] for g in chosen)), 8), "LAST grid"),
        (
            lambda grids, chosen: (4 * grids[-1][0] * grids[-1][1], 18),
            "chosen granularities|at least|expected",
        ),
        (lambda grids, chosen: 576, "Return a pair"),
    ],
)
def test_wrong_counts(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_count_nodes(answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda m, v, g: m + v[:, :, None, None], "gate is not used"),
        (lambda m, v, g: m + g * v, "spread over rows and columns"),
        (lambda m, v, g: m * (1 + g * v)[:, :, None, None], "added, not multiplied"),
        (lambda m, v, g: m.mean((2, 3)) + g * v, "expected shape"),
    ],
)
def test_wrong_entries(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_enter(answer)


def _wrong(name, **changes):
    return lambda asked: (
        {**SOLUTIONS["ablation"](asked), **changes}
        if asked == name
        else SOLUTIONS["ablation"](asked)
    )


@pytest.mark.parametrize(
    "answer, hint",
    [
        (_wrong("no graph", pool="none"), "you also change pool"),
        (_wrong("last map alone", granularities=(4,)), "MGFF refuses these options"),
        (_wrong("last map alone", granularities=(0,)), "numbered from 0"),
        (_wrong("no super-nodes", pool="after"), "should be 'none', got 'after'"),
        (lambda name: name, "expected a dict"),
    ],
)
def test_wrong_ablations(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_ablations(answer)


def _backbone(change):
    module, channels, grids = SOLUTIONS["own_backbone"]()
    if change == "order":
        forward = module.forward
        module.forward = lambda x: forward(x)[::-1]
        return module, channels[::-1], grids[::-1]
    if change == "unused":
        module.extra = nn.Linear(2, 2)
        return module, channels, grids
    if change == "announced":
        return module, channels, ((16, 16), *grids[1:])
    return module, channels[:3], grids[:3]


@pytest.mark.parametrize(
    "change, hint",
    [
        ("order", "from the finest to the coarsest"),
        ("unused", "no gradient reaches extra.weight"),
        ("announced", "those that you announce"),
        ("three", "expected four channels"),
    ],
)
def test_wrong_backbones(change, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_own_backbone(lambda: _backbone(change))
