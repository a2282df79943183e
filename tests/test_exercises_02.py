"""Notebook 02: the solutions pass their checks, plausible wrong answers fail with a hint."""

import pytest
from exercises import assert_correct_and_a_stub_unanswered, solutions

from mgff_tutorial.checks import windows as checks
from mgff_tutorial.checks.core import CheckFailed

SOLUTIONS = solutions("02_window_attention")
CHECKS = {
    "pairs": checks.check_pairs,
    "bias_row": checks.check_bias_row,
    "find_token": checks.check_find_token,
}


@pytest.mark.parametrize("name", CHECKS)
def test_solution_is_correct_and_a_stub_is_unanswered(name, capsys):
    assert_correct_and_a_stub_unanswered(CHECKS[name], SOLUTIONS[name], capsys)


def row(query, key, window, sign=1, stride=None, offset=True):
    wh, ww = window
    dy, dx = sign * (query // ww - key // ww), sign * (query % ww - key % ww)
    stride = (2 * ww - 1) if stride is None else stride(wh, ww)
    return (dy + (wh - 1) * offset) * stride + dx + (ww - 1) * offset


@pytest.mark.parametrize(
    "name, answer, hint",
    [
        ("pairs", lambda h, w, m: (h * w) ** 2, "whole map"),
        ("pairs", lambda h, w, m: m**4, "multiply by the number of windows"),
        ("pairs", lambda h, w, m: h * w * m, "w . w keys"),
        ("bias_row", lambda q, k, w: row(q, k, w, sign=-1), "key minus query"),
        (
            "bias_row",
            lambda q, k, w: row(q, k, w, stride=lambda wh, ww: 2 * wh - 1),
            "the width counts",
        ),
        ("bias_row", lambda q, k, w: row(q, k, w, offset=False), "expected 4, got 0"),
        ("bias_row", lambda q, k, w: row(q, k, w, stride=lambda wh, ww: ww), "not Ww"),
        (
            "find_token",
            lambda r, c, w, m: ((c // m[1]) * 2 + r // m[0], (r % m[0]) * m[1] + c % m[1]),
            "row by row",
        ),
        (
            "find_token",
            lambda r, c, w, m: (
                (r // m[0]) * (w // m[1]) + c // m[1],
                (c % m[1]) * m[0] + r % m[0],
            ),
            "Inside the window",
        ),
    ],
)
def test_wrong_answers_fail_with_a_hint(name, answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        CHECKS[name](answer)
