"""Notebook 03: the solutions pass their checks, plausible wrong answers fail with a hint."""

import pytest
import torch
from exercises import assert_correct_and_a_stub_unanswered, solutions

from mgff_tutorial.checks import windows as checks
from mgff_tutorial.checks.core import CheckFailed
from mgff_tutorial.windows import shift_mask, window_partition

SOLUTIONS = solutions("03_shifted_windows")
CHECKS = {
    "windows_that_need_a_mask": checks.check_windows_that_need_a_mask,
    "may_attend": checks.check_may_attend,
    "mask_from_coordinates": checks.check_mask_from_coordinates,
    "blocks_to_reach": checks.check_blocks_to_reach,
}


@pytest.mark.parametrize("name", CHECKS)
def test_solution_is_correct_and_a_stub_is_unanswered(name, capsys):
    assert_correct_and_a_stub_unanswered(CHECKS[name], SOLUTIONS[name], capsys)


def test_the_packaged_mask_answers_the_third_exercise():
    checks.check_mask_from_coordinates(lambda *sizes: shift_mask(*sizes) == 0)


def unrolled(height, width, window, shift):
    rows = (torch.arange(height) - shift[0]).div(window[0], rounding_mode="floor")
    columns = (torch.arange(width) - shift[1]).div(window[1], rounding_mode="floor")
    cut = window_partition((rows[:, None] * 100 + columns)[None, :, :, None], window).squeeze(-1)
    return cut[:, :, None] == cut[:, None, :]


def together_after_the_roll(a, b, window, shift):
    return all((x - shift) % 8 // window == (y - shift) % 8 // window for x, y in zip(a, b))


def steps(solution, more):
    return lambda *args: solution(*args) + more


@pytest.mark.parametrize(
    "name, answer, hint",
    [
        (
            "windows_that_need_a_mask",
            lambda h, w, m, s: (h // m) * (w // m),
            "only the last row and the last column",
        ),
        ("windows_that_need_a_mask", lambda h, w, m, s: h // m + w // m, "corner window twice"),
        ("windows_that_need_a_mask", lambda h, w, m, s: h // m + w // m - 1, "Without a shift"),
        (
            "may_attend",
            lambda a, b, w, s: a[0] // w == b[0] // w and a[1] // w == b[1] // w,
            "the rule without a shift",
        ),
        ("may_attend", together_after_the_roll, "wrapped around"),
        ("may_attend", lambda a, b, w, s: a == b, "so they may"),
        ("mask_from_coordinates", unrolled, "Roll the numbers"),
        ("mask_from_coordinates", lambda *a: ~(shift_mask(*a) == 0), "the opposite"),
        (
            "mask_from_coordinates",
            lambda *a: torch.ones_like(shift_mask(*a)).bool(),
            "Nothing is masked",
        ),
        ("mask_from_coordinates", lambda *a: shift_mask(*a), "expected booleans"),
        ("blocks_to_reach", steps(SOLUTIONS["blocks_to_reach"], 1), "one block too many"),
        (
            "blocks_to_reach",
            lambda side, window, start, goal: 1,
            "first block has plain windows|Count the block",
        ),
    ],
)
def test_wrong_answers_fail_with_a_hint(name, answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        CHECKS[name](answer)
