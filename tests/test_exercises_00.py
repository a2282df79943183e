"""Notebook 00: the solutions pass their checks, plausible wrong answers fail with a hint."""

import pytest
from exercises import solutions

from mgff_tutorial.checks.core import CheckFailed
from mgff_tutorial.checks.start import check_loose_box, check_top_k

SOLUTIONS = solutions("00_start_here")


def test_solutions_are_correct(capsys):
    check_top_k(SOLUTIONS["top_k_accuracy"])
    check_loose_box(SOLUTIONS["loosen"])
    assert capsys.readouterr().out == "Exercise 0.1: correct.\nExercise 0.2: correct.\n"


def test_unanswered_is_no_failure(capsys):
    check_top_k(lambda probabilities, labels, k: ...)
    assert "not answered yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda p, y, k: (p.argmax(1) == y).float().mean().item(), "k is not used"),
        (
            lambda p, y, k: (p.topk(k, 1).indices == y[:, None]).any(1).sum().item(),
            "divide by the number",
        ),
        (
            lambda p, y, k: (p.topk(k, 1).indices == y[:, None]).float().mean().item(),
            "an image counts once",
        ),
    ],
)
def test_wrong_top_k(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_top_k(answer)


def _grown_on_each_side(box, factor, width, height):
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    return (
        max(0, x0 - w * (factor - 1)),
        max(0, y0 - h * (factor - 1)),
        x1 + w * (factor - 1),
        y1 + h * (factor - 1),
    )


def _not_clipped(box, factor, width, height):
    x0, y0, x1, y1 = box
    cx, cy, w, h = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) * factor / 2, (y1 - y0) * factor / 2
    return cx - w, cy - h, cx + w, cy + h


@pytest.mark.parametrize(
    "answer, hint", [(_grown_on_each_side, "half the growth"), (_not_clipped, "clip")]
)
def test_wrong_box(answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        check_loose_box(answer)
