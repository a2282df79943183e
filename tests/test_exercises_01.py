"""Notebook 01: the solutions pass their checks, plausible wrong answers fail with a hint."""

import pytest
import torch
from exercises import assert_correct_and_a_stub_unanswered, solutions

from mgff_tutorial.checks import patches as checks
from mgff_tutorial.checks.compare import show_gap
from mgff_tutorial.checks.core import CheckFailed

SOLUTIONS = solutions("01_patches")
CHECKS = {
    "token_grid": checks.check_token_grid,
    "unpatchify": checks.check_unpatchify,
    "merge_by_slices": checks.check_merge_by_slices,
    "embedding_parameters": checks.check_embedding_parameters,
}


@pytest.mark.parametrize("name", CHECKS)
def test_solution_is_correct_and_a_stub_is_unanswered(name, capsys):
    assert_correct_and_a_stub_unanswered(CHECKS[name], SOLUTIONS[name], capsys)


def slices(*order):
    return lambda x: torch.cat([x[:, i::2, j::2] for i, j in order], -1)


@pytest.mark.parametrize(
    "name, answer, hint",
    [
        ("token_grid", lambda h, w, p: (h // p, w // p), "You round down"),
        ("token_grid", lambda h, w, p: (-(-w // p), -(-h // p)), "Rows come first"),
        ("token_grid", lambda h, w, p: (h / p, w / p), "integers"),
        (
            "unpatchify",
            lambda rows, p, h, w: rows.reshape(3, h, w),
            "A single reshape cannot do it",
        ),
        (
            "unpatchify",
            lambda rows, p, h, w: (
                rows.view(h // p, w // p, 3, p, p).permute(2, 0, 4, 1, 3).reshape(3, h, w)
            ),
            "some in the wrong place",
        ),
        ("unpatchify", lambda rows, p, h, w: rows, "expected shape"),
        ("merge_by_slices", slices((0, 0), (0, 1), (1, 0), (1, 1)), "below before right"),
        (
            "merge_by_slices",
            slices((0, 0), (1, 0), (0, 1), (1, 1)),
            "raised RuntimeError|Pad one row",
        ),
        ("embedding_parameters", lambda p, c, d: d * c * p * p, "biases and the layer norm"),
        ("embedding_parameters", lambda p, c, d: d * c * p * p + d, "the layer norm has a scale"),
    ],
)
def test_wrong_answers_fail_with_a_hint(name, answer, hint):
    with pytest.raises(CheckFailed, match=hint):
        CHECKS[name](answer)


def test_gap_meter(capsys):
    a = torch.ones(2, 3)
    show_gap("same", a, a.clone())
    show_gap("far", [a, a], [a, a + 1])
    show_gap("shape", a, a.T)
    assert capsys.readouterr().out.splitlines() == [
        "same: agrees within 1e-5; largest value 1",
        "far: differs by up to 1; largest value 2",
        "shape: shapes differ, (2, 3) and (3, 2)",
    ]
